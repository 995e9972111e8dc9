"""A picture with what is seen and heard in it: faces in their colours, probabilities as bars, the last seconds."""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

from mien.candide.mesh import AU_NAMES
from mien.config.labels import colour_of

Colour = tuple[int, int, int]  # red, green, blue, 0..255
Box = tuple[int, int, int, int]  # left, top, right, bottom
_PAPER, _TRACK, _INK, _FAINT = (20, 23, 28), (44, 50, 58), (205, 210, 216), (140, 147, 156)
_WHITE, _UNKNOWN = (255, 255, 255), (84, 90, 98)
_DOTS = ".."
_FINE = 4  # letters are drawn so many times as large and averaged, because whole pixels space small ones unevenly


@lru_cache(maxsize=64)
def _font(size: int):
    return ImageFont.load_default(size * _FINE)


@lru_cache(maxsize=4096)
def measure_text(text: str, size: int) -> int:
    """Return the width of a text in px."""
    return int(np.ceil(_font(size).getlength(text) / _FINE))


@lru_cache(maxsize=512)
def fit_text(text: str, size: int, width: int, *, least: int) -> tuple[str, int]:
    """Return (text, size) that fit into `width` px: a smaller size down to `least`, then fewer letters."""
    while size > least and measure_text(text, size) > width:
        size -= 1
    if measure_text(text, size) <= width:
        return text, size
    while text and measure_text(text + _DOTS, size) > width:
        text = text[:-1].rstrip()
    return (text + _DOTS if text else ""), size


