"""Accuracies and slopes by share: what was planted is found, and repetitions are the units."""

import numpy as np
import pandas as pd
import pytest

import planted_fuzziness as planted
from mien.config.fuzziness import NOTHING, Condition
from mien.errors import TableError
from mien.evaluation.fuzziness import ConditionPredictions, read_judgements
from mien.io import tables


def judgements(root, lost=None, **options) -> ConditionPredictions:
    return ConditionPredictions(read_judgements(planted.write(root, planted.falling(**(lost or {})), **options)), 0.95)


def test_planted_accuracies_and_slopes_are_found(tmp_path):
    found = judgements(tmp_path, {"N2": 0.2})
    assert found.unit == "seed"
    assert found.accuracy("N1", NOTHING).to_list() == pytest.approx([0.9, 0.85, 0.8])
    assert found.accuracy("N1", Condition("blended", "audio", 1.0)).to_list() == pytest.approx([0.5, 0.45, 0.4])
    assert found.slope("N1", "missing", "video").to_list() == pytest.approx([-0.4] * 3)
    gap = found.mean(found.slope("N2", "missing", "video") - found.slope("N1", "missing", "video"))
    assert gap.value == pytest.approx(0.2)
    assert np.isnan([gap.low, gap.high]).all()  # every repetition says the same: there is no spread to measure


def test_affected_and_clear_clips_make_up_all(tmp_path):
    found = judgements(tmp_path)
    half, full = Condition("missing", "video", 0.5), Condition("missing", "video", 1.0)
    n_clips = {subset: found.n_clips(half, subset) for subset in ("all", "clear", "affected")}
    assert n_clips["all"] == 3 * 2 * planted.N_CLIPS == 2 * n_clips["clear"] == 2 * n_clips["affected"]
    parts = [found.accuracy("N1", half, subset) for subset in ("clear", "affected")]
    pd.testing.assert_series_equal(sum(parts) / 2, found.accuracy("N1", half))
    assert parts[0].gt(parts[1]).all()  # planted: the first clips are right, the last ones affected
    assert found.n_clips(full, "clear") == 0
    assert found.accuracy("N1", full, "clear").empty
    assert np.isnan(found.share(found.accuracy("N1", full, "clear")).value)


def test_repetitions_that_do_not_fit_are_refused(tmp_path):
    paths = planted.write(tmp_path / "a", planted.falling())
    fewer = planted.write(tmp_path / "b", planted.falling(), seeds=[3], variants=["AM"])
    with pytest.raises(TableError, match="other conditions or networks"):
        read_judgements([*paths, *fewer])
    with pytest.raises(TableError, match="named twice"):
        read_judgements([*paths, paths[0]])
    rows = tables.read(paths[0], tables.FUZZY)
    rows.at[0, "logits"] = np.full(planted.N_CLASSES, np.nan, np.float32)
    tables.write(paths[0], rows, tables.FUZZY)
    with pytest.raises(TableError, match="not finite"):
        read_judgements(paths)
