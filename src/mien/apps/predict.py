"""Command `predict`: the emotion of clips of your own, as files and one line each."""

import math
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.apps import Jobs, Models, Names
from mien.config import schema
from mien.errors import ConfigError, MediaError, MienError, NotJudgedError
from mien.io import isolated, media
from mien.io.files import atomic_file, printable, write_json

if TYPE_CHECKING:  # torch takes seconds, which --help does not need
    import numpy as np

    from mien.apps.engine import Row
    from mien.apps.models import Model
    from mien.apps.outputs import Outputs
    from mien.apps.recording import RecordingPrediction
    from mien.apps.units import Shape

DERIVED = ("", ".units", ".openface", "_events")  # what names of a clip's files have after its stem


def predict(
    *clips: Path,
    out: Path = Path("results/predictions"),
    units: bool = False,
    neutral: Path | None = None,
    video: Path | None = None,
    table: Path | None = None,
    formats: Names = None,
    fps: str | None = None,
    cropped: bool = False,
    reference: Path | None = None,
    checkpoint: list[Path] | None = None,
    results: Models = None,
    runtime: str = "torch",
    config: str = "",
    jobs: Jobs = 1,
) -> None:
    """Predict the emotion of clips: videos, sound files or pictures.

    Prints one line per clip and writes, below --out:

    * STEM.csv: a row per person and window of some seconds: start_s, end_s, share of frames with the face, whether
      there is a voice, label, the probability of every class (empty where nothing can be said), person (1, 2, ...; 0: a
      voice without a face), share of the window with a voice, largest probability, and what these rest on (face, voice
      or face+voice: the voice belongs to the main face);
    * STEM.json: the same, with the label of the whole clip, the network that was used, and what the clip lacks;
    * STEM.units.csv with --units: a row per person and frame with eight action units, the head pose (yaw_deg,
      pitch_deg, roll_deg, positive to the subject's left, up, and tilted to the subject's left) and how well the mesh
      fits.

    A clip without a face is judged by its voice, and the other way round. A file that cannot be read is reported, and
    the rest goes on; then the command exits with 1. It exits with 0 when every file was judged, and with 2 when it was
    called wrongly.

    Examples:

        mien predict clip.mp4
        mien predict clip.mp4 voice.wav holiday/ --out predictions
        mien predict clip.mp4 --units --video annotated.mp4
        mien predict holiday/ --table all.csv --formats srt elan
        mien predict faces/ --cropped
        mien predict today.mp4 --reference earlier/

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
        shows the newest window, as `mien watch` does.
    table
        Also write one table of all clips, .csv or .parquet: a row per clip, person and window. docs/outputs.md says
        what its columns mean.
    formats
        Also write, beside each clip's other files: srt, vtt (subtitles), elan, praat (tiers), bids (events), openface
        (a row per frame in the columns of OpenFace; with --units).
    fps
        Rows per second of --table instead of one per window, or `film`: those of each film.
    cropped
        Every picture is a face and nothing else, cut out already: none is looked for.
    reference
        Folder with other recordings of the person, whose voice and face are then judged beside what is usual for them;
        for models that were trained with normalise: subject.
    checkpoint
        Model files to use instead, or folders of rows such as results/training/ravdess/N2; --checkpoint before each.
    results
        Folder with models: of `mien export_model`, or results of the workflow; by default $MIEN_MODELS, or of results
        here, those beside mien and what came with it the first that was trained on people.
    runtime
        torch, or onnx: onnxruntime runs the networks, on the CPU.
    config
        File with the parameters; by default params.yaml here, or the one that came with mien.
    jobs
        Number of threads.
    """
    if not clips:
        raise ConfigError("name a video, a sound file, a picture or a folder of them")
    import torch
    from tqdm import tqdm

    from mien.apps.models import find_trained, load_models
    from mien.apps.outputs import Outputs, describe_model, model_facts
    from mien.apps.reference import read_reference
    from mien.apps.units import fit_neutral_shape

    more = Outputs(table, formats or (), fps)
    units = units or "openface" in more.formats
    params = schema.load(config)
    settings = schema.section(schema.PredictConfig, params, "predict")
    if neutral and not units:
        raise ConfigError(f"--neutral {neutral} tells the shape of the face for --units: add --units")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: --out should be a folder, and this is a file")
    torch.set_num_threads(jobs)
    files, failures = list_clips(clips)
    if not files:
        _report(failures)
    stems = distinct_stems(files)
    if table is not None and table.resolve() in {(out / f"{stem}.csv").resolve() for stem in stems}:
        raise ConfigError(f"{table}: --table would write over the file of one clip; name another place")
    candide = schema.section(schema.CandideConfig, params, "candide") if units else None
    if video:
        films = _choose_film_places(files, stems, video, alone=len(clips) == 1 and not clips[0].is_dir())
    watch = schema.section(schema.WatchConfig, params, "watch")
    names = checkpoint or find_trained(results, settings.corpus, settings)
    models = load_models(names, reference=reference is not None, runtime=runtime)
    print(f"mien predict: {describe_model(model_facts(models[0]))}", file=sys.stderr)
    how: dict[str, Any] = {"window_s": settings.window_s, "hop_s": settings.hop_s, "forget_s": watch.forget_s}
    how |= {"cropped": cropped, "reference": read_reference([reference], models) if reference is not None else None}
    shape = fit_neutral_shape(neutral, faces=models[0].faces, config=candide) if neutral else None
    unjudged = []
    for path, stem in tqdm(zip(files, stems, strict=True), total=len(files), unit="file", disable=None):
        try:
            line = _predict_one(path, out / stem, models, how, candide, shape, more)
        except MediaError as error:
            failures.append(error)
            continue
        try:
            film = f"; {_write_film(path, films[path], models, settings, watch, candide, how)}" if video else ""
        except MediaError as error:
            film = "; no film"
            failures.append(error)
        tqdm.write(line + film)
        if line.startswith(f"{printable(path.name)}: no verdict"):
            unjudged.append(path)
    more.finish()
    if unjudged:
        names = ", ".join(printable(str(path)) for path in unjudged)
        failures.insert(0, NotJudgedError(f"{len(unjudged)} of {len(files)} files without a verdict: {names}"))
    _report(failures)


