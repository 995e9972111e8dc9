"""The action units and the head pose of every frame of a clip (thesis 4.1): the Candide-3 mesh fitted to its track."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.candide.fit import FEWEST_FRAMES, FITTED, MOST_FRAMES, Frames, fit_frames, fit_median_shape, fit_shapes
from mien.candide.mesh import AU_CODES, AU_NAMES, SHAPES
from mien.candide.pose import rotation_matrix
from mien.config.schema import CandideConfig, FacesConfig
from mien.errors import MediaError
from mien.faces.extract import open_pictures
from mien.faces.track import Track, follow
from mien.io import isolated
from mien.io.files import atomic_file

POSE = ("yaw_deg", "pitch_deg", "roll_deg")
COLUMNS = ("time_s", "verdict", *(name.replace(" ", "_") for name in AU_NAMES), *POSE, "residual", "person")


@dataclass(frozen=True, eq=False)
class Shape:
    """The face of a person at rest: (7,) shape unit coefficients and where they come from, in words."""

    source: str
    coefficients: np.ndarray


@dataclass(frozen=True, eq=False)
class FittedUnits:
    """What was fitted to the T frames of a clip; pose_deg (T, 3) yaw, pitch and roll, NaN where not fitted."""

    shape: Shape
    time_s: np.ndarray  # (T,)
    frames: Frames
    pose_deg: np.ndarray

    @property
    def n_fitted(self) -> int:
        """Return the number of frames with units."""
        return int((self.frames.verdict == FITTED).sum())


def fit_units(track: Track, config: CandideConfig, *, shape: Shape | None = None) -> FittedUnits | None:
    """Fit the mesh to every frame of a clip; None if no frame has a face.

    Parameters
    ----------
    shape
        Of the person; None: `median_shape` of the clip.
    """
    if not track.found.any():
        return None
    shape = shape or median_shape(track.landmarks[track.found], config)
    every = [np.arange(len(track.found))]
    frames = fit_frames(track.landmarks, found=track.found, recordings=every, shape=shape.coefficients, config=config)
    return FittedUnits(shape, track.time_s, frames, compute_head_pose(frames.rotation))


class StreamingUnits:
    """The action units of a face, frame after frame, with the person's `median_shape` as far as it is known by then."""

    def __init__(self, config: CandideConfig) -> None:
        self.config = config
        self.newest: np.ndarray | None = None  # (8,)
        self._shape = np.zeros(len(SHAPES))
        self._landmarks: list[np.ndarray] = []  # of the first frames
        self._next = FEWEST_FRAMES  # number of frames at which the shape is fitted anew

    def fit(self, landmarks: np.ndarray) -> None:
        """Fit the units to (68, 2) px."""
        if len(self._landmarks) < MOST_FRAMES:
            self._landmarks.append(landmarks)
            if len(self._landmarks) == self._next:
                self._shape = median_shape(np.stack(self._landmarks), self.config).coefficients
                self._next = min(2 * self._next, MOST_FRAMES)
        frames = fit_frames(
            landmarks[None], found=np.ones(1, bool), recordings=[np.arange(1)], shape=self._shape, config=self.config
        )
        self.newest = frames.units[0] if frames.verdict[0] == FITTED else None


def fit_neutral_shape(picture: Path, *, faces: FacesConfig, config: CandideConfig) -> Shape:
    """Fit the shape of a person to a picture of the neutral face, seen from the front.

    Raises
    ------
    MediaError : no picture, no face in it, or a face that the mesh does not fit.
    """
    if not picture.is_file():
        raise MediaError(f"{picture}: --neutral should be a picture, and there is no such file")
    if not isolated.is_still(picture):
        raise MediaError(f"{picture}: --neutral should be a picture of the person's neutral face")
    track = follow(open_pictures(picture, faces.rate_fps, reader=isolated), faces)
    if not track.found.all():
        raise MediaError(f"{picture}: there is no face in it; give --neutral a frontal picture of the neutral face")
    shapes, verdicts = fit_shapes(track.landmarks, config)
    if verdicts[0] != FITTED:
        raise MediaError(f"{picture}: the mesh cannot be fitted to its face ({verdicts[0]}); give --neutral another")
    return Shape(picture.name, shapes[0])


def median_shape(landmarks: np.ndarray, config: CandideConfig) -> Shape:
    """Return `fit_median_shape` of (T, 68, 2) px, as films of a corpus are fitted; else the mean face."""
    shape = fit_median_shape(landmarks, config)
    return Shape("mean face", np.zeros(len(SHAPES))) if shape is None else Shape("median of the clip", shape)


def compute_head_pose(rotation: np.ndarray) -> np.ndarray:
    """Turn rotation vectors (..., 3) rad of the mesh into (..., 3) yaw, pitch and roll in degrees; NaN stays NaN.

    The head is turned by R = R_y(yaw) R_x(-pitch) R_z(-roll); +x is the subject's left, +y up, +z to the viewer. So
    yaw (-180 to 180) and pitch (-90 to 90) say where the nose points, positive to the subject's left and up, and roll
    (-180 to 180) turns the head about its own nose, positive when it tilts to the subject's left shoulder.
    """
    known = np.isfinite(rotation).all(axis=-1)
    matrix = rotation_matrix(np.where(known[..., None], rotation, 0.0))
    nose = matrix[..., :, 2]
    yaw = np.arctan2(nose[..., 0], nose[..., 2])
    pitch = np.arcsin(np.clip(nose[..., 1], -1.0, 1.0))
    roll = np.arctan2(-matrix[..., 1, 0], matrix[..., 1, 1])
    return np.where(known[..., None], np.rad2deg(np.stack([yaw, pitch, roll], axis=-1)), np.nan)


def write_units(path: Path, units: Mapping[int, FittedUnits]) -> None:
    """Write a row per person and frame, the columns `COLUMNS`; cells are empty where the mesh was not fitted."""
    rows = []
    for person, one in units.items():
        for frame in _list_frames(one):
            fitted = frame["units"] or [None] * len(AU_NAMES)
            further = [frame[name] for name in (*POSE, "residual")]
            rows.append([frame["time_s"], frame["verdict"], *fitted, *further, person])
    with atomic_file(path) as scratch:
        pd.DataFrame(rows, columns=COLUMNS).to_csv(scratch, index=False)


def summarise_units(units: FittedUnits | None) -> dict[str, Any] | None:
    """Return what stands under "units" in the JSON of a clip; None without a face."""
    if units is None:
        return None
    coefficients = [_rounded(value, 4) for value in units.shape.coefficients]
    return {
        "names": list(AU_NAMES),
        "codes": list(AU_CODES),
        "shape": {"source": units.shape.source, "coefficients": coefficients},
        "frames": _list_frames(units),
    }


def _list_frames(units: FittedUnits) -> list[dict[str, Any]]:
    """Return a mapping per frame: time_s, verdict, units (8 numbers, None where not fitted), pose and residual."""
    frames = units.frames
    rows = zip(units.time_s, frames.verdict, frames.units, units.pose_deg, frames.residual, strict=True)
    return [
        {
            "time_s": _rounded(time_s, 3),
            "verdict": str(verdict),
            "units": [_rounded(value, 4) for value in fitted] if verdict == FITTED else None,
            **{name: _rounded(value, 2) for name, value in zip(POSE, pose, strict=True)},
            "residual": _rounded(residual, 5),
        }
        for time_s, verdict, fitted, pose, residual in rows
    ]


def _rounded(value: float, digits: int) -> float | None:
    return None if math.isnan(value) else round(float(value), digits)
