"""Words as small pictures, drawn once and then copied: a film says the same few words in every frame."""

from functools import lru_cache

import numpy as np

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
