"""Where a person's voice and face usually lie: from other recordings of theirs, or from what was there until now.

Networks with normalise: subject are given action units standardised by it; what they say of a voice is standardised by
what they say of the recordings of the reference (`Network.adapt_to_reference`).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mien.apps.models import Model
from mien.apps.units import fit_units
from mien.audio.resample import is_silent, level_of, to_int16, to_mono
from mien.augment.slicing import Interval
from mien.candide.fit import FITTED
from mien.errors import ConfigError, MediaError
from mien.faces.extract import open_pictures
from mien.faces.track import follow
from mien.io import isolated, media
from mien.models.mrpn import Network
from mien.training.clips import (
    ActionUnitSequence,
    ModalityData,
    Reference,
    Sampling,
    Spectrogram,
    Wave,
    assemble_inputs,
    transform_wave,
)

MOST = 100  # windows of a voice that a running reference remembers, and stretches of a recording


@dataclass(frozen=True, eq=False)
class VoiceRecording:
    """A recording of a person's voice, and what networks have said of it."""

    voice: Spectrogram
    said: dict[int, Tensor] = field(default_factory=dict)  # network -> (M, D)

    def rows(self, network: Network, sampling: Sampling) -> Tensor:
        """Return what a network says of its stretches (M, D), each as long as what it is given at once."""
        if id(network) not in self.said:
            whole, mel = Interval(0.0, self.voice.duration_s), sampling.sound.mel
            looks = [whole]
            if sampling.sound.front_end == "logmel":
                length_s, column_s = mel.columns * mel.hop / sampling.sound.rate_hz, mel.hop / sampling.sound.rate_hz
                voice_s = self.voice.spectrum.shape[1] * column_s
                n = min(max(1, round(voice_s / length_s)), MOST)
                edges = self.voice.start_s + np.linspace(0.0, voice_s, n + 1)
                looks = [Interval(start, stop) for start, stop in pairwise(edges)]
            inputs, n_steps = assemble_inputs(
                [(one, {"audio": self.voice}) for one in looks], ["audio"], sampling, size_px=0
            )
            device = next(network.parameters()).device
            with torch.no_grad():
                self.said[id(network)] = network.branches["audio"](
                    inputs["audio"].to(device), n_steps["audio"].to(device)
                )
        return self.said[id(network)]


@dataclass(frozen=True, eq=False)
class VoiceReference:
    """What was heard of a person."""

    recordings: tuple[VoiceRecording, ...]

    def rows(self, network: Network, sampling: Sampling) -> Tensor:
        """Return what a network says of the recordings, (M, D), for `Network.adapt_to_reference`."""
        return torch.cat([one.rows(network, sampling) for one in self.recordings])


@dataclass(frozen=True, eq=False)
class PersonReference:
    """Modality -> reference, from so many recordings of a person."""

    of: Mapping[str, Reference | VoiceReference]
    n_recordings: int

    def describe(self) -> str:
        """Say where it is from, as outputs have it."""
        return f"folder, {self.n_recordings} recording{'s' * (self.n_recordings != 1)}"


@dataclass
class RunningReference:
    """What windows have shown of one person until now, in one modality; overlaps count as often as they are shown.

    Of a voice, the newest `MOST` windows.
    """

    heard: deque[VoiceRecording] = field(default_factory=lambda: deque(maxlen=MOST))
    n: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.zeros(1))
    squares: np.ndarray = field(default_factory=lambda: np.zeros(1))  # sum of squared distances from the mean

    def add(self, one: ModalityData) -> Reference | VoiceReference:
        """Take what a window shows; return the reference of all until now, it included (Chan et al. 1979)."""
        if isinstance(one, Spectrogram):
            self.heard.append(VoiceRecording(one))
            return VoiceReference(tuple(self.heard))
        n, own = len(one.units), Reference.of([one])
        total, away = self.n + n, own.mean - self.mean
        self.squares = self.squares + own.deviation**2 * n + away**2 * self.n * n / total
        self.mean = self.mean + away * n / total
        self.n = total
        return Reference(self.mean, np.sqrt(self.squares / total))


def _join(name: str, ones: Sequence[ModalityData]) -> Reference | VoiceReference:
    return VoiceReference(tuple(map(VoiceRecording, ones))) if name == "audio" else Reference.of(ones)


def read_reference(recordings: Sequence[Path], models: Sequence[Model]) -> PersonReference:
    """Make the reference of a person from recordings, as far as the models use one.

    Parameters
    ----------
    recordings
        Films and sounds of one person, or folders of them at any depth.

    Raises
    ------
    ConfigError : no model was trained to use a reference.
    MediaError : none of the files has what they use.
    """
    using = [part for model in models for part in (model.parts or (model,)) if part.by_subject]
    wanted = {name for model in using for name in model.settings.modalities} - {"video"}
    place = recordings[0] if len(recordings) == 1 else f"{len(recordings)} files"
    if not wanted:
        raise ConfigError(
            f"--reference {place}: none of the models uses other recordings of a person; leave it out, or name one"
            " that was trained with normalise: subject (in Python, load_models(reference=True) prefers these)"
        )
    files, problems, _ = media.find_media(recordings)
    found: dict[str, list[ModalityData]] = {name: [] for name in wanted}
    n_used = 0
    for path in files:
        try:
            own = _read(path, using, wanted)
        except MediaError as error:
            problems.append(str(error))
            continue
        n_used += bool(own)
        for name, one in own.items():
            found[name].append(one)
    if lacking := sorted(name for name, ones in found.items() if not ones):
        what = " or ".join({"audio": "voice", "units": "face"}[name] for name in lacking)
        reason = f" ({problems[0]})" if problems else ""
        raise MediaError(f"{place}: --reference has no {what} in {len(files)} recordings{reason}; name another folder")
    return PersonReference({name: _join(name, ones) for name, ones in found.items()}, n_used)


def _read(path: Path, using: Sequence[Model], wanted: set[str]) -> dict[str, ModalityData]:
    """Return what a recording shows of the wanted modalities, as stages of the workflow make it."""
    found: dict[str, ModalityData] = {}
    is_still = isolated.is_still(path)
    facts = None if is_still else isolated.probe(path)
    if "audio" in wanted and facts is not None and facts.has_audio:
        sound = next(model.sound for model in using if "audio" in model.settings.modalities)
        wave = to_mono(*isolated.read_sound(path), sound.rate_hz)
        if not is_silent(level_of(wave)[0], sound.silence_dbfs):
            found["audio"] = transform_wave(Wave(to_int16(wave), len(wave) / sound.rate_hz), sound)
    if "units" in wanted and (is_still or facts.has_video):
        model = next(model for model in using if "units" in model.settings.modalities)
        track = follow(open_pictures(path, model.faces.rate_fps, reader=isolated), model.faces)
        units = fit_units(track, model.candide)
        if units is not None and (fitted := units.frames.verdict == FITTED).any():
            values = units.frames.units[fitted].astype(np.float32)
            found["units"] = ActionUnitSequence(values, units.time_s[fitted], float(track.time_s[-1]))
    return found
