"""Draw the Candide-3 mesh: as a solid of white triangles, as lines over a picture, and what a unit changes."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from mien.candide.mesh import Mesh
from mien.candide.pose import rotation_matrix

INK, MOVED, TOUCHED = "#303030", "#ee7733", "#fbe3d2"
STILL = 1e-9  # model units, below which a vertex has not moved


def turned(vertices: np.ndarray, *, yaw_deg: float) -> np.ndarray:
    """Return vertices (V, 3) after the head turned about the vertical axis, positive to the right of the picture."""
    return vertices @ rotation_matrix(np.array([0.0, np.deg2rad(yaw_deg), 0.0])).T


def facing(points: np.ndarray, mesh: Mesh) -> np.ndarray:
    """Return (F,) bool: which triangles of a projected mesh (V, 2), px with y down, show the viewer their front.

    The corners of Candide-3 run in both directions; at rest every triangle faces the viewer, so that a triangle is
    seen from behind when its area has another sign than at rest.
    """
    return _area(points * [1.0, -1.0], mesh.faces) * _area(mesh.vertices[:, :2], mesh.faces) > 0.0


def edges(faces: np.ndarray) -> np.ndarray:
    """Return (E, 2) the sides of the triangles (F, 3), each once, in ascending order."""
    sides = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return np.unique(np.sort(sides, axis=1), axis=0)


def draw_solid(
    ax: Axes, vertices: np.ndarray, faces: np.ndarray, *, fills: list[str] | str = "white", ink: str = INK
) -> None:
    """Draw vertices (V, 3) of the camera, model units with y up; nearer triangles hide what lies behind them."""
    order = np.argsort(vertices[faces][..., 2].mean(axis=1), kind="stable")  # far to near
    colours = [fills[k] for k in order] if isinstance(fills, list) else fills
    ax.add_collection(PolyCollection(vertices[faces[order]][..., :2], facecolors=colours, edgecolors=ink, lw=0.5))


def draw_lines(
    ax: Axes, points: np.ndarray, sides: np.ndarray, *, colour: str, width: float = 0.5, alpha: float = 1.0
) -> None:
    """Draw the sides (E, 2) between points (V, 2) in the units of the axes."""
    ax.add_collection(LineCollection(points[sides], colors=colour, linewidths=width, alpha=alpha))


def draw_change(ax: Axes, rest: np.ndarray, changed: np.ndarray, faces: np.ndarray) -> None:
    """Draw `changed` (V, 3) with the triangles that differ from `rest` filled, and the old place of moved vertices."""
    moved = np.abs(changed - rest).max(axis=1) > STILL  # (V,)
    fills = [TOUCHED if touched else "white" for touched in moved[faces].any(axis=1)]
    draw_solid(ax, changed, faces, fills=fills)
    paths = np.stack([rest[moved, :2], changed[moved, :2]], axis=1)  # (M, 2, 2)
    ax.add_collection(LineCollection(paths, colors=MOVED, linewidths=0.6))
    ax.plot(*changed[moved, :2].T, ".", color=MOVED, markersize=1.4)


def bare(ax: Axes, points: np.ndarray, *, margin: float = 0.04) -> None:
    """Show the extent of points (N, 2), and a `margin` of its height, in equal units and without any frame."""
    low, high = points.min(axis=0), points.max(axis=0)
    edge = margin * (high - low)[1]
    ax.set(
        xlim=(low[0] - edge, high[0] + edge), ylim=(low[1] - edge, high[1] + edge), aspect="equal", xticks=[], yticks=[]
    )
    ax.set_axis_off()


def _area(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Return (F,) twice the signed area of triangles between points (V, 2)."""
    a, b, c = (points[faces[:, k]] for k in range(3))
    first, second = b - a, c - a
    return first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
