"""Figure 2.12: maps are those of the network, the picture is a tested one, and other networks are refused."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from mien.classical.samples import FACE4, pictures
from mien.errors import ModelError, TableError
from mien.models import checkpoint
from mien.models.checkpoint import ClassifierSettings, Scaled, classifier
from mien.report.figures import images
from mien.report.figures.images import choose_picture, draw_tiles, filter_numbers, look
from mien.report.style import new_figure
from report import planted_faces as planted

SIZE_PX = 32


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted.write_world(tmp_path_factory.mktemp("features"), n_people=1)


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
    settings = ClassifierSettings(
        corpus=planted.PAIR,
        variant="CNN1_32",
        fold=0,
        seed=0,
        model=name,
        features="image",
        size_px=SIZE_PX,
        classes=FACE4,
    )
    checkpoint.save_state(path, state, settings)
    return path


def test_maps_are_those_on_the_way_to_the_answer(tmp_path, world, network):
    row = choose_picture(planted.samples(world), "surprise")
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


def test_the_picture_is_a_frontal_one_of_the_test(world):
    table = planted.samples(world)
    row = choose_picture(table, "surprise").iloc[0]
    assert (row.role, row.angle, row.label_name) == ("test", 90, "surprise")
    left = table[table.angle != 90]
    assert choose_picture(left, "surprise").iloc[0].angle == 45
    with pytest.raises(TableError, match=r"cross\.test"):
        choose_picture(table[table.role == "training"], "surprise")


def test_the_figure_is_drawn_with_and_without_weights(tmp_path, world, network, command):
    state = network.state_dict()
    for name, weights, n_rows in (("trained", state, 192), ("bare", {}, 0)):
        model = write_model(tmp_path / name / "model.safetensors", weights)
        out = {kind: tmp_path / name / f"2.12.{kind}" for kind in ("svg", "png", "csv")}
        places = [part for kind, path in out.items() for part in (f"--out-{kind}", path)]
        names = ["--model", model, "--samples", world / "samples" / planted.PAIR, "--results", world]
        command(images, *names, *places)
        assert len(pd.read_csv(out["csv"])) == n_rows
        assert plt.imread(out["png"]).std() > 0.02
        assert out["svg"].stat().st_size


def test_other_networks_are_refused(tmp_path, world):
    other = Scaled(classifier("cnn2", size_px=SIZE_PX, seed=0), mean=torch.zeros(()), deviation=torch.ones(()))
    path = write_model(tmp_path / "m.safetensors", other.state_dict(), name="cnn2")
    with pytest.raises(ModelError, match="cnn2"):
        look(path, choose_picture(planted.samples(world), "surprise"), world)


def test_tiles_keep_their_places_and_a_silent_layer_has_a_scale():
    tiles = np.arange(6).reshape(6, 1, 1) * np.ones((6, 4, 4))
    with new_figure(2, 2) as figure:
        ax, silent = figure.subplots(2)
        draw_tiles(ax, tiles, n_columns=3, signed=False)
        sheet = np.asarray(ax.images[0].get_array())
        assert sheet.shape == (9, 14)
        np.testing.assert_array_equal(sheet[::5, ::5], [[0, 1, 2], [3, 4, 5]])
        draw_tiles(silent, 0 * tiles, n_columns=3, signed=False)
        assert silent.images[0].get_clim() == (0.0, 1.0)
