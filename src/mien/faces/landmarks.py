"""The 68 landmarks of a face by an ensemble of regression trees (Kazemi & Sullivan 2014), as shipped with dlib.

The predictor was trained on iBUG 300-W, whose terms exclude commercial use.
"""

import importlib.util
from functools import cache
from pathlib import Path

import dlib
import numpy as np

from mien.core.errors import ModelError
from mien.faces.detector import Box, cut_square

N_LANDMARKS = 68
PACKAGE = "face_recognition_models"
FILE = "models/shape_predictor_68_face_landmarks.dat"
FACE_PX = 240  # dlib rounds landmarks to whole pixels: at this size the rounding is 0.2 % of the face
CONTEXT = 1.8  # side of the picture shown to the predictor, in faces


def locate(grey: np.ndarray, box: Box) -> np.ndarray:
    """Return the landmarks (68, 2) float32, px of the source picture (x right, y down), of the face in `box`."""
    scale = FACE_PX / box.side
    side = round(FACE_PX * CONTEXT)
    margin = (side - FACE_PX) / 2
    origin = (box.x - margin / scale, box.y - margin / scale)
    corner, far = round(margin), round(margin) + FACE_PX - 1
    shape = _predictor()(cut_square(grey, origin, scale, side), dlib.rectangle(corner, corner, far, far))
    points = np.array([(point.x, point.y) for point in shape.parts()], dtype=np.float64)
    return (points / scale + origin).astype(np.float32)


def predictor_file() -> Path:
    """Return the path of the trained predictor, found without importing the package that ships it.

    Raises
    ------
    ModelError : the package or its file is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    for folder in folders:
        if (Path(folder) / FILE).is_file():
            return Path(folder) / FILE
    where = folders[0] if folders else "this Python environment"
    raise ModelError(f"{FILE} is not in {where}; install it with: pip install {PACKAGE}==0.3.0")


@cache
def _predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(predictor_file()))
