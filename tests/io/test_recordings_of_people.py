"""What people have is read right, or refused in one sentence: the kinds of recordings from public bug reports."""

import io
import itertools
import os
import random
import socket
import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from mien.apps.sources import open_source
from mien.audio.resample import to_mono
from mien.errors import MediaError
from mien.io import isolated, media

RATE = 16000
SIZE = (64, 48)  # width, height


def tone(seconds: float, *, begin_s: float = 0.0, rate_hz: int = RATE) -> np.ndarray:
    """Return a tone of 440 Hz and half of full scale that begins at a time, (N,)."""
    at_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * 440 * at_s) * (at_s >= begin_s)).astype(np.float32)


def picture(k: int = 0) -> np.ndarray:
    """Return a picture whose left upper quarter is white, right upper quarter red, the rest grey."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 40 + 5 * k % 200, np.uint8)
    pixels[: SIZE[1] // 2, : SIZE[0] // 2] = 255
    pixels[: SIZE[1] // 2, SIZE[0] // 2 :] = (200, 0, 0)
    return pixels


def film(
    path: Path,
    *,
    times=tuple(k / 10 for k in range(10)),
    codec="mpeg4",
    sound: np.ndarray | None = None,
    sound_codec="pcm_s16le",
    layout="mono",
    sound_s=0.0,
    rate_hz=RATE,
    fps=10,
    tags=None,
    options=None,
    setup=lambda stream: None,
) -> Path:
    """Write pictures at `times` and a sound (N,) or (channels, N) that begins at `sound_s`."""
    with av.open(str(path), "w", options=options or {}) as container:
        container.metadata.update(tags or {})
        if len(times):
            video = container.add_stream(codec, rate=fps)
            video.width, video.height = SIZE
            video.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            video.codec_context.time_base = Fraction(1, fps if codec == "mpeg1video" else 1000)
            setup(video)
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=rate_hz, layout=layout)
        packets = []
        for k, time_s in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24")
            frame.pts, frame.time_base = round(1000 * time_s), Fraction(1, 1000)
            packets += video.encode(frame)
        packets += video.encode(None) if len(times) else []
        if sound is not None:
            wide = np.atleast_2d(sound)
            for start in range(0, wide.shape[1], 1600):
                block = np.round(wide[:, start : start + 1600].T * 32767).astype(np.int16).reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
                frame.rate, frame.time_base = rate_hz, Fraction(1, rate_hz)
                frame.pts = start + round(sound_s * rate_hz)
                packets += audio.encode(frame)
            packets += audio.encode(None)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path


def wave_file(path: Path, samples: np.ndarray, *, rate_hz=RATE, tag=1, bits=16, size=None) -> Path:
    """Write samples (channels, N), already in the numbers of the file, as WAV by hand: no writer takes such headers."""
    channels, data = len(samples), np.ascontiguousarray(samples.T).tobytes()
    form = struct.pack(
        "<HHIIHH", tag, channels, rate_hz, rate_hz * channels * bits // 8 % 2**32, channels * bits // 8, bits
    )
    n = len(data) if size is None else size
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", n) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body)
    return path


def play(path: Path | str, **options) -> tuple[list, np.ndarray, str]:
    """Return (items, sound, problem) of a medium."""
    source = open_source(str(path), rate_hz=RATE, sound_alone=True, **options)
    items = list(source)
    source.close()
    return items, np.concatenate([item.sound for item in items]), source.problem


def begin_of(sound: np.ndarray) -> float:
    """Return when the tone begins, in s."""
    return float(np.flatnonzero(np.abs(sound) > 0.1)[0] / RATE)


# ---- sound ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 7, 8, 9, 12, 16, 32])
def test_any_number_of_channels_is_their_mean(tmp_path, channels):
    own = np.stack([tone(0.5) * (k + 1) / channels for k in range(channels)])
    path = wave_file(tmp_path / "a.wav", np.round(own * 32767).astype("<i2"))
    samples, rate_hz = media.read_sound(path)
    assert (rate_hz, samples.shape) == (RATE, own.shape)
    np.testing.assert_allclose(samples, own, atol=1e-4)
    np.testing.assert_allclose(play(path)[1], own.mean(axis=0), atol=1e-4)


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_a_film_with_the_sound_of_a_cinema(tmp_path, name):
    wave = np.repeat(tone(1.0)[None], 8, axis=0)
    items, sound, problem = play(film(tmp_path / name, sound=wave, layout="7.1"))
    assert problem == ""
    assert [item.pixels is None for item in items[:10]] == [False] * 10
    np.testing.assert_allclose(sound[:RATE], wave[0], atol=1e-3)


LAYOUTS = {
    "mono": ("mono", [1]),
    "stereo": ("stereo", [1, 1]),
    "one side": ("stereo", [1, 0]),
    "5.1": ("5.1", [1] * 6),
    "5.1, centre": ("5.1", [0, 0, 1, 0, 0, 0]),
    "antiphase": ("stereo", [1, -1]),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_copies_with_other_channels_agree(tmp_path, name):
    layout, gains = LAYOUTS[name]
    wave = np.stack([gain * tone(1.0) for gain in gains])
    sound = play(film(tmp_path / "a.mkv", sound=wave, layout=layout))[1]
    np.testing.assert_allclose(sound[:RATE], tone(1.0), atol=1e-3)
    np.testing.assert_allclose(to_mono(wave, RATE, RATE), tone(1.0), atol=1e-6)


def test_the_same_samples_in_other_containers_agree(tmp_path):
    wave = tone(1.0, begin_s=0.3)
    wave_file(tmp_path / "a.wav", np.round(wave[None] * 32767).astype("<i2"))
    film(tmp_path / "a.mkv", sound=wave)
    film(tmp_path / "b.mkv", sound=wave, sound_codec="flac")
    film(tmp_path / "a.mov", sound=wave)
    film(tmp_path / "a.avi", sound=wave)
    film(tmp_path / "a.mp4", sound=wave, sound_codec="alac")
    for path in sorted(tmp_path.iterdir()):
        np.testing.assert_allclose(play(path)[1][:RATE], wave, atol=1e-3, err_msg=path.name)


@pytest.mark.parametrize(
    ("tag", "bits", "values"),
    [
        (1, 8, lambda wave: np.round(wave * 127 + 128).astype("u1")),
        (1, 32, lambda wave: np.round(wave * 2147483000).astype("<i4")),
        (3, 32, lambda wave: wave.astype("<f4")),
        (3, 64, lambda wave: wave.astype("<f8")),
    ],
)
def test_any_numbers_are_samples(tmp_path, tag, bits, values):
    path = wave_file(tmp_path / "a.wav", values(tone(0.3)[None]), tag=tag, bits=bits)
    np.testing.assert_allclose(play(path)[1], tone(0.3), atol=0.01)


def test_a_wave_of_unknown_length_is_read_whole(tmp_path):
    values = np.round(tone(0.5)[None] * 32767).astype("<i2")
    path = wave_file(tmp_path / "a.wav", values, size=2**32 - 1)  # as a program writes it that cannot go back
    np.testing.assert_allclose(play(path)[1], tone(0.5), atol=1e-3)


def test_short_and_silent_sounds_are_sounds(tmp_path):
    silent = wave_file(tmp_path / "silent.wav", np.zeros((1, RATE), "<i2"))
    assert not play(silent)[1].any()
    short = wave_file(tmp_path / "short.wav", np.round(tone(0.02)[None] * 32767).astype("<i2"))
    assert len(play(short)[1]) == 320


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ({"samples": np.full((1, 999), np.nan, "<f4"), "tag": 3, "bits": 32}, "not finite"),
        ({"samples": np.full((1, 999), np.inf, "<f4"), "tag": 3, "bits": 32}, "not finite"),
        ({"samples": np.zeros((1, 99), "<i2"), "rate_hz": 1}, "1 Hz"),
        ({"samples": np.zeros((1, 99), "<i2"), "rate_hz": 2**31 - 1}, "Hz|cannot|not a"),
        ({"samples": np.zeros((1, 0), "<i2")}, "no samples|no sound|not a video or sound"),
    ],
)
def test_what_is_no_sound_is_said(tmp_path, how, word):
    path = wave_file(tmp_path / "a.wav", **how)
    for read in (lambda: to_mono(*media.read_sound(path), RATE), lambda: play(path)):
        with pytest.raises(MediaError, match=word) as error:
            read()
        assert "\n" not in str(error.value)


# ---- tags, names and folders ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.mov", "a.mp3", "a.flac", "a.ogg"])
@pytest.mark.parametrize(
    "text", ["caf\xe9 na\xefve".encode("latin-1"), "тест".encode("cp1251") * 2, bytes(range(1, 9))]
)
def test_tags_may_be_in_any_encoding(tmp_path, name, text):
    path = tmp_path / name
    codecs = {"a.mp3": "libmp3lame", "a.flac": "flac", "a.ogg": "flac", "a.mp4": "aac"}
    is_sound = name in {"a.mp3", "a.flac", "a.ogg"}
    title = "Q" * len(text)
    codec = codecs.get(name, "pcm_s16le")
    film(path, times=() if is_sound else (0.0, 0.1), sound=tone(0.3), sound_codec=codec, tags={"title": title})
    whole = path.read_bytes()
    assert title.encode() in whole
    path.write_bytes(whole.replace(title.encode(), text))
    assert media.probe(path).has_audio
    assert np.abs(play(path)[1]).max() > 0.3


NAMES = [
    "12:30:05.mp4", "pipe:0.mp4", "concat:x|y.mp4", "it's.mp4", "a%03d.mp4", "#1?&.mp4", "-v.mp4", " blank.mp4",
    "two\nlines.mp4", "é.mp4", "e\u0301.mp4", "n" * 240 + ".mp4", "no suffix", "UPPER.MP4", "wrong.txt", "日本.mp4",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_a_name(tmp_path, monkeypatch, name):
    film(tmp_path / "a.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert len(list(media.read_frames(Path(name)))) == 10
    assert len(play(name)[0]) == 10


def test_a_name_that_is_no_text(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    film(tmp_path / "a.mp4").rename(path)
    assert len(play(path)[0]) == 10


def test_folders_are_looked_through_and_junk_is_passed_over(tmp_path):
    for name in ("b/Actor_01/deep/er/1.MP4", "a.wav", "c/photo.HEIC", "c/face.webp", "c/x.avif"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"something")
    for name in ("._a.wav", ".hidden.mp4", "c/._face.webp"):
        (tmp_path / name).write_bytes(b"junk")
    for name in ("__MACOSX/b.mp4", ".git/c.mp4", "Thumbs.db", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"junk")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "twice.wav").symlink_to(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    files, problems, n_passed = media.find_media([tmp_path, tmp_path / "a.wav"])
    names = [path.relative_to(tmp_path).as_posix() for path in files]
    assert names == ["a.wav", "b/Actor_01/deep/er/1.MP4", "c/face.webp", "c/photo.HEIC", "c/x.avif"]
    assert problems == []
    assert n_passed == 5  # ._a.wav, .hidden.mp4, ._face.webp, the link to nothing, the pipe
    (tmp_path / "empty").mkdir()
    assert media.find_media([tmp_path / "empty"])[1] == [
        f"{tmp_path / 'empty'}: the folder holds no video, sound file or picture"
    ]


def test_what_is_no_file_is_said_at_once(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.mp4")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("door.mp4")
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop.mp4").symlink_to(tmp_path / "loop.mp4")
    (tmp_path / "empty.mp4").touch()
    expected = {
        "pipe.mp4": "a pipe, a socket or a device",
        "door.mp4": "a pipe, a socket or a device",
        "/dev/zero": "a pipe, a socket or a device",
        "gone.mp4": "a link to a file that is gone",
        "loop.mp4": "cannot be read",
        "empty.mp4": "the file is empty",
        ".": "is a folder",
    }
    for name, word in expected.items():
        for read in (media.probe, media.read_image, media.read_sound, play):
            with pytest.raises(MediaError, match=word):
                read(Path(name))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("a.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nother.ts\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile other.ts\n"),
        ("a.mkv", "ffconcat version 1.0\nfile /etc/passwd\n"),
        ("a.sdp", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"),
        ("a.txt", "only words\n" * 99),
    ],
)
def test_lists_and_texts_are_no_films(tmp_path, name, text):
    film(tmp_path / "other.ts", codec="libx264")
    (tmp_path / name).write_text(text)
    for read in (media.probe, play):
        with pytest.raises(MediaError, match=r"is a (play list|text)|not a video or sound"):
            read(tmp_path / name)


# ---- pictures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_photographs_are_turned_as_exif_says(tmp_path, name, orientation):
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = Image.fromarray(picture())
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = image.transpose(undo[orientation]) if orientation > 1 else image
    stored.save(tmp_path / name, exif=exif)
    found = media.read_image(tmp_path / name)
    assert found.shape == picture().shape
    assert np.abs(found.astype(int) - picture()).mean() < 6


FORMATS = ["jpeg", "png", "webp", "avif", "gif", "tiff", "bmp", "jpeg2000", "ppm", "mpo", "tga"]


@pytest.mark.parametrize("format", FORMATS)
def test_a_picture_is_a_picture_whatever_its_name(tmp_path, format):
    image = Image.fromarray(picture())
    for suffix in (
        Image.registered_extensions()
        and [s for s, f in Image.registered_extensions().items() if f.lower() == format][:1]
    ) + ([".mp4", ""] if format not in {"ppm", "tga"} else []):
        path = tmp_path / f"a{suffix}"
        image.save(path, format=format)
        items, sound, problem = play(path)
        assert (len(items), len(sound), problem) == (1, 0, "")
        assert items[0].time_s == 0.0
        assert np.abs(items[0].pixels.astype(int) - picture()).mean() < 12


def test_a_film_is_a_film_whatever_its_name(tmp_path):
    for name in ("a.jpg", "a.wav", "a.txt", "a"):
        film(tmp_path / "a.mp4", sound=tone(1.0), sound_codec="aac").rename(tmp_path / name)
        items, sound, _ = play(tmp_path / name)
        assert sum(item.pixels is not None for item in items) == 10, name
        assert np.abs(sound).max() > 0.3


def test_an_animation_is_a_film(tmp_path):
    images = [Image.fromarray(picture(3 * k)) for k in range(5)]
    for name in ("a.gif", "a.webp"):
        images[0].save(tmp_path / name, save_all=True, append_images=images[1:], duration=100, loop=0)
    for name in ("a.gif",):
        items, _, problem = play(tmp_path / name)
        np.testing.assert_allclose([item.time_s for item in items], np.arange(5) / 10, atol=0.02)
        assert problem == ""


def test_modes_of_pictures(tmp_path):
    ramp = np.tile(np.linspace(0, 1, 64), (48, 1))
    wanted = np.round(ramp * 255)
    for bits in (8, 10, 12, 16):  # what cameras keep in 16
        Image.fromarray(np.round(ramp * (2**bits - 1)).astype(np.uint16)).save(tmp_path / f"{bits}.png")
        Image.fromarray(np.round(ramp * (2**bits - 1)).astype(np.uint16)).save(tmp_path / f"{bits}.tif")
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "f1.tif")
    Image.fromarray((ramp * 255).astype(np.float32)).save(tmp_path / "f255.tif")
    Image.fromarray(wanted.astype(np.uint8)).save(tmp_path / "l.png")
    grey = Image.fromarray(wanted.astype(np.uint8))
    Image.merge("LA", [grey, Image.new("L", grey.size, 255)]).save(tmp_path / "la.png")
    grey.convert("P").save(tmp_path / "p.png")
    grey.convert("RGB").convert("CMYK").save(tmp_path / "cmyk.tif")
    for path in sorted(tmp_path.iterdir()):
        found = media.read_image(path)
        assert found.dtype == np.uint8
        np.testing.assert_allclose(found.mean(axis=2), wanted, atol=2, err_msg=path.name)
    grey.convert("1").save(tmp_path / "bit.png")
    assert set(np.unique(media.read_image(tmp_path / "bit.png"))) == {0, 255}


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.gif"])
def test_what_is_transparent_is_white(tmp_path, name):
    pixels = np.dstack([picture(), np.full(SIZE[::-1], 255, np.uint8)])
    pixels[24:] = (250, 0, 0, 0)  # red lies beneath
    image = Image.fromarray(pixels)
    image.save(tmp_path / name, **({"lossless": True, "exact": True} if name == "a.webp" else {}))
    found = media.read_image(tmp_path / name)
    assert (found[25:] > 240).all()
    assert np.abs(found[:23, 40:].astype(int) - picture()[:23, 40:]).mean() < 12


def png_of(width: int, height: int) -> bytes:
    """Return a PNG that says so, and ends after its head."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of an ISO base media file."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def write_tiles(path: Path, shown: np.ndarray, side: int) -> None:
    """Write a picture as HEIC of square tiles, as phones do (ISO/IEC 23008-12, 6.6.2.3.2)."""
    rows, columns = -(-shown.shape[0] // side), -(-shown.shape[1] // side)
    padded = np.pad(shown, ((0, rows * side - shown.shape[0]), (0, columns * side - shown.shape[1]), (0, 0)), "edge")
    coded, made_by = [], b""
    for row, column in itertools.product(range(rows), range(columns)):
        tile = padded[row * side : (row + 1) * side, column * side : (column + 1) * side]
        pillow_heif.from_pillow(Image.fromarray(tile)).save(single := io.BytesIO(), quality=95)
        data = single.getvalue()
        start = data.index(b"hvcC") - 4
        made_by = data[
            start : start + struct.unpack(">I", data[start : start + 4])[0]
        ]  # the coder's head, of all alike
        coded.append(data[data.index(b"mdat") + 4 :])
    n, size = len(coded), (shown.shape[1], shown.shape[0])
    grid = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, *size)
    items = [*((number, b"hvc1") for number in range(1, n + 1)), (n + 1, b"grid")]
    infos = [box(b"infe", struct.pack(">IHH4sB", 2 << 24, number, 0, kind, 0)) for number, kind in items]
    extents = [box(b"ispe", struct.pack(">III", 0, *one)) for one in ((side, side), size)]
    owned = [struct.pack(">HBBB", number, 2, 0x81, 2) for number in range(1, n + 1)] + [
        struct.pack(">HBB", n + 1, 1, 3)
    ]
    start, head = 0, b""
    for _ in range(2):  # where the tiles lie is known once the head's length is
        places, at = [], start
        for number, data in enumerate([*coded, grid], start=1):
            places.append(struct.pack(">HHHII", number, 0, 1, at, len(data)))
            at += len(data)
        head = box(b"ftyp", b"heic\0\0\0\0mif1heic") + box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", struct.pack(">IH", 0, n + 1)),
            box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, n + 1), *places),
            box(b"iinf", struct.pack(">IH", 0, n + 1), *infos),
            box(b"iref", bytes(4), box(b"dimg", struct.pack(f">HH{n}H", n + 1, n, *range(1, n + 1)))),
            box(b"iprp", box(b"ipco", made_by, *extents), box(b"ipma", struct.pack(">II", 0, n + 1), *owned)),
        )
        start = len(head) + 8
    path.write_bytes(head + box(b"mdat", *coded, grid))


