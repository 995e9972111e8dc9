"""What the Candide-3 mesh lacks: skull, hair, ears, neck, eyeballs, teeth, and the lines where skin meets them."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.candide import mesh as candide
from mien.synthetic.people import Person

_SHIFT = 4  # bits after the point of cv2's coordinates
_TURN = np.linspace(0.0, 2.0 * np.pi, 40, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)])  # (2, 40)
_JAWLINE = (14, 29, 28, 30, 32, 10, 65, 63, 61, 62, 47)  # silhouette below the temples
_APERTURES = ((20, 97, 21, 105, 23, 107, 22, 99), (53, 98, 54, 106, 56, 108, 55, 100))  # lid edges
_UPPER_LIDS = ((20, 97, 21, 105, 23), (53, 98, 54, 106, 56))
_LOWER_LIDS = ((20, 99, 22, 107, 23), (53, 100, 55, 108, 56))
_IRIS_CORNERS = ((67, 68, 71, 72), (69, 70, 73, 74))
_OUTER_LIPS = (31, 79, 33, 7, 66, 80, 64, 86, 8, 85)
_UPPER_SEAM, _LOWER_SEAM = (31, 88, 81, 87, 82, 89, 64), (31, 88, 83, 40, 84, 89, 64)
_SKULL = np.array([0.0, 0.37, -0.36])  # centre, model units
_SKULL_RADII = np.array([0.60, 0.70, 0.60])
_IRIS_RADIUS = 0.062
_GAZE_REACH = np.array([0.075, 0.02])  # of the iris at a gaze of 1
PIVOT = np.array([0.0, -0.75, -0.42])  # about which a head turns: the top of the neck, model units


@dataclass(frozen=True, eq=False)
class View:
    """Weak perspective into the canvas: rotation (3, 3), px per model unit, origin (2,) px."""

    rotation: np.ndarray
    scale: float
    origin: np.ndarray

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return (n, 2) px of model places (n, 3)."""
        return self.origin + self.scale * (places @ self.rotation.T)[:, :2] * [1.0, -1.0]

    def ellipsoid(self, centre: np.ndarray, radii: np.ndarray) -> np.ndarray:
        """Return the outline (40, 2) px of an ellipsoid along the model's axes."""
        spread = self.rotation[:2] * radii  # (2, 3)
        ring = np.linalg.cholesky(spread @ spread.T + 1e-9 * np.eye(2)) @ _RING
        return self.at(centre[None]) + self.scale * ring.T * [1.0, -1.0]


def outline(person: Person, view: View, *, places: np.ndarray) -> np.ndarray:
    """Return the outermost points (n, 2) px of hair, ears and mesh, for those who cut the picture."""
    return np.concatenate([*_hair(person, view), *_ears(view), places])