def list_clips(paths: tuple[Path, ...]) -> tuple[list[Path], list[MienError]]:
    """Return the files that `paths` name, those of folders at any depth, and what cannot be used."""
    clips, problems, n_passed = media.find_media(paths)
    if n_passed:
        print(f"mien predict: passed over {n_passed} hidden or unreal file{'s' * (n_passed != 1)}", file=sys.stderr)
    return clips, [MediaError(problem) for problem in problems]


def distinct_stems(clips: list[Path]) -> list[str]:
    """Return a file name without suffix for each clip; equal stems get the clip's suffix, then a number.

    A stem that ends in one of `DERIVED` is taken by a file of the clip whose stem stands before it.
    """
    folded = Counter(clip.stem.casefold() for clip in clips)  # some file systems do not tell A from a
    taken: set[str] = set()
    stems = []
    for clip in clips:
        wanted = clip.stem if folded[clip.stem.casefold()] == 1 else clip.name
        stem, n = wanted, 1
        while not taken.isdisjoint(names := {stem.casefold() + end for end in DERIVED}):
            n += 1
            stem = f"{wanted}-{n}"
        taken |= names
        stems.append(stem)
    return stems


def _report(failures: list[MienError]) -> None:
    """Print all failures but the last, which is raised: the command line prints it and exits with 1."""
    for error in failures[:-1]:
        print(f"mien predict: {error}", file=sys.stderr)
    if failures:
        raise NotJudgedError(str(failures[-1])) from failures[-1]


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


def _write_film(path: Path, place: Path, models: "list[Model]", settings, watch, candide, how) -> str:
    """Write the film of a clip and say so, or why there is none."""
    from mien.apps.watch import write_film

    if isolated.is_still(path):
        return "a still picture has no film"
    if not isolated.probe(path).has_video:
        return "a sound without pictures has no film"
    use = {name: how[name] for name in ("cropped", "reference")}
    write_film(path, place, models, predict=settings, watch=watch, candide=candide, **use)
    return f"film: {place}"


def _predict_one(
    path: Path,
    target: Path,
    models: "list[Model]",
    how: Mapping[str, Any],
    candide: schema.CandideConfig | None,
    shape: "Shape | None",
    more: "Outputs",
) -> str:
    """Predict one clip, write its files, whose names begin as `target`, and return its line.

    how : arguments of `judge_file`.
    """
    from tqdm import tqdm

    from mien.apps.outputs import model_facts, to_frames
    from mien.apps.recording import judge_file
    from mien.apps.units import fit_units, summarise_units, write_units

    with tqdm(desc=printable(path.name), unit="s", leave=False, disable=None) as bar:

        def tell(time_s: float, length_s: float) -> None:
            bar.total = None if math.isnan(length_s) else max(1, round(length_s))
            bar.update(int(time_s) - bar.n)

        found = judge_file(path, models, **how, tracks=candide is not None, on_time=tell)
    line = describe_judgement(found, models)
    further: dict[str, Any] = {}
    units = {}
    if candide is not None:
        units = {person: fit_units(track, candide, shape=shape) for person, track in found.tracks.items()}
        if units:
            write_units(target.with_name(f"{target.name}.units.csv"), units)
        main = next(iter(units.values()), None)  # of who was seen most often
        further["units"] = summarise_units(main)
        fitted = f"units of {main.n_fitted} of {len(main.time_s)} frames" if main else "no units without a face"
        line = f"{line}; {fitted}"
    write_judgement(target, found, models, further)
    more.add(path, found.table, to_frames(found.tracks, units), model_facts(found.model or models[0]), target)
    return line


