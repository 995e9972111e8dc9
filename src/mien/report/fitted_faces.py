"""Choose fitted faces, put the mesh on the stored region, draw both beside the action units (thesis, figure 4.5)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mien.candide.correspondence import AU_CODES, AU_NAMES
from mien.candide.fit import FITTED, place_mesh
from mien.candide.mesh import load_mesh
from mien.core import tables
from mien.core.errors import TableError
from mien.core.shards import read_faces
from mien.report.emotions import CLASS_COLOURS
from mien.report.figures import GREY
from mien.report.wireframe import draw_lines, edges, facing
from mien.samples.face4 import FACE4
from mien.samples.gather import FRONTAL

HONEST, FUSED = "honest", "fused"
TURNED = 45  # degrees of the camera
NO_ANSWER = "none"  # where the classifier has no row for a picture
_ABSENT = "#f2f2f2"
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
    fits, people = (
        tables.read(folder / "index.parquet", tables.FITS),
        tables.read(folder / "people.parquet", tables.PEOPLE),
    )
    actor = sample.person.removeprefix(f"{sample.corpus}/")
    person = people[people.actor == actor]
    if not sample["row"] < len(fits) == len(shard.index) or fits["clip"][sample["row"]] != sample["clip"]:
        raise TableError(f"{folder}: row {sample['row']} is not {sample['clip']}; run fit_candide and select_samples")
    if len(person) != 1:
        raise TableError(f"{folder / 'people.parquet'}: {actor!r} is there {len(person)} times; run fit_candide again")
    fit, frame = fits.loc[sample["row"]], shard.index.loc[sample["row"]]
    points = place_mesh(
        person["shape"].iloc[0],
        units=fit.units,
        rotation=fit.rotation,
        scale=np.float64(fit.scale),
        origin=fit.origin,
    )
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
    draw_lines(ax, face.mesh, edges(seen), colour="white", width=0.45, alpha=0.85)
    size = len(face.region)
    ax.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(visible=True, color=colour, linewidth=3.0)


def _draw_absent(ax: Axes, emotion: str) -> None:
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if emotion:
        ax.set_title(emotion, fontsize=8)
        ax.set_facecolor(_ABSENT)
        ax.set_box_aspect(1)
        ax.text(0.5, 0.5, "none of\nthis person", transform=ax.transAxes, ha="center", va="center", color=GREY)