def paint_background(
    person: Person, size: tuple[int, int], *, scale: float, origin: np.ndarray, wall: np.ndarray, shirt: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Paint a wall and shoulders in a shirt as (H, W, 3) uint8, and say where the neck meets them, (3, 2) px."""
    height, width = size
    across, down = np.linspace(-9.0, 9.0, width)[None, :, None], np.linspace(6.0, -10.0, height)[:, None, None]
    picture = np.clip(wall + across + down, 0, 255).astype(np.uint8)
    picture = cv2.resize(picture, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR)
    chin = -0.2 * person.looks.shape[0] - 0.85
    broad = 1.45 if person.sex == "male" else 1.2
    slope = [(0.52, -0.26), (0.80, -0.36), (broad, -0.52), (broad + 0.25, -0.95), (broad + 0.3, -4.0)]
    half = [(x, chin + y) for x, y in slope]
    opening = [(-0.40, chin - 0.24), (0.0, chin - 0.46), (0.40, chin - 0.24)]
    body = origin + scale * np.array([*opening, *half, *((-x, y) for x, y in half[::-1])]) * [1.0, -1.0]
    _fill(picture, 2 * (body + 0.5) - 0.5, shirt)
    picture = cv2.GaussianBlur(picture, (0, 0), max(0.02 * scale, 0.3))
    neck = origin + scale * np.array(opening) * [1.0, -1.0]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), neck


def draw_behind(
    canvas: np.ndarray, person: Person, *, view: View, points: np.ndarray, neck: np.ndarray, brightness: float
) -> None:
    """Draw hair, neck, ears and the rounded jaw that show around the mesh; `neck` (3, 2) px is its lower end."""
    hair = np.array(person.looks.hair) * (0.4 + 0.6 * brightness)
    polygons = _hair(person, view)
    for polygon in polygons[:-1]:
        _fill(canvas, polygon, 0.6 * hair)
    skin = np.array(person.looks.skin) * brightness
    chin = -0.2 * person.looks.shape[0] - 0.85
    top = view.at(np.array([(0.0, chin + 0.45, -0.42)]))
    wide = np.array([0.38 * view.scale, 0.0])
    column = np.concatenate([top - wide, neck, top + wide])
    _fill(canvas, column, 0.66 * skin)
    lit = neck.mean(axis=0) + (column - neck.mean(axis=0)) * [0.6, 0.5]
    _fill(canvas, lit, 0.72 * skin)
    cap = polygons[-1]
    _fill(canvas, cap, 0.84 * hair)
    _fill(canvas, cap.mean(axis=0) + 0.9 * (cap - cap.mean(axis=0)), 0.96 * hair)
    for ear in _ears(view):
        _fill(canvas, ear, 0.86 * skin)
        _fill(canvas, ear.mean(axis=0) + 0.55 * (ear - ear.mean(axis=0)), 0.7 * skin)
    jaw = cv2.convexHull(points[list(_JAWLINE)].astype(np.float32))[:, 0]
    _fill(canvas, _round(jaw), 0.74 * skin)


def draw_eyes(canvas: np.ndarray, person: Person, *, view: View, points: np.ndarray, gaze: np.ndarray) -> None:
    """Draw both eyeballs behind the lids."""
    for aperture, corners, side in zip(_APERTURES, _IRIS_CORNERS, (1.0, -1.0), strict=True):
        facing = view.rotation[2] @ np.array([0.3 * side, 0.0, 0.95])
        if facing < 0.1:
            continue
        _fill(canvas, points[list(aperture)], (206, 198, 192))
        lids = points[list(aperture)]
        shade = np.concatenate([lids[:5], lids[3:0:-1] + np.array([0.0, 0.02 * view.scale])])
        _fill(canvas, shade, (150, 138, 132))
        offset = view.scale * (view.rotation[:2, :2] @ (gaze * _GAZE_REACH)) * [1.0, -1.0]
        centre = points[list(corners)].mean(axis=0) + offset
        radii = view.scale * _IRIS_RADIUS * np.array([max(facing, 0.3), 1.0])
        iris = np.array(person.looks.iris)
        _disc(canvas, centre, radii, 0.5 * iris)
        _disc(canvas, centre, 0.82 * radii, iris)
        _disc(canvas, centre, 0.42 * radii, (12, 10, 10))
        _disc(canvas, centre + radii * [-0.3, -0.35], 0.2 * radii, (235, 235, 235))


def draw_mouth(canvas: np.ndarray, view: View, *, points: np.ndarray, rest: np.ndarray, units: np.ndarray) -> None:
    """Draw the cavity and the teeth behind the lips; `rest` (113, 3) is the person without action units."""
    _fill(canvas, points[list(_OUTER_LIPS)], (66, 26, 26))
    seam = rest[[81, 87, 82]].mean(axis=0) - np.array([0.0, 0.0, 0.05])
    jaw = max(float(units[candide.JAW]), 0.0)
    tongue = seam - np.array([0.0, 0.07 + 0.22 * jaw, 0.03])
    _fill(canvas, view.ellipsoid(tongue, np.array([0.11, 0.05, 0.08])), (150, 72, 72))
    below = -0.035 - 0.25 * jaw  # the lower teeth go down with the jaw
    for low, high, colour in ((-0.03, 0.085, (218, 210, 196)), (below - 0.06, below, (196, 188, 174))):
        row = [(x, y, -0.35 * x * x) for y, order in ((high, 1), (low, -1)) for x in (-0.15 * order, 0.0, 0.15 * order)]
        _fill(canvas, view.at(seam + np.array(row)), colour)


def draw_lines(canvas: np.ndarray, person: Person, *, view: View, points: np.ndarray) -> None:
    """Draw lashes, lid rims and the seams of the lips over the skin."""
    lash = 0.35 * np.array(person.looks.hair) + [8, 5, 5]
    rim = np.array(person.looks.skin) * [0.62, 0.48, 0.46]
    for upper, lower, side in zip(_UPPER_LIDS, _LOWER_LIDS, (1.0, -1.0), strict=True):
        if view.rotation[2] @ np.array([0.3 * side, 0.0, 0.95]) < 0.15:
            continue
        _line(canvas, points[list(lower)], rim, 0.010 * view.scale)
        _line(canvas, points[list(upper)], lash, 0.024 * view.scale)
    if view.rotation[2, 2] < 0.15:
        return
    seam = np.array(person.looks.lips) * 0.42
    for line in (_UPPER_SEAM, _LOWER_SEAM):
        _line(canvas, points[list(line)], seam, 0.012 * view.scale)


def _hair(person: Person, view: View) -> list[np.ndarray]:
    looks = person.looks
    grown = _SKULL_RADII + looks.volume
    lift = np.array([0.0, 0.2 * looks.shape[0], 0.0])
    cap = view.ellipsoid(_SKULL + lift, grown)
    if looks.length > -0.1:
        return [cap]
    wide = 0.60 + 0.8 * looks.volume
    side = np.array([(wide, 0.4, -0.3), (wide, 0.4, -0.7), (0.95 * wide, looks.length, -0.3)])
    both = np.concatenate([side, side * [-1.0, 1.0, 1.0]])
    back = cv2.convexHull(view.at(both).astype(np.float32))[:, 0]
    return [_round(back), cap]


def _ears(view: View) -> list[np.ndarray]:
    found = []
    for side in (1.0, -1.0):
        if side * view.rotation[2, 0] > -0.25:  # the far ear of a turned head is hidden
            found.append(view.ellipsoid(np.array([0.62 * side, 0.0, -0.40]), np.array([0.05, 0.16, 0.10])))
    return found


def _round(polygon: np.ndarray) -> np.ndarray:
    """Round a closed convex polygon (n, 2) off by two corner cuttings (Chaikin), a little outwards."""
    for _ in range(2):
        following = np.roll(polygon, -1, axis=0)
        cut = [0.75 * polygon + 0.25 * following, 0.25 * polygon + 0.75 * following]
        polygon = np.stack(cut, axis=1).reshape(-1, 2)
    middle = polygon.mean(axis=0)
    return middle + 1.035 * (polygon - middle)


def _fill(canvas: np.ndarray, polygon: np.ndarray, colour: np.ndarray) -> None:
    cv2.fillPoly(canvas, [_fixed(polygon)], _rgb(colour), cv2.LINE_8, _SHIFT)


def _line(canvas: np.ndarray, line: np.ndarray, colour: np.ndarray, width: float) -> None:
    cv2.polylines(canvas, [_fixed(line)], False, _rgb(colour), max(1, round(width)), cv2.LINE_AA, _SHIFT)


def _disc(canvas: np.ndarray, centre: np.ndarray, radii: np.ndarray, colour: np.ndarray) -> None:
    cv2.fillPoly(canvas, [_fixed(centre + _RING.T * radii)], _rgb(colour), cv2.LINE_8, _SHIFT)


def _fixed(places: np.ndarray) -> np.ndarray:
    return np.round(places * 2**_SHIFT).astype(np.int32)


def _rgb(colour: np.ndarray) -> tuple[float, float, float]:
    return tuple(float(np.clip(channel, 0, 255)) for channel in colour)
