"""From a clip to class probabilities over time: decoded as the corpora were, and assembled as training assembles it."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.apps.models import SHOWN_BY
from mien.apps.units import FittedUnits, Shape, fit_units
from mien.audio.resample import is_silent, level_of, to_int16, to_mono
from mien.audio.spectrogram import spectrogram
from mien.augment.slicing import Interval
from mien.candide.fit import FITTED
from mien.config.schema import CandideConfig, FacesConfig, SoundConfig
from mien.errors import MediaError
from mien.faces.extract import describe_missing_frames, describe_truncation, open_pictures
from mien.faces.track import Track, follow
from mien.io import isolated
from mien.io.shards import FULL_SCALE
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network
from mien.training.clips import (
    ActionUnitSequence,
    Batch,
    FrameSequence,
    Sampling,
    Spectrogram,
    assemble_inputs,
    network_inputs,
)

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
    absent : why something is missing: "face", "voice" or "units" -> a few words.
    units : None before `with_units`, and without a frame that the mesh was fitted to.
    """

    path: Path
    faces: FacesConfig
    sound: SoundConfig
    track: Track | None
    wave: np.ndarray | None
    spectrum: Tensor | None
    absent: dict[str, str]
    units: FittedUnits | None = None

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that a network can use."""
        names = tuple(name for name, needed in SHOWN_BY.items() if needed not in self.absent)
        return names if self.units is not None else tuple(name for name in names if name != "units")

    def with_units(self, config: CandideConfig, *, shape: Shape | None = None) -> "Recording":
        """Return the recording with the action units of its frames, fitted as those of films in a corpus.

        shape : of the person; None: the median of the recording's own frames.
        """
        if "face" in self.absent:
            return self
        units = fit_units(self.track, config, shape=shape)
        if not units.n_fitted:
            return replace(self, absent=self.absent | {"units": "the mesh fits no frame"})
        return replace(self, units=units)

    def length_s(self, modality: str) -> float:
        """Return the length of one modality in s, as training counts it; 0 where there is none."""
        if modality == "audio":
            return len(self.wave) / self.sound.rate_hz if self.wave is not None else 0.0
        return float(self.track.time_s[-1]) + 1.0 / self.faces.rate_fps if self.track is not None else 0.0

    @property
    def duration_s(self) -> float:
        """Return the length of the longer modality in s."""
        return max(self.length_s("video"), self.length_s("audio"))

    def cut(self, modality: str, interval: Interval) -> FrameSequence | ActionUnitSequence | Spectrogram:
        """Return what a network may see of an interval: no frame of another one."""
        if modality == "audio":
            return Spectrogram(self.spectrum, self.length_s("audio"))
        if modality == "units":
            rows = self._fitted(interval)
            units = self.units.frames.units[rows].astype(np.float32)
            return ActionUnitSequence(units, self.units.time_s[rows], self.length_s("units"))
        rows = self.track.found & _is_inside(self.track.time_s, interval)
        return FrameSequence(self.track.frames[rows], self.track.time_s[rows], self.length_s("video"))

    def measure_face_share(self, interval: Interval) -> float:
        """Return the share of the frames with a face."""
        inside = self.track.found[_is_inside(self.track.time_s, interval)] if self.track is not None else np.array([])
        return float(inside.mean()) if inside.size else 0.0

    def has_units(self, interval: Interval) -> bool:
        """Tell whether the mesh was fitted to a frame."""
        return self.units is not None and bool(self._fitted(interval).any())

    def _fitted(self, interval: Interval) -> np.ndarray:
        return (self.units.frames.verdict == FITTED) & _is_inside(self.units.time_s, interval)

    def has_voice(self, interval: Interval) -> bool:
        """Tell whether the sound is not silent."""
        if self.spectrum is None:
            return False
        rate = self.sound.rate_hz
        wave = self.wave[round(interval.start_s * rate) : round(interval.stop_s * rate)]
        return not is_silent(level_of(wave / FULL_SCALE)[0], self.sound.silence_dbfs)


def _is_inside(time_s: np.ndarray, interval: Interval) -> np.ndarray:
    return (time_s >= interval.start_s - 1e-6) & (time_s < interval.stop_s - 1e-6)


def read_recording(path: Path, *, faces: FacesConfig, sound: SoundConfig) -> Recording:
    """Decode a video, a sound file or a picture.

    Pictures or sound that cannot be decoded at all are absent; a video that breaks off is an error.

    Raises
    ------
    MediaError : the file cannot be decoded to its end.
    """
    is_still = isolated.is_still(path)
    has_picture, has_sound = True, False
    if not is_still:
        facts = isolated.probe(path)
        has_picture, has_sound = facts.has_video, facts.has_audio
    if not has_picture and not has_sound:
        raise MediaError(f"{path}: has neither a picture nor a sound")
    absent = {"face": "" if has_picture else "there is no picture", "voice": "" if has_sound else "there is no sound"}
    track = wave = spectrum = None
    if has_picture:
        try:
            pictures = open_pictures(path, faces.rate_fps, reader=isolated)
            track = follow(pictures, faces)
        except MediaError as error:
            absent["face"] = str(error).removeprefix(f"{path}: ")
        else:
            if pictures.problem:
                raise MediaError(pictures.problem)
            if not track.found.any():
                absent["face"] = f"none in {len(track.found)} frame{'s' * (len(track.found) != 1)}"
    if has_sound:
        try:
            exact = to_mono(*isolated.read_sound(path), sound.rate_hz)
        except MediaError as error:
            absent["voice"] = str(error).removeprefix(f"{path}: ")
        else:
            wave = to_int16(exact)
            if is_silent(level_of(exact)[0], sound.silence_dbfs):
                absent["voice"] = "the sound is silent"
            else:
                spectrum = spectrogram(torch.from_numpy(wave.astype(np.float32) / FULL_SCALE), sound)
    if track is None and wave is None:
        tried = [absent[name] for name, there in (("face", has_picture), ("voice", has_sound)) if there]
        raise MediaError(f"{path}: {'; '.join(tried)}")
    absent = {name: reason for name, reason in absent.items() if reason}
    recording = Recording(path, faces, sound, track, wave, spectrum, absent)
    if not is_still and (damage := describe_truncation(path, recording.duration_s)):
        raise MediaError(damage)
    if not is_still and track is not None and (remark := describe_missing_frames(path, recording.length_s("video"))):
        log.warning("%s", remark)
    return recording


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
    faces = [recording.measure_face_share(interval) for interval in intervals]
    voices = [recording.has_voice(interval) for interval in intervals]
    present = []
    for interval, face, voice in zip(intervals, faces, voices, strict=True):
        there = {"video": face > 0, "audio": voice, "units": recording.has_units(interval)}
        present.append(tuple(name for name in used if there[name]))
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
    sampling = Sampling.of(settings.augmentation, frames=settings.frames, share=1.0, sound=recording.sound)
    clips = [(interval, {name: recording.cut(name, interval) for name in names}) for interval, names in windows]
    inputs, n_steps = assemble_inputs(clips, settings.modalities, sampling, size_px=recording.faces.size_px)
    batch = Batch(inputs, n_steps, torch.full((len(windows),), -1)).to(next(model.parameters()).device)
    scores = model(network_inputs(batch), batch.n_steps)["fused"].float()
    return scores.softmax(dim=1).double().cpu().numpy()
