"""Planted differences get the verdict that they deserve, by the rule on the page."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest

import planted as planted_files
import planted_classifiers as planted
from mien.errors import ConfigError, TableError
from mien.io.files import read_json, write_json
from mien.report.claims import judge_hypotheses, judge_transfer, min_pictures_for_disjoint_intervals
from mien.report.rules import NOT_SUPPORTED, ONE_TRAINING, SUPPORTED, TOO_FEW, UNDECIDED
from mien.report.tables.transfer import read_transfer
from report import planted_transfer, planted_variants

ROWS = {
    "CNN": planted.image("cnn1"),
    "CNN3": planted.image("cnn3", 150),
    "AU_SSVM": planted.vector("AU8", "ssvm"),
    "AU_SVMpoly_raw": planted.vector("AU8", "svm_poly", standardise=False),
    "AU_DNN": planted.vector("AU8", "dnn_au"),
    "AU_DNN_raw": planted.vector("AU8", "dnn_au", standardise=False),
}


def _label(*below: int):
    """Return a rule: on test right below the first label, elsewhere below the second."""
    return lambda row: row.label < below[row.role != "test"]


@pytest.fixture
def judge(tmp_path, repository):
    """Return call(right, options of the runs) -> (CSV frame, page)."""

    def call(right: dict, *, rows=ROWS, n_people: int = 5, costs=None, **options):
        folder, table = planted.write_samples(tmp_path, n_people=n_people)
        runs = planted.write_runs(tmp_path, table, right, rows=rows, **options)
        for run in runs:
            record = read_json(run)
            cost = (costs or {}).get(record["variant"])
            write_json(run, record | {"chosen": {} if cost is None else {"C": cost}})
        out = tmp_path / "results"
        judge_hypotheses(
            runs=runs,
            samples=folder,
            thesis=repository / "resources" / "thesis_tables.yaml",
            out_md=out / "hypotheses.md",
            out_csv=out / "hypotheses.csv",
            config=planted.config(rows),
        )
        return pd.read_csv(out / "hypotheses.csv"), Path(out / "hypotheses.md").read_text(encoding="utf-8")

    return call


def _verdict(text: str, key: str) -> str:
    line = next(line for line in text.splitlines() if line.replace(" ", "").startswith(f"|{key.replace(' ', '')}|"))
    return line.split("**")[1]


def test_better_networks_are_found_and_chosen_by_validation(judge):
    right = {
        "CNN": _label(3, 4),  # 75 % on test, 100 % on validation: the choice
        "CNN3": _label(4, 2),  # better on test, which may not count
        "AU_SSVM": _label(2, 3),
        "AU_SVMpoly_raw": _label(4, 1),
        "AU_DNN": _label(2, 3),
        "AU_DNN_raw": _label(4, 1),
    }
    rows, text = judge(right)
    assert _verdict(text, "C1") == SUPPORTED
    deciding = rows[(rows.question == "C1") & rows.decides]
    assert set(deciding.one + " " + deciding.other) == {"CNN AU_SSVM"}
    assert deciding.difference.tolist() == [25, 25]
    assert deciding.thesis.tolist() == pytest.approx([76.3 - 41.1] * 2)
    assert (rows.people == "computed").all()
    other = rows[(rows.one == "CNN") & (rows.other == "AU_SVMpoly_raw")]
    assert other.difference.tolist() == [-25, -25]


def test_missing_pictures_can_undo_an_answer(judge):
    gone = [f"rafd-{person:02d}-{label}-135frontal" for person in range(5) for label in range(4)]
    right = dict.fromkeys(ROWS, _label(2, 2)) | dict.fromkeys(["CNN", "CNN3"], _label(3, 2))
    rows, text = judge(right, missing=dict.fromkeys(["CNN", "CNN3"], gone))
    deciding = rows[(rows.question == "C1") & rows.decides].set_index("pictures")
    assert deciding.difference.to_dict() == {"judged by both": 25, "all, missing is an error": -12.5}
    assert _verdict(text, "C1") == UNDECIDED


def test_a_planted_gap_is_explained_by_the_classifier(judge):
    right = dict.fromkeys(ROWS, _label(2, 2)) | {"AU_DNN": _label(4, 4)}
    rows, text = judge(right, n_people=20)
    assert _verdict(text, "Same features, AU8") == NOT_SUPPORTED
    largest = rows[(rows.question == "Same features, AU8") & rows.decides].iloc[0]
    assert (largest.one, largest.other, largest.difference) == ("AU_DNN", "AU_SSVM", 50)


def test_only_runs_that_learnt_on_the_same_people_are_compared(judge):
    right = dict.fromkeys(ROWS, _label(2, 2)) | {"AU_SSVM": lambda row: row.label < (2 if row.seed < 2 else 0)}
    rows, _ = judge(right)
    assert rows[(rows.question == "Same features, AU8") & (rows.other == "AU_SSVM")].difference.tolist() == [0]


def test_the_edge_of_the_search_is_named_where_the_scalings_differ(judge):
    rows = ROWS | {"AU_SSVM_raw": planted.vector("AU8", "ssvm", standardise=False)}
    equal, costs = dict.fromkeys(rows, _label(2, 2)), {"AU_SSVM": 1e-4, "AU_SSVM_raw": 1.0}
    differs, said = equal | {"AU_SSVM_raw": _label(3, 2)}, "scaling may not be the only reason"
    assert said not in judge(equal, rows=rows, costs=costs)[1]  # no difference that scaling could make
    assert said in judge(differs, rows=rows, costs=costs)[1]
    assert said not in judge(differs, rows=rows)[1]


def test_one_person_decides_nothing(judge):
    rows, text = judge(dict.fromkeys(ROWS, _label(1, 1)) | {"CNN": _label(4, 4)}, n_people=1)
    assert [_verdict(text, key) for key in ("C1", "Same features, AU8")] == [UNDECIDED, UNDECIDED]
    assert rows.low.isna().all()
    assert rows[(rows.one == "CNN") & (rows.other == "AU_SSVM")].difference.tolist() == [75, 75]
    assert "nan" not in text


def test_nothing_trained_is_still_a_page(judge):
    rows, text = judge(dict.fromkeys(ROWS, _label(2, 2)), reason=dict.fromkeys(ROWS, "nobody was fitted"))
    assert rows.empty
    assert [_verdict(text, key) for key in ("C1", "Same features, AU8", "Same features, FP68")] == [UNDECIDED] * 3
    assert "nan" not in text


def test_closer_accuracies_need_more_pictures_to_part():
    far, near = (min_pictures_for_disjoint_intervals(0.8, other, confidence=0.95) for other in (0.4, 0.6))
    assert 1 < far < near
    assert min_pictures_for_disjoint_intervals(0.4, 0.8, confidence=0.95) == far
    with pytest.raises(ValueError, match="never part"):
        min_pictures_for_disjoint_intervals(0.5, 0.5, confidence=0.95)


@pytest.fixture(scope="module")
def transferred(tmp_path_factory, repository):
    """Return call(right, curves and losses by row, ...) -> Verdict on C2."""
    results = tmp_path_factory.mktemp("transfer")
    folder = planted_transfer.write_fer2013(results)
    resource = repository / "resources" / "thesis_tables.yaml"
    thesis = planted_transfer.write_thesis(results / "thesis.yaml", resource)

    def call(right, *, rows=planted_transfer.ROWS, later=(), **options):
        runs = planted_transfer.write_runs(results, right, rows=rows, **options)
        for seed, one in enumerate(later, start=1):  # what both rows judge right
            for name, more in {"whole": {}, "blind": {"curve": options["curve"]["blind"]}, "People": {}}.items():
                rule = None if name == "People" else one
                runs.append(planted_transfer.write_run(results, name, rule, seed=seed, **more))
        files = (folder / "clips.parquet", folder / "corpus.json", thesis)
        return judge_transfer(read_transfer(runs, *files, planted_transfer.params(rows)))

    return call


def _first(n: int):
    """Return a rule: of either test, the first n pictures are right."""
    return lambda k, *_: k < n


SLOW = {"blind": (0.4, 0.5, 0.6, 0.77), "People": (0.5, 0.9)}  # whole needs 3 epochs for what takes blind 4
EQUAL = dict.fromkeys(["whole", "dense", "blind", "fast"], _first(30))


def test_one_training_of_a_row_decides_nothing_about_transfer(transferred):
    verdict = transferred(EQUAL, curve=SLOW)
    assert verdict.verdict == ONE_TRAINING
    assert [cost.ratio < 1 for cost in verdict.facts["costs"]] == [True] * 6
    assert verdict.effect.low < verdict.effect.difference == 0 < verdict.effect.high
    assert [(one.gain.one, one.gain.other, one.gain.n_clips, one.decides) for one in verdict.contrasts[:2]] == [
        ("whole", "blind", 40, True),
        ("whole", "blind", 50, False),
    ]
    text = verdict.section()
    assert "nan" not in text
    whole_less_dense = next(one for one in verdict.contrasts if one.gain.other == "dense")
    assert (whole_less_dense.gain.difference, whole_less_dense.thesis) == (0, 5)


@pytest.mark.parametrize(("seeds", "answer"), [(2, TOO_FEW), (3, SUPPORTED), (5, SUPPORTED)])
def test_three_trainings_of_both_rows_decide_about_transfer(transferred, seeds, answer):
    """Equal in accuracy, and always 3 or 4 epochs against 10: more than rounding to whole ones can make."""
    slow = {"blind": (*[0.1] * 9, 0.8), "People": (0.5, 0.9)}
    same = dict.fromkeys(["whole", "dense", "blind", "fast"], _first(38))
    later = [_first(39), *[_first(38)] * 3][: seeds - 1]
    verdict = transferred(same, curve=slow, later=later)
    assert (verdict.verdict, verdict.effect.n_trainings) == (answer, seeds)
    assert all(cost.high < 1 for cost in verdict.facts["costs"])
    assert "nan" not in verdict.section()


def test_a_random_start_that_never_learnt_is_no_yardstick(transferred):
    verdict = transferred(EQUAL | {"blind": _first(20)}, curve=SLOW | {"blind": (0.3, 0.4, 0.5, 0.5)})
    assert not verdict.facts["learnt"]
    assert transferred(EQUAL | {"dense": _first(20)}, curve=SLOW).facts["learnt"]


def test_without_two_sides_transfer_is_undecided_and_says_why(transferred):
    verdict = transferred(EQUAL, reasons=dict.fromkeys(planted_transfer.ROWS, "there are no pictures"))
    assert (verdict.verdict, verdict.contrasts) == (UNDECIDED, ())
    assert math.isnan(verdict.effect.difference)


@pytest.fixture
def command(tmp_path, repository):
    """Return call(options of the command) -> (CSV frame, page), with two classifiers."""
    rows = {name: ROWS[name] for name in ("CNN", "AU_SSVM")}
    folder, table = planted.write_samples(tmp_path, n_people=2)
    runs = planted.write_runs(tmp_path, table, dict.fromkeys(rows, _label(2, 2)), rows=rows)
    config = json.dumps(planted_transfer.params() | json.loads(planted.config(rows)))

    def call(**options):
        out = {"out_md": tmp_path / "h.md", "out_csv": tmp_path / "h.csv", "config": config}
        thesis = repository / "resources" / "thesis_tables.yaml"
        judge_hypotheses(runs=runs, samples=folder, thesis=thesis, **out, **options)
        return pd.read_csv(tmp_path / "h.csv"), (tmp_path / "h.md").read_text(encoding="utf-8")

    return call


def test_the_command_adds_transfer_last_and_wants_both_options(tmp_path, command):
    clips = planted_transfer.write_fer2013(tmp_path) / "clips.parquet"
    with pytest.raises(ConfigError, match="belong together"):
        command(transfer_clips=clips)
    found, text = command(transfer_clips=clips, transfer_runs=planted_transfer.write_runs(tmp_path, EQUAL, curve=SLOW))
    assert _verdict(text, "C2") == ONE_TRAINING
    assert found.question.unique().tolist()[-1] == "C2"


def test_the_command_adds_the_verdicts_of_chapter_5_by_question_and_corpus(tmp_path, command):
    shares = {"N1": 0.5, "N2": 0.75, "other": 1.0}
    variants = [
        planted_variants.write_run(tmp_path, name, k, {2 * k + 1: share, 2 * k + 2: share}, corpus=corpus)
        for corpus in ("ravdess", "cremad")
        for name, share in shares.items()
        for k in range(2)
    ]
    clips = [
        planted_files.write_corpus(tmp_path, n_actors=4, corpus=corpus) / "clips.parquet"
        for corpus in ("ravdess", "cremad")
    ]
    with pytest.raises(ConfigError, match="belong together"):
        command(variant_runs=variants)
    with pytest.raises(TableError, match=r"cremad.*--variant-clips"):
        command(variant_runs=variants, variant_clips=clips[:1])
    found, text = command(variant_runs=variants, variant_clips=clips)
    keys = [line[3:].split(":")[0] for line in text.splitlines() if line.startswith("## ")]
    places = [f"{key}, {corpus}" for key in ("H3", "H4") for corpus in ("ravdess", "cremad")]
    first = ["C3, ravdess", "C4, ravdess", "H1, ravdess", "H2, ravdess"]  # the thesis prints these on RAVDESS alone
    assert keys[3:] == first + places
    found = found.set_index(["question", "one", "other"])
    assert found.difference["H3, cremad", "N2", "N1"] == 25
    assert found.n_below["H3, cremad", "N2", "N1"] == 0
