"""Follow the faces of a running film: who is who from frame to frame, knowing nothing of the frames to come."""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from mien.config.schema import FacesConfig
from mien.faces.detect import Box, prominence
from mien.faces.track import SAME_FACE, Watcher, points_of, region_by

MOST_FACES = 6  # that are followed at a time: each costs some milliseconds per frame
STEADY = 1.3  # times as prominent as the main face somebody must be to take its place


@dataclass(frozen=True, eq=False)
class Face:
    """A person in a frame; px of the picture."""

    person: int  # 1, 2, ...: the same number while the face is followed
    box: np.ndarray  # (3,) left, top, side of the newest box
    region: np.ndarray  # (3,) left, top, side, whole px: what a network looks at
    landmarks: np.ndarray  # (68, 2) float32, NaN where not found
    found: bool  # in this very frame


class FaceTracker:
    """The faces of one film, frame after frame.

    The whole picture is searched in every `detect_every`-th frame, and where a face was lost; between, each known face
    is followed where it was: with one face in the film, exactly as `mien.faces.track.follow` does. Boxes of the whole
    picture belong to those who were there before by their overlap. Who was not seen for `forget_s` is forgotten, and
    is somebody new afterwards. Regions are those of `mien.faces.track.region_by`.
    """

    def __init__(self, config: FacesConfig, *, forget_s: float) -> None:
        self.config = config
        self.forget_s = forget_s
        self._watcher = Watcher(config)
        self._people: list[_Person] = []
        self._main: _Person | None = None
        self._n_people = 0

    def update(self, time_s: float, picture: np.ndarray) -> list[Face]:
        """Return who is in the next picture (H, W, 3) uint8 RGB, or was until `forget_s` ago; the main face first.

        The main face is the most prominent over the last `forget_s`; somebody else takes its place only when clearly
        more prominent. The others follow in the order of their numbers. Times may not run back.
        """
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        boxes = self._boxes(grey)
        for person, box in boxes.items():
            person.seen.append((time_s, box))
        everybody = {**dict.fromkeys(self._people), **boxes}
        self._people = [person for person in everybody if time_s - person.seen[-1][0] < self.forget_s]
        for person in self._people:
            person.here = person in boxes
            person.forget(time_s - max(self.config.region_s, self.forget_s))
        self._choose_main(time_s)
        order = sorted(self._people, key=lambda person: (person is not self._main, person.number))
        return [self._face(person, time_s, grey) for person in order]

    def _boxes(self, grey: np.ndarray) -> dict["_Person", Box]:
        """Return who is seen where in the next frame, newcomers included."""
        here = [person for person in self._people if person.here]
        around, everywhere = self._watcher.look(grey, [person.last for person in here])
        boxes = {person: box for person, box in zip(here, around, strict=True) if box is not None}
        if everywhere is not None:
            new = [box for box in everywhere if not _is_taken(box, boxes.values())]
            missed = [person for person in self._people if person not in boxes]
            boxes |= _assign(missed, new)
            for person in here:
                if person not in boxes and (box := self._watcher.near(grey, person.last)) is not None:
                    boxes[person] = box
            for box in new:
                if len(boxes) < MOST_FACES and not _is_taken(box, boxes.values()):
                    self._n_people += 1
                    boxes[_Person(self._n_people)] = box
        apart: dict[_Person, Box] = {}
        for person in sorted(boxes, key=lambda person: person.number):  # a box that two claim is the older one's
            if not _is_taken(boxes[person], apart.values()):
                apart[person] = boxes[person]
        return apart

    def _choose_main(self, time_s: float) -> None:
        weights = {person: person.weight(time_s - self.forget_s) for person in self._people}
        best = max(weights, key=weights.get, default=None)
        if self._main not in weights or weights[best] > STEADY * weights[self._main]:
            self._main = best

    def _face(self, person: "_Person", time_s: float, grey: np.ndarray) -> Face:
        seen = [(at_s, np.array([box.x, box.y, box.side])) for at_s, box in person.seen]
        region = region_by(time_s, seen, self.config)
        points = points_of(grey, person.last if person.here else None)
        return Face(person.number, seen[-1][1], region, points, found=person.here)


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
