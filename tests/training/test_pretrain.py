"""The command for pictures: roles, copies, first weights, frozen layers, what is written, and a kill in between."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from mien.errors import ConfigError, ModelError
from mien.io import tables
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.models import checkpoint
from mien.models.checkpoint import GreyscaleInput
from mien.training import images, pretrain
from mien.training.images import FaceImageDataset, ImageTask
from training.commands import check_folder, check_not_applicable, check_resume, contents, inside, rows_of, run_command
from training.tiny_corpus import FACES, PARAMS, write_corpus

pytestmark = pytest.mark.usefixtures("scratch")
ROW = yaml.safe_load("""{corpus: fer2013, modality: video, target: label, network: vgg16, init: random, trained: all,
  balance: true, learning_rate: 1.0e-3, epochs: 3, batch: 12}""")
ROWS = {
    "P1": ROW | {"network": "resnet18", "learning_rate": 1.0e-2, "epochs": 4},
    "Faces": ROW | {"corpus": "ravdess", "target": "actor", "balance": False},
    "FER": ROW | {"init": "Faces"},
    "Small": ROW
    | {"network": "resnet12", "balance": False, "width": 4, "size_px": 20, "sides": [16, 20], "dropout": 0.2}
    | {"optimizer": "sgd", "schedule": "one_cycle", "learning_rate": 0.1, "weight_decay": 1e-4, "label_smoothing": 0.1}
    | {"average": 0.9, "class_weights": "sqrt", "epochs": 6, "evaluate_every": 2},
    "FER_dense": ROW | {"init": "Faces", "trained": "dense"},
}
SECTIONS = PARAMS | {
    "extractor": {"vgg_width": 2, "vgg_size_px": 32, "vgg_dropout": 0.5, "crops": 1, "precision": "float32"},
    "pretrain": ROWS,
}


def run(
    results: Path, row: str, out: Path, *, init: Path | None = None, weights: str = "", seed: int = 0, **changes
) -> Path:
    """Run the command (checkpoints go below the working directory) and return the folder of the seed.

    init : the option --init.   weights : init in the row, in place of what ROWS says.
    """
    changes |= {"init": weights} if weights else {}
    rows = ROWS | {row: ROWS[row] | changes}
    config = json.dumps(SECTIONS | {"pretrain": rows})
    run_command("pretrain", row=row, data=results, out=out / row, seeds=[seed], init=init, config=config)
    return out / row / f"fold0-seed{seed}"


def change_clips(results: Path, corpus: str, change) -> None:
    path = results / "corpora" / corpus / "clips.parquet"
    tables.write(path, change(tables.read(path, tables.CLIPS)), tables.CLIPS)


def unbalance(clips: pd.DataFrame) -> pd.DataFrame:
    """Take training clips of the first class away, and set a test clip apart."""
    number = clips["clip"].str[-1].astype(int)
    few = clips.group.isin(["a2", "a3", "a4"]) & (clips.label == 0) & (number > 1)
    return clips.assign(has_video=~few, apart=clips["clip"] == "a0-3")


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain") / "results"
    for corpus in ("fer2013", "ravdess"):
        write_corpus(folder, name=corpus)
    change_clips(folder, "fer2013", unbalance)
    return folder


@pytest.fixture(scope="module")
def trained(results, tmp_path_factory) -> Path:
    """Return a folder with the rows Faces, FER, P1 and Small."""
    out = tmp_path_factory.mktemp("rows")
    with inside(out):
        init = run(results, "Faces", out) / "model.safetensors"
        run(results, "FER", out, init=init)
        run(results, "P1", out)
        run(results, "Small", out)
    return out


def test_the_four_files_agree(trained):
    for row, corpus in (("P1", "fer2013"), ("Faces", "ravdess_actor"), ("FER", "fer2013")):
        record, history, _ = check_folder(trained / row / "fold0-seed0")
        assert (record["corpus"], record["variant"]) == (corpus, row)
        assert record["config"]["pretrain"] == ROWS[row]
        assert list(history.columns) == [*tables.HISTORY, tables.TRAIN_ACCURACY]
        assert len(history) == ROWS[row]["epochs"]


def test_what_shows_is_learnt(trained):
    """The class of the tiny faces is their brightness."""
    record = read_json(trained / "P1" / "fold0-seed0" / "run.json")
    assert record["metrics"]["optimistic"]["test_accuracy"] >= 0.9


def test_emotions_have_the_official_roles_and_twins_stand_apart(trained, results):
    rows = rows_of(trained / "P1" / "fold0-seed0")
    rows = rows[rows.selection == "honest"]
    assert rows["clip"][rows.role == "apart"].tolist() == ["a0-3"]
    actors = rows.groupby("role").actor.unique().map(set).to_dict()
    assert actors == {"test": {"a0"}, "apart": {"a0"}, "validation": {"a1"}, "training": {"a2", "a3", "a4", "a5"}}
    assert "a0-0" not in set(rows["clip"])  # no face was found


def test_a_role_apart_has_no_part_in_training_and_choice(trained, results, tmp_path):
    other = tmp_path / "results"
    write_corpus(other, name="fer2013")
    change_clips(other, "fer2013", lambda clips: unbalance(clips).assign(apart=False))
    change_clips(other, "fer2013", lambda clips: clips[clips["clip"] != "a0-3"])
    (one, two) = (contents(folder) for folder in (trained / "P1" / "fold0-seed0", run(other, "P1", tmp_path)))
    assert one["history.csv"] == two["history.csv"]
    assert one["model.safetensors"] == two["model.safetensors"]


def test_people_are_in_all_roles_and_clips_in_one(trained):
    rows = rows_of(trained / "Faces" / "fold0-seed0")
    rows = rows[rows.selection == "honest"]
    record = read_json(trained / "Faces" / "fold0-seed0" / "run.json")
    assert record["classes"] == [f"a{k}" for k in range(6)]
    assert record["base"] == "ravdess"
    assert rows["clip"].is_unique
    for role in ("training", "validation", "test"):
        part = rows[rows.role == role]
        assert set(part.actor) == set(record["classes"])
        assert (np.array(record["classes"])[part.label] == part.actor).all()


def read_face_images(results: Path, size_px: int = 16) -> FaceImageDataset:
    return images.read_face_images(results, "fer2013", target="label", faces=FACES, size_px=size_px)


def test_copies_are_of_training_pictures_and_fill_the_classes(results):
    found = read_face_images(results)
    data = found.balanced(rng_for(0, "copies"))
    own = set(np.flatnonzero(found.clips.role.to_numpy()[found.clip] == "training"))
    assert set(data.pictures) == own
    assert len(data.copies) > 0
    assert set(data.copies.source) <= own
    shown = np.concatenate([data.pictures, data.copies.source])
    assert np.ptp(np.bincount(data.label[shown])) == 0
    assert len(data.shown) == len(shown)
    assert not set(np.concatenate(list(data.rows.values()))) & set(data.shown[len(data.pictures) :])
    assert len(found.copies) == 0


def test_a_copy_is_the_same_in_all_epochs_and_in_any_batch(results):
    data = read_face_images(results, 32).balanced(rng_for(0, "copies"))
    cpu = torch.device("cpu")
    whole, label = data.batch(data.shown, cpu)
    assert whole.shape == (len(data.shown), 1, 32, 32)
    part, of_part = data.batch(data.shown[::-3].copy(), cpu)
    torch.testing.assert_close(part, whole.flip(0)[::3], rtol=0, atol=1e-3)
    assert torch.equal(of_part, label.flip(0)[::3])
    assert torch.equal(whole, data.batch(data.shown, cpu)[0])
    sources, of_sources = data.batch(data.copies.source, cpu)
    assert torch.equal(of_sources, label[len(data.pictures) :])
    assert not torch.allclose(sources, whole[len(data.pictures) :], atol=5)


def test_aug_a_changes_what_resnet_sees_and_not_what_vgg_sees(results, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(images, "augment", lambda frames, *_, **__: seen.append(frames.shape[2]) or frames)
    run(results, "Faces", tmp_path, epochs=1)
    assert seen == []
    run(results, "P1", tmp_path, epochs=1)
    assert set(seen) == {1}


@pytest.mark.parametrize("row", ["P1", "FER"])
def test_the_model_file_repeats_the_predictions(trained, results, row):
    model, settings = checkpoint.load(trained / row / "fold0-seed0" / "model.safetensors", kind="extractor")
    data = read_face_images(results, settings.size_px)
    rows = rows_of(trained / row / "fold0-seed0")
    rows = rows[(rows.selection == "honest") & (rows.role == "test")]
    inputs, label = data.batch(data.rows["test"], torch.device("cpu"))
    assert label.tolist() == rows.label.tolist()
    with torch.no_grad():
        np.testing.assert_allclose(GreyscaleInput(model)(inputs).numpy(), np.stack(rows.logits), rtol=1e-3, atol=1e-4)


def test_fine_tuning_starts_where_the_other_row_ended(trained, results, tmp_path):
    init = trained / "Faces" / "fold0-seed0" / "model.safetensors"
    state = load_file(init)
    folder = run(results, "FER_dense", tmp_path, init=init)
    after, record = load_file(folder / "model.safetensors"), read_json(folder / "run.json")
    for name, weight in after.items():
        if name.startswith("features."):
            assert torch.equal(weight, state[name]), name
    assert not torch.equal(after["classifier.0.weight"], state["classifier.0.weight"])
    assert record["n_trained"] == sum(w.numel() for name, w in after.items() if name.startswith("classifier."))
    assert record["n_parameters"] > record["n_trained"]
    whole = load_file(trained / "FER" / "fold0-seed0" / "model.safetensors")
    assert not torch.equal(whole["features.0.weight"], state["features.0.weight"])
    assert len(record["init"]) == 64


@pytest.mark.parametrize(("row", "at"), [("P1", 2), ("Small", 4)])
def test_a_killed_run_goes_on_to_the_same_bits(trained, results, tmp_path, monkeypatch, row, at):
    check_resume(monkeypatch, ImageTask, at, lambda: run(results, row, tmp_path), trained / row / "fold0-seed0")


def test_a_small_network_grows_with_its_pictures_and_is_evaluated_now_and_then(trained, results, tmp_path, monkeypatch):
    shown = []

    def follow(self, rows, device, batch=FaceImageDataset.batch):
        pictures, label = batch(self, rows, device)
        shown.append(pictures.shape[-1])
        return pictures, label

    monkeypatch.setattr(FaceImageDataset, "batch", follow)
    folder = run(results, "Small", tmp_path)
    assert contents(folder) == contents(trained / "Small" / "fold0-seed0")
    epoch = shown[: shown.index(20)]
    assert epoch == [16] * len(epoch)
    history = pd.read_csv(folder / "history.csv")
    assert history.epoch[history.validation_loss.notna()].tolist() == [2, 4, 6]
    assert history.train_loss.notna().all()
    record = read_json(folder / "run.json")
    network, card = checkpoint.load(folder / "model.safetensors", kind="extractor")
    assert (card.model, card.width, card.size_px) == ("resnet12", 4, 20)
    assert sum(weight.numel() for weight in network.parameters()) == record["n_parameters"]


def test_large_training_sets_are_not_listed(trained, results, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrain, "MOST_LISTED", 3)
    folder = run(results, "P1", tmp_path, epochs=1)
    assert set(rows_of(folder).role) == {"validation", "test", "apart"}
    assert "train_accuracy" in read_json(folder / "run.json")["metrics"]["honest"]


def test_pictures_that_nobody_has_are_recorded_as_not_applicable(tmp_path):
    write_corpus(tmp_path / "results", name="fer2013", with_video=False)
    check_not_applicable(run(tmp_path / "results", "P1", tmp_path), "fer2013 has no usable video")


def test_mistakes_are_one_message(trained, results, tmp_path):
    with pytest.raises(ModelError, match="give a row's model file with --init"):
        run(results, "FER", tmp_path)
    with pytest.raises(ModelError, match="no such file of first weights"):
        run(results, "FER", tmp_path, init=tmp_path / "absent.safetensors")
    with pytest.raises(ModelError, match="no such file of first weights"):
        run(trained.parent, "Faces", tmp_path, weights="vgg16-imagenet.pth")
    with pytest.raises(ConfigError, match="leave --init away"):
        run(results, "P1", tmp_path, init=trained / "P1" / "fold0-seed0" / "model.safetensors")
    with pytest.raises(ModelError, match="VGG-16"):
        run(results, "FER", tmp_path, init=trained / "P1" / "fold0-seed0" / "model.safetensors")
    with pytest.raises(ModelError, match="not the trunk of this resnet18"):
        run(results, "P1", tmp_path, weights=str(trained / "FER" / "fold0-seed0" / "model.safetensors"))
    with pytest.raises(ConfigError, match="dense for a network vgg16"):
        run(results, "P1", tmp_path, trained="dense")
    assert not any((tmp_path / row).exists() for row in ROWS)


def test_a_row_without_weights_to_start_from_is_not_applicable(results, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({}, path, metadata={"mien": "{}"})
    check_not_applicable(run(results, "FER", tmp_path, init=path), "Faces, which it starts from, was not trained")
    reason = "no file of first weights is named; write its path under pretrain.FER.init, or of the row that it is like"
    record = check_not_applicable(run(results, "FER", tmp_path, weights="none"), reason)
    assert (record["n_trained"], record["n_clips"]["test"]) == (0, 6)
