"""Command `pretrain`: a network of one modality that is trained ahead, or fine-tuned from such a one (thesis 4.3).

Below the output folder, every seed gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS: logits for both selections, a row per clip; the role apart has pictures of the
                     official tests with an identical twin in training. Training clips are listed up to a limit
history.csv          a row per epoch; losses are mean cross-entropies per sample, with the accuracy of the training pass
model.safetensors    weights of the honest epoch
run.json             settings, sizes, cost of a pass, chosen epochs and their metrics
pairs.parquet        networks of sound alone: table PAIRS, without rows where the corpus has no list of pairs

No file holds a time: the same seed gives the same bytes. A row whose pictures or voices nobody has, or whose first
weights nobody has named, is recorded as "not applicable", with the reason, and is no error.
"""

import logging
from pathlib import Path

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--row", required=True, help="row of pretrain in params.yaml")
    parser.add_argument("--data", type=Path, default=Path("results"), help="folder with corpora/, faces/ and sound/")
    parser.add_argument("--seeds", type=int, nargs="+", required=True, metavar="S", help="repetitions")
    parser.add_argument("--out", type=Path, required=True, help="results/training/CORPUS/ROW, or CORPUS_actor/ROW")
    parser.add_argument("--init", type=Path, help="model.safetensors of the row that pretrain.ROW.init names")
    parser.add_argument("--manifest", type=Path, help="data/CORPUS.json; speakers: where the verification pairs are")


def run(args) -> None:
    """Train every seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : first weights are given and none are asked for.
    ModelError : first weights are missing.
    """
    import time

    from mien.core import config
    from mien.training import machine, resume
    from mien.training.pretrain_run import FOLD, PretrainRun

    machine.prepare(args.jobs)
    setup = PretrainRun.of(args.row, config.load(args.config), init=args.init, manifest=args.manifest)
    log.info("device: %s, %d threads", machine.device(), args.jobs)
    start_s = time.monotonic()
    if setup.pretrain.modality == "video":
        from mien.training.pictures import train_row
    else:
        from mien.training.speakers import train_row
    train_row(setup, results=args.data, seeds=args.seeds, out=args.out)
    log.info("%s: %d seeds in %.1f s", args.row, len(args.seeds), time.monotonic() - start_s)
    for seed in args.seeds:
        resume.remove(setup.corpus, setup.name, fold=FOLD, seed=seed)
