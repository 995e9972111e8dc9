"""From a clip to class probabilities over time: decoded as the corpora were, and assembled as training assembles it."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.audio.resample import is_silent, level_of, to_int16, to_mono
from mien.audio.spectrogram import segment_s, spectrogram
from mien.augment.slicing import Interval, apart_s
from mien.config.schema import FacesConfig, SoundConfig
from mien.errors import MediaError
from mien.faces.extract import describe_missing_frames, describe_truncation, open_pictures
from mien.faces.track import Track, follow
from mien.io import media
from mien.io.shards import FULL_SCALE
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network
from mien.training.clips import Batch, FrameSequence, Sampling, Spectrogram, assemble_inputs, network_inputs

log = logging.getLogger(__name__)

ONE_PASS_S = 6.0  # clips up to this length, those of the corpora, are predicted in one pass, as in evaluation
BATCH = 16  # windows


@dataclass(frozen=True)
class Recording:
    """A clip after decoding; what it lacks is None.

    Attributes
    ----------
    track : also where no frame has a face.
    wave : (N,) int16 at sound.rate_hz, as shards store it; also where it is silent.
    spectrum : (F, K) of the wave; None where it is silent.
    absent : why something is missing: "face" or "voice" -> a few words.
    """

    path: Path
    duration_s: float
    faces: FacesConfig
    sound: SoundConfig
    track: Track | None
    wave: np.ndarray | None
    spectrum: Tensor | None
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that a network can use."""
        return tuple(name for name, needed in (("video", "face"), ("audio", "voice")) if needed not in self.absent)

    def length_s(self, modality: str) -> float:
        """Return the length of one modality in s, as training counts it."""
        if modality == "video":
            return float(self.track.time_s[-1]) + 1.0 / self.faces.rate_fps
        return len(self.wave) / self.sound.rate_hz


def read_recording(path: Path, *, faces: FacesConfig, sound: SoundConfig) -> Recording:
    """Decode a video, a sound file or a picture.

    Raises
    ------
    MediaError : the file cannot be decoded to its end.
    """
    is_still = path.suffix.lower() in media.IMAGE_SUFFIXES
    has_picture, has_sound = (True, False) if is_still else _probe_streams(path)
    absent: dict[str, str] = {}
    track = _track_face(path, faces, absent) if has_picture else None
    if not has_picture:
        absent["face"] = "there is no picture"
    wave, spectrum = _read_voice(path, sound, absent) if has_sound else (None, None)
    if not has_sound:
        absent["voice"] = "there is no sound"
    if track is None and wave is None:
        tried = [absent[name] for name, there in (("face", has_picture), ("voice", has_sound)) if there]
        raise MediaError(f"{path}: {'; '.join(tried)}")
    recording = Recording(path, 0.0, faces, sound, track, wave, spectrum, absent)
    ends_s = {"video": track, "audio": wave}
    ends_s = {name: recording.length_s(name) for name, there in ends_s.items() if there is not None}
    if not is_still and (damage := describe_truncation(path, max(ends_s.values()))):
        raise MediaError(damage)
    if not is_still and track is not None and (remark := describe_missing_frames(path, ends_s["video"])):
        log.warning("%s", remark)
    return Recording(path, max(ends_s.values()), faces, sound, track, wave, spectrum, absent)


def _probe_streams(path: Path) -> tuple[bool, bool]:
    """Return (has a picture, has a sound)."""
    facts = media.probe(path)
    has_picture = facts.has_video and path.suffix.lower() not in media.SOUND_SUFFIXES  # there it is a cover
    if not has_picture and not facts.has_audio:
        raise MediaError(f"{path}: has neither a picture nor a sound")
    return has_picture, facts.has_audio


def _track_face(path: Path, faces: FacesConfig, absent: dict[str, str]) -> Track | None:
    """Track the face; pictures that cannot be decoded at all are absent, a video that breaks off is an error."""
    try:
        pictures = open_pictures(path, faces.rate_fps)
        track = follow(pictures, faces)
    except MediaError as error:
        absent["face"] = str(error).removeprefix(f"{path}: ")
        return None
    if pictures.problem:
        raise MediaError(pictures.problem)
    if not track.found.any():
        absent["face"] = f"none in {len(track.found)} frame{'s' * (len(track.found) != 1)}"
    return track


def _read_voice(path: Path, sound: SoundConfig, absent: dict[str, str]) -> tuple[np.ndarray | None, Tensor | None]:
    """Return the wave (N,) int16 and its spectrogram; a sound that cannot be decoded is absent."""
    try:
        exact = to_mono(*media.read_sound(path), sound.rate_hz)
    except MediaError as error:
        absent["voice"] = str(error).removeprefix(f"{path}: ")
        return None, None
    wave = to_int16(exact)
    if is_silent(level_of(exact)[0], sound.silence_dbfs):
        absent["voice"] = "the sound is silent"
        return wave, None
    return wave, spectrogram(torch.from_numpy(wave.astype(np.float32) / FULL_SCALE), sound)


