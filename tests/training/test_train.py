"""The command: its files, their bytes, what happens after a kill and where there is nothing to train on."""

import json
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from mien import cli
from mien.config.schema import FacesConfig, SoundConfig
from mien.errors import ModelError, TableError
from mien.io.files import read_json
from mien.models import checkpoint
from mien.training import clips as training_clips
from mien.training import engine
from mien.training.clips import Sampling, evaluation_batches, split
from mien.training.train import evaluate
from training.commands import contents, inside, rows_of
from training.tiny_corpus import TinyCorpus, write_corpus

pytestmark = pytest.mark.usefixtures("scratch")
FILES = ("history.csv", "model.safetensors", "predictions.parquet", "run.json")


def arguments(corpus, variant, out, config) -> list[str]:
    data = ["--data", str(corpus.results), "--out", str(out / variant)]
    return [
        "train",
        "--corpus",
        corpus.name,
        "--variant",
        variant,
        "--folds",
        "0",
        "--seeds",
        "0",
        *data,
        "--config",
        config,
    ]


def train(corpus, variant, out, **changes) -> Path:
    """Run the command (checkpoints go below the working directory) and return the folder of its fold."""
    args = cli.parse(arguments(corpus, variant, out, corpus.config(**changes)))
    args.run(args)
    return out / variant / "fold0-seed0"


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """Return a folder with all variants of the tiny corpus."""
    out = tmp_path_factory.mktemp("trained")
    with inside(out):
        for variant in ("AM", "VM", "N0_late", "N2"):
            train(tiny, variant, out)
    return out


def test_the_four_files_agree(trained):
    folder = trained / "N2" / "fold0-seed0"
    run = read_json(folder / "run.json")
    history = pd.read_csv(folder / "history.csv")
    assert sorted(contents(folder)) == sorted(FILES)
    assert run["status"] == "trained"
    assert run["epochs"] == len(history) == 3
    assert run["best_epoch"]["honest"] == history.epoch[history.validation_loss.idxmin()]
    best = history.sort_values(["test_accuracy", "test_loss", "epoch"], ascending=[False, True, True])
    assert run["best_epoch"]["optimistic"] == best.epoch.iloc[0]
    row = history.set_index("epoch").loc[run["best_epoch"]["honest"]]
    for metric, value in run["metrics"]["honest"].items():
        assert row[metric] == pytest.approx(value)
    rows = rows_of(folder)
    for selection, metrics in run["metrics"].items():
        for role in ("validation", "test"):
            chosen = rows[(rows.selection == selection) & (rows.role == role) & (rows["head"] == "fused")]
            assert len(chosen) == run["n_clips"][role]
            hits = np.stack(chosen.logits).argmax(1) == chosen.label
            assert hits.mean() == pytest.approx(metrics[f"{role}_accuracy"])


def test_predictions_come_from_the_written_model(trained, tiny):
    """Evaluating model.safetensors again gives the honest logits."""
    folder = trained / "N2" / "fold0-seed0"
    model, settings = checkpoint.load(folder / "model.safetensors")
    sound = SoundConfig(**settings.sound)
    data = training_clips.read(
        tiny.results, tiny.name, settings.modalities, faces=FacesConfig(**settings.faces), sound=sound
    )
    sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=1.0, sound=sound)
    verdict = evaluate(model, evaluation_batches(data, split(data, 0)["test"], sampling, size=6), bfloat16=False)
    rows = rows_of(folder)
    rows = rows[(rows.selection == "honest") & (rows.role == "test") & (rows["head"] == "fused")]
    np.testing.assert_allclose(np.stack(rows.logits), verdict.logits["fused"].numpy(), rtol=1e-4, atol=1e-5)


def test_side_heads_are_silent_about_clips_without_their_modality(trained):
    rows = rows_of(trained / "N2" / "fold0-seed0")
    clips = {head: set(of_head["clip"]) for head, of_head in rows.groupby("head")}
    assert set(clips) == {"fused", "video", "audio"}
    assert clips["fused"] - clips["video"] == {"a0-0"}
    assert clips["fused"] - clips["audio"] == {"a0-7"}
    assert set(rows["actor"]) == {"a0", "a1"}  # nobody who was trained on


def test_late_fusion_keeps_the_trained_branches(trained):
    late = checkpoint.load(trained / "N0_late" / "fold0-seed0" / "model.safetensors")[0]
    for modality, variant in (("video", "VM"), ("audio", "AM")):
        single = checkpoint.load(trained / variant / "fold0-seed0" / "model.safetensors")[0]
        for name, value in single.branches[modality].state_dict().items():
            assert torch.equal(late.branches[modality].state_dict()[name], value), name


def test_late_fusion_without_its_branches_says_so(tiny, tmp_path):
    with pytest.raises(ModelError, match=r"VM/fold0-seed0/model.safetensors|AM/fold0-seed0/model.safetensors"):
        train(tiny, "N0_late", tmp_path)


MOMENTS = {  # what is about to be done for which time when the process dies, and the whole epochs that are kept then
    "in an epoch": ("mien.training.train", "network_inputs", 14, 1),
    "as a checkpoint is written": ("pathlib", "Path.replace", 2, 1),
    "as the outputs are written": ("mien.models.checkpoint", "save_state", 1, 3),
}


