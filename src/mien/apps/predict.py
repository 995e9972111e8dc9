"""Command ``predict``: emotion of clips of your own.

Writes below --out, per clip: <stem>.csv, a row per window (start_s, end_s, share of frames with a face, voice, label,
probability of every class; the last ones empty where nothing can be said), and <stem>.json, the same with the verdict
on the clip, the model that was used and what the clip lacks. Prints one line per clip.

With --units, a clip with a face also gets <stem>.units.csv, a row per frame: time_s, what became of the fit (verdict),
eight action units, the head pose (yaw_deg, pitch_deg, roll_deg; positive to the subject's left, up, and tilted to the
subject's left) and the root mean square distance of the landmarks from the mesh (residual, model units). The JSON holds
the same under "units", with the shape of the person; it is null for a clip without a face.

With --video, the film of a clip is written too, with every picture annotated and the sound kept. The timeline and the
verdict are those of the networks of chapter 5, which judge a window as a whole; the film shows the networks that run
along (`mien watch`), which know only what has passed.

A clip of yours as the networks see it: its face followed, its voice resampled, the way the corpora were.

From a recording and a network to probabilities over time and to a verdict on the clip.

The files and the line that say what was predicted.
"""

import csv
import logging
import math
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.apps.models import Model
from mien.audio.resample import is_silent, level_of, to_int16, to_mono
from mien.audio.spectrogram import cut_segments, segment_s, segment_shape, spectrogram
from mien.augment.slicing import Interval, apart_s, frame_times, nearest_frames, segment_starts
from mien.config import schema
from mien.config.schema import FacesConfig, SoundConfig
from mien.errors import ConfigError, MediaError, MienError, ModelError
from mien.faces.extract import lacking, open_pictures, shortfall
from mien.faces.track import Track, follow
from mien.io import media
from mien.io.files import atomic_file, write_json
from mien.io.shards import FULL_SCALE
from mien.models.checkpoint import Settings
from mien.models.mrpn import Network, normalise_pixels

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


WHOLE_S = 6.0  # clips up to this length, those of the corpora, are judged in one pass, as the evaluation does
BATCH = 16  # windows


@dataclass(frozen=True)
class Window:
    """A stretch of the clip and what the network makes of it."""

    interval: Interval
    face: float  # share of the frames with a face
    voice: bool  # the sound is not silent
    probabilities: np.ndarray  # (C,), NaN where the network has nothing to go by


@dataclass(frozen=True)
class Judgement:
    """The timeline of a clip and the verdict on the whole, (C,); NaN where there is nothing to go by."""

    windows: list[Window]
    verdict: np.ndarray
    used: tuple[str, ...]  # modalities that the verdict rests on


def judge(recording: Recording, model: Network, settings: Settings, *, window_s: float, hop_s: float) -> Judgement:
    """Judge windows of `window_s` every `hop_s`, and the clip as a whole.

    The verdict is one pass over the whole clip, sampled as in the evaluation of the training, or for clips beyond 6 s
    the mean of the windows' probabilities: one pass would look at too few frames of a long clip.
    """
    used = tuple(name for name in settings.modalities if name in recording.modalities)
    intervals = windows_of(recording.duration_s, window_s=window_s, hop_s=hop_s)
    windows = _judge_windows(recording, model, settings, used, intervals)
    if recording.duration_s <= WHOLE_S and used:
        whole = Interval(0.0, max(recording.length_s(name) for name in used))
        verdict = _probabilities(recording, model, settings, [(whole, used)])[0]
    else:
        rows = np.array([window.probabilities for window in windows])
        known = ~np.isnan(rows[:, 0])
        verdict = rows[known].mean(axis=0) if known.any() else rows[0]
    return Judgement(windows, verdict, used)


def windows_of(duration_s: float, *, window_s: float, hop_s: float) -> list[Interval]:
    """Return windows every `hop_s` that cover the clip; the last one ends with it. A short clip is one window."""
    room_s = duration_s - window_s
    if room_s <= 0:
        return [Interval(0.0, duration_s)]
    n_hops = int(np.ceil(room_s / hop_s - 1e-6))
    starts = [min(k * hop_s, room_s) for k in range(n_hops + 1)]
    return [Interval(start, start + window_s) for start in starts]


