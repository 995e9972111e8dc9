"""Faces by dlib's detectors, and their 68 landmarks.

hog: histograms of gradients (Dalal & Triggs 2005; King 2009), for faces seen from about the front. cnn: a convolutional
network with max-margin training (King 2015, arXiv 1502.00046), which finds profile views too and takes some 40 times as
long on a CPU.

Landmarks are found by an ensemble of regression trees (Kazemi & Sullivan 2014), as shipped with dlib. The predictor was
trained on iBUG 300-W, whose terms exclude commercial use.
"""

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import dlib
import numpy as np

from mien.errors import ModelError

SEARCH_SCORE = 0.0  # dlib's own threshold
FOLLOW_SCORE = -0.3  # lower where a face was a frame ago
FOLLOW_FACE_PX = 100  # side of the face in the small picture that is searched around it; the detector's window is 80
FOLLOW_CONTEXT = 1.8  # side of that picture in faces
# Of the shorter side; below, a picture is enlarged once: a detector sees no face below 80 px, and cnn takes seconds.
SMALL_PX = {"hog": 480, "cnn": 240}
N_LANDMARKS = 68
PACKAGE = "face_recognition_models"
FILE = "models/shape_predictor_68_face_landmarks.dat"
CNN_FILE = "models/mmod_human_face_detector.dat"
FACE_PX = 240  # dlib rounds landmarks to whole pixels: at this size the rounding is 0.2 % of the face
CONTEXT = 1.8  # side of the picture shown to the predictor, in faces


@dataclass(frozen=True)
class Box:
    """A square around a face, px of the source picture; x, y is its left top corner."""

    x: float
    y: float
    side: float
    score: float  # distance to the decision boundary; higher is surer

    def overlap(self, other: "Box") -> float:
        """Return the intersection over union of the two squares."""
        width = min(self.x + self.side, other.x + other.side) - max(self.x, other.x)
        height = min(self.y + self.side, other.y + other.side) - max(self.y, other.y)
        shared = max(width, 0.0) * max(height, 0.0)
        return shared / (self.side**2 + other.side**2 - shared)


@cache
def _detector(kind: str) -> dlib.fhog_object_detector | dlib.cnn_face_detection_model_v1:
    """Return a detector of this process: unpacking it takes longer than a clip."""
    if kind == "hog":
        return dlib.get_frontal_face_detector()
    return dlib.cnn_face_detection_model_v1(str(model_file(CNN_FILE)))


def _detect(picture: np.ndarray, threshold: float, scale: float, origin: tuple[float, float], kind: str) -> list[Box]:
    """Return the faces of 80 px and more of a picture cut out at `origin`; hog: turned by up to about 40 degrees.

    threshold : of hog; cnn has its own.
    """
    if kind == "hog":
        found, scores, _ = _detector(kind).run(picture, 0, threshold)
    else:
        answers = _detector(kind)(picture, 0)
        found, scores = [one.rect for one in answers], [one.confidence for one in answers]
    return [
        Box(
            origin[0] + face.left() / scale,
            origin[1] + face.top() / scale,
            (face.width() + face.height()) / 2 / scale,
            float(score),
        )
        for face, score in zip(found, scores, strict=True)
    ]


def search_faces(picture: np.ndarray, detect_px: int, *, thorough: bool, detector: str = "hog") -> list[Box]:
    """Return the faces of a picture uint8, most prominent first: grey (H, W); for cnn, which sees more in it, RGB.

    The picture is searched downscaled to `detect_px` rows; if that shows nothing and `thorough`, at full resolution; if
    that shows nothing either and the picture is small, at double size.
    """
    height, width = picture.shape[:2]
    scales = [min(1.0, detect_px / height)]
    if thorough:
        scales += [1.0] * (scales[0] < 1.0) + [2.0] * (min(height, width) < SMALL_PX[detector])
    for scale in scales:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
        scaled = picture if scale == 1.0 else cv2.resize(picture, size, interpolation=how)
        if boxes := _detect(scaled, SEARCH_SCORE, scale, (0.0, 0.0), detector):
            return sorted(boxes, key=prominence, reverse=True)
    return []


def find_near(picture: np.ndarray, box: Box, *, detector: str = "hog") -> Box | None:
    """Return the face around the place where `box` was in the previous frame, if it is still there.

    picture : as of `search_faces`.
    """
    scale = FOLLOW_FACE_PX / box.side
    side = round(FOLLOW_FACE_PX * FOLLOW_CONTEXT)
    origin = (box.x + box.side / 2 - side / scale / 2, box.y + box.side / 2 - side / scale / 2)
    boxes = _detect(cut_square(picture, origin, scale, side), FOLLOW_SCORE, scale, origin, detector)
    return max(boxes, key=lambda found: found.overlap(box), default=None)


def prominence(box: Box) -> float:
    """Weigh size and certainty: the person filmed is large and clear, bystanders small, mistakes uncertain."""
    return box.side * max(box.score, 0.0)


def cut_square(picture: np.ndarray, origin: tuple[float, float], scale: float, side: int) -> np.ndarray:
    """Return (side, side) pixels at `scale`, `origin` (x, y) px of the source at the left top; edges are continued."""
    transform = np.array([[scale, 0.0, -scale * origin[0]], [0.0, scale, -scale * origin[1]]])
    return cv2.warpAffine(picture, transform, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


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


def model_file(name: str = FILE) -> Path:
    """Return the path of a trained model of dlib, found without importing the package that ships it.

    Raises
    ------
    ModelError : the package or its file is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    for folder in folders:
        if (Path(folder) / name).is_file():
            return Path(folder) / name
    where = folders[0] if folders else "this Python environment"
    raise ModelError(f"{name} is not in {where}; install it with: pip install {PACKAGE}==0.3.0")


@cache
def _predictor() -> dlib.shape_predictor:
    return dlib.shape_predictor(str(model_file()))


def load() -> None:
    """Load what HOG takes and the predictor of landmarks, a second and a half, before the first picture."""
    _detector("hog"), _predictor()
