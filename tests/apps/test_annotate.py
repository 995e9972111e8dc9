"""What is drawn says what the moment says, readable at every size, beside the picture and not on it."""

import numpy as np
import pytest
from PIL import ImageColor

from mien.apps import annotate
from mien.apps.annotate import Annotator
from mien.apps.engine import JudgedFace, Moment
from mien.config.labels import colour_of

CLASSES = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
SIZES = [(640, 360), (1920, 1080), (192, 192), (192, 256), (320, 240), (1280, 90), (60, 500)]
HAPPY = np.array([0.05, 0.0, 0.6, 0.05, 0.0, 0.0, 0.0, 0.3])
SAD = np.eye(8)[3]


def face_at(person, region, *, found=True, probabilities=None, units=None) -> JudgedFace:
    """Return a face in a region (left, top, side)."""
    region = np.array(region)
    return JudgedFace(person, region, region, np.zeros((68, 2)), np.nan, found, probabilities, units)


def moment_at(time_s, picture, faces=(), *, heard=False, voice=None, probabilities=None, basis=()) -> Moment:
    """Return a moment in which nothing was seen or heard but what is given."""
    return Moment(time_s, picture, faces, heard, voice, probabilities, basis)


def grey(size: tuple[int, int]) -> np.ndarray:
    """Return a picture whose grey is none of the annotator's."""
    return np.full((size[1], size[0], 3), 100, np.uint8)


def crowd(size: tuple[int, int], n: int) -> tuple[JudgedFace, ...]:
    """Return n faces, the first large, the others in its corners and over the border."""
    side = 0.6 * min(size)
    places = [
        (0.2, 0.2, 1.0),
        (0.15, 0.15, 0.3),
        (0.8, 0.1, 0.4),
        (-0.1, 0.7, 0.4),
        (0.2, 0.75, 0.3),
        (0.22, 0.76, 0.3),
    ]
    return tuple(
        face_at(
            k + 1,
            (x * size[0], y * size[1], share * side),
            found=k % 2 == 0,
            probabilities=np.roll(HAPPY, k),
            units=np.full(8, 0.5),
        )
        for k, (x, y, share) in enumerate(places[:n])
    )


def is_colour(picture: np.ndarray, name: str) -> np.ndarray:
    """Return where a picture has exactly the colour of a class, (H, W) bool."""
    return (picture == ImageColor.getrgb(colour_of(name))).all(axis=-1)


