"""A film, a sound or a picture as it runs: what is seen and heard in the order of time, on the clock of the pictures.

It is run in a process of its own (`mien.io.isolated`).
"""

import contextlib
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from mien.errors import MediaError
from mien.io import media

PICTURES_WAIT = 32  # of a pipe, for the sound that belongs before them; then they go on without it
SOUND_WAITS_S = 60.0  # that a pipe may bring ahead of the pictures
LEAD_S = 0.13  # of the sound before the pictures: who resamples it looks ahead

# Cuts, much as the adaptive detector of PySceneDetect finds them: a change of the picture that is large, and beside
# those before it too. One that is missed costs little: windows know nothing of each other, regions are their own.
CUT_SIZE = (32, 18)  # px that pictures are compared at
CUT_LEAST = 12.0  # mean change, grey levels
CUT_RATIO = 4.0  # to the median of the last changes
CUT_MEMORY = 12  # changes


@dataclass(frozen=True)
class Facts:
    """What a medium declares."""

    has_pictures: bool
    has_sound: bool
    rate_fps: float  # `media.USUAL_FPS` where it is not declared
    duration_s: float  # NaN where it is not declared
    is_still: bool = False


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A picture (H, W, 3) uint8 RGB; all of one film have one size."""

    time_s: float
    pixels: np.ndarray
    cut: bool = False  # a shot has begun since the picture before it


class CutDetector:
    """Tells where a shot begins; it is given every picture of a film."""

    def __init__(self) -> None:
        self._before: np.ndarray | None = None
        self._changes: deque[float] = deque(maxlen=CUT_MEMORY)

    def is_cut(self, thumbnail: np.ndarray) -> bool:
        """Take the next picture, as grey levels in the size `CUT_SIZE`; tell whether a shot begins with it."""
        thumbnail = thumbnail.astype(np.float32)
        before, self._before = self._before, thumbnail
        if before is None:
            return False
        change = float(np.abs(thumbnail - before).mean())
        usual = float(np.median(self._changes)) if self._changes else 0.0
        self._changes.append(change)
        return change > max(CUT_LEAST, CUT_RATIO * usual)


@dataclass(frozen=True, eq=False)
class AudioBlock:
    """A block of sound (N,) float32, the channels mixed; it may begin before the first picture, at a negative time."""

    time_s: float | None  # None: right after the block before it
    rate_hz: int
    samples: np.ndarray


@dataclass(frozen=True)
class EndOfStream:
    """What has ended; of "all", `problem` says why it is not the whole, and `remark` what is not worth that."""

    what: str  # "pictures", "sound", "all"
    problem: str = ""
    remark: str = ""


def play(
    source: str | Path,
    rate_fps: float | None = None,
    pictures_wait: int = PICTURES_WAIT,
    device: str = "",
    file: int | None = None,
    *,
    sign: Callable[[], None] = lambda: None,
) -> Iterator[Facts | VideoFrame | AudioBlock | EndOfStream]:
    """Yield the facts of a medium, what is seen and heard in the order of time, and its end.

    Time 0 is the first picture, or without pictures the first sound. With a picture has come all sound up to it.

    Parameters
    ----------
    source
        The path of the file, or how the medium is called.
    rate_fps
        Leave out pictures that nobody sees who looks so often, but for the last; None: none.
    pictures_wait
        Pictures that wait for sound where both come from one pipe.
    device
        Open this camera (V4L2).
    file
        Read this descriptor.
    sign
        Is called as long as work goes on.

    Raises
    ------
    MediaError : it cannot be opened, or holds neither a picture nor a sound.
    """
    with contextlib.ExitStack() as stack:
        path = None
        if file is not None:
            opened = [stack.enter_context(_open_pipe(file))]
        elif device:
            opened = [stack.enter_context(_open_camera(source, device))]
        else:
            path = Path(source)
            if media.is_still(path):
                pixels = media.read_image(path)
                yield Facts(True, False, media.USUAL_FPS, 0.0, is_still=True)
                yield VideoFrame(0.0, pixels)
                yield EndOfStream("pictures")
                yield EndOfStream("all")
                return
            opened = [stack.enter_context(media.opened(path)) for _ in range(2)]  # each stream goes its own way
        yield from _Film(source, opened, path, pictures_wait, sign).run(rate_fps)


class _Film:
    def __init__(self, source: str | Path, opened: list, path: Path | None, pictures_wait: int, sign: Callable) -> None:
        self._source, self._path = source, path
        self._stream = media.film_stream(opened[0])
        heard = media.sound_stream(opened[-1])
        if self._stream is None and heard is None:
            raise MediaError(f"{source}: has neither a picture nor a sound")
        self._rate_fps = media.declared_fps(self._stream) if self._stream is not None else media.USUAL_FPS
        duration = opened[0].duration
        self.facts = Facts(
            self._stream is not None, heard is not None, self._rate_fps, duration / 1e6 if duration else math.nan
        )
        if self._stream is not None:
            self._stream.thread_type = "AUTO"
        own = {"pictures_wait": pictures_wait, "sign": sign}
        if len(opened) == 2:
            self._pictures = _Demuxer(opened[0], [self._stream] if self._stream is not None else [], **own)
            self._sound = _Demuxer(opened[1], [heard] if heard is not None else [], **own)
        else:
            wanted = [stream for stream in (self._stream, heard) if stream is not None]
            self._pictures = self._sound = _Demuxer(opened[0], wanted, **own)
        self._clock = media.PictureClock(self._rate_fps)
        self._blocks = self._mixed() if heard is not None else iter(())
        self._held: tuple | None = None
        self._sound_ended = heard is None
        self._origin_s: float | None = None
        self._end_s: float | None = None  # of the pictures so far

    def run(self, rate_fps: float | None) -> Iterator[Facts | VideoFrame | AudioBlock | EndOfStream]:
        yield self.facts
        shape, shot, timed = None, 0, self._timed()
        for time_s, (frame, number) in timed if rate_fps is None else media.seen_at(timed, rate_fps):
            yield from self._sound_until(time_s + LEAD_S)
            pixels = media.upright(frame, self._stream)
            shape = shape or pixels.shape
            yield VideoFrame(time_s, _fitted(pixels, shape), cut=number > shot)
            shot = number
        if self._end_s is None and self.facts.has_pictures and not self.facts.has_sound:
            raise MediaError(f"{self._source}: ends before its first picture")
        yield EndOfStream("pictures")
        yield from self._sound_until(math.inf)
        yield self._end()

    def _timed(self) -> Iterator[tuple[float, tuple[Any, int]]]:
        """Yield every frame at its time, with the number of cuts until then."""
        cuts, n_cuts = CutDetector(), 0
        while self.facts.has_pictures and (frame := self._pictures.next_picture()) is not None:
            time_s = self._clock.place(frame)
            self._origin_s = self._clock.origin_s
            self._end_s = time_s + 1.0 / self._rate_fps
            n_cuts += cuts.is_cut(media.thumbnail(frame, CUT_SIZE))
            yield time_s, (frame, n_cuts)

    def _sound_until(self, time_s: float) -> Iterator[AudioBlock | EndOfStream]:
        """Yield the blocks that begin before a time; at its end that it has ended."""
        while not self._sound_ended:
            block, self._held = self._held or next(self._blocks, None), None
            if block is None and self._sound.ended:
                self._sound_ended = True
                yield EndOfStream("sound")
                return
            if block is None:  # too many pictures wait for it
                self._blocks = self._mixed()
                return
            begins_s, rate_hz, samples = block
            if begins_s is not None:
                self._origin_s = begins_s if self._origin_s is None else self._origin_s
                begins_s -= self._origin_s
                if begins_s > time_s:
                    self._held = block
                    return
            yield AudioBlock(begins_s, rate_hz, samples)

    def _mixed(self) -> Iterator[tuple[float | None, int, np.ndarray]]:
        """Yield (time in s on the container's clock, rate in Hz, samples (N,)) of the blocks of sound."""
        setup = mixer = plain = None
        while (block := self._sound.next_sound()) is not None:
            form = (block.format.name, block.layout.name, block.sample_rate)
            if form != setup:
                media.check_rate(self._source, block.sample_rate)
                setup, plain = form, av.AudioResampler(format="flt")
                mixer = mixer or media.Mixer()
            time_s = block.time
            block.pts = None  # what lacks is filled by who hears it
            for one in plain.resample(block):
                samples = mixer.mix(media.samples_of(one))
                if not np.isfinite(samples).all():
                    raise MediaError(f"{self._source}: the sound holds samples that are not finite numbers")
                yield time_s, block.sample_rate, samples
                time_s = None

    def _end(self) -> EndOfStream:
        end_s, readers = self._end_s, dict.fromkeys([self._pictures, self._sound])
        # Where there is sound to the end, a film that shows no picture any more is whole.
        read_s = max(end_s or 0.0, *(reader.finish() for reader in readers), 0.0)
        if self._path is not None and (damage := media.describe_truncation(self._path, read_s)):
            return EndOfStream("all", damage)
        found = dict.fromkeys(reader.problem for reader in readers if reader.problem)
        if found:
            return EndOfStream("all", f"{self._source}: {'; '.join(found)}")
        if self._path is None or end_s is None:
            return EndOfStream("all")
        return EndOfStream("all", remark=media.describe_missing_frames(self._path, end_s))


def _fitted(pixels: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return a picture in the size of the first; recordings of calls change theirs. What is over is black."""
    if pixels.shape == shape:
        return pixels
    import cv2

    scale = min(shape[0] / pixels.shape[0], shape[1] / pixels.shape[1])
    height, width = (max(1, round(side * scale)) for side in pixels.shape[:2])
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    ground = np.zeros(shape, np.uint8)
    ground[top : top + height, left : left + width] = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    return ground


def _open_pipe(file: int):
    """Open the film on a descriptor; it is read itself, so that no lock is held when the process ends."""
    try:
        return av.open(open(file, "rb", buffering=0, closefd=False), metadata_errors="ignore")
    except (av.error.FFmpegError, OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"standard input: is closed, or not a film that can be read from beginning to end ({found}); pipe Matroska,"
            " MPEG-TS or MP4 in fragments"
        ) from error


def _open_camera(name: str, device: str):
    try:
        return av.open(device, format="v4l2")
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"{name}: {device} gives no pictures ({error})") from error


class _Demuxer:
    """Decodes streams of one container; a frame that was not asked for waits."""

    def __init__(self, container, streams: list, *, pictures_wait: int, sign: Callable[[], None]) -> None:
        self.problem = ""
        self.ended = False
        self._pictures_wait, self._sign = pictures_wait, sign
        self._packets = container.demux(streams) if streams else iter(())
        self._pictures: deque = deque()
        self._sound: deque = deque()
        self._sound_s = 0.0  # that waits
        self._end_s = 0.0
        self._n_broken = 0

    def next_picture(self):
        """Return the next frame, None at the end."""
        while not self._pictures and self._read():
            while self._sound_s > SOUND_WAITS_S:
                self._take_sound()
                self.problem = f"its sound is more than {SOUND_WAITS_S:.0f} s ahead of its pictures, and left out there"
        return self._pictures.popleft() if self._pictures else None

    def next_sound(self):
        """Return the next block; None at the end, or where too many pictures wait for it."""
        while not self._sound and len(self._pictures) < self._pictures_wait and self._read():
            pass
        return self._take_sound() if self._sound else None

    def finish(self) -> float:
        """Go to the end without decoding, and return its time in s."""
        with contextlib.suppress(av.error.FFmpegError, OSError):
            for packet in self._packets:
                self._sign()
                self._note(packet)
        return self._end_s

    def _read(self) -> bool:
        """Decode the next packet; False at the end."""
        self._sign()
        try:
            packet = next(self._packets, None)
        except (av.error.FFmpegError, OSError) as error:
            self.problem = f"breaks off ({error.strerror})"
            packet = None
        if packet is None:
            self.ended = True
            return False
        frames = []
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # what comes after may be whole
            self._note(packet, broken=True)
        else:
            self._note(packet)
        if packet.stream.type == "video":
            self._pictures.extend(frames)
        else:
            self._sound.extend(frames)
            self._sound_s += sum(frame.samples / frame.sample_rate for frame in frames)
        return True

    def _take_sound(self):
        block = self._sound.popleft()
        self._sound_s -= block.samples / block.sample_rate
        return block

    def _note(self, packet, *, broken: bool = False) -> None:
        if packet.pts is not None:
            self._end_s = max(self._end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if broken or packet.is_corrupt:  # the file ends in the middle of it, or parts were lost
            self._n_broken += 1
            self.problem = f"{self._n_broken} of its packets are broken, the last at {self._end_s:.1f} s"