@lru_cache(maxsize=2048)
def draw_text(text: str, size: int, ink: Colour, paper: Colour) -> np.ndarray:
    """Draw a text: (height, width, 3) uint8, the height that of the font whatever the letters; not to be written to.

    Drawn once and then copied: a film says the same few words in every frame. The font is Pillow's own (Aileron, public
    domain), so that films look the same on every machine.
    """
    ascent, descent = (-(-value // _FINE) for value in _font(size).getmetrics())
    width, height = max(1, measure_text(text, size)), ascent + descent
    image = Image.new("L", (width * _FINE, height * _FINE), 0)
    ImageDraw.Draw(image).text((0, ascent * _FINE), text, font=_font(size), fill=255, anchor="ls")
    share = cv2.resize(np.asarray(image), (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    return (np.array(paper) + share * (np.array(ink) - np.array(paper, float))).round().astype(np.uint8)


def paste(picture: np.ndarray, patch: np.ndarray, x: float, y: float, *, align: str = "left") -> None:
    """Copy a patch into a picture, in place: `x` is its left, middle or right, `y` its middle; cut at the border."""
    height, width = patch.shape[:2]
    left = round(x) - {"left": 0, "middle": width // 2, "right": width}[align]
    top = round(y - height / 2)
    x0, y0 = max(0, left), max(0, top)
    target = picture[y0 : max(0, top + height), x0 : max(0, left + width)]
    target[:] = patch[y0 - top :, x0 - left :][: len(target), : target.shape[1]]


NOTHING, UNJUDGED = -1, -2  # beside the numbers of the classes: nobody there; there, but no judgement
_PEOPLE = 3  # rows for people
_GREY = (92, 100, 110)  # of what is there and not judged


class Timeline:
    """The last `timeline_s` s as rows of colours in a rectangle of a canvas: verdict, people, voice.

    Parameters
    ----------
    box
        In px of the canvas.
    unit
        Px per px of a picture 360 px wide or high.
    colours
        Of the classes.
    """

    def __init__(self, box: Box, *, unit: float, timeline_s: float, colours: Sequence[Colour]) -> None:
        self._unit, self._timeline_s = unit, timeline_s
        self._colours = np.array([*colours, _GREY, _TRACK], np.uint8)  # the last two are found by negative numbers
        left, top, right, bottom = box
        self._size = round(11 * unit)
        self._names_x = left
        self._left, self._right = left + measure_text("face 999", self._size) + round(8 * unit), right
        self._axis = round(16 * unit)
        self._top, self._bottom = top, bottom - self._axis
        # Time from which on, verdict, voice, people.
        self._past: deque[tuple[float, int, int, dict[int, int]]] = deque()
        self._now_s = 0.0

    def add(self, time_s: float, verdict: int, voice: int, people: dict[int, int]) -> None:
        """Take in a moment: numbers of classes, or NOTHING or UNJUDGED; a time before the last one starts anew."""
        if self._past and time_s <= self._now_s:
            self._past.clear()
        self._now_s = time_s
        if not self._past or self._past[-1][1:] != (verdict, voice, people):
            self._past.append((time_s, verdict, voice, people))
        while len(self._past) > 1 and self._past[1][0] <= time_s - self._timeline_s:
            self._past.popleft()

    def draw(self, canvas: np.ndarray, remark: str) -> None:
        """Draw the rows, of which the first is the tallest, the times of their ends, and a remark between these."""
        last_seen = {person: time_s for time_s, _, _, people in self._past for person in people}
        newest_first = sorted(last_seen, key=lambda person: (-last_seen[person], person))
        shown = sorted(newest_first[:_PEOPLE])
        rows = {"verdict": [verdict for _, verdict, _, _ in self._past]}
        rows |= {f"face {one}": [people.get(one, NOTHING) for *_, people in self._past] for one in shown}
        rows["voice"] = [voice for _, _, voice, _ in self._past]
        numbers = np.array(list(rows.values()))  # (rows, moments)
        now_s = self._now_s
        end_s = max(now_s, self._past[0][0] + self._timeline_s)
        at = np.linspace(end_s - self._timeline_s, end_s, self._right - self._left)
        column = np.searchsorted([moment[0] for moment in self._past], at + 1e-6, side="right") - 1
        pixels = numbers[:, column.clip(0)]
        pixels[:, (column < 0) | (at > now_s + 1e-6)] = NOTHING
        gap = max(1, round(2 * self._unit))
        height = (self._bottom - self._top + gap) / (len(rows) + 0.5)
        edges = (self._top + np.r_[0.0, 1.5 + np.arange(len(rows))] * height).round()
        size = min(self._size, int(height / 1.27))  # a line of letters is so much higher than their size
        for name, row, top, bottom in zip(rows, self._colours[pixels], edges[:-1], edges[1:] - gap, strict=True):
            canvas[int(top) : int(bottom), self._left : self._right] = row
            paste(canvas, draw_text(name, size, _INK, _PAPER), self._names_x, (top + bottom) / 2)
        if now_s < end_s - 1e-6:
            x = self._left + int((now_s - end_s + self._timeline_s) / self._timeline_s * (self._right - self._left))
            canvas[self._top : self._bottom, x : x + max(1, round(self._unit))] = 255
        if more := len(last_seen) - len(shown):
            remark = f"{remark}; {more} more faces" if remark else f"{more} more face{'s' * (more > 1)}"
        y, start, end = self._bottom + self._axis / 2 + self._unit, clock(end_s - self._timeline_s), clock(end_s)
        paste(canvas, draw_text(start, self._size, _INK, _PAPER), self._left, y)
        paste(canvas, draw_text(end, self._size, _INK, _PAPER), self._right, y, align="right")
        if remark:
            left = self._left + measure_text(start, self._size) + 2 * self._size
            right = self._right - measure_text(end, self._size) - 2 * self._size
            text, size = fit_text(remark, self._size, right - left, least=round(9 * self._unit))
            paste(canvas, draw_text(text, size, _WHITE, _PAPER), (left + right) / 2, y, align="middle")


def clock(time_s: float) -> str:
    """Return a time as words: 12.4 s, or 1:02.4 from a minute on."""
    tenths = round(max(0.0, time_s) * 10)
    if tenths < 600:
        return f"{tenths / 10:.1f} s"
    minutes, tenths = divmod(tenths, 600)
    return f"{minutes}:{tenths / 10:04.1f}"


_SHORT_PX, _LONG_PX = 360, 1920  # smaller pictures are enlarged, so that words fit beside them; larger ones reduced
# Widths of the panel, without and with units, height of the timeline, least side of the picture's place; px beside a
# picture 360 px wide or high.
_PANEL, _UNITS_PANEL, _TIMELINE, _LEAST = 236, 272, 106, 320


class Annotator:
    """Draws every `Moment` of an `Engine` for a film, a window or a page.

    Parameters
    ----------
    classes
        Names, in the order of all probabilities.
    size
        (width, height) of the source's pictures, px. A moment of another size is fitted into the same place.
    timeline_s
        How much of the past the rolling timeline shows.
    units
        Whether the eight action units of the main face are shown.

    Attributes
    ----------
    size : (width, height) of the annotated pictures, px, both even. Beside the picture, never on it, stands a panel
        with the verdict, and below it the timeline; everything grows with the picture.
    """

    def __init__(self, classes: Sequence[str], *, size: tuple[int, int], timeline_s: float, units: bool) -> None:
        self._classes = tuple(classes)
        self._colours = [ImageColor.getrgb(colour_of(name)) for name in self._classes]
        shown = min(max(1.0, _SHORT_PX / min(size)), _LONG_PX / max(size))
        self._shown = (max(1, round(size[0] * shown)), max(1, round(size[1] * shown)))
        self._unit = max(1.0, min(self._shown) / _SHORT_PX)
        least = self._px(_LEAST)
        self._place = (max(self._shown[0], least), max(self._shown[1], least))
        width = self._place[0] + self._px(_UNITS_PANEL if units else _PANEL)
        height = self._place[1] + self._px(_TIMELINE)
        self.size = (width + width % 2, height + height % 2)
        box = (self._px(10), self._place[1] + self._px(8), self._place[0], self.size[1] - self._px(4))
        self._timeline = Timeline(box, unit=self._unit, timeline_s=timeline_s, colours=self._colours)
        self._left, self._right = self._place[0] + self._px(14), self.size[0] - self._px(12)
        self._lay_out_panel(AU_NAMES if units else ())

    def draw(self, moment, *, remark: str = "") -> np.ndarray:
        """Return the picture of a moment, (height, width, 3) uint8 RGB of the size `size`; moments come in order.

        `remark` stands below the timeline, in the smallest letters that are still read, and is shortened where it
        is too long even so.
        """

        def number(probabilities: np.ndarray | None, otherwise: int) -> int:
            return otherwise if probabilities is None else int(np.argmax(probabilities))

        canvas = self._blank.copy()
        self._draw_picture(canvas, moment)
        self._draw_verdict(canvas, moment)
        self._draw_bars(canvas, moment)
        voice = number(moment.voice, UNJUDGED) if moment.heard else NOTHING
        people = {face.person: number(face.probabilities, UNJUDGED) for face in moment.faces}
        self._timeline.add(moment.time_s, number(moment.probabilities, NOTHING), voice, people)
        self._timeline.draw(canvas, remark)
        return canvas

    def _px(self, length: float) -> int:
        return max(1, round(length * self._unit))

    def _lay_out_panel(self, units: Sequence[str]) -> None:
        """Divide the panel into rows, and draw what no moment changes: names, and tracks of bars."""
        top, bottom = self._px(78), self.size[1] - self._px(8)
        row = min(self._px(28), (bottom - top) / (len(self._classes) + (1.7 + len(units) if units else 0.0)))
        self._row_size = max(6, min(self._px(13), int(row * 0.72)))
        self._thick = max(2, round(row * 0.5))
        units_top = top + (len(self._classes) + 1.7) * row
        canvas = np.full((self.size[1], self.size[0], 3), _PAPER, np.uint8)
        canvas[: self._place[1], : self._place[0]] = 0

        def draw_rows(names: Sequence[str], start: float, widest: str) -> tuple[list[float], int, int]:
            """Return the middles of the rows, and the left and the right of their bars."""
            longest = max(measure_text(name, self._row_size) for name in names)
            left = self._left + min(longest, round(0.55 * (self._right - self._left))) + self._px(8)
            right = self._right - measure_text(widest, self._row_size) - self._px(6)
            middles = [start + (k + 0.5) * row for k in range(len(names))]
            for name, y in zip(names, middles, strict=True):
                text, size = fit_text(name, self._row_size, left - self._left, least=max(6, self._row_size - 2))
                paste(canvas, draw_text(text, size, _INK, _PAPER), self._left, y)
                self._fill(canvas, left, right, y, _TRACK)
            return middles, left, right

        self._rows, self._bar_left, self._bar_right = draw_rows(self._classes, top, "100%")
        mark, gap = self._px(5), self._px(3)
        for colour, y in zip(self._colours, self._rows, strict=True):  # what the colours of the timeline mean
            self._fill(canvas, self._bar_left, self._bar_left + mark, y, colour)
            self._fill(canvas, self._bar_left + mark, self._bar_left + mark + gap, y, _PAPER)
        self._bar_left += mark + gap
        self._unit_rows = []
        if units:
            text = draw_text("action units", self._row_size, _FAINT, _PAPER)
            paste(canvas, text, self._left, units_top - 0.6 * row)
            self._unit_rows, self._unit_left, self._unit_right = draw_rows(units, units_top, "+0.00")
        self._blank = canvas

    def _fill(self, canvas: np.ndarray, left: float, right: float, y: float, colour: Colour) -> None:
        top = round(y - self._thick / 2)
        canvas[top : top + self._thick, round(left) : round(right)] = colour

    def _draw_verdict(self, canvas: np.ndarray, moment) -> None:
        width, y = self._right - self._left, self._px(30)
        text, size = fit_text(_describe_basis(moment), self._px(13), width, least=self._px(9))
        paste(canvas, draw_text(text, size, _FAINT, _PAPER), self._left, self._px(57))
        if moment.probabilities is None:
            paste(canvas, draw_text("no verdict", self._px(24), _FAINT, _PAPER), self._left, y)
            return
        best = int(np.argmax(moment.probabilities))
        chip, share = self._px(18), f"{moment.probabilities[best]:.0%}"
        top = round(y - chip / 2)
        canvas[top : top + chip, self._left : self._left + chip] = self._colours[best]
        paste(canvas, draw_text(share, self._px(24), _WHITE, _PAPER), self._right, y, align="right")
        room = width - chip - self._px(16) - measure_text(share, self._px(24))
        text, size = fit_text(self._classes[best], self._px(24), room, least=self._px(11))
        paste(canvas, draw_text(text, size, _WHITE, _PAPER), self._left + chip + self._px(8), y)

    def _draw_bars(self, canvas: np.ndarray, moment) -> None:
        """Draw probabilities, and units from the middle: to the right where positive, 1 or more fills its half."""

        def write_value(text: str, y: float) -> None:
            paste(canvas, draw_text(text, self._row_size, _INK, _PAPER), self._right, y, align="right")

        for k, y in enumerate(self._rows):
            share = None if moment.probabilities is None else float(moment.probabilities[k])
            write_value("-" if share is None else f"{share:.0%}", y)
            if share is not None:
                length = share * (self._bar_right - self._bar_left)
                self._fill(canvas, self._bar_left, self._bar_left + length, y, self._colours[k])
        units = moment.faces[0].units if moment.faces else None
        for k, y in enumerate(self._unit_rows):
            middle, half = (self._unit_left + self._unit_right) / 2, (self._unit_right - self._unit_left) / 2
            value = None if units is None or not np.isfinite(units[k]) else float(units[k])
            write_value("-" if value is None else f"{value:+.2f}", y)
            if value is not None:
                end = middle + half * min(1.0, max(-1.0, value))
                self._fill(canvas, min(middle, end), max(middle, end), y, _INK)
            self._fill(canvas, middle, middle + self._px(1), y, _FAINT)

    def _draw_picture(self, canvas: np.ndarray, moment) -> None:
        height, width = moment.picture.shape[:2]
        scale = min(self._shown[0] / width, self._shown[1] / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = moment.picture if size == (width, height) else cv2.resize(moment.picture, size, interpolation=how)
        left, top = (self._place[0] - size[0]) // 2, (self._place[1] - size[1]) // 2
        canvas[top : top + size[1], left : left + size[0]] = picture
        place = canvas[: self._place[1], : self._place[0]]
        if not moment.faces:
            self._write_tags(place, [((self._px(8), self._px(8), 0, 0), ["no face"], _UNKNOWN)])
            return
        tags = []
        for rank, face in reversed(list(enumerate(moment.faces))):  # the main face on top
            x, y, side = (float(value) * scale for value in face.region)
            x0, x1 = (round(min(max(edge, 0.0), size[0] - 1.0)) + left for edge in (x, x + side))
            y0, y1 = (round(min(max(edge, 0.0), size[1] - 1.0)) + top for edge in (y, y + side))
            judged = rank == 0 and "face" in moment.basis  # the verdict is on the main face, with the voice
            colour, words = self._word_face(face.person, moment.probabilities if judged else face.probabilities)
            self._draw_frame(place, (x0, y0, x1, y1), colour, thick=self._px(3 if rank == 0 else 2), whole=face.found)
            tags.insert(0, ((x0, y0, x1, y1), words, colour))
        self._write_tags(place, tags)

    def _word_face(self, person: int, probabilities: np.ndarray | None) -> tuple[Colour, list[str]]:
        """Return the colour of a face and what may stand at it, the most telling first."""
        if probabilities is None:
            return _UNKNOWN, [f"{person}"]
        best = int(np.argmax(probabilities))
        name = f"{person}: {self._classes[best]}"
        return self._colours[best], [f"{name} {probabilities[best]:.0%}", name, f"{person}"]

    def _draw_frame(self, place: np.ndarray, box: Box, colour: Colour, *, thick: int, whole: bool) -> None:
        """Draw a frame; of a face that was not found in this very picture only the corners."""
        x0, y0, x1, y1 = box
        for ink, width in (((0, 0, 0), thick + 2 * self._px(1)), (colour, thick)):
            if whole:
                cv2.rectangle(place, (x0, y0), (x1, y1), ink, width)
                continue
            reach_x, reach_y = (x1 - x0) // 5, (y1 - y0) // 5
            for x, dx in ((x0, reach_x), (x1, -reach_x)):
                for y, dy in ((y0, reach_y), (y1, -reach_y)):
                    cv2.line(place, (x, y), (x + dx, y), ink, width)
                    cv2.line(place, (x, y), (x, y + dy), ink, width)

    def _write_tags(self, place: np.ndarray, tags: list[tuple[Box, list[str], Colour]]) -> None:
        """Write at every frame what fits there: above it, below it, inside it; never over another word."""
        taken: list[Box] = []
        for (x0, y0, x1, y1), words, colour in tags:
            dark = np.dot(colour, (0.299, 0.587, 0.114)) > 120  # ITU-R BT.601 luma: black is read more easily
            for text in words:
                letters, pad = draw_text(text, self._px(14), (16, 18, 22) if dark else _WHITE, colour), self._px(5)
                patch = np.full((letters.shape[0] + self._px(2), letters.shape[1] + 2 * pad, 3), colour, np.uint8)
                patch[: len(letters), pad:-pad] = letters
                height, width = patch.shape[:2]
                tops = (y0 - height, y1, y0, y1 - height) if x1 > x0 else (y0,)
                lefts = (x0, x1 - width, (x0 + x1 - width) // 2)
                spots = [(x, y, x + width, y + height) for y in tops for x in lefts]
                if spot := next((spot for spot in spots if _is_free(spot, taken, place)), None):
                    taken.append(spot)
                    paste(place, patch, spot[0], (spot[1] + spot[3]) / 2)
                    break


def _is_free(box: Box, taken: list[Box], place: np.ndarray) -> bool:
    left, top, right, bottom = box
    inside = left >= 0 and top >= 0 and right <= place.shape[1] and bottom <= place.shape[0]
    return inside and not any(left < x1 and x0 < right and top < y1 and y0 < bottom for x0, y0, x1, y1 in taken)


def _describe_basis(moment) -> str:
    """Say what the verdict rests on, or what it lacks."""
    if not moment.faces and not moment.basis:
        return "no face, a voice not judged yet" if moment.heard else "nothing seen, nothing heard"
    who = f"person {moment.faces[0].person}" if moment.faces else "no face"
    if not moment.basis:
        return f"{who}: not judged yet"
    return f"{who}: {' and '.join(moment.basis)}{' alone' * (len(moment.basis) == 1)}"
