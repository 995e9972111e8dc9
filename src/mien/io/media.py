"""Decode and encode video, sound and images through FFmpeg (PyAV) and OpenCV; every failure names the file.

A film can carry the sound of another one: packets as they are where the container takes them, else encoded as AAC.
"""

import contextlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

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
_SLACK_S = 0.05  # by which the clock of the container may differ from the count of samples

LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # what a clone without git-lfs has instead of media
VIDEO_SUFFIXES = frozenset({".mp4", ".flv", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
SOUND_SUFFIXES = frozenset({".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aac", ".opus"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"})
FILM_SUFFIXES = tuple(COPIED)  # containers that hold H.264 with a time for every picture
_FILM_CLOCK = Fraction(1, 90000)  # s; the usual rates (24, 25, 30, 30000/1001) fall on its ticks
_BT601, _LIMITED = 6, 1  # how colours are coded, ISO/IEC 23091-2: matrix of OpenCV, and its range 16..235


class Soundtrack:
    """The first sound stream of `source`, an open container, as a stream of `film`, an open output container.

    `start_s` is the time in the source at which the film begins: what is heard before is left out, and sound and
    pictures stay in step. The stream is added at once; `mux_until` then moves the sound on, block by block, so that
    memory stays flat however long the film is.
    """

    def __init__(self, source, film, *, suffix: str, start_s: float) -> None:
        self._source, self._film, self._start_s = source, film, start_s
        self._heard = source.streams.audio[0]
        self._ended, self._time_s = False, -1.0
        if self._heard.codec_context.codec.canonical_name in COPIED[suffix]:
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

        while not self._ended and self._time_s < time_s:
            try:
                packet = next(self._packets, None)
            except av.error.FFmpegError as error:
                heard_s = max(0.0, self._time_s)
                raise MediaError(
                    f"{self._source.name}: the sound breaks off after {heard_s:.1f} s ({error.strerror})"
                ) from error
            if packet is None:
                self._ended = True
                return
            self._time_s = float(packet.dts * packet.time_base)
            self._film.mux_one(packet)

    def _copied(self) -> Iterator:
        for packet in self._source.demux(self._heard):
            if packet.dts is None:  # the end, or a block without a place
                continue
            shift = round(self._start_s / packet.time_base)
            packet.pts = (packet.dts if packet.pts is None else packet.pts) - shift
            packet.dts -= shift
            if packet.pts + 2 * (packet.duration or 0) <= 0:  # the block before the first is kept: a decoder needs it
                continue
            packet.stream = self._stream
            yield packet

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
                raise MediaError(f"{self._source.name}: the sound changes from {setup} to {kind}; convert it first")
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


def probe(path: Path) -> Probe:
    """Read the headers of a media file.

    Raises
    ------
    MediaError : the file is missing, empty, a git-lfs pointer or not a medium that FFmpeg knows.
    """
    with opened(path) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
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
        )


def read_frames(path: Path, rate_fps: float | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """Yield (time in s from the first frame, picture (H, W, 3) uint8 RGB) of the first video stream.

    With `rate_fps`, the time axis is resampled: frame k is the picture that is shown at time k / rate_fps. Display
    rotation is applied. A stream that breaks off in the middle raises after its last good frame.
    """
    import av

    with opened(path) as container:
        if not container.streams.video:
            raise MediaError(f"{path}: has no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # one thread: the same bits and no contention between jobs
        first, shown, n_out = None, None, 0
        try:
            for frame in container.decode(stream):
                time_s = frame.time if frame.time is not None else 0.0 if first is None else shown[0] + first
                first = time_s if first is None else first
                picture = upright(frame)
                if rate_fps is None:
                    yield time_s - first, picture
                    n_out += 1
                    shown = (time_s - first, picture)
                    continue
                while shown is not None and n_out / rate_fps < time_s - first - 1e-6:
                    yield n_out / rate_fps, shown[1]
                    n_out += 1
                shown = (time_s - first, picture)
        except av.error.FFmpegError as error:
            raise MediaError(f"{path}: the video breaks off after {n_out} frames ({error.strerror})") from error
        if rate_fps is not None and shown is not None and n_out / rate_fps <= shown[0] + 1e-6:
            yield n_out / rate_fps, shown[1]
            n_out += 1
        if n_out == 0:
            raise MediaError(f"{path}: the video stream has no frames")


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """Return the first sound stream as (samples (channels, N) float32 in -1..1, rate in Hz).

    Raises
    ------
    MediaError : no sound stream, no samples, or a stream that cannot be decoded.
    """
    import av

    with opened(path) as container:
        if not container.streams.audio:
            raise MediaError(f"{path}: has no sound stream")
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="fltp")
        chunks = []
        try:
            for frame in container.decode(stream):
                chunks += [out.to_ndarray() for out in resampler.resample(frame)]
            chunks += [out.to_ndarray() for out in resampler.resample(None)]
        except av.error.FFmpegError as error:
            raise MediaError(f"{path}: the sound breaks off after {len(chunks)} blocks ({error.strerror})") from error
        if not chunks or sum(chunk.shape[1] for chunk in chunks) == 0:
            raise MediaError(f"{path}: the sound stream has no samples")
        return np.concatenate(chunks, axis=1), stream.rate


def read_image(path: Path) -> np.ndarray:
    """Return a still picture as (H, W, 3) uint8 RGB, whatever its mode (grey, palette, 16 bit)."""
    from PIL import Image, UnidentifiedImageError

    _refuse_stub(path)
    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                values = np.asarray(image, dtype=np.float64)
                top = 65535.0 if image.mode.startswith("I") else max(1.0, values.max())
                return np.repeat((values / top * 255).round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise MediaError(f"{path}: not a readable picture ({error}); fetch or replace the file") from error


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
        video.options = {"threads": "1", "flags": "+bitexact", **(options or {})}
        video.pix_fmt = "yuv420p"
        audio = container.add_stream(codecs[1], rate=rate_hz, layout="mono") if wave is not None else None
        if audio is not None:
            audio.options = {"flags": "+bitexact"}
        for k, picture in enumerate(frames):
            if k == 0:
                video.height, video.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            _encode_sound(container, audio, wave, rate_hz)


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
            self._video.options = {"threads": "1", "flags": "+bitexact", "preset": "veryfast", "crf": "20"}
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
        source = stack.enter_context(opened(self._sound_of))
        if not source.streams.audio:
            return None
        start_s = _first_picture_s(self._sound_of)
        return Soundtrack(source, self._film, suffix=self.path.suffix.lower(), start_s=start_s)


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
    """Open a video or sound for reading.

    Raises
    ------
    MediaError : the file is missing, empty, a git-lfs pointer or not a medium that FFmpeg knows.
    """
    import av

    head = _refuse_stub(path)
    # In 16-bit PCM at 44.1 and 48 kHz FFmpeg looks for a disguised DTS stream, which takes longer than all the rest.
    is_wave = head[:4] == b"RIFF" and head[8:12] == b"WAVE"
    try:
        container = av.open(str(path), options={"max_probe_packets": "1"} if is_wave else {})
    except av.error.FFmpegError as error:
        raise MediaError(f"{path}: not a video or sound that FFmpeg can read ({error.strerror})") from error
    with container:
        yield container


def _first_picture_s(path: Path) -> float:
    """Return when the first picture of a film is shown on its own clock, in s; 0 for a sound without pictures."""
    import av

    with opened(path) as container:
        cover = av.stream.Disposition.attached_pic
        films = [stream for stream in container.streams.video if not stream.disposition & cover]
        for packet in container.demux(films[:1]) if films else ():
            with contextlib.suppress(av.error.FFmpegError):  # a film that was cut begins between its key pictures
                for frame in packet.decode():
                    return frame.time or 0.0
    return 0.0


def _refuse_stub(path: Path) -> bytes:
    """Refuse what is no medium at all before a decoder guesses a format from it; return how the file begins."""
    path = Path(path)
    if not path.exists():
        raise MediaError(f"{path}: no such file")
    if path.is_dir():
        raise MediaError(f"{path}: is a folder, not a file")
    with path.open("rb") as file:
        head = file.read(len(LFS_POINTER))
    if not head:
        raise MediaError(f"{path}: the file is empty; fetch it again")
    if head == LFS_POINTER:
        raise MediaError(f"{path}: a git-lfs pointer instead of the file; run 'git lfs pull' where you cloned it")
    return head


def upright(frame) -> np.ndarray:
    """Return the picture as a viewer shows it: phones store a rotation beside the stream."""
    picture = frame.to_ndarray(format="rgb24")
    turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, turns)) if turns else picture
