"""The painted skin of a person: a picture over the face at rest, which the mesh drags along when it moves.

Texture coordinates are the (x, y) of the average Candide-3 face, so that painting knows nothing of shape or action.
"""

from functools import lru_cache

import cv2
import numpy as np

from mien.candide.mesh import Mesh, load_mesh
from mien.synthetic.people import Looks

DENSITY = 160.0  # px of the texture per model unit
_LEFT, _TOP, _WIDTH, _HEIGHT = -0.75, 1.25, 1.5, 2.3  # model units

# Outlines by vertex number, subject's left side last so that both halves close.
BROWS = ((17, 16, 15, 18), (50, 49, 48, 51))
UPPER_LIP = (31, 79, 33, 7, 66, 80, 64, 89, 82, 87, 81, 88)
LOWER_LIP = (31, 88, 83, 40, 84, 89, 64, 86, 8, 85)


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
            cv2.fillPoly(mask, [np.round(outline * 16).astype(np.int32)], 1.0, cv2.LINE_8, 4)
        return cv2.GaussianBlur(mask, (0, 0), softness * DENSITY)

    def strokes(self, lines: list[np.ndarray], width: float, softness: float) -> np.ndarray:
        """Return a mask of open lines (n, 2) px, `width` and `softness` in model units."""
        mask = np.zeros(self.size, np.float32)
        thickness = max(1, round(width * DENSITY))
        fixed = [np.round(line * 16).astype(np.int32) for line in lines]
        cv2.polylines(mask, fixed, False, 1.0, thickness, cv2.LINE_8, 4)
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
