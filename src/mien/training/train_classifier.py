"""Command `train_classifier`: a network of chapter 4 on one pair of corpora, with several seeds.

Below the output folder, every seed gets a folder fold0-seed<s>; it is trained on split s and has

predictions.parquet  table PREDICTIONS: logits for both selections of all samples with the features that it needs
history.csv          a row per epoch; losses are mean cross-entropies per sample
model.safetensors    weights and scaling of the honest epoch
run.json             settings, sizes, how many samples lack the features, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A classifier whose features nobody has is recorded as "not
applicable", with the reason, and is no error.
"""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--classifier", required=True, help="row of classifiers in params.yaml, a network")
    parser.add_argument("--samples", type=Path, required=True, help="results/samples/PAIR")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with faces/")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="S", help="trainings, on split S each")
    parser.add_argument("--out", type=Path, required=True, help="results/training/PAIR/CLASSIFIER")


def run(args) -> None:
    """Train every seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : the row of classifiers is no network.
    """
    from mien.core import config
    from mien.core.errors import ConfigError
    from mien.samples.read import read_samples
    from mien.training import machine, resume
    from mien.training.classifier import FOLD, Classifier, read_inputs, train_seed

    machine.prepare(args.jobs)
    params = config.load(args.config)
    classifier = config.section(config.ClassifierConfig, params, "classifiers", args.classifier)
    kind = "image" if classifier.features == "image" else "vector"  # only what is used: the rest reruns nothing
    setup = Classifier(
        name=args.classifier,
        classifier=classifier,
        cross=config.section(config.CrossConfig, params, "cross"),
        learning_rate=config.section(float, params, "classify", "learning_rate"),
        epochs=config.section(int, params, "classify", f"epochs_{kind}"),
        batch=config.section(int, params, "classify", f"batch_{kind}"),
        augment=config.section(config.AugmentConfig, params, "augment") if kind == "image" else None,
        seed=config.section(int, params, "seed"),
    )
    if setup.classifier.model not in config.NETWORKS:
        raise ConfigError(
            f"params.yaml: classifiers.{args.classifier}: {setup.classifier.model} has no epochs; use fit_classical"
        )
    samples = read_samples(args.samples)
    inputs = read_inputs(setup, samples, args.data)
    log.info("device: %s, %d threads", machine.device(), args.jobs)
    for seed in args.seeds:
        train_seed(setup, samples, inputs, seed=seed, out=args.out)
    for seed in args.seeds:
        resume.remove(setup.cross.name, setup.name, fold=FOLD, seed=seed)
