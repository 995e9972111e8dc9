"""Networks of clips that come as vectors: the project's heads and fusions on perceptrons, standardised as asked."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from mien.corpora.index import index
from mien.corpora.vectors import Work, build_part
from mien.io import tables
from mien.io.files import read_json, write_json
from mien.models import checkpoint
from mien.models.mrpn import VectorPerceptron, build
from mien.training import clips
from planted_vectors import COLUMNS, names, write_table
from training.commands import check_folder, contents, rows_of, run_command
from training.tiny_corpus import FACES, PARAMS, SOUND

pytestmark = pytest.mark.usefixtures("scratch")

BOTH = {"modalities": list(COLUMNS)}
OWN = {"batch": 16, "learning_rate": 3.0e-2, "width": 2, "epochs": 15}
ROWS = {
    "Face": {"modalities": ["face_features"], "fusion": "single", "train": OWN},
    "Voice": {"modalities": ["voice_features"], "fusion": "single", "train": OWN},
    "Late": BOTH
    | {"fusion": "n0", "train": OWN, "frozen": dict(zip(COLUMNS, ("Face", "Voice"), strict=True)), "looks": 1},
    "N2": BOTH | {"fusion": "mrpn", "train": OWN},
    "Own": BOTH | {"fusion": "gated", "train": OWN, "normalise": "subject"},
}
BASELINE = {"modality": "face_features", "model": "logistic", "normalise": "subject"}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Return a results folder; the first clip of the first, tested person has no voice."""
    folder = tmp_path_factory.mktemp("vectors")
    write_table(folder / "in/t.npz", names(), lost=(0, 10))
    listed, folds, _, classes = index("ravdess_au", folder / "in", n_folds=4)
    corpus = folder / "results/corpora/ravdess_au"
    tables.write(corpus / "clips.parquet", listed, tables.CLIPS)
    tables.write(corpus / "folds.parquet", folds, tables.FOLDS)
    write_json(corpus / "corpus.json", {"classes": list(classes)})
    rows = dict(zip(listed["clip"], listed["item"], strict=True))
    out = folder / "results/vectors/ravdess_au"
    build_part(out / "all", Work(folder / "in/t.npz", COLUMNS, dict.fromkeys(COLUMNS, rows)))
    write_json(out / "manifest.json", {"parts": {"all": "x"}})
    return folder / "results"


def read(results, *modalities):
    return clips.read(results, "ravdess_au", modalities, faces=FACES, sound=SOUND)


def train(results, out, name, seeds=(0,)):
    config = json.dumps(PARAMS | {"variants": ROWS, "baselines": {"Logistic": BASELINE}})
    asked = {"corpus": "ravdess_au", "folds": [0], "seeds": list(seeds), "data": results, "config": config}
    command = {"fit_baseline": {"baseline": name}} if name == "Logistic" else {"train_vectors": {"variant": name}}
    ((command, which),) = command.items()
    run_command(command, **which, **asked, out=out / name)
    return out / name / "fold0-seed0"


