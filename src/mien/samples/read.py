"""What `select_samples` left behind, as classifiers read it: the table, the divisions, vectors and pictures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.core import shards, tables
from mien.core.errors import TableError
from mien.core.files import digest, read_json, sha256

COLUMNS = {"AU8": ("units", 8), "FP68": ("points", 136)}  # features -> column of SAMPLES, its length


@dataclass(frozen=True, eq=False)
class Samples:
    """The pictures of a pair of training corpora and test corpus.

    table : SAMPLES, index 0..N-1.   splits : FOLDS (fold = split, group = person).   info : corpus.json.
    digest : of all of it; corpus.json holds that of the face shards.
    """

    table: pd.DataFrame
    splits: pd.DataFrame
    info: dict[str, Any]
    digest: str

    @property
    def title(self) -> str:
        """Return what is learnt on and what is tested on, such as "ckplus to rafd" or "ckplus+mug to rafd"."""
        sides = self.table.groupby(self.table.role == "training", sort=False).corpus.unique()
        return f"{'+'.join(sides[True])} to {'+'.join(sides[False])}"

    def roles(self, split: int) -> pd.Series:
        """Return training, validation, test or aside for every row of the table.

        Raises
        ------
        TableError : the split does not exist, or does not say where a training person belongs.
        """
        rows = self.splits[self.splits.fold == split]
        if rows.empty:
            known = sorted(self.splits.fold.unique().tolist())
            raise TableError(f"splits.parquet: there is no split {split}; it has {known}; raise cross.splits")
        side = self.table.person.map(dict(zip(rows.group, rows.role, strict=True)))
        learnt = self.table.role == "training"
        if rows.group.duplicated().any() or (learnt & ~side.isin(["training", "validation"])).any():
            raise TableError(f"splits.parquet: split {split} does not divide the people; run select_samples again")
        return self.table.role.where(~learnt, side)


def read_samples(folder: Path) -> Samples:
    """Read results/samples/<pair>.

    Raises
    ------
    TableError : a file is missing or damaged, or a clip is listed twice.
    """
    folder = Path(folder)
    table = tables.read(folder / "samples.parquet", tables.SAMPLES)
    splits = tables.read(folder / "splits.parquet", tables.FOLDS)
    info = read_json(folder / "corpus.json")
    if not isinstance(info, dict) or not {"corpus", "classes", "source"} <= info.keys():
        raise TableError(f"{folder / 'corpus.json'}: corpus, classes or source is missing; run select_samples again")
    if twice := sorted(table["clip"][table["clip"].duplicated()]):
        raise TableError(f"{folder / 'samples.parquet'}: {twice[0]} is listed twice; run select_samples again")
    files = [sha256(folder / name) for name in ("samples.parquet", "splits.parquet")]
    return Samples(table, splits, info, digest([info, files]))


def has_features(table: pd.DataFrame, features: str) -> np.ndarray:
    """Return (N,) bool: which rows of SAMPLES have "AU8", "FP68" or, for "image", a face."""
    if features == "image":
        return table["row"].to_numpy() >= 0
    column, length = COLUMNS[features]
    return (table[column].map(len) == length).to_numpy(bool)


def vectors(table: pd.DataFrame, features: str) -> np.ndarray:
    """Return (N, 8) for "AU8" or (N, 136) for "FP68", float64, with rows of NaN where a sample has none."""
    column, length = COLUMNS[features]
    values = np.full((len(table), length), np.nan)
    present = has_features(table, features)
    if present.any():
        values[present] = np.stack(table[column][present].to_list())
    return values


def pictures(table: pd.DataFrame, results: Path, size_px: int) -> np.ndarray:
    """Return (N, size_px, size_px) uint8: the stored face regions in grey (luma of BT.601); zeros without a face.

    Parameters
    ----------
    results : folder with faces/<corpus>/<part>, the shards that SAMPLES names.

    Raises
    ------
    TableError : a shard is missing or shorter than SAMPLES says.
    """
    import cv2

    grey = np.zeros((len(table), size_px, size_px), np.uint8)
    rows, place = table["row"].to_numpy(), np.arange(len(table))
    for (corpus, part), chosen in pd.Series(place).groupby([table.corpus.to_numpy(), table.part.to_numpy()]):
        chosen = chosen[rows[chosen] >= 0].to_numpy()
        if not len(chosen):
            continue
        folder = Path(results) / "faces" / corpus / part
        frames = shards.read_faces(folder).frames
        if rows[chosen].max() >= len(frames):
            raise TableError(f"{folder}: {len(frames)} frames, SAMPLES names a later one; run select_samples again")
        for k in chosen:
            frame = cv2.cvtColor(np.ascontiguousarray(frames[rows[k]]), cv2.COLOR_RGB2GRAY)
            way = cv2.INTER_AREA if len(frame) > size_px else cv2.INTER_LINEAR
            grey[k] = cv2.resize(frame, (size_px, size_px), interpolation=way)
    return grey