@pytest.mark.parametrize("side", [128, 64])
def test_a_photograph_of_tiles_is_joined(tmp_path, side):
    shown = np.asarray(Image.fromarray(picture()).resize((128, 100)))
    write_tiles(tmp_path / "a.heic", shown, side)
    found = media.read_image(tmp_path / "a.heic")
    assert found.shape == shown.shape
    assert np.abs(found.astype(int) - shown).mean() < 6


def test_huge_and_broken_pictures_are_said(tmp_path):
    (tmp_path / "huge.png").write_bytes(png_of(20000, 10000))
    (tmp_path / "large.png").write_bytes(png_of(12000, 10000))
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "head.png").write_bytes(png_of(64, 48)[:30])
    for name, word in {
        "huge.png": "too large|million pixels",
        "large.png": "12000x10000; at most 100 million",
        "half.jpg": "not a readable picture",
        "head.png": "not a readable picture",
    }.items():
        for read in (media.read_image, play):
            with pytest.raises(MediaError, match=word) as error:
                read(tmp_path / name)
            assert name in str(error.value)
            assert "\n" not in str(error.value)


# ---- films ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize(
    ("pictures_s", "sound_s"), [(0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (1.0, 0.0), (2.0, 0.0), (1000.0, 1000.5)]
)
def test_the_clock_is_that_of_the_pictures(tmp_path, name, pictures_s, sound_s):
    times = [pictures_s + k / 10 for k in range(30)]
    codec = "libx264" if name == "a.ts" else "mpeg4"
    made = {"codec": codec, "sound_codec": "aac", "sound_s": sound_s}
    path = film(tmp_path / name, times=times, sound=tone(3.0, begin_s=2.5), **made)
    items, sound, problem = play(path)
    assert problem == ""
    shown = [item.time_s for item in items if item.pixels is not None]
    np.testing.assert_allclose(shown, np.arange(30) / 10, atol=2e-3)
    assert begin_of(sound) == pytest.approx(sound_s + 2.5 - pictures_s, abs=0.04)  # of AAC a block is blurred
    end_s = items[-1].time_s
    assert end_s == pytest.approx(max(2.9, sound_s + 3.0 - pictures_s), abs=0.15)
    assert len(sound) == pytest.approx(min(end_s, sound_s + 3.0 - pictures_s) * RATE, abs=0.1 * RATE)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mjpeg"])
