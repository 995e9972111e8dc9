"""The pictures of a clip, whatever holds them: a video, a still, or a row of a table of pixels."""

import csv
import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mien.core import media
from mien.core.errors import CorpusError, MediaError

Timed = tuple[float, np.ndarray]  # time in s, picture (H, W, 3) uint8 RGB
CUT_SHORT = 0.9  # a medium that ends before this share of the length it declares is damaged
CUT_SHORT_S = 1.0  # if it lacks at least this: tracks of a good file differ by a few frames


class Footage:
    """The frames of a video at `rate_fps`; iterable again and again.

    A stream that breaks off after its first frame ends there. After an iteration `end_s` is the length that was read,
    and `problem` says why it is not the whole (empty if nothing is wrong).
    """

    def __init__(self, path: Path, rate_fps: float) -> None:
        self.path = path
        self.rate_fps = rate_fps
        self.problem = ""
        self.end_s = 0.0

    def __iter__(self) -> Iterator[Timed]:
        n_read = 0
        try:
            for timed in media.read_frames(self.path, self.rate_fps):
                n_read += 1
                yield timed
        except MediaError as error:
            if n_read == 0:
                raise
            self.problem = str(error)
        self.end_s = n_read / self.rate_fps


class Still:
    """One picture, shown at time 0."""

    problem = ""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture

    def __iter__(self) -> Iterator[Timed]:
        yield 0.0, self.picture


def shortfall(path: Path, end_s: float) -> str:
    """Say so if a video or sound that was read up to `end_s` declares to be longer; else return an empty text.

    Half a file often decodes without an error: the decoder takes its end for the end of the film.
    """
    declared_s = media.probe(path).duration_s
    if not end_s < min(CUT_SHORT * declared_s, declared_s - CUT_SHORT_S):  # NaN where nothing is declared
        return ""
    return f"{path}: ends after {end_s:.1f} s of {declared_s:.1f} s; fetch the file again"


def lacking(path: Path, end_s: float) -> str:
    """Say so if a film whose pictures were read up to `end_s` declares more than one frame more; else an empty text.

    What lacks less than `shortfall` reports: the rest is good, and is used.
    """
    declared = media.probe(path)
    if not declared.pictures_s - end_s > 1.5 / declared.rate_fps:  # NaN where nothing is declared
        return ""
    return f"{path}: its pictures end after {end_s:.2f} s of {declared.pictures_s:.2f} s; frames at its end are missing"


def open_pictures(path: Path, rate_fps: float) -> Footage | Still:
    """Return the pictures of a video or of a still, told apart by the suffix."""
    if path.suffix.lower() in media.IMAGE_SUFFIXES:
        return Still(media.read_image(path))
    return Footage(path, rate_fps)


def read_pixel_rows(path: Path, items: Iterable[int]) -> dict[int, np.ndarray]:
    """Return the pictures (S, S, 3) uint8 in the named rows (0 is the first after the header) of a CSV of pixels.

    The format of FER2013: a column `pixels` with the grey values of a square picture, separated by spaces; other
    columns in any order, header names with or without leading spaces. Rows that are no picture are left out.

    Raises
    ------
    CorpusError : the file is missing or has no column `pixels`.
    """
    wanted = set(items)
    pictures = {}
    csv.field_size_limit(2**24)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            header = [name.strip() for name in next(rows, [])]
            if "pixels" not in header:
                raise CorpusError(f"{path}: has no column 'pixels' but {header[:8]}; is it the FER2013 table?")
            column = header.index("pixels")
            for item, row in enumerate(rows):
                if item in wanted and (picture := _square(row[column] if column < len(row) else "")) is not None:
                    pictures[item] = picture
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file; run get_corpus and index_corpus again") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{path}: not a CSV table ({error})") from error
    return pictures


def _square(text: str) -> np.ndarray | None:
    try:
        values = np.array(text.split(), dtype=np.uint8)
    except (ValueError, OverflowError):
        return None
    side = math.isqrt(values.size)
    if side == 0 or side * side != values.size:
        return None
    return np.repeat(values.reshape(side, side, 1), 3, axis=2)
