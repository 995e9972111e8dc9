"""Corpora that come as numbers: the table that their adapters read, and command `extract_vectors`.

The table is an .npz with `stem` (N,), the corpus's official names of its clips, and `features` (N, D), numbers. Which
columns are the vector of a face and which that of a voice is said by corpora.<corpus>.columns in params.yaml.
"""

import logging
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mien.config.labels import VECTORS
from mien.config.schema import CorpusConfig, load, section
from mien.corpora.base import list_files
from mien.errors import CorpusError
from mien.io import shards, tables
from mien.io.files import digest, write_json
from mien.io.provenance import code_digest

log = logging.getLogger(__name__)

SUFFIX = ".npz"
NAMES, NUMBERS = "stem", "features"  # arrays of the table
PART = "all"  # the one shard


def find_table(root: Path, files: Iterable[str]) -> str | None:
    """Return the path of the table among `files` below `root`; None if there is none.

    Raises
    ------
    CorpusError : there are several.
    """
    found = [path for path in files if path.lower().endswith(SUFFIX)]
    if len(found) > 1:
        raise CorpusError(f"{root}: {', '.join(found[:3])} are {len(found)} tables of numbers; keep one, or name it")
    return found[0] if found else None


def read_table(path: Path) -> tuple[list[str], np.ndarray]:
    """Return the names (N,) and numbers (N, D) of a table; nothing in it is executed.

    Raises
    ------
    CorpusError : the file is damaged or holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            names, numbers = arrays[NAMES], arrays[NUMBERS]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        wanted = f"{NAMES} (N,), names, and {NUMBERS} (N, D), numbers"
        raise CorpusError(f"{path}: no table with {wanted} ({error}); write it anew with numpy.savez") from error
    if names.ndim != 1 or names.dtype.kind != "U" or numbers.ndim != 2 or numbers.dtype.kind not in "fiu":
        raise CorpusError(
            f"{path}: {NAMES} should be (N,) of text and {NUMBERS} (N, D) of numbers;"
            f" found {names.shape} of {names.dtype} and {numbers.shape} of {numbers.dtype}"
        )
    if len(names) != len(numbers):
        raise CorpusError(f"{path}: {len(names)} names and {len(numbers)} rows of numbers; write it anew")
    return names.tolist(), numbers


@dataclass(frozen=True)
class Work:
    """What is needed to build the shard: the table, modality -> its columns, and clip -> its row, by modality."""

    table: Path
    columns: Mapping[str, tuple[int, int]]
    rows: Mapping[str, Mapping[str, int]]


def extract_vectors(
    *, corpus: str, manifest: Path, clips: Path, out: Path, config: str = "params.yaml", jobs: int = 1
) -> None:
    """Cut the numbers of a corpus into a vector of the face and of the voice of every clip.

    Writes index.parquet (VECTORS) and manifest.json: the digest, counts, lengths of the vectors, and vectors that are
    left out because a number in them is not finite.

    Parameters
    ----------
    manifest : Path
        data/<corpus>.json of get_corpus.
    out : Path
        Folder for the shard and manifest.json.
    """
    columns = section(CorpusConfig, load(config), "corpora", corpus).columns
    listed = tables.read(clips, tables.CLIPS)
    root, content = shards.source_root(manifest, corpus)
    table = root / (find_table(root, list_files(root)) or "")
    rows = {name: dict(listed[listed[VECTORS[name]]][["clip", "item"]].itertuples(index=False)) for name in columns}
    work = Work(table, columns, rows)
    key = digest([code_digest("corpora.vectors:extract_vectors"), content, {**columns}, rows])
    report = shards.build_parts(out, {PART: shards.Task(key, work)}, build_part, jobs=1)[PART]
    summary = {"corpus": corpus, "parts": {PART: report["digest"]}}
    write_json(out / "manifest.json", summary | {key: report[key] for key in ("n_vectors", "sizes", "problems")})
    log.info("%s: %s, %d with a problem", corpus, report["n_vectors"], len(report["problems"]))


def build_part(folder: Path, work: Work) -> dict[str, Any]:
    """Write the shard and return its counts and problems.

    Raises
    ------
    CorpusError : the table has fewer columns than params.yaml says.
    """
    _, numbers = read_table(work.table)
    found, problems = [], []
    for modality, (first, end) in work.columns.items():
        if end > numbers.shape[1]:
            raise CorpusError(
                f"{work.table}: has {numbers.shape[1]} columns; {modality} should end there at most, not at {end}; see"
                " corpora.<corpus>.columns in params.yaml"
            )
        for clip, row in sorted(work.rows[modality].items()):
            values = numbers[row, first:end].astype(np.float32)
            if np.isfinite(values).all():
                found.append((clip, modality, values))
            else:
                problems.append({"clip": clip, "path": work.table.name, "reason": f"{modality}: not finite"})
    shards.write_vectors(folder, found)
    n_vectors = Counter(modality for _, modality, _ in found)
    return {
        "n_vectors": {modality: n_vectors[modality] for modality in work.columns},
        "sizes": {modality: end - first for modality, (first, end) in work.columns.items()},
        "problems": problems,
    }
