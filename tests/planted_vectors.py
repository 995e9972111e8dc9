"""A small table of RAVDESS's names and numbers: the face tells the emotion, and how people are differs by person."""

from pathlib import Path

import numpy as np

from mien.io.randomness import rng_for

ACTORS = 8
COLUMNS = {"face_features": [0, 10], "voice_features": [10, 13]}


def names(n_actors: int = ACTORS) -> list[str]:
    """Return the official names of one repetition of one statement, both intensities."""
    kinds = [(emotion, strong) for emotion in range(1, 9) for strong in (1, 2) if (emotion, strong) != (1, 2)]
    return [f"01-01-{e:02d}-{s:02d}-01-01-{actor:02d}" for actor in range(1, n_actors + 1) for e, s in kinds]


def write_table(path: Path, stem: list[str], *, lost: tuple[int, int] | None = None) -> np.ndarray:
    """Write such an .npz and return its numbers (N, 13): emotions one by one, a constant, the person.

    lost : row and column of a number that is none.
    """
    rng = rng_for(0, "vectors")
    parts = [name.split("-") for name in stem]
    made = rng.normal(0.0, 0.2, (len(stem), 13)).astype(np.float32)
    for row, part in zip(made, parts, strict=True):
        row[int(part[2]) - 1] += 1.0
        row[10:] += int(part[6])
    made[:, 9] = 7.0  # says nothing at all
    if lost is not None:
        made[lost] = np.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, stem=np.array(stem), features=made)
    return made
