"""The Candide-3 mesh: its vertices, its linear units, and the landmarks that stand for its vertices.

A face is g(σ, α) = ḡ + Σ σₖ Sₖ + Σ αₖ Aₖ (Ahlberg 2001), with 14 shape units S and 11 action units A. Which of them are
fitted, and which landmark of the 68 is which vertex, is as in section 4.1 of the thesis (lists L649-697).
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from mien.errors import TableError
from mien.io.files import digest, sha256

_PACKAGE = Path(__file__).resolve().parents[1]
_HOMES = [parent / "resources" / "candide3" for parent in (_PACKAGE.parents[1], _PACKAGE)]  # checkout, installed
FOLDER = next((home for home in _HOMES if home.is_dir()), _HOMES[0])
_TABLES = ("displacements.csv", "faces.csv", "units.csv", "vertices.csv")
_MISSING = "is missing; restore resources/candide3 from git"

N_VERTICES, N_FACES, N_ACTIONS, N_SHAPES = 113, 184, 11, 14

# Positions of the action units in the model file; the number in a unit's name is another one.
UPPER_LIP, JAW, STRETCH, BROW_LOWER, CORNER, BROW_OUTER = range(6)
EYES_CLOSED, LID_TIGHT, NOSE, PRESS, LID_RAISE = range(6, N_ACTIONS)

# Positions in the model file of the units that are fitted, in the order of the thesis.
ACTIONS = (
    JAW,
    BROW_LOWER,
    CORNER,
    UPPER_LIP,
    STRETCH,
    LID_TIGHT,
    NOSE,
    EYES_CLOSED,
)
SHAPES = (1, 2, 3, 5, 10, 11, 12)
AU_NAMES = (
    "jaw drop",
    "brow lowerer",
    "lip corner depressor",
    "upper lip raiser",
    "lip stretcher",
    "lid tightener",
    "nose wrinkler",
    "eyes closed",
)
AU_CODES = ("AU26/27", "AU4", "AU13/15", "AU10", "AU20", "AU7", "AU9", "AU42-45")
SHAPE_NAMES = (
    "brows, vertical position",
    "eyes, vertical position",
    "eyes, width",
    "eyes, separation",
    "mouth, vertical position",
    "mouth, width",
    "eyes, vertical difference",
)


@dataclass(frozen=True, eq=False)
class Mesh:
    """The face at rest and its units.

    vertices (113, 3) model units, +x the subject's left, +y up, +z to the viewer; faces (184, 3) vertex numbers;
    action_units (11, 113, 3) and shape_units (14, 113, 3), displacement at a coefficient of 1, in file order.
    """

    vertices: np.ndarray
    faces: np.ndarray
    action_units: np.ndarray
    action_names: tuple[str, ...]
    shape_units: np.ndarray
    shape_names: tuple[str, ...]

    def deform(self, shape: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Return the deformed vertices.

        Parameters
        ----------
        shape : (..., 14) shape unit coefficients, of any sign.
        action : (..., 11) action unit coefficients in file order, of any sign; leading axes broadcast.

        Returns
        -------
        (..., 113, 3) model units.
        """
        still = np.tensordot(shape, self.shape_units, axes=1)
        moved = np.tensordot(action, self.action_units, axes=1)
        return self.vertices + still + moved


def mesh_digest() -> str:
    """Return a digest of the tables that `load_mesh` reads: what a fit depends on beside code and landmarks.

    Raises
    ------
    TableError : a table is missing.
    """
    try:
        return digest([[name, sha256(FOLDER / name)] for name in _TABLES])
    except FileNotFoundError as error:
        raise TableError(f"{error.filename} {_MISSING}") from None


