"""What is written down of a clip is what the scoring component is given."""

import json

import pytest
import torch

from mien.config.schema import EmbeddingsConfig
from mien.errors import ModelError
from mien.io import tables
from mien.models import checkpoint
from mien.training.clips import Sampling, complete, evaluation_batches, network_inputs, split
from mien.training.embed import judged_by, load_networks
from training.commands import run_command
from training.tiny_corpus import SOUND, write_corpus

ROWS = {"video": "VM", "joint": "N0"}
EMBEDDINGS = {"corpus": "ravdess", "folds": [0], "rows": ROWS, "perplexity": 5.0}


@pytest.fixture(scope="module")
def acted(tmp_path_factory):
    """Return a corpus of the name of one with actors; a0's first clip has no face, its last is silent."""
    return write_corpus(tmp_path_factory.mktemp("acted") / "results", name="ravdess", n_actors=3)


@pytest.fixture(scope="module")
def models(acted, tmp_path_factory):
    """Return model files of the networks of `ROWS` with random weights."""
    folder, files = tmp_path_factory.mktemp("models"), {}
    for name, fusion, modalities in (("VM", "single", ("video",)), ("N0", "n0", ("video", "audio"))):
        settings = checkpoint.ModelCard(
            kind="variant",
            **{"corpus": "ravdess", "variant": name, "fold": 0, "seed": 0, "fusion": fusion, "modalities": modalities},
            **{"aggregator": "lstm", "trunk": {}, "side_head": "dense", "augmentation": "VA+AO"},
            **{"classes": ("low", "high"), "width": 2, "dropout": 0.0, "frames": 2},
            **{"sound": acted.params["sound"], "faces": acted.params["faces"]},
        )
        files[name] = folder / f"{name}.safetensors"
        checkpoint.save(files[name], checkpoint.network(settings), settings)
    return files


def test_the_vectors_are_the_normalised_features_and_their_joint(acted, models):
    data = acted.read("video", "audio")
    clips = complete(data, split(data, 0)["test"])
    (batch,) = evaluation_batches(data, clips, Sampling.of("VA+AO", frames=2, share=1.0, sound=SOUND), size=99)
    inputs = network_inputs(batch)
    single, joint = (checkpoint.load(models[name])[0] for name in ("VM", "N0"))
    with torch.no_grad():
        torch.testing.assert_close(
            judged_by(single, [batch]), single.norms["video"](single.forward_features(inputs)["video"])
        )
        both = torch.cat([joint.norms[name](one) for name, one in joint.forward_features(inputs).items()], dim=1)
        torch.testing.assert_close(judged_by(joint, [batch]), joint.joint_norm(both))


def test_the_table_holds_training_and_test_clips_that_have_all_modalities(acted, models, tmp_path):
    config = json.dumps(acted.params | {"embeddings": EMBEDDINGS})
    out = tmp_path / "fold0.parquet"
    run_command("embed", models=list(models.values()), data=acted.results, out=out, config=config)
    rows = tables.read(out, tables.EMBEDDINGS)
    assert rows.groupby("variant").feature.unique().map(list).to_dict() == {"VM": ["f_v"], "N0": ["g_va"]}
    assert rows.groupby("variant")["values"].agg(lambda own: set(map(len, own))).to_dict() == {"VM": {16}, "N0": {32}}
    assert set(rows.role) == {"training", "test"}
    assert set(rows.actor[rows.role == "test"]) == {"a0"}
    clips = {variant: set(part["clip"]) for variant, part in rows.groupby("variant")}
    assert clips["VM"] - clips["N0"] == {"a0-7"}  # silent


def test_networks_of_other_rows_are_refused(models):
    config = EmbeddingsConfig(**EMBEDDINGS | {"folds": (0,), "rows": {"video": "Another"}})
    with pytest.raises(ModelError, match="VM of ravdess; embeddings asks for Another of ravdess"):
        load_networks([models["VM"]], config)
