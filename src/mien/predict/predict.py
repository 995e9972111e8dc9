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
"""

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mien.core import config, media
from mien.core.errors import ConfigError, MediaError, MienError, ModelError

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

    from mien.predict.selection import load_models

    params = config.load(args.config)
    settings = config.section(config.PredictConfig, params, "predict")
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


def _trained(args, settings: config.PredictConfig) -> list[Path]:
    """Return the networks of chapter 5; where there are none, say what writes the film without them."""
    from mien.predict.selection import trained_files

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


def _fitting(params: dict, neutral: Path | None, faces: config.FacesConfig):
    """Return how the mesh is fitted, with the shape of the person in the picture `neutral`."""
    from mien.predict.units import Fitting, neutral_shape

    candide = config.section(config.CandideConfig, params, "candide")
    return Fitting(candide, neutral and neutral_shape(neutral, faces=faces, config=candide))


def _films(args, params: dict, clips: list[Path], stems: list[str]) -> Callable[[Path], str]:
    """Return a function that writes the film of a clip and says so; everything that it needs is checked before."""
    from mien.predict.film import film_paths, why_no_film, write_film
    from mien.predict.live_models import load_live, trained_live

    alone = len(args.clips) == 1 and not args.clips[0].is_dir()
    target = dict(zip(clips, film_paths(clips, stems, args.video, alone=alone), strict=True))
    watch = config.section(config.WatchConfig, params, "watch")
    candide = config.section(config.CandideConfig, params, "candide") if args.units else None
    corpus = config.section(config.StreamingConfig, params, "streaming").corpus
    models = load_live(args.video_checkpoint or trained_live(args.results, watch, corpus=corpus))

    def write(path: Path) -> str:
        if reason := why_no_film(path):
            return reason
        write_film(path, target[path], models, watch=watch, candide=candide)
        return f"film: {target[path]}"

    return write


def _predict_one(path: Path, stem: str, models: list, settings: config.PredictConfig, out: Path, fitting) -> str:
    """Judge one clip, write its files and return its line."""
    from mien.predict.judging import judge
    from mien.predict.recording import read_recording
    from mien.predict.selection import choose, settings_key
    from mien.predict.writing import line_of, write_prediction

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
    from mien.predict.units import fit_units, remark_of, summary_of, write_units

    units = fit_units(recording.track, fitting) if recording.track is not None else None
    if units is not None:
        write_units(out / f"{stem}.units.csv", units)
    write_prediction(out, stem, recording, judgement, model, further={"units": summary_of(units)})
    return f"{line}; {remark_of(units)}"
