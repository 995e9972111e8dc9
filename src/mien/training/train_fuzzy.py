"""Command `train_fuzzy`: networks on people whose faces or voices say less and less (thesis 5.1), one repetition.

The repetition decides who is tested, which clips are affected, and all random draws of the training. Every row of
section fuzziness is trained and tested under every condition; --out is table FUZZY. A killed run goes on from its
checkpoints. No file holds a time: the same seed gives the same bytes.
"""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--seed", type=int, required=True, metavar="S", help="repetition, from 0")
    parser.add_argument("--data", type=Path, required=True, help="folder with VERSION/{corpora,faces,sound}/")
    parser.add_argument("--out", type=Path, required=True, help="results/fuzziness/CORPUS/seedS/predictions.parquet")
    parser.add_argument(
        "--init",
        nargs="+",
        default=[],
        metavar="ROW=FILE",
        help="model files of the rows of pretrain that the variants start from",
    )


def run(args) -> None:
    """Train and judge all networks of one repetition.

    Raises
    ------
    ConfigError : a row needs people who validate, or first weights that were not given or not trained.
    """
    import shutil
    from dataclasses import replace

    from mien.core import config, tables
    from mien.core.fuzzy import conditions
    from mien.training.fuzzy_clips import divide_people, read_versions
    from mien.training.fuzzy_rows import first_files, in_order
    from mien.training.fuzzy_run import Experiment, run_conditions
    from mien.training.machine import prepare
    from mien.training.run import Run

    prepare(args.jobs)
    params = config.load(args.config)
    fuzzy = config.section(config.FuzzinessConfig, params, "fuzziness")
    variants = {name: config.section(config.VariantConfig, params, "variants", name) for name in fuzzy.rows}
    faces = config.section(config.FacesConfig, params, "faces")
    sound = config.section(config.SoundConfig, params, "sound")
    first = first_files(variants, args.init)
    versions = read_versions(args.data, fuzzy.corpus, faces=faces, sound=sound)
    experiment = Experiment(
        runs={
            name: Run(
                corpus=fuzzy.corpus,
                name=name,
                variant=variants[name],
                first=first[name],
                train=replace(config.section(config.TrainConfig, params, "train"), epochs=fuzzy.epochs),
                augment=config.section(config.AugmentConfig, params, "augment"),
                sound=sound,
                faces=faces,
                seed=config.section(int, params, "seed"),
            )
            for name in in_order(variants)
        },
        versions=versions,
        roles=divide_people(versions.clips, tested=fuzzy.tested, turn=args.seed),
        conditions=conditions(fuzzy.shares),
        turn=args.seed,
    )
    rows = run_conditions(experiment)
    tables.write(args.out, rows, tables.FUZZY)
    shutil.rmtree(experiment.folder, ignore_errors=True)
    log.info("%s seed %d: %d judgements", fuzzy.corpus, args.seed, len(rows))
