"""The Candide-3 mesh, its units, the landmarks, and fitted faces (thesis, figures 3.8 and 4.1 to 4.5)."""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from mien.candide import mesh as model
from mien.candide.fit import FITTED, place_mesh
from mien.candide.mesh import AU_CODES, AU_NAMES, LANDMARKS, Mesh, load_mesh
from mien.candide.pose import rotation_matrix
from mien.classical.samples import FACE4, FRONTAL, read_samples, vectors
from mien.config.schema import CandideConfig, load, section
from mien.errors import TableError
from mien.io import tables
from mien.io.files import read_json
from mien.io.shards import read_faces, read_fits
from mien.report.figures.samples import apexes
from mien.report.style import (
    ABSENT,
    CLASS_COLOURS,
    GREY,
    corpus_title,
    hide_frame,
    saved_figure,
    svg_png,
    write_numbers,
)

log = logging.getLogger(__name__)

# Group of landmarks -> colour of Paul Tol's bright scheme, lines of landmarks; a closed line ends where it began.
GROUPS = {
    "jaw": ("#7f7f7f", [range(17)]),
    "brows": ("#ccaa22", [range(17, 22), range(22, 27)]),
    "nose": ("#228833", [range(27, 31), range(31, 36)]),
    "eyes": ("#4477aa", [[*range(36, 42), 36], [*range(42, 48), 42]]),
    "lips": ("#ee6677", [[*range(48, 60), 48], [*range(60, 68), 60]]),
}
INK, MOVED, TOUCHED = "#303030", "#ee7733", "#fbe3d2"
STILL = 1e-9  # model units, below which a vertex has not moved
VIEWS = {"front": 0.0, "three quarters": 45.0, "side": 90.0}  # name -> yaw in degrees
SHOWN = ("AU10", "AU20", "AU13/15")  # units of the thesis's figure 4.2; the others follow in a second row
TURNED = 45  # degrees of the camera
NO_ANSWER = "none"  # where the classifier has no row for a picture
_TINY = 1e-9  # closed eyes have no height
_BESIDE = {17: (0, 1), 22: (0, 1), 27: (1, 0), 31: (0, -1)}  # first landmark of an open line -> side of its numbers
_STEPS = {60: (10.5, -6.5), 64: (-10.5, -6.5)}  # corners of the inner lips, points of the page: between the two lines
_LIDS = {"upper": (23, 105, 21, 97, 20), "lower": (23, 107, 22, 99, 20)}  # vertices from corner to corner of an eye
_EYE = np.array([[0.13, 0.09], [0.47, 0.23]])  # that eye: lower left and upper right corner, model units
_ENLARGED = 3.5  # times
_LINE = 0.14  # height of a line of text above a face, model units
_BARS = 0.7  # width of the bars, of a picture's


def draw_candide(*, samples: Path, out: Path, config: str = "params.yaml") -> None:
    """Draw the mesh, its units, and the mean landmarks of the neutral frontal pictures.

    Parameters
    ----------
    out
        Folder; 3.8, 4.1, 4.2, 4.3, 4.4 as .svg and .png.
    """
    fitted = model.VERTICES[section(CandideConfig, load(config), "candide").landmarks]
    mesh, chosen = load_mesh(), read_samples(samples)
    averaged = neutral_frontal(chosen.table)
    points = vectors(averaged, "FP68").mean(axis=0).reshape(68, 2) * [1.0, -1.0]  # y up
    n_learnt = (averaged.role == "training").sum()
    mean = f"mean of {len(averaged)} neutral frontal pictures: {n_learnt} training, {len(averaged) - n_learnt} test"
    headline = partial(corpus_title, info=chosen.info, corpus=chosen.title)
    lens = "boxes: the lids of an eye enlarged, dashed at rest; how far they move up in model units"
    drawings = {  # figure -> width and height in inches, title, what draws it from what
        "3.8": (7.2, 4.2, "Figure 3.8: the Candide-3 mesh, 113 vertices, 184 triangles", draw_views, mesh),
        "4.1": (7.6, 4.6, f"{headline('Figure 4.1: the 68 landmarks')}\n{mean}", draw_numbers, points),
        "4.2": (8.6, 7.4, f"Figure 4.2: action units of Candide-3\n{lens}", draw_actions, mesh),
        "4.3": (10.6, 5.7, "Figure 4.3: shape units of Candide-3", draw_shapes, mesh),
        "4.4": (6.8, 4.5, f"{headline('Figure 4.4: groups of landmarks')}\n{mean}", draw_groups, points, mesh, fitted),
    }
    for name, (width, height, title, draw, *content) in drawings.items():
        with saved_figure(title, width, height, *svg_png(out, name)) as figure:
            draw(figure, *content)
    log.info("%s: %d figures", out, len(drawings))


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