def test_pictures_without_times_are_counted(tmp_path, codec):
    suffix = {"libx264": "h264", "mpeg4": "m4v", "mjpeg": "mjpeg"}[codec]
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encoder.time_base = Fraction(1, 25)
    encoder.framerate = Fraction(25)
    content = b""
    for k in range(30):
        frame = av.VideoFrame.from_ndarray(picture(k), format="rgb24")
        frame.pts, frame.time_base = k, Fraction(1, 25)
        content += b"".join(bytes(packet) for packet in encoder.encode(frame))
    content += b"".join(bytes(packet) for packet in encoder.encode(None))
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    times = [item.time_s for item in play(path)[0]]
    np.testing.assert_allclose(times, np.arange(30) / 25, atol=1e-3)
    assert len(list(media.read_frames(path, 10))) in (12, 13)


def test_pictures_that_nobody_sees_are_left_out_by_the_clock(tmp_path):
    times = [k / 30 for k in range(30)] + [1.0 + k / 5 for k in range(10)]
    path = film(tmp_path / "a.mkv", times=times)
    np.testing.assert_allclose([item.time_s for item in play(path)[0]], times, atol=2e-3)
    shown = play(path, rate_fps=10)[0]
    seen = [*(k / 10 for k in range(10)), *times[30:]]
    np.testing.assert_allclose([item.time_s for item in shown], seen, atol=2e-3)


