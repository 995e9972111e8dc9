"""Faces whose landmarks are the true places of the vertices but for a little noise, and what the fit finds in them."""

import numpy as np

from mien.candide.correspondence import ACTIONS, LANDMARKS, VERTICES
from mien.candide.fit import fit_frames, fit_shapes
from mien.candide.mesh import N_ACTIONS, load_mesh
from mien.candide.pose import project, rotation_matrix
from mien.core.config import CandideConfig
from mien.core.rng import rng_for
from mien.synthetic.expression import CLEAR, face_units
from mien.synthetic.people import EMOTIONS, Person, person_for
from mien.synthetic.recovery import FRONTAL, Recovery, joined, rotation_between

CAMERAS = (90, 120, 135, 180)  # degrees, 90 + yaw
NOISE = 0.01  # standard deviation of each coordinate, model units

_N_PEOPLE = 24
_INTENSITIES = (0.3, 0.6, 0.8, 1.0)  # of every emotion
_N_FACES = len(EMOTIONS) * len(_INTENSITIES)  # of a person before one camera
_PX = 100.0  # per model unit: a face about 200 px high
_ORIGIN = np.array([320.0, 240.0])  # px
_POSE_SPREAD = (0.04, 0.03, 0.025)  # rad, of a head in front of a camera, as in `performance.portrait`


def recover_acted(seed: int, config: CandideConfig) -> tuple[Recovery, np.ndarray]:
    """Fit people who act all emotions, weakly to fully, before all CAMERAS; return also the camera (N,) of each face.

    As those of the embedded corpora, they move all 11 action units and differ in all 14 shape units, of which the fit
    knows 8 and 7, and their neutral face, from which the fit has their shape, is not quite still.
    """
    return _recover(seed, config, acted=True)


def recover_random(seed: int, config: CandideConfig) -> tuple[Recovery, np.ndarray]:
    """Fit the same people with the eight units of the fit drawn evenly from -1 to 1 and a still neutral face."""
    return _recover(seed, config, acted=False)


def _recover(seed: int, config: CandideConfig, *, acted: bool) -> tuple[Recovery, np.ndarray]:
    people = [_recover_person(seed, config, f"{number:02d}", acted=acted) for number in range(_N_PEOPLE)]
    return joined(people), np.tile(np.repeat(CAMERAS, _N_FACES), _N_PEOPLE)


def _recover_person(seed: int, config: CandideConfig, actor: str, *, acted: bool) -> Recovery:
    """Fit one person as in the thesis: a neutral frontal face gives the shape, then every face is fitted alone."""
    person = person_for(seed, "exact", actor, "")
    scope = (seed, "exact", actor, "acted" if acted else "random")
    rng = rng_for(*scope)
    shapes, _ = fit_shapes(
        photograph(person, _neutral(person, rng, acted=acted), config, yaw_deg=0.0, rng=rng)[0], config
    )
    landmarks, poses, units = [], [], []
    for camera in CAMERAS:
        rng = rng_for(*scope, camera)  # a camera more or less changes nothing for the others
        units.append(_acted(person, rng) if acted else _random(rng))
        seen, pose = photograph(person, units[-1], config, yaw_deg=float(camera - FRONTAL), rng=rng)
        landmarks.append(seen)
        poses.append(pose)
    n_faces = len(CAMERAS) * _N_FACES
    frames = fit_frames(
        np.concatenate(landmarks),
        found=np.ones(n_faces, bool),
        recordings=list(np.arange(n_faces)[:, None]),
        shape=shapes[0],
        config=config,
    )
    turn_deg = rotation_between(np.concatenate(poses), frames.rotation)
    return Recovery(np.full(n_faces, actor, object), np.concatenate(units)[:, ACTIONS], frames.units, turn_deg)


def photograph(
    person: Person, units: np.ndarray, config: CandideConfig, *, yaw_deg: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks (N, 68, 2) px of faces with `units` (N, 11), and their poses (N, 3) rad.

    The 33 landmarks that no vertex stands for lie in the middle of the others; the fit does not look at them.
    """
    pose = np.array([0.0, np.deg2rad(yaw_deg), 0.0]) + rng.normal(0.0, _POSE_SPREAD, (len(units), 3))
    vertices = load_mesh().deform(np.array(person.looks.shape), units)[:, list(VERTICES[config.landmarks])]
    points = project(vertices, rotation_matrix(pose), np.full(len(units), _PX), np.tile(_ORIGIN, (len(units), 1)))
    points += rng.normal(0.0, NOISE * _PX, points.shape)
    landmarks = np.repeat(points.mean(axis=1, keepdims=True), 68, axis=1)
    landmarks[:, list(LANDMARKS)] = points
    return landmarks, pose


def _neutral(person: Person, rng: np.random.Generator, *, acted: bool) -> np.ndarray:
    if not acted:
        return np.zeros((1, N_ACTIONS))
    return face_units(person, emotion="neutral", intensity=0.0, fuzziness=CLEAR, rng=rng)[None]


def _acted(person: Person, rng: np.random.Generator) -> np.ndarray:
    shown = [(emotion, intensity) for emotion in EMOTIONS for intensity in _INTENSITIES]
    return np.stack([face_units(person, emotion=e, intensity=i, fuzziness=CLEAR, rng=rng) for e, i in shown])


def _random(rng: np.random.Generator) -> np.ndarray:
    units = np.zeros((_N_FACES, N_ACTIONS))
    units[:, ACTIONS] = rng.uniform(-1.0, 1.0, (_N_FACES, len(ACTIONS)))
    return units
