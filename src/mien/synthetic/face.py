"""A face in colour: the Candide-3 mesh of a person, textured, lit and drawn over a head, in a few milliseconds a frame.

The mesh is rasterised as triangle numbers at a finer scale (painter's order). Texture place and light are affine
within a triangle, so one gather per pixel gives both. The texture, the painted skin of a person, is a picture over the
average face at rest: its coordinates are (x, y) of that face, so painting knows nothing of shape or action. Eyes and
mouth are holes of the mesh. What the mesh lacks is drawn as shapes: skull, hair, ears and neck, eyeballs and teeth
(behind the holes, first), and the lines where skin meets them.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from mien.candide import mesh as candide
from mien.candide.mesh import Mesh, load_mesh
from mien.candide.pose import project, rotation_matrix
from mien.io.randomness import rng_for
from mien.synthetic.people import Looks, Person

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

DENSITY = 160.0  # px of the texture per model unit
_LEFT, _TOP, _WIDTH, _HEIGHT = -0.75, 1.25, 1.5, 2.3  # model units

# Outlines by vertex number, subject's left side last so that both halves close.
BROWS = ((17, 16, 15, 18), (50, 49, 48, 51))
UPPER_LIP = (31, 79, 33, 7, 66, 80, 64, 89, 82, 87, 81, 88)
LOWER_LIP = (31, 88, 83, 40, 84, 89, 64, 86, 8, 85)
_EYE_FACES = range(156, 184)  # the eyeball; drawn as sclera and iris instead
_FINE = 125.0  # px per model unit below which the picture is drawn larger and averaged
GRAIN_PX = 64  # by which the sensor's noise is larger than a frame
_WILD = ("fer2013",)  # corpora whose pictures were not taken in one studio

# What happens to the skin besides motion: a line through weighted pairs of vertices, dark where its units are active.
_CREASES = (
    # (pairs of vertices, share of the second), darkness per unit
    (((26, 27, 0.15), (27, 90, 0.55), (90, 27, 0.10)), {"smile": 0.17, "upper_lip": 0.20, "nose": 0.15}),
    (((2, 1, 0.15), (17, 2, 0.92), (16, 13, 0.45), (15, 14, 0.50)), {"brow_up": 0.26}),
    (((2, 1, 0.42), (16, 13, 0.75), (15, 14, 0.72)), {"brow_up": 0.22}),
    (((17, 3, 0.55), (17, 2, 0.20)), {"frown": 0.55}),
    (((77, 92, 0.2), (23, 92, 0.45)), {"nose": 0.45}),
    (((3, 77, 0.5), (23, 77, 0.4)), {"nose": 0.40}),
    (((23, 25, 0.15), (24, 27, 0.12), (20, 27, 0.12)), {"squint": 0.30}),
    (((31, 30, 0.12), (31, 32, 0.5)), {"corner_down": 0.35}),
)
_MIRROR = candide.mirror_partner(candide.load_mesh()).tolist()


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
    return np.rint(places * 2**_SHIFT).astype(np.int32)


def _rgb(colour: np.ndarray) -> tuple[float, float, float]:
    return tuple(min(max(float(channel), 0.0), 255.0) for channel in colour)


def texture_points(mesh: Mesh) -> np.ndarray:
    """Return (113, 2) the place of every vertex in the texture, px."""
    return (np.stack([mesh.vertices[:, 0] - _LEFT, _TOP - mesh.vertices[:, 1]], axis=1) * DENSITY).astype(np.float32)


@lru_cache(maxsize=8)
def paint_skin(looks: Looks) -> np.ndarray:
    """Paint the face of `looks` as (368, 240, 3) uint8 RGB; not to be written to, as it is kept."""
    rng = np.random.default_rng(looks.texture)
    canvas = _Canvas(looks.skin)
    _paint_complexion(canvas, looks, rng)
    _paint_nose(canvas)
    _paint_eye_region(canvas, looks)
    _paint_brows(canvas, looks, rng)
    _paint_lips(canvas, looks)
    _paint_hair(canvas, looks, rng)
    picture = np.clip(canvas.rgb, 0, 255).astype(np.uint8)
    picture.setflags(write=False)
    return picture


class _Canvas:
    """A float picture that is painted on in model units with soft shapes."""

    def __init__(self, colour: tuple[float, float, float]) -> None:
        self.mesh = load_mesh()
        self.points = texture_points(self.mesh)
        self.size = (round(_HEIGHT * DENSITY), round(_WIDTH * DENSITY))
        self.rgb = np.broadcast_to(np.array(colour, np.float32), (*self.size, 3)).copy()
        rows, columns = np.mgrid[: self.size[0], : self.size[1]].astype(np.float32)
        self.x, self.y = columns / DENSITY + _LEFT, _TOP - rows / DENSITY

    def blob(self, centre: tuple[float, float], radii: tuple[float, float]) -> np.ndarray:
        """Return a Gaussian of height 1 on both sides of the face."""
        x, y = (np.abs(self.x) - centre[0]) / radii[0], (self.y - centre[1]) / radii[1]
        return np.exp(-0.5 * (x * x + y * y))

    def polygon(self, outlines: list[np.ndarray], softness: float) -> np.ndarray:
        """Return a mask of closed outlines (n, 2) px, blurred by `softness` model units."""
        mask = np.zeros(self.size, np.float32)
        for outline in outlines:
            cv2.fillPoly(mask, [_fixed(outline)], 1.0, cv2.LINE_8, _SHIFT)
        return cv2.GaussianBlur(mask, (0, 0), softness * DENSITY)

    def strokes(self, lines: list[np.ndarray], width: float, softness: float) -> np.ndarray:
        """Return a mask of open lines (n, 2) px, `width` and `softness` in model units."""
        mask = np.zeros(self.size, np.float32)
        thickness = max(1, round(width * DENSITY))
        cv2.polylines(mask, list(map(_fixed, lines)), False, 1.0, thickness, cv2.LINE_8, _SHIFT)
        return cv2.GaussianBlur(mask, (0, 0), softness * DENSITY)

    def at(self, *places: tuple[float, float]) -> np.ndarray:
        """Return (n, 2) px of places in model units."""
        return np.array([((x - _LEFT) * DENSITY, (_TOP - y) * DENSITY) for x, y in places])

    def both(self, *places: tuple[float, float]) -> list[np.ndarray]:
        """Return the line through `places` and its mirror image."""
        return [self.at(*places), self.at(*((-x, y) for x, y in places))]

    def blend(self, mask: np.ndarray, colour: np.ndarray) -> None:
        """Put `colour` over the picture where `mask` (0..1) is set."""
        self.rgb += mask[..., None] * (np.asarray(colour, np.float32) - self.rgb)

    def darken(self, mask: np.ndarray, amount: tuple[float, float, float]) -> None:
        """Take away the share `amount` of each colour where `mask` is 1."""
        self.rgb *= 1.0 - mask[..., None] * np.array(amount, np.float32)


def _paint_complexion(canvas: _Canvas, looks: Looks, rng: np.random.Generator) -> None:
    red = looks.blush * (canvas.blob((0.36, -0.2), (0.14, 0.13)) + 0.6 * canvas.blob((0.0, -0.2), (0.09, 0.07)))
    canvas.darken(red, (0.0, 0.10, 0.09))
    canvas.darken(canvas.blob((0.66, -0.35), (0.10, 0.6)), (0.25, 0.28, 0.28))  # the cheek turns away
    canvas.darken(-canvas.blob((0.0, 0.55), (0.28, 0.16)), (0.06, 0.05, 0.04))  # forehead catches light
    canvas.darken(canvas.blob((0.0, -0.66), (0.14, 0.035)), (0.13, 0.15, 0.15))  # under the lower lip
    canvas.darken(-canvas.blob((0.0, -0.76), (0.12, 0.06)), (0.06, 0.05, 0.05))  # chin
    if looks.beard:
        around = canvas.blob((0.25, -0.72), (0.28, 0.2)) + canvas.blob((0.0, -0.34), (0.17, 0.045))
        canvas.darken(np.minimum(around, 1.0) * looks.beard, (0.55, 0.52, 0.46))
    for grain, share in ((0.008, 0.6), (0.05, 1.0)):
        noise = cv2.GaussianBlur(rng.normal(size=canvas.size).astype(np.float32), (0, 0), grain * DENSITY)
        canvas.rgb += (looks.noise * share / noise.std() * noise)[..., None]


def _paint_nose(canvas: _Canvas) -> None:
    sides = canvas.strokes(canvas.both((0.1, 0.2), (0.085, 0.05), (0.1, -0.1)), 0.05, 0.03)
    canvas.darken(sides, (0.14, 0.16, 0.17))
    wings = canvas.strokes(canvas.both((0.125, -0.15), (0.165, -0.2), (0.165, -0.25), (0.12, -0.275)), 0.018, 0.012)
    canvas.darken(wings, (0.45, 0.5, 0.5))
    canvas.darken(canvas.blob((0.0, -0.285), (0.1, 0.02)), (0.3, 0.34, 0.34))
    canvas.darken(np.minimum(1.6 * canvas.blob((0.068, -0.262), (0.026, 0.013)), 1.0), (0.75, 0.8, 0.8))
    canvas.darken(-canvas.strokes([canvas.at((0.0, 0.2), (0.0, -0.2))], 0.04, 0.03), (0.16, 0.15, 0.14))
    canvas.darken(canvas.strokes(canvas.both((0.028, -0.3), (0.03, -0.38)), 0.014, 0.012), (0.1, 0.12, 0.12))
    folds = canvas.strokes(canvas.both((0.18, -0.22), (0.26, -0.32), (0.31, -0.44)), 0.016, 0.018)
    canvas.darken(folds, (0.16, 0.18, 0.18))


def _paint_eye_region(canvas: _Canvas, looks: Looks) -> None:
    canvas.darken(canvas.blob((0.28, 0.2), (0.15, 0.07)), (0.16, 0.2, 0.18))  # socket
    canvas.darken(canvas.blob((0.12, 0.17), (0.05, 0.07)), (0.14, 0.16, 0.14))
    bags = canvas.strokes(canvas.both((0.15, 0.09), (0.28, 0.05), (0.42, 0.08)), 0.02, 0.014)
    canvas.darken(bags, (0.13, 0.15, 0.14))
    fold = [canvas.points[[23, 103, 19, 95, 20]], canvas.points[[56, 104, 52, 96, 53]]]
    canvas.darken(
        canvas.strokes([line - np.float32([0, 0.008 * DENSITY]) for line in fold], 0.012, 0.006), (0.4, 0.45, 0.42)
    )


def _paint_brows(canvas: _Canvas, looks: Looks, rng: np.random.Generator) -> None:
    lines = []
    for inner, top, outer, bottom in BROWS:
        middle = 0.15 * canvas.points[top] + 0.85 * canvas.points[bottom]
        lines.append(_smooth(np.stack([canvas.points[inner] - [0, 0.022 * DENSITY], middle, canvas.points[outer]])))
    mask = canvas.strokes(lines, 2.0 * looks.brow, 0.014)
    hairs = cv2.GaussianBlur(rng.normal(size=canvas.size).astype(np.float32), (0, 0), 1.0)
    canvas.blend(np.clip(mask * (0.9 + 0.1 * hairs / hairs.std()), 0, 0.9), 0.72 * np.array(looks.hair))


def _paint_lips(canvas: _Canvas, looks: Looks) -> None:
    colour = np.array(looks.lips)
    upper, lower = canvas.points[list(UPPER_LIP)], canvas.points[list(LOWER_LIP)]
    canvas.blend(np.clip(canvas.polygon([lower], 0.009), 0, 0.95), colour)
    canvas.blend(np.clip(canvas.polygon([upper], 0.009), 0, 0.95), 0.82 * colour)
    canvas.darken(-canvas.blob((0.0, -0.5), (0.07, 0.016)), (0.18, 0.18, 0.18))  # shine
    corners = canvas.strokes(canvas.both((0.235, -0.461), (0.262, -0.462)), 0.02, 0.012)
    canvas.darken(corners, (0.45, 0.5, 0.5))


def _paint_hair(canvas: _Canvas, looks: Looks, rng: np.random.Generator) -> None:
    waves = cv2.GaussianBlur(rng.normal(size=(1, canvas.size[1])).astype(np.float32), (0, 0), 0.05 * DENSITY)
    edge = looks.hairline - looks.temples * canvas.x**2 + 0.015 * waves / waves.std()
    sideburns = np.clip((np.abs(canvas.x) - 0.52) / 0.06, 0, 1) * np.clip((canvas.y - 0.02) / 0.15, 0, 1)
    mask = np.clip((canvas.y - edge) / 0.05 + 0.5, 0, 1) + sideburns
    strands = cv2.GaussianBlur(rng.normal(size=canvas.size).astype(np.float32), (0, 0), 0.6, sigmaY=0.1 * DENSITY)
    colour = np.array(looks.hair, np.float32) + (12.0 / strands.std() * strands)[..., None]
    mask = cv2.GaussianBlur(np.minimum(mask, 1.0).astype(np.float32), (0, 0), 0.012 * DENSITY)
    canvas.rgb += mask[..., None] * (colour - canvas.rgb)
    shadow = canvas.blob((0.0, 0.0), (9.0, 9.0)) * np.exp(-(((canvas.y - edge + 0.05) / 0.05) ** 2)) * (1.0 - mask)
    canvas.darken(shadow, (0.12, 0.13, 0.13))


def _smooth(line: np.ndarray) -> np.ndarray:
    """Return the parabola through three points (3, 2), as (9, 2)."""
    t = np.linspace(0.0, 1.0, 9)[:, None]
    a, b, c = line
    middle = 2.0 * b - 0.5 * (a + c)
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * middle + t**2 * c


@dataclass(frozen=True, eq=False)
class Setting:
    """Where a clip is taken: camera, light and what stays still.

    size (H, W); scale px per model unit; origin (2,) px of a head held straight; light (3,) unit vector to the light;
    ambient share of the light; background (H, W, 3) uint8; neck (3, 2) px, where it meets the shirt; grain
    (H + 64, W + 64, 3) int16, the sensor's noise, of which every frame sees another part.
    """

    size: tuple[int, int]
    scale: float
    origin: np.ndarray
    light: np.ndarray
    ambient: float
    background: np.ndarray
    neck: np.ndarray
    grain: np.ndarray


def draw_setting(person: Person, size: tuple[int, int], *, scale: float, rng: np.random.Generator) -> Setting:
    """Draw camera, light and background of one clip of `person`; `scale` in px per model unit.

    A corpus has one studio, whose light and wall hardly change from clip to clip; pictures collected in the wild do.
    """
    height, width = size
    wild = person.corpus in _WILD
    studio = rng if wild else rng_for(0, "studio", person.corpus)
    light = np.array([studio.uniform(-0.5, 0.5), studio.uniform(0.1, 0.6), 1.0]) + rng.normal(0.0, 0.05, 3)
    ambient = studio.uniform(0.5, 0.65)
    wall = studio.uniform(165, 240) + studio.normal(0, 8, 3)
    shirt = rng.uniform(15, 150) + rng.normal(0, 25, 3) if wild else np.array(person.looks.shirt)
    scale = scale * rng.uniform(0.95, 1.05)
    jitter = np.clip(rng.normal(0.0, [0.012 * width, 0.010 * height]), -0.03 * height, 0.03 * height)
    origin = np.array([width / 2, 0.50 * height + 0.10 * scale]) + jitter
    background, neck = paint_background(
        person, size, scale=scale, origin=origin, wall=wall + rng.normal(0.0, 2.0), shirt=shirt
    )
    grain = rng.standard_normal((height + GRAIN_PX, width + GRAIN_PX, 3), dtype=np.float32) * rng.uniform(1.5, 4.0)
    light /= np.linalg.norm(light)
    return Setting(size, scale, origin, light, ambient, background, neck, grain.astype(np.int16))


class FaceRenderer:
    """Draws one person in one setting."""

    def __init__(self, person: Person, setting: Setting) -> None:
        self.person, self.setting = person, setting
        self.mesh = candide.load_mesh()
        self.texture = paint_skin(person.looks)
        self.shape = np.array(person.looks.shape)
        self.fine = int(np.clip(np.ceil(_FINE / setting.scale), 2, 8))
        skin = np.delete(self.mesh.faces, list(_EYE_FACES), axis=0)
        self.corners = _facing_viewer(skin, self.mesh.vertices)
        self.texture_corners = texture_points(self.mesh)[self.corners]  # (F, 3, 2) px
        self.rest = self.mesh.deform(self.shape, np.zeros(candide.N_ACTIONS))

    def place(self, units: np.ndarray, pose: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the turned vertices (113, 3) in model units and their places (113, 2) px in the picture."""
        return self._place(units, self._view(pose, shift))

    def _place(self, units: np.ndarray, view: View) -> tuple[np.ndarray, np.ndarray]:
        vertices = self.mesh.deform(self.shape, units)
        return vertices @ view.rotation.T, project(vertices, view.rotation, view.scale, view.origin)

    def _view(self, pose: np.ndarray, shift: np.ndarray) -> View:
        """Return the camera for a head that turns about the top of its neck."""
        rotation = rotation_matrix(pose)
        moved = (PIVOT - rotation @ PIVOT)[:2] * [1.0, -1.0]
        return View(rotation, self.setting.scale, self.setting.origin + shift + self.setting.scale * moved)

    def render(
        self, units: np.ndarray, pose: np.ndarray, *, gaze: np.ndarray, shift: np.ndarray, grain: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw one frame.

        Parameters
        ----------
        units : (11,) action units in Candide file order.
        pose : (3,) rotation vector, rad.
        gaze : (2,) where the irises are, from -1 to 1: to the subject's left, up.
        shift : (2,) px, displacement of the head from the setting's origin.
        grain : row and column at which the sensor's noise starts, 0 to GRAIN_PX.

        Returns
        -------
        (H, W, 3) uint8 RGB, (113, 2) px of the vertices.
        """
        view = self._view(pose, shift)
        turned, places = self._place(units, view)
        frame = self.setting.background.copy()
        height, width = self.setting.size
        around = np.concatenate([*_hair(self.person, view), *_ears(view), places, self.setting.neck])
        left, top = np.maximum(np.floor(around.min(axis=0)) - 2, 0).astype(int)
        right, bottom = np.minimum(np.ceil(around.max(axis=0)) + 3, [width, height]).astype(int)
        if top < bottom and left < right:
            self._draw_head(frame[top:bottom, left:right], view, (left, top), turned, places, units, gaze)
        noise = self.setting.grain[grain[0] : grain[0] + height, grain[1] : grain[1] + width]
        return cv2.add(frame, noise, dtype=cv2.CV_8U), places

    def _draw_head(self, patch, view, corner, turned, places, units, gaze) -> None:
        """Draw the head on a part of the frame whose upper left pixel is `corner`, in finer pixels."""
        size = (patch.shape[1] * self.fine, patch.shape[0] * self.fine)
        canvas = cv2.resize(patch, size, interpolation=cv2.INTER_NEAREST)
        origin, points, base = (
            self.fine * (place - corner + 0.5) - 0.5 for place in (view.origin, places, self.setting.neck)
        )
        view = View(view.rotation, view.scale * self.fine, origin)
        brightness = self._light(turned)
        draw_behind(canvas, self.person, view=view, points=points, neck=base, brightness=float(brightness.mean()))
        draw_eyes(canvas, self.person, view=view, points=points, gaze=gaze)
        draw_mouth(canvas, view, points=points, rest=self.rest, units=units)
        self._draw_skin(canvas, turned, points, brightness, units)
        draw_lines(canvas, self.person, view=view, points=points)
        patch[:] = cv2.resize(canvas, patch.shape[1::-1], interpolation=cv2.INTER_AREA)

    def _light(self, turned: np.ndarray) -> np.ndarray:
        """Return (113,) brightness of the vertices, about 1 where the skin faces the camera."""
        corners = turned[self.corners]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # (F, 3), length 2 areas
        summed = np.zeros_like(turned)
        np.add.at(summed, self.corners.ravel(), np.repeat(normals, 3, axis=0))
        summed /= np.linalg.norm(summed, axis=1, keepdims=True) + 1e-9
        ambient = self.setting.ambient
        return ambient + (1.08 - ambient) * np.maximum(summed @ self.setting.light, 0.0)

    def _draw_skin(self, canvas, turned, points, brightness, units) -> None:
        corners = points[self.corners]  # (F, 3, 2)
        numbers = np.zeros(canvas.shape[:2], np.uint8)
        triangles = _fixed(corners)
        for number in np.argsort(turned[self.corners, 2].mean(axis=1), kind="stable").tolist():
            cv2.fillConvexPoly(numbers, triangles[number], number + 1, cv2.LINE_8, _SHIFT)
        attributes = np.concatenate([self.texture_corners, brightness[self.corners][..., None]], axis=2)  # (F, 3, 3)
        per_face = np.zeros((len(corners) + 1, 9), np.float32)
        per_face[0, 8] = brightness.mean()
        per_face[1:] = _affine(corners, attributes)
        soft = max(3, round(0.045 * self.setting.scale * self.fine) | 1)
        left, top, width, height = cv2.boundingRect(numbers)
        rows = slice(max(top - soft, 0), top + height + soft)  # as far as the blur below looks
        columns = slice(max(left - soft, 0), left + width + soft)
        numbers, dark = numbers[rows, columns], self._creases(canvas.shape[:2], points, units)[rows, columns]
        y, x = (
            np.arange(part.start, part.start + n, dtype=np.float32)
            for part, n in zip((rows, columns), numbers.shape, strict=True)
        )
        tables = np.zeros((9, 256), np.float32)  # of cv2.LUT: a value per number
        tables[:, : len(per_face)] = per_face.T
        planes = []
        for slope_x, slope_y, offset in zip(*tables.reshape(3, 3, 256), strict=True):
            plane = cv2.LUT(numbers, slope_x)
            plane *= x
            plane += cv2.LUT(numbers, slope_y) * y[:, None]
            plane += cv2.LUT(numbers, offset)
            planes.append(plane)
        u, v, light = planes
        colour = cv2.remap(self.texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        light = cv2.blur(light, (soft, soft)) - dark
        lit = cv2.multiply(colour, cv2.merge([light, light, light]), dtype=cv2.CV_8U)
        cv2.copyTo(lit, (numbers > 0).view(np.uint8), canvas[rows, columns])

    def _creases(self, size: tuple[int, int], points: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Return (h, w) float32 how much light the folds of the skin take away."""
        signs = _signs(units)
        dark = np.zeros(size, np.uint8)
        thickness = max(1, round(0.022 * self.setting.scale * self.fine))
        for line, weights in _CREASES:
            strength = sum(weight * signs[name] for name, weight in weights.items())
            if strength < 0.03:
                continue
            for side in (line, tuple((_MIRROR[a], _MIRROR[b], share) for a, b, share in line)):
                places = np.array([(1 - share) * points[a] + share * points[b] for a, b, share in side])
                grey = int(255 * min(strength, 0.7))
                cv2.polylines(dark, [_fixed(places)], False, grey, thickness, cv2.LINE_8, _SHIFT)
        soft = 2 * thickness + 1
        return cv2.blur(dark, (soft, soft)).astype(np.float32) / 255.0


def _signs(units: np.ndarray) -> dict[str, float]:
    """Name what the units do to the skin."""
    positive = np.maximum(units, 0.0)
    negative = np.maximum(-units, 0.0)
    return {
        "smile": float(negative[candide.CORNER] + 0.3 * positive[candide.STRETCH]),
        "upper_lip": float(positive[candide.UPPER_LIP]),
        "nose": float(positive[candide.NOSE]),
        "brow_up": float(positive[candide.BROW_OUTER] + 0.6 * negative[candide.BROW_LOWER]),
        "frown": float(positive[candide.BROW_LOWER]),
        "squint": float(positive[candide.LID_TIGHT] + 0.4 * negative[candide.CORNER]),
        "corner_down": float(positive[candide.CORNER]),
    }


def _facing_viewer(faces: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Return the faces with corners in the order that lets their normals at rest point to the viewer."""
    a, b, c = (vertices[faces[:, i], :2] for i in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    return np.where(turn[:, None] < 0, faces[:, [0, 2, 1]], faces)


def _affine(corners: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """Return (F, 9): slopes along x (3) and y (3) and offsets (3) that interpolate `attributes` (F, 3, 3)."""
    (x0, y0), (x1, y1), (x2, y2) = (corners[:, i].T for i in range(3))
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    inverse = np.where(np.abs(area) > 0.5, 1.0 / np.where(np.abs(area) > 0.5, area, 1.0), 0.0)[:, None]  # slivers: flat
    first, second = attributes[:, 1] - attributes[:, 0], attributes[:, 2] - attributes[:, 0]
    along_x = (first * (y2 - y0)[:, None] - second * (y1 - y0)[:, None]) * inverse
    along_y = (second * (x1 - x0)[:, None] - first * (x2 - x0)[:, None]) * inverse
    offset = attributes[:, 0] - along_x * x0[:, None] - along_y * y0[:, None]
    return np.concatenate([along_x, along_y, offset], axis=1)