def test_a_cut_at_a_picture_that_is_left_out_is_known_at_the_next(tmp_path):
    dark, light = (np.full((64, 64, 3), level, np.uint8) for level in (20, 200))
    media.write_video(tmp_path / "a.mp4", [dark] * 13 + [light] * 13, rate_fps=25)
    for rate_fps in (None, 5):
        cuts = [item.time_s for item in play(tmp_path / "a.mp4", rate_fps=rate_fps)[0] if item.cut]
        np.testing.assert_allclose(cuts, [13 / 25 if rate_fps is None else 15 / 25], atol=1e-3)


@pytest.mark.parametrize(("pictures_s", "sound_s"), [(1.0, 3.0), (3.0, 1.0), (1.0, 0.0)])
def test_sound_may_be_longer_or_shorter_than_the_pictures(tmp_path, pictures_s, sound_s):
    times = [k / 10 for k in range(round(10 * pictures_s))]
    items, sound, problem = play(film(tmp_path / "a.mkv", times=times, sound=tone(sound_s)))
    assert problem == ""
    assert len(sound) == pytest.approx(sound_s * RATE, abs=1)
    assert [item.pixels is None for item in items] == [k >= len(times) for k in range(len(items))]
    assert all(a.time_s < b.time_s for a, b in itertools.pairwise(items))


