"""Figure 5.1: points and silhouettes of vectors whose groups are known; networks that were not trained."""

import json

import numpy as np
import pandas as pd

from mien.evaluation.embeddings import lay_out
from mien.io import tables
from mien.io.files import write_json
from mien.io.randomness import rng_for
from mien.report.figures import embeddings

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
    points = lay_out(vectors(), perplexity=10.0, seed=0)
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
    points = lay_out(few, perplexity=30.0, seed=0)
    assert np.isfinite(points[["x", "y"]]).all(axis=None)
    assert points.by_emotion.isna().all()


def test_the_figure_is_written_twice_alike_and_says_who_is_missing(tmp_path, command):
    """The joint network has no rows: it could not be trained."""
    tables.write(tmp_path / "fold0.parquet", vectors(), tables.EMBEDDINGS)
    info = tmp_path / "corpus.json"
    write_json(info, {"corpus": "ravdess", "source": "synthetic", "classes": CLASSES})
    rows = {"joint": "N0", "video": "VM"}
    config = json.dumps({"seed": 0, "embeddings": {"corpus": "ravdess", "folds": [0], "rows": rows, "perplexity": 9.0}})
    out = [tmp_path / f"5.1.{suffix}" for suffix in ("svg", "png", "csv")]
    given = ["--embeddings", tmp_path / "fold0.parquet", "--corpus-info", info]
    given += [part for path in out for part in (f"--out-{path.suffix[1:]}", path)]
    command(embeddings, *given, config=config)
    before = [path.read_bytes() for path in out]
    points = pd.read_csv(out[2])
    assert len(points) == 48
    assert points.fold.unique().tolist() == ["fold0"]
    command(embeddings, *given, config=config)
    assert [path.read_bytes() for path in out] == before


def test_a_table_of_no_network_gives_empty_panels(tmp_path, command):
    tables.write(tmp_path / "fold0.parquet", tables.empty(tables.EMBEDDINGS), tables.EMBEDDINGS)
    write_json(tmp_path / "i.json", {"corpus": "ravdess", "source": "download", "classes": CLASSES})
    config = json.dumps(
        {"seed": 0, "embeddings": {"corpus": "ravdess", "folds": [0], "rows": {"audio": "AM"}, "perplexity": 9.0}}
    )
    out = [f"--out-{suffix}={tmp_path / suffix}.{suffix}" for suffix in ("svg", "png", "csv")]
    command(
        embeddings,
        *("--embeddings", tmp_path / "fold0.parquet", "--corpus-info", tmp_path / "i.json", *out),
        config=config,
    )
    assert pd.read_csv(tmp_path / "csv.csv").empty
