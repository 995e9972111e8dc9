"""Figure 5.1: points and silhouettes of vectors whose groups are known; networks that were not trained."""

import json

import numpy as np
import pandas as pd

from mien.evaluation.embeddings import tsne_layout
from mien.io import tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.report.figures.embeddings import plot_embeddings

CLASSES = ["neutral", "happy"]


def vectors(variant="VM", feature="f_v", *, apart=9.0) -> pd.DataFrame:
    """Return rows of EMBEDDINGS: two emotions `apart`, people all over; 24 test clips and as many training clips."""
    rng, rows = rng_for(0, variant), []
    for role, actors in (("test", "12"), ("training", "34")):
        for actor in actors:
            for take in range(12):
                values = rng.normal(size=6) + apart * (take % 2)
                clip = f"{actor}-{take}"
                rows.append((variant, feature, clip, actor, role, take % 2, values.astype(np.float32)))
    return pd.DataFrame(rows, columns=tables.EMBEDDINGS.columns.names)


def test_silhouettes_see_the_groups_that_there_are():
    points = tsne_layout(vectors(), perplexity=10.0, seed=0)
    tested = points[points.role == "test"]
    assert tested.by_emotion.mean() > 0.7
    assert abs(tested.by_actor.mean()) < 0.1
    assert points[points.role == "training"][["by_emotion", "by_actor"]].isna().all(axis=None)
    spread = points.groupby("label")[["x", "y"]].std().max(axis=None)
    centres = points.groupby("label")[["x", "y"]].mean()
    assert np.linalg.norm(centres.loc[0] - centres.loc[1]) > 2 * spread


def test_few_clips_of_one_emotion_are_laid_out_without_a_silhouette():
    rows = vectors()
    few = rows[(rows.role == "test") & (rows.label == 0)]
    points = tsne_layout(few, perplexity=30.0, seed=0)
    assert np.isfinite(points[["x", "y"]]).all(axis=None)
    assert points.by_emotion.isna().all()


def test_a_row_per_point_and_no_rows_of_networks_that_were_not_trained(tmp_path):
    write_json(tmp_path / "i.json", {"corpus": "ravdess", "source": "synthetic", "classes": CLASSES})
    rows = {"joint": "N0", "video": "VM"}
    config = json.dumps({"seed": 0, "embeddings": {"corpus": "ravdess", "folds": [0], "rows": rows, "perplexity": 9.0}})
    out = {f"out_{suffix}": tmp_path / f"5.1.{suffix}" for suffix in ("svg", "png", "csv")}
    for table, n_points in ((vectors(), 48), (tables.empty(tables.EMBEDDINGS), 0)):
        tables.write(tmp_path / "fold0.parquet", table, tables.EMBEDDINGS)
        plot_embeddings(embeddings=[tmp_path / "fold0.parquet"], corpus_info=tmp_path / "i.json", **out, config=config)
        points = pd.read_csv(out["out_csv"])
        assert points.fold.tolist() == ["fold0"] * n_points
