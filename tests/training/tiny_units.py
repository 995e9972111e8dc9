"""Fits of the tiny corpus's faces: the first action unit tells the class, the second the time."""

from pathlib import Path

import numpy as np
import pandas as pd

from mien.io import tables
from mien.io.files import write_json

UNFITTED = "a1-0"  # a clip without a fitted frame


def write_fits(results: Path, corpus: str) -> None:
    """Write results/candide/<corpus> for the face shards of the corpus; every second frame could not be fitted."""
    faces = sorted(path for path in (results / "faces" / corpus).glob("*") if path.is_dir())
    for part in faces:
        frames = tables.read(part / "index.parquet", tables.FRAMES)
        rows = [_fit(row) for row in frames.itertuples()]
        table = pd.DataFrame(rows, columns=tables.FITS.columns.names)
        tables.write(results / "candide" / corpus / part.name / "index.parquet", table, tables.FITS)
    write_json(results / "candide" / corpus / "manifest.json", {"parts": {part.name: "x" for part in faces}})


def _fit(row) -> tuple:
    fitted = row.found and row.frame % 2 == 0 and row.clip != UNFITTED
    units = np.zeros(8)
    units[0], units[1] = int(row.clip.split("-")[1]) % 2, row.time_s
    nothing = np.full(8, np.nan)
    verdict = "fitted" if fitted else "not converged"
    numbers = (1.0, np.zeros(3), np.zeros(2), units if fitted else nothing, 0.01, 5)
    return (row.clip, row.frame, row.time_s, verdict, *numbers)
