"""Decode and encode video, sound and images through FFmpeg (PyAV) and OpenCV; every failure names the file.

A film can carry the sound of another one: packets as they are where the container takes them, else encoded as AAC.
"""

import contextlib
import math
import os
import stat
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mien import kernels
from mien.errors import MediaError
from mien.io.files import atomic_file

# Codecs of sound that a container holds and players play there; everything else becomes AAC.
_EVERYWHERE = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
COPIED = {
    ".mp4": _EVERYWHERE | {"flac", "opus"},
    ".m4v": _EVERYWHERE | {"flac", "opus"},
    ".mov": _EVERYWHERE | {"pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"},
    ".mkv": _EVERYWHERE | {"flac", "opus", "vorbis", "mp2", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"},
}
# Rates that AAC knows, Hz (ISO/IEC 14496-3, table 1.18); other sounds are resampled to the first.
_AAC_RATES = (48000, 96000, 88200, 64000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_AAC_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}  # others become stereo
MOST_GAP_S = 3600.0  # for which a film may show one picture, or a sound be silent
CANCELS = 1e-3  # share of the power of one channel that is left where two cancel each other
CUT_SHORT = 0.9  # a medium that ends before this share of the length it declares is damaged
CUT_SHORT_S = 1.0  # if it lacks at least this: tracks of a good file differ by a few frames
_COPY, _BEFORE_S = ".nut", 10.0  # a container without negative times: of a sound that begins before the pictures
_SLACK_S = 0.05  # by which the clock of the container may differ from the count of samples

LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # what a clone without git-lfs has instead of media


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


# What is looked for in a folder; a file that is named is judged by what it holds.
VIDEO_SUFFIXES = _suffixes("mp4 flv avi mov mkv webm m4v mpg mpeg 3gp 3g2 ts mts m2ts wmv asf ogv vob mxf dv mjpeg")
SOUND_SUFFIXES = _suffixes("wav mp3 flac ogg m4a aac opus wma amr aif aiff aifc au caf oga mka m4b mp2 ac3 w64")
IMAGE_SUFFIXES = _suffixes("png jpg jpeg tif tiff bmp webp heic heif avif gif jfif jpe jp2 mpo pgm ppm tga")
MOST_PIXELS = 100_000_000  # of a picture; 0.3 GB as RGB
USUAL_FPS = 25.0  # where a film does not say
SOUND_HZ = (1000, 1_000_000)  # rates of sounds; what is outside is a damaged header
_DEPTHS = (8, 10, 12, 14, 16)  # bits of a camera, kept in 16
_NO_FILMS = {  # formats of FFmpeg that hold no medium, or make it read other files
    "tty": "a text", "hls": "a play list", "dash": "a play list", "concat": "a play list", "sdp": "a play list",
    "imf": "a play list",
}  # fmt: skip
FILM_SUFFIXES = tuple(COPIED)  # containers that hold H.264 with a time for every picture
_FILM_CLOCK = Fraction(1, 90000)  # s; the usual rates (24, 25, 30, 30000/1001) fall on its ticks
_BT601, _LIMITED = 6, 1  # how colours are coded, ISO/IEC 23091-2: matrix of OpenCV, and its range 16..235


class Soundtrack:
    """The first sound stream of `source`, an open container, as a stream of `film`, an open output container.

    `start_s` is the time in the source at which the film begins: what is heard before is left out, and sound and
    pictures stay in step. The stream is added at once; `mux_until` then moves the sound on, block by block, so that
    memory stays flat however long the film is. `problem` is what is wrong with the end of the source.
    `offset_s` is added to `start_s`.
    """

    def __init__(self, source, film, *, suffix: str, start_s: float, offset_s: float = 0.0, problem: str = "") -> None:
        self._source, self._film, self._start_s = source, film, start_s + offset_s
        self._offset_s, self._problem = offset_s, problem
        self._heard = sound_stream(source)
        self.ended, self.time_s = False, -1.0  # `time_s`: up to which it was put into the film
        if suffix == _COPY or self._heard.codec_context.codec.canonical_name in COPIED[suffix]:
            self._stream = film.add_stream_from_template(self._heard)
            self._packets = self._copied()
        else:
            self._stream = self._encoder()
            self._packets = self._encoded()

    def mux_until(self, time_s: float) -> None:
        """Put the sound up to a time of the film into it; infinity: all that is left.

        Raises
        ------
        MediaError : the sound of the source breaks off.
        """
        import av

        while not self.ended and self.time_s < time_s:
            try:
                packet = next(self._packets, None)
            except av.error.FFmpegError as error:
                heard_s = max(0.0, self.time_s + self._offset_s)
                raise MediaError(
                    f"{_name(self._source)}: the sound breaks off after {heard_s:.1f} s ({error.strerror})"
                ) from error
            if packet is None:
                self.ended = True
                if self._problem:
                    raise MediaError(self._problem)
                return
            self.time_s = float(packet.dts * packet.time_base)
            self._film.mux_one(packet)

    def _copied(self) -> Iterator:
        before = None
        for packet in self._source.demux(self._heard):
            if packet.dts is None:  # the end, or a block without a place
                continue
            shift = round(self._start_s / packet.time_base)
            packet.pts = (packet.dts if packet.pts is None else packet.pts) - shift
            packet.dts -= shift
            if packet.pts + (packet.duration or 0) <= 0:
                before = packet
                continue
            # A decoder needs the block before the first; of that one, NUT does not say how long it is.
            is_lead = before is not None and before.pts + 2 * (packet.duration or 0) > 0
            for one in [before, packet] if is_lead else [packet]:
                one.stream = self._stream
                yield one
            before = None

    def _encoder(self):
        rate = self._heard.rate if self._heard.rate in _AAC_RATES else _AAC_RATES[0]
        layout = _AAC_LAYOUTS.get(self._heard.codec_context.channels, "stereo")
        stream = self._film.add_stream("aac", rate=rate, layout=layout)
        stream.options = {"flags": "+bitexact"}
        return stream

    def _encoded(self) -> Iterator:
        """Decode and encode. Samples are counted, because clocks of containers are coarse; gaps and overlaps remain."""
        setup, place = None, 0
        for frame in self._source.decode(self._heard):
            kind = (frame.sample_rate, frame.layout.name, frame.format.name)
            if setup not in (None, kind):
                raise MediaError(f"{_name(self._source)}: the sound changes from {setup} to {kind}; convert it first")
            slack = round(_SLACK_S * frame.sample_rate)
            begins = round((frame.time - self._start_s) * frame.sample_rate) if frame.pts is not None else place
            if begins + frame.samples <= 0 or (setup is not None and begins < place - slack):
                continue  # before the first picture, or heard already
            place = begins if setup is None or begins > place + slack else place
            setup = kind
            frame.pts, frame.time_base = place, Fraction(1, frame.sample_rate)
            place += frame.samples
            yield from self._stream.encode(frame)  # resamples, and cuts blocks of AAC's length
        yield from self._stream.encode(None)


@dataclass(frozen=True)
class Probe:
    """What a container declares."""

    has_video: bool
    has_audio: bool
    duration_s: float  # NaN where not declared
    pictures_s: float  # length of the pictures alone; NaN where not declared
    rate_fps: float  # NaN without video
    rate_hz: int  # 0 without sound
    channels: int  # 0 without sound
    size: tuple[int, int] = (0, 0)  # width and height of the pictures, px


def probe(path: Path) -> Probe:
    """Read the headers of a media file. The cover of a sound is no video.

    Raises
    ------
    MediaError : the file is missing, empty, a git-lfs pointer or not a medium that FFmpeg knows.
    """
    with opened(path) as container:
        video = film_stream(container)
        audio = sound_stream(container)
        return Probe(
            has_video=video is not None,
            has_audio=audio is not None,
            duration_s=container.duration / 1e6 if container.duration else float("nan"),
            pictures_s=float(video.duration * video.time_base)
            if video is not None and video.duration
            else float("nan"),
            rate_fps=float(video.average_rate) if video is not None and video.average_rate else float("nan"),
            rate_hz=audio.rate if audio is not None else 0,
            channels=audio.codec_context.channels if audio is not None else 0,
            size=(video.width, video.height) if video is not None else (0, 0),
        )


def describe_truncation(path: Path, end_s: float) -> str:
    """Say so if a video or sound that was read up to `end_s` declares to be longer; else return an empty text.

    Half a file often decodes without an error: the decoder takes its end for the end of the film.
    """
    declared_s = probe(path).duration_s
    if not _is_short(end_s, declared_s):
        return ""
    end_s = max(end_s, _packets_end_s(path))  # the other stream may begin later, or go on
    if not _is_short(end_s, declared_s):
        return ""
    return f"{path}: ends after {end_s:.1f} s of {declared_s:.1f} s; fetch the file again"


def _is_short(end_s: float, declared_s: float) -> bool:
    return end_s < min(CUT_SHORT * declared_s, declared_s - CUT_SHORT_S)  # False where nothing is declared: NaN


def _packets_end_s(path: Path) -> float:
    """Return the end of the last packet that is in the file, in s from the beginning of its first."""
    import av

    begin_s, end_s = math.inf, -math.inf
    with opened(path) as container, contextlib.suppress(av.error.FFmpegError):
        for packet in container.demux():
            if packet.pts is not None and packet.stream.type in ("audio", "video"):
                begin_s = min(begin_s, float(packet.pts * packet.time_base))
                end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return end_s - begin_s if end_s > begin_s else 0.0


def describe_missing_frames(path: Path, end_s: float) -> str:
    """Say so if a film whose pictures were read up to `end_s` declares more than one frame more; else an empty text.

    What lacks less than `describe_truncation` reports: the rest is good, and is used.
    """
    declared = probe(path)
    if not declared.pictures_s - end_s > 1.5 / declared.rate_fps:  # NaN where nothing is declared
        return ""
    return f"{path}: its pictures end after {end_s:.2f} s of {declared.pictures_s:.2f} s; frames at its end are missing"


def read_frames(path: Path, rate_fps: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (time in s from the first frame, picture (H, W, 3) uint8 RGB) of the first video stream.

    With `rate_fps`, the time axis is resampled: frame k is the picture that is shown at time k / rate_fps. Pictures are
    as `upright` returns them; where no time is known they are counted at the declared rate. A stream that breaks off in
    the middle raises after its last good frame.
    """
    import av

    with opened(path) as container:
        stream = film_stream(container)
        if stream is None:
            raise MediaError(f"{path}: has no video stream")
        stream.thread_type = "NONE"  # one thread: the same bits and no contention between jobs
        clock, n_out, newest = PictureClock(declared_fps(stream)), 0, None
        timed = ((clock.place(frame), frame) for frame in container.decode(stream))
        try:
            for time_s, frame in timed if rate_fps is None else at_rate(timed, rate_fps):
                if frame is not newest:
                    newest, picture = frame, upright(frame, stream)
                yield time_s, picture
                n_out += 1
        except av.error.FFmpegError as error:
            raise MediaError(f"{path}: the video breaks off after {n_out} frames ({error.strerror})") from error
        if n_out == 0:
            raise MediaError(f"{path}: the video stream has no frames")


def at_rate(timed: Iterable[tuple[float, Any]], rate_fps: float) -> Iterator[tuple[float, Any]]:
    """Yield (k / rate_fps, what is shown then) of (time in s, frame) in the order of time."""
    shown, n_out = None, 0
    for time_s, frame in timed:
        while shown is not None and n_out / rate_fps < time_s - 1e-6:
            yield n_out / rate_fps, shown
            n_out += 1
        shown, last_s = frame, time_s
    if shown is not None and n_out / rate_fps <= last_s + 1e-6:
        yield n_out / rate_fps, shown


def seen_at(timed: Iterable[tuple[float, Any]], rate_fps: float) -> Iterator[tuple[float, Any]]:
    """Yield those of (time in s, frame), in the order of time, that are shown at a time k / rate_fps; and the last."""
    shown, n_seen = None, 0
    for one in timed:
        if shown is not None and n_seen / rate_fps < one[0] - 1e-6:
            yield shown
        while n_seen / rate_fps < one[0] - 1e-6:
            n_seen += 1
        shown = one
    if shown is not None:
        yield shown


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Return the first sound stream as (samples (channels, N) float32 in -1..1, rate in Hz).

    Raises
    ------
    MediaError : no sound stream, no samples, or a stream that cannot be decoded.
    """
    import av

    with opened(path) as container:
        stream = sound_stream(container)
        if stream is None:
            raise MediaError(f"{path}: has no sound stream")
        check_rate(path, stream.rate)
        resampler = av.AudioResampler(format="flt")
        chunks = []
        try:
            for frame in container.decode(stream):
                chunks += [samples_of(out) for out in resampler.resample(frame)]
            chunks += [samples_of(out) for out in resampler.resample(None)]
        except av.error.FFmpegError as error:
            raise MediaError(f"{path}: the sound breaks off after {len(chunks)} blocks ({error.strerror})") from error
        except ValueError as error:  # PyAV's word for a block that differs from the one before it
            raise MediaError(f"{path}: the sound changes its form in the middle ({error}); convert it first") from error
        if not chunks or sum(chunk.shape[1] for chunk in chunks) == 0:
            raise MediaError(f"{path}: the sound stream has no samples")
        return np.concatenate(chunks, axis=1), stream.rate


def samples_of(block) -> np.ndarray:
    """Return a block of packed samples (format "flt") as (channels, N) float32.

    Packed, because PyAV reads beyond a frame's eight plane pointers where a sound has eight channels or more.
    """
    return block.to_ndarray().reshape(-1, block.layout.nb_channels).T


def check_rate(path: Path | str, rate_hz: int) -> None:
    """Refuse a rate in Hz that no sound has."""
    if not SOUND_HZ[0] <= (rate_hz or 0) <= SOUND_HZ[1]:
        raise MediaError(f"{path}: a sound of {rate_hz} Hz; its header is damaged, fetch the file again")


class Mixer:
    """Brings the channels of a sound to one: the mean of those in which anything was heard so far.

    A channel that is exactly zero holds no microphone: a voice in the centre of 5.1, or on one side of a stereo film,
    keeps its level. Where two channels cancel each other (a balanced line that is wired wrongly), the first is taken.
    """

    def __init__(self) -> None:
        self._heard: np.ndarray | None = None

    def mix(self, samples: np.ndarray) -> np.ndarray:
        """Return the next samples (channels, N) as (N,) float32."""
        if len(samples) == 1:
            return samples[0]
        sounds = samples.any(axis=1)
        if self._heard is None or len(self._heard) != len(samples):
            self._heard = np.zeros(len(samples), bool)
        self._heard |= sounds
        if not self._heard.any():
            return np.zeros(samples.shape[1], np.float32)
        used = samples if self._heard.all() else samples[self._heard]
        mono = used.mean(axis=0, dtype=np.float32)
        if len(used) == 2 and _power(mono) < CANCELS * _power(used[0]):
            return used[0]
        return mono


def _power(wave: np.ndarray) -> float:
    return float(np.dot(wave, wave))


def is_still(path: Path) -> bool:
    """Tell whether a file is a still picture, by what it holds: names lie, and some have no suffix."""
    path = Path(path)
    head = refuse_stub(path)
    if head[:2] == b"\xff\xd8":  # a JPEG, or a film of JPEGs
        return path.suffix.lower() not in {".mjpeg", ".mjpg"}
    if head[4:8] == b"ftyp":
        return head[8:12] in {b"avif", b"mif1", b"heic", b"heix", b"heim", b"heis"}
    if head[:4] == b"RIFF":
        if head[8:12] != b"WEBP":
            return False
        return not (head[12:16] == b"VP8X" and len(head) > 20 and head[20] & 2)  # bit of an animation
    if head[:3] == b"GIF":
        return _n_pictures(path) == 1
    heads = (b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51")
    if head.startswith(heads):
        return True
    return path.suffix.lower() in IMAGE_SUFFIXES and head[4:8] not in {b"moov", b"mdat", b"free", b"wide"}


def _n_pictures(path: Path) -> int:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1)
    except Exception:  # read_image will say what is wrong
        return 1


def read_image(path: Path) -> np.ndarray:
    """Return a still picture as (H, W, 3) uint8 RGB as a viewer shows it, whatever its mode.

    It is turned as EXIF says; what is transparent is white; a camera's 10, 12 or 14 bits kept in 16 fill the scale.

    Raises
    ------
    MediaError : no picture, a damaged one, or one of more than `MOST_PIXELS`.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError
    from pillow_heif import register_heif_opener

    register_heif_opener()  # HEIC, also of the tiles that phones make, of which FFmpeg shows one
    refuse_stub(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # there is a limit of our own
            with Image.open(path) as image:
                _check_size(path, image.width, image.height)
                return _as_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError as error:
        with contextlib.suppress(MediaError):  # others that FFmpeg knows
            return next(read_frames(path))[1]
        raise MediaError(f"{path}: not a readable picture ({error}); fetch or replace the file") from error
    except Image.DecompressionBombError as error:
        raise MediaError(f"{path}: too large a picture ({error}); make it smaller") from error
    except MediaError:
        raise
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them
        raise MediaError(f"{path}: not a readable picture ({error}); fetch or replace the file") from error


def _check_size(path: Path | str, width: int, height: int) -> None:
    if not 0 < width * height <= MOST_PIXELS:
        most = f"at most {MOST_PIXELS / 1e6:.0f} million pixels are read; make it smaller"
        raise MediaError(f"{path}: a picture of {width}x{height}; {most}")


def _as_rgb(image) -> np.ndarray:
    from PIL import Image

    if image.mode.startswith(("I", "F")):
        values = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0)
        top = _full_scale(values.max(), whole=image.mode.startswith("I"))
        return np.repeat((values / top * 255).round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, "white")
        return np.asarray(Image.alpha_composite(ground, image).convert("RGB"))
    return np.asarray(image.convert("RGB"))


def _full_scale(largest: float, *, whole: bool) -> float:
    """Return the value that is white: of integers that of the least depth that holds them; of numbers 1, or 255."""
    if whole:
        return next((2.0**bits - 1 for bits in _DEPTHS if largest < 2**bits), max(1.0, largest))
    return 1.0 if largest <= 1.0 else max(255.0, largest)


# Options of the encoders of AAC and MP3: their search for the last bits took a quarter of the time of a corpus.
QUICK_SOUND = {"aac_coder": "fast", "compression_level": "9"}


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    rate_fps: float,
    wave: np.ndarray | None = None,
    rate_hz: int = 48000,
    codecs: tuple[str, str] = ("libx264", "aac"),
    options: dict[str, str] | None = None,
) -> None:
    """Write frames (H, W, 3) uint8 RGB, and a mono wave (N,) float32 in -1..1 if given; the suffix picks the container.

    One encoder thread and bit-exact flags: equal input gives equal bytes.
    """
    import av

    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream(codecs[0], rate=Fraction(rate_fps).limit_denominator(1001))
        kernel = kernels.x264_options() if codecs[0] == "libx264" else {}
        video.options = {"threads": "1", "flags": "+bitexact", **kernel, **(options or {})}
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(codecs[1], rate=rate_hz, layout="mono") if wave is not None else None
        if audio is not None:
            audio.options = {"flags": "+bitexact"} | QUICK_SOUND
        for k, picture in enumerate(frames):
            if k == 0:
                video.height, video.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _encode_sound(container, audio, wave, rate_hz)


def copy_sound(path: Path, target: Path, suffix: str, sign: Callable[[], None] = lambda: None) -> str:
    """Write the sound of a film to `target`, in a form that a film ending in `suffix` takes; time `_BEFORE_S`: its
    first picture. `sign` is called as long as work goes on.

    Returns
    -------
    What is wrong with the end of the sound, empty if nothing is. Without a sound there is no file.
    """
    import av

    with opened(path) as source:
        if sound_stream(source) is None:
            return ""
        with av.open(str(target), "w", format="nut", options={"fflags": "+bitexact"}) as film:
            try:
                start_s = _first_picture_s(path)
                sound = Soundtrack(source, film, suffix=suffix, start_s=start_s, offset_s=-_BEFORE_S)
                while not sound.ended:
                    sound.mux_until(sound.time_s + 1.0)
                    sign()
            except MediaError as error:
                return str(error)
    return ""


class FilmWriter:
    """A film that grows picture by picture; use it with `with`, which makes the file whole or leaves nothing.

    H.264 (yuv420p) with the time of every picture as it is given, so a variable rate stays variable; the suffix picks
    the container. With `sound_of`, the sound of that film is kept, if it has one; its time 0 is its first picture, as
    in `read_frames`. `rate_fps` is the usual rate: it says how long the last picture is shown. One encoder thread and
    bit-exact flags: equal input gives equal bytes.

    Raises
    ------
    MediaError : the suffix is none of `FILM_SUFFIXES`, the file cannot be written, no picture was written, or the
        sound of `sound_of` breaks off.
    """

    def __init__(self, path: Path, *, rate_fps: float = 25.0, sound_of: Path | None = None) -> None:
        self.path = Path(path)
        if self.path.suffix.lower() not in FILM_SUFFIXES:
            raise MediaError(f"{path}: a film ends in one of {', '.join(FILM_SUFFIXES)}; name it so")
        if self.path.is_dir():
            raise MediaError(f"{path}: is a folder; name a file for the film")
        self._rate_fps = rate_fps if 1 <= rate_fps <= 240 else 25.0  # some containers declare nonsense, or nothing
        self._sound_of = sound_of
        self._last = -1  # tick of the newest picture

    def __enter__(self) -> "FilmWriter":
        with contextlib.ExitStack() as stack, _writing(self.path):
            scratch = stack.enter_context(atomic_file(self.path))
            self._film = stack.enter_context(_output(scratch, self.path))
            self._video = self._film.add_stream("libx264", rate=Fraction(self._rate_fps).limit_denominator(1001))
            options = {"threads": "1", "flags": "+bitexact", "preset": "ultrafast", "crf": "22"}
            self._video.options = options | kernels.x264_options()
            self._video.pix_fmt = "yuv420p"
            self._video.codec_context.time_base = _FILM_CLOCK
            self._video.codec_context.colorspace = _BT601  # players guess where it is not said
            self._video.codec_context.color_range = _LIMITED
            self._sound = self._soundtrack(stack)
            self._stack = stack.pop_all()
        return self

    def write(self, time_s: float, picture: np.ndarray) -> None:
        """Add a picture (H, W, 3) uint8 RGB at a time in s; all of one film have one size.

        A picture that is not later than the one before it is shown one tick of the clock after it. An odd side gets
        one more row or column, because the encoder halves the resolution of the colours.
        """
        import av
        import cv2

        height, width = (side + side % 2 for side in picture.shape[:2])
        if self._last < 0:
            self._video.width, self._video.height = width, height
        assert (self._video.width, self._video.height) == (width, height), "pictures of one film have one size"
        if picture.shape[:2] != (height, width):
            picture = np.pad(picture, [(0, height - len(picture)), (0, width - picture.shape[1]), (0, 0)], mode="edge")
        planes = cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2YUV_I420)  # ten times as fast as swscale
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.colorspace, frame.color_range = _BT601, _LIMITED
        self._last = max(round(time_s / _FILM_CLOCK), self._last + 1)
        frame.pts, frame.time_base = self._last, _FILM_CLOCK
        frame.duration = round(1 / (self._rate_fps * _FILM_CLOCK))
        with _writing(self.path):
            self._film.mux(self._video.encode(frame))
            if self._sound is not None:
                self._sound.mux_until(time_s)

    def end_sound(self) -> None:
        """Put no more sound into the film than there is now: it was cut short, or its sound breaks off."""
        self._sound = None

    def __exit__(self, kind, error, trace) -> bool | None:
        """Finish the file; after an exception nothing is left of it."""
        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if self._last < 0:
                raise MediaError(f"{self.path}: there are no pictures for a film")
            with _writing(self.path):
                self._film.mux(self._video.encode(None))
                if self._sound is not None:
                    self._sound.mux_until(math.inf)
        return None

    def _soundtrack(self, stack: contextlib.ExitStack) -> Soundtrack | None:
        if self._sound_of is None:
            return None
        from mien.io import isolated

        # Packets of the foreign file are read, and where needed decoded, in a process of their own.
        scratch_name = f".sound.{os.getpid()}.partial"  # as `find_scratch` knows it
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=scratch_name, dir=self.path.parent))
        copy = Path(folder, f"sound{_COPY}")
        problem = isolated.copy_sound(self._sound_of, copy, self.path.suffix.lower())
        if not copy.exists():
            return None
        source = stack.enter_context(opened(copy))
        return Soundtrack(source, self._film, suffix=_COPY, start_s=_BEFORE_S, problem=problem)


def write_sound(path: Path, wave: np.ndarray, rate_hz: int, *, codec: str = "pcm_s16le") -> None:
    """Write samples (N,) or (channels, N) float32 in -1..1; the suffix picks the container."""
    import av

    samples = np.atleast_2d(wave)
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout={1: "mono", 2: "stereo"}[len(samples)])
        stream.options = {"flags": "+bitexact"}
        _encode_sound(container, stream, samples, rate_hz)


def _encode_sound(container, stream, wave: np.ndarray, rate_hz: int) -> None:
    import av

    samples = np.ascontiguousarray(np.atleast_2d(wave).clip(-1.0, 1.0), dtype=np.float32)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout={1: "mono", 2: "stereo"}[len(samples)])
    frame.rate = rate_hz
    frame.pts = 0
    frame.time_base = Fraction(1, rate_hz)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say of which file it is that writing fails."""
    import av

    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: the film cannot be written ({error.strerror})") from error


@contextlib.contextmanager
def _output(scratch: Path, path: Path) -> Iterator:
    """Open the file `scratch` for a film that will be `path`; what a player needs first stands at its beginning."""
    import av

    options = {"fflags": "+bitexact"}
    if path.suffix.lower() != ".mkv":
        options["movflags"] = "+faststart"
    container = av.open(str(scratch), "w", options=options)
    try:
        yield container
    except BaseException:
        with contextlib.suppress(av.error.FFmpegError, OSError):
            container.close()
        raise
    with _writing(path):
        container.close()


@contextlib.contextmanager
def opened(path: Path) -> Iterator:
    """Open a video or sound for reading; tags may be in any encoding, and are not read.

    Raises
    ------
    MediaError : the file is missing, empty, a git-lfs pointer or not a medium that FFmpeg knows.
    """
    import av

    head = refuse_stub(path)
    # In 16-bit PCM at 44.1 and 48 kHz FFmpeg looks for a disguised DTS stream, which takes longer than all the rest.
    is_wave = head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    options = {"protocol_whitelist": "file"} | ({"max_probe_packets": "1"} if is_wave else {})
    try:
        # A name with a colon would be taken for an address.
        container = av.open(f"file:{path}", options=options, metadata_errors="ignore")
    except (av.error.FFmpegError, ValueError) as error:
        found = getattr(error, "strerror", None) or error
        raise MediaError(f"{path}: not a video or sound that FFmpeg can read ({found})") from error
    with container:
        if what := _NO_FILMS.get(container.format.name.split(",")[0]):
            raise MediaError(f"{path}: is {what}, not a video or sound")
        yield container


def _name(container) -> str:
    return container.name.removeprefix("file:")


def film_stream(container):
    """Return the first stream of moving pictures; None where there is none, or but the cover of a sound."""
    no_film = _disposition().attached_pic | _disposition().timed_thumbnails
    films = (stream for stream in container.streams.video if not stream.disposition & no_film)
    return next((stream for stream in films if stream.codec_context is not None), None)  # None: no decoder knows it


def sound_stream(container):
    """Return the first stream of sound that can be decoded, else None."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def _disposition():
    import av

    return av.stream.Disposition


def declared_fps(stream) -> float:
    """Return the rate of a video stream, `USUAL_FPS` where it declares none, or nonsense."""
    rate = stream.average_rate or stream.guessed_rate
    return float(rate) if rate and 1 <= rate <= 240 else USUAL_FPS


class PictureClock:
    """Times of pictures in s from the first, ascending.

    Where there is none, or it does not ascend, the declared rate counts; so it does where the clock jumps by more than
    `MOST_GAP_S`: no film shows one picture that long, but damaged ones say so.
    """

    def __init__(self, rate_fps: float) -> None:
        self.origin_s: float | None = None  # of the first picture, on the clock of the container
        self._step_s = 1.0 / rate_fps
        self._last_s = 0.0

    def place(self, frame) -> float:
        """Return the time of the next frame."""
        if self.origin_s is None:
            self.origin_s = frame.time or 0.0
            return 0.0
        time_s = frame.time - self.origin_s if frame.time is not None else -1.0
        if time_s > self._last_s + MOST_GAP_S:
            self.origin_s += time_s - self._last_s - self._step_s
            time_s = self._last_s + self._step_s
        self._last_s = time_s if time_s > self._last_s else self._last_s + self._step_s
        return self._last_s


def _first_picture_s(path: Path) -> float:
    """Return when the first picture of a film is shown on its own clock, in s; 0 for a sound without pictures."""
    import av

    with opened(path) as container:
        film = film_stream(container)
        for packet in container.demux(film) if film is not None else ():
            with contextlib.suppress(av.error.FFmpegError):  # a film that was cut begins between its key pictures
                for frame in packet.decode():
                    return frame.time or 0.0
    return 0.0


def refuse_stub(path: Path) -> bytes:
    """Refuse what is no medium at all before a decoder guesses a format from it; return how the file begins."""
    path = Path(path)
    try:
        kind = path.stat().st_mode
        if stat.S_ISDIR(kind):
            raise MediaError(f"{path}: is a folder, not a file")
        if not stat.S_ISREG(kind):
            raise MediaError(f"{path}: is a pipe, a socket or a device, not a file")
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
    except FileNotFoundError:
        gone = "a link to a file that is gone" if path.is_symlink() else "no such file"
        raise MediaError(f"{path}: {gone}") from None
    except OSError as error:
        raise MediaError(f"{path}: cannot be read ({error.strerror})") from error
    if not head:
        raise MediaError(f"{path}: the file is empty; fetch it again")
    if head == LFS_POINTER:
        raise MediaError(f"{path}: a git-lfs pointer instead of the file; run 'git lfs pull' where you cloned it")
    return head


_local = threading.local()


def upright(frame, stream=None) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 RGB as a viewer shows it.

    Phones store a rotation or a reflection beside the stream, and tapes pixels that are not square: the shorter side of
    a pixel is stretched.
    """
    ratio = (stream.sample_aspect_ratio if stream is not None else None) or 1
    width, height = frame.width, frame.height
    if 0.125 <= ratio <= 8 and ratio != 1:
        width, height = (round(width * ratio), height) if ratio > 1 else (width, round(height / ratio))
    _check_size(_name(stream.container) if stream is not None else "the film", width, height)
    picture = _reformatter().reformat(frame, width, height, "rgb24", threads=1).to_ndarray()
    turns, mirrored = _orientation(frame)
    if turns:
        picture = np.rot90(picture, turns)
    if mirrored:
        picture = picture[:, ::-1]
    return np.ascontiguousarray(picture)


def thumbnail(frame, size: tuple[int, int]) -> np.ndarray:
    """Return means (H, W) uint8 of the grey levels of a frame, as it is stored; size in px: W, H."""
    return _reformatter().reformat(frame, *size, "gray8", interpolation="AREA", threads=1).to_ndarray()


def _reformatter():
    """Return one for all pictures: that of a frame has threads, which live until the garbage is collected."""
    if not hasattr(_local, "reformatter"):
        from av.video.reformatter import VideoReformatter

        _local.reformatter = VideoReformatter()
    return _local.reformatter


def _orientation(frame) -> tuple[int, bool]:
    """Return (quarter turns to the left, then whether left and right are exchanged) of a frame's display matrix."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return round(getattr(frame, "rotation", 0) / 90) % 4, False
    (a, b), (c, d) = np.frombuffer(bytes(matrix), np.int32)[:9].reshape(3, 3)[:2, :2] / 65536.0
    mirrored = a * d - b * c < 0
    if mirrored:  # x is mirrored after the turn
        a, c = -a, -c
    return round(-math.degrees(math.atan2(b, a)) / 90) % 4, bool(mirrored)


def find_media(paths: Iterable[Path], suffixes: frozenset[str] = VIDEO_SUFFIXES | SOUND_SUFFIXES | IMAGE_SUFFIXES):
    """Return (files that `paths` name, sentences on what cannot be used, number of files that were passed over).

    A folder's media come in the order of their names, at any depth; hidden files, what macOS and Windows leave, and
    links, pipes and sockets that are no files are passed over. Links to folders are not followed. A file that is found
    twice comes once.
    """
    files: dict[Path, Path] = {}
    problems, passed = [], 0
    for path in map(Path, paths):
        if not path.is_dir():
            try:
                refuse_stub(path)
            except MediaError as error:
                problems.append(str(error))
                continue
            files.setdefault(path.resolve(), path)
            continue
        found = []
        unread: list[OSError] = []
        for folder, below, names in os.walk(path, onerror=unread.append):
            below[:] = sorted(name for name in below if not _is_junk(name))
            for name in names:
                file = Path(folder, name)
                if file.suffix.lower() not in suffixes:
                    continue
                if _is_junk(name) or not file.is_file():
                    passed += 1
                else:
                    found.append(file)
        problems += [f"{error.filename}: cannot be read ({error.strerror})" for error in unread]
        if not found and not unread:
            problems.append(f"{path}: the folder holds no video, sound file or picture")
        for file in sorted(found):
            files.setdefault(file.resolve(), file)
    return list(files.values()), problems, passed


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name in {"__MACOSX", "Thumbs.db", "desktop.ini"}
