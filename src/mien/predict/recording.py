"""A clip of yours as the networks see it: its face followed, its voice resampled, the way the corpora were."""

import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.core import media
from mien.core.config import FacesConfig, SoundConfig
from mien.core.errors import MediaError
from mien.core.shards import FULL_SCALE
from mien.faces.pictures import lacking, open_pictures, shortfall
from mien.faces.track import Track, follow
from mien.sound.resample import is_silent, level_of, to_int16, to_mono
from mien.sound.spectrogram import spectrogram

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A clip after decoding; what it lacks is None. `absent` says why: face or voice -> a few words."""

    path: Path
    duration_s: float
    faces: FacesConfig
    sound: SoundConfig
    track: Track | None  # also when no frame has a face
    wave: np.ndarray | None  # (N,) int16 at sound.rate_hz, as the shards store it; also when silent
    spectrum: Tensor | None  # (F, K) of the wave; None when silent
    absent: dict[str, str] = field(default_factory=dict)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that a network can use."""
        return tuple(name for name, lacking in (("video", "face"), ("audio", "voice")) if lacking not in self.absent)

    def length_s(self, modality: str) -> float:
        """Return the length of one modality in s, as the training counts it."""
        if modality == "video":
            return float(self.track.time_s[-1]) + 1.0 / self.faces.rate_fps
        return len(self.wave) / self.sound.rate_hz


def read_recording(path: Path, *, faces: FacesConfig, sound: SoundConfig) -> Recording:
    """Decode a video, a sound file or a picture.

    Raises
    ------
    MediaError : the file cannot be decoded to its end.
    """
    has_picture, has_sound = _contents(path)
    absent: dict[str, str] = {}
    track = _follow(path, faces, absent) if has_picture else None
    if not has_picture:
        absent["face"] = "there is no picture"
    wave, spectrum = _listen(path, sound, absent) if has_sound else (None, None)
    if not has_sound:
        absent["voice"] = "there is no sound"
    ends = [float(track.time_s[-1]) + 1.0 / faces.rate_fps] if track is not None else []
    ends += [len(wave) / sound.rate_hz] if wave is not None else []
    if not ends:
        tried = [absent[name] for name, there in (("face", has_picture), ("voice", has_sound)) if there]
        raise MediaError(f"{path}: {'; '.join(tried)}")
    if not _is_still(path) and (damage := shortfall(path, max(ends))):
        raise MediaError(damage)
    if track is not None and not _is_still(path) and (remark := lacking(path, ends[0])):
        log.warning("%s", remark)
    return Recording(path, max(ends), faces, sound, track, wave, spectrum, absent)


def _is_still(path: Path) -> bool:
    return path.suffix.lower() in media.IMAGE_SUFFIXES


def _contents(path: Path) -> tuple[bool, bool]:
    """Return (has a picture, has a sound)."""
    if _is_still(path):
        return True, False
    facts = media.probe(path)
    has_picture = facts.has_video and path.suffix.lower() not in media.SOUND_SUFFIXES  # there it is a cover
    if not has_picture and not facts.has_audio:
        raise MediaError(f"{path}: has neither a picture nor a sound")
    return has_picture, facts.has_audio


def _follow(path: Path, faces: FacesConfig, absent: dict[str, str]) -> Track | None:
    """Track the face; pictures that cannot be decoded at all are absent, a film that breaks off is an error."""
    try:
        pictures = open_pictures(path, faces.rate_fps)
        track = follow(pictures, faces)
    except MediaError as error:
        absent["face"] = _reason(path, error)
        return None
    if pictures.problem:
        raise MediaError(pictures.problem)
    if not track.found.any():
        absent["face"] = f"none in {len(track.found)} frame{'s' * (len(track.found) != 1)}"
    return track


def _listen(path: Path, sound: SoundConfig, absent: dict[str, str]) -> tuple[np.ndarray | None, Tensor | None]:
    """Return the wave (N,) int16 and its spectrogram; a sound that cannot be decoded is absent."""
    try:
        exact = to_mono(*media.read_sound(path), sound.rate_hz)
    except MediaError as error:
        absent["voice"] = _reason(path, error)
        return None, None
    wave = to_int16(exact)
    if is_silent(level_of(exact)[0], sound.silence_dbfs):
        absent["voice"] = "the sound is silent"
        return wave, None
    return wave, spectrogram(torch.from_numpy(wave.astype(np.float32) / FULL_SCALE), sound)


def _reason(path: Path, error: MediaError) -> str:
    return str(error).removeprefix(f"{path}: ")