@pytest.mark.parametrize(
    ("turn", "mirrored"), [(0, False), (90, False), (180, False), (270, False), (0, True), (90, True)]
)
def test_films_are_turned_and_mirrored_as_a_player_shows_them(tmp_path, turn, mirrored):
    path = film(tmp_path / "a.mp4", setup=lambda stream: stream.set_display_rotation(turn, hflip=mirrored))
    shown = play(path)[0][0].pixels
    with av.open(str(path)) as container:
        plain = next(container.decode(video=0))
        assert round(plain.rotation) % 360 == turn or mirrored
        plain = plain.to_ndarray(format="rgb24")
    wanted = np.rot90(plain, turn // 90)
    wanted = wanted[:, ::-1] if mirrored else wanted
    np.testing.assert_array_equal(shown, wanted)
    np.testing.assert_array_equal(next(media.read_frames(path))[1], wanted)


@pytest.mark.parametrize(
    ("ratio", "shape"), [(Fraction(2), (48, 128)), (Fraction(16, 15), (48, 68)), (Fraction(1, 2), (96, 64))]
)
def test_pixels_that_are_not_square_are_stretched(tmp_path, ratio, shape):
    def setup(stream) -> None:
        stream.codec_context.sample_aspect_ratio = ratio

    path = film(tmp_path / "a.mkv", setup=setup)
    assert play(path)[0][0].pixels.shape == (*shape, 3)
    assert next(media.read_frames(path))[1].shape == (*shape, 3)


@pytest.mark.parametrize("name", ["a.mp3", "a.m4a", "a.mp4", "a.flac"])
def test_a_cover_is_no_face(tmp_path, name):
    path = tmp_path / name
    codec = {"a.mp3": "libmp3lame", "a.flac": "flac"}.get(name, "aac")
    with av.open(str(path), "w", format="mp4" if name == "a.m4a" else None) as container:
        audio = container.add_stream(codec, rate=RATE, layout="mono")
        cover = container.add_stream("png" if name != "a.flac" else "mjpeg", rate=1)
        cover.width, cover.height = SIZE
        cover.pix_fmt = "rgb24" if name != "a.flac" else "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        frame = av.AudioFrame.from_ndarray(
            np.round(tone(1.0)[None] * 32767).astype(np.int16), format="s16", layout="mono"
        )
        frame.rate = RATE
        image = av.VideoFrame.from_ndarray(picture(), format="rgb24")
        container.mux(cover.encode(image))
        container.mux(cover.encode(None))
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    with av.open(str(path)) as container:
        assert container.streams.video
    facts = media.probe(path)
    assert (facts.has_video, facts.has_audio) == (False, True)
    items, sound, _ = play(path)
    assert all(item.pixels is None for item in items)
    assert np.abs(sound).max() > 0.3
    with pytest.raises(MediaError, match="no moving picture"):
        open_source(str(path), rate_hz=RATE)


