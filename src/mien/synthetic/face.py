"""A face in colour: the Candide-3 mesh of a person, textured, lit and drawn over a head, at a few milliseconds a frame.

The mesh is rasterised as triangle numbers at a finer scale (painter's order). Texture place and light are affine
within a triangle, so one gather per pixel gives both. Eyes and mouth are holes of the mesh, with what is behind them
drawn first.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.candide import mesh as candide
from mien.candide.pose import project, rotation_matrix
from mien.core.rng import rng_for
from mien.synthetic import head
from mien.synthetic.people import Person
from mien.synthetic.skin import paint_skin, texture_points

_EYE_FACES = range(156, 184)  # the eyeball; drawn as sclera and iris instead
_FINE = 125.0  # px per model unit below which the picture is drawn larger and averaged
_SUBPIXEL = 4  # bits after the point of cv2's polygons
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
    background, neck = head.paint_background(
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
        vertices = self.mesh.deform(self.shape, units)
        view = self._view(pose, shift)
        return vertices @ view.rotation.T, project(vertices, view.rotation, view.scale, view.origin)

    def _view(self, pose: np.ndarray, shift: np.ndarray) -> head.View:
        """Return the camera for a head that turns about the top of its neck."""
        rotation = rotation_matrix(pose)
        moved = (head.PIVOT - rotation @ head.PIVOT)[:2] * [1.0, -1.0]
        return head.View(rotation, self.setting.scale, self.setting.origin + shift + self.setting.scale * moved)

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
        turned, places = self.place(units, pose, shift)
        view = self._view(pose, shift)
        frame = self.setting.background.copy()
        window = _window(head.outline(self.person, view, places=places), self.setting.neck, self.setting.size)
        if window is not None:
            self._draw_head(frame, window, view, turned, places, units, gaze)
        height, width = self.setting.size
        noise = self.setting.grain[grain[0] : grain[0] + height, grain[1] : grain[1] + width]
        return cv2.add(frame, noise, dtype=cv2.CV_8U), places

    def _draw_head(self, frame, window, view, turned, places, units, gaze) -> None:
        top, bottom, left, right = window
        patch = frame[top:bottom, left:right]
        size = (patch.shape[1] * self.fine, patch.shape[0] * self.fine)
        canvas = cv2.resize(patch, size, interpolation=cv2.INTER_NEAREST)
        finely = self.fine * (view.origin - [left, top] + 0.5) - 0.5
        view = head.View(view.rotation, view.scale * self.fine, finely)
        points = self.fine * (places - [left, top] + 0.5) - 0.5
        brightness = self._light(turned)
        base = self.fine * (self.setting.neck - [left, top] + 0.5) - 0.5
        head.draw_behind(canvas, self.person, view=view, points=points, neck=base, brightness=float(brightness.mean()))
        head.draw_eyes(canvas, self.person, view=view, points=points, gaze=gaze)
        head.draw_mouth(canvas, view, points=points, rest=self.rest, units=units)
        self._draw_skin(canvas, turned, points, brightness, units)
        head.draw_lines(canvas, self.person, view=view, points=points)
        frame[top:bottom, left:right] = cv2.resize(canvas, (right - left, bottom - top), interpolation=cv2.INTER_AREA)

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
        triangles = np.round(corners * 2**_SUBPIXEL).astype(np.int32)
        for number in np.argsort(turned[self.corners, 2].mean(axis=1), kind="stable").tolist():
            cv2.fillConvexPoly(numbers, triangles[number], number + 1, cv2.LINE_8, _SUBPIXEL)
        attributes = np.concatenate([self.texture_corners, brightness[self.corners][..., None]], axis=2)  # (F, 3, 3)
        per_face = np.zeros((len(corners) + 1, 9), np.float32)
        per_face[0, 8] = brightness.mean()
        per_face[1:] = _affine(corners, attributes)
        here = per_face[numbers]  # (h, w, 9)
        x = np.arange(canvas.shape[1], dtype=np.float32)
        y = np.arange(canvas.shape[0], dtype=np.float32)[:, None]
        u, v, light = (here[..., i] * x + here[..., 3 + i] * y + here[..., 6 + i] for i in range(3))
        colour = cv2.remap(self.texture, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        soft = max(3, round(0.045 * self.setting.scale * self.fine) | 1)
        light = cv2.blur(light, (soft, soft)) - self._creases(canvas.shape[:2], points, units)
        lit = cv2.multiply(colour, cv2.merge([light, light, light]), dtype=cv2.CV_8U)
        cv2.copyTo(lit, (numbers > 0).view(np.uint8), canvas)

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
                fixed = np.round(places * 2**_SUBPIXEL).astype(np.int32)
                cv2.polylines(dark, [fixed], False, int(255 * min(strength, 0.7)), thickness, cv2.LINE_8, _SUBPIXEL)
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


def _window(outline: np.ndarray, neck: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return top, bottom, left, right px of the part of the picture with the head in it, or None."""
    corners = np.concatenate([outline, neck])
    left, top = np.maximum(np.floor(corners.min(axis=0)) - 2, 0).astype(int)
    right, bottom = np.minimum(np.ceil(corners.max(axis=0)) + 3, [size[1], size[0]]).astype(int)
    return (top, bottom, left, right) if top < bottom and left < right else None


_MIRROR = candide.mirror_partner(candide.load_mesh()).tolist()
