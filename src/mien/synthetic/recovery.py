"""Fitted units and poses beside the true ones of embedded people, and how far they agree."""

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from mien.candide.correspondence import ACTIONS, AU_NAMES
from mien.candide.fit import FITTED
from mien.candide.pose import rotation_matrix, rotation_vector
from mien.core import tables
from mien.core.errors import TableError
from mien.core.files import read_json
from mien.core.parts import INDEX

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


@dataclass(frozen=True, eq=False)
class Recovery:
    """N frames of one source whose truth is known; NaN where the mesh was not fitted."""

    actor: np.ndarray  # (N,) text
    truth: np.ndarray  # (N, 8) true units in the order of the thesis
    units: np.ndarray  # (N, 8) fitted
    turn_deg: np.ndarray  # (N, 3) rotation vector from the true to the fitted head

    def take(self, chosen: np.ndarray) -> "Recovery":
        """Return the frames of a mask (N,) bool."""
        return Recovery(*(getattr(self, field.name)[chosen] for field in fields(self)))


def joined(recoveries: list[Recovery]) -> Recovery:
    """Return the frames of several recoveries as one."""
    return Recovery(*(np.concatenate([getattr(one, field.name) for one in recoveries]) for field in fields(Recovery)))


def recover_twin(corpus: str, candide: Path, data: Path) -> tuple[Recovery, np.ndarray]:
    """Put the fits of an embedded corpus beside its truth; return them and the camera (N,) of every frame, degrees.

    A fitted frame belongs to the true frame of its clip that is nearest in time, at most half a frame away; a clip
    with one true frame is a still.

    Raises
    ------
    TableError : fits or truth are missing or damaged.
    """
    truth = _true_frames(corpus, data / f"{corpus}.truth")
    still = truth.groupby("clip").time_s.transform("size") == 1
    truth["time_s"] = truth.time_s.mask(still, 0.0)  # CK+ and MUG: a frame of a sequence is a clip, shown at its own 0
    steps = truth.groupby("clip").time_s.diff()
    half = float(steps.median() / 2) if steps.notna().any() else 0.0
    fits, truth = (table.sort_values(["time_s", "clip"], kind="stable") for table in (_fits(candide / corpus), truth))
    both = pd.merge_asof(
        fits, truth, on="time_s", by="clip", direction="nearest", tolerance=half + 1e-6, suffixes=("", "_true")
    )
    both = both[both.pose.notna()].sort_values(["clip", "frame"], kind="stable")
    recovery = Recovery(
        both.actor.to_numpy(dtype=object),
        _stacked(both.units_true, 11)[:, ACTIONS],
        np.where((both.verdict == FITTED).to_numpy()[:, None], _stacked(both.units, 8), np.nan),
        rotation_between(_stacked(both.pose, 3), _stacked(both.rotation, 3)),
    )
    return recovery, np.array([_camera(corpus, clip) for clip in both["clip"]], dtype=int)


def has_truth(corpus: str, data: Path) -> bool:
    """Say whether `corpus` is embedded now; a truth beside recordings of real people is a left-over."""
    manifest = data / f"{corpus}.json"
    made = not manifest.is_file() or read_json(manifest).get("source") == "synthetic"
    return made and (data / f"{corpus}.truth").is_dir()


def measure(recovery: Recovery, *, source: str, corpus: str, angle: int) -> list[dict]:
    """Return a row of COLUMNS for each of the eight units and for both lid units; NaN where a number is undefined."""
    fitted = recovery.take(np.isfinite(recovery.units).all(axis=1))
    truth, found = (_with_lids(units) for units in (fitted.truth, fitted.units))
    truth_within, found_within = (_centred(units, fitted.actor) for units in (truth, found))
    poses = _pose_errors(fitted.turn_deg)
    rows = []
    for k, unit in enumerate((*AU_NAMES, LIDS)):
        error = found[:, k] - truth[:, k]
        values = (
            *(source, corpus, angle, unit, len(recovery.actor), len(error)),
            correlation(truth[:, k], found[:, k]),
            correlation(truth_within[:, k], found_within[:, k]),
            float(np.sqrt(np.mean(error**2))) if len(error) else np.nan,
            *poses,
        )
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


def _pose_errors(turn_deg: np.ndarray) -> list[float]:
    """Return median and 95 % quantile of the angles of turns (N, 3), and the mean turn about x, y and z."""
    if not len(turn_deg):
        return [np.nan] * 5
    angle = np.linalg.norm(turn_deg, axis=1)
    return [*np.quantile(angle, [0.5, 0.95]).tolist(), *turn_deg.mean(axis=0).tolist()]


def _true_frames(corpus: str, folder: Path) -> pd.DataFrame:
    """Return clip, actor, time_s, units (11,) and pose (3,) of every frame of a truth folder."""
    frames = _read(folder / "frames.parquet", ["clip", "time_s", "units", "pose"])
    clips = _read(folder / "clips.parquet", ["clip", "actor"])
    frames = frames.merge(clips, on="clip", how="left")
    if corpus == _TABLED:  # planted rows show somebody else or nothing
        frames["clip"] = [f"{row:05d}" for row in range(len(frames))]
        frames = frames[~frames["clip"].isin(_read(folder / "planted.parquet", ["clip"])["clip"])]
    return frames


def _fits(folder: Path) -> pd.DataFrame:
    parts = read_json(folder / "manifest.json")["parts"]
    fits = [tables.read(folder / part / INDEX, tables.FITS) for part in sorted(parts)]
    return pd.concat(fits or [tables.empty(tables.FITS)], ignore_index=True)


def _read(path: Path, columns: list[str]) -> pd.DataFrame:
    try:
        return pd.read_parquet(path, columns=columns)
    except FileNotFoundError:
        raise TableError(f"{path} is missing; make the corpus again (get_corpus)") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise TableError(f"{path} is damaged ({error}); delete its folder and make the corpus again") from error


def _camera(corpus: str, clip: str) -> int:
    return int(clip[4:7]) if corpus == "rafd" else FRONTAL  # Rafd045_...


def _stacked(rows: pd.Series, width: int) -> np.ndarray:
    return np.stack(rows.to_list()).astype(np.float64) if len(rows) else np.empty((0, width))


def _with_lids(units: np.ndarray) -> np.ndarray:
    tightener, closed = AU_NAMES.index("lid tightener"), AU_NAMES.index("eyes closed")
    return np.column_stack([units, units[:, tightener] + units[:, closed]])


def _centred(values: np.ndarray, actor: np.ndarray) -> np.ndarray:
    table = pd.DataFrame(values)
    return (table - table.groupby(actor.astype(str)).transform("mean")).to_numpy()
