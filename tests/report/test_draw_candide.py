"""Figures of the mesh: what is hidden, what moved, which landmark belongs where."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from mien.candide.mesh import N_ACTIONS, N_SHAPES, VERTICES, load_mesh
from mien.errors import TableError
from mien.report.figures import candide
from mien.report.figures.candide import (
    GROUPS,
    draw_actions,
    draw_change,
    draw_groups,
    draw_views,
    edges,
    facing,
    mean_landmarks,
    neutral_frontal,
    turned,
)
from mien.report.style import new_figure, save_figure
from report import planted_faces as planted

NOSE_TIP = 5


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return planted.write_world(tmp_path_factory.mktemp("world"))


def test_every_figure_is_written_whole(tmp_path, world, command):
    arguments = ("--samples", world / "samples" / planted.PAIR, "--out", tmp_path)
    command(candide, *arguments, config=planted.config())
    names = {f"{figure}.{suffix}" for figure in ("3.8", "4.1", "4.2", "4.3", "4.4") for suffix in ("svg", "png")}
    assert {path.name for path in tmp_path.iterdir()} == names
    for name in names:
        if name.endswith("svg"):
            assert (tmp_path / name).read_text().rstrip().endswith("</svg>")
        else:
            assert plt.imread(tmp_path / name).std() > 0.03


def test_a_drawing_is_the_same_twice(tmp_path):
    drawn = []
    for _ in range(2):
        with new_figure(4.0, 3.0) as figure:
            draw_views(figure, load_mesh())
            save_figure(figure, tmp_path / "3.8.svg")
        drawn.append((tmp_path / "3.8.svg").read_bytes())
    assert drawn[0] == drawn[1]
    assert b"<dc:date>" not in drawn[0]


def test_a_landmark_is_in_one_group():
    members = [landmark for group in GROUPS for landmark in group.landmarks]
    assert sorted(members) == list(range(68))


def test_the_mean_is_of_neutral_frontal_faces_only(world):
    table = planted.samples(world)
    chosen = table[(table.label_name == "neutral") & (table.angle == 90)]
    expected = np.mean(np.stack(chosen.points.to_list()), axis=0).reshape(68, 2)
    assert neutral_frontal(table)["clip"].tolist() == chosen["clip"].tolist()
    np.testing.assert_allclose(mean_landmarks(neutral_frontal(table)), expected)
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


def test_a_positive_yaw_points_the_nose_to_the_right():
    assert turned(load_mesh().vertices, yaw_deg=45.0)[NOSE_TIP, 0] > 0.05


def test_every_side_is_drawn_once():
    faces = np.array([[0, 1, 2], [2, 1, 3]])
    assert edges(faces).tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3]]


def test_eyes_are_enlarged_where_a_lid_moves():
    mesh = load_mesh()
    with new_figure(8.0, 7.0) as figure:
        draw_actions(figure, mesh)
        ax = figure.axes[0]
        assert len(ax.child_axes) == 4  # AU4, AU7, AU9, AU42-45
        closed = [text.get_text() for text in ax.texts if "lid" in text.get_text() and "+0.02" in text.get_text()]
    assert closed == [
        "upper lid \N{MINUS SIGN}0.056\nlower lid +0.026",
        "upper lid \N{MINUS SIGN}0.062\nlower lid +0.020",
    ]


def test_vertices_that_hide_each_other_are_named(world):
    points = mean_landmarks(neutral_frontal(planted.samples(world)))
    with new_figure(6.0, 4.0) as figure:
        draw_groups(figure, points, load_mesh(), VERTICES["inner"])
        (text,) = (text.get_text() for text in figure.axes[1].texts)
    assert text.startswith("vertices of 62 and 66 coincide")


def test_a_change_marks_the_vertices_that_move():
    mesh = load_mesh()
    action = np.zeros(N_ACTIONS)
    action[0] = 1.0
    changed = mesh.deform(np.zeros(N_SHAPES), action)
    figure, ax = plt.subplots()
    draw_change(ax, mesh.vertices, changed, mesh.faces)
    (dots,) = ax.lines
    moved = np.abs(mesh.action_units[0]).max(axis=1) > 0
    np.testing.assert_allclose(np.column_stack(dots.get_data()), changed[moved, :2])
    plt.close(figure)