def _judge_windows(
    recording: Recording, model: Network, settings: Settings, used: tuple[str, ...], intervals: list[Interval]
) -> list[Window]:
    faces = [_face_share(recording, interval) for interval in intervals]
    voices = [_has_voice(recording, interval) for interval in intervals]
    at_hand = [
        tuple(name for name in used if (face > 0 if name == "video" else voice))
        for face, voice in zip(faces, voices, strict=True)
    ]
    probabilities = np.full((len(intervals), len(settings.classes)), np.nan)
    judged = [k for k, names in enumerate(at_hand) if names]
    for start in range(0, len(judged), BATCH):
        chosen = judged[start : start + BATCH]
        looks = [(intervals[k], at_hand[k]) for k in chosen]
        probabilities[chosen] = _probabilities(recording, model, settings, looks)
    return [Window(*row) for row in zip(intervals, faces, voices, probabilities, strict=True)]


@torch.no_grad()
def _probabilities(
    recording: Recording, model: Network, settings: Settings, looks: list[tuple[Interval, tuple[str, ...]]]
) -> np.ndarray:
    """Return (B, C) of B looks (interval, modalities that are there)."""
    device = next(model.parameters()).device
    inputs, present = {}, {}
    for name in settings.modalities:
        look = _look_at if name == "video" else _listen_to
        blank = torch.zeros(_shape(settings, recording, name))
        rows = [look(recording, settings, interval) if name in names else blank for interval, names in looks]
        inputs[name] = torch.stack(rows).to(device)
        present[name] = torch.tensor([name in names for _, names in looks], device=device)
    scores = model(inputs, present)["fused"].float()
    return scores.softmax(dim=1).double().cpu().numpy()


def _look_at(recording: Recording, settings: Settings, interval: Interval) -> torch.Tensor:
    """Return frames (T, 3, S, S) with a face, spread evenly over the interval."""
    track = recording.track
    inside = track.found & _inside(track.time_s, interval)
    chosen = nearest_frames(track.time_s[inside], frame_times(interval, settings.frames))
    pixels = torch.from_numpy(track.frames[inside][chosen])  # (T, S, S, 3)
    return normalise_pixels(pixels.permute(0, 3, 1, 2).float())


def _listen_to(recording: Recording, settings: Settings, interval: Interval) -> torch.Tensor:
    """Return segments (S, 1, F, W), spread evenly over the interval."""
    length_s = segment_s(recording.sound)
    apart = apart_s(settings.augmentation, length_s)
    starts = segment_starts(interval, settings.segments, length_s=length_s, apart_s=apart)
    return cut_segments(recording.spectrum, starts, recording.sound, stop_s=interval.stop_s)


def _shape(settings: Settings, recording: Recording, name: str) -> tuple[int, ...]:
    if name == "video":
        return (settings.frames, 3, recording.faces.size_px, recording.faces.size_px)
    return (settings.segments, 1, *segment_shape(recording.sound))


def _inside(time_s: np.ndarray, interval: Interval) -> np.ndarray:
    return (time_s >= interval.start_s - 1e-6) & (time_s < interval.stop_s - 1e-6)


def _face_share(recording: Recording, interval: Interval) -> float:
    if recording.track is None:
        return 0.0
    inside = _inside(recording.track.time_s, interval)
    return float(recording.track.found[inside].mean()) if inside.any() else 0.0


def _has_voice(recording: Recording, interval: Interval) -> bool:
    if recording.spectrum is None:
        return False
    rate = recording.sound.rate_hz
    wave = recording.wave[round(interval.start_s * rate) : round(interval.stop_s * rate)]
    return not is_silent(level_of(wave / FULL_SCALE)[0], recording.sound.silence_dbfs)


LACKING = {"video": "face", "audio": "voice"}  # modality -> what a clip without it lacks


def write_prediction(
    folder: Path,
    stem: str,
    recording: Recording,
    judgement: Judgement,
    model: Model,
    *,
    further: Mapping[str, Any] | None = None,
) -> None:
    """Write <stem>.csv, the timeline, and <stem>.json, everything and `further`, each whole or not at all."""
    classes = model.settings.classes
    timeline = [_window(window, classes) for window in judgement.windows]
    with atomic_file(folder / f"{stem}.csv") as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["start_s", "end_s", "face", "voice", "label", *classes])
        for window in timeline:
            values = window["probabilities"] or dict.fromkeys(classes, "")
            plain = [window[key] for key in ("start_s", "end_s", "face", "voice")]
            rows.writerow([*plain, window["label"] or "", *values.values()])
    label, probabilities = _named(judgement.verdict, classes)
    summary = {
        "clip": str(recording.path),
        "duration_s": round(recording.duration_s, 3),
        "model": str(model.path),
        "variant": model.settings.variant,
        "corpus": model.settings.corpus,
        "classes": list(classes),
        "missing": sorted(recording.absent),
        "reasons": recording.absent,
        "verdict": {"label": label, "probabilities": probabilities},
        "timeline": timeline,
    }
    write_json(folder / f"{stem}.json", summary | dict(further or {}))


