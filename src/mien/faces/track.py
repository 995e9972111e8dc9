"""Follow faces from frame to frame, knowing nothing of the frames to come: landmarks, regions, and who is who.

`follow` tracks the one face of a clip, whose region is one square for the whole clip; networks that run along, which
know no later frame, are shown the square around the boxes of the last `region_s` seconds instead (`region_by`).
"""

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from mien.config.schema import FacesConfig
from mien.errors import MediaError
from mien.faces.detect import N_LANDMARKS, Box, find_near, locate, prominence, search_faces

KEPT_BYTES = 256 * 2**20  # pictures of one clip that stay in memory until its region is known
SAME_FACE = 0.2  # overlap from which a detected face is the one that was followed
MOST_FACES = 6  # that are followed at a time: each costs some milliseconds per frame
STEADY = 1.3  # times as prominent as the main face somebody must be to take its place
TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal


_NO_POINTS = np.full((N_LANDMARKS, 2), np.nan, dtype=np.float32)
_NO_FACE = (math.nan,) * 3, math.nan, _NO_POINTS


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
    tracker = FaceTracker(config, forget_s=0.0, most=1)
    budget = math.inf if iter(frames) is frames else KEPT_BYTES  # an iterator cannot be read again
    kept, seen, times, shape = [], [], [], None
    for time_s, picture in frames:
        if shape not in (None, picture.shape):
            raise MediaError(f"the picture changes its size from {shape} to {picture.shape} at {time_s:.2f} s")
        shape = picture.shape
        times.append(time_s)
        if cropped:
            box = whole_picture(shape)
            points = locate(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), box)
            seen.append(((box.x, box.y, box.side), math.nan, points))
        else:
            faces = tracker.update(time_s, picture)
            seen.append((faces[0].box, faces[0].score, faces[0].landmarks) if faces else _NO_FACE)
        if picture.nbytes * len(times) <= budget:
            kept.append(picture)
    if shape is None:
        raise MediaError("the clip has no frames")
    boxes = np.array([box for box, _, _ in seen])
    if np.isnan(boxes).all():
        side = min(shape[:2])
        region = np.array([(shape[1] - side) // 2, (shape[0] - side) // 2, side], dtype=np.float64)
    else:
        region = region_around(boxes, margin=1.0 if cropped else config.margin)
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


@dataclass(frozen=True, eq=False)
class Face:
    """A person in a frame; px of the picture."""

    person: int  # 1, 2, ...: the same number while the face is followed
    box: np.ndarray  # (3,) left, top, side of the newest box
    region: np.ndarray  # (3,) left, top, side, whole px: what a network looks at
    landmarks: np.ndarray  # (68, 2) float32, NaN where not found, or not asked for
    score: float  # detector confidence; NaN where it was not found in a search of the whole picture
    found: bool  # in this very frame


class FaceTracker:
    """The faces of one film, frame after frame, `most` at a time.

    The whole picture is searched in every `detect_every`-th frame, and where a face was lost; between, each known face
    is followed where it was. Boxes of the whole picture belong to those who were there before by their overlap. Who was
    not seen for `forget_s` is forgotten, and is somebody new afterwards.

    landmarks : find them; without, they are NaN, and the film takes less time.
    """

    def __init__(self, config: FacesConfig, *, forget_s: float, most: int = MOST_FACES, landmarks: bool = True) -> None:
        self.config, self.forget_s, self.most, self.landmarks = config, forget_s, most, landmarks
        self._searched: list[Box] = []  # what a search of the whole newest frame found
        self._n_frames = 0
        self._people: list[_Person] = []
        self._main: _Person | None = None
        self._n_people = 0

    def update(self, time_s: float, picture: np.ndarray) -> list[Face]:
        """Return who is in the next picture (H, W, 3) uint8 RGB, or was until `forget_s` ago; the main face first.

        The main face is the most prominent over the last `forget_s`; somebody else takes its place only when clearly
        more prominent. The others follow in the order of their numbers. Times may not run back.
        """
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        boxes = self._find(picture if self.config.detector == "cnn" else grey)
        for person, box in boxes.items():
            person.seen.append((time_s, box))
        everybody = {**dict.fromkeys(self._people), **boxes}
        self._people = [one for one in everybody if one in boxes or time_s - one.seen[-1][0] < self.forget_s]
        for person in self._people:
            person.here = person in boxes
            person.forget(time_s - max(self.config.region_s, self.forget_s))
        self._choose_main(time_s)
        order = sorted(self._people, key=lambda person: (person is not self._main, person.number))
        return [self._face(person, time_s, grey) for person in order]

    def _find(self, picture: np.ndarray) -> dict["_Person", Box]:
        """Return who is seen where in the next frame, newcomers included."""
        due = self._n_frames % self.config.detect_every == 0
        self._n_frames += 1
        here = [person for person in self._people if person.here]
        boxes = {} if due else {one: box for one in here if (box := self._find_near(picture, one)) is not None}
        self._searched = []
        if not here or len(boxes) < len(here):
            # The costly searches wait for their turn, or a clip without a face would take minutes.
            thorough = due or len(here) > 0
            self._searched = search_faces(
                picture, self.config.detect_px, thorough=thorough, detector=self.config.detector
            )
            new = [box for box in self._searched if not _is_taken(box, boxes.values())]
            boxes |= _assign([person for person in self._people if person not in boxes], new)
            new = [box for box in new if not _is_taken(box, boxes.values())]
            for person in here:
                is_tried = not due or person in boxes or len(boxes) + len(new) >= self.most
                if not is_tried and (box := self._find_near(picture, person)) is not None:
                    boxes[person] = box
            for box in new:
                if len(boxes) < self.most and not _is_taken(box, boxes.values()):
                    self._n_people += 1
                    boxes[_Person(self._n_people)] = box
        apart: dict[_Person, Box] = {}
        for person in sorted(boxes, key=lambda person: person.number):  # a box that two claim is the older one's
            if not _is_taken(boxes[person], apart.values()):
                apart[person] = boxes[person]
        return apart

    def _find_near(self, picture: np.ndarray, person: "_Person") -> Box | None:
        return find_near(picture, person.last, detector=self.config.detector)

    def _choose_main(self, time_s: float) -> None:
        weights = {person: person.weight(time_s - self.forget_s) for person in self._people}
        best = max(weights, key=weights.get, default=None)
        if self._main not in weights or weights[best] > STEADY * weights[self._main]:
            self._main = best

    def _face(self, person: "_Person", time_s: float, grey: np.ndarray) -> Face:
        seen = [(at_s, np.array([box.x, box.y, box.side])) for at_s, box in person.seen]
        region = region_by(time_s, seen, self.config)
        points = locate(grey, person.last) if person.here and self.landmarks else _NO_POINTS
        score = person.last.score if person.here and person.last in self._searched else math.nan
        return Face(person.number, seen[-1][1], region, points, score, found=person.here)


def whole_picture(shape: tuple[int, ...]) -> Box:
    """Return the square around a picture of a shape (H, W, ...), which is a face and nothing else."""
    side = float(max(shape[:2]))
    return Box((shape[1] - side) / 2, (shape[0] - side) / 2, side, math.nan)


class WholePicture:
    """Stands in the place of a `FaceTracker` where every picture is a face and nothing else."""

    def __init__(self, *, landmarks: bool = True) -> None:
        self.landmarks = landmarks

    def update(self, time_s: float, picture: np.ndarray) -> list[Face]:
        """Return the face that a picture (H, W, 3) uint8 RGB is."""
        box = whole_picture(picture.shape)
        square = np.array([box.x, box.y, box.side])
        points = locate(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), box) if self.landmarks else _NO_POINTS
        return [Face(1, square, np.floor(square), points, math.nan, found=True)]


class _Person:
    """What is remembered of somebody: the last boxes and their times."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.seen: deque[tuple[float, Box]] = deque()
        self.here = True  # in the newest frame

    @property
    def last(self) -> Box:
        return self.seen[-1][1]

    def forget(self, before_s: float) -> None:
        while len(self.seen) > 1 and self.seen[0][0] <= before_s:
            self.seen.popleft()

    def weight(self, since_s: float) -> float:
        """Return the sum of the prominence of the boxes since then: frames without the face count as nothing."""
        return sum(prominence(box) for at_s, box in self.seen if at_s > since_s)


def _assign(people: list[_Person], boxes: list[Box]) -> dict[_Person, Box]:
    """Give boxes to the people whose last boxes they overlap, so that the sum of overlaps is largest."""
    if not people or not boxes:
        return {}
    overlap = np.array([[person.last.overlap(box) for box in boxes] for person in people])
    rows, columns = linear_sum_assignment(overlap, maximize=True)
    pairs = zip(rows, columns, strict=True)
    return {people[row]: boxes[column] for row, column in pairs if overlap[row, column] >= SAME_FACE}


def _is_taken(box: Box, others) -> bool:
    return any(box.overlap(other) >= SAME_FACE for other in others)
