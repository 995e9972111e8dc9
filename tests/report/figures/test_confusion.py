"""Confusion matrices: the numbers behind the panels."""

import numpy as np
import pandas as pd

import planted
from mien.report.figures.confusion import plot_confusion


def test_the_numbers_behind_the_panels_are_recalls_of_joint_networks(tmp_path):
    corpus = planted.write_corpus(tmp_path, n_actors=6)
    runs = planted.write_runs(tmp_path, n_folds=3, variants=("AM", "VM", "N0", "N2"))
    runs += planted.write_runs(tmp_path, n_folds=3, variants=("N1",), reason="no clip has a picture")
    out = {f"out_{kind}": tmp_path / f"5.6.{kind}" for kind in ("svg", "png", "csv")}
    given = {"clips": corpus / "clips.parquet", "corpus_info": corpus / "corpus.json", "config": planted.config()}
    plot_confusion(table="5.2", runs=runs, **given, **out)
    rows = pd.read_csv(out["out_csv"])
    assert list(rows.variant.unique()) == ["N0", "N2"]
    sums = rows.groupby(["variant", "truth"]).recall.sum()
    np.testing.assert_allclose(sums, 1, atol=1e-3)
