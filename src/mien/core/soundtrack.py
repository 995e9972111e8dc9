"""The sound of one film put under another: packets as they are where the container takes them, else AAC."""

from collections.abc import Iterator
from fractions import Fraction

from mien.core.errors import MediaError

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