@pytest.fixture(scope="module")
def killed(tiny, forks, tmp_path_factory) -> dict[str, Path]:
    """Return moment -> the working directory of a run that SIGKILL ended then."""
    folders = {moment: tmp_path_factory.mktemp("killed") for moment in MOMENTS}
    for moment, folder in folders.items():
        child = {"call": "training.commands:die_before", "log": str(folder / "log"), "environment": {}}
        child["arguments"] = [*MOMENTS[moment][:3], arguments(tiny, "N2", folder, tiny.config())]
        assert forks.run([child]) == [-signal.SIGKILL], (folder / "log").read_text()
    return folders


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_to_the_same_bytes(trained, tiny, killed, monkeypatch, moment):
    """SIGKILL at a known moment, then the same command again: as if it had not been, and as one seed gives one run."""
    monkeypatch.chdir(killed[moment])
    out, n_epochs = killed[moment], MOMENTS[moment][3]
    (kept,) = (out / engine.folder_of(tiny.name, "N2", fold=0, seed=0)).glob("epoch-*.pt")
    assert len(torch.load(kept, weights_only=True)["state"]["progress"]["history"]) == n_epochs
    assert not (out / "N2" / "fold0-seed0").exists()
    assert contents(train(tiny, "N2", out)) == contents(trained / "N2" / "fold0-seed0")
    assert not list((out / ".checkpoints").rglob("*.pt"))


def test_a_finished_fold_is_not_trained_again_while_others_are_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("mien.training.train.remove_checkpoints", lambda *_: None)  # as if killed before the end
    first = contents(train(tiny, "VM", tmp_path, epochs=1))
    monkeypatch.setattr("mien.training.train.train_epoch", None)
    assert contents(train(tiny, "VM", tmp_path, epochs=1)) == first


def test_a_stale_or_damaged_checkpoint_is_passed_over(trained, tiny, tmp_path):
    folder = engine.folder_of(tiny.name, "VM", fold=0, seed=0)
    engine.save(folder, {"progress": "of another code"}, epoch=9, key="other")
    assert engine.load(folder, key="mine") is None
    assert contents(train(tiny, "VM", tmp_path)) == contents(trained / "VM" / "fold0-seed0")
    engine.save(folder, {}, epoch=1, key="mine")
    (kept,) = folder.glob("epoch-*.pt")
    for size in (0, 10, 300):
        kept.write_bytes(kept.read_bytes()[:size])
        assert engine.load(folder, key="mine") is None


def test_the_latest_whole_epoch_is_kept_alone(tmp_path):
    for epoch in (9, 10):
        engine.save(tmp_path, {"epoch": epoch}, epoch=epoch, key="mine")
    assert engine.load(tmp_path, key="mine") == {"epoch": 10}
    assert len(list(tmp_path.iterdir())) == 1
    (tmp_path / "epoch-0011.pt").write_bytes(b"broken off")  # as a machine that lost its power leaves it
    assert engine.load(tmp_path, key="mine") == {"epoch": 10}


def test_the_rate_is_halved_and_training_ends_early(tiny, tmp_path):
    folder = train(tiny, "AM", tmp_path, learning_rate=1e-12, epochs=30, patience=2, stop=3)
    history = pd.read_csv(folder / "history.csv")
    best = history.validation_loss.idxmin()
    assert len(history) == best + 1 + 3 < 30
    rates = history.learning_rate.to_numpy()
    assert rates[best + 1] == rates[best + 2] == rates[best]
    assert rates[best + 3] == rates[best] / 2


def test_a_diverging_run_ends_with_advice(tiny, tmp_path):
    with pytest.raises(ModelError, match=r"lower train\.learning_rate"):
        train(tiny, "VM", tmp_path, learning_rate=1e30)


def test_the_protocol_of_the_thesis_trains_on_validation_people_too(tiny, tmp_path):
    folder = train(tiny, "VM", tmp_path, protocol="thesis", epochs=1)
    run = read_json(folder / "run.json")
    assert set(run["n_clips"]) == {"training", "test"}
    assert run["n_clips"]["training"] == 40
    assert set(run["metrics"]) == set(run["best_epoch"]) == {"optimistic"}
    rows = rows_of(folder)
    assert set(rows.selection) == {"optimistic"}
    assert set(rows.role) == {"test"}
    assert pd.read_csv(folder / "history.csv").validation_loss.isna().all()
    checkpoint.load(folder / "model.safetensors")


@pytest.fixture(scope="module")
def voices(tmp_path_factory) -> TinyCorpus:
    """Return a corpus without pictures."""
    folder = tmp_path_factory.mktemp("voices") / "results"
    return write_corpus(folder, name="voices", n_actors=3, takes=2, with_video=False)


def test_a_corpus_without_pictures_teaches_networks_of_sound(voices, tmp_path):
    assert read_json(train(voices, "AM", tmp_path, epochs=1) / "run.json")["status"] == "trained"


@pytest.mark.parametrize("variant", ["VM", "N0_late", "N2"])
def test_a_corpus_without_pictures_is_recorded_as_not_applicable(voices, tmp_path, variant):
    folder = train(voices, variant, tmp_path)
    run = read_json(folder / "run.json")
    assert run["status"] == "not applicable"
    assert run["reason"] == "voices has no usable video"
    assert (folder / "history.csv").read_text().count("\n") == 1
    assert rows_of(folder).empty
    with pytest.raises(ModelError, match="not applicable"):
        checkpoint.load(folder / "model.safetensors")


def test_a_missing_stage_is_one_message(tiny, tmp_path, capsys):
    args = arguments(tiny, "VM", tmp_path, json.dumps(tiny.params))
    args[args.index("--corpus") + 1] = "none"
    with pytest.raises(SystemExit) as exit_:
        cli.main(args)
    assert exit_.value.code == 2
    assert "clips.parquet is missing" in capsys.readouterr().err
    with pytest.raises(TableError):
        cli.parse(args).run(cli.parse(args))
