"""The Candide-3 mesh, its units, the landmarks, and fitted faces (thesis, figures 3.8 and 4.1 to 4.5)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from mien.candide.fit import FITTED, place_mesh
from mien.candide.mesh import (
    ACTIONS,
    AU_CODES,
    AU_NAMES,
    LANDMARKS,
    N_ACTIONS,
    N_SHAPES,
    SHAPE_NAMES,
    SHAPES,
    VERTICES,
    Mesh,
    load_mesh,
)
from mien.candide.pose import rotation_matrix
from mien.classical.samples import FACE4, FRONTAL, read_samples, vectors
from mien.config.schema import CandideConfig, load, section
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.shards import read_faces
from mien.report.style import (
    ABSENT,
    CLASS_COLOURS,
    GREY,
    hide_frame,
    new_figure,
    save_figure,
    saved_figure,
    svg_png,
    title_line,
    write_numbers,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Group:
    """`lines`: landmarks in the order in which they are joined; a closed line ends where it began."""

    name: str
    colour: str  # of Paul Tol's bright scheme
    lines: tuple[tuple[int, ...], ...]

    @property
    def landmarks(self) -> tuple[int, ...]:
        """Return the landmarks of the group, each once."""
        return tuple(sorted({landmark for line in self.lines for landmark in line}))


def _run(first: int, last: int, *, closed: bool = False) -> tuple[int, ...]:
    return (*range(first, last + 1), *([first] if closed else []))


GROUPS = (
    Group("jaw", "#7f7f7f", (_run(0, 16),)),
    Group("brows", "#ccaa22", (_run(17, 21), _run(22, 26))),
    Group("nose", "#228833", (_run(27, 30), _run(31, 35))),
    Group("eyes", "#4477aa", (_run(36, 41, closed=True), _run(42, 47, closed=True))),
    Group("lips", "#ee6677", (_run(48, 59, closed=True), _run(60, 67, closed=True))),
)
COLOUR_OF = {landmark: group.colour for group in GROUPS for landmark in group.landmarks}


INK, MOVED, TOUCHED = "#303030", "#ee7733", "#fbe3d2"
STILL = 1e-9  # model units, below which a vertex has not moved


def turned(vertices: np.ndarray, *, yaw_deg: float) -> np.ndarray:
    """Return vertices (V, 3) after the head turned about the vertical axis, positive to the right of the picture."""
    return vertices @ rotation_matrix(np.array([0.0, np.deg2rad(yaw_deg), 0.0])).T


def facing(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Return (F,) bool: which triangles of a projected mesh (V, 2), px with y down, show the viewer their front.

    The corners of Candide-3 run in both directions; at rest every triangle faces the viewer, so that a triangle is
    seen from behind when its area has another sign than at rest.
    """
    return _area(points * [1.0, -1.0], mesh.faces) * _area(mesh.vertices[:, :2], mesh.faces) > 0.0


