"""Trained networks judge again: as before where nothing is disturbed, by what is left where something is missing."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mien.errors import ModelError, TableError
from mien.io import tables
from mien.models import checkpoint
from mien.training.clips import Sampling, assemble, network_inputs
from training.commands import inside, rows_of, run_command, train_variant
from training.tiny_corpus import SOUND, TinyCorpus, write_corpus

ROWS = ["AM", "N1"]
TRUST = {"corpora": ["ravdess"], "rows": ROWS, "bins": 10}
TRUST |= {"noise_db": [0.0], "picture_noise": [40.0], "blur_px": [2.0], "light": [0.25]}


def train(corpus: TinyCorpus, out: Path, *variants: str) -> Path:
    """Train variants for one epoch below `out` and return it."""
    out.mkdir(parents=True, exist_ok=True)
    with inside(out):
        for variant in variants:
            train_variant(corpus, variant, out, epochs=1)
    return out


def assessed(
    corpus: TinyCorpus, trained: Path, out: Path, *, rows=ROWS, given=None, options=()
) -> dict[str, pd.DataFrame]:
    """Run the command on the runs `given`, those of all `rows` if not said, and return variant -> ASSESSMENTS."""
    runs = [trained / variant / "fold0-seed0" / "run.json" for variant in given or rows]
    config = json.dumps(corpus.params | {"trust": TRUST | {"rows": rows, "options": dict(options)}})
    run_command("assess", corpus=corpus.name, runs=runs, data=corpus.results, out=out, config=config)
    return {variant: tables.read(out / f"{variant}.parquet", tables.ASSESSMENTS) for variant in rows}


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    return train(tiny, tmp_path_factory.mktemp("assessed"), *ROWS)


@pytest.fixture(scope="module")
def found(tiny, trained) -> dict[str, pd.DataFrame]:
    return assessed(tiny, trained, trained / "trust")


def logits(rows: pd.DataFrame, condition: str) -> pd.Series:
    return rows[rows.condition == condition].set_index("clip").logits


def test_undisturbed_clips_are_judged_as_in_the_evaluation(trained, found):
    for variant, rows in found.items():
        said = rows_of(trained / variant / "fold0-seed0")
        said = said[(said.selection == "honest") & (said.role == "test") & (said["head"] == "fused")].set_index("clip")
        again = logits(rows, "clean")
        assert set(again.index) == set(said.index)
        np.testing.assert_allclose(np.stack(again), np.stack(said.logits.loc[again.index]), atol=1e-6)


def test_a_network_meets_the_conditions_of_what_it_uses(found):
    voices, pictures = ["voice, noise at 0 dB", "voice by telephone"], ["noise of 40", "blur of 2 px", "light x 0.25"]
    assert set(found["AM"].condition) == {"clean", *voices}
    joint = {"clean", "without video", "without audio", *voices, *(f"picture, {one}" for one in pictures)}
    assert set(found["N1"].condition) == joint


def test_every_disturbance_changes_what_is_said_of_clips_that_have_the_modality(found):
    rows = found["N1"]
    clean = logits(rows, "clean")
    for condition in set(rows.condition) - {"clean"}:
        gap = np.abs(np.stack(logits(rows, condition)) - np.stack(clean.loc[logits(rows, condition).index])).max(axis=1)
        absent = {"voice": "a0-7", "picture": "a0-0"}.get(condition.split()[0].rstrip(","))
        changed = pd.Series(gap > 1e-6, index=logits(rows, condition).index)
        if absent:
            assert not changed[absent], condition  # has no voice, or no face, to disturb
            changed = changed.drop(absent)
        assert changed.mean() > 0.5, condition


def test_without_a_modality_clips_count_that_have_another(found):
    rows = found["N1"]
    clean = set(logits(rows, "clean").index)
    assert set(logits(rows, "without audio").index) == clean - {"a0-0"}  # shows no face
    assert set(logits(rows, "without video").index) == clean - {"a0-7"}  # is silent


def test_without_a_modality_only_the_other_one_is_looked_at(tiny, trained, found):
    model, settings = checkpoint.load(trained / "N1" / "fold0-seed0" / "model.safetensors")
    data = tiny.read("video", "audio")
    sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=1.0, sound=SOUND)
    clips = data.clips[data.clips["clip"] == "a0-3"]
    batch = assemble(data, clips, sampling, rng=None)
    inputs = network_inputs(batch)
    inputs["video"] = torch.full_like(inputs["video"], torch.nan)
    with torch.no_grad():
        said = model(inputs, {"video": torch.tensor([False]), "audio": torch.tensor([True])})["fused"][0]
    np.testing.assert_allclose(logits(found["N1"], "without video")["a0-3"], said.numpy(), atol=1e-6)


def test_the_same_seed_gives_the_same_bytes(tiny, trained, found, tmp_path):
    assessed(tiny, trained, tmp_path, options={"VM": "N1"})  # which nobody has trained here
    assert tables.read(tmp_path / "VM.parquet", tables.ASSESSMENTS).empty
    for variant in ROWS:
        assert (tmp_path / f"{variant}.parquet").read_bytes() == (trained / "trust" / f"{variant}.parquet").read_bytes()


def test_what_is_not_what_the_training_put_down_is_refused(tiny, trained, tmp_path):
    shutil.copytree(trained / "AM", tmp_path / "AM")
    path = tmp_path / "AM" / "fold0-seed0" / "predictions.parquet"
    rows = tables.read(path, tables.PREDICTIONS)
    tables.write(path, rows.assign(logits=[one + np.float32(1e-3) for one in rows.logits]), tables.PREDICTIONS)
    with pytest.raises(ModelError, match=r"logits of undisturbed clips are up to 0\.001"):
        assessed(tiny, tmp_path, tmp_path / "trust", rows=["AM"])
    tables.write(path, rows[rows["clip"] != "a0-1"], tables.PREDICTIONS)
    with pytest.raises(ModelError, match="a0-1 is judged here or in the evaluation only"):
        assessed(tiny, tmp_path, tmp_path / "trust", rows=["AM"])


def test_a_row_without_runs_is_named_and_one_that_was_not_applicable_is_empty(tmp_path, trained, tiny):
    with pytest.raises(TableError, match="no run of VM on tiny"):
        assessed(tiny, trained, tmp_path, rows=[*ROWS, "VM"], given=ROWS)
    mute = write_corpus(tmp_path / "results", with_video=False)
    rows = assessed(mute, train(mute, tmp_path / "out", "VM"), tmp_path / "trust", rows=["VM"])
    assert rows["VM"].empty
