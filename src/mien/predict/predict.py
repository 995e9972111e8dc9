"""Command ``predict``: emotion of clips of your own.

Writes below --out, per clip: <stem>.csv, a row per window (start_s, end_s, share of frames with a face, voice, label,
probability of every class; the last ones empty where nothing can be said), and <stem>.json, the same with the verdict
on the clip, the model that was used and what the clip lacks. Prints one line per clip.
"""

import sys
from collections import Counter
from pathlib import Path

from mien.core import config, media
from mien.core.errors import ConfigError, MediaError, MienError

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


def run(args) -> None:
    """Predict every clip; those that cannot be read are reported and the rest goes on."""
    import torch

    from mien.predict.selection import load_models, trained_files

    settings = config.section(config.PredictConfig, config.load(args.config), "predict")
    torch.set_num_threads(max(1, args.jobs))
    if args.out.exists() and not args.out.is_dir():
        raise ConfigError(f"{args.out}: --out should be a folder, and this is a file")
    clips, failures = expand(args.clips)
    if not clips:
        _report(failures)
    models = load_models(args.checkpoint or trained_files(args.results, settings))
    for path, stem in zip(clips, distinct_stems(clips), strict=True):
        try:
            print(_predict_one(path, stem, models, settings, args.out), flush=True)
        except MediaError as error:
            failures.append(error)
    _report(failures)


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
    """Return a file name without suffix for each clip; equal stems get the clip's suffix, then a number."""
    folded = Counter(clip.stem.casefold() for clip in clips)  # some file systems do not tell A from a
    taken: set[str] = set()
    stems = []
    for clip in clips:
        wanted = clip.stem if folded[clip.stem.casefold()] == 1 else clip.name
        stem, n = wanted, 1
        while stem.casefold() in taken:
            n += 1
            stem = f"{wanted}-{n}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _report(failures: list[MienError]) -> None:
    """Print all failures but the last, which is raised: the command line prints it and exits with 2."""
    for error in failures[:-1]:
        print(f"mien predict: {error}", file=sys.stderr)
    if failures:
        raise failures[-1]


def _predict_one(path: Path, stem: str, models: list, settings: config.PredictConfig, out: Path) -> str:
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
    write_prediction(out, stem, recording, judgement, model)
    return line_of(recording, judgement, model)
