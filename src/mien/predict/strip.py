"""The rolling timeline below a picture: a row of colours for the verdict, for each person, and for the voice."""

from collections import deque
from collections.abc import Sequence

import numpy as np

from mien.predict.lettering import Colour, fitted, put, width_of, word

NOTHING, UNJUDGED = -1, -2  # beside the numbers of the classes: nobody there; there, but no judgement
_PEOPLE = 3  # rows for people
_GREY = (92, 100, 110)  # of what is there and not judged


class Strip:
    """The last `timeline_s` s as rows of colours in a rectangle of a canvas.

    box : left, top, right, bottom in px of the canvas; unit : px per px of a picture 360 px wide or high.
    colours : of the classes.
    """

    def __init__(
        self,
        box: tuple[int, int, int, int],
        *,
        unit: float,
        timeline_s: float,
        colours: Sequence[Colour],
        paper: Colour,
        track: Colour,
        ink: Colour,
    ) -> None:
        self._unit, self._timeline_s, self._paper, self._ink = unit, timeline_s, paper, ink
        self._colours = np.array([*colours, _GREY, track], np.uint8)  # the last two are found by negative numbers
        left, top, right, bottom = box
        self._size = round(11 * unit)
        self._names_x = left
        self._left, self._right = left + width_of("face 999", self._size) + round(8 * unit), right
        self._axis = round(16 * unit)
        self._top, self._bottom = top, bottom - self._axis
        self._past: deque[tuple[float, int, int, dict[int, int]]] = deque()  # time, verdict, voice, people

    def add(self, time_s: float, verdict: int, voice: int, people: dict[int, int]) -> None:
        """Take in a moment: numbers of classes, or NOTHING or UNJUDGED; a time before the last one starts anew."""
        if self._past and time_s <= self._past[-1][0]:
            self._past.clear()
        self._past.append((time_s, verdict, voice, people))
        while len(self._past) > 1 and self._past[1][0] <= time_s - self._timeline_s:
            self._past.popleft()

    def draw(self, canvas: np.ndarray, remark: str) -> None:
        """Draw the rows, the times of their ends and a remark between these."""
        now_s = self._past[-1][0]
        end_s = max(now_s, self._past[0][0] + self._timeline_s)
        rows, more = self._rows()
        numbers = np.array([values for _, values in rows])  # (rows, moments)
        at = np.linspace(end_s - self._timeline_s, end_s, self._right - self._left)
        column = np.searchsorted([moment[0] for moment in self._past], at + 1e-6, side="right") - 1
        pixels = numbers[:, column.clip(0)]
        pixels[:, (column < 0) | (at > now_s + 1e-6)] = NOTHING
        self._draw_rows(canvas, [name for name, _ in rows], self._colours[pixels])
        if now_s < end_s - 1e-6:
            x = self._left + int((now_s - end_s + self._timeline_s) / self._timeline_s * (self._right - self._left))
            canvas[self._top : self._bottom, x : x + max(1, round(self._unit))] = 255
        if more:
            remark = f"{remark}; {more} more faces" if remark else f"{more} more face{'s' * (more > 1)}"
        self._draw_axis(canvas, clock(end_s - self._timeline_s), clock(end_s), remark)

    def _rows(self) -> tuple[list[tuple[str, list[int]]], int]:
        """Return (name, number at every moment) of every row, and how many people have none."""
        last_seen = {person: time_s for time_s, _, _, people in self._past for person in people}
        newest_first = sorted(last_seen, key=lambda person: (-last_seen[person], person))
        shown = sorted(newest_first[:_PEOPLE])
        rows = [("verdict", [verdict for _, verdict, _, _ in self._past])]
        rows += [(f"face {one}", [people.get(one, NOTHING) for *_, people in self._past]) for one in shown]
        rows.append(("voice", [voice for _, _, voice, _ in self._past]))
        return rows, len(last_seen) - len(shown)

    def _draw_rows(self, canvas: np.ndarray, names: list[str], colours: np.ndarray) -> None:
        """Draw the rows (rows, width, 3), of which the first is the tallest, with their names."""
        gap = max(1, round(2 * self._unit))
        weights = np.array([1.5] + [1.0] * (len(names) - 1))
        height = (self._bottom - self._top + gap) / weights.sum()
        edges = self._top + np.r_[0.0, weights.cumsum() * height]
        size = min(self._size, int(height / 1.27))  # a line of letters is so much higher than their size
        for name, row, top, bottom in zip(names, colours, edges[:-1].round(), edges[1:].round() - gap, strict=True):
            canvas[int(top) : int(bottom), self._left : self._right] = row
            put(canvas, word(name, size, self._ink, self._paper), self._names_x, (top + bottom) / 2)

    def _draw_axis(self, canvas: np.ndarray, start: str, end: str, remark: str) -> None:
        y = self._bottom + self._axis / 2 + self._unit
        put(canvas, word(start, self._size, self._ink, self._paper), self._left, y)
        put(canvas, word(end, self._size, self._ink, self._paper), self._right, y, align="right")
        if remark:
            left = self._left + width_of(start, self._size) + 2 * self._size
            right = self._right - width_of(end, self._size) - 2 * self._size
            text, size = fitted(remark, self._size, right - left, least=round(9 * self._unit))
            put(canvas, word(text, size, (255, 255, 255), self._paper), (left + right) / 2, y, align="middle")


def clock(time_s: float) -> str:
    """Return a time as words: 12.4 s, or 1:02.4 from a minute on."""
    tenths = round(max(0.0, time_s) * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, tenths = divmod(tenths, 600)
    return f"{minutes}:{tenths / 10:04.1f}"
