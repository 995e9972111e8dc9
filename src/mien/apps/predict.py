"""Command `predict`: the emotion of clips of your own, as files and one line each."""

import math
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.config import schema
from mien.errors import ConfigError, MediaError, MienError, ModelError
from mien.io import isolated, media
from mien.io.files import atomic_file, write_json

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    import numpy as np

    from mien.apps.models import Model, StreamingModels
    from mien.apps.recording import Prediction, Recording
    from mien.apps.units import Shape


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

    from mien.apps.models import find_streaming, find_trained, load_models, load_streaming
    from mien.apps.units import fit_neutral_shape

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
    candide = schema.section(schema.CandideConfig, params, "candide") if units else None
    if video:
        films = _choose_film_places(files, stems, video, alone=len(clips) == 1 and not clips[0].is_dir())
        watch = schema.section(schema.WatchConfig, params, "watch")
        streaming = load_streaming(video_checkpoint or find_streaming(results, params))
    try:
        models = load_models(checkpoint or find_trained(results, settings.corpus, settings))
    except ModelError as error:
        if not video or checkpoint:
            raise
        raise ModelError(
            f"{error}. Timeline and verdict need them; a film alone does not: mien watch CLIP --out FILM, with"
            " streaming networks as --checkpoint"
        ) from error
    shape = fit_neutral_shape(neutral, faces=models[0].faces, config=candide) if neutral else None
    for path, stem in zip(files, stems, strict=True):
        try:
            line = _predict_one(path, out / stem, models, settings, candide, shape)
        except MediaError as error:
            failures.append(error)
            continue
        try:
            film = f"; {_write_film(path, films[path], streaming, watch, candide)}" if video else ""
        except MediaError as error:
            film = "; no film"
            failures.append(error)
        print(line + film, flush=True)
    _report(failures)


def list_clips(paths: tuple[Path, ...]) -> tuple[list[Path], list[MienError]]:
    """Return the files that `paths` name, those of folders at any depth, and what cannot be used."""
    clips, problems, n_passed = media.find_media(paths)
    if n_passed:
        print(f"mien predict: passed over {n_passed} hidden or unreal file{'s' * (n_passed != 1)}", file=sys.stderr)
    return clips, [MediaError(problem) for problem in problems]


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


def _write_film(path: Path, place: Path, models: "StreamingModels", watch, candide) -> str:
    """Write the film of a clip and say so, or why there is none."""
    from mien.apps.watch import write_film

    if isolated.is_still(path):
        return "a still picture has no film"
    if not isolated.probe(path).has_video:
        return "a sound without pictures has no film"
    write_film(path, place, models, watch=watch, candide=candide)
    return f"film: {place}"


def _predict_one(
    path: Path,
    target: Path,
    models: "list[Model]",
    settings: schema.PredictConfig,
    candide: schema.CandideConfig | None,
    shape: "Shape | None",
) -> str:
    """Predict one clip, write its files, whose names begin as `target`, and return its line."""
    from mien.apps.models import choose_model
    from mien.apps.recording import predict_windows, read_recording
    from mien.apps.units import fit_units, summarise_units, write_units

    first = models[0]
    recording = read_recording(path, faces=first.faces, sound=first.sound)
    model = choose_model(models, recording.modalities)
    if (model.faces, model.sound) != (first.faces, first.sound):
        recording = read_recording(path, faces=model.faces, sound=model.sound)
    if model.candide is not None:
        recording = recording.with_units(model.candide)
    window = {"window_s": settings.window_s, "hop_s": settings.hop_s}
    prediction = predict_windows(recording, model.network, model.settings, **window)
    line = describe_prediction(recording, prediction, model)
    further: dict[str, Any] = {}
    if candide is not None:
        units = fit_units(recording.track, candide, shape=shape) if recording.track is not None else None
        if units is not None:
            write_units(target.with_name(f"{target.name}.units.csv"), units)
        further["units"] = summarise_units(units)
        fitted = f"units of {units.n_fitted} of {len(units.time_s)} frames" if units else "no units without a face"
        line = f"{line}; {fitted}"
    write_prediction(target, recording, prediction, model, further)
    return line


def write_prediction(
    target: Path, recording: "Recording", prediction: "Prediction", model: "Model", further: dict[str, Any]
) -> None:
    """Write <target>.csv, the windows, and <target>.json, everything and `further`, each whole or not at all."""
    import pandas as pd

    classes = model.settings.classes
    timeline = []
    for window in prediction.windows:
        times = {"start_s": round(window.interval.start_s, 3), "end_s": round(window.interval.stop_s, 3)}
        share = {"face": round(window.face, 3), "voice": window.voice}
        timeline.append({**times, **share, **_name_best(window.probabilities, classes)})
    rows = [{**window, **(window["probabilities"] or {})} for window in timeline]
    with atomic_file(target.with_name(f"{target.name}.csv")) as scratch:
        columns = ["start_s", "end_s", "face", "voice", "label", *classes]
        pd.DataFrame(rows, columns=columns).to_csv(scratch, index=False)
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
    write_json(target.with_name(f"{target.name}.json"), summary | further)


def _name_best(values: "np.ndarray", classes: tuple[str, ...]) -> dict[str, Any]:
    """Return label and class -> probability; None where the values are NaN: JSON has no NaN."""
    if math.isnan(values[0]):
        return {"label": None, "probabilities": None}
    probabilities = {name: round(float(p), 4) for name, p in zip(classes, values, strict=True)}
    return {"label": classes[int(values.argmax())], "probabilities": probabilities}


def describe_prediction(recording: "Recording", prediction: "Prediction", model: "Model") -> str:
    """Say in one line: clip, label, the three best probabilities, and what they lack."""
    from mien.apps.models import SHOWN_BY

    classes, values = model.settings.classes, prediction.probabilities
    best = (-values).argsort(kind="stable")[:3]
    shares = ", ".join(f"{classes[k]} {values[k]:.0%}" for k in best)
    head = f"{recording.path.name}: " + ("no verdict" if math.isnan(values[0]) else f"{classes[best[0]]} ({shares})")
    absent, settings = recording.absent, model.settings
    if {"face", "voice"} <= absent.keys():
        return f"{head}; neither a face ({absent['face']}) nor a voice ({absent['voice']})"
    remarks = [f"no {name} ({reason})" for name, reason in absent.items()]
    if not prediction.used:
        return f"{head}; {'; '.join(remarks)}, and {settings.variant} needs a {SHOWN_BY[settings.modalities[0]]}"
    there, wanted, used = (
        dict.fromkeys(SHOWN_BY[name] for name in names)
        for names in (recording.modalities, settings.modalities, prediction.used)
    )
    remarks += [f"{settings.variant} does not use the {name}" for name in there if name not in wanted]
    basis = " and ".join(used)
    return f"{head}; {'; '.join(remarks)}: judged by the {basis} alone" if remarks else head