@lru_cache(maxsize=1)
def load_mesh() -> Mesh:
    """Read the mesh from `FOLDER`, resources/candide3 of the checkout or the installed package.

    Raises
    ------
    TableError : a table is missing, or its numbers are not those of a Candide-3 mesh.
    """
    vertices = _read("vertices.csv", ["vertex", "x", "y", "z"], N_VERTICES)
    faces = _read("faces.csv", ["face", "a", "b", "c"], N_FACES)
    units = _read("units.csv", ["kind", "unit", "name"], N_ACTIONS + N_SHAPES)
    moves = _read("displacements.csv", ["kind", "unit", "vertex", "dx", "dy", "dz"], None)
    corners = faces[["a", "b", "c"]].to_numpy()
    for name, numbers in (("faces.csv", corners), ("displacements.csv", moves.vertex.to_numpy())):
        if numbers.min() < 0 or numbers.max() >= N_VERTICES:
            raise TableError(f"{FOLDER / name}: names a vertex outside 0..{N_VERTICES - 1}; restore the file from git")
    of_kind = []
    for kind, n_units in (("action", N_ACTIONS), ("shape", N_SHAPES)):
        rows = moves[moves.kind == kind]
        if set(rows.unit) != set(range(n_units)):
            path = FOLDER / "displacements.csv"
            raise TableError(f"{path}: {kind} units should be 0..{n_units - 1}; restore it from git")
        displacement = np.zeros((n_units, N_VERTICES, 3))
        displacement[rows.unit, rows.vertex] = rows[["dx", "dy", "dz"]].to_numpy()
        of_kind += [_frozen(displacement), tuple(units.name[units.kind == kind])]
    return Mesh(_frozen(vertices[["x", "y", "z"]].to_numpy(np.float64)), _frozen(corners), *of_kind)


def mirror_partner(mesh: Mesh) -> np.ndarray:
    """Return (113,) the vertex at the mirrored place (x -> -x) of each; of coincident ones the nearest in number.

    The partner of a partner is the vertex itself, and the units are mirrored along.
    """
    described = np.concatenate([mesh.vertices[None], mesh.action_units, mesh.shape_units])  # (26, 113, 3)
    described = np.delete(described, 1 + N_ACTIONS + 12, axis=0)  # eyes vertical difference is antisymmetric
    mirrored = described * [-1.0, 1.0, 1.0]
    distance = np.abs(described[:, None] - mirrored[:, :, None]).sum(axis=(0, 3))  # (113, 113)
    number = np.abs(np.arange(N_VERTICES)[:, None] - np.arange(N_VERTICES))
    return np.argmin(distance + 1e-9 * number, axis=1)


def _read(name: str, columns: list[str], n_rows: int | None) -> pd.DataFrame:
    path = FOLDER / name
    try:
        table = pd.read_csv(path)
    except FileNotFoundError:
        raise TableError(f"{path} {_MISSING}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise TableError(f"{path} is not a CSV table ({error}); restore it from git") from error
    if list(table.columns) != columns or (n_rows is not None and len(table) != n_rows):
        wanted = f"columns {columns}" + (f" and {n_rows} rows" if n_rows is not None else "")
        raise TableError(f"{path}: found columns {list(table.columns)} and {len(table)} rows, expected {wanted}")
    return table


def _frozen(array: np.ndarray) -> np.ndarray:
    array = np.ascontiguousarray(array)
    array.setflags(write=False)
    return array


# fmt: off
_PRINTED = {  # landmark of the 68 -> vertex, as the thesis prints them
    35: 26, 31: 59, 30: 5, 33: 6, 28: 94,
    36: 53, 37: 98, 38: 104, 39: 56, 40: 110, 41: 100,
    42: 23, 43: 103, 44: 97, 45: 20, 46: 99, 47: 109,
    17: 48, 19: 49, 21: 50, 22: 17, 24: 16, 26: 15,
    48: 64, 51: 7, 54: 31, 57: 8, 53: 79, 49: 80, 55: 85, 59: 86,
    60: 89, 62: 87, 64: 88, 66: 40,
}
# fmt: on
# The thesis puts four points of the lids on folds that no unit of the lids moves; these are the edges beside them.
_INNER = _PRINTED | {38: 106, 40: 108, 43: 105, 47: 107}

LANDMARKS = tuple(_PRINTED)  # 35 numbers among the 68
VERTICES = {"printed": tuple(_PRINTED.values()), "inner": tuple(_INNER.values())}  # one vertex per entry of LANDMARKS
