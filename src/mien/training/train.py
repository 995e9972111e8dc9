"""Command `train`: one variant on folds of a corpus.

Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

predictions.parquet  table PREDICTIONS: logits of every head, for both selections, of validation and test clips
history.csv          a row per epoch; losses are the fused head's mean cross-entropy per clip
model.safetensors    weights of the honest epoch (of the optimistic one under the protocol of the thesis)
run.json             settings, sizes, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A variant whose modalities a fold does not have is recorded
as "not applicable", with the reason, and is no error.
"""

import logging

from mien.training.arguments import add_fold_arguments

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--corpus", required=True, help="name of the corpus")
    parser.add_argument("--variant", required=True, help="row of variants in params.yaml")
    add_fold_arguments(parser, init="variants.VARIANT.init", out="results/training/CORPUS/VARIANT")


def run(args) -> None:
    """Train every fold and seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : first weights are given that are not asked for, or the other way round.
    """
    import torch

    from mien.core import config
    from mien.training import recordings
    from mien.training.first_weights import files_of
    from mien.training.machine import prepare
    from mien.training.run import Run, remove_checkpoints, train_fold

    prepare(args.jobs)
    params = config.load(args.config)
    variant = config.section(config.VariantConfig, params, "variants", args.variant)
    setup = Run(
        corpus=args.corpus,
        name=args.variant,
        variant=variant,
        first=files_of(f"variants.{args.variant}", variant.init, args.init),
        train=config.section(config.TrainConfig, params, "train"),
        augment=config.section(config.AugmentConfig, params, "augment"),
        sound=config.section(config.SoundConfig, params, "sound"),
        faces=config.section(config.FacesConfig, params, "faces"),
        seed=config.section(int, params, "seed"),
    )
    data = recordings.read(args.data, args.corpus, setup.variant.modalities, faces=setup.faces, sound=setup.sound)
    log.info("device: %s", "cuda" if torch.cuda.is_available() else f"cpu, {args.jobs} threads")
    for fold in args.folds:
        for seed in args.seeds:
            train_fold(setup, data, fold=fold, seed=seed, out=args.out)
    remove_checkpoints(setup, args.folds, args.seeds)
