"""Command `train_stream`: a network that runs along with recordings, on folds of the corpus of section ``streaming``.

In training, a random stretch of every clip is followed per epoch; held-out clips are followed from beginning to end.
Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

stream.parquet       table STREAM: what the honest epoch says at every step, or tick, of validation and test clips
predictions.parquet  table PREDICTIONS: logits of every head at the last step, for both selections
history.csv          a row per epoch; a loss is the fused head's mean cross-entropy over the steps of a clip, and the
                     mean of that over clips; an accuracy is that of the last step
model.safetensors    weights of the honest epoch: the one with the lowest loss of the validation people
run.json             settings, sizes, chosen epochs and their metrics

No file holds a time: the same seed gives the same bytes. A row whose modalities a fold does not have is recorded as
"not applicable", with the reason, and is no error.
"""

import logging

from mien.training.arguments import add_fold_arguments

log = logging.getLogger(__name__)


def add_arguments(parser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument("--stream", required=True, metavar="ROW", help="row of streams in params.yaml")
    add_fold_arguments(parser, init="streams.ROW.init", out="results/training/CORPUS/ROW")


def run(args) -> None:
    """Train every fold and seed; a run that was killed goes on from its checkpoints.

    Raises
    ------
    ConfigError : first weights are given that are not asked for, or the other way round.
    """
    import time

    from mien.core import config
    from mien.training import machine, recordings, resume
    from mien.training.first_weights import files_of
    from mien.training.stream_clips import usable
    from mien.training.stream_run import StreamRun, train_fold

    machine.prepare(args.jobs)
    params = config.load(args.config)
    stream = config.section(config.StreamConfig, params, "streams", args.stream)
    setup = StreamRun(
        name=args.stream,
        stream=stream,
        streaming=config.section(config.StreamingConfig, params, "streaming"),
        width=config.section(int, params, "train", "width"),
        weight_decay=config.section(float, params, "train", "weight_decay"),
        dropout=config.section(float, params, "train", "dropout"),
        augment=config.section(config.AugmentConfig, params, "augment"),
        sound=config.section(config.SoundConfig, params, "sound"),
        faces=config.section(config.FacesConfig, params, "faces"),
        seed=config.section(int, params, "seed"),
        first=files_of(f"streams.{args.stream}", stream.init, args.init),
    )
    sections = {"faces": setup.faces, "sound": setup.sound}
    data = usable(recordings.read(args.data, setup.corpus, stream.modalities, **sections, running=True), setup.pace)
    log.info("device: %s, %d threads", machine.device(), args.jobs)
    for fold in args.folds:
        for seed in args.seeds:
            start_s = time.monotonic()
            train_fold(setup, data, fold=fold, seed=seed, out=args.out)
            log.info("%s fold %d seed %d: %.1f s", args.stream, fold, seed, time.monotonic() - start_s)
    for fold in args.folds:
        for seed in args.seeds:
            resume.remove(setup.corpus, setup.name, fold=fold, seed=seed)
