"""The figures of the mesh and of the landmarks (thesis, figures 3.8 and 4.1 to 4.4)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from mien.candide.correspondence import ACTIONS, AU_CODES, AU_NAMES, LANDMARKS, SHAPE_NAMES, SHAPES
from mien.candide.mesh import N_ACTIONS, N_SHAPES, Mesh
from mien.core.errors import TableError
from mien.report.figures import GREY
from mien.report.landmark_groups import COLOUR_OF, GROUPS, Group
from mien.report.wireframe import INK, MOVED, STILL, bare, draw_change, draw_solid, turned
from mien.samples.read import vectors

FRONTAL = 90  # degrees of the camera
VIEWS = (("front", 0.0), ("three quarters", 45.0), ("side", 90.0))  # name, yaw in degrees
SHOWN = ("AU10", "AU20", "AU13/15")  # units of the thesis's figure 4.2; the others follow in a second row
_TINY = 1e-9  # closed eyes have no height
_BESIDE = {17: (0, 1), 22: (0, 1), 27: (1, 0), 31: (0, -1)}  # first landmark of an open line -> side of its numbers
_STEPS = {60: (10.5, -6.5), 64: (-10.5, -6.5)}  # corners of the inner lips, points of the page: between the two lines
_LIDS = {"upper": (23, 105, 21, 97, 20), "lower": (23, 107, 22, 99, 20)}  # vertices from corner to corner of an eye
_EYE = np.array([[0.13, 0.09], [0.47, 0.23]])  # that eye: lower left and upper right corner, model units
_ENLARGED = 3.5  # times
_LINE = 0.14  # height of a line of text above a face, model units


def neutral_frontal(table: pd.DataFrame) -> pd.DataFrame:
    """Return the neutral frontal pictures of SAMPLES that have landmarks.

    Raises
    ------
    TableError : no neutral frontal picture has landmarks.
    """
    rows = table[(table.label_name == "neutral") & (table.angle == FRONTAL)]
    rows = rows[np.isfinite(vectors(rows, "FP68")).all(axis=1)]
    if rows.empty:
        raise TableError(
            f"samples.parquet: none of {len(table)} pictures is neutral, frontal and has landmarks;"
            " look into the manifest.json of extract_faces, then run select_samples again"
        )
    return rows


def mean_landmarks(rows: pd.DataFrame) -> np.ndarray:
    """Return (68, 2) the mean FP68 of rows of SAMPLES, y down."""
    return vectors(rows, "FP68").mean(axis=0).reshape(68, 2)


def draw_views(figure: Figure, mesh: Mesh) -> None:
    """Draw the mesh from the front, turned by 45 degrees and from the side (figure 3.8)."""
    views = [turned(mesh.vertices, yaw_deg=yaw_deg) for _, yaw_deg in VIEWS]
    axes = figure.subplots(1, len(VIEWS), sharey=True, width_ratios=[np.ptp(view[:, 0]) for view in views])
    for ax, vertices, (name, _) in zip(axes, views, VIEWS, strict=True):
        draw_solid(ax, vertices, mesh.faces)
        bare(ax, vertices[:, :2])
        ax.set_title(name)
    bare(axes[0], mesh.vertices[:, :2])


def draw_actions(figure: Figure, mesh: Mesh) -> None:
    """Draw the face at rest, the three units of the thesis and the other five (figure 4.2).

    Below the last row the eye is enlarged where a lid moves.
    """
    order = [AU_CODES.index(code) for code in SHOWN]
    panels = [(unit, 1.0) for unit in order] + [(AU_CODES.index("AU13/15"), -1.0)]
    panels += [(unit, 1.0) for unit in range(len(AU_CODES)) if unit not in order]
    actions = np.zeros((1 + len(panels), N_ACTIONS))
    names = [("at rest", "")]
    for row, (unit, value) in zip(actions[1:], panels, strict=True):
        row[ACTIONS[unit]] = value
        note = "its opposite: smile" if value < 0 else AU_NAMES[unit]
        names.append((f"{AU_CODES[unit]} at {_signed(value)}", note))
    ax, changed = figure.subplots(), mesh.deform(np.zeros(N_SHAPES), actions)
    places = _draw_changes(ax, mesh, changed, names, n_columns=5, below=0.85)
    for vertices, place in zip(changed, places, strict=True):
        if np.abs(vertices - mesh.vertices)[list(_LIDS.values())].max() > STILL:
            _enlarge_eye(ax, mesh, vertices, place)


def draw_shapes(figure: Figure, mesh: Mesh) -> None:
    """Draw the seven shape units at +1 and at -1 (figure 4.3)."""
    panels = [(unit, value) for value in (1.0, -1.0) for unit in range(len(SHAPES))]
    shapes = np.zeros((len(panels), N_SHAPES))
    for row, (unit, value) in zip(shapes, panels, strict=True):
        row[SHAPES[unit]] = value
    names = [(SHAPE_NAMES[unit].replace(", ", ",\n"), f"at {_signed(value)}") for unit, value in panels]
    changed = mesh.deform(shapes, np.zeros(N_ACTIONS))
    _draw_changes(figure.subplots(), mesh, changed, names, n_columns=len(SHAPES))


def draw_numbers(figure: Figure, points: np.ndarray) -> None:
    """Draw the landmarks (68, 2), y down, with their numbers; eyes and mouth enlarged beside the face (figure 4.1)."""
    points = points * [1.0, -1.0]
    axes = figure.subplot_mosaic([["face", "eyes"], ["face", "lips"]], width_ratios=[1.25, 1.0])
    enlarged = {group.name: group for group in GROUPS if group.name in axes}
    for group in GROUPS:
        _draw_group(axes["face"], points, group)
        if group.name not in enlarged:
            _number(axes["face"], points, group)
    bare(axes["face"], points, margin=0.07)
    axes["face"].set_title("0 to 35: jaw, brows, nose")
    for name, group in enlarged.items():
        _draw_group(axes[name], points, group)
        _number(axes[name], points, group)
        mine = points[list(group.landmarks)]
        bare(axes[name], mine, margin=0.3 if name == "lips" else 0.6)
        axes[name].set_title(f"{group.landmarks[0]} to {group.landmarks[-1]}: {name}")


def draw_groups(figure: Figure, points: np.ndarray, mesh: Mesh, vertices: Sequence[int]) -> None:
    """Draw the groups of landmarks (68, 2), y down, those that are fitted ringed, and their `vertices` (figure 4.4)."""
    points = points * [1.0, -1.0]
    face, model = figure.subplots(1, 2)
    for group in GROUPS:
        _draw_group(face, points, group)
    face.scatter(*points[list(LANDMARKS)].T, s=46, facecolors="none", edgecolors="black", linewidths=0.9, zorder=4)
    bare(face, points, margin=0.05)
    face.set_title(f"68 landmarks, {len(LANDMARKS)} fitted")
    draw_solid(model, mesh.vertices, mesh.faces, ink="#bdbdbd")
    places = mesh.vertices[list(vertices), :2]
    colours = [COLOUR_OF[landmark] for landmark in LANDMARKS]
    model.scatter(*places.T, s=20, c=colours, edgecolors="black", linewidths=0.7, zorder=4)
    bare(model, mesh.vertices[:, :2])
    model.set_title(f"their {len(LANDMARKS)} of {len(mesh.vertices)} vertices")
    for one, other in _coincident(places):
        text = f"vertices of {LANDMARKS[one]} and {LANDMARKS[other]} coincide at rest: one dot"
        model.annotate(text, (0.5, 0), (0, -3), "axes fraction", "offset points", ha="center", va="top", fontsize=7)
    marks = [Line2D([], [], color=group.colour, marker="o", ms=5, label=group.name) for group in GROUPS]
    marks.append(Line2D([], [], ls="", marker="o", ms=7, mfc="none", mec="black", label="fitted"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, fontsize=8)


def _draw_group(ax: Axes, points: np.ndarray, group: Group) -> None:
    for line in group.lines:
        ax.plot(*points[list(line)].T, "-", color=group.colour, lw=1.0, alpha=0.6)
    ax.scatter(*points[list(group.landmarks)].T, s=12, color=group.colour, zorder=3)


def _number(ax: Axes, points: np.ndarray, group: Group) -> None:
    """Write the numbers beside the landmarks, away from the middle of their line where `_BESIDE` does not say."""
    for line in group.lines:
        numbers = sorted(set(line))
        mine = points[numbers]
        away = (mine - mine.mean(axis=0)) / (np.ptp(mine, axis=0) + _TINY)  # lids and lips are wide and low
        away[:] = _BESIDE.get(line[0], away)
        away[np.abs(away[:, 0]) > 0.45, 1] = 0.0  # the corners of the eyes and of the mouth
        away *= 9.0 / (np.linalg.norm(away, axis=1, keepdims=True) + _TINY)  # points of the page
        for number, place, step in zip(numbers, mine, away, strict=True):
            beside = _STEPS.get(number, step)
            ax.annotate(
                str(number), place, beside, textcoords="offset points", ha="center", va="center", fontsize=7, color=GREY
            )


def _coincident(places: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs of places (P, 2) that are the same."""
    same = np.abs(places[:, None] - places[None]).max(axis=2) < STILL
    return [(one, other) for one, other in np.argwhere(same).tolist() if one < other]


