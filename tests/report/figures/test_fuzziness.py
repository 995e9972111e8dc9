"""Figure and table of missing and fuzzy information: the verdict follows from the numbers, the same bytes twice."""

import json

import pytest

import planted_fuzziness as planted
from mien.report.figures import fuzziness
from mien.report.figures.fuzziness import plot_fuzziness
from mien.report.rules import NOT_SUPPORTED, SUPPORTED, UNDECIDED
from mien.report.tables.fuzziness import BOTH, COLUMNS, read_fuzziness, rows_of
from report import planted_streams


def found(root, planned, variants=None, **options):
    paths = planted.write(root, planned, variants=variants, **options)
    return read_fuzziness(paths, json.loads(planted.config(variants)))


def by_network(lost):
    """Return what planted.write takes: a share lost with the share of affected clips, by `lost(name, kind, seed)`."""
    return lambda name, condition, seed: 0.9 - condition.share * lost(name, condition.kind, seed)


@pytest.mark.parametrize(
    ("planned", "seeds", "missing", "blended"),
    [
        (planted.falling(N2=0.2), None, SUPPORTED, SUPPORTED),
        (planted.falling(N2=0.6), None, NOT_SUPPORTED, NOT_SUPPORTED),
        (planted.falling(N0=0.6, N2=0.5), None, NOT_SUPPORTED, NOT_SUPPORTED),
        (planted.falling(N2=0.2), [0], UNDECIDED, UNDECIDED),  # one repetition decides nothing
        (by_network(lambda name, _, seed: 0.4 + (name == "N2") * (0.2 if seed else -0.2)), None, UNDECIDED, UNDECIDED),
        (
            by_network(lambda name, kind, _: 0.2 if (name, kind) == ("N2", "blended") else 0.4),
            None,
            UNDECIDED,
            SUPPORTED,
        ),
    ],
)
def test_the_verdict_is_that_of_the_slopes(tmp_path, planned, seeds, missing, blended):
    def uneven(name, condition, seed):  # repetitions that are all equal have no spread, and so no interval
        return planned(name, condition, seed) - 0.05 * condition.share * ((name, seed) == ("N2", 1))

    numbers = found(tmp_path, uneven, **({"seeds": seeds} if seeds else {}))
    assert (numbers.refined, numbers.plain) == ("N2", ["N0", "N1"])  # late fusion is not trained end to end
    assert (numbers.verdict("missing"), numbers.verdict("blended")) == (missing, blended)


def test_rows_name_every_number_once(tmp_path):
    numbers = found(tmp_path, planted.falling(N2=0.2))
    rows = rows_of(numbers)
    assert list(rows.columns) == COLUMNS
    assert not rows.duplicated(COLUMNS[:7]).any()
    accuracy = rows[(rows.quantity == "accuracy") & (rows.clips == "all")]
    assert len(accuracy) == len(numbers.conditions) * len(planted.VARIANTS)
    one = accuracy[(accuracy.share == 50) & (accuracy.network == "N2") & (accuracy.kind == "fuzzy")]
    assert one.value.to_list() == pytest.approx([75.0, 75.0])  # video, audio
    gap = rows[(rows.quantity == "difference of slopes") & (rows.modality == BOTH)]
    assert gap.value.to_list() == pytest.approx([2.0] * 4)  # points per 10 % of the clips
    assert (rows.clips[(rows.share == 100) & (rows.quantity == "accuracy")] != "clear").all()  # there are none


def test_without_residual_perception_there_is_nothing_to_judge(tmp_path):
    variants = {name: planted.VARIANTS[name] for name in ("N0", "N1")}
    numbers = found(tmp_path, planted.falling(), variants)
    assert numbers.verdict("missing") is None


def test_the_command_writes_page_numbers_and_figure(tmp_path, monkeypatch):
    planted_streams.draw_small(monkeypatch)
    monkeypatch.setattr(fuzziness, "KINDS", ("missing",))  # two panels of twelve: each takes its time
    monkeypatch.setattr(fuzziness, "SUBSETS", ("all",))
    paths = planted.write(tmp_path, planted.falling(N2=0.2), seeds=[0])
    out = tmp_path / "out"

    names = {"out_figures": out, "out_csv": out / "fuzziness.csv", "out_md": out / "fuzziness.md"}
    plot_fuzziness(predictions=paths, **names, config=planted.config())
    assert sorted(path.name for path in out.iterdir()) == [f"fuzziness.{kind}" for kind in ("csv", "md", "png", "svg")]
