"""The action units of a corpus, as the networks see them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core import tables
from mien.samples.gather import FITTED


@dataclass(frozen=True)
class Motion:
    """The frames of a clip that the mesh was fitted to; units (n, 8) float32 (AU8), time_s (n,) ascending."""

    units: np.ndarray
    time_s: np.ndarray
    duration_s: float


def read_motions(folders: list[Path], usable: set[str], *, rate_fps: float) -> dict[str, Motion]:
    """Return clip -> `Motion` of those among the `usable` clips that have a fitted frame.

    folders : parts of fit_candide; their rows are the frames of the clips in order.   rate_fps : of the frames.

    Raises
    ------
    TableError : a part is missing or damaged.
    """
    motions = {}
    for folder in folders:
        fits = tables.read(folder / "index.parquet", tables.FITS)
        for clip, rows in fits[fits["clip"].isin(usable)].groupby("clip"):
            fitted = rows[rows.verdict == FITTED]
            if len(fitted):
                units = np.stack(fitted.units.to_list()).astype(np.float32)
                duration_s = float(rows.time_s.iloc[-1]) + 1.0 / rate_fps
                motions[clip] = Motion(units, fitted.time_s.to_numpy(), duration_s)
    return motions