def turned(vertices: np.ndarray, *, yaw_deg: float) -> np.ndarray:
    """Return vertices (V, 3) after the head turned about the vertical axis, positive to the right of the picture."""
    return vertices @ rotation_matrix(np.array([0.0, np.deg2rad(yaw_deg), 0.0])).T


def facing(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Return (F,) bool: which triangles of a projected mesh (V, 2), px with y down, show the viewer their front.

    The corners of Candide-3 run in both directions; at rest every triangle faces the viewer, so that a triangle is
    seen from behind when its area has another sign than at rest.
    """
    areas = (np.linalg.det(np.diff(flat[mesh.faces], axis=1)) for flat in (points * [1.0, -1.0], mesh.vertices[:, :2]))
    return np.prod(list(areas), axis=0) > 0.0


def draw_views(figure: Figure, mesh: Mesh) -> None:
    """Draw the mesh from the front, turned by 45 degrees and from the side (figure 3.8)."""
    views = {name: turned(mesh.vertices, yaw_deg=yaw_deg) for name, yaw_deg in VIEWS.items()}
    axes = figure.subplots(1, len(views), sharey=True, width_ratios=[np.ptp(view[:, 0]) for view in views.values()])
    for ax, (name, vertices) in zip(axes, views.items(), strict=True):
        draw_solid(ax, vertices, mesh.faces)
        bare(ax, vertices[:, :2])
        ax.set_title(name)
    bare(axes[0], mesh.vertices[:, :2])


def draw_numbers(figure: Figure, points: np.ndarray) -> None:
    """Draw the landmarks (68, 2) with their numbers; eyes and mouth enlarged beside the face (figure 4.1)."""
    axes = figure.subplot_mosaic([["face", "eyes"], ["face", "lips"]], width_ratios=[1.25, 1.0])
    for name, (_, lines) in GROUPS.items():
        _draw_group(axes["face"], points, name)
        ax = axes.get(name, axes["face"])
        if name in axes:
            _draw_group(ax, points, name)
            mine = sorted({landmark for line in lines for landmark in line})
            bare(ax, points[mine], margin=0.3 if name == "lips" else 0.6)
            ax.set_title(f"{mine[0]} to {mine[-1]}: {name}")
        for line in lines:
            _number(ax, points, line)
    bare(axes["face"], points, margin=0.07)
    axes["face"].set_title("0 to 35: jaw, brows, nose")


def draw_actions(figure: Figure, mesh: Mesh) -> None:
    """Draw the face at rest, the three units of the thesis and the other five (figure 4.2).

    Below the last row the eye is enlarged where a lid moves.
    """
    panels = [*((code, 1.0) for code in SHOWN), ("AU13/15", -1.0)]
    panels += [(code, 1.0) for code in AU_CODES if code not in SHOWN]
    actions, headings = np.zeros((1 + len(panels), model.N_ACTIONS)), [("at rest", "")]
    for row, (code, value) in zip(actions[1:], panels, strict=True):
        unit = AU_CODES.index(code)
        row[model.ACTIONS[unit]] = value
        headings.append((f"{code} at {_signed(value)}", "its opposite: smile" if value < 0 else AU_NAMES[unit]))
    ax, changed = figure.subplots(), mesh.deform(np.zeros(model.N_SHAPES), actions)
    places = _draw_changes(ax, mesh, changed, headings, n_columns=5, below=0.85)
    for vertices, place in zip(changed, places, strict=True):
        if np.abs(vertices - mesh.vertices)[list(_LIDS.values())].max() > STILL:
            _enlarge_eye(ax, mesh, vertices, place)


def draw_shapes(figure: Figure, mesh: Mesh) -> None:
    """Draw the seven shape units at +1 and at -1 (figure 4.3)."""
    units = np.eye(model.N_SHAPES)[list(model.SHAPES)]  # (7, 14)
    names = [name.replace(", ", ",\n") for name in model.SHAPE_NAMES]
    headings = [(name, f"at {_signed(value)}") for value in (1.0, -1.0) for name in names]
    changed = mesh.deform(np.concatenate([units, -units]), np.zeros(model.N_ACTIONS))
    _draw_changes(figure.subplots(), mesh, changed, headings, n_columns=len(units))


def draw_groups(figure: Figure, points: np.ndarray, mesh: Mesh, vertices: Sequence[int]) -> None:
    """Draw the groups of landmarks (68, 2), those that are fitted ringed, and their `vertices` (figure 4.4)."""
    face, solid = figure.subplots(1, 2)
    for name in GROUPS:
        _draw_group(face, points, name)
    face.scatter(*points[list(LANDMARKS)].T, s=46, facecolors="none", edgecolors="black", linewidths=0.9, zorder=4)
    bare(face, points, margin=0.05)
    face.set_title(f"68 landmarks, {len(LANDMARKS)} fitted")
    draw_solid(solid, mesh.vertices, mesh.faces, ink="#bdbdbd")
    places = mesh.vertices[list(vertices), :2]
    colour_of = {number: colour for colour, lines in GROUPS.values() for line in lines for number in line}
    colours = [colour_of[landmark] for landmark in LANDMARKS]
    solid.scatter(*places.T, s=20, c=colours, edgecolors="black", linewidths=0.7, zorder=4)
    bare(solid, mesh.vertices[:, :2])
    solid.set_title(f"their {len(LANDMARKS)} of {len(mesh.vertices)} vertices")
    same = np.abs(places[:, None] - places).max(axis=2) < STILL
    for one, other in np.argwhere(np.triu(same, k=1)):
        text = f"vertices of {LANDMARKS[one]} and {LANDMARKS[other]} coincide at rest: one dot"
        solid.annotate(text, (0.5, 0), (0, -3), "axes fraction", "offset points", ha="center", va="top", fontsize=7)
    marks = [Line2D([], [], color=colour, marker="o", ms=5, label=name) for name, (colour, _) in GROUPS.items()]
    marks.append(Line2D([], [], ls="", marker="o", ms=7, mfc="none", mec="black", label="fitted"))
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), fontsize=8)


def draw_solid(
    ax: Axes, vertices: np.ndarray, faces: np.ndarray, *, fills: np.ndarray | str = "white", ink: str = INK
) -> None:
    """Draw vertices (V, 3) of the camera, model units with y up; nearer triangles hide what lies behind them."""
    order = np.argsort(vertices[faces][..., 2].mean(axis=1), kind="stable")  # far to near
    colours = fills if isinstance(fills, str) else fills[order]
    ax.add_collection(PolyCollection(vertices[faces[order]][..., :2], facecolors=colours, edgecolors=ink, lw=0.5))


def draw_change(ax: Axes, rest: np.ndarray, changed: np.ndarray, faces: np.ndarray) -> None:
    """Draw `changed` (V, 3) with the triangles that differ from `rest` filled, and the old place of moved vertices."""
    moved = np.abs(changed - rest).max(axis=1) > STILL  # (V,)
    draw_solid(ax, changed, faces, fills=np.where(moved[faces].any(axis=1), TOUCHED, "white"))
    paths = np.stack([rest[moved, :2], changed[moved, :2]], axis=1)  # (M, 2, 2)
    ax.add_collection(LineCollection(paths, colors=MOVED, linewidths=0.6))
    ax.plot(*changed[moved, :2].T, ".", color=MOVED, markersize=1.4)


def bare(ax: Axes, points: np.ndarray, *, margin: float = 0.04) -> None:
    """Show the extent of points (N, 2), and a `margin` of its height, in equal units and without any frame."""
    (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
    edge = margin * (top - bottom)
    ax.set(xlim=(left - edge, right + edge), ylim=(bottom - edge, top + edge), aspect="equal", xticks=[], yticks=[])
    ax.set_axis_off()


def _draw_group(ax: Axes, points: np.ndarray, name: str) -> None:
    colour, lines = GROUPS[name]
    for line in lines:
        ax.plot(*points[list(line)].T, "-", color=colour, lw=1.0, alpha=0.6)
    ax.scatter(*points[sorted({number for line in lines for number in line})].T, s=12, color=colour, zorder=3)


def _number(ax: Axes, points: np.ndarray, line: Sequence[int]) -> None:
    """Write the numbers beside the landmarks, away from the middle of their line where `_BESIDE` does not say."""
    numbers = sorted(set(line))
    mine = points[numbers]
    away = (mine - mine.mean(axis=0)) / (np.ptp(mine, axis=0) + _TINY)  # lids and lips are wide and low
    away[:] = _BESIDE.get(line[0], away)
    away[np.abs(away[:, 0]) > 0.45, 1] = 0.0  # the corners of the eyes and of the mouth
    away *= 9.0 / (np.linalg.norm(away, axis=1, keepdims=True) + _TINY)  # points of the page
    look = {"textcoords": "offset points", "ha": "center", "va": "center", "fontsize": 7, "color": GREY}
    for number, place, step in zip(numbers, mine, away, strict=True):
        ax.annotate(str(number), place, _STEPS.get(number, step), **look)


def _draw_changes(
    ax: Axes, mesh: Mesh, changed: np.ndarray, headings: list[tuple[str, str]], *, n_columns: int, below: float = 0.0
) -> np.ndarray:
    """Draw the faces (P, 113, 3) to one scale in rows of `n_columns`, with a heading and a note above each.

    Returns (P, 3) where they lie. `below`: free room under the last row, model units.
    """
    extent = np.concatenate([mesh.vertices, *changed])[:, :2]
    low, high = extent.min(axis=0), extent.max(axis=0)
    text = _LINE * (2 + max(heading.count("\n") for heading, _ in headings))
    width, height = high - low + np.array([0.12, text + _LINE])
    row, column = np.divmod(np.arange(len(changed)), n_columns)
    places = np.stack([column * width, -row * height, np.zeros(len(changed))], axis=1)
    for vertices, place, (heading, note) in zip(changed, places, headings, strict=True):
        draw_change(ax, mesh.vertices + place, vertices + place, mesh.faces)
        x, y = place[0], place[1] + high[1]
        ax.text(x, y + 0.17, heading, ha="center", va="bottom", fontsize=9, fontweight="bold")
        ax.text(x, y + 0.04, note, ha="center", va="bottom", fontsize=8)
    last = np.array([low[0], low[1] - row[-1] * height - below])
    bare(ax, np.stack([last, [high[0] + (n_columns - 1) * width, high[1] + text + 0.02]]), margin=0.01)
    return places


def _enlarge_eye(ax: Axes, mesh: Mesh, vertices: np.ndarray, place: np.ndarray) -> None:
    """Draw the lids of a face (113, 3) at `place` (3,) enlarged below it, at rest in grey; say how far they move."""
    size = np.ptp(_EYE, axis=0)
    ax.add_patch(Rectangle(tuple(_EYE[0] + place[:2]), *size, fill=False, edgecolor=GREY, linewidth=0.7, zorder=3))
    width, height = size * _ENLARGED
    x, y = place[0], place[1] + mesh.vertices[:, 1].min() - 0.08
    lens = ax.inset_axes((x - width / 2, y - height, width, height), transform=ax.transData)
    notes = []
    for name, lid in _LIDS.items():
        rest, now = mesh.vertices[list(lid)], vertices[list(lid)]
        moved, up = np.abs(now - rest).max() > STILL, (now - rest)[len(lid) // 2, 1]
        lens.plot(*rest[:, :2].T, "--", color=GREY, lw=0.8)
        lens.plot(*now[:, :2].T, "-", color=MOVED if moved else INK, lw=1.2)
        notes.append(f"{name} lid {_signed(up, digits=3) if abs(up) > STILL else 'still'}")
    lens.set(xlim=_EYE[:, 0], ylim=_EYE[:, 1], xticks=[], yticks=[])
    lens.spines[:].set(visible=True, color=GREY, linewidth=0.7)
    ax.text(x, y - height - 0.04, "\n".join(notes), ha="center", va="top", fontsize=7)


def _signed(value: float, *, digits: int = 0) -> str:
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def plot_fits(*, samples: Path, results: Path, predictions: Path, out_png: Path, out_csv: Path) -> None:
    """Draw fitted faces, their action units and what a classifier took them for.

    Parameters
    ----------
    results
        Folder with faces/CORPUS and candide/CORPUS.
    predictions
        Of a classifier of AU8, run.json beside it.
    """
    chosen = read_samples(samples)
    rows = choose_scenes(chosen.table, read_answers(predictions))
    n_scenes = rows.scene.nunique()
    judge = read_json(predictions.with_name("run.json"))
    title = corpus_title("Figure 4.5: fitted faces and action units", chosen.info, corpus=chosen.title)
    title += "\nabove a picture: the emotion shown; frame: how "
    title += f"{judge['variant']} classifies it, split {judge['seed'] + 1}"
    with saved_figure(title, 11.2, 1.0 + 1.62 * n_scenes, out_png) as figure:
        figure.set_layout_engine("constrained", w_pad=0.05, h_pad=0.02, wspace=0.0, hspace=0.0)
        draw_scenes(figure, rows, results)
    units = pd.DataFrame(np.stack(rows.units).astype(float), columns=AU_CODES, index=rows.index)
    facts = rows[["corpus", "clip", "role", "angle", "label_name", "predicted"]].rename(columns={"label_name": "truth"})
    write_numbers(out_csv, facts.join(units))
    log.info("%s: %d people, %d pictures", out_png, n_scenes, len(rows))


def read_answers(path: Path) -> pd.Series:
    """Return the emotion that a classifier gave to every clip: index clip, values of FACE4; nothing if it gave none.

    Raises
    ------
    TableError : the table is not that of a classifier of the four emotions.
    """
    rows = tables.read(path, tables.PREDICTIONS)
    if rows.empty:  # not applicable: no face had what it looks at
        return pd.Series(dtype=object)
    rows = rows[(rows.selection == "honest") & (rows["head"] == "fused")]
    if rows.empty or set(rows.logits.map(len)) != {len(FACE4)}:
        raise TableError(f"{path}: has no honest predictions of {len(FACE4)} emotions; name those of fit_classical")
    best = np.stack(rows.logits.to_list()).argmax(axis=1)
    return pd.Series([FACE4[k] for k in best], index=rows["clip"].to_numpy())


def choose_scenes(table: pd.DataFrame, answers: pd.Series) -> pd.DataFrame:
    """Return rows of SAMPLES with predicted (of FACE4 or `NO_ANSWER`) and scene, the text beside a row of the figure.

    Scenes are two people trained on, two tested from the front, one tested from 45 degrees, with at most one picture
    of each emotion. Of the people those with most emotions come first, then the first by name; the second one tested
    is the one about whom the classifier is wrong most often, or the figure would show its successes only. Which picture
    of an emotion: see `apexes`.

    Raises
    ------
    TableError : no picture is fitted.
    """
    fitted = table[table.verdict == FITTED]
    if fitted.empty:
        raise TableError(f"samples.parquet: none of {len(table)} pictures is fitted; look into the log of fit_candide")
    fitted = fitted.assign(predicted=[answers.get(clip, NO_ANSWER) for clip in fitted["clip"]])
    learnt = fitted[fitted.role == "training"]
    tested = fitted[(fitted.role != "training") & fitted.gaze.isin(["", "frontal"])]
    front, aside = tested[tested.angle == FRONTAL], tested[tested.angle == TURNED]
    first = _people(front)[:1]
    others = front[~front.person.isin(first)]
    people = [(learnt, person, "training") for person in _people(learnt)[:2]]
    people += [(front, person, "test") for person in first]
    people += [(others, person, "test, most errors") for person in _people(others, by_errors=True)[:1]]
    people += [(aside, person, f"test, {TURNED}°") for person in _people(aside)[:1]]
    scenes = [
        apexes(rows[rows.person == person], "person").sort_values("label").assign(scene=f"{person}\n{note}")
        for rows, person, note in people
    ]
    return pd.concat(scenes)


def _people(rows: pd.DataFrame, *, by_errors: bool = False) -> list[str]:
    """Return the people of `rows`: most emotions first, then, if asked, most errors, then by name."""
    people = rows.assign(right=rows.predicted == rows.label_name).groupby("person")
    n_emotions, n_wrong = people.label_name.nunique(), (people.size() - people.right.sum()) * by_errors
    return sorted(n_emotions.index, key=lambda person: (-n_emotions[person], -n_wrong[person], person))


def draw_scenes(figure: Figure, rows: pd.DataFrame, results: Path) -> None:
    """Draw rows of `choose_scenes`: per scene and emotion the picture with its mesh and the bars of its units."""
    reach = max(1.0, np.ceil(2.0 * np.abs(np.stack(rows.units)).max()) / 2.0)
    names = list(dict.fromkeys(rows.scene))
    axes = figure.subplots(len(names), 2 * len(FACE4), squeeze=False, width_ratios=[1.0, _BARS] * len(FACE4))
    samples = {(row.scene, row.label_name): row for _, row in rows.iterrows()}
    for (row, column), ax in np.ndenumerate(axes[:, ::2]):
        emotion, bars = FACE4[column], axes[row, 2 * column + 1]
        ax.set_title(emotion, fontsize=8)
        if (sample := samples.get((names[row], emotion))) is None:
            hide_frame(ax)
            hide_frame(bars)
            ax.set_facecolor(ABSENT)
            ax.set_box_aspect(1)
            ax.text(0.5, 0.5, "none of\nthis person", transform=ax.transAxes, ha="center", va="center", color=GREY)
            continue
        region, points = read_face(sample, results)
        draw_face(ax, region, points, colour=CLASS_COLOURS.get(sample.predicted, GREY))
        ax.set_xlabel(f"classified as {sample.predicted}", fontsize=7.5, labelpad=4)
        draw_bars(bars, np.asarray(sample.units), reach=reach)
        bars.tick_params(labelbottom=(row + 1 == len(names)) or (names[row + 1], emotion) not in samples)
    for ax, name in zip(axes[:, 0], names, strict=True):
        ax.set_ylabel(name, fontsize=8)
    codes = ", ".join(f"{code} {name}" for code, name in zip(AU_CODES, AU_NAMES, strict=True))
    marks = [Patch(facecolor=colour, label=name) for name, colour in CLASS_COLOURS.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=len(marks), title=codes, title_fontsize=7)


def read_face(sample: pd.Series, results: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the region (S, S, 3) uint8 of a row of SAMPLES, and its fitted mesh (113, 2), px of the region.

    Raises
    ------
    TableError : a shard or a fit is missing, or belongs to other samples.
    """
    shard = read_faces(results / "faces" / sample.corpus / sample.part)
    folder = results / "candide" / sample.corpus / sample.part
    fits = read_fits(folder)
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
    return region, to_region(points, x=frame.x, y=frame.y, side=frame.side, size_px=len(region))


def to_region(points: np.ndarray, *, x: float, y: float, side: float, size_px: int) -> np.ndarray:
    """Map points (..., 2), px of the source picture, to px of the stored region; pixel centres are at integers.

    x, y, side : the square in the source picture, see FRAMES: it begins half a pixel before the centre of pixel x, y.
    size_px : side of the stored region.
    """
    return (points - [x, y] + 0.5) * (size_px / side) - 0.5


def draw_face(ax: Axes, region: np.ndarray, points: np.ndarray, *, colour: str) -> None:
    """Draw a region (S, S, 3) in a frame, with those triangles of the mesh (113, 2), px of it, that are seen."""
    mesh = load_mesh()
    ax.imshow(region, interpolation="bilinear")
    ax.triplot(*points.T, mesh.faces[facing(points, mesh)], color="white", linewidth=0.45, alpha=0.85)
    size = len(region)
    ax.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=colour, linewidth=3.0)


def draw_bars(ax: Axes, units: np.ndarray, *, reach: float) -> None:
    """Draw the eight action units (8,) as bars from the top, on an axis with ticks at -reach, 0 and reach."""
    place = np.arange(len(units))
    ax.barh(place, units, color=np.where(units > 0, "#4477aa", "#aa7744"), height=0.7)
    ax.axvline(0.0, color=GREY, lw=0.6)
    ax.set(xlim=(-1.05 * reach, 1.05 * reach), ylim=(len(units) - 0.4, -0.6))
    ax.set_yticks(place, AU_CODES)
    ax.set_xticks([-reach, 0.0, reach], [f"\N{MINUS SIGN}{reach:g}", "0", f"{reach:g}"])
    ax.tick_params(length=0, pad=1, labelsize=6.5)
    ax.grid(axis="x", color="#dddddd", alpha=1.0, lw=0.5)
    ax.set_axisbelow(True)
    ax.spines[:].set_visible(False)
    ax.set_box_aspect(1.0 / _BARS)
