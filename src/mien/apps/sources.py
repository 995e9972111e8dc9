"""A film as it runs, from a file, a camera or a pipe: its pictures and its sound in the order of time.

    source   what it is
    a path   a film
    camera   the first camera; camera:N the N-th, from 0 (V4L2). Its microphone is not recorded: pictures only.
    -        a film on standard input, in a format that can be read from beginning to end: Matroska, MPEG-TS, FLV, AVI,
             or MP4 in fragments

Time 0 is the first picture; sound before it is left out, and silence stands where sound is missing.
"""

import contextlib
import logging
import re
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from mien.audio.resample import Resampler
from mien.errors import MediaError
from mien.faces.extract import describe_missing_frames, describe_truncation
from mien.io import media

log = logging.getLogger(__name__)

PICTURES_WAIT = 32  # of a pipe, for the sound that belongs before them; then they go on without it
SOUND_WAITS_S = 60.0  # that a pipe may bring ahead of the pictures
SLACK_S = 0.05  # by which the times of blocks of sound may differ from the count of samples
USUAL_FPS = 25.0  # where a film does not say
_NO_SOUND = np.zeros(0, dtype=np.float32)
_CAMERA = re.compile(r"camera(?::(\d+))?")


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as a viewer sees it."""

    time_s: float  # from the first picture; ascending
    pixels: np.ndarray | None  # (H, W, 3) uint8 RGB; None: sound after the last picture, or of a file without any
    sound: np.ndarray  # (N,) float32 in -1..1, mono: what was heard since the picture before it


class Source:
    """A film that is open; iterate over it once.

    Parameters
    ----------
    name
        For messages.
    opened
        The container, or it twice where it can be read twice: pictures and sound then go each their own way.
    path
        Of the file, None of other sources.
    sound_alone
        Take a sound without pictures too: its time 0 is its first sample.
    live
        The clock runs, whoever looks.

    Attributes
    ----------
    has_pictures, has_sound, rate_fps : as declared.
    problem : after the iteration, why it is not the whole; else empty.
    """

    def __init__(
        self,
        name: str,
        opened: list,
        rate_hz: int,
        *,
        path: Path | None = None,
        live: bool = False,
        sound_alone: bool = False,
    ) -> None:
        self.name, self.path, self.live = name, path, live
        self.problem = ""
        self.held = contextlib.ExitStack()  # what is closed with it
        self._stream = next((stream for stream in opened[0].streams.video if not _is_cover(stream)), None)
        heard = next(iter(opened[-1].streams.audio), None)
        self.has_pictures, self.has_sound = self._stream is not None, heard is not None
        if not self.has_pictures and not (sound_alone and self.has_sound):
            raise MediaError(f"{name}: has no moving picture to watch; a sound alone is judged by: mien predict")
        if self.has_pictures:
            self._stream.thread_type = "AUTO"
        rate = (self._stream.average_rate or self._stream.guessed_rate) if self.has_pictures else None
        self.rate_fps = float(rate) if rate and 1 <= rate <= 240 else USUAL_FPS
        seen, heard_in = [self._stream] * self.has_pictures, [heard] * self.has_sound
        if len(opened) == 2:
            self._pictures, sound = _Demuxer(opened[0], seen), _Demuxer(opened[1], heard_in)
        else:
            self._pictures = sound = _Demuxer(opened[0], [*seen, *heard_in])
        self._audio = _AudioTrack(sound, rate_hz) if heard else None

    def close(self) -> None:
        """Close the film; nothing can be read any more."""
        self.held.close()

    def __iter__(self) -> Iterator[Picture]:
        origin_s, last_s, shape = 0.0, None, None
        while self.has_pictures and (frame := self._pictures.next_picture()) is not None:
            pixels = media.upright(frame)
            if shape not in (None, pixels.shape):
                sizes = [f"{width}x{height}" for height, width, _ in (shape, pixels.shape)]
                self.problem = f"{self.name}: the picture changes its size from {' to '.join(sizes)}"
                return
            shape = pixels.shape
            if last_s is None:
                origin_s, time_s = frame.time or 0.0, 0.0
            else:
                time_s = frame.time - origin_s if frame.time is not None else last_s
                time_s = time_s if time_s > last_s else last_s + 1.0 / self.rate_fps
            last_s = time_s
            yield Picture(time_s, pixels, self._audio.until(time_s, origin_s) if self._audio else _NO_SOUND)
        if last_s is None and self.has_pictures:
            raise MediaError(f"{self.name}: ends before its first picture")
        end_s = last_s + 1.0 / self.rate_fps if self.has_pictures else 0.0
        if self._audio is not None:
            for sound in self._audio.rest(origin_s if self.has_pictures else None):
                end_s += len(sound) / self._audio.rate_hz
                yield Picture(end_s, None, sound)
        self.problem = self._damage(end_s)
        if (
            self.path is not None
            and self.has_pictures
            and not self.problem
            and (remark := describe_missing_frames(self.path, end_s))
        ):
            log.warning("%s", remark)

    def _damage(self, end_s: float) -> str:
        """Say why the film is not whole, after it was read up to a time."""
        readers = dict.fromkeys([self._pictures, *([self._audio.reader] if self._audio is not None else [])])
        # Where there is sound to the end, a film that shows no picture any more is whole.
        end_s = max(end_s, *(reader.finish() for reader in readers))
        if self.path is not None and (damage := describe_truncation(self.path, end_s)):
            return damage
        found = dict.fromkeys(reader.problem for reader in readers if reader.problem)
        return f"{self.name}: {'; '.join(found)}" if found else ""


def open_source(text: str, *, rate_hz: int, sound_alone: bool = False) -> Source:
    """Open a film: a path, `camera`, `camera:N` or `-` for standard input; its sound will be at `rate_hz`.

    sound_alone : whether it may have no picture.

    Raises
    ------
    MediaError : there is no such file or camera, it is not a film, or it shows no picture.
    """
    path = Path(text)
    camera = None if path.exists() else _CAMERA.fullmatch(text)
    with contextlib.ExitStack() as stack:
        if text == "-":
            opened, facts = [stack.enter_context(_open_pipe())], {"name": "standard input"}
        elif camera:
            opened = [stack.enter_context(_open_camera(int(camera[1] or 0)))]
            facts = {"name": text, "live": True}
        else:
            opened, facts = [stack.enter_context(media.opened(path)) for _ in range(2)], {"name": text, "path": path}
        if opened[0].format.name == "tty":
            raise MediaError(f"{facts['name']}: is a text, not a film")
        source = Source(opened=opened, rate_hz=rate_hz, sound_alone=sound_alone, **facts)
        source.held = stack.pop_all()
    return source


def _open_pipe():
    """Open the film on standard input; the descriptor is read itself, so that no lock is held when the process ends."""
    if sys.stdin is None:  # so Python has it where the shell closed it
        raise MediaError("standard input: is closed; pipe a film into it, or name a file")
    try:
        return av.open(open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    except (av.error.FFmpegError, OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise MediaError(
            f"standard input: is closed, or not a film that can be read from beginning to end ({found}); pipe Matroska,"
            " MPEG-TS or MP4 in fragments"
        ) from error


def _open_camera(number: int):
    device = Path(f"/dev/video{number}")
    if not device.exists():
        others = ", ".join(f"camera:{path.name[5:]}" for path in sorted(Path("/dev").glob("video[0-9]*")))
        raise MediaError(f"camera:{number}: there is no camera {device}; connect one, or choose of: {others or 'none'}")
    try:
        return av.open(str(device), format="v4l2")
    except (av.error.FFmpegError, ValueError) as error:
        raise MediaError(f"camera:{number}: {device} gives no pictures ({error})") from error


def _is_cover(stream) -> bool:
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


class _Demuxer:
    """Decodes streams of one container; a frame that was not asked for waits."""

    def __init__(self, container, streams: list) -> None:
        self.problem = ""
        self.ended = False
        self._packets = container.demux(streams)
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
        while not self._sound and len(self._pictures) < PICTURES_WAIT and self._read():
            pass
        return self._take_sound() if self._sound else None

    def finish(self) -> float:
        """Go to the end without decoding, and return its time in s."""
        with contextlib.suppress(av.error.FFmpegError, OSError):
            for packet in self._packets:
                self._note(packet)
        return self._end_s

    def _read(self) -> bool:
        """Decode the next packet; False at the end."""
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


class _AudioTrack:
    """The sound of a film at one rate, mono: the mean of its channels, as the corpora have it."""

    def __init__(self, reader: _Demuxer, rate_hz: int) -> None:
        self.reader = reader
        self.rate_hz = rate_hz
        self._plain, self._resampler, self._setup = None, None, None
        self._next_s: float | None = None  # when the next block should begin, by the count of samples
        self._held = None  # a block whose time has not come
        self._ready = _NO_SOUND
        self._n_given = 0  # samples since time 0 that were handed out
        self._n_before = 0  # resampled samples that are still to be left out: before time 0, or heard already
        self._ended = False

    def until(self, time_s: float, origin_s: float) -> np.ndarray:
        """Return the samples (N,) since the last call up to a time; fewer where the sound has ended or comes late."""
        stop = round(time_s * self.rate_hz)
        while self._n_known < stop and not self._ended:
            block, self._held = self._held or self.reader.next_sound(), None
            if block is not None and not self._place(block, origin_s, stop):
                self._held = block
            elif block is not None:
                for plain in self._plain.resample(block):
                    self._add(self._resampler.take(plain.to_ndarray().mean(axis=0, dtype=np.float32)))
            elif self.reader.ended:
                self._drain()
                self._ended = True
            else:
                break
        samples = self._ready[: max(0, stop - self._n_given)]
        self._ready = self._ready[len(samples) :]
        self._n_given += len(samples)
        return samples

    def rest(self, origin_s: float | None) -> Iterator[np.ndarray]:
        """Yield what is left, about a second at a time; with None, time 0 is the first sample."""
        if origin_s is None:
            self._held = self.reader.next_sound()
            origin_s = self._held.time if self._held is not None else None
        while not self._ended:
            n_known = self._n_known
            yield self.until((self._n_given + self.rate_hz) / self.rate_hz, origin_s or 0.0)
            if self._n_known == n_known and not self.reader.ended:
                break
        yield self._ready
        self._ready = _NO_SOUND

    @property
    def _n_known(self) -> int:
        return self._n_given + len(self._ready)

    def _place(self, block, origin_s: float, stop: int) -> bool:
        """Make ready for a block: silence where the sound pauses. False if there is silence up to sample `stop`."""
        time_s = block.time - origin_s if block.time is not None else self._next_s or 0.0
        setup = (block.format.name, block.layout.name, block.sample_rate)
        if setup != self._setup or self._next_s is None or abs(time_s - self._next_s) > SLACK_S:
            self._drain()
            begins = round(time_s * self.rate_hz)
            self._ready = np.append(self._ready, np.zeros(max(0, min(begins, stop) - self._n_known), np.float32))
            if begins > stop:
                self._next_s = None
                return False
            self._n_before = self._n_known - begins
            self._plain = av.AudioResampler(format="fltp")  # numbers, at the rate they have
            self._resampler = Resampler(block.sample_rate, self.rate_hz)
            self._setup, self._next_s = setup, time_s
        self._next_s += block.samples / block.sample_rate
        block.pts = None  # gaps are filled here
        return True

    def _drain(self) -> None:
        """Take what the resampler still holds."""
        if self._resampler is not None:
            self._add(self._resampler.finish())
            self._resampler = None

    def _add(self, samples: np.ndarray) -> None:
        left_out = min(self._n_before, len(samples))
        self._n_before -= left_out
        self._ready = np.append(self._ready, samples[left_out:])
