"""The page "trust" and its figures: planted judgements, votes and temperatures come back."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mien.errors import TableError
from mien.io import tables
from mien.report.figures.trust import plot_trust
from mien.report.tables.trust import build_trust, graded, read_numbers
from report import planted_streams, planted_trust

pytestmark = pytest.mark.filterwarnings("ignore:constrained_layout not applied")  # figures are drawn too small
CORPUS = planted_trust.CORPUS
FIGURES = {
    f"trust-{CORPUS}-{name}.{kind}"
    for name in ("reliability", "coverage", "conditions", "people")
    for kind in ("svg", "png")
}


def actor_of(clip: str) -> int:
    return int(clip.split("-")[1])


def mostly(network: str, condition: str, clip: str) -> bool:
    """Say that take 0 is always wrong, take 1 too where a voice is noisy, and AM wrong on all women."""
    take = int(clip[-1])
    if network == "AM" and actor_of(clip) % 2 == 0:
        return False
    return take > 1 if condition.startswith("voice, noise") else take > 0


def run(root: Path, runs: list[Path], config: str | None = None) -> tuple[pd.DataFrame, str]:
    """Run the command on the world below `root` and return its numbers and its page."""
    folder, out = root / "results" / "corpora" / CORPUS, root / "tables"
    build_trust(
        corpus=CORPUS,
        runs=runs,
        assessed=root / "results" / "trust" / CORPUS,
        clips=folder / "clips.parquet",
        votes=folder / "votes.parquet",
        corpus_info=folder / "corpus.json",
        out_csv=out / "trust.csv",
        out_md=out / "trust.md",
        config=config or planted_trust.config(),
    )
    return read_numbers(out / "trust.csv"), (out / "trust.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> tuple[Path, list[Path]]:
    """Return the root and the runs of a world that nobody may change."""
    root = tmp_path_factory.mktemp("trust")
    return root, planted_trust.write_world(root, mostly)


@pytest.fixture(scope="module")
def page(world) -> tuple[pd.DataFrame, str]:
    """Return the numbers and the page of `world`."""
    return run(*world)


def value(rows: pd.DataFrame, network: str, part: str, item: str, quantity: str) -> float:
    chosen = rows[(rows.network == network) & (rows.part == part) & (rows["item"] == item)]
    return chosen[(chosen.quantity == quantity) & chosen["at"].isna()].value.item()


def test_planted_accuracies_come_back(page):
    rows, text = page
    assert value(rows, "N2", "calibration", "", "accuracy") == 75
    assert value(rows, "N2", "condition", "clean", "accuracy") == 75
    assert value(rows, "N2", "condition", "voice, noise at 0 dB", "accuracy") == 50
    assert value(rows, "N2", "condition", "voice, noise at 0 dB", "difference") == -25
    assert value(rows, "N2", "condition", "without video", "difference") == 0
    assert value(rows, "AM", "sex", "male", "accuracy") == 75
    assert value(rows, "AM", "sex", "female", "accuracy") == 0
    assert value(rows, "N2", "sex", "female", "accuracy") == 75
    assert "nan" not in text


def test_an_option_is_held_against_its_baseline_on_the_folds_that_it_has(tmp_path, page):
    """It names a third of the clips worse, and without a voice another third better; of the folds it has the first."""

    def right(network, condition, clip):
        wrong = {"N2": condition == "without audio", "N2_dropout": clip[-1] == "1"}
        return not wrong.get(network) and mostly(network, condition, clip)

    runs = planted_trust.write_world(tmp_path, right, options=["N2_dropout"])
    rows, text = run(tmp_path, runs, planted_trust.config(options={"N2_dropout": "N2", "Gated": "N2"}))
    assert value(rows, "N2_dropout", "option", "clean", "accuracy") == 50
    assert value(rows, "N2_dropout", "option", "clean", "baseline") == 75
    assert value(rows, "N2_dropout", "option", "clean", "difference") == -25
    assert value(rows, "N2_dropout", "option", "without audio", "difference") == 50
    assert set(rows.n_people[rows.network == "N2_dropout"]) == {planted_trust.N_ACTORS / 2}
    both = page[0][page[0].network == "AM"].reset_index(drop=True)  # what is on all folds is as it was
    pd.testing.assert_frame_equal(rows[rows.network == "AM"].reset_index(drop=True), both)
    assert "N2_dropout: undisturbed it costs 25.0 points, without video it costs 25.0 points, without audio it" in text
    assert "undecided (one training each)" in text
    assert "Gated" not in text  # no table of this corpus asks for it
    assert "nan" not in text


def test_intensities_are_compared_on_emotions_that_have_several(page):
    rows, _text = page
    assert value(rows, "N2", "intensity", "HI", "accuracy") == 50  # takes 0 and 1
    assert value(rows, "N2", "intensity", "LO", "accuracy") == 100
    assert set(rows.item[rows.part == "intensity"]) == {"LO", "HI"}  # XX stands alone: neutral has no other level
    assert rows.item[rows.part == "intensity"].iloc[0] == "LO"  # in the order of the corpus's levels, not of letters
    frame = pd.DataFrame({"label": [0, 1, 1], "statement": "a", "intensity": ["XX", "LO", "HI"]})
    assert graded(frame).label.tolist() == [1, 1]


def test_confidence_temperature_and_losses_are_those_of_the_planted_logits(page):
    rows, _ = page
    sure = math.exp(3) / (math.exp(3) + 2)
    assert value(rows, "N2", "calibration", "before", "confidence") == pytest.approx(100 * sure, abs=1e-3)
    assert value(rows, "N2", "calibration", "before", "ece") == pytest.approx(100 * (sure - 0.75), abs=1e-3)
    # 80 % of the validation people's clips are right, so exp(3 / T) / (exp(3 / T) + 2) is 0.8
    temperature = rows[(rows.network == "N2") & (rows.part == "temperature")].value
    assert temperature.to_list() == pytest.approx([3 / math.log(8)] * 2, rel=1e-3)
    assert value(rows, "N2", "calibration", "after", "confidence") == pytest.approx(80, abs=0.02)
    assert value(rows, "N2", "calibration", "after", "ece") == pytest.approx(5, abs=0.02)
    nll = -0.75 * math.log(sure) - 0.25 * math.log((1 - sure) / 2)
    assert value(rows, "N2", "calibration", "before", "nll") == pytest.approx(nll, abs=1e-3)
    assert value(rows, "N2", "condition", "clean", "surplus") == pytest.approx(100 * (sure - 0.75), abs=1e-3)


def test_equal_confidence_tells_nothing(page):
    rows, _ = page
    assert value(rows, "N2", "coverage", "", "aurc") == value(rows, "N2", "coverage", "", "aurc_random") == 25
    assert value(rows, "N2", "coverage", "", "aurc_least") < 5
    assert set(rows.value[(rows.network == "N2") & (rows.part == "coverage") & rows["at"].notna()]) == {75}


def test_labels_are_meant_and_perceived(page):
    rows, _ = page

    def of(network, quantity):
        return value(rows, network, "label", "", quantity)

    # of a man's clips AM names takes 1 to 3 as they were meant and take 0 as the next class, of a woman's all so
    assert of("AM", "intended") == 37.5
    # take 0 is perceived as meant, 1 too, 2 as the next class, 3 half and half
    assert of("AM", "perceived") == pytest.approx(100 * np.mean([0, 1, 0, 0.5, 0, 0, 1, 0.5]))
    assert of("AM", "people_majority") == pytest.approx(62.5)
    assert of("AM", "people_votes") == pytest.approx(100 * (6 + 6 + 4 + 5) / 40)
    assert of("AM", "tied") == 25
    assert of("AM", "intended_less_people") == -25
    assert of("N2", "people_majority") == of("N2", "people_votes") == 100
    assert of("N2", "intended") == of("N2", "perceived") == 75


def test_intervals_hold_the_value_and_are_over_actors(page):
    rows, _ = page
    known = rows[rows.low.notna()]
    assert len(known) > 40  # where all actors are equal a difference has none
    assert (known.low <= known.value + 1e-4).all()
    assert (known.value <= known.high + 1e-4).all()
    accuracy = known[(known.part == "condition") & (known["item"] == "clean") & (known.quantity == "accuracy")]
    assert set(accuracy.n_people) == {planted_trust.N_ACTORS}
    assert set(accuracy.n_clips) == {planted_trust.N_ACTORS * 12}


def test_the_same_judgements_are_the_same_bytes(world, page):
    again, text = run(*world)
    pd.testing.assert_frame_equal(page[0], again)
    assert page[1] == text


def test_without_training_validation_or_votes_there_is_still_a_page(tmp_path, draw):
    options = {
        "selections": ("optimistic",),
        "reason": "no clip has a sound",
    }  # the thesis's protocol has no validation
    runs = planted_trust.write_world(tmp_path, mostly, **options)
    votes = tmp_path / "results" / "corpora" / CORPUS / "votes.parquet"
    tables.write(votes, tables.empty(tables.VOTES), tables.VOTES)
    rows, text = run(tmp_path, runs)
    assert rows.value[(rows.network == "AM") & (rows.part == "calibration")].isna().all()
    assert rows.value[rows["item"] == "after"].isna().all()
    assert value(rows, "N2", "condition", "clean", "accuracy") == 75
    assert "nan" not in text
    assert set(draw(tmp_path)) == FIGURES


def test_judgements_of_other_folds_or_conditions_are_refused(tmp_path):
    runs = planted_trust.write_world(tmp_path, mostly)
    path = tmp_path / "results" / "trust" / CORPUS / "N2.parquet"
    whole = tables.read(path, tables.ASSESSMENTS)
    tables.write(path, whole[whole.fold == 0], tables.ASSESSMENTS)
    with pytest.raises(TableError, match="not the folds and seeds of N2"):
        run(tmp_path, runs)
    tables.write(path, whole, tables.ASSESSMENTS)
    with pytest.raises(TableError, match="voice, noise at 5 dB"):
        run(tmp_path, runs, planted_trust.config(noise_db=[5.0]))


@pytest.fixture
def draw(monkeypatch):
    """Return call(root) -> name and bytes of the figures of the page below `root`."""
    planted_streams.draw_small(monkeypatch)

    def call(root: Path) -> dict[str, bytes]:
        info = root / "results" / "corpora" / CORPUS / "corpus.json"
        plot_trust(table=root / "tables" / "trust.csv", corpus_info=info, out=root / "figures")
        return {path.name: path.read_bytes() for path in (root / "figures").iterdir()}

    return call


@pytest.mark.usefixtures("page")
def test_figures_are_whole(world, draw):
    assert {name for name, content in draw(world[0]).items() if len(content) > 5000} == FIGURES


def test_a_table_of_another_kind_is_not_drawn(tmp_path):
    path = tmp_path / "trust.csv"
    path.write_text("network,value\nN2,1\n")
    with pytest.raises(TableError, match="its columns are"):
        read_numbers(path)
    with pytest.raises(TableError, match="cannot be read"):
        read_numbers(tmp_path / "none.csv")
