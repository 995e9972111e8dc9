"""The table of intensity, and what the other commands make of runs that say a number."""

import json

import numpy as np
import pandas as pd
import pytest

import planted
from mien.errors import TableError
from mien.evaluation.runs import read_run
from mien.io.files import read_json
from mien.report.tables.intensity import compare_intensity
from mien.report.tables.summary import summarise
from mien.report.track import confusions
from report import planted_intensity

CONFIG = json.dumps(
    {
        "intensity": {"corpus": "ravdess", "folds": 2, "rows": ["Strength"]},
        "evaluate": planted.EVALUATE,
        "scale": "mini",
    }
)


@pytest.fixture
def world(tmp_path):
    """Return the folder of a corpus, its clips and description, and two runs of intensity."""
    corpus = planted.write_corpus(tmp_path, n_actors=4)
    runs = [planted_intensity.write_run(tmp_path, fold, noise=0.05) for fold in (0, 1)]
    return tmp_path, corpus, runs


def test_the_numbers_of_the_table_are_those_of_the_runs(world):
    root, corpus, runs = world
    given = {"runs": runs, "corpus_info": corpus / "corpus.json", "config": CONFIG}
    table, page = planted.run_table(compare_intensity, root, **given)
    assert set(table["head"]) == {"fused", "video"}
    assert set(table.fold) == {"A1,2", "A3,4", "mean"}
    fused, video = (table[(table["head"] == head) & (table.fold == "mean")].iloc[0] for head in ("fused", "video"))
    rows = pd.concat([read_run(path).predictions() for path in runs])
    rows = rows[(rows["head"] == "fused") & (rows.selection == "honest") & (rows.role == "test")]
    assert fused.mae == pytest.approx(np.abs(np.stack(rows.logits)[:, 0] - rows.label).mean(), abs=1e-4)
    assert fused.right == 1.0
    assert fused.r > 0.99
    assert fused.ccc > 0.99
    assert (video.mae, video.right) == (0.5, 0.5)  # half way between the levels: the lower one counts
    assert np.isnan(video.r)
    assert video.ccc == 0
    assert np.isnan(video.ccc_low)
    assert video.constant == pytest.approx(0.5)  # 0.4 for level 0, 0.6 for level 1
    again, same = planted.run_table(compare_intensity, root, **given)
    pd.testing.assert_frame_equal(table, again)
    assert page == same


def test_a_fold_that_could_not_be_trained_is_said(world):
    root, corpus, _ = world
    runs = [planted_intensity.write_run(root, fold, noise=0.05, reason="no usable units") for fold in (0, 1)]
    given = {"runs": runs, "corpus_info": corpus / "corpus.json", "config": CONFIG}
    table, page = planted.run_table(compare_intensity, root, **given)
    assert table.empty
    assert "Strength: not applicable: no usable units." in page


def test_numbers_are_no_classes_to_the_other_commands(world):
    root, corpus, runs = world
    other = planted.write_runs(root, n_folds=2, variants=("AM",))
    out = root / "metrics.json"
    summarise(runs=[*runs, *other], clips=[corpus / "clips.parquet"], out=out, plots=root / "plots", config=CONFIG)
    metrics = read_json(out)["ravdess"]
    assert set(metrics) == {"AM", "Strength"}
    assert metrics["Strength"]["error_honest"] < 0.1 < metrics["Strength"]["constant"]
    assert 0.9 < metrics["Strength"]["ccc_low"] < metrics["Strength"]["ccc"] < metrics["Strength"]["ccc_high"]
    assert not any(name.startswith("accuracy") for name in metrics["Strength"])
    assert [path.name for path in (root / "plots" / "confusion").iterdir()] == ["ravdess_AM.csv"]
    assert (root / "plots" / "curves" / "ravdess_Strength.csv").is_file()
    assert confusions(read_run(runs[0]))["honest"].tolist() == [[12, 0], [0, 12]]


def test_a_vector_in_the_place_of_a_number_is_refused(world):
    _, _, runs = world
    record = read_json(runs[0])
    record["config"]["variant"]["target"] = "label"
    runs[0].write_text(json.dumps(record))
    with pytest.raises(TableError, match="expected 2 for label and the 2 classes"):
        read_run(runs[0]).predictions()
