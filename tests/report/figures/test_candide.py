"""The mesh and fitted faces: what is hidden, what moved, where the mesh lies, and whose pictures are shown."""

import shutil

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba

from mien.candide.mesh import AU_CODES, N_ACTIONS, N_SHAPES, load_mesh
from mien.classical.samples import FACE4
from mien.errors import TableError
from mien.io import tables
from mien.report.figures.candide import (
    choose_scenes,
    draw_candide,
    draw_change,
    draw_scenes,
    facing,
    neutral_frontal,
    plot_fits,
    read_answers,
    read_face,
    to_region,
    turned,
)
from mien.report.style import CLASS_COLOURS, saved_figure
from report.figures import planted_faces as planted


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted.write_world(tmp_path_factory.mktemp("world"))


def test_the_mean_is_of_neutral_frontal_faces_only(world):
    table = planted.samples(world)
    chosen = table[(table.label_name == "neutral") & (table.angle == 90)]
    assert neutral_frontal(table)["clip"].tolist() == chosen["clip"].tolist()
    with pytest.raises(TableError, match="select_samples"):
        neutral_frontal(table[table.label_name == "anger"])


def test_triangles_turn_away_with_the_head():
    mesh = load_mesh()
    share = {}
    for yaw_deg in (0.0, 45.0, 90.0, 180.0):
        points = turned(mesh.vertices, yaw_deg=yaw_deg)[:, :2] * [10.0, -10.0] + [5.0, 7.0]  # px, y down
        share[yaw_deg] = facing(points, mesh).mean()
    assert share[0.0] == 1.0
    assert share[180.0] == 0.0
    assert 0.4 < share[90.0] < 0.6  # the mesh is symmetric
    assert share[90.0] < share[45.0] < 1.0


def test_a_change_marks_the_vertices_that_move():
    mesh = load_mesh()
    changed = mesh.deform(np.zeros(N_SHAPES), np.eye(N_ACTIONS)[0])
    figure, ax = plt.subplots()
    draw_change(ax, mesh.vertices, changed, mesh.faces)
    (dots,) = ax.lines
    moved = np.abs(mesh.action_units[0]).max(axis=1) > 0
    np.testing.assert_allclose(np.column_stack(dots.get_data()), changed[moved, :2])
    plt.close(figure)


def test_the_commands_write_whole_figures_and_the_planted_units_and_answers(tmp_path, world, repository):
    samples = world / "samples" / planted.PAIR
    draw_candide(samples=samples, out=tmp_path, config=str(repository / "params.yaml"))
    out = {"out_png": tmp_path / "4.5.png", "out_csv": tmp_path / "4.5.csv"}
    plot_fits(samples=samples, results=world, predictions=planted.predictions(world), **out)
    names = {f"{figure}.{suffix}" for figure in ("3.8", "4.1", "4.2", "4.3", "4.4") for suffix in ("svg", "png")}
    assert {path.name for path in tmp_path.iterdir()} == names | {"4.5.png", "4.5.csv"}
    assert all(plt.imread(path).std() > 0.03 for path in tmp_path.glob("*.png"))
    rows = pd.read_csv(out["out_csv"])
    for _, row in rows.iterrows():
        assert row[list(AU_CODES)].tolist() == planted.units_of(FACE4.index(row.truth)).tolist()
        assert row.predicted == ("neutral" if row.truth == "anger" else row.truth)
    assert set(rows.role) == {"training", "test"}
    assert set(rows.angle) == {45, 90}


def test_a_spot_of_the_picture_is_found_where_the_mapping_says():
    picture = np.zeros((90, 100), np.float32)
    picture[22:24, 40:42] = 1.0
    region = cv2.resize(picture[10:58, 30:78], (24, 24), interpolation=cv2.INTER_AREA)
    row, column = np.unravel_index(region.argmax(), region.shape)
    place = to_region(np.array([40.5, 22.5]), x=30.0, y=10.0, side=48.0, size_px=24)
    np.testing.assert_allclose(place, [column, row])


def test_mesh_answer_and_units_are_drawn_where_the_fit_puts_them(world):
    rows = choose_scenes(planted.samples(world), read_answers(planted.predictions(world)))
    names = rows.scene.unique()[::4]  # trained on, and tested from 45 degrees
    rows = rows[rows.scene.isin(names)]
    with saved_figure("", 8.0, 6.0) as figure:
        draw_scenes(figure, rows, world)
        axes = np.array(figure.axes).reshape(len(rows), 2)
        for (picture, bars), (_, row) in zip(axes, rows.iterrows(), strict=True):
            expected = planted.planted_mesh(int(row.part[1:]), row.label, row.angle)
            expected = (expected - [30.0, 10.0] + 0.5) / 2.0 - 0.5
            drawn = picture.lines[0].get_xydata()
            drawn = drawn[np.isfinite(drawn).all(axis=1)]
            assert np.abs(drawn[:, None] - expected).sum(axis=2).min(axis=1).max() < 1e-9
            answer = "neutral" if row.label_name == "anger" else row.label_name
            assert picture.spines["left"].get_edgecolor() == to_rgba(CLASS_COLOURS[answer])
            np.testing.assert_allclose([bar.get_width() for bar in bars.patches], planted.units_of(row.label))


def test_the_choice_does_not_depend_on_the_order_and_shows_errors(world):
    table = planted.samples(world)
    answers = pd.Series(table.label_name.to_numpy(), index=table["clip"])
    answers["tested-p2-090-1"] = "anger"
    chosen = choose_scenes(table, answers)
    names = chosen.scene.drop_duplicates().str.split("\n").tolist()
    assert [name for name, _ in names] == ["learnt/p0", "learnt/p1", "tested/p0", "tested/p2", "tested/p0"]
    assert names[3][1] == "test, most errors"
    again = choose_scenes(table.sample(frac=1.0, random_state=1), answers)
    pd.testing.assert_frame_equal(again, chosen)


def test_fits_of_other_samples_are_refused(tmp_path, world):
    results = tmp_path / "results"
    shutil.copytree(world, results)
    path = results / "candide" / "learnt" / "p0" / "index.parquet"
    tables.write(path, tables.read(path, tables.FITS).iloc[::-1], tables.FITS)
    with pytest.raises(TableError, match="fit_candide"):
        read_face(planted.samples(results).iloc[0], results)


def test_without_fits_there_is_nothing_to_draw_and_without_answers_no_colour(tmp_path, world):
    table = planted.samples(world)
    with pytest.raises(TableError, match="fit_candide"):
        choose_scenes(table.assign(verdict="no face"), pd.Series(dtype=object))
    empty = tmp_path / "predictions.parquet"
    tables.write(empty, tables.empty(tables.PREDICTIONS), tables.PREDICTIONS)
    assert set(choose_scenes(table, read_answers(empty)).predicted) == {"none"}  # not applicable
