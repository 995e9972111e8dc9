"""Command fit_classical: a classifier without epochs on random divisions of the training people.

Below --out every split s gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS of training, validation, test and aside, selection "honest"
history.csv          no row: there are no epochs
run.json             settings, sizes, chosen hyper-parameters, accuracies

The hyper-parameters are chosen among the training people; the validating ones are judged like the tested ones. No file
holds a time: the same seed gives the same bytes with any number of jobs. A classifier whose features nobody has is
recorded as "not applicable", with the reason, and is no error.
"""

import logging
from dataclasses import asdict
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--classifier", required=True, help="row of classifiers in params.yaml")
    parser.add_argument("--samples", type=Path, required=True, help="results/samples/PAIR")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with faces/")
    parser.add_argument("--splits", type=int, nargs="+", required=True, metavar="S", help="splits to fit, from 0")
    parser.add_argument("--out", type=Path, required=True, help="results/training/PAIR/CLASSIFIER")


def run(args) -> None:
    """Fit and judge every split.

    Raises
    ------
    ConfigError : the classifier is a network.
    TableError : an earlier stage is missing, or a split does not exist.
    """
    from mien.classical.fit_split import Work, fit_split
    from mien.core import config
    from mien.core.errors import ConfigError
    from mien.core.processes import map_in_processes
    from mien.samples import read

    params = config.load(args.config)
    classifier = config.section(config.ClassifierConfig, params, "classifiers", args.classifier)
    seed = config.section(int, params, "seed")
    if classifier.model not in config.CLASSICAL:
        known = ", ".join(config.CLASSICAL)
        raise ConfigError(
            f"params.yaml: classifiers.{args.classifier}.model is {classifier.model}, a network: train it with"
            f" train_classifier; fit_classical knows {known}"
        )
    samples = read.read_samples(args.samples)
    if classifier.features == "image":
        features = read.pictures(samples.table, args.data, classifier.size_px)
    else:
        features = read.vectors(samples.table, classifier.features)
    record = {
        "corpus": samples.info["corpus"],
        "variant": args.classifier,
        "fold_name": samples.title,
        "classes": samples.info["classes"],
        "data_digest": samples.digest,
        "config": {"classifier": asdict(classifier), "seed": seed},
    }
    works = [
        Work(
            classifier=classifier,
            table=samples.table[["clip", "person", "label"]],
            roles=samples.roles(split).to_numpy(str),
            features=features,
            usable=read.has_features(samples.table, classifier.features),
            classes=tuple(samples.info["classes"]),
            split=split,
            seed=seed,
            record=record,
            folder=args.out / f"fold0-seed{split}",
        )
        for split in args.splits
    ]
    for done in map_in_processes(fit_split, works, n_jobs=min(args.jobs, len(works))):
        said = done["metrics"].get("honest") or f"{done['status']}: {done['reason']}"
        log.info("%s %s split %d: %s %s", done["corpus"], done["variant"], done["seed"], done["chosen"], said)