def line_of(recording: Recording, judgement: Judgement, model: Model) -> str:
    """Say in one line: clip, verdict, the three best probabilities, and what the verdict lacks."""
    label, _ = _named(judgement.verdict, model.settings.classes)
    best = np.argsort(-judgement.verdict, kind="stable")[:3]
    shares = ", ".join(f"{model.settings.classes[k]} {judgement.verdict[k]:.0%}" for k in best)
    head = f"{recording.path.name}: " + (f"{label} ({shares})" if label else "no verdict")
    remarks = _remarks(recording, judgement, model)
    return f"{head}; {remarks}" if remarks else head


def _remarks(recording: Recording, judgement: Judgement, model: Model) -> str:
    absent, variant = recording.absent, model.settings.variant
    if len(absent) == len(LACKING):
        return f"neither a face ({absent['face']}) nor a voice ({absent['voice']})"
    remarks = [f"no {name} ({reason})" for name, reason in absent.items()]
    if not judgement.used:
        return f"{'; '.join(remarks)}, and {variant} needs a {LACKING[model.settings.modalities[0]]}"
    remarks += [
        f"{variant} does not use the {LACKING[name]}"
        for name in recording.modalities
        if name not in model.settings.modalities
    ]
    basis = " and ".join(LACKING[name] for name in judgement.used)
    return f"{'; '.join(remarks)}: judged by the {basis} alone" if remarks else ""


def _window(window: Any, classes: tuple[str, ...]) -> dict[str, Any]:
    label, probabilities = _named(window.probabilities, classes)
    return {
        "start_s": round(window.interval.start_s, 3),
        "end_s": round(window.interval.stop_s, 3),
        "face": round(window.face, 3),
        "voice": window.voice,
        "label": label,
        "probabilities": probabilities,
    }


def _named(values: np.ndarray, classes: tuple[str, ...]) -> tuple[str | None, dict[str, float] | None]:
    """Return (label, class -> probability); None where the values are NaN: JSON has no NaN."""
    if math.isnan(values[0]):
        return None, None
    return classes[int(values.argmax())], {name: round(float(p), 4) for name, p in zip(classes, values, strict=True)}


SUFFIXES = media.VIDEO_SUFFIXES | media.SOUND_SUFFIXES | media.IMAGE_SUFFIXES


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "clips", type=Path, nargs="+", metavar="CLIP", help="video, sound file, picture, or a folder of them"
    )
    parser.add_argument("--out", type=Path, default=Path("results/predictions"), help="folder for the predictions")
    parser.add_argument(
        "--checkpoint", type=Path, nargs="+", default=[], metavar="FILE", help="model.safetensors to use"
    )
    parser.add_argument("--results", type=Path, default=Path("results"), help="where training left its models")
    parser.add_argument("--units", action="store_true", help="add action units and head pose of every frame")
    parser.add_argument(
        "--neutral", type=Path, metavar="PICTURE", help="the person's neutral face from the front, for --units"
    )
    parser.add_argument(
        "--video",
        type=Path,
        metavar="OUT",
        help="write the annotated film with its sound: a file (.mp4, .mov, .mkv) for one clip, a folder for several."
        " It shows the networks that run along, as mien watch does; verdict and windows are of those of chapter 5",
    )
    parser.add_argument(
        "--video-checkpoint", type=Path, nargs="+", default=[], metavar="FILE", help="running networks for --video"
    )


def run(args) -> None:
    """Predict every clip; those that cannot be read are reported and the rest goes on."""
    import torch

    from mien.apps.models import load_models

    params = schema.load(args.config)
    settings = schema.section(schema.PredictConfig, params, "predict")
    if args.neutral and not args.units:
        raise ConfigError(f"--neutral {args.neutral} tells the shape of the face for --units: add --units")
    if args.video_checkpoint and not args.video:
        raise ConfigError(f"--video-checkpoint {args.video_checkpoint[0]} is for the film: add --video OUT")
    torch.set_num_threads(max(1, args.jobs))
    if args.out.exists() and not args.out.is_dir():
        raise ConfigError(f"{args.out}: --out should be a folder, and this is a file")
    clips, failures = expand(args.clips)
    if not clips:
        _report(failures)
    stems = distinct_stems(clips)
    films = _films(args, params, clips, stems) if args.video else None
    models = load_models(args.checkpoint or _trained(args, settings))
    fitting = _fitting(params, args.neutral, models[0].faces) if args.units else None
    for path, stem in zip(clips, stems, strict=True):
        try:
            line = _predict_one(path, stem, models, settings, args.out, fitting)
        except MediaError as error:
            failures.append(error)
            continue
        try:
            print(f"{line}; {films(path)}" if films else line, flush=True)
        except MediaError as error:
            print(f"{line}; no film", flush=True)
            failures.append(error)
    _report(failures)