@pytest.fixture(scope="module")
def trained(results, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    return {name: train(results, out, name) for name in (*ROWS, "Logistic")}


def test_a_network_learns_from_vectors_and_judges_every_clip(trained):
    for name in ("Face", "Late", "N2", "Own"):
        run, _, rows = check_folder(trained[name])
        heads = {"fused"} | (set(COLUMNS) if name == "N2" else set())
        assert set(rows["head"]) == heads
        assert run["n_clips"]["test"] == 30
        assert run["config"]["train"]["batch"] == 16
    assert read_json(trained["Own"] / "run.json")["config"]["variant"]["normalise"] == "subject"
    assert "normalise" not in read_json(trained["Face"] / "run.json")["config"]["variant"]
    # the face tells the emotion, the voice tells who it is
    accuracy = {name: read_json(trained[name] / "run.json")["metrics"]["honest"]["test_accuracy"] for name in ROWS}
    assert min(accuracy["Face"], accuracy["N2"], accuracy["Own"]) > 0.4 > 0.3 > accuracy["Voice"]
    assert read_json(trained["Logistic"] / "run.json")["metrics"]["honest"]["test_accuracy"] > 0.4


def test_the_file_has_the_statistics_of_the_training_people_alone(trained, results):
    model, card = checkpoint.load(trained["N2"] / "model.safetensors")
    dataset = read(results, *COLUMNS)
    roles = clips.split(dataset, 0)
    assert card.vectors == {"face_features": 10, "voice_features": 3}
    assert set(roles["training"].actor).isdisjoint({*roles["test"].actor, *roles["validation"].actor})
    for name in COLUMNS:
        rows = np.stack([dataset.media[name][clip].values for clip in roles["training"]["clip"]])
        trunk = model.branches[name].trunk
        np.testing.assert_allclose(trunk.mean, rows.mean(axis=0), rtol=1e-5)
        np.testing.assert_allclose(
            trunk.deviation, np.where(np.ptp(rows, axis=0) > 0, rows.std(axis=0), 1.0), rtol=1e-4
        )


def test_a_clip_without_a_voice_is_judged_by_its_face(trained, results):
    dataset = read(results, *COLUMNS)
    lost = names()[0][3:]
    assert lost not in dataset.media["voice_features"]
    rows = rows_of(trained["N2"])
    assert lost in set(rows[rows["head"] == "fused"]["clip"])
    assert lost not in set(rows[rows["head"] == "voice_features"]["clip"])
    assert np.isfinite(np.stack(rows.logits)).all()


def test_late_fusion_keeps_the_branches_of_the_single_networks(trained):
    late, _ = checkpoint.load(trained["Late"] / "model.safetensors")
    for modality, name in zip(COLUMNS, ("Face", "Voice"), strict=True):
        single, _ = checkpoint.load(trained[name] / "model.safetensors")
        for key, value in single.branches[modality].state_dict().items():
            torch.testing.assert_close(late.branches[modality].state_dict()[key], value, rtol=0, atol=0)


def test_all_seeds_of_a_job_are_those_of_single_jobs(trained, results, tmp_path):
    train(results, tmp_path, "Face", seeds=(1, 0))
    assert contents(tmp_path / "Face/fold0-seed0") == contents(trained["Face"])
    assert contents(tmp_path / "Face/fold0-seed1") != contents(trained["Face"])


def test_tested_people_change_nothing_of_a_network(results, trained, tmp_path):
    rows = tables.read(results / "vectors/ravdess_au/all/index.parquet", tables.VECTORS)
    tested = rows["clip"].str[-2:].isin(["01", "02"])
    other = pd.Series([values * (3 if own else 1) for values, own in zip(rows["values"], tested, strict=True)])
    changed = tmp_path / "results"
    (changed / "vectors/ravdess_au/all").mkdir(parents=True)
    (changed / "corpora").symlink_to(results / "corpora")
    tables.write(changed / "vectors/ravdess_au/all/index.parquet", rows.assign(values=other), tables.VECTORS)
    write_json(changed / "vectors/ravdess_au/manifest.json", {"parts": {"all": "x"}})
    for name in ("Face", "Own"):
        found = train(changed, tmp_path / "out", name)
        for one, again in zip(
            *(checkpoint.load(at / "model.safetensors")[0].state_dict().items() for at in (found, trained[name])),
            strict=True,
        ):
            torch.testing.assert_close(one[1], again[1], rtol=0, atol=0)
    # standardised by the person, a factor is nothing
    one, again = (np.stack(rows_of(at)["logits"]) for at in (tmp_path / "out/Own/fold0-seed0", trained["Own"]))
    np.testing.assert_allclose(one, again, rtol=1e-3, atol=1e-3)


def test_a_vector_far_outside_is_taken_to_be_six_deviations_away():
    trunk = VectorPerceptron(2, 4, dropout=0.0).eval()
    trunk.standardise_by(torch.tensor([[0.0, 5.0], [2.0, 5.0]]))
    trunk.layers = torch.nn.Identity()
    found = trunk(torch.tensor([[[6.0, 5.0]], [[700.0, -500.0]]]))
    torch.testing.assert_close(found, torch.tensor([[5.0, 0.0], [6.0, -6.0]]))


def test_encoders_of_a_seed_start_alike_in_all_fusions():
    options = {"aggregator": "lstm", "side_head": "dense", "classes": 8, "width": 1, "dropout": 0.0, "seed": 3}
    options["vectors"] = {"face_features": 10, "voice_features": 3}
    one = build(["face_features"], fusion="single", **options)
    both = build(list(COLUMNS), fusion="mrpn", **options)
    weights = (net.branches["face_features"].trunk.layers[0].weight for net in (one, both))
    torch.testing.assert_close(*weights, rtol=0, atol=0)
