"""Fitted action units and poses compared with the true ones of synthetic people.

The truth is known twice: of landmarks that are computed from the mesh, exact but for a little noise, and of the
synthetic corpora, where dlib found the landmarks in pictures.
"""

import itertools
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mien.candide.fit import FITTED, fit_frames, fit_shapes
from mien.candide.mesh import ACTIONS, AU_NAMES, LANDMARKS, N_ACTIONS, VERTICES, load_mesh
from mien.candide.pose import project, rotation_matrix, rotation_vector
from mien.config.schema import CandideConfig, load, section
from mien.errors import TableError
from mien.io import tables
from mien.io.files import atomic_file, read_json
from mien.io.randomness import rng_for
from mien.io.shards import read_fits
from mien.synthetic.people import CLEAR, EMOTIONS, Person, face_units, person_for

log = logging.getLogger(__name__)

FRONTAL = 90  # degrees of the camera as RaFD counts them: 90 + yaw of the head
LIDS = "both lid units"  # tightener and closed eyes move the same points almost alike (specification 3.5): their sum
COLUMNS = [
    "source",  # random or acted: exact landmarks with noise; dlib: landmarks found in pictures
    "corpus",  # empty for exact landmarks
    "angle",  # of the camera, degrees, 90 is frontal
    "unit",
    "n_frames",  # whose truth is known
    "n",  # of these, fitted: what follows is about them
    "correlation",
    "correlation_within",  # after the mean of every person is taken off both sides
    "rmse",
    "pose_median_deg",  # angle between the true and the fitted head; this and what follows are the same for all units
    "pose_q95_deg",
    "pitch_bias_deg",  # mean turn from the true to the fitted head about the camera's x axis (to the right)
    "yaw_bias_deg",  # y axis (up)
    "roll_bias_deg",  # z axis (to the viewer)
]

_TABLED = "fer2013"  # its clips are rows of one table, written person by person

# Of exact faces.
CAMERAS = (90, 120, 135, 180)  # degrees, 90 + yaw
NOISE = 0.01  # standard deviation of each coordinate, model units
_N_PEOPLE = 24
_INTENSITIES = (0.3, 0.6, 0.8, 1.0)  # of every emotion
_N_FACES = len(EMOTIONS) * len(_INTENSITIES)  # of a person before one camera
_PX = 100.0  # per model unit: a face about 200 px high
_ORIGIN = np.array([320.0, 240.0])  # px
_POSE_SPREAD = (0.04, 0.03, 0.025)  # rad, of a head in front of a camera, as in `performance.portrait`

NOTICE = "Synthetic people: the faces are computed, so this is not a result on people."
RANDOM, ACTED, DLIB = "random", "acted", "dlib"
SOURCE = ["source", "corpus", "angle"]


@dataclass(frozen=True, eq=False)
class Recovery:
    """N frames whose truth is known; NaN where the mesh was not fitted."""

    actor: np.ndarray  # (N,) text
    camera: np.ndarray  # (N,) degrees
    truth: np.ndarray  # (N, 8) true units in the order of the thesis
    units: np.ndarray  # (N, 8) fitted
    turn_deg: np.ndarray  # (N, 3) rotation vector from the true to the fitted head


def recover_embedded(corpus: str, candide: Path, data: Path) -> Recovery:
    """Put the fits of an embedded corpus beside its truth.

    A fitted frame belongs to the true frame of its clip that is nearest in time, at most half a frame away; a clip
    with one true frame is a still.

    Raises
    ------
    TableError : fits or truth are missing or damaged.
    """
    folder = data / f"{corpus}.truth"
    truth = _read(folder / "frames.parquet", ["clip", "time_s", "units", "pose"])
    truth = truth.merge(_read(folder / "clips.parquet", ["clip", "actor"]), on="clip", how="left")
    if corpus == _TABLED:  # planted rows show somebody else or nothing
        truth["clip"] = [f"{row:05d}" for row in range(len(truth))]
        truth = truth[~truth["clip"].isin(_read(folder / "planted.parquet", ["clip"])["clip"])]
    still = truth.groupby("clip").time_s.transform("size") == 1
    truth["time_s"] = truth.time_s.mask(still, 0.0)  # CK+ and MUG: a frame of a sequence is a clip, shown at its own 0
    steps = truth.groupby("clip").time_s.diff()
    half = float(steps.median() / 2) if steps.notna().any() else 0.0
    parts = sorted(read_json(candide / corpus / "manifest.json")["parts"])
    fits = [read_fits(candide / corpus / part) for part in parts]
    fits = pd.concat(fits or [tables.empty(tables.FITS)], ignore_index=True)
    fits, truth = (table.sort_values(["time_s", "clip"], kind="stable") for table in (fits, truth))
    both = pd.merge_asof(
        fits, truth, on="time_s", by="clip", direction="nearest", tolerance=half + 1e-6, suffixes=("", "_true")
    )
    both = both[both.pose.notna()].sort_values(["clip", "frame"], kind="stable")
    cameras = [int(clip[4:7]) if corpus == "rafd" else FRONTAL for clip in both["clip"]]  # Rafd045_...
    return Recovery(
        both.actor.to_numpy(dtype=object),
        np.array(cameras, dtype=int),
        _stacked(both.units_true, 11)[:, ACTIONS],
        np.where((both.verdict == FITTED).to_numpy()[:, None], _stacked(both.units, 8), np.nan),
        rotation_between(_stacked(both.pose, 3), _stacked(both.rotation, 3)),
    )


