"""Training and test pictures, AUG-A, subspaces, a CNN-1's maps: who is shown, and the numbers behind it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from mien.classical.samples import FACE4, pictures
from mien.classical.subspaces import subspace_pictures
from mien.config.schema import AugmentConfig
from mien.errors import ModelError, TableError
from mien.io.randomness import rng_for
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard, Scaled, classifier
from mien.report.figures import images
from mien.report.figures.images import (
    axis_numbers,
    choose_picture,
    choose_test,
    choose_training,
    filter_numbers,
    look,
    plot_features,
    plot_pictures,
    single_operations,
)
from report.figures import planted_faces

AUGMENT = AugmentConfig(
    **{"mirror": 0.5, "crop": 0.1, "blur": 0.5, "blur_sigma": 0.5, "contrast": (0.75, 1.5), "noise": 5.0},
    **{"scale": (0.9, 1.1), "translate": 0.1, "rotate": 25.0, "shear": 8.0, "slice": 0.8},
)
SIZE_PX = 32


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted_faces.write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def network():
    model = Scaled(
        classifier("cnn1", size_px=SIZE_PX, seed=0), mean=torch.tensor(100.0), deviation=torch.tensor(50.0)
    ).eval()
    kernel = model.network.layers[0][0].weight.data
    kernel[0] = 0.0
    kernel[0, 0, 2, 2] = 1.0  # the first filter lets the picture through
    return model


def write_model(path, state, *, name="cnn1"):
    settings = ModelCard(
        kind="classifier",
        corpus=planted_faces.PAIR,
        variant="CNN1_32",
        fold=0,
        seed=0,
        model=name,
        features="image",
        size_px=SIZE_PX,
        classes=FACE4,
    )
    checkpoint.save(path, state, settings)
    return path


def test_maps_are_those_on_the_way_to_the_answer(tmp_path, world, network):
    row = choose_picture(planted_faces.samples(world), "surprise")
    found = look(write_model(tmp_path / "m.safetensors", network.state_dict()), row, world)
    (picture,) = pictures(row, world, SIZE_PX)
    np.testing.assert_array_equal(found.picture, picture)
    with torch.inference_mode():
        expected = network(torch.from_numpy(picture)[None, None].float()).softmax(1)[0]
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    np.testing.assert_allclose(found.maps[1][0], (picture - 100.0) / 50.0, atol=1e-4)
    assert {layer: maps.shape for layer, maps in found.maps.items()} == {
        1: (16, 32, 32),
        2: (16, 16, 16),
        4: (32, 8, 8),
        8: (128, 2, 2),
    }
    assert all((found.maps[layer] >= 0).all() for layer in (2, 4, 8))  # after the ReLU
    assert (found.maps[1] < 0).any()
    numbers = filter_numbers(found)
    assert numbers.groupby("layer").size().to_dict() == {1: 16, 2: 16, 4: 32, 8: 128}
    assert numbers.weight[0] == pytest.approx(1.0)
    assert numbers["mean"][0] == pytest.approx(found.maps[1][0].mean())


def test_other_networks_are_refused(tmp_path, world):
    other = Scaled(classifier("cnn2", size_px=SIZE_PX, seed=0), mean=torch.zeros(()), deviation=torch.ones(()))
    path = write_model(tmp_path / "m.safetensors", other.state_dict(), name="cnn2")
    with pytest.raises(ModelError, match="cnn2"):
        look(path, choose_picture(planted_faces.samples(world), "surprise"), world)


def test_the_commands_write_figures_and_numbers(tmp_path, world, network, monkeypatch, repository):
    for name in ("N_PEOPLE", "N_DRAWS", "N_VERSIONS", "N_EIGENFACES"):  # fewer panels: their number is not tested
        monkeypatch.setattr(images, name, 2)
    given = {"samples": world / "samples" / planted_faces.PAIR, "results": world}
    plot_pictures(**given, out=tmp_path, config=str(repository / "params.yaml"))
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{name}.png" for name in ("3.1", "3.3", "4.6", "4.7", "4.8")
    } | {"3.1.csv"}
    rows = pd.read_csv(tmp_path / "3.1.csv")
    assert set(rows.kind) == {"eigenface", "fisherface"}
    assert rows.variance.between(0, 1).all()
    for name, weights, n_rows in (("trained", network.state_dict(), 192), ("bare", {}, 0)):
        model = write_model(tmp_path / name / "model.safetensors", weights)
        out = {f"out_{kind}": tmp_path / name / f"2.12.{kind}" for kind in ("svg", "png", "csv")}
        plot_features(model=model, **given, **out)
        assert len(pd.read_csv(out["out_csv"])) == n_rows
    assert all(plt.imread(path).std() > 0.02 for path in tmp_path.rglob("*.png"))


def test_the_plane_lies_midway_and_its_margins_at_the_nearest_points():
    points, labels = np.array([[-3.0, 0.0], [-1.0, 5.0], [1.0, 5.0], [3.0, 0.0]]), np.array([0, 0, 1, 1])
    weights, bias = images.find_plane(np.repeat(points, 50, axis=0), np.repeat(labels, 50))
    assert (*weights, bias) == pytest.approx((1.0, 0.0, 0.0), abs=1e-3)


def test_training_rows_show_different_people(world):
    table = planted_faces.samples(world)
    chosen = choose_training(table, 2)
    assert set(chosen.role) == {"training"}
    for emotion in FACE4:
        mine = chosen[chosen.label_name == emotion]
        assert mine.person.nunique() == len(mine) == 2
    shuffled = choose_training(table.sample(frac=1.0, random_state=2), 2)
    assert shuffled["clip"].tolist() == chosen["clip"].tolist()
    with pytest.raises(TableError, match="surprise"):
        choose_training(table[table.label_name != "surprise"], 2)


def test_the_tested_person_is_shown_from_every_camera(world):
    chosen = choose_test(planted_faces.samples(world))
    assert chosen.person.nunique() == 1
    assert chosen.column.drop_duplicates().tolist() == ["45°", "90°", "180°"]
    assert set(chosen.angle[chosen["row"] < 0]) == {180}
    with pytest.raises(TableError, match=r"cross\.test"):
        choose_test(planted_faces.samples(world).assign(role="training"))


def test_each_operation_does_what_its_name_says():
    picture = rng_for(0, "picture").integers(30, 200, (20, 20)).astype(np.uint8)
    texts = single_operations(picture, AUGMENT, n_draws=12, seed=0)
    found = {name.split()[0]: versions for name, versions in texts.items()}
    assert all(versions.shape == (12, 20, 20) for versions in found.values())
    flipped = [np.array_equal(version, picture[:, ::-1]) for version in found["mirror"]]
    assert next(iter(texts)).endswith("here " + ", ".join(str(k + 1) for k, one in enumerate(flipped) if one))
    assert np.std(found["noise"].astype(float) - picture) == pytest.approx(AUGMENT.noise, rel=0.1)
    order = np.argsort(picture.ravel(), kind="stable")
    for version in found["contrast"]:
        assert (np.diff(version.ravel()[order].astype(int)) >= 0).all()  # grey levels keep their order


@pytest.mark.parametrize("seed", range(4))
def test_the_mirror_row_shows_both(seed):
    picture = rng_for(0, "picture").integers(30, 200, (20, 20)).astype(np.uint8)
    mirrored, *_ = single_operations(picture, AUGMENT, n_draws=2, seed=seed).values()
    assert {np.array_equal(version, picture) for version in mirrored} == {True, False}


def test_the_variance_of_an_axis_is_that_of_the_principal_components():
    from sklearn.decomposition import PCA

    rng = rng_for(0, "subspace")
    labels = np.repeat(np.arange(4), 10)
    pictures = (rng.integers(0, 90, (40, 6, 6)) + 40 * labels[:, None, None]).astype(np.uint8)
    axes = subspace_pictures(pictures, labels)["eigenfaces"]
    numbers = axis_numbers(pictures, labels, axes)
    expected = PCA(len(axes)).fit(pictures.reshape(40, -1) / 255.0).explained_variance_ratio_
    np.testing.assert_allclose(numbers.variance, expected, rtol=1e-6)
    assert numbers.between[0] > 0.8  # the brightness tells the classes apart
    assert (numbers.between[1:] < 0.5).all()