def test_films_of_no_declared_length(tmp_path):
    film(tmp_path / "a.mkv", sound=tone(1.0), options={"live": "1"})
    film(tmp_path / "a.mp4", sound=tone(1.0), sound_codec="aac", options={"movflags": "frag_keyframe+empty_moov"})
    for name in ("a.mkv", "a.mp4"):
        items, sound, problem = play(tmp_path / name)
        assert sum(item.pixels is not None for item in items) == 10
        assert problem == ""
        assert np.abs(sound).max() > 0.3


# ---- the process of its own -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "word"),
    [
        ("crash", r"a\.mp4: its decoder crashed \(SIGSEGV\)"),
        ("hang", r"a\.mp4: its decoder made no progress for 2 s"),
        ("memory", r"a\.mp4: its decoder needs more than 3 GiB"),
        ("error", r"a\.mp4: cannot be decoded \(KeyError"),
    ],
)
def test_whatever_a_decoder_does_ends_in_a_sentence_and_the_next_file(tmp_path, how, word):
    with pytest.raises(MediaError, match=word) as error:
        list(isolated.stream("crash", "a.mp4", how, patience_s=60.0 if how != "hang" else 2.0))
    assert "\n" not in str(error.value)
    assert len(play(film(tmp_path / "b.mp4"))[0]) == 10