def _draw_changes(
    ax: Axes, mesh: Mesh, changed: np.ndarray, names: list[tuple[str, str]], *, n_columns: int, below: float = 0.0
) -> np.ndarray:
    """Draw the faces (P, 113, 3) to one scale in rows of `n_columns`, with a heading and a note above each.

    Returns (P, 3) where they lie. `below`: free room under the last row, model units.
    """
    extent = np.concatenate([mesh.vertices, *changed])[:, :2]
    low, high = extent.min(axis=0), extent.max(axis=0)
    text = _LINE * (2 + max(heading.count("\n") for heading, _ in names))
    width, height = high - low + np.array([0.12, text + _LINE])
    places = np.zeros((len(changed), 3))
    for number, (vertices, (heading, note)) in enumerate(zip(changed, names, strict=True)):
        row, column = divmod(number, n_columns)
        place = places[number] = [column * width, -row * height, 0.0]
        draw_change(ax, mesh.vertices + place, vertices + place, mesh.faces)
        x, y = place[0], place[1] + high[1]
        ax.text(x, y + 0.17, heading, ha="center", va="bottom", fontsize=9, fontweight="bold")
        ax.text(x, y + 0.04, note, ha="center", va="bottom", fontsize=8)
    last = np.array([low[0], low[1] - (len(changed) // n_columns - 1) * height - below])
    bare(ax, np.stack([last, [high[0] + (n_columns - 1) * width, high[1] + text + 0.02]]), margin=0.01)
    return places


def _enlarge_eye(ax: Axes, mesh: Mesh, vertices: np.ndarray, place: np.ndarray) -> None:
    """Draw the lids of a face (113, 3) at `place` (3,) enlarged below it, at rest in grey; say how far they move."""
    size = np.ptp(_EYE, axis=0)
    ax.add_patch(Rectangle(tuple(_EYE[0] + place[:2]), *size, fill=False, edgecolor=GREY, linewidth=0.7, zorder=3))
    width, height = size * _ENLARGED
    x, y = place[0], place[1] + mesh.vertices[:, 1].min() - 0.08
    lens = ax.inset_axes((x - width / 2, y - height, width, height), transform=ax.transData)
    for lid in map(list, _LIDS.values()):
        lens.plot(*mesh.vertices[lid, :2].T, "--", color=GREY, lw=0.8)
        moved = np.abs(vertices - mesh.vertices)[lid].max() > STILL
        lens.plot(*vertices[lid, :2].T, "-", color=MOVED if moved else INK, lw=1.2)
    lens.set(xlim=_EYE[:, 0], ylim=_EYE[:, 1], xticks=[], yticks=[])
    lens.spines[:].set(visible=True, color=GREY, linewidth=0.7)
    moves = {name: (vertices - mesh.vertices)[lid[len(lid) // 2], 1] for name, lid in _LIDS.items()}
    moves = {name: _signed(move, digits=3) if abs(move) > STILL else "still" for name, move in moves.items()}
    text = "\n".join(f"{name} lid {move}" for name, move in moves.items())
    ax.text(x, y - height - 0.04, text, ha="center", va="top", fontsize=7)


def _signed(value: float, *, digits: int = 0) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")
