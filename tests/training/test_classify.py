"""The command: what it learns and writes, what may influence it, what happens after a kill and without features."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mien.classical.samples import pictures, read_samples, vectors
from mien.errors import ConfigError, ModelError, TableError
from mien.io import tables
from mien.io.files import read_json
from mien.models import checkpoint
from mien.training import images
from mien.training.images import ImageTask
from training.commands import check_folder, check_not_applicable, check_resume, contents, inside, rows_of, run_command
from training.tiny_samples import PAIR, TinySamples, write_samples

pytestmark = pytest.mark.usefixtures("scratch")


def train(tiny: TinySamples, name: str, out: Path, *, seed: int = 0, samples: Path | None = None, **changes) -> Path:
    """Run the command (checkpoints go below the working directory) and return the folder of the seed."""
    samples = samples or tiny.folder
    where = {"samples": samples, "data": tiny.results, "out": out / name}
    run_command("train_classifier", classifier=name, seeds=[seed], **where, config=tiny.config(**changes))
    return out / name / f"fold0-seed{seed}"


def with_table(tiny: TinySamples, folder: Path, change) -> Path:
    """Return a folder with the samples of `tiny`, changed by `change`(table)."""
    table = tables.read(tiny.folder / "samples.parquet", tables.SAMPLES)
    tables.write(folder / "samples.parquet", change(table), tables.SAMPLES)
    for name in ("splits.parquet", "corpus.json"):
        (folder / name).write_bytes((tiny.folder / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinySamples:
    return write_samples(tmp_path_factory.mktemp("samples") / "results")


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """Return a folder with a classifier of vectors and one of pictures."""
    out = tmp_path_factory.mktemp("classifiers")
    with inside(out):
        for name in ("AU_DNN", "CNN2_16"):
            train(tiny, name, out)
    return out


@pytest.mark.parametrize("name", ["AU_DNN", "CNN2_16"])
def test_the_four_files_agree(trained, tiny, name):
    run, history, rows = check_folder(trained / name / "fold0-seed0")
    assert (run["corpus"], run["variant"], run["fold_name"]) == (PAIR, name, "ckplus to rafd")
    assert (history.learning_rate == tiny.params["classify"]["learning_rate"]).all()
    assert set(rows["head"]) == {"fused"}
    for selection, metrics in run["metrics"].items():
        chosen = rows[(rows.selection == selection) & (rows.role == "training")]
        assert len(chosen) == run["n_clips"]["training"]
        assert (np.stack(chosen.logits).argmax(1) == chosen.label).mean() == pytest.approx(metrics["train_accuracy"])


@pytest.mark.parametrize("name", ["AU_DNN", "FP_DNN", "CNN1_16"])
def test_a_separable_set_is_learnt(tiny, trained, tmp_path, name):
    folder = trained / name / "fold0-seed0"
    if not folder.exists():
        folder = train(tiny, name, tmp_path)
    metrics = read_json(folder / "run.json")["metrics"]["honest"]
    assert metrics["train_accuracy"] >= 0.95
    assert metrics["test_accuracy"] >= 0.9


@pytest.mark.parametrize("name", ["AU_DNN", "CNN2_16"])
def test_the_model_file_repeats_the_predictions(trained, tiny, name):
    """On what SAMPLES holds: the scaling is in the file."""
    samples = read_samples(tiny.folder)
    model, settings = checkpoint.load(trained / name / "fold0-seed0" / "model.safetensors", kind="classifier")
    assert settings.classes == tuple(samples.info["classes"])
    rows = rows_of(trained / name / "fold0-seed0")
    rows = rows[rows.selection == "honest"]
    table = samples.table.set_index("clip").loc[rows["clip"]].reset_index()
    assert (table.person.to_numpy() == rows.actor.to_numpy()).all()
    if settings.features == "image":
        inputs = torch.from_numpy(pictures(table, tiny.results, settings.size_px)).unsqueeze(1).float()
    else:
        inputs = torch.from_numpy(vectors(table, settings.features)).float()
    with torch.no_grad():
        np.testing.assert_allclose(model(inputs).numpy(), np.stack(rows.logits), rtol=1e-3, atol=1e-4)


def test_samples_without_features_are_counted_and_not_predicted(trained):
    run = read_json(trained / "AU_DNN" / "fold0-seed0" / "run.json")
    assert run["n_missing"] == {"training": 1, "validation": 0, "test": 1, "aside": 0}
    assert run["n_clips"] == {"training": 23, "validation": 8, "test": 15, "aside": 16}
    rows = rows_of(trained / "AU_DNN" / "fold0-seed0")
    assert not set(rows["clip"]) & {"ckplus-0-0-90", "rafd-0-0-90"}
    for _, part in rows.groupby("selection"):
        assert part.role.value_counts().to_dict() == run["n_clips"]


def test_people_are_on_the_side_that_the_split_names(trained, tiny, tmp_path):
    for seed, held in ((0, {"ckplus/p6", "ckplus/p7"}), (1, {"ckplus/p4", "ckplus/p5"})):
        folder = train(tiny, "AU_DNN", tmp_path, seed=seed, epochs_vector=1)
        rows = rows_of(folder)
        assert set(rows.actor[rows.role == "validation"]) == held
        assert not set(rows.actor[rows.role == "training"]) & held
        assert read_json(folder / "run.json")["seed"] == seed


def test_vectors_are_standardised_by_the_training_people_alone(trained, tiny, tmp_path):
    model, _ = checkpoint.load(trained / "AU_DNN" / "fold0-seed0" / "model.safetensors", kind="classifier")
    samples = read_samples(tiny.folder)
    units = np.stack(samples.table.units[(samples.roles(0) == "training") & (samples.table.verdict == "fitted")])
    np.testing.assert_allclose(model.mean, units.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.deviation, units.std(0), rtol=1e-5)
    raw, _ = checkpoint.load(
        train(tiny, "AU_DNN_raw", tmp_path, epochs_vector=1) / "model.safetensors", kind="classifier"
    )
    assert (raw.mean == 0).all()
    assert (raw.deviation == 1).all()


def test_a_number_that_never_changes_is_no_obstacle(tiny, tmp_path):
    def still(table):
        return table.assign(units=[np.r_[units[:7], 0.5] if len(units) else units for units in table.units])

    folder = train(tiny, "AU_DNN", tmp_path, samples=with_table(tiny, tmp_path / "samples", still), epochs_vector=2)
    assert np.isfinite(np.stack(rows_of(folder).logits)).all()


def test_other_cameras_and_their_labels_have_no_part_in_training_and_choice(trained, tiny, tmp_path):
    def spoil(table):
        aside = table.role == "aside"
        units = [values * 100 if out else values for values, out in zip(table.units, aside, strict=True)]
        return table.assign(units=units, label=table.label.where(~aside, (table.label + 1) % 4))

    folder = train(tiny, "AU_DNN", tmp_path, samples=with_table(tiny, tmp_path / "samples", spoil))
    folders = (trained / "AU_DNN" / "fold0-seed0", folder)
    before, after = map(contents, folders)
    for name in ("history.csv", "model.safetensors"):
        assert after[name] == before[name]
    kept, spoilt = (rows[rows.role != "aside"] for rows in map(rows_of, folders))
    np.testing.assert_array_equal(np.stack(kept.logits), np.stack(spoilt.logits))


@pytest.mark.parametrize(("name", "epoch"), [("AU_DNN", 7), ("CNN2_16", 3)])
def test_a_killed_run_goes_on_to_the_same_bits(trained, tiny, tmp_path, monkeypatch, name, epoch):
    whole = trained / name / "fold0-seed0"
    check_resume(monkeypatch, ImageTask, epoch, lambda: train(tiny, name, tmp_path), whole)


def test_pictures_change_in_training_and_vectors_do_not(tiny, tmp_path, monkeypatch):
    seen = []

    def spy(frames, config, *, mode, generator):
        seen.append(frames)
        return frames

    monkeypatch.setattr(images, "augment", spy)
    train(tiny, "AU_DNN", tmp_path, epochs_vector=1)
    assert seen == []
    train(tiny, "CNN2_16", tmp_path, epochs_image=2)
    assert [tuple(frames.shape) for frames in seen] == 2 * [(8, 1, 1, 16, 16), (8, 1, 1, 16, 16), (7, 1, 1, 16, 16)]
    first, second = (torch.cat(seen[start : start + 3]).flatten(1) for start in (0, 3))
    assert not torch.equal(first, second)  # another order
    assert sorted(first.sum(1).tolist()) == sorted(second.sum(1).tolist())


@pytest.mark.parametrize(
    ("name", "given", "reason"),
    [
        ("AU_DNN", {"fitted": False}, f"no sample of {PAIR} has AU8"),
        ("FP_DNN", {"faces": False}, f"no sample of {PAIR} has FP68"),
        ("CNN3_46", {"faces": False}, f"no sample of {PAIR} has a face"),
    ],
)
def test_features_that_nobody_has_are_recorded_as_not_applicable(tmp_path, name, given, reason):
    folder = train(write_samples(tmp_path / "results", **given), name, tmp_path)
    assert sum(check_not_applicable(folder, reason)["n_missing"].values()) == 64


def test_mistakes_are_one_message(tiny, tmp_path):
    with pytest.raises(ConfigError, match="AU_SSVM: ssvm has no epochs; use fit_classical"):
        train(tiny, "AU_SSVM", tmp_path)
    with pytest.raises(TableError, match="no split 7"):
        train(tiny, "AU_DNN", tmp_path, seed=7)
    with pytest.raises(ModelError, match="lower the learning rate"):
        train(tiny, "AU_DNN", tmp_path, learning_rate=1e38)
    other = TinySamples(tiny.results, tiny.params | {"cross": tiny.params["cross"] | {"train": ["mug"]}})
    with pytest.raises(TableError, match="mug_rafd"):
        train(other, "AU_DNN", tmp_path)