def has_truth(corpus: str, data: Path) -> bool:
    """Say whether `corpus` is embedded now; a truth beside recordings of real people is a left-over."""
    manifest = data / f"{corpus}.json"
    made = not manifest.is_file() or read_json(manifest).get("source") == "synthetic"
    return made and (data / f"{corpus}.truth").is_dir()


def measure(recovery: Recovery, *, source: str, corpus: str) -> list[dict]:
    """Return a row of COLUMNS for every camera and each of the eight units and both lid units; NaN: undefined."""
    lids = [AU_NAMES.index("lid tightener"), AU_NAMES.index("eyes closed")]
    rows = []
    for camera in sorted(set(recovery.camera.tolist())):
        here = recovery.camera == camera
        known = here & np.isfinite(recovery.units).all(axis=1)
        people, turn_deg = recovery.actor[known].astype(str), recovery.turn_deg[known]
        sides = [
            np.column_stack([units, units[:, lids].sum(axis=1)])
            for units in (recovery.truth[known], recovery.units[known])
        ]
        within = [(units - pd.DataFrame(units).groupby(people).transform("mean")).to_numpy() for units in sides]
        poses = [np.nan] * 5
        if len(people):
            quantiles = np.quantile(np.linalg.norm(turn_deg, axis=1), [0.5, 0.95])
            poses = [*quantiles.tolist(), *turn_deg.mean(axis=0).tolist()]
        for k, unit in enumerate((*AU_NAMES, LIDS)):
            correlations = [correlation(one[:, k], other[:, k]) for one, other in (sides, within)]
            error = sides[1][:, k] - sides[0][:, k]
            rmse = float(np.sqrt(np.mean(error**2))) if len(error) else np.nan
            values = (source, corpus, camera, unit, int(here.sum()), len(error), *correlations, rmse, *poses)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation; NaN where fewer than three pairs, or one side constant, leave it undefined."""
    if len(one) < 3 or min(np.ptp(one), np.ptp(other)) < 1e-9:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def rotation_between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the rotation vectors (N, 3), degrees, that lead from rotations (N, 3) rad to others; NaN stays NaN."""
    turn = np.full((len(one), 3), np.nan)
    known = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    matrix = rotation_matrix(other[known]) @ np.swapaxes(rotation_matrix(one[known]), -1, -2)
    turn[known] = np.rad2deg(rotation_vector(matrix))
    return turn


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, columns=columns)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; make the corpus again (get_corpus)") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is damaged ({error}); delete its folder and make the corpus again") from error


def _stacked(rows: pd.Series, width: int) -> np.ndarray:
    return np.stack(rows.to_list()).astype(np.float64) if len(rows) else np.empty((0, width))


