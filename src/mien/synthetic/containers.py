"""Containers that synthetic corpora need and `io.media` does not write: RAVDESS's wav, copied video packets."""

import struct
from pathlib import Path

import numpy as np

from mien.io.media import LFS_POINTER, QUICK_SOUND

FILLER = 4044  # bytes; with it the samples start at byte 4096, as in the real files


def write_filled_wav(path: Path, wave: np.ndarray, rate_hz: int) -> None:
    """Write samples (N,) or (channels, N) in -1..1 as 16-bit wav with a FLLR chunk between format and samples.

    A reader that expects a header of 44 bytes takes the filler for sound.
    """
    samples = np.atleast_2d(wave)
    data = (samples.T.clip(-1.0, 1.0) * 32767).round().astype("<i2").tobytes()
    channels = len(samples)
    layout = struct.pack("<HHIIHH", 1, channels, rate_hz, 2 * channels * rate_hz, 2 * channels, 16)
    chunks = [(b"fmt ", layout), (b"FLLR", bytes(FILLER)), (b"data", data)]
    body = b"WAVE" + b"".join(name + struct.pack("<I", len(content)) + content for name, content in chunks)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)


def copy_video(source: Path, target: Path, *, wave: np.ndarray | None = None, rate_hz: int = 48000) -> None:
    """Copy the video packets of `source` to `target` without its sound, or with the mono `wave` (N,) as AAC instead."""
    import av

    options = {"fflags": "+bitexact"}
    with av.open(str(source)) as opened, av.open(str(target), "w", options=options) as container:
        read = opened.streams.video[0]
        written = container.add_stream_from_template(read)
        how = {"rate": rate_hz, "layout": "mono", "options": QUICK_SOUND}
        sound = container.add_stream("aac", **how) if wave is not None else None
        for packet in opened.demux(read):
            if packet.dts is not None:
                packet.stream = written
                container.mux(packet)
        if sound is not None:
            frame = av.AudioFrame.from_ndarray(np.float32(wave)[None], format="fltp", layout="mono")
            frame.rate = rate_hz
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))


def write_pointer(path: Path, digest: str, size: int) -> None:
    """Put a git-lfs pointer where a medium should be, as a clone without git-lfs does."""
    path.write_bytes(LFS_POINTER + b"v1\noid sha256:%s\nsize %d\n" % (digest.encode(), size))
