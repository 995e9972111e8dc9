"""Command `predict`: the emotion of clips of your own, as files and one line each."""

import csv
import math
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.config import schema
from mien.errors import ConfigError, MediaError, MienError, ModelError
from mien.io import media
from mien.io.files import atomic_file, write_json

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    import numpy as np

    from mien.apps.models import Model
    from mien.apps.recording import Prediction, Recording
    from mien.apps.units import FittedUnits

NEEDED = {"video": "face", "audio": "voice"}  # modality -> what a clip without it lacks
SUFFIXES = media.VIDEO_SUFFIXES | media.SOUND_SUFFIXES | media.IMAGE_SUFFIXES


def predict(
    *clips: Path,
    out: Path = Path("results/predictions"),
    units: bool = False,
    neutral: Path | None = None,
    video: Path | None = None,
    checkpoint: list[Path] | None = None,
    video_checkpoint: list[Path] | None = None,
    results: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Predict the emotion of clips: videos, sound files or pictures.

    Prints one line per clip and writes, below --out:

    * STEM.csv: a row per window of a second: start_s, end_s, share of frames with a face, voice, label, and the
      probability of every class (empty where nothing can be said);
    * STEM.json: the same, with the label of the whole clip, the network that was used, and what the clip lacks;
    * STEM.units.csv with --units: a row per frame with eight action units, the head pose (yaw_deg, pitch_deg, roll_deg,
      positive to the subject's left, up, and tilted to the subject's left) and how well the mesh fits.

    A clip without a face is judged by its voice, and the other way round. A file that cannot be read is reported, and
    the rest goes on.

    Examples:

        mien predict clip.mp4
        mien predict clip.mp4 voice.wav holiday/ --out predictions
        mien predict clip.mp4 --units --video annotated.mp4

    Parameters
    ----------
    clips
        Videos, sound files, pictures, or folders of them.
    out
        Folder for the predictions.
    units
        Also write the action units and the head pose of every frame.
    neutral
        Picture of the person's neutral face from the front; makes --units more exact.
    video
        Also write the annotated film with its sound: a file (.mp4, .mov, .mkv) for one clip, a folder for several. It
        shows the streaming networks, as `mien watch` does, which know only what has passed.
    checkpoint
        Model files (model.safetensors) to use instead of the best trained ones.
    video_checkpoint
        Model files of streaming networks for --video.
    results
        Folder with the trained models.
    config
        File with the parameters.
    jobs
        Number of threads.
    """
    import torch

    from mien.apps.models import load_models

    params = schema.load(config)
    settings = schema.section(schema.PredictConfig, params, "predict")
    if neutral and not units:
        raise ConfigError(f"--neutral {neutral} tells the shape of the face for --units: add --units")
    if video_checkpoint and not video:
        raise ConfigError(f"--video-checkpoint {video_checkpoint[0]} is for the film: add --video OUT")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: --out should be a folder, and this is a file")
    torch.set_num_threads(max(1, jobs))
    files, failures = list_clips(clips)
    if not files:
        _report(failures)
    stems = distinct_stems(files)
    write_film = None
    if video:
        alone = len(clips) == 1 and not clips[0].is_dir()
        places = _choose_film_places(files, stems, video, alone=alone)
        write_film = _film_writer(places, params, units=units, checkpoint=video_checkpoint, results=results)
    models = load_models(checkpoint or _find_models(results, settings, film_wanted=bool(video)))
    fit_units = _unit_fitter(params, neutral, models[0].faces) if units else None
    for path, stem in zip(files, stems, strict=True):
        try:
            line = _predict_one(path, stem, models, settings, out, fit_units)
        except MediaError as error:
            failures.append(error)
            continue
        try:
            print(f"{line}; {write_film(path)}" if write_film else line, flush=True)
        except MediaError as error:
            print(f"{line}; no film", flush=True)
            failures.append(error)
    _report(failures)


def _find_models(results: Path, settings: schema.PredictConfig, *, film_wanted: bool) -> list[Path]:
    from mien.apps.models import find_trained

    try:
        return find_trained(results, settings.corpus, settings)
    except ModelError as error:
        if not film_wanted:
            raise
        raise ModelError(
            f"{error}. Timeline and verdict need them; a film alone does not: mien watch CLIP --out FILM, with"
            " streaming networks as --checkpoint"
        ) from error


def list_clips(paths: tuple[Path, ...]) -> tuple[list[Path], list[MienError]]:
    """Return the files that `paths` name, a folder's media in the order of their names, and what cannot be used."""
    clips, failures = {}, []
    for path in paths:
        if not path.exists():
            failures.append(MediaError(f"{path}: no such file"))
            continue
        files = [path]
        if path.is_dir():
            files = sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES)
            if not files:
                failures.append(ConfigError(f"{path}: the folder holds no video, sound file or picture"))
        for file in files:
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
        while not taken.isdisjoint({stem.casefold(), f"{stem.casefold()}.units"}):
            n += 1
            stem = f"{wanted}-{n}"
        taken |= {stem.casefold(), f"{stem.casefold()}.units"}
        stems.append(stem)
    return stems