def recover_exact(seed: int, config: CandideConfig, *, acted: bool) -> Recovery:
    """Fit people of whom the landmarks are computed, before all CAMERAS.

    As in the thesis, a neutral frontal face gives the shape of a person; then every face is fitted alone.

    Parameters
    ----------
    acted : True: people show all emotions, weakly to fully. As those of the embedded corpora, they move all 11 action
        units and differ in all 14 shape units, of which the fit knows 8 and 7, and their neutral face, from which the
        fit has their shape, is not quite still. False: the eight units of the fit are drawn evenly from -1 to 1, and
        the neutral face is still.
    """
    found = []
    cameras = np.repeat(CAMERAS, _N_FACES)
    for actor in (f"{number:02d}" for number in range(_N_PEOPLE)):
        person = person_for(seed, "exact", actor, "")
        scope = (seed, "exact", actor, "acted" if acted else "random")
        rng = rng_for(*scope)
        neutral = face_units(person, emotion="neutral", intensity=0.0, fuzziness=CLEAR, rng=rng) if acted else None
        neutral = np.zeros((1, N_ACTIONS)) if neutral is None else neutral[None]
        shapes, _ = fit_shapes(photograph(person, neutral, config, yaw_deg=0.0, rng=rng)[0], config)
        landmarks, poses, units = [], [], []
        for camera in CAMERAS:
            rng = rng_for(*scope, camera)  # a camera more or less changes nothing for the others
            shown = np.zeros((_N_FACES, N_ACTIONS))
            if acted:
                for row, (emotion, intensity) in enumerate(itertools.product(EMOTIONS, _INTENSITIES)):
                    shown[row] = face_units(person, emotion=emotion, intensity=intensity, fuzziness=CLEAR, rng=rng)
            else:
                shown[:, ACTIONS] = rng.uniform(-1.0, 1.0, (_N_FACES, len(ACTIONS)))
            seen, pose = photograph(person, shown, config, yaw_deg=float(camera - FRONTAL), rng=rng)
            units.append(shown)
            landmarks.append(seen)
            poses.append(pose)
        frames = fit_frames(
            np.concatenate(landmarks),
            found=np.ones(len(cameras), bool),
            recordings=list(np.arange(len(cameras))[:, None]),
            shape=shapes[0],
            config=config,
        )
        turn_deg = rotation_between(np.concatenate(poses), frames.rotation)
        truth = np.concatenate(units)[:, ACTIONS]
        found.append((np.full(len(cameras), actor, object), cameras, truth, frames.units, turn_deg))
    return Recovery(*map(np.concatenate, zip(*found, strict=True)))


