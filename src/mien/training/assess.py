"""Command `assess`: trained variants judge their test clips again, disturbed and without a modality.

Writes <variant>.parquet below the output folder: table ASSESSMENTS of all folds and seeds. What a network says of clean
clips must be what its training has put down; anything else is an error.
"""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every row, fold and seed")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with corpora/, faces/ and sound/")
    parser.add_argument("--out", type=Path, required=True, help="results/trust/CORPUS")


def run(args) -> None:
    """Read the corpus once, and fold by fold let all networks judge its test clips.

    Raises
    ------
    TableError : a row of section trust has no runs, or lacks a fold that another one has.
    """
    import pandas as pd

    from mien.core import config, tables
    from mien.evaluation.runs import read_runs, select_runs
    from mien.training import recordings
    from mien.training.assessment import Assessment, assess_fold
    from mien.training.machine import prepare

    prepare(args.jobs)
    params = config.load(args.config)
    trust = config.section(config.TrustConfig, params, "trust")
    sound = config.section(config.SoundConfig, params, "sound")
    faces = config.section(config.FacesConfig, params, "faces")
    runs = select_runs(read_runs(args.runs), args.corpus, trust.rows)
    used = {name for run in runs for name in run.record["config"]["variant"]["modalities"]}
    sources = {"faces": faces, "sound": sound}
    data = recordings.read(args.data, args.corpus, sorted(used), **sources)
    heard = recordings.read(args.data, args.corpus, ["audio"] if "audio" in used else [], **sources, running=True)
    job = Assessment(
        recordings=data,
        waves=heard.media.get("audio", {}),
        trust=trust,
        train=config.section(config.TrainConfig, params, "train"),
        sound=sound,
        seed=config.section(int, params, "seed"),
    )
    folds = sorted({run.fold for run in runs})
    found = pd.concat([assess_fold(job, [run for run in runs if run.fold == fold]) for fold in folds])
    for variant in trust.rows:
        rows = found[found.variant == variant].drop(columns="variant")
        tables.write(args.out / f"{variant}.parquet", rows, tables.ASSESSMENTS)
    log.info("%s: %d judgements of %d networks", args.corpus, len(found), sum(run.trained for run in runs))