def _trained(args, settings: schema.PredictConfig) -> list[Path]:
    """Return the networks of chapter 5; where there are none, say what writes the film without them."""
    from mien.apps.models import trained_files

    try:
        return trained_files(args.results, settings)
    except ModelError as error:
        if not args.video:
            raise
        raise ModelError(
            f"{error}. Timeline and verdict need them; a film alone does not: mien watch CLIP --out FILM, with"
            " running networks as --checkpoint"
        ) from error


def expand(paths: list[Path]) -> tuple[list[Path], list[MienError]]:
    """Return the files that `paths` name, a folder's media in the order of their names, and what cannot be used."""
    clips, failures = {}, []
    for path in paths:
        if not path.exists():
            failures.append(MediaError(f"{path}: no such file"))
            continue
        if not path.is_dir():
            clips.setdefault(path.resolve(), path)
            continue
        inside = sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES)
        if not inside:
            failures.append(ConfigError(f"{path}: the folder holds no video, sound file or picture"))
        for file in inside:
            clips.setdefault(file.resolve(), file)
    return list(clips.values()), failures


def distinct_stems(clips: list[Path]) -> list[str]:
    """Return a file name without suffix for each clip; equal stems get the clip's suffix, then a number.

    A stem that ends in ".units" is taken by the action units of the clip whose stem stands before it.
    """
    folded = Counter(clip.stem.casefold() for clip in clips)  # some file systems do not tell A from a
    taken: set[str] = set()
    stems = []
    for clip in clips:
        wanted = clip.stem if folded[clip.stem.casefold()] == 1 else clip.name
        stem, n = wanted, 1
        while not taken.isdisjoint(_occupied(stem)):
            n += 1
            stem = f"{wanted}-{n}"
        taken |= _occupied(stem)
        stems.append(stem)
    return stems


def _occupied(stem: str) -> set[str]:
    return {stem.casefold(), f"{stem.casefold()}.units"}


def _report(failures: list[MienError]) -> None:
    """Print all failures but the last, which is raised: the command line prints it and exits with 2."""
    for error in failures[:-1]:
        print(f"mien predict: {error}", file=sys.stderr)
    if failures:
        raise failures[-1]


def _fitting(params: dict, neutral: Path | None, faces: schema.FacesConfig):
    """Return how the mesh is fitted, with the shape of the person in the picture `neutral`."""
    from mien.apps.units import Fitting, neutral_shape

    candide = schema.section(schema.CandideConfig, params, "candide")
    return Fitting(candide, neutral and neutral_shape(neutral, faces=faces, config=candide))


def _films(args, params: dict, clips: list[Path], stems: list[str]) -> Callable[[Path], str]:
    """Return a function that writes the film of a clip and says so; everything that it needs is checked before."""
    from mien.apps.models import load_live, trained_live
    from mien.apps.watch import film_paths, why_no_film, write_film

    alone = len(args.clips) == 1 and not args.clips[0].is_dir()
    target = dict(zip(clips, film_paths(clips, stems, args.video, alone=alone), strict=True))
    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide") if args.units else None
    corpus = schema.section(schema.StreamingConfig, params, "streaming").corpus
    models = load_live(args.video_checkpoint or trained_live(args.results, watch, corpus=corpus))

    def write(path: Path) -> str:
        if reason := why_no_film(path):
            return reason
        write_film(path, target[path], models, watch=watch, candide=candide)
        return f"film: {target[path]}"

    return write


def _predict_one(path: Path, stem: str, models: list, settings: schema.PredictConfig, out: Path, fitting) -> str:
    """Judge one clip, write its files and return its line."""
    from mien.apps.models import choose, settings_key

    first = models[0]
    recording = read_recording(path, faces=first.faces, sound=first.sound)
    model = choose(models, recording.modalities)
    if settings_key(model) != settings_key(first):
        recording = read_recording(path, faces=model.faces, sound=model.sound)
    judgement = judge(recording, model.network, model.settings, window_s=settings.window_s, hop_s=settings.hop_s)
    line = line_of(recording, judgement, model)
    if fitting is None:
        write_prediction(out, stem, recording, judgement, model)
        return line
    from mien.apps.units import fit_units, remark_of, summary_of, write_units

    units = fit_units(recording.track, fitting) if recording.track is not None else None
    if units is not None:
        write_units(out / f"{stem}.units.csv", units)
    write_prediction(out, stem, recording, judgement, model, further={"units": summary_of(units)})
    return f"{line}; {remark_of(units)}"