def _report(failures: list[MienError]) -> None:
    """Print all failures but the last, which is raised: the command line prints it and exits with 2."""
    for error in failures[:-1]:
        print(f"mien predict: {error}", file=sys.stderr)
    if failures:
        raise failures[-1]


def _unit_fitter(params: dict, neutral: Path | None, faces: schema.FacesConfig) -> Callable:
    """Return a function from a track to its action units, with the shape of the person in the picture `neutral`."""
    from mien.apps.units import fit_neutral_shape, fit_units

    candide = schema.section(schema.CandideConfig, params, "candide")
    shape = fit_neutral_shape(neutral, faces=faces, config=candide) if neutral else None
    return lambda track: fit_units(track, candide, shape=shape)


def _choose_film_places(clips: list[Path], stems: list[str], out: Path, *, alone: bool) -> dict[Path, Path]:
    """Return where the film of each clip is written: `out` itself for one clip, else <stem>.mp4 in the folder `out`."""
    if alone and not out.is_dir():
        media.FilmWriter(out)  # refuses what it could not write
        films = [out]
    elif out.is_file() or (not out.is_dir() and out.suffix.lower() in media.FILM_SUFFIXES):
        raise ConfigError(f"{out}: --video should be a folder where there are several clips")
    else:
        films = [out / f"{stem}.mp4" for stem in stems]
    sources = {clip.resolve() for clip in clips}
    if over := next((film for film in films if film.resolve() in sources), None):
        raise ConfigError(f"{over}: --video would write over this clip; name another place")
    return dict(zip(clips, films, strict=True))


def _film_writer(places: dict[Path, Path], params: dict, *, units: bool, checkpoint, results: Path) -> Callable:
    """Return a function that writes the film of a clip and says so; what it needs is checked before."""
    from mien.apps.models import find_streaming, load_streaming
    from mien.apps.watch import write_film

    watch = schema.section(schema.WatchConfig, params, "watch")
    candide = schema.section(schema.CandideConfig, params, "candide") if units else None
    models = load_streaming(checkpoint or find_streaming(results, params))

    def write(path: Path) -> str:
        if path.suffix.lower() in media.IMAGE_SUFFIXES:
            return "a still picture has no film"
        if path.suffix.lower() in media.SOUND_SUFFIXES or not media.probe(path).has_video:
            return "a sound without pictures has no film"
        write_film(path, places[path], models, watch=watch, candide=candide)
        return f"film: {places[path]}"

    return write


