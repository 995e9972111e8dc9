"""Follow the face of a clip: landmarks and a verdict for every frame, and its region.

The region is one square for the whole clip; networks that run along, which know no later frame, are shown the square
around the boxes of the last `region_s` seconds instead (`region_by`).
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import cv2
import numpy as np

from mien.config.schema import FacesConfig
from mien.errors import MediaError
from mien.faces.detect import N_LANDMARKS, Box, Detector, locate

KEPT_BYTES = 256 * 2**20  # pictures of one clip that stay in memory until its region is known
SAME_FACE = 0.2  # overlap from which a detected face is the one that was followed
TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal


@dataclass(frozen=True)
class Track:
    """A clip after face tracking, T frames; px are those of the source picture."""

    frames: np.ndarray  # (T, S, S, 3) uint8 RGB, the region of every frame
    landmarks: np.ndarray  # (T, 68, 2) float32 px, NaN where not found
    boxes: np.ndarray  # (T, 3) left, top, side of the detector's box, px; NaN where not found
    region: np.ndarray  # (3,) left, top, side of the region, whole px
    time_s: np.ndarray  # (T,)
    score: np.ndarray  # (T,) detector confidence; NaN where tracked or not found
    found: np.ndarray  # (T,) bool
    along: np.ndarray | None = None  # as frames, each by the region that was known by then; zeros where not found


def follow(
    frames: Iterable[tuple[float, np.ndarray]], config: FacesConfig, *, cropped: bool = False, along: bool = False
) -> Track:
    """Track the most prominent face through (time in s, picture (H, W, 3) uint8 RGB).

    Every `detect_every` frames, and where the face was lost, the whole picture is searched; between, only the
    surroundings of the last box, so that `found` rests on the detector in every frame. The region is the square
    around the median box of the found frames, times `margin`; without any face it is the centre square.
    Pictures beyond 256 MiB are not kept: `frames` is iterated a second time, unless it is an iterator.

    cropped : the pictures show a face and nothing else; the whole picture is the box and the region.
    along : cut every frame by the region of `region_by` too.

    Raises
    ------
    MediaError : no frames, or frames of different sizes.
    """
    seer = _WholePicture() if cropped else _Follower(config)
    budget = math.inf if iter(frames) is frames else KEPT_BYTES  # an iterator cannot be read again
    kept, seen, times, shape = [], [], [], None
    for time_s, picture in frames:
        if shape not in (None, picture.shape):
            raise MediaError(f"the picture changes its size from {shape} to {picture.shape} at {time_s:.2f} s")
        shape = picture.shape
        times.append(time_s)
        seen.append(seer.look(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)))
        if picture.nbytes * len(times) <= budget:
            kept.append(picture)
    if shape is None:
        raise MediaError("the clip has no frames")
    boxes = np.array([(box.x, box.y, box.side) if box else (np.nan,) * 3 for box, _, _ in seen])
    region = _region(boxes, shape, 1.0 if cropped else config.margin)
    again = iter(kept) if len(kept) == len(times) else (picture for _, picture in frames)
    regions = [np.tile(region, (len(times), 1)), *([_regions_by(times, boxes, config)] if along else [])]
    squares = _cut(again, np.stack(regions), config.size_px)
    return Track(
        frames=squares[0],
        along=squares[1] if along else None,
        landmarks=np.stack([points for _, _, points in seen]),
        boxes=boxes,
        region=region,
        time_s=np.array(times),
        score=np.array([score for _, score, _ in seen]),
        found=~np.isnan(boxes[:, 0]),
    )


def region_around(boxes: np.ndarray, *, margin: float) -> np.ndarray:
    """Return the square (left, top, side), whole px, around the median of boxes (T, 3); NaN rows do not count."""
    found = boxes[~np.isnan(boxes[:, 0])]
    centre = np.median(found[:, :2] + found[:, 2:] / 2, axis=0)
    side = max(1.0, round(float(np.median(found[:, 2])) * margin))
    return np.array([*np.floor(centre - side / 2 + 0.5), side])


def region_by(time_s: float, seen: Sequence[tuple[float, np.ndarray]], config: FacesConfig) -> np.ndarray:
    """Return the region (left, top, side), whole px, that is known at a time: of the boxes of the last `region_s`.

    seen : (time in s, box (3,)) of all boxes of a face by then, ascending; if all are older, the last one counts.
    """
    since_s = time_s - config.region_s + TOLERANCE_S
    boxes = [box for _, box in takewhile(lambda one: one[0] > since_s, reversed(seen))]
    return region_around(np.array(boxes or [seen[-1][1]]), margin=config.margin)


def cut_region(picture: np.ndarray, region: np.ndarray, *, size_px: int) -> np.ndarray:
    """Return the region (left, top, side) of a picture (H, W, 3) as (S, S, 3); beyond the edge, the edge goes on."""
    left, top, side = (int(value) for value in region)
    height, width = picture.shape[:2]
    rows = np.clip(np.arange(top, top + side), 0, height - 1)
    columns = np.clip(np.arange(left, left + side), 0, width - 1)
    inside = left >= 0 and top >= 0 and left + side <= width and top + side <= height
    square = picture[top : top + side, left : left + side] if inside else picture[rows][:, columns]
    method = cv2.INTER_AREA if side >= size_px else cv2.INTER_LINEAR  # enlarging by area repeats pixels
    return cv2.resize(np.ascontiguousarray(square), (size_px, size_px), interpolation=method)


def points_of(grey: np.ndarray, box: Box | None) -> np.ndarray:
    """Return the landmarks (68, 2) of the face in `box`, px of the picture (H, W) uint8; NaN without a face."""
    return locate(grey, box) if box is not None else np.full((N_LANDMARKS, 2), np.nan, dtype=np.float32)


class Watcher:
    """When the whole picture is searched and when only the surroundings of known faces, from frame to frame."""

    def __init__(self, config: FacesConfig) -> None:
        self.config = config
        self.detector = Detector()
        self.n_seen = 0

    def look(self, grey: np.ndarray, known: Sequence[Box]) -> tuple[list[Box | None], list[Box] | None]:
        """Look at the next frame (H, W) uint8, where the frame before had the boxes `known`.

        Returns what is around each of `known`, and the faces of the whole picture, most prominent first: None where
        that was not searched. In the frames whose turn it is, the whole picture is searched and nothing else:
        `near` tells the rest.
        """
        due = self.n_seen % self.config.detect_every == 0
        self.n_seen += 1
        around = [None if due else self.detector.near(grey, box) for box in known]
        if around and None not in around:
            return around, None
        # The costly searches wait for their turn, or a clip without a face would take minutes.
        return around, self.detector.search(grey, self.config.detect_px, thorough=due or len(known) > 0)

    def near(self, grey: np.ndarray, box: Box) -> Box | None:
        """Return the face around `box` in a frame whose turn it was, and where the whole picture did not show it."""
        was_due = (self.n_seen - 1) % self.config.detect_every == 0
        return self.detector.near(grey, box) if was_due else None  # otherwise it was tried


class _Follower:
    """The state between two frames: where the face was."""

    def __init__(self, config: FacesConfig) -> None:
        self.watcher = Watcher(config)
        self.last: Box | None = None

    def look(self, grey: np.ndarray) -> tuple[Box | None, float, np.ndarray]:
        """Return (box, score, landmarks (68, 2)) of the next frame (H, W) uint8; without a face None and NaN."""
        around, everywhere = self.watcher.look(grey, [self.last] if self.last else [])
        score = math.nan
        if everywhere is None:
            (box,) = around
        elif (box := self._same_or_best(everywhere)) is not None:
            score = box.score
        elif self.last is not None:
            box = self.watcher.near(grey, self.last)
        self.last = box
        return box, score, points_of(grey, box)

    def _same_or_best(self, boxes: list[Box]) -> Box | None:
        if self.last is not None and boxes:
            nearest = max(boxes, key=self.last.overlap)
            if nearest.overlap(self.last) >= SAME_FACE:
                return nearest
        return boxes[0] if boxes else None


class _WholePicture:
    """For pictures that were cut around the face by those who made the corpus."""

    def look(self, grey: np.ndarray) -> tuple[Box, float, np.ndarray]:
        height, width = grey.shape
        side = float(max(height, width))
        box = Box((width - side) / 2, (height - side) / 2, side, math.nan)
        return box, math.nan, points_of(grey, box)


def _region(boxes: np.ndarray, shape: tuple[int, ...], margin: float) -> np.ndarray:
    if not np.isnan(boxes[:, 0]).all():
        return region_around(boxes, margin=margin)
    side = min(shape[:2])
    return np.array([(shape[1] - side) // 2, (shape[0] - side) // 2, side], dtype=np.float64)


def _regions_by(times: list[float], boxes: np.ndarray, config: FacesConfig) -> np.ndarray:
    """Return what `region_by` says at every frame, (T, 3); NaN where the face was not found."""
    regions, seen = np.full(boxes.shape, np.nan), []
    for k in np.flatnonzero(~np.isnan(boxes[:, 0])):
        seen.append((times[k], boxes[k]))
        regions[k] = region_by(times[k], seen, config)
    return regions


def _cut(pictures: Iterator[np.ndarray], regions: np.ndarray, size_px: int) -> np.ndarray:
    """Return R regions (R, T, 3) of each of T pictures, (R, T, S, S, 3); zeros where a region is NaN."""
    squares = np.zeros((*regions.shape[:2], size_px, size_px, 3), dtype=np.uint8)
    for k, picture in zip(range(regions.shape[1]), pictures, strict=False):
        for square, region in zip(squares[:, k], regions[:, k], strict=True):
            if not np.isnan(region[0]):
                square[:] = cut_region(picture, region, size_px=size_px)
    return squares