@pytest.fixture
def written(monkeypatch):
    """Return the words that are put on pictures: [(text, size, (left, top, right, bottom), whole)]."""
    found, texts = [], {}
    draw_word, draw_put = annotate.draw_text, annotate.paste

    def word(text, size, ink, paper):
        patch = draw_word(text, size, ink, paper)
        texts[patch.tobytes()] = text, size
        return patch

    def put(picture, patch, x, y, *, align="left"):
        height, width = patch.shape[:2]
        left = round(x) - {"left": 0, "middle": width // 2, "right": width}[align]
        top = round(y - height / 2)
        whole = left >= 0 and top >= 0 and left + width <= picture.shape[1] and top + height <= picture.shape[0]
        found.append((*texts.get(patch.tobytes(), ("tag", 99)), (left, top, left + width, top + height), whole))
        draw_put(picture, patch, x, y, align=align)

    monkeypatch.setattr(annotate, "draw_text", word)
    monkeypatch.setattr(annotate, "paste", put)
    return found


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("units", [False, True])
def test_no_word_is_cut_or_lies_on_another(written, size, units):
    annotator = Annotator(CLASSES, size=size, timeline_s=10.0, units=units)
    moment = moment_at(
        75.0, grey(size), crowd(size, 6), heard=True, voice=SAD, probabilities=HAPPY, basis=("face", "voice")
    )
    picture = annotator.draw(moment, remark="dropped 12 of 300 frames")
    assert picture.shape == (annotator.size[1], annotator.size[0], 3)
    assert annotator.size[0] % 2 == annotator.size[1] % 2 == 0
    assert all(whole for *_, whole in written)
    assert min(letters for _, letters, _, _ in written) >= 9
    boxes = np.array([box for _, _, box, _ in written])
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    meet = ((low < high.swapaxes(0, 1)) & (low.swapaxes(0, 1) < high)).all(axis=-1)
    np.fill_diagonal(meet, False)
    pairs = [(written[a][0], written[b][0]) for a, b in np.argwhere(meet)]
    assert pairs == []


def test_bars_are_as_long_as_probabilities_and_units():
    annotator = Annotator(CLASSES, size=(640, 360), timeline_s=10.0, units=True)
    units = np.array([0.5, -0.5, 0.25, 0.0, 0.0, np.nan, 3.0, 0.0])
    out = annotator.draw(moment_at(0.0, grey((640, 360)), (face_at(1, (9, 9, 99), units=units),), probabilities=HAPPY))
    panel = out[75:, 640:]
    lengths = {name: is_colour(panel, name).sum(axis=1).max() for name in CLASSES}
    mark = lengths["angry"]  # with no chance at all, the mark alone that says what its colour means
    assert 3 <= mark <= 10
    assert lengths["happy"] - mark == pytest.approx(2 * (lengths["surprised"] - mark), abs=2)
    assert lengths["happy"] - mark == pytest.approx(12 * (lengths["neutral"] - mark), abs=12)
    bar = (panel == annotate._INK).all(axis=-1)
    rows = [bar[round(y) - 75, annotator._unit_left - 640 : annotator._unit_right - 640] for y in annotator._unit_rows]
    middle = len(rows[0]) / 2
    right, left, small = (np.flatnonzero(row) for row in rows[:3])
    assert right.min() >= middle - 1
    assert left.max() <= middle
    assert len(left) == pytest.approx(len(right), abs=1)
    assert len(left) == pytest.approx(2 * len(small), abs=3)
    assert not rows[5].any()  # not fitted
    assert rows[6][-1]  # beyond 1: the half is full


def cut_timeline(annotator: Annotator, out: np.ndarray) -> np.ndarray:
    """Return a row of pixels through the verdict, and one through the voice, of a timeline of two rows."""
    box = annotator._timeline
    return out[[box._top + 3, box._bottom - 8], box._left : box._right]


def test_the_timeline_rolls():
    annotator = Annotator(CLASSES, size=(640, 360), timeline_s=4.0, units=False)
    source = grey((640, 360))
    for k in range(0, 60):  # 6 s: sad for 3 s, then happy; a voice from 2 s to 5 s
        verdict = SAD if k < 30 else HAPPY
        heard = 20 <= k < 50
        out = annotator.draw(moment_at(k / 10, source, heard=heard, voice=SAD, probabilities=verdict, basis=("voice",)))
        if k == 19:
            verdict_row, voice_row = cut_timeline(annotator, out)
            assert is_colour(verdict_row, "sad").mean() == pytest.approx(1.9 / 4, abs=0.02)
            assert not is_colour(voice_row, "sad").any()
    verdict_row, voice_row = cut_timeline(annotator, out)  # from 1.9 s to 5.9 s
    assert is_colour(verdict_row, "sad").mean() == pytest.approx(1.1 / 4, abs=0.02)
    assert is_colour(verdict_row, "happy").mean() == pytest.approx(2.9 / 4, abs=0.02)
    assert is_colour(voice_row, "sad").mean() == pytest.approx(3.0 / 4, abs=0.02)
    again = annotator.draw(moment_at(0.0, source))  # another film: nothing of this one is left
    assert not is_colour(cut_timeline(annotator, again), "sad").any()


def test_a_picture_of_another_size_fits_into_the_same_place():
    annotator = Annotator(CLASSES, size=(640, 360), timeline_s=10.0, units=False)
    face = face_at(1, (100.0, 50.0, 75.0), probabilities=SAD)
    small = annotator.draw(moment_at(0.0, grey((320, 180)), (face,)))
    double = face_at(1, (200.0, 100.0, 150.0), probabilities=SAD)
    large = annotator.draw(moment_at(0.0, grey((640, 360)), (double,)))
    np.testing.assert_array_equal(small, large)
    tall = annotator.draw(moment_at(0.0, grey((180, 360))))
    assert (tall[300, :640] == 100).all(axis=-1).sum() == 180