def photograph(
    person: Person, units: np.ndarray, config: CandideConfig, *, yaw_deg: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks (N, 68, 2) px of faces with `units` (N, 11), and their poses (N, 3) rad.

    The 33 landmarks that no vertex stands for lie in the middle of the others; the fit does not look at them.
    """
    pose = np.array([0.0, np.deg2rad(yaw_deg), 0.0]) + rng.normal(0.0, _POSE_SPREAD, (len(units), 3))
    vertices = load_mesh().deform(np.array(person.looks.shape), units)[:, list(VERTICES[config.landmarks])]
    points = project(vertices, rotation_matrix(pose), np.full(len(units), _PX), np.tile(_ORIGIN, (len(units), 1)))
    points += rng.normal(0.0, NOISE * _PX, points.shape)
    landmarks = np.repeat(points.mean(axis=1, keepdims=True), 68, axis=1)
    landmarks[:, list(LANDMARKS)] = points
    return landmarks, pose


def check_units(
    *, candide: Path, data: Path, corpora: list[str], out_csv: Path, out_md: Path, config: str = "params.yaml"
) -> None:
    """Compare fitted action units and poses with the truth of synthetic people.

    Twice with landmarks that are exact but for a little noise, once with those that dlib found in every synthetic
    corpus.

    Parameters
    ----------
    candide : Path
        Folder with the fits of every corpus.
    data : Path
        Folder with <corpus>.truth.
    corpora : list of str
        Names of corpora that were fitted.
    """
    params = load(config)
    settings = section(CandideConfig, params, "candide")
    measured = [
        (RANDOM, "", recover_exact(params["seed"], settings, acted=False)),
        (ACTED, "", recover_exact(params["seed"], settings, acted=True)),
    ]
    without = [corpus for corpus in corpora if not has_truth(corpus, data)]
    measured += [(DLIB, one, recover_embedded(one, candide, data)) for one in corpora if one not in without]
    rows = []
    for source, corpus, recovery in measured:
        if not len(recovery.camera):
            log.warning("%s: no fitted frame belongs to a frame of the truth", corpus)
        rows += measure(recovery, source=source, corpus=corpus)
    table = pd.DataFrame(rows, columns=COLUMNS)
    with atomic_file(out_csv) as scratch:
        table.round(9).to_csv(scratch, index=False, float_format="%.4f", lineterminator="\n")
    with atomic_file(out_md) as scratch:
        scratch.write_text(render(table, without, settings), encoding="utf-8", newline="\n")
    log.info("%d sources measured; no truth: %s", table.groupby(SOURCE).ngroups, ", ".join(without) or "none")


def render(table: pd.DataFrame, without: list[str], config: CandideConfig) -> str:
    """Return the page: the correlations of every unit and source, then errors and poses."""
    first = table.drop_duplicates(SOURCE).set_index(SOURCE)
    names = {}
    for source, corpus, angle in first.index:
        exact = f"exact, {'random units' if source == RANDOM else source}, yaw {angle - FRONTAL}"
        embedded = f"{corpus}, camera {angle}" if corpus == "rafd" else corpus
        names[source, corpus, angle] = embedded if source == DLIB else exact

    def by_unit(column: str) -> str:
        wide = table.pivot(index=SOURCE, columns="unit", values=column)[table.unit.unique()]
        return _grid([{"landmarks": name} | wide.loc[key].map(_number).to_dict() for key, name in names.items()])

    columns = {"median": "pose_median_deg", "95%": "pose_q95_deg"}
    columns |= {f"{axis} bias": f"{axis}_bias_deg" for axis in ("pitch", "yaw", "roll")}
    poses = []
    for key, name in names.items():
        row = first.loc[key]
        counts = {"frames": f"{row.n_frames}", "fitted": f"{row.n}", "%": f"{100 * row.n / row.n_frames:.1f}"}
        poses.append({"landmarks": name} | counts | {head: _number(row[column]) for head, column in columns.items()})
    blocks = [
        "# Action units: fitted and true",
        f"**{NOTICE}**",
        "What the Candide-3 fit finds in faces whose units and pose are known. Exact: landmarks are the true places of"
        " the 35 vertices with noise of 0.01 model units, and the shape comes from one neutral frontal face of the"
        " person. Random units: the eight units of the fit, drawn evenly from -1 to 1. Acted: emotions as the synthetic"
        " people act them, with 11 moving units, of which the fit knows 8. Other rows: landmarks that dlib found in the"
        " pictures of the synthetic corpora, where people act too, and the shape is that of neutral pictures, or of all"
        " frames of films; RaFD by camera, 90 is frontal. All people differ in"
        f" 14 shape units, of which the fit knows 7. Settings: candide.landmarks {config.landmarks}, candide.ridge"
        f" {config.ridge:g}. A - stands for nothing to report: too few fitted frames, or a unit that never moves.",
        "## Correlation with the true unit",
        by_unit("correlation"),
        "## Correlation within a person",
        "The mean of every person is taken off both sides: what is left is how a face moves, not whose face it is.",
        by_unit("correlation_within"),
        "## Root mean square error of the unit",
        by_unit("rmse"),
        "## Pose, and how much was fitted",
        "Degrees. Median and 95% quantile of the angle between the true and the fitted head; bias: mean turn from the"
        " true to the fitted head about the camera's axes to the right (pitch), up (yaw) and to the viewer (roll).",
        *_warning(first.reset_index()),
        _grid(poses),
    ]
    if without:
        blocks.append(f"No truth, so nothing is said about: {', '.join(without)}.")
    return "\n\n".join(blocks) + "\n"


def _warning(first: pd.DataFrame) -> list[str]:
    """Say how far dlib's landmarks lead the fitted heads astray; `first` has a row per source."""
    found = first[(first.source == DLIB) & (first.n > 0)]
    if found.empty:
        return []
    pitch = found.pitch_bias_deg
    text = (
        f"With dlib's landmarks the pitch bias lies between {_number(pitch.min())} and {_number(pitch.max())}, where a"
        " negative one says that heads are fitted leaning too far back"
    )
    pulled = found[found.yaw_bias_deg * (found.angle - FRONTAL) < 0]
    places = [f"camera {row.angle} (yaw bias {_number(row.yaw_bias_deg)})" for row in pulled.itertuples()]
    return [f"{text}; turned heads are fitted too near the front at {' and '.join(places)}." if places else f"{text}."]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}".replace("-0.00", "0.00")


def _grid(rows: list[dict[str, str]]) -> str:
    table = pd.DataFrame(rows)
    align = ["left", *["right"] * (table.shape[1] - 1)]
    return table.to_markdown(index=False, disable_numparse=True, colalign=align)