def test_a_film_that_is_left_early_leaves_its_process_to_the_next(tmp_path):
    path = film(tmp_path / "a.mp4", times=[k / 10 for k in range(50)])
    for _ in range(3):
        frames = isolated.read_frames(path)
        next(frames)
        frames.close()
    n_idle = len(isolated._idle)
    assert isolated.probe(path) == media.probe(path)
    for (one_s, one), (other_s, other) in zip(isolated.read_frames(path), media.read_frames(path), strict=True):
        assert one_s == other_s
        np.testing.assert_array_equal(one, other)
    assert len(isolated._idle) == n_idle
    assert all(decoder.is_alive for decoder in isolated._idle)


# ---- damage ---------------------------------------------------------------------------------------------------------


def make_containers(folder: Path) -> list[Path]:
    """Write a file of every container."""
    wave = tone(1.0)
    films = {
        "a.mp4": {"codec": "libx264", "sound_codec": "aac"},
        "a.mov": {"sound_codec": "pcm_s16le"},
        "a.mkv": {"sound_codec": "flac"},
        "a.webm": {"codec": "libvpx", "sound_codec": "libopus"},
        "a.avi": {"sound_codec": "pcm_s16le"},
        "a.flv": {"codec": "flv", "sound_codec": "aac"},
        "a.ts": {"codec": "libx264", "sound_codec": "aac"},
        "a.mpg": {"codec": "mpeg1video", "sound_codec": "mp2"},
    }
    sounds = {
        "a.mp3": "libmp3lame",
        "a.flac": "flac",
        "a.ogg": "flac",
        "b.wav": "pcm_s16le",
        "a.aiff": "pcm_s16be",
    }
    for name, how in films.items():
        rate_hz = {"a.flv": 44100, "a.mpg": 44100, "a.webm": 48000}.get(name, RATE)
        how = how | {"times": [k / 25 for k in range(25)], "fps": 25} if name == "a.mpg" else how
        film(folder / name, sound=tone(1.0, rate_hz=rate_hz), rate_hz=rate_hz, **how)
    for name, codec in sounds.items():
        film(folder / name, times=(), sound=wave, sound_codec=codec)
    for name in ("a.jpg", "a.png", "a.webp", "a.gif", "a.avif", "a.tif", "a.jp2", "a.bmp"):
        Image.fromarray(picture()).save(folder / name)
    return sorted(folder.iterdir())


