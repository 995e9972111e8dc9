"""Cameras of browsers: a session per camera takes pictures and sound as they come, and answers each picture."""

import asyncio
import io
import math
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import av
import numpy as np
from PIL import Image, UnidentifiedImageError

from mien.predict.live import Live
from mien.predict.web.answers import moment_facts
from mien.predict.web.refusal import Refusal

MOST_SESSIONS = 2
IDLE_S = 20.0  # without a picture, after which a session ends
LONGEST_S = 900.0  # that a session lasts
MOST_RATE = 10.0  # pictures per second that are asked for
LEAST_S = 0.5 / MOST_RATE  # between two pictures: clocks of browsers jitter
MOST_JPEG = 2**20  # bytes of a picture
MOST_PIXELS = 1920 * 1080
MOST_SOUND_S = 5.0  # that comes with one picture
RATES_HZ = (8000, 192000)
SLACK_S = 0.5  # by which sound may be early or late before it is moved: microphones start late and pause
SAMPLE = np.dtype("<i2")


class Camera:
    """One session: a `Live` that is fed from a browser. Its calls may not overlap."""

    def __init__(self, live: Live, *, rate_hz: int, now: float) -> None:
        self.id = secrets.token_urlsafe(16)
        self.started = self.last_at = now
        self.busy = False
        self._live, self._rate_hz = live, rate_hz
        self._resampler: av.AudioResampler | None = None
        self._heard_hz = 0
        self._n_samples = 0  # handed to live
        self._time_s = -math.inf

    def look(self, time_s: float, jpeg: bytes, sound: bytes, sound_hz: int) -> dict[str, Any]:
        """Take a picture and the sound since the last one, and return what is seen and heard.

        Raises
        ------
        Refusal : the picture is not a JPEG of at most `MOST_PIXELS`, or not later than the one before it.
        """
        picture = _picture(jpeg)
        if not time_s > self._time_s:
            raise Refusal(422, f"the picture at {time_s:.3f} s came after the one at {self._time_s:.3f} s")
        self._time_s = time_s
        if sound:
            self._listen(time_s, np.frombuffer(sound, SAMPLE), sound_hz)
        return moment_facts(self._live.look(time_s, picture), self._live.classes)

    def _listen(self, time_s: float, samples: np.ndarray, sound_hz: int) -> None:
        """Hand sound over that ends about now; silence stands where some is missing."""
        if self._resampler is None or sound_hz != self._heard_hz:
            self._resampler = av.AudioResampler(format="fltp", layout="mono", rate=self._rate_hz)
            self._heard_hz = sound_hz
        block = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        block.rate = sound_hz
        wave = np.concatenate([np.zeros(0, np.float32), *(b.to_ndarray()[0] for b in self._resampler.resample(block))])
        late = round(time_s * self._rate_hz) - self._n_samples - len(wave)
        if late > SLACK_S * self._rate_hz:
            wave = np.concatenate([np.zeros(late, np.float32), wave])
        elif late < -SLACK_S * self._rate_hz:
            wave = wave[-late:]
        self._n_samples += len(wave)
        self._live.listen(wave)


class Cameras:
    """All sessions; used by the event loop alone, which lets threads look."""

    def __init__(
        self, live: Callable[[bool], Live], *, rate_hz: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """live : makes a new follower, with action units or without."""
        self._live, self._rate_hz, self._clock = live, rate_hz, clock
        self._cameras: dict[str, Camera] = {}
        self._threads = ThreadPoolExecutor(MOST_SESSIONS, "camera")

    def open(self, *, units: bool) -> Camera:
        """Begin a session.

        Raises
        ------
        Refusal : 503, as many as may are open.
        """
        self.sweep()
        if len(self._cameras) >= MOST_SESSIONS:
            raise Refusal(503, f"{MOST_SESSIONS} cameras are watched already; stop one", retry_s=int(IDLE_S))
        camera = Camera(self._live(units), rate_hz=self._rate_hz, now=self._clock())
        self._cameras[camera.id] = camera
        return camera

    async def look(self, camera_id: str, time_s: float, body: bytes, n_sound: int, sound_hz: int) -> dict[str, Any]:
        """Look at a body of `n_sound` bytes of sound (16 bit, mono) and a JPEG.

        Raises
        ------
        Refusal : 404 the session has ended; 429 too fast; 422 not what was agreed.
        """
        camera = self._get(camera_id)
        now = self._clock()
        if camera.busy or now - camera.last_at < LEAST_S:
            raise Refusal(429, f"at most {MOST_RATE:g} pictures per second are looked at, one at a time", retry_s=1)
        if not (math.isfinite(time_s) and 0 <= time_s <= 2 * LONGEST_S):
            raise Refusal(422, f"a picture has a time from the beginning of its session, not {time_s} s")
        most = min(len(body), MOST_SOUND_S * sound_hz * SAMPLE.itemsize)
        if not RATES_HZ[0] <= sound_hz <= RATES_HZ[1] or n_sound % SAMPLE.itemsize or not 0 <= n_sound <= most:
            what = f"samples of 16 bit at {RATES_HZ[0]} to {RATES_HZ[1]} Hz, {MOST_SOUND_S:g} s of them at most"
            raise Refusal(422, f"sound comes with a picture as {what}")
        camera.busy, camera.last_at = True, now
        try:
            work = (camera.look, time_s, body[n_sound:], body[:n_sound], sound_hz)
            return await asyncio.get_running_loop().run_in_executor(self._threads, *work)
        finally:
            camera.busy = False

    def end(self, camera_id: str) -> None:
        """End a session."""
        self._cameras.pop(camera_id, None)

    def sweep(self) -> None:
        """End the sessions that are silent or too long."""
        now = self._clock()
        for camera in list(self._cameras.values()):
            if now - camera.started > LONGEST_S or (now - camera.last_at > IDLE_S and not camera.busy):
                self.end(camera.id)

    def close(self) -> None:
        """End all of them."""
        self._cameras.clear()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _get(self, camera_id: str) -> Camera:
        self.sweep()
        if (camera := self._cameras.get(camera_id)) is None:
            raise Refusal(404, "this session has ended; start the camera again")
        return camera


def _picture(jpeg: bytes) -> np.ndarray:
    if len(jpeg) > MOST_JPEG:
        raise Refusal(413, f"a picture of a camera has at most {MOST_JPEG // 2**10} KiB")
    try:
        with Image.open(io.BytesIO(jpeg), formats=["JPEG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Refusal(422, f"the picture is {image.width}x{image.height}; send a smaller one")
            return np.asarray(image.convert("RGB"))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise Refusal(422, "the picture is not a JPEG that can be read") from error