def _predict_one(path: Path, stem: str, models: list, settings: schema.PredictConfig, out: Path, fit_units) -> str:
    """Predict one clip, write its files and return its line."""
    from mien.apps.models import choose_model, settings_key
    from mien.apps.recording import predict_windows, read_recording
    from mien.apps.units import summarise_units, write_units

    first = models[0]
    recording = read_recording(path, faces=first.faces, sound=first.sound)
    model = choose_model(models, recording.modalities)
    if settings_key(model) != settings_key(first):
        recording = read_recording(path, faces=model.faces, sound=model.sound)
    window = {"window_s": settings.window_s, "hop_s": settings.hop_s}
    prediction = predict_windows(recording, model.network, model.settings, **window)
    line = describe_prediction(recording, prediction, model)
    further: dict[str, Any] = {}
    if fit_units is not None:
        units: FittedUnits | None = fit_units(recording.track) if recording.track is not None else None
        if units is not None:
            write_units(out / f"{stem}.units.csv", units)
        further["units"] = summarise_units(units)
        fitted = f"units of {units.n_fitted} of {len(units.time_s)} frames" if units else "no units without a face"
        line = f"{line}; {fitted}"
    write_prediction(out, stem, recording, prediction, model, further)
    return line


def write_prediction(
    folder: Path, stem: str, recording: "Recording", prediction: "Prediction", model: "Model", further: dict[str, Any]
) -> None:
    """Write <stem>.csv, the windows, and <stem>.json, everything and `further`, each whole or not at all."""
    classes = model.settings.classes
    timeline = []
    for window in prediction.windows:
        times = {"start_s": round(window.interval.start_s, 3), "end_s": round(window.interval.stop_s, 3)}
        share = {"face": round(window.face, 3), "voice": window.voice}
        timeline.append({**times, **share, **_name_best(window.probabilities, classes)})
    with atomic_file(folder / f"{stem}.csv") as scratch, scratch.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["start_s", "end_s", "face", "voice", "label", *classes])
        for window in timeline:
            values = window["probabilities"] or dict.fromkeys(classes, "")
            plain = [window[key] for key in ("start_s", "end_s", "face", "voice")]
            rows.writerow([*plain, window["label"] or "", *values.values()])
    summary = {
        "clip": str(recording.path),
        "duration_s": round(recording.duration_s, 3),
        "model": str(model.path),
        "variant": model.settings.variant,
        "corpus": model.settings.corpus,
        "classes": list(classes),
        "missing": sorted(recording.absent),
        "reasons": recording.absent,
        "verdict": _name_best(prediction.probabilities, classes),
        "timeline": timeline,
    }
    write_json(folder / f"{stem}.json", summary | further)


def _name_best(values: "np.ndarray", classes: tuple[str, ...]) -> dict[str, Any]:
    """Return label and class -> probability; None where the values are NaN: JSON has no NaN."""
    if math.isnan(values[0]):
        return {"label": None, "probabilities": None}
    probabilities = {name: round(float(p), 4) for name, p in zip(classes, values, strict=True)}
    return {"label": classes[int(values.argmax())], "probabilities": probabilities}


def describe_prediction(recording: "Recording", prediction: "Prediction", model: "Model") -> str:
    """Say in one line: clip, label, the three best probabilities, and what they lack."""
    classes, values = model.settings.classes, prediction.probabilities
    best = (-values).argsort(kind="stable")[:3]
    shares = ", ".join(f"{classes[k]} {values[k]:.0%}" for k in best)
    head = f"{recording.path.name}: " + ("no verdict" if math.isnan(values[0]) else f"{classes[best[0]]} ({shares})")
    absent, settings = recording.absent, model.settings
    if len(absent) == len(NEEDED):
        return f"{head}; neither a face ({absent['face']}) nor a voice ({absent['voice']})"
    remarks = [f"no {name} ({reason})" for name, reason in absent.items()]
    if not prediction.used:
        return f"{head}; {'; '.join(remarks)}, and {settings.variant} needs a {NEEDED[settings.modalities[0]]}"
    unused = [name for name in recording.modalities if name not in settings.modalities]
    remarks += [f"{settings.variant} does not use the {NEEDED[name]}" for name in unused]
    basis = " and ".join(NEEDED[name] for name in prediction.used)
    return f"{head}; {'; '.join(remarks)}: judged by the {basis} alone" if remarks else head