def damage(content: bytes, other: bytes, draw: random.Random) -> bytes:
    """Flip, cut or splice bytes."""
    broken = bytearray(content)
    kind = draw.choice(["flip", "flip head", "cut", "cut out", "splice", "zero"])
    if kind.startswith("flip"):
        end = min(len(broken), 512) if kind == "flip head" else len(broken)
        for _ in range(draw.choice([1, 4, 32, 256])):
            broken[draw.randrange(end)] = draw.randrange(256)
    elif kind == "cut":
        del broken[draw.randrange(1, len(broken)) :]
    else:
        start = draw.randrange(len(broken))
        stop = min(len(broken), start + draw.randrange(1, 4096))
        if kind == "splice":
            place = draw.randrange(len(other))
            broken[start:stop] = other[place : place + stop - start]
        else:
            broken[start:stop] = b"" if kind == "cut out" else bytes(stop - start)
    return bytes(broken)


@pytest.mark.parametrize("n_files", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_files_end_in_a_sentence_or_a_result(tmp_path, n_files):
    (tmp_path / "whole").mkdir()
    whole = {path.name: path.read_bytes() for path in make_containers(tmp_path / "whole")}
    draw = random.Random(n_files)
    n_read, sentences = 0, []
    for k in range(n_files):
        name = sorted(whole)[k % len(whole)]
        path = tmp_path / f"{k}{Path(name).suffix}"
        path.write_bytes(damage(whole[name], whole[draw.choice(sorted(whole))], draw))
        try:
            items, sound, problem = play(path)
            assert "\n" not in problem
            assert np.isfinite(sound).all()
            times = [item.time_s for item in items]
            assert times == sorted(times)
            n_read += 1
        except MediaError as error:
            sentences.append((str(path), str(error)))
        path.unlink()
    assert n_read > n_files / 10
    assert all(path in sentence and "\n" not in sentence for path, sentence in sentences)
    assert all(decoder.is_alive for decoder in isolated._idle)
