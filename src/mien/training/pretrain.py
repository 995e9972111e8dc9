"""Command `pretrain`: a network of one modality that is trained ahead, or fine-tuned from such a one (thesis 4.3).

Below the output folder, every seed gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS: logits for both selections, a row per clip; the role apart has pictures of the
                     official tests with an identical twin in training. Training clips are listed up to a limit
history.csv          a row per epoch; losses are mean cross-entropies per sample, with the accuracy of the training pass
model.safetensors    weights of the honest epoch
run.json             settings, sizes, cost of a pass, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A row whose pictures or voices nobody has is recorded as "not
applicable", with the reason, and is no error.
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
    params = config.load(args.config)
    row = config.section(config.PretrainConfig, params, "pretrain", args.row)
    setup = PretrainRun(
        name=args.row,
        pretrain=row,
        extractor=config.section(config.ExtractorConfig, params, "extractor"),
        width=config.section(int, params, "train", "width"),
        augment=config.section(config.AugmentConfig, params, "augment"),
        sound=config.section(config.SoundConfig, params, "sound"),
        faces=config.section(config.FacesConfig, params, "faces"),
        seed=config.section(int, params, "seed"),
        init=_first_weights(args.row, row.init, args.init),
        manifest=args.manifest,
    )
    log.info("device: %s, %d threads", machine.device(), args.jobs)
    start_s = time.monotonic()
    if row.modality == "video":
        from mien.training.pictures import train_row
    else:
        from mien.training.speakers import train_row
    train_row(setup, results=args.data, seeds=args.seeds, out=args.out)
    log.info("%s: %d seeds in %.1f s", args.row, len(args.seeds), time.monotonic() - start_s)
    for seed in args.seeds:
        resume.remove(setup.corpus, setup.name, fold=FOLD, seed=seed)


def _first_weights(row: str, init: str, given: Path | None) -> Path | None:
    """Return the file of the first weights, or None where they are random."""
    from mien.core.errors import ConfigError, ModelError

    if init == "random":
        if given is not None:
            raise ConfigError(f"--init {given}: pretrain.{row}.init is random; leave --init away or name a row there")
        return None
    path = Path(init) if given is None else given
    if not path.is_file():
        advice = "train that row first" if given else "give a row's model file with --init, fetch the file"
        raise ModelError(f"{path}: no such file of first weights for {row}; {advice}, or write init: random")
    return path
