"""One engine for every command: people of a film are followed, and each window of time of each is judged by itself.

Pictures and sound are given in the order of time, as fast as they come; rows come back as windows end. A window of
`window_s` begins every `hop_s`; it is judged from its own pictures and its own sound alone, cut and normalised as
training does with a clip of that length, so nothing that comes before or after it changes it.

* Pictures are looked at `faces.rate_fps` times a second, each time at the one that is shown then. Faces are followed
  within a shot; a cut starts everybody anew. The region of a face is the square around the median of its boxes in the
  window, as in training; where the face walks away from there, the square goes with it. A network of single pictures
  sees each face once, in the square around its box, and says the mean over the window.
* The sound is that of the window without silence at its ends, down to the length of a segment.
* The voice belongs to the main face of the window, which is the most prominent; the others are judged by their faces
  alone. Without a face it belongs to person 0.
* What is kept of the past is one window, and the first `ONE_PASS_S` seconds of what may be a bare utterance: a film
  that is no longer and shows one person at most is judged as a whole in one pass, as in the evaluation of training.
  The verdict of all others is the mean over the windows of their main people.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import cv2
import numpy as np
import pandas as pd
import torch

from mien.apps.models import SHOWN_BY, Model, choose_model, join
from mien.apps.reference import PersonReference, RunningReference, VoiceReference
from mien.apps.units import Shape, StreamingUnits, fit_units
from mien.audio.resample import is_silent, to_int16
from mien.audio.spectrogram import segment_s
from mien.augment.slicing import Interval
from mien.candide.fit import FITTED
from mien.config.schema import CandideConfig, FacesConfig, SoundConfig
from mien.errors import ModelError
from mien.faces.track import KEPT_BYTES, Face, FaceTracker, Track, WholePicture, cut_region, region_around
from mien.io.film import CUT_SIZE, CutDetector
from mien.io.shards import FULL_SCALE
from mien.training.clips import (
    ActionUnitSequence,
    Batch,
    FrameSequence,
    ModalityData,
    Reference,
    Sampling,
    Wave,
    assemble_inputs,
    network_inputs,
    transform_wave,
)

ONE_PASS_S = 6.0  # films up to this length, those of the corpora, are judged in one pass, as in evaluation
FORGET_S = 1.0  # a face that was lost for so long is somebody new
LIVE_HOLD_S = 1.0  # a picture of a camera is taken to be shown for no longer
LEAST_REST_S = 0.1  # at the end of a film that is worth a window of its own
MOVED = 0.15  # sides of the region by which a face may be beside its middle before the region goes with it
SMOOTH_S = 0.2  # before and after a look, over which the way of a region is averaged: detectors are off by some px
PICTURES = 128  # that a network of single pictures is shown at once
PATCH = 3.0  # side of what is kept around a face of a large picture, in sides of its box
BLOCK_S = 0.1  # in which sound is silent or not
CUT_ROWS = 90  # of a picture, which cuts are looked for in: enough, and all would be the costliest part of a look
TOLERANCE_S = 1e-6  # by which times may differ that are meant to be equal
DIGITS = 9  # of times from the beginning of a window: the same wherever in a film it lies


@dataclass(frozen=True, eq=False)
class Row:
    """One person in one window.

    Attributes
    ----------
    person : 1, 2, ...; 0: a voice without a face, or nobody.
    face_share : share of the pictures of the window in which the face was found.
    voice_share : share of the window in which the sound is not silent.
    used : what the probabilities rest on, of "face" and "voice".
    probabilities : (C,), NaN where nothing could be judged.
    main : the voice, if there is one, is counted as this person's.
    """

    person: int
    start_s: float
    end_s: float
    face_share: float
    voice_share: float
    used: tuple[str, ...]
    probabilities: np.ndarray
    main: bool

    @property
    def judged(self) -> bool:
        """Tell whether there was something to judge by."""
        return bool(np.isfinite(self.probabilities).all())

    @property
    def confidence(self) -> float:
        """Return the largest probability, NaN where nothing was judged."""
        return float(self.probabilities.max())


def table(rows: Iterable[Row], classes: Sequence[str], *, file: str = "") -> pd.DataFrame:
    """Return rows as a table; an empty label and NaN where nothing could be judged.

    Columns: file, person, start_s, end_s, label, p_<class>, face_share, voice_share, confidence, used.
    """
    columns = ["file", "person", "start_s", "end_s", "label", *(f"p_{name}" for name in classes)]
    columns += ["face_share", "voice_share", "confidence", "used"]
    cells = [
        (
            *(file, row.person, round(row.start_s, 3), round(row.end_s, 3)),
            classes[int(row.probabilities.argmax())] if row.judged else "",
            *row.probabilities,
            *(row.face_share, row.voice_share, row.confidence, "+".join(row.used)),
        )
        for row in rows
    ]
    return pd.DataFrame(cells, columns=columns)


@dataclass(frozen=True, eq=False)
class Clip:
    """A stretch of a film with one person at most, as training has a clip; what it lacks is None.

    Attributes
    ----------
    track : of all pictures of the stretch, times from its beginning; None without a face. Its frames are empty where
        all networks that look are of single pictures.
    faces_seen : of these pictures, those with the face.
    wave : (N,) int16 at sound.rate_hz.
    seen, heard : the stretches that networks look at and listen to.
    """

    faces: FacesConfig
    sound: SoundConfig
    track: Track | None
    faces_seen: "Sequence[_Seen]"
    wave: np.ndarray | None
    seen: Interval
    heard: Interval
    candide: CandideConfig | None = None  # None: no network asks for action units
    shape: Shape | None = None
    # modality -> where the person's own data lie
    references: Mapping[str, Reference | VoiceReference] = field(default_factory=dict)

    @cached_property
    def modalities(self) -> dict[str, ModalityData]:
        """Return modality -> what a network may see or hear of it; only those that are there."""
        found: dict[str, ModalityData] = {}
        if self.track is not None:
            here, length_s = self.track.found, self.seen.stop_s
            found["video"] = FrameSequence(self.track.frames[here], self.track.time_s[here], length_s)
        if self.wave is not None:
            found["audio"] = transform_wave(Wave(self.wave, len(self.wave) / self.sound.rate_hz), self.sound)
        if self.track is not None and self.candide is not None:
            units = fit_units(self.track, self.candide, shape=self.shape)
            fitted = units.frames.verdict == FITTED
            if fitted.any():
                values = units.frames.units[fitted].astype(np.float32)
                found["units"] = ActionUnitSequence(values, units.time_s[fitted], self.seen.stop_s)
        return found


@torch.no_grad()
def judge(model: Model, clips: Sequence[Clip]) -> np.ndarray:
    """Return the probabilities (B, C) that a model gives B clips, each with something that it uses."""
    if model.parts:
        return join(model.parts, [judge(part, clips) for part in model.parts])
    if model.settings.kind == "extractor":
        return model.to_names(_judge_frames(model, clips))
    card, first = model.settings, clips[0]
    sampling = Sampling.of(card.augmentation, frames=card.frames, share=1.0, sound=first.sound)
    inputs, n_steps = {}, {}
    for name in card.modalities:
        looks = []
        for clip in clips:
            there = {name: clip.modalities[name]} if name in clip.modalities else {}
            if model.by_subject and isinstance(reference := clip.references.get(name), Reference) and there:
                there = {name: reference.standardise(there[name])}
            looks.append((clip.heard if name == "audio" else clip.seen, there))
        one, steps = assemble_inputs(looks, [name], sampling, size_px=first.faces.size_px)
        inputs |= one
        n_steps |= steps
    batch = Batch(inputs, n_steps, torch.full((len(clips),), -1)).to(next(model.network.parameters()).device)
    references = [_rows_of(clip, sampling) for clip in clips] if model.by_subject else []
    told = {"references": references} if any(references) else {}
    scores = model.network(network_inputs(batch), batch.n_steps, **told)["fused"].double()
    return model.to_names(scores.softmax(dim=1).cpu().numpy())


def _rows_of(clip: Clip, sampling: Sampling) -> dict[str, Callable[[torch.nn.Module], torch.Tensor]]:
    """Return, of a clip with a voice, what networks say of the recordings of its reference."""
    reference = clip.references.get("audio")
    if not isinstance(reference, VoiceReference) or clip.wave is None:
        return {}
    return {"audio": partial(reference.rows, sampling=sampling)}


def _judge_frames(model: Model, clips: Sequence[Clip]) -> np.ndarray:
    """Return the means (B, C) over the pictures of each clip of what a network of single pictures says of them."""
    new = list(dict.fromkeys(seen for clip in clips for seen in clip.faces_seen if model.network not in seen.said))
    for start in range(0, len(new), PICTURES):
        part = new[start : start + PICTURES]
        squares = np.stack([cv2.cvtColor(seen.cut(clips[0].faces), cv2.COLOR_RGB2GRAY) for seen in part])
        pictures = torch.from_numpy(squares).unsqueeze(1).float().to(next(model.network.parameters()).device)
        said = model.network({"video": pictures})["fused"].double().softmax(1).cpu().numpy()
        for seen, one in zip(part, said, strict=True):
            seen.said[model.network] = one
    return np.stack([np.mean([seen.said[model.network] for seen in clip.faces_seen], axis=0) for clip in clips])


def common(models: Sequence[Model], name: str):
    """Return what all models agree on: settings.classes; faces, of those that look, or sound, of those that listen.

    Raises
    ------
    ModelError : they do not.
    """
    shown = {"faces": "face", "sound": "voice"}.get(name)
    models = [model for model in models if shown is None or shown in model.shows] or models[:1]
    values = [getattr(model.settings if name == "classes" else model, name) for model in models]
    for model, value in zip(models, values, strict=True):
        if value != values[0]:
            raise ModelError(
                f"{model.path}: was trained with {name} {value}, {models[0].path} with {values[0]}; name models of one"
                " training with --checkpoint"
            )
    return values[0]


@dataclass(frozen=True, eq=False)
class JudgedFace(Face):
    """A person in the newest picture in which faces were looked for."""

    probabilities: np.ndarray | None  # (C,) of its newest window; None before
    units: np.ndarray | None  # (8,) in the order of AU_NAMES; None where not fitted


@dataclass(frozen=True, eq=False)
class Moment:
    """A picture and what is known when it is shown."""

    time_s: float
    picture: np.ndarray  # (H, W, 3) uint8 RGB
    faces: tuple[JudgedFace, ...]  # main face first
    heard: bool  # the newest second of sound is not silent
    voice: np.ndarray | None  # (C,) of the newest window, where it is judged by the voice alone
    probabilities: np.ndarray | None  # (C,) the verdict on the main face, or on the voice where there is none
    basis: tuple[str, ...]  # of that verdict: "face", "voice"


@dataclass(frozen=True, eq=False)
class _Seen:
    """A face in a picture, and as much of the picture as a region may need."""

    face: Face
    pixels: np.ndarray
    origin: tuple[int, int]  # of the pixels in the picture: x, y
    said: dict[torch.nn.Module, np.ndarray] = field(default_factory=dict)  # (C,) of networks of single pictures

    def cut(self, faces: FacesConfig, region: np.ndarray | None = None) -> np.ndarray:
        """Return a region (3,) of the picture as (S, S, 3); None: that around the box."""
        region = region_around(self.face.box[np.newaxis], margin=faces.margin) if region is None else region
        return cut_region(self.pixels, region - [*self.origin, 0], size_px=faces.size_px)


@dataclass(frozen=True, eq=False)
class _Look:
    time_s: float
    seen: dict[int, _Seen]  # person -> where it was found


@dataclass(eq=False)
class _Person:
    """What is known of somebody from beginning to end, where it is asked for."""

    looks: list[int] = field(default_factory=list)
    faces: list[Face] = field(default_factory=list)
    units: StreamingUnits | None = None


class Engine:
    """Judges one film; give it the sound up to a picture before the picture.

    Parameters
    ----------
    models
        Networks for whole clips; of each window the one that fits best what is there judges it.
    forget_s
        A face that was lost for so long is somebody new.
    hold_s
        How long a picture is taken to be shown: of a film until the next one, of a camera that may stop for less.
    candide
        How the mesh is fitted for `moment`; None: no action units there.
    shape
        Of the face of the person, where it is known; None: the middle of each window.
    tracks
        Keep where every person was in every picture, see `track_of`.
    batch
        Windows that are judged at once: 1 to have each as soon as it ends, more where nobody waits for them.
    cropped
        Every picture is a face and nothing else: none is looked for, the whole picture is the region.
    reference
        Of the person, from other recordings, for models that use one; None: what was seen and heard until then.

    Attributes
    ----------
    classes : names in the order of all probabilities.
    verdict : (C,) of the whole, NaN if there was nothing to judge; verdict_model, verdict_used : who judged by what
        (of modalities). After `finish`.
    """

    def __init__(
        self,
        models: Sequence[Model],
        *,
        window_s: float,
        hop_s: float,
        forget_s: float = FORGET_S,
        hold_s: float = math.inf,
        candide: CandideConfig | None = None,
        shape: Shape | None = None,
        tracks: bool = False,
        batch: int = 1,
        cropped: bool = False,
        reference: PersonReference | None = None,
    ) -> None:
        self.models = list(models)
        self.classes: tuple[str, ...] = common(models, "classes")
        faces: FacesConfig = common(models, "faces")
        self.faces = replace(faces, margin=1.0) if cropped else faces
        self.sound: SoundConfig = common(models, "sound")
        self.window_s, self.hop_s, self.forget_s, self.hold_s = window_s, hop_s, forget_s, hold_s
        self._candide, self._shape, self._tracks, self._batch = candide, shape, tracks, batch
        self._fitted = next((model.candide for model in models if model.candide is not None), None)
        self._has_pictures = True  # until it is said that no more will come
        # Pictures.
        self._cropped, self._given = cropped, reference
        parts = [part for model in models for part in (model.parts or (model,))]
        self._by_subject = any(part.by_subject for part in parts)
        self._films = any("face" in part.shows and part.settings.kind != "extractor" for part in parts)
        self._running: dict[tuple[int, str], RunningReference] = {}  # of a person and modality
        self._tracker = self._begin_shot()
        self._before = 0  # people of earlier shots
        self._highest = 0
        self._held: tuple[float, np.ndarray] | None = None  # the picture that is shown now
        self._next_look = 0
        self._looked_at, self._n_same = None, 0  # the newest picture that was looked at, how often again
        self._looks: deque[_Look] = deque()
        self._here: list[Face] = []  # in the newest look
        self._people: dict[int, _Person] = {}
        self._look_s: list[float] = []  # of all looks, where tracks are kept
        self._cuts, self._cut = CutDetector(), False  # before the next look
        self.n_looks = self.n_found = 0  # looks, and those with a face
        # Sound.
        self._wave = np.zeros(0, dtype=np.int16)
        self._wave_start = 0  # number of its first sample
        self.peak = 0.0  # of all sound, share of full scale
        # Windows.
        self._next_window = 0
        self._queue: list[tuple[Row, Model | None, Clip | None]] = []
        self._newest: list[Row] = []  # of the newest window that is judged
        self._early = 0  # windows that are too short to count, of which the newest is shown
        self._sum, self._n_summed = np.zeros(len(self.classes)), 0
        self._n_judged: dict[int, int] = {}  # number of a model -> main rows that it judged
        self.verdict, self.verdict_model = np.full(len(self.classes), np.nan), None
        self.verdict_used: tuple[str, ...] = ()

    # ---- what is given ----

    def add_sound(self, samples: np.ndarray) -> list[Row]:
        """Take the next samples (N,) float32, mono at sound.rate_hz, the first at time 0; return the rows that end."""
        if len(samples):
            self.peak = max(self.peak, float(np.abs(samples).max()))
            self._wave = np.concatenate([self._wave, to_int16(samples)])
        return [] if self._has_pictures else self._close_until(self.heard_s)

    def add_picture(self, time_s: float, picture: np.ndarray, cut: bool | None = None) -> list[Row]:
        """Take the next picture; return the rows that end.

        Parameters
        ----------
        time_s
            From the first picture.
        picture
            (H, W, 3) uint8 RGB.
        cut
            Whether a shot has begun since the picture before it; None: find out.
        """
        self._look_until(time_s - TOLERANCE_S)
        if cut is None:
            rows = picture[:: max(1, len(picture) // CUT_ROWS)]
            small = cv2.resize(rows, CUT_SIZE, interpolation=cv2.INTER_AREA)
            cut = self._cuts.is_cut(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        self._cut |= cut
        self._held = time_s, picture
        self._look_until(time_s + TOLERANCE_S)
        return self._close_until(time_s)

    def add(self, time_s: float, picture: np.ndarray | None, samples: np.ndarray, cut: bool | None = None) -> list[Row]:
        """Take a picture, and the sound since the one before it; None: sound after the last picture."""
        rows = self.end_pictures() if picture is None and self._has_pictures else []
        rows += self.add_sound(samples)
        return rows + (self.add_picture(time_s, picture, cut) if picture is not None else [])

    def end_pictures(self) -> list[Row]:
        """Say that there are no more pictures, and what follows is sound."""
        self._has_pictures = False
        return self._close_until(self.heard_s)

    def finish(self) -> list[Row]:
        """Say that the film is over; return the rest of the rows. `verdict` is known then."""
        rows, duration_s = self._close_until(self.duration_s), self.duration_s
        is_short = duration_s < self.window_s - TOLERANCE_S
        whole = self._judge_whole() if duration_s <= ONE_PASS_S + TOLERANCE_S and self._highest <= 1 else None
        closed_s = (self._next_window - 1) * self.hop_s + self.window_s if self._next_window else 0.0
        if duration_s - closed_s > (0.0 if is_short else LEAST_REST_S):
            self._close(max(0.0, duration_s - self.window_s), duration_s)
        rows += self._flush()
        if self._n_summed:
            self.verdict = self._sum / self._n_summed
            self.verdict_model = self.models[max(self._n_judged, key=self._n_judged.get)]
            self.verdict_used = tuple(name for name in self.verdict_model.settings.modalities if name in self._ever)
        if whole is not None:
            self.verdict_model, self.verdict_used, self.verdict = whole
            if is_short and len(rows) == 1 and self.verdict_used:
                used = tuple(dict.fromkeys(SHOWN_BY[name] for name in self.verdict_used))
                rows = [Row(**vars(rows[0]) | {"probabilities": self.verdict, "used": used})]
        return rows

    # ---- what is known ----

    @property
    def heard_s(self) -> float:
        """Return up to when there is sound, in s."""
        return (self._wave_start + len(self._wave)) / self.sound.rate_hz

    @property
    def duration_s(self) -> float:
        """Return the length by now, in s: that of the longer of pictures and sound."""
        return max(self._next_look / self.faces.rate_fps, self.heard_s)

    @property
    def reference(self) -> str:
        """Return which reference of the person is used: none, running, or folder, N recordings."""
        if not self._by_subject:
            return "none"
        return self._given.describe() if self._given is not None else "running"

    @property
    def n_people(self) -> int:
        """Return how many people were seen; who was lost, or seen again after a cut, counts anew."""
        return self._highest

    @property
    def is_silent(self) -> bool:
        """Tell whether no sound until now was loud enough for a voice."""
        return is_silent(self.peak, self.sound.silence_dbfs)

    def moment(self, time_s: float, picture: np.ndarray) -> Moment:
        """Return what is known when a picture is shown: it was the last to be added.

        The verdict is that of the newest window; in the first `window_s`, of what there is of the first window.
        """
        if not self._next_window and int(time_s / self.hop_s + TOLERANCE_S) > self._early:
            self._early = int(time_s / self.hop_s + TOLERANCE_S)
            queue, self._queue = self._queue, []
            self._close(0.0, self._early * self.hop_s, counts=False)
            self._newest = self._flush(counts=False)
            self._queue = queue
        rows = {row.person: row for row in self._newest if row.judged}
        main = next((row for row in self._newest if row.main), None)
        here = sorted(self._here, key=lambda face: main is None or face.person != main.person)
        faces = []
        for face in here:
            units = self._people[face.person].units if self._candide is not None and face.found else None
            told = rows[face.person].probabilities if face.person in rows else None
            faces.append(JudgedFace(**vars(face), probabilities=told, units=units.newest if units else None))
        shown = rows.get(here[0].person if here else 0)
        last_second = self._samples(Interval(max(0.0, time_s - 1.0), time_s))
        return Moment(
            time_s,
            picture,
            tuple(faces),
            heard=self._is_heard(last_second),
            voice=shown.probabilities if shown is not None and shown.used == ("voice",) else None,
            probabilities=shown.probabilities if shown is not None else None,
            basis=shown.used if shown is not None else (),
        )

    @property
    def people(self) -> list[int]:
        """Return the numbers of the people whose tracks were kept, the one who was seen most often first."""
        return sorted(self._people, key=lambda person: (-sum(f.found for f in self._people[person].faces), person))

    def track_of(self, person: int) -> Track:
        """Return where a person was in all pictures that were looked at; `frames` is empty."""
        kept = self._people[person]
        rows = [k for k, face in zip(kept.looks, kept.faces, strict=True) if face.found]
        found = [face for face in kept.faces if face.found]
        n = len(self._look_s)
        landmarks, boxes = np.full((n, 68, 2), np.nan, np.float32), np.full((n, 3), np.nan)
        score, is_found = np.full(n, np.nan), np.zeros(n, bool)
        landmarks[rows], boxes[rows] = [face.landmarks for face in found], [face.box for face in found]
        score[rows], is_found[rows] = [face.score for face in found], True
        region = region_around(boxes, margin=self.faces.margin)
        empty = np.zeros((n, 0, 0, 3), np.uint8)
        return Track(empty, landmarks, boxes, region, np.array(self._look_s), score, is_found)

    # ---- pictures ----

    def _look_until(self, time_s: float) -> None:
        """Look at the picture that is shown as often as it is due by then."""
        while self._held is not None and (look_s := self._next_look / self.faces.rate_fps) <= time_s:
            if look_s > self._held[0] + self.hold_s:  # nobody knows what there was to see since
                self._next_look = int(np.ceil((time_s - TOLERANCE_S) * self.faces.rate_fps))
                self._here = []
                return
            self._next_look += 1
            self._look(look_s, self._held[1])

    def _look(self, time_s: float, picture: np.ndarray) -> None:
        if self._cut:
            self._cut, self._before = False, self._highest
            self._tracker = self._begin_shot()
        self._n_same = self._n_same + 1 if picture is self._looked_at else 0
        self._looked_at = picture
        if self._n_same <= self.faces.detect_every:  # a picture that stays has been searched as a whole by then
            faces = self._tracker.update(time_s, picture)
            self._here = [Face(**vars(face) | {"person": self._before + face.person}) for face in faces]
            self._highest = max([self._highest, *(face.person for face in self._here)])
        found = [face for face in self._here if face.found]
        self._looks.append(_Look(time_s, {face.person: self._keep(picture, face) for face in found}))
        self.n_looks += 1
        self.n_found += bool(found)
        if self._tracks:
            self._look_s.append(time_s)
        if self._tracks or self._candide is not None:
            for face in self._here:
                kept = self._people.setdefault(face.person, _Person())
                if self._tracks:
                    kept.looks.append(len(self._look_s) - 1)
                    kept.faces.append(face)
                if self._candide is not None and face.found:
                    kept.units = kept.units or StreamingUnits(self._candide)
                    kept.units.fit(face.landmarks)
            if not self._tracks:
                here = {face.person for face in self._here}
                self._people = {person: kept for person, kept in self._people.items() if person in here}

    def _begin_shot(self) -> FaceTracker | WholePicture:
        """Return a tracker of people who are all new; landmarks are found where somebody wants them."""
        wanted = self._tracks or self._candide is not None or self._fitted is not None
        if self._cropped:
            return WholePicture(landmarks=wanted)
        return FaceTracker(self.faces, forget_s=self.forget_s, landmarks=wanted)

    def _keep(self, picture: np.ndarray, face: Face) -> _Seen:
        """Keep a picture as a whole where memory allows it, else what is around the face."""
        if picture.nbytes * self.faces.rate_fps * max(ONE_PASS_S, self.window_s) <= KEPT_BYTES:
            return _Seen(face, picture, (0, 0))
        centre, half = face.box[:2] + face.box[2] / 2, PATCH * face.box[2] / 2
        left, top = np.maximum(centre - half, 0).astype(int)
        right, bottom = np.ceil(centre + half).astype(int)
        return _Seen(face, picture[top:bottom, left:right].copy(), (int(left), int(top)))

    def _track(self, person: int, looks: Sequence[_Look], start_s: float) -> Track:
        """Return the track of a person who is found in one of the looks; the region goes with a face that walks."""
        n, size = len(looks), self.faces.size_px if self._films else 0
        frames, landmarks = np.zeros((n, size, size, 3), np.uint8), np.full((n, 68, 2), np.nan, np.float32)
        boxes, score = np.full((n, 3), np.nan), np.full(n, np.nan)
        found = np.array([person in look.seen for look in looks])
        for k in np.flatnonzero(found):
            face = looks[k].seen[person].face
            boxes[k], landmarks[k], score[k] = face.box, face.landmarks, face.score
        times = np.array([look.time_s - start_s for look in looks]).round(DIGITS)
        region = region_around(boxes, margin=self.faces.margin)
        if self._films:
            for k, own in zip(np.flatnonzero(found), _along(boxes[found], times[found], region), strict=True):
                frames[k] = looks[k].seen[person].cut(self.faces, own)
        return Track(frames, landmarks, boxes, region, times, score, found)

    # ---- windows ----

    def _samples(self, interval: Interval) -> np.ndarray:
        """Return the samples (N,) int16 of a stretch, as far as they are there and kept."""
        start, stop = (round(time_s * self.sound.rate_hz) - self._wave_start for time_s in vars(interval).values())
        return self._wave[max(0, start) : max(0, stop)]

    def _is_heard(self, wave: np.ndarray) -> bool:
        peak = max(int(wave.max()), -int(wave.min())) if len(wave) else 0
        return not is_silent(peak / FULL_SCALE, self.sound.silence_dbfs)

    def _without_silence(self, wave: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return a wave without silence at its ends, at least as long as a segment; and which blocks are heard."""
        size = round(BLOCK_S * self.sound.rate_hz)
        heard = np.array([self._is_heard(wave[k : k + size]) for k in range(0, len(wave), size)], dtype=bool)
        if not heard.any():
            return wave[:0], heard
        first, last = np.flatnonzero(heard)[[0, -1]]
        start, stop = int(first) * size, min(len(wave), (int(last) + 1) * size)
        missing = max(0, round(segment_s(self.sound) * self.sound.rate_hz) - (stop - start))
        stop = min(len(wave), stop + missing)
        start = max(0, min(start, stop - round(segment_s(self.sound) * self.sound.rate_hz)))
        return wave[start:stop], heard

    def _close_until(self, time_s: float) -> list[Row]:
        """Judge the windows that end by then."""
        while (stop_s := self._next_window * self.hop_s + self.window_s) <= time_s + TOLERANCE_S:
            self._close(self._next_window * self.hop_s, stop_s)
            self._next_window += 1
        rows = self._flush() if len(self._queue) >= self._batch else []
        if time_s > ONE_PASS_S + TOLERANCE_S:  # longer than a bare utterance: the past is not needed any more
            since_s = (self._next_window - 1) * self.hop_s  # a last window may begin before the next one would
            while self._looks and self._looks[0].time_s < since_s - TOLERANCE_S:
                self._looks.popleft()
            spent = max(0, min(round(since_s * self.sound.rate_hz) - self._wave_start, len(self._wave)))
            if spent > self.sound.rate_hz:
                self._wave, self._wave_start = self._wave[spent:].copy(), self._wave_start + spent
        return rows

    def _close(self, start_s: float, stop_s: float, *, counts: bool = True) -> None:
        """Put the people of a window into the queue."""
        looks = [look for look in self._looks if start_s - TOLERANCE_S <= look.time_s < stop_s - TOLERANCE_S]
        wave, heard = self._without_silence(self._samples(Interval(start_s, stop_s)))
        n_blocks = max(len(heard), round((stop_s - start_s) / BLOCK_S), 1)
        people = sorted({person for look in looks for person in look.seen})
        main = max(people, key=lambda person: _prominence(person, looks), default=0)
        seen = Interval(0.0, round(stop_s - start_s, DIGITS))
        for person in people or [0]:
            own = wave if person == main and len(wave) else None
            clip = Clip(
                self.faces,
                self.sound,
                self._track(person, looks, start_s) if person else None,
                [look.seen[person] for look in looks if person in look.seen],
                own,
                seen,
                Interval(0.0, len(wave) / self.sound.rate_hz),
                self._fitted,
                self._shape,
            )
            clip = self._refer(clip, person if counts else None)
            there = tuple(clip.modalities)
            model = choose_model(self.models, there) if there else None
            used = tuple(name for name in model.settings.modalities if name in there) if model else ()
            row = Row(
                person,
                *(start_s, stop_s),
                face_share=sum(person in look.seen for look in looks) / max(1, len(looks)),
                voice_share=float(heard.sum() / n_blocks),
                used=tuple(dict.fromkeys(SHOWN_BY[name] for name in SHOWN_BY if name in used)),
                probabilities=np.full(len(self.classes), np.nan),
                main=person == main,
            )
            self._queue.append((row, model if used else None, clip if used else None))

    def _refer(self, clip: Clip, person: int | None) -> Clip:
        """Return a clip with the references that models ask for; None: it is all that there is of a person."""
        if not self._by_subject:
            return clip
        found = dict(self._given.of) if self._given is not None else {}
        for name in clip.modalities.keys() - found.keys() - {"video"}:
            one = clip.modalities[name]
            running = self._running.get((person, name), RunningReference())
            found[name] = running.add(one)
            if person is not None:
                self._running[person, name] = running
        return replace(clip, references=found)

    def _flush(self, *, counts: bool = True) -> list[Row]:
        """Judge what is in the queue."""
        queue, self._queue = self._queue, []
        for number, model in enumerate(self.models):
            chosen = [(row, clip) for row, one, clip in queue if one is model]
            if chosen:
                for (row, _), found in zip(chosen, judge(model, [clip for _, clip in chosen]), strict=True):
                    row.probabilities[:] = found
                    if counts and row.main:
                        self._sum += found
                        self._n_summed += 1
                        self._n_judged[number] = self._n_judged.get(number, 0) + 1
        rows = [row for row, _, _ in queue]
        if rows and counts:
            self._newest = [row for row in rows if row.end_s == rows[-1].end_s]
        return rows

    @property
    def _ever(self) -> set[str]:
        """Return the modalities that were there at some time."""
        there = {"video"} if self.n_found else set()
        there |= {"units"} if self.n_found and self._fitted is not None else set()
        return there | (set() if self.is_silent else {"audio"})

    def _judge_whole(self) -> tuple[Model, tuple[str, ...], np.ndarray] | None:
        """Judge the film in one pass, as evaluation does with a clip; None if there is nothing to judge by."""
        person, wave = self._highest, None if self.is_silent else self._wave
        track = self._track(person, self._looks, 0.0) if person else None
        lengths = {"video": self._next_look / self.faces.rate_fps, "audio": self.heard_s}
        lengths["units"] = lengths["video"]
        whole = Interval(0.0, lengths["video"])
        faces = [look.seen[person] for look in self._looks if person in look.seen]
        clip = Clip(self.faces, self.sound, track, faces, wave, whole, whole, self._fitted, self._shape)
        if not clip.modalities:
            return None
        model = choose_model(self.models, tuple(clip.modalities))
        used = tuple(name for name in model.settings.modalities if name in clip.modalities)
        if not used:
            return model, (), self.verdict
        seen = heard = Interval(0.0, max(lengths[name] for name in used))
        if model.parts:  # each of them knows of nothing else
            seen, heard = Interval(0.0, lengths["video"]), Interval(0.0, lengths["audio"])
        clip = replace(clip, seen=seen, heard=heard)
        return model, used, judge(model, [self._refer(clip, None)])[0]


