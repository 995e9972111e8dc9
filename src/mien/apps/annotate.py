"""A picture with what is seen and heard in it: faces in their colours, the verdict as bars, the last seconds below.

Words as small pictures, drawn once and then copied: a film says the same few words in every frame.

The rolling timeline below a picture: a row of colours for the verdict, for each person, and for the voice.
"""

from collections import deque
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from mien.candide.mesh import AU_NAMES
from mien.config.labels import colour_of

Colour = tuple[int, int, int]  # red, green, blue, 0..255
_DOTS = ".."
_FINE = 4  # letters are drawn so many times as large and averaged, because whole pixels space small ones unevenly


def rgb(code: str) -> Colour:
    """Return #rrggbb as three numbers."""
    return tuple(int(code[k : k + 2], 16) for k in (1, 3, 5))


def ink_on(colour: Colour) -> Colour:
    """Return black or white, whichever is read more easily on a colour (ITU-R BT.601 luma)."""
    return (16, 18, 22) if np.dot(colour, (0.299, 0.587, 0.114)) > 120 else (255, 255, 255)


@lru_cache(maxsize=4096)
def width_of(text: str, size: int) -> int:
    """Return the width of a text in px."""
    return int(np.ceil(_font(size).getlength(text) / _FINE))


@lru_cache(maxsize=512)
def fitted(text: str, size: int, width: int, *, least: int) -> tuple[str, int]:
    """Return (text, size) that fit into `width` px: a smaller size down to `least`, then fewer letters."""
    while size > least and width_of(text, size) > width:
        size -= 1
    if width_of(text, size) <= width:
        return text, size
    while text and width_of(text + _DOTS, size) > width:
        text = text[:-1].rstrip()
    return (text + _DOTS if text else ""), size