def write_judgement(target: Path, found: "RecordingPrediction", models: "list[Model]", further: dict[str, Any]) -> None:
    """Write <target>.csv, the windows, and <target>.json, everything and `further`, each whole or not at all."""
    import pandas as pd

    timeline = [describe_row(row, found.classes) for row in found.rows]
    with atomic_file(target.with_name(f"{target.name}.csv")) as scratch:
        cells = [row_cells(row, found.classes) for row in found.rows]
        pd.DataFrame(cells, columns=row_columns(found.classes)).to_csv(scratch, index=False)
    model = found.model or models[0]
    summary = {
        "clip": printable(found.file),
        "duration_s": round(found.duration_s, 3),
        "model": model.info.to_dict() if model.info else str(model.path),
        "variant": model.settings.variant,
        "corpus": model.settings.corpus,
        "classes": list(found.classes),
        "reference": found.reference,
        "people": found.n_people,
        "missing": sorted(found.absent),
        "reasons": found.absent,
        "verdict": _name_best(found.probabilities, found.classes),
        "timeline": timeline,
    }
    write_json(target.with_name(f"{target.name}.json"), summary | further)


def row_columns(classes: tuple[str, ...]) -> list[str]:
    """Return the columns of `row_cells`."""
    return ["start_s", "end_s", "face", "voice", "label", *classes, "person", "voice_share", "confidence", "used"]


def row_cells(row: "Row", classes: tuple[str, ...]) -> list:
    """Return a row of the engine as the CSV of a clip has it; None where nothing was judged."""
    told = describe_row(row, classes)
    shares = told["probabilities"] or dict.fromkeys(classes)
    return [told.get(name, shares.get(name)) for name in row_columns(classes)]


def describe_row(row: "Row", classes: tuple[str, ...]) -> dict[str, Any]:
    """Return a row of the engine as the JSON of a clip has it."""
    return {
        "start_s": round(row.start_s, 3),
        "end_s": round(row.end_s, 3),
        "face": round(row.face_share, 3),
        "voice": row.voice_share > 0,
        **_name_best(row.probabilities, classes),
        "person": row.person,
        "voice_share": round(row.voice_share, 3),
        "confidence": round(row.confidence, 4) if row.judged else None,
        "used": "+".join(row.used),
    }


def _name_best(values: "np.ndarray", classes: tuple[str, ...]) -> dict[str, Any]:
    """Return label and class -> probability; None where the values are NaN: JSON has no NaN."""
    if math.isnan(values[0]):
        return {"label": None, "probabilities": None}
    probabilities = {name: round(float(p), 4) for name, p in zip(classes, values, strict=True)}
    return {"label": classes[int(values.argmax())], "probabilities": probabilities}


def describe_judgement(found: "RecordingPrediction", models: "list[Model]") -> str:
    """Say in one line: clip, label, the three best probabilities, and what they lack."""
    from mien.apps.models import SHOWN_BY

    classes, values, absent = found.classes, found.probabilities, found.absent
    best = (-values).argsort(kind="stable")[:3]
    shares = ", ".join(f"{classes[k]} {values[k]:.0%}" for k in best)
    head = f"{printable(found.file.name)}: " + (
        "no verdict" if math.isnan(values[0]) else f"{classes[best[0]]} ({shares})"
    )
    if {"face", "voice"} <= absent.keys():
        return f"{head}; neither a face ({absent['face']}) nor a voice ({absent['voice']})"
    remarks = [f"no {name} ({reason})" for name, reason in absent.items()]
    settings = (found.model or models[0]).settings
    if not found.used:
        return f"{head}; {'; '.join(remarks)}, and {settings.variant} needs a {SHOWN_BY[settings.modalities[0]]}"
    wanted = {SHOWN_BY[name] for name in settings.modalities}
    there = [name for name in dict.fromkeys(SHOWN_BY.values()) if name not in absent]
    remarks += [f"{settings.variant} does not use the {name}" for name in there if name not in wanted]
    if found.reference != "none":
        remarks.append(f"reference of the person: {found.reference}")
    if found.n_people > 1:
        remarks.append(f"{found.n_people} people or shots, of which the main face is told")
    basis = " and ".join(dict.fromkeys(SHOWN_BY[name] for name in SHOWN_BY if name in found.used))
    alone = "" if found.n_people > 1 and not absent else f": judged by the {basis} alone"
    return f"{head}; {'; '.join(remarks)}{alone}" if remarks else head