def _along(boxes: np.ndarray, time_s: np.ndarray, region: np.ndarray) -> np.ndarray:
    """Return the region (N, 3) of each of N boxes (N, 3): one for all, or along the way of a face that walks.

    The way is the mean over as many looks before as after each, within `SMOOTH_S`: no offset where a face walks evenly.
    """
    centres, way = boxes[:, :2] + boxes[:, 2:] / 2, np.empty((len(boxes), 2))
    for k, now_s in enumerate(time_s):
        first, last = np.searchsorted(time_s, [now_s - SMOOTH_S - TOLERANCE_S, now_s + SMOOTH_S + TOLERANCE_S])
        reach = min(k - first, last - 1 - k)
        way[k] = centres[k - reach : k + reach + 1].mean(axis=0)
    regions = np.tile(region, (len(boxes), 1))
    if np.abs(way - region[:2] - region[2] / 2).max() > MOVED * region[2]:
        regions[:, :2] = np.floor(way - region[2] / 2 + 0.5)
    return regions


def _prominence(person: int, looks: Iterable[_Look]) -> float:
    """Weigh size, certainty and the number of pictures: who is filmed is large and clear, bystanders small."""
    faces = [look.seen[person].face for look in looks if person in look.seen]
    scores = [max(face.score, 0.0) for face in faces if np.isfinite(face.score)]
    return sum(face.box[2] for face in faces) * (float(np.mean(scores)) if scores else 0.0)


def warm_up(models: Sequence[Model], *, window_s: float, hop_s: float) -> None:
    """Do once what takes longer the first time, before a clock runs: libraries, landmarks, networks."""
    from mien.faces.detect import Box, locate

    locate(np.zeros((64, 64), np.uint8), Box(8.0, 8.0, 48.0, score=0.0))
    engine = Engine(models, window_s=window_s, hop_s=hop_s)
    engine.add_picture(0.0, np.zeros((64, 64, 3), np.uint8))
    engine.add_sound(np.sin(np.arange(engine.sound.rate_hz, dtype=np.float32)))
    engine.finish()