@lru_cache(maxsize=2048)
def word(text: str, size: int, ink: Colour, paper: Colour) -> np.ndarray:
    """Draw a text: (height, width, 3) uint8, the height that of the font whatever the letters; not to be written to.

    The font is Pillow's own (Aileron, public domain), so that films look the same on every machine.
    """
    import cv2
    from PIL import Image, ImageDraw

    ascent, descent = (-(-value // _FINE) for value in _font(size).getmetrics())
    width, height = max(1, width_of(text, size)), ascent + descent
    image = Image.new("L", (width * _FINE, height * _FINE), 0)
    ImageDraw.Draw(image).text((0, ascent * _FINE), text, font=_font(size), fill=255, anchor="ls")
    share = cv2.resize(np.asarray(image), (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255.0
    return (np.array(paper) + share * (np.array(ink) - np.array(paper, float))).round().astype(np.uint8)


def put(picture: np.ndarray, patch: np.ndarray, x: float, y: float, *, align: str = "left") -> None:
    """Copy a patch into a picture, in place: `x` is its left, middle or right, `y` its middle; cut at the border."""
    height, width = patch.shape[:2]
    left = round(x) - {"left": 0, "middle": width // 2, "right": width}[align]
    top = round(y - height / 2)
    x0, y0 = max(0, left), max(0, top)
    target = picture[y0 : max(0, top + height), x0 : max(0, left + width)]
    target[:] = patch[y0 - top :, x0 - left :][: len(target), : target.shape[1]]


@lru_cache(maxsize=64)
def _font(size: int):
    from PIL import ImageFont

    return ImageFont.load_default(size * _FINE)


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


_PAPER, _TRACK, _INK, _FAINT = (20, 23, 28), (44, 50, 58), (205, 210, 216), (140, 147, 156)
_WHITE, _NOBODY = (255, 255, 255), (84, 90, 98)
_SHORT_PX, _LONG_PX = 360, 1920  # smaller pictures are enlarged, so that words fit beside them; larger ones reduced
# Widths of the panel, without and with units, height of the timeline, least side of the picture's place; px beside a
# picture 360 px wide or high.
_PANEL, _UNITS_PANEL, _STRIP, _LEAST = 236, 272, 106, 320


class Painter:
    """Draws `Moment`s of `predict.live` for a film, a window or a page.

    Parameters
    ----------
    classes : names, in the order of all probabilities.
    size : (width, height) of the source's pictures, px. A moment of another size is fitted into the same place.
    timeline_s : how much of the past the rolling timeline shows.
    units : whether the eight action units of the main face are shown.

    Attributes
    ----------
    size : (width, height) of the painted pictures, px, both even. Beside the picture, never on it, stands a panel with
        the verdict, and below it the timeline; everything grows with the picture.
    """

    def __init__(self, classes: Sequence[str], *, size: tuple[int, int], timeline_s: float, units: bool) -> None:
        self._classes = tuple(classes)
        self._colours = [rgb(colour_of(name)) for name in self._classes]
        shown = min(max(1.0, _SHORT_PX / min(size)), _LONG_PX / max(size))
        self._shown = (max(1, round(size[0] * shown)), max(1, round(size[1] * shown)))
        self._unit = max(1.0, min(self._shown) / _SHORT_PX)
        least = self._px(_LEAST)
        self._place = (max(self._shown[0], least), max(self._shown[1], least))
        width, height = self._place[0] + self._px(_UNITS_PANEL if units else _PANEL), self._place[1] + self._px(_STRIP)
        self.size = (width + width % 2, height + height % 2)
        margin = self._px(10)
        self._strip = Strip(
            (margin, self._place[1] + self._px(8), self._place[0], self.size[1] - self._px(4)),
            unit=self._unit,
            timeline_s=timeline_s,
            colours=self._colours,
            paper=_PAPER,
            track=_TRACK,
            ink=_INK,
        )
        self._left, self._right = self._place[0] + self._px(14), self.size[0] - self._px(12)
        self._lay_out(units)
        self._blank = self._static()

    def paint(self, moment, *, remark: str = "") -> np.ndarray:
        """Return the picture of a moment, (height, width, 3) uint8 RGB of the size `size`; moments come in order.

        `remark` stands below the timeline, in the smallest letters that are still read, and is shortened where it
        is too long even so.
        """
        canvas = self._blank.copy()
        self._draw_picture(canvas, moment)
        self._draw_verdict(canvas, moment)
        self._draw_bars(canvas, moment.probabilities)
        if self._unit_rows:
            self._draw_units(canvas, moment.faces[0].units if moment.faces else None)
        voice = self._number(moment.voice, there=moment.heard) if moment.heard else NOTHING
        people = {face.person: self._number(face.probabilities, there=True) for face in moment.faces}
        self._strip.add(moment.time_s, self._number(moment.probabilities, there=False), voice, people)
        self._strip.draw(canvas, remark)
        return canvas

    def _px(self, length: float) -> int:
        return max(1, round(length * self._unit))

    def _number(self, probabilities: np.ndarray | None, *, there: bool) -> int:
        if probabilities is None:
            return UNJUDGED if there else NOTHING
        return int(np.argmax(probabilities))

    def _lay_out(self, units: bool) -> None:
        """Divide the panel into rows: their middles, the columns of bars, the sizes of letters."""
        top, bottom = self._px(78), self.size[1] - self._px(8)
        n_rows = len(self._classes) + (1.7 + len(AU_NAMES) if units else 0.0)
        row = min(self._px(28), (bottom - top) / n_rows)
        self._row_size = max(6, min(self._px(13), int(row * 0.72)))
        self._rows = [top + (k + 0.5) * row for k in range(len(self._classes))]
        self._thick = max(2, round(row * 0.5))
        start = top + (len(self._classes) + 1.7) * row
        self._caption_y = start - 0.6 * row
        self._unit_rows = [start + (k + 0.5) * row for k in range(len(AU_NAMES))] if units else []
        self._value_width = width_of("100%", self._row_size) + self._px(6)
        whole = self._right - self._left
        longest = max(width_of(name, self._row_size) for name in self._classes)
        self._bar_left = self._left + min(longest, round(0.55 * whole)) + self._px(8)
        longest = max(width_of(name, self._row_size) for name in AU_NAMES)
        self._unit_left = self._left + min(longest, round(0.55 * whole)) + self._px(8)
        self._bar_right = self._right - self._value_width
        self._unit_right = self._right - width_of("+0.00", self._row_size) - self._px(6)

    def _static(self) -> np.ndarray:
        """Draw what no moment changes: names, tracks of bars, the caption of the units."""
        canvas = np.full((self.size[1], self.size[0], 3), _PAPER, np.uint8)
        canvas[: self._place[1], : self._place[0]] = 0
        for name, y in zip(self._classes, self._rows, strict=True):
            self._name(canvas, name, y, self._bar_left)
            self._fill(canvas, self._bar_left, self._bar_right, y, _TRACK)
        if self._unit_rows:
            put(canvas, word("action units", self._row_size, _FAINT, _PAPER), self._left, self._caption_y)
        for name, y in zip(AU_NAMES if self._unit_rows else (), self._unit_rows, strict=True):
            self._name(canvas, name, y, self._unit_left)
            self._fill(canvas, self._unit_left, self._unit_right, y, _TRACK)
        return canvas

    def _name(self, canvas: np.ndarray, name: str, y: float, right: int) -> None:
        text, size = fitted(name, self._row_size, right - self._left, least=max(6, self._row_size - 2))
        put(canvas, word(text, size, _INK, _PAPER), self._left, y)

    def _fill(self, canvas: np.ndarray, left: float, right: float, y: float, colour: Colour) -> None:
        top = round(y - self._thick / 2)
        canvas[top : top + self._thick, round(left) : round(right)] = colour

    def _draw_verdict(self, canvas: np.ndarray, moment) -> None:
        width, y = self._right - self._left, self._px(30)
        text, size = fitted(_basis(moment), self._px(13), width, least=self._px(9))
        put(canvas, word(text, size, _FAINT, _PAPER), self._left, self._px(57))
        if moment.probabilities is None:
            put(canvas, word("no verdict", self._px(24), _FAINT, _PAPER), self._left, y)
            return
        best = int(np.argmax(moment.probabilities))
        chip, share = self._px(18), _percent(moment.probabilities[best])
        top = round(y - chip / 2)
        canvas[top : top + chip, self._left : self._left + chip] = self._colours[best]
        put(canvas, word(share, self._px(24), _WHITE, _PAPER), self._right, y, align="right")
        room = width - chip - self._px(16) - width_of(share, self._px(24))
        text, size = fitted(self._classes[best], self._px(24), room, least=self._px(11))
        put(canvas, word(text, size, _WHITE, _PAPER), self._left + chip + self._px(8), y)

    def _draw_bars(self, canvas: np.ndarray, probabilities: np.ndarray | None) -> None:
        for k, y in enumerate(self._rows):
            share = "-" if probabilities is None else _percent(probabilities[k])
            put(canvas, word(share, self._row_size, _INK, _PAPER), self._right, y, align="right")
            if probabilities is not None:
                length = float(probabilities[k]) * (self._bar_right - self._bar_left)
                self._fill(canvas, self._bar_left, self._bar_left + length, y, self._colours[k])

    def _draw_units(self, canvas: np.ndarray, units: np.ndarray | None) -> None:
        """Draw bars from the middle, to the right where positive; a unit of 1 or more fills its half."""
        middle, half = (self._unit_left + self._unit_right) / 2, (self._unit_right - self._unit_left) / 2
        for k, y in enumerate(self._unit_rows):
            value = None if units is None or not np.isfinite(units[k]) else float(units[k])
            put(
                canvas,
                word("-" if value is None else f"{value:+.2f}", self._row_size, _INK, _PAPER),
                self._right,
                y,
                align="right",
            )
            if value is not None:
                end = middle + half * min(1.0, max(-1.0, value))
                self._fill(canvas, min(middle, end), max(middle, end), y, _INK)
            self._fill(canvas, middle, middle + self._px(1), y, _FAINT)

    def _draw_picture(self, canvas: np.ndarray, moment) -> None:
        import cv2

        height, width = moment.picture.shape[:2]
        scale = min(self._shown[0] / width, self._shown[1] / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        picture = moment.picture if size == (width, height) else cv2.resize(moment.picture, size, interpolation=how)
        left, top = (self._place[0] - size[0]) // 2, (self._place[1] - size[1]) // 2
        canvas[top : top + size[1], left : left + size[0]] = picture
        place = canvas[: self._place[1], : self._place[0]]
        if not moment.faces:
            self._draw_tags(place, [((self._px(8), self._px(8), 0, 0), ["no face"], _NOBODY)])
            return
        tags = []
        for rank, face in reversed(list(enumerate(moment.faces))):  # the main face on top
            x, y, side = (float(value) * scale for value in face.region)
            x0, x1 = (round(min(max(edge, 0.0), size[0] - 1.0)) + left for edge in (x, x + side))
            y0, y1 = (round(min(max(edge, 0.0), size[1] - 1.0)) + top for edge in (y, y + side))
            judged = rank == 0 and "face" in moment.basis  # the verdict is on the main face, with the voice
            colour, words = self._words(face, moment.probabilities if judged else face.probabilities)
            self._frame(place, (x0, y0, x1, y1), colour, thick=self._px(3 if rank == 0 else 2), whole=face.found)
            tags.insert(0, ((x0, y0, x1, y1), words, colour))
        self._draw_tags(place, tags)

    def _words(self, face, probabilities: np.ndarray | None) -> tuple[Colour, list[str]]:
        """Return the colour of a face and what may stand at it, the most telling first."""
        if probabilities is None:
            return _NOBODY, [f"{face.person}"]
        best = int(np.argmax(probabilities))
        name = f"{face.person}: {self._classes[best]}"
        return self._colours[best], [f"{name} {_percent(probabilities[best])}", name, f"{face.person}"]

    def _frame(self, place: np.ndarray, box: tuple, colour: Colour, *, thick: int, whole: bool) -> None:
        """Draw a frame; of a face that was not found in this very picture only the corners."""
        import cv2

        x0, y0, x1, y1 = box
        for ink, extra in (((0, 0, 0), self._px(1)), (colour, 0)):
            if whole:
                cv2.rectangle(place, (x0, y0), (x1, y1), ink, thick + 2 * extra)
                continue
            reach_x, reach_y = (x1 - x0) // 5, (y1 - y0) // 5
            for x, dx in ((x0, reach_x), (x1, -reach_x)):
                for y, dy in ((y0, reach_y), (y1, -reach_y)):
                    cv2.line(place, (x, y), (x + dx, y), ink, thick + 2 * extra)
                    cv2.line(place, (x, y), (x, y + dy), ink, thick + 2 * extra)

    def _draw_tags(self, place: np.ndarray, tags: list[tuple[tuple, list[str], Colour]]) -> None:
        """Write at every frame what fits there: above it, below it, inside it; never over another word."""
        taken: list[tuple[int, int, int, int]] = []
        for (x0, y0, x1, y1), words, colour in tags:
            for text in words:
                patch = self._tag(text, colour)
                height, width = patch.shape[:2]
                tops = (y0 - height, y1, y0, y1 - height) if x1 > x0 else (y0,)
                lefts = (x0, x1 - width, (x0 + x1 - width) // 2)
                spots = [(x, y, x + width, y + height) for y in tops for x in lefts]
                free = (spot for spot in spots if _inside(spot, place) and not any(_meet(spot, one) for one in taken))
                if spot := next(free, None):
                    taken.append(spot)
                    put(place, patch, spot[0], (spot[1] + spot[3]) / 2)
                    break

    def _tag(self, text: str, colour: Colour) -> np.ndarray:
        letters, pad = word(text, self._px(14), ink_on(colour), colour), self._px(5)
        patch = np.full((letters.shape[0] + self._px(2), letters.shape[1] + 2 * pad, 3), colour, np.uint8)
        patch[: len(letters), pad:-pad] = letters
        return patch


def _basis(moment) -> str:
    """Say what the verdict rests on, or what it lacks."""
    if not moment.faces and not moment.basis:
        return "no face, a voice not judged yet" if moment.heard else "nothing seen, nothing heard"
    who = f"person {moment.faces[0].person}" if moment.faces else "no face"
    if not moment.basis:
        return f"{who}: not judged yet"
    return f"{who}: {' and '.join(moment.basis)}{' alone' * (len(moment.basis) == 1)}"


def _percent(share: float) -> str:
    return f"{float(share):.0%}"


def _inside(box: tuple[int, int, int, int], place: np.ndarray) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= place.shape[1] and box[3] <= place.shape[0]


def _meet(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
