"""The command `train`: its files, their bytes, a kill, options of a row, pretrained weights, nothing to train on."""

import signal
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from mien.errors import ConfigError, ModelError
from mien.io.files import read_json
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network
from mien.models.resnet import ResNet18
from mien.training import clips, engine, run_folder, train
from mien.training.clips import Sampling, network_inputs
from training.commands import (
    check_folder,
    check_not_applicable,
    contents,
    die_before,
    inside,
    rows_of,
    run_processes,
    train_variant,
)
from training.tiny_corpus import SOUND, TinyCorpus, write_corpus

pytestmark = pytest.mark.usefixtures("scratch")


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """Return a folder with all variants of the tiny corpus."""
    out = tmp_path_factory.mktemp("trained")
    with inside(out):
        for variant in ("AM", "VM", "N0_late", "N2"):
            train_variant(tiny, variant, out)
    return out


def test_the_four_files_agree(trained):
    run, _, _ = check_folder(trained / "N2" / "fold0-seed0")
    assert run["epochs"] == 3


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


@pytest.mark.parametrize("fusion", ["n0", "attention"])
def test_heads_may_be_trained_on_stored_features(trained, tiny, monkeypatch, fusion):
    """What branches say is asked once; it is what they say in evaluation, and in training it is one of their looks."""
    asked = []
    forward_features = Network.forward_features
    monkeypatch.setattr(
        Network,
        "forward_features",
        lambda self, *given: asked.append(len(given[1]["audio"])) or forward_features(self, *given),
    )
    row = {"modalities": ["video", "audio"], "fusion": fusion, "frozen": {"video": "VM", "audio": "AM"}, "looks": 3}
    folder = train_variant(tiny, f"{fusion}_stored", trained, row=row, epochs=6, learning_rate=0.01)
    run, history, rows = check_folder(folder)
    assert sum(asked) == 3 * run["n_clips"]["training"] + run["n_clips"]["validation"] + run["n_clips"]["test"]
    assert history.train_loss.iloc[-1] < history.train_loss.iloc[0]
    model, card = checkpoint.load(folder / "model.safetensors")
    data = tiny.read("video", "audio")
    test = clips.split(data, 0)["test"]
    batch = clips.assemble(data, test, Sampling.of("VA+AO", frames=card.frames, share=1.0, sound=SOUND), rng=None)
    with torch.no_grad():
        said = model.eval()(network_inputs(batch), batch.n_steps)["fused"].numpy()
    listed = rows[(rows.role == "test") & (rows.selection == "honest") & (rows["head"] == "fused")].set_index("clip")
    np.testing.assert_allclose(np.stack(listed.logits.loc[test["clip"]]), said, atol=1e-5)


def test_late_fusion_without_its_branches_says_so(tiny, tmp_path):
    with pytest.raises(ModelError, match=r"VM/fold0-seed0/model.safetensors|AM/fold0-seed0/model.safetensors"):
        train_variant(tiny, "N0_late", tmp_path)


MOMENTS = {  # what is about to be done for which time when the process dies, and the whole epochs that are kept then
    "in an epoch": ("mien.training.train", "network_inputs", 14, 1),
    "as a checkpoint is written": ("pathlib", "Path.replace", 2, 1),
    "as the outputs are written": ("mien.models.checkpoint", "save", 1, 3),
}


@pytest.fixture(scope="module")
def killed(tiny, tmp_path_factory) -> dict[str, Path]:
    """Return moment -> the working directory of a run that SIGKILL ended then."""
    folders = {moment: tmp_path_factory.mktemp("killed") for moment in MOMENTS}
    for moment, folder in folders.items():
        call, log = (*MOMENTS[moment][:3], train_variant, tiny, "N2", folder), folder / "log"
        assert run_processes(die_before, [call], log=log, environments=[{}]) == [-signal.SIGKILL], log.read_text()
    return folders


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_to_the_same_bytes(trained, tiny, killed, monkeypatch, moment):
    """SIGKILL at a known moment, then the same command again: as if it had not been, and as one seed gives one run."""
    monkeypatch.chdir(killed[moment])
    out, n_epochs = killed[moment], MOMENTS[moment][3]
    (kept,) = (out / engine.ROOT / "tiny/N2/fold0-seed0").glob("epoch-*.pt")
    assert len(torch.load(kept, weights_only=True)["state"]["progress"]["history"]) == n_epochs
    assert not (out / "N2" / "fold0-seed0").exists()
    assert contents(train_variant(tiny, "N2", out)) == contents(trained / "N2" / "fold0-seed0")
    assert not list((out / ".checkpoints").rglob("*.pt"))


def test_a_finished_fold_is_not_trained_again_while_others_are_missing(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "shutil", mock.Mock())  # as if killed before the end
    first = contents(train_variant(tiny, "VM", tmp_path, epochs=1))
    monkeypatch.setattr(train.ClipTask, "train_epoch", None)
    assert contents(train_variant(tiny, "VM", tmp_path, epochs=1)) == first


def test_the_protocol_of_the_thesis_trains_on_validation_people_too(tiny, tmp_path):
    folder = train_variant(tiny, "VM", tmp_path, protocol="thesis", epochs=1)
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
    assert read_json(train_variant(voices, "AM", tmp_path, epochs=1) / "run.json")["status"] == "trained"