@dataclass(frozen=True)
class Window:
    """A stretch of the clip and what the network makes of it."""

    interval: Interval
    face: float  # share of the frames with a face
    voice: bool  # the sound is not silent
    probabilities: np.ndarray  # (C,), NaN where there is no input


@dataclass(frozen=True)
class Prediction:
    """The windows of a clip, and the probabilities (C,) of the whole; NaN where there is no input."""

    windows: list[Window]
    probabilities: np.ndarray
    used: tuple[str, ...]  # modalities that they rest on


def predict_windows(
    recording: Recording, model: Network, settings: ModelCard, *, window_s: float, hop_s: float
) -> Prediction:
    """Predict windows of `window_s` every `hop_s`, and the clip as a whole.

    The whole is one pass, sampled as in the evaluation of training, or for clips beyond 6 s the mean of the windows'
    probabilities: one pass would sample too few frames of a long clip.
    """
    used = tuple(name for name in settings.modalities if name in recording.modalities)
    intervals = cut_windows(recording.duration_s, window_s=window_s, hop_s=hop_s)
    faces = [_measure_face_share(recording, interval) for interval in intervals]
    voices = [_has_voice(recording, interval) for interval in intervals]
    present = [
        tuple(name for name in used if (face > 0 if name == "video" else voice))
        for face, voice in zip(faces, voices, strict=True)
    ]
    probabilities = np.full((len(intervals), len(settings.classes)), np.nan)
    known = [k for k, names in enumerate(present) if names]
    for start in range(0, len(known), BATCH):
        chosen = known[start : start + BATCH]
        inputs = [(intervals[k], present[k]) for k in chosen]
        probabilities[chosen] = _run_network(recording, model, settings, inputs)
    if recording.duration_s <= ONE_PASS_S and used:
        whole = Interval(0.0, max(recording.length_s(name) for name in used))
        overall = _run_network(recording, model, settings, [(whole, used)])[0]
    else:
        overall = probabilities[known].mean(axis=0) if known else probabilities[0]
    windows = [Window(*row) for row in zip(intervals, faces, voices, probabilities, strict=True)]
    return Prediction(windows, overall, used)


def cut_windows(duration_s: float, *, window_s: float, hop_s: float) -> list[Interval]:
    """Return windows every `hop_s` that cover the clip; the last one ends with it. A short clip is one window."""
    room_s = duration_s - window_s
    if room_s <= 0:
        return [Interval(0.0, duration_s)]
    n_hops = int(np.ceil(room_s / hop_s - 1e-6))
    starts = [min(k * hop_s, room_s) for k in range(n_hops + 1)]
    return [Interval(start, start + window_s) for start in starts]


@torch.no_grad()
def _run_network(
    recording: Recording, model: Network, settings: ModelCard, windows: list[tuple[Interval, tuple[str, ...]]]
) -> np.ndarray:
    """Return probabilities (B, C) of B windows: (interval, modalities that are present)."""
    sampling = Sampling(
        frames=settings.frames,
        segments=settings.segments,
        apart_s=apart_s(settings.augmentation, segment_s(recording.sound)),
        share=1.0,
        sliced=False,
        sound=recording.sound,
    )
    clips = [(interval, {name: _cut_out(recording, name, interval) for name in names}) for interval, names in windows]
    inputs, present = assemble_inputs(clips, settings.modalities, sampling, size_px=recording.faces.size_px)
    batch = Batch(inputs, present, torch.full((len(windows),), -1)).to(next(model.parameters()).device)
    scores = model(network_inputs(batch), batch.present)["fused"].float()
    return scores.softmax(dim=1).double().cpu().numpy()


def _cut_out(recording: Recording, modality: str, interval: Interval) -> FrameSequence | Spectrogram:
    """Return what a network may see of an interval: no frame of another one."""
    if modality == "audio":
        return Spectrogram(recording.spectrum, recording.length_s("audio"))
    track = recording.track
    rows = track.found & _is_inside(track.time_s, interval)
    return FrameSequence(track.frames[rows], track.time_s[rows], recording.length_s("video"))


def _is_inside(time_s: np.ndarray, interval: Interval) -> np.ndarray:
    return (time_s >= interval.start_s - 1e-6) & (time_s < interval.stop_s - 1e-6)


def _measure_face_share(recording: Recording, interval: Interval) -> float:
    if recording.track is None:
        return 0.0
    inside = _is_inside(recording.track.time_s, interval)
    return float(recording.track.found[inside].mean()) if inside.any() else 0.0


def _has_voice(recording: Recording, interval: Interval) -> bool:
    if recording.spectrum is None:
        return False
    rate = recording.sound.rate_hz
    wave = recording.wave[round(interval.start_s * rate) : round(interval.stop_s * rate)]
    return not is_silent(level_of(wave / FULL_SCALE)[0], recording.sound.silence_dbfs)