def edges(faces: np.ndarray) -> np.ndarray:
    """Return (E, 2) the sides of the triangles (F, 3), each once, in ascending order."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(sides, axis=1), axis=0)


def draw_solid(
    ax: Axes, vertices: np.ndarray, faces: np.ndarray, *, fills: list[str] | str = "white", ink: str = INK
) -> None:
    """Draw vertices (V, 3) of the camera, model units with y up; nearer triangles hide what lies behind them."""
    order = np.argsort(vertices[faces][..., 2].mean(axis=1), kind="stable")  # far to near
    colours = [fills[k] for k in order] if isinstance(fills, list) else fills
    ax.add_collection(PolyCollection(vertices[faces[order]][..., :2], facecolors=colours, edgecolors=ink, lw=0.5))


def draw_change(ax: Axes, rest: np.ndarray, changed: np.ndarray, faces: np.ndarray) -> None:
    """Draw `changed` (V, 3) with the triangles that differ from `rest` filled, and the old place of moved vertices."""
    moved = np.abs(changed - rest).max(axis=1) > STILL  # (V,)
    fills = [TOUCHED if touched else "white" for touched in moved[faces].any(axis=1)]
    draw_solid(ax, changed, faces, fills=fills)
    paths = np.stack([rest[moved, :2], changed[moved, :2]], axis=1)  # (M, 2, 2)
    ax.add_collection(LineCollection(paths, colors=MOVED, linewidths=0.6))
    ax.plot(*changed[moved, :2].T, ".", color=MOVED, markersize=1.4)


def bare(ax: Axes, points: np.ndarray, *, margin: float = 0.04) -> None:
    """Show the extent of points (N, 2), and a `margin` of its height, in equal units and without any frame."""
    low, high = points.min(axis=0), points.max(axis=0)
    edge = margin * (high - low)[1]
    ax.set(
        xlim=(low[0] - edge, high[0] + edge), ylim=(low[1] - edge, high[1] + edge), aspect="equal", xticks=[], yticks=[]
    )
    ax.set_axis_off()


def _area(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return (F,) twice the signed area of triangles between points (V, 2)."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    first, second = b - a, c - a
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]


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
        look = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 7, "color": GREY}
        for number, place, step in zip(numbers, mine, away, strict=True):
            ax.annotate(str(number), place, _STEPS.get(number, step), **look)


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


HONEST, FUSED = "honest", "fused"
TURNED = 45  # degrees of the camera
NO_ANSWER = "none"  # where the classifier has no row for a picture
_BARS = 0.7  # width of the bars, of a picture's


@dataclass(frozen=True)
class Scene:
    """A row of the figure: pictures of one person, at most one of each emotion, as rows of SAMPLES by emotion."""

    name: str
    pictures: dict[str, pd.Series]


@dataclass(frozen=True, eq=False)
class FittedFace:
    """region (S, S, 3) uint8, mesh (113, 2) px of the region, units (8,) in the order of the thesis."""

    region: np.ndarray
    mesh: np.ndarray
    units: np.ndarray


def read_answers(path: Path) -> pd.Series:
    """Return the emotion that a classifier gave to every clip: index clip, values of FACE4; nothing if it gave none.

    Raises
    ------
    TableError : the table is not that of a classifier of the four emotions.
    """
    rows = tables.read(path, tables.PREDICTIONS)
    if rows.empty:  # not applicable: no face had what it looks at
        return pd.Series(dtype=object)
    rows = rows[(rows.selection == HONEST) & (rows["head"] == FUSED)]
    if rows.empty or set(rows.logits.map(len)) != {len(FACE4)}:
        raise TableError(f"{path}: has no honest predictions of {len(FACE4)} emotions; name those of fit_classical")
    best = np.stack(rows.logits.to_list()).argmax(axis=1)
    return pd.Series([FACE4[k] for k in best], index=rows["clip"].to_numpy())


def choose_scenes(table: pd.DataFrame, answers: pd.Series) -> list[Scene]:
    """Return the rows of the figure: two people trained on, two tested from the front, one tested from 45 degrees.

    Of the people those with most emotions come first, then the first by name; the second one tested is the one about
    whom the classifier is wrong most often, or the figure would show its successes only. Of a person's pictures of an
    emotion the last clip by name is taken, the apex of a sequence, and of the neutral ones the first.

    Raises
    ------
    TableError : no picture is fitted.
    """
    fitted = table[table.verdict == FITTED]
    if fitted.empty:
        raise TableError(f"samples.parquet: none of {len(table)} pictures is fitted; look into the log of fit_candide")
    fitted = fitted.assign(wrong=fitted["clip"].map(answers) != fitted.label_name)
    learnt = fitted.role == "training"
    tested = fitted[~learnt & fitted.gaze.isin(["", "frontal"])]
    front = tested[tested.angle == FRONTAL]
    first = _people(front)[:1]
    rest = front[~front.person.isin(first)]
    rows = [(fitted[learnt], person, "training") for person in _people(fitted[learnt])[:2]]
    rows += [(front, person, "test") for person in first]
    rows += [(front, person, "test, most errors") for person in _people(rest, by_errors=True)[:1]]
    turned = tested[tested.angle == TURNED]
    rows += [(turned, person, f"test, {TURNED}°") for person in _people(turned)[:1]]
    return [_scene(mine[mine.person == person], f"{person}\n{name}") for mine, person, name in rows]


def to_region(points: np.ndarray, *, x: float, y: float, side: float, size_px: int) -> np.ndarray:
    """Map px of the source picture to px of the stored region.

    Parameters
    ----------
    points : (..., 2) px, pixel centres at integers.
    x, y, side : the square in the source picture, see FRAMES: it begins half a pixel before the centre of pixel x, y.
    size_px : side of the stored region.

    Returns
    -------
    (..., 2) px, pixel centres at integers.
    """
    return (points - [x, y] + 0.5) * (size_px / side) - 0.5


def read_face(sample: pd.Series, results: Path) -> FittedFace:
    """Read region, fit and person of a row of SAMPLES and place the mesh on the region.

    Raises
    ------
    TableError : a shard or a fit is missing, or belongs to other samples.
    """
    shard = read_faces(results / "faces" / sample.corpus / sample.part)
    folder = results / "candide" / sample.corpus / sample.part
    fits = tables.read(folder / "index.parquet", tables.FITS)
    people = tables.read(folder / "people.parquet", tables.PEOPLE)
    actor = sample.person.removeprefix(f"{sample.corpus}/")
    person = people[people.actor == actor]
    if not sample["row"] < len(fits) == len(shard.index) or fits["clip"][sample["row"]] != sample["clip"]:
        raise TableError(f"{folder}: row {sample['row']} is not {sample['clip']}; run fit_candide and select_samples")
    if len(person) != 1:
        raise TableError(f"{folder / 'people.parquet'}: {actor!r} is there {len(person)} times; run fit_candide again")
    fit, frame = fits.loc[sample["row"]], shard.index.loc[sample["row"]]
    pose = {"rotation": fit.rotation, "scale": np.float64(fit.scale), "origin": fit.origin}
    points = place_mesh(person["shape"].iloc[0], units=fit.units, **pose)
    region = np.array(shard.frames[sample["row"]])
    mesh = to_region(points, x=frame.x, y=frame.y, side=frame.side, size_px=len(region))
    return FittedFace(region, mesh, np.asarray(fit.units))


def bars_of(scenes: list[Scene], answers: pd.Series) -> pd.DataFrame:
    """Return the numbers behind the figure: a row per picture, with its action units in columns."""
    rows = []
    for scene in scenes:
        for emotion, sample in scene.pictures.items():
            names = {"corpus": sample.corpus, "clip": sample["clip"], "role": sample.role, "angle": sample.angle}
            units = dict(zip(AU_CODES, np.asarray(sample.units, dtype=np.float64), strict=True))
            rows.append(names | {"truth": emotion, "predicted": answers.get(sample["clip"], NO_ANSWER)} | units)
    return pd.DataFrame(rows)


def draw_scenes(figure: Figure, scenes: list[Scene], faces: dict[str, FittedFace], answers: pd.Series) -> None:
    """Draw a row per scene and, per emotion, the picture with its mesh and the bars of its units.

    faces : of every chosen picture, by clip.
    """
    longest = max(float(np.abs(face.units).max()) for face in faces.values())
    reach = max(1.0, np.ceil(2.0 * longest) / 2.0)
    ratios = [1.0, _BARS] * len(FACE4)
    axes = figure.subplots(len(scenes), len(ratios), squeeze=False, width_ratios=ratios)
    for (row, column), ax in np.ndenumerate(axes):
        emotion = FACE4[column // 2]
        sample = scenes[row].pictures.get(emotion)
        if sample is None:
            _draw_absent(ax, emotion if column % 2 == 0 else "")
        elif column % 2 == 0:
            answer = answers.get(sample["clip"], NO_ANSWER)
            _draw_face(ax, faces[sample["clip"]], CLASS_COLOURS.get(answer, GREY))
            ax.set_title(emotion, fontsize=8)
            ax.set_xlabel(f"classified as {answer}", fontsize=7.5, labelpad=4)
        else:
            draw_bars(ax, faces[sample["clip"]].units, reach=reach)
            if row + 1 == len(scenes) or emotion not in scenes[row + 1].pictures:
                ax.tick_params(labelbottom=True)
        if column == 0:
            ax.set_ylabel(scenes[row].name, fontsize=8)
    codes = ", ".join(f"{code} {name}" for code, name in zip(AU_CODES, AU_NAMES, strict=True))
    marks = [Patch(facecolor=colour, label=name) for name, colour in CLASS_COLOURS.items()]
    figure.legend(
        handles=marks, loc="outside lower center", ncols=len(marks), frameon=False, title=codes, title_fontsize=7
    )


def draw_bars(ax: Axes, units: np.ndarray, *, reach: float) -> None:
    """Draw the eight action units (8,) as bars from the top, on an axis with ticks at -reach, 0 and reach."""
    place = np.arange(len(units))
    ax.barh(place, units, color=["#4477aa" if unit > 0 else "#aa7744" for unit in units], height=0.7)
    ax.axvline(0.0, color=GREY, lw=0.6)
    ax.set(xlim=(-1.05 * reach, 1.05 * reach), ylim=(len(units) - 0.4, -0.6), yticks=place)
    ax.set_yticklabels(AU_CODES)
    ax.tick_params(length=0, pad=1, labelbottom=False, labelsize=6.5)
    ax.set_xticks([-reach, 0.0, reach], [f"\N{MINUS SIGN}{reach:g}", "0", f"{reach:g}"])
    ax.grid(axis="x", color="#dddddd", lw=0.5)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.set_box_aspect(1.0 / _BARS)


def _people(rows: pd.DataFrame, *, by_errors: bool = False) -> list[str]:
    """Return the people of `rows`: most emotions first, then, if asked, most errors, then by name."""
    groups = rows.groupby("person")
    n_emotions, n_wrong = groups.label_name.nunique(), groups.wrong.sum() * by_errors
    return sorted(n_emotions.index, key=lambda person: (-n_emotions[person], -n_wrong[person], person))


def _scene(mine: pd.DataFrame, name: str) -> Scene:
    mine = mine.sort_values("clip")
    found = {emotion: mine[mine.label_name == emotion] for emotion in FACE4}
    return Scene(name, {key: rows.iloc[0 if key == "neutral" else -1] for key, rows in found.items() if len(rows)})


def _draw_face(ax: Axes, face: FittedFace, colour: str) -> None:
    mesh = load_mesh()
    ax.imshow(face.region, interpolation="bilinear")
    seen = mesh.faces[facing(face.mesh, mesh)]
    ax.add_collection(LineCollection(face.mesh[edges(seen)], colors="white", linewidths=0.45, alpha=0.85))
    size = len(face.region)
    ax.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=colour, linewidth=3.0)


def _draw_absent(ax: Axes, emotion: str) -> None:
    hide_frame(ax)
    if emotion:
        ax.set_title(emotion, fontsize=8)
        ax.set_facecolor(ABSENT)
        ax.set_box_aspect(1)
        ax.text(0.5, 0.5, "none of\nthis person", transform=ax.transAxes, ha="center", va="center", color=GREY)


def draw_candide(*, samples: Path, out: Path, config: str = "params.yaml") -> None:
    """Draw the mesh, its units, and the mean landmarks of the neutral frontal pictures.

    Parameters
    ----------
    samples
        Folder of select_samples.
    out
        Folder; 3.8, 4.1, 4.2, 4.3, 4.4 as .svg and .png.
    config
        params.yaml, or its sections as JSON text.
    """
    fitted = VERTICES[section(CandideConfig, load(config), "candide").landmarks]
    mesh, chosen = load_mesh(), read_samples(samples)
    averaged = neutral_frontal(chosen.table)
    points, n_learnt = mean_landmarks(averaged), (averaged.role == "training").sum()
    mean = f"mean of {len(averaged)} neutral frontal pictures: {n_learnt} training, {len(averaged) - n_learnt} test"
    headline = partial(title_line, corpus=chosen.title, synthetic=chosen.info["source"] == "synthetic")
    lens = "boxes: the lids of an eye enlarged, dashed at rest; how far they move up in model units"
    drawings = {  # figure -> width and height in inches, title, what draws it from what
        "3.8": ((7.2, 4.2), "Figure 3.8: the Candide-3 mesh, 113 vertices, 184 triangles", draw_views, mesh),
        "4.1": ((7.6, 4.6), f"{headline('Figure 4.1: the 68 landmarks')}\n{mean}", draw_numbers, points),
        "4.2": ((8.6, 7.4), f"Figure 4.2: action units of Candide-3\n{lens}", draw_actions, mesh),
        "4.3": ((10.6, 5.7), "Figure 4.3: shape units of Candide-3", draw_shapes, mesh),
        "4.4": (
            (6.8, 4.5),
            f"{headline('Figure 4.4: groups of landmarks')}\n{mean}",
            partial(draw_groups, mesh=mesh, vertices=fitted),
            points,
        ),
    }
    for name, (size, title, draw, content) in drawings.items():
        with new_figure(*size) as figure:
            draw(figure, content)
            figure.suptitle(title, fontsize=10)
            for path in svg_png(out, name):
                save_figure(figure, path)
                figure.set_layout_engine("none")  # the places are found; they need not be found twice
    log.info("%s: %d figures", out, len(drawings))


def plot_fits(*, samples: Path, results: Path, predictions: Path, out_png: Path, out_csv: Path) -> None:
    """Draw fitted faces, their action units and what a classifier took them for.

    Parameters
    ----------
    samples
        Folder of select_samples.
    results
        Folder with faces/CORPUS and candide/CORPUS.
    predictions
        Of a classifier of AU8, run.json beside it.
    out_png
        The figure.
    out_csv
        The numbers behind it.
    """
    chosen, answers = read_samples(samples), read_answers(predictions)
    scenes = choose_scenes(chosen.table, answers)
    shown = [sample for scene in scenes for sample in scene.pictures.values()]
    faces = {sample["clip"]: read_face(sample, results) for sample in shown}
    synthetic = chosen.info["source"] == "synthetic"
    judge = read_json(predictions.with_name("run.json"))
    title = title_line("Figure 4.5: fitted faces and action units", chosen.title, synthetic=synthetic)
    title += "\nabove a picture: the emotion shown; frame: how "
    title += f"{judge['variant']} classifies it, split {judge['seed'] + 1}"
    with saved_figure(title, 11.2, 1.0 + 1.62 * len(scenes), out_png) as figure:
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.02, wspace=0.0, hspace=0.0)
        draw_scenes(figure, scenes, faces, answers)
    write_numbers(out_csv, bars_of(scenes, answers))
    log.info("%s: %d people, %d pictures", out_png, len(scenes), len(faces))