@pytest.mark.parametrize("variant", ["VM", "N0_late", "N2"])
def test_a_corpus_without_pictures_is_recorded_as_not_applicable(voices, tmp_path, variant):
    check_not_applicable(train_variant(voices, variant, tmp_path), "voices has no usable video")


def test_frozen_extractors_stay_as_they_were_given(tiny, tmp_path):
    files = {}
    for name, channels in (("video", 3), ("audio", 1)):
        torch.manual_seed(channels)
        files[name] = tmp_path / f"{name}.safetensors"
        save_file(ResNet18(in_channels=channels, width=2).state_dict(), files[name])
    row = tiny.params["variants"]["N2"] | {"init": {name: f"P_{name}" for name in files}, "extractors": "frozen"}
    given = [f"{name}={path}" for name, path in files.items()]
    folder = train_variant(tiny, "N2", tmp_path, init=given, row=row, epochs=1)
    model, _ = checkpoint.load(folder / "model.safetensors")
    for name, path in files.items():
        trunk = model.branches[name].trunk.state_dict()
        assert all(torch.equal(trunk[key], value) for key, value in load_file(path).items())
    assert model.norms["video"].running_mean.any()  # the rest has learnt


OPTIONS = [
    {"aggregator": "transformer", "augmentation": "NT", "residual": "relu", "side_head": "scoring"},
    {"fusion": "gated", "aggregator": "bilstm", "augmentation": "VA+WO"},
    {"fusion": "attention", "modality_dropout": 0.3},
    {"trunk": {"video": "resnet3d18"}},
]


@pytest.mark.parametrize("changes", OPTIONS, ids=str)
def test_every_option_trains_and_is_kept(tiny, tmp_path, changes):
    folder = train_variant(tiny, "N2", tmp_path, row=tiny.params["variants"]["N2"] | changes, epochs=1)
    run = read_json(folder / "run.json")
    model, settings = checkpoint.load(folder / "model.safetensors")
    assert run["status"] == "trained"
    assert "loss_weights" not in run
    assert run["n_parameters"] == sum(weight.numel() for weight in model.parameters())
    kept = {key: getattr(settings, key) for key in changes if hasattr(settings, key)}
    assert kept == {key: value for key, value in changes.items() if key != "modality_dropout"}


SIZES = {"width": 2, "size_px": 16, "classes": ("a", "b", "c")}  # three classes: fc is of another task
AHEAD = {"corpus": "other", "base": "other", "variant": "P1", "fold": 0, "seed": 0, "modalities": ("video",)}


def pretrained(path: Path, *, weights=True, **sizes) -> tuple[str, torch.nn.Module]:
    """Write a model file of a network that was trained ahead on pictures; return the option and the network."""
    settings = ModelCard(kind="extractor", **AHEAD, **SIZES | sizes, model="resnet18", sound={}, faces={})
    network = checkpoint.network(settings, seed=7)
    checkpoint.save(path, network.state_dict() if weights else {}, settings)
    return f"video={path}", network


def start(tiny, init: dict[str, str], *given: str) -> Path:
    """Train VM for an epoch at a rate that leaves the weights where they start."""
    row = tiny.params["variants"]["VM"] | {"init": init}
    return train_variant(tiny, "VM", Path("runs"), init=given, row=row, epochs=1, learning_rate=1.0e-30)


def test_a_branch_starts_from_the_trunk_and_leaves_the_other_classifier(tiny, tmp_path):
    given, network = pretrained(tmp_path / "P1.safetensors")
    model, _ = checkpoint.load(start(tiny, {"video": "P1"}, given) / "model.safetensors")
    weights = model.branches["video"].trunk.state_dict()
    for name, weight in network.named_parameters():
        assert name.startswith("fc.") or torch.allclose(weights[name], weight, rtol=0, atol=1e-20), name
    random, _ = checkpoint.load(start(tiny, {}) / "model.safetensors")
    assert not torch.equal(random.branches["video"].trunk.state_dict()["conv1.weight"], weights["conv1.weight"])


def test_a_start_that_was_not_trained_makes_the_variant_not_applicable(tiny, tmp_path):
    given, _ = pretrained(tmp_path / "bare.safetensors", weights=False)
    check_not_applicable(start(tiny, {"video": "P1"}, given), "P1, which its video branch starts from, was not trained")


@pytest.mark.parametrize(
    ("init", "given"), [({"video": "P1"}, ()), ({}, ("video=x",)), ({"video": "P1"}, ("audio=x",))]
)
def test_pretrained_weights_that_are_missing_or_not_asked_for_are_refused(tiny, init, given):
    with pytest.raises(ConfigError, match=r"VM\.init"):
        start(tiny, init, *given)


def test_the_weights_of_another_network_are_refused(tiny, tmp_path):
    given, _ = pretrained(tmp_path / "wide.safetensors", width=4)
    with pytest.raises(ModelError, match=r"not the trunk of this video branch: .* check train.width"):
        start(tiny, {"video": "P1"}, given)
    assert not Path("runs").exists()
