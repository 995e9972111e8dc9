"""Command `pretrain`: a network of one modality that is trained ahead, or fine-tuned from such a one (thesis 4.3).

Below the output folder, every seed gets a folder fold0-seed<s> with

predictions.parquet  table PREDICTIONS: logits for both selections, a row per clip; the role apart has pictures of the
                     official tests with an identical duplicate in training. Training clips are listed up to a limit
history.csv          a row per epoch; losses are mean cross-entropies per sample, with the accuracy of the training pass
model.safetensors    weights of the honest epoch
run.json             settings, sizes, cost of a pass, chosen epochs and their metrics
pairs.parquet        networks of sound alone: table PAIRS, without rows where the corpus has no list of pairs

Pictures: VGG-16 sees the pictures and the copies of AUG-B as they are (thesis 4.3); ResNet-18 sees them through AUG-A,
new in every epoch, as it is the start of the branches of chapter 5, and so does ResNet-12, a network for small faces.

Sound: ResNet-18 learns who speaks. Identification: the speakers are the same in all roles, utterances are divided.
Verification: the pairs of the corpus's list (veri_test.txt) are scored by the cosine of the features of two utterances,
and two equal error rates are entered into the metrics: eer of all pairs, and eer_unheard of those of which the network
was trained on neither utterance. VoxCeleb1's lists overlap: the 40 speakers of the verification test are among the 1251
of the identification list, and at mini scale likewise, so the network knows the people of all pairs, and has been
trained on the very utterances of many. Both rates flatter it, the first more; the published ones are of networks
trained without these 40. Pairs without a voice stand in pairs.parquet without a score and are counted in run.json.

Several processes can train one network of sound, see `distributed`.
"""

import logging
import os
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from torch.nn import functional

from mien.audio.spectrogram import segment_shape
from mien.augment.aug_b import BALANCING
from mien.config import schema
from mien.config.schema import PretrainConfig
from mien.errors import ConfigError, ModelError, TableError
from mien.evaluation.verification import equal_error_rate, read_pairs
from mien.io import tables
from mien.io.files import digest, sha256
from mien.io.shards import source_root
from mien.models import checkpoint
from mien.models.checkpoint import GreyscaleInput, ModelCard
from mien.models.cost import multiply_adds
from mien.models.mrpn import load_backbone, n_parameters
from mien.models.vgg import VGG16, load_descriptor
from mien.training import engine, run_folder
from mien.training.clips import ROLES
from mien.training.distributed import Group, join_group
from mien.training.engine import Progress
from mien.training.images import FOLD, FaceImageDataset, ImageTask, read_face_images
from mien.training.run_folder import RunSpec
from mien.training.utterances import SpeakerDataset, SpeakerTask, read_speakers

log = logging.getLogger(__name__)

FOLD_NAME = "official"
UNTRAINED = {"init": "", "n_parameters": 0, "n_trained": 0, "multiply_adds": 0}  # of run.json, without a network
MOST_LISTED = 50_000  # training pictures whose predictions are written; with more, only their accuracy is
LIST = "veri_test.txt"
PAIRS_FILE = "pairs.parquet"


def pretrain(
    *,
    row: str,
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    init: Path | None = None,
    manifest: Path | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a network of one modality ahead; a run that was killed goes on from its checkpoints.

    Parameters
    ----------
    row : str
        Row of pretrain in params.yaml.
    out : Path
        results/training/CORPUS/ROW, or CORPUS_actor/ROW.
    init : Path
        File model.safetensors of the row that pretrain.ROW.init names.
    manifest : Path
        data/CORPUS.json; networks of sound: where the verification pairs are.

    Raises
    ------
    ConfigError : pretrained weights are given and none are asked for.
    ModelError : pretrained weights are missing.
    """
    engine.prepare(jobs)
    params = schema.load(config)
    settings = schema.section(PretrainConfig, params, "pretrain", row)
    init_file = _find_init(row, settings.init, init)
    run = RunSpec(
        corpus=settings.name,
        name=row,
        settings=run_folder.read_settings(params, *settings.uses, pretrain=f"pretrain.{row}"),
        out=out,
        init={} if init_file is None else {settings.modality: init_file},
    )
    if settings.modality == "video":
        train_pictures(run, data, seeds)
    else:
        train_speakers(run, data, seeds, manifest)


def _find_init(row: str, init: str, given: Path | None) -> Path | None:
    """Return the file of the pretrained weights, or None where they are random or nobody has named one."""
    if init in ("random", "none"):
        if given is not None:
            raise ConfigError(f"--init {given}: pretrain.{row}.init is {init}; leave --init away or name a row there")
        return None
    path = Path(init) if given is None else given
    if not path.is_file():
        advice = "train that row first" if given else "give a row's model file with --init, fetch the file"
        raise ModelError(f"{path}: no such file of first weights for {row}; {advice}, or write init: random")
    return path


def _check_init(run: RunSpec) -> Iterable[tuple[bool, str]]:
    """Yield why there are no weights to start from."""
    start = run.settings.pretrain.init
    where = f"pretrain.{run.name}.init, or of the row that it is like"
    yield start == "none", f"no file of first weights is named; write its path under {where}"
    for path in run.init.values():
        yield checkpoint.is_bare(path), f"{start}, which it starts from, was not trained"


def _make_card(run: RunSpec, classes: tuple[str, ...]) -> ModelCard:
    row, of = run.settings.pretrain, run.settings
    faces, sound = getattr(of, "faces", None), getattr(of, "sound", None)
    is_vgg = row.network == "vgg16"
    size_px = of.extractor.vgg_size_px if is_vgg else row.size_px or faces.size_px if faces else 0
    return run.card(
        "extractor",
        base=row.corpus,
        modalities=(row.modality,),
        model=row.network,
        width=of.extractor.vgg_width if is_vgg else row.width or of.train.width,
        size_px=size_px,
        classes=classes,
        sound=sound or {},
        faces=faces or {},
    )


def train_pictures(run: RunSpec, results: Path, seeds: Iterable[int]) -> None:
    """Train every seed of a row that looks at pictures and write its folder.

    Raises
    ------
    ModelError : pretrained weights do not fit, pictures are too small, or the loss is no longer a number.
    TableError : a stage has not run, or its files are damaged.
    CorpusError : people are asked for and the corpus does not name them.
    ConfigError : several processes are started by torchrun.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError(f"pretrain.{run.name} looks at pictures: one process trains it; run it without torchrun")
    row = run.settings.pretrain
    size_px = _make_card(run, ()).size_px
    data = read_face_images(results, row.corpus, target=row.target, faces=run.settings.faces, size_px=size_px)
    run_folder.train_runs(run, lambda one: _train_pictures(one, data), folds=[FOLD], seeds=seeds)


def _train_pictures(run: RunSpec, data: FaceImageDataset) -> None:
    row = run.settings.pretrain
    card = _make_card(run, data.classes)
    draws = run.draws("pretrain", run.corpus, run.seed)  # without the name: rows of one study start alike
    if row.balance:
        data = data.balanced(draws.rng("copies"))
    record = run.record(
        FOLD_NAME,
        card.classes,
        base=row.corpus,
        n_clips={role: len(data.rows.get(role, ())) for role in (*ROLES, "apart")},
        n_shown=len(data.shown),  # pictures of an epoch, copies included
        n_copies=len(data.copies),
        data_digest=data.digest,
    )
    if row.balance:
        record["config"]["aug_b"] = asdict(BALANCING)
    if reason := run_folder.find_reason(_check_pictures(run, data)):
        run_folder.write(run, record | UNTRAINED, card, reason=reason)
        return
    dropout = run.settings.extractor.vgg_dropout if row.network == "vgg16" else row.dropout
    network = checkpoint.network(card, seed=draws.number("weights"), dropout=dropout)
    init = _load_init(run, network)
    model = GreyscaleInput(network)
    record |= {
        "init": init,
        "n_parameters": n_parameters(network),
        "n_trained": sum(weight.numel() for weight in network.parameters() if weight.requires_grad),
        "multiply_adds": multiply_adds(model, (1, 1, data.size_px, data.size_px), computed=True),
    }
    task = ImageTask(
        data=data,
        batch=row.batch,
        augment=getattr(run.settings, "augment", None),
        draws=draws,
        precision=run.settings.extractor.precision,
        follow_training=True,
        loss=engine.make_loss(row, data.label[data.pictures], len(data.classes)),
        side_of=(lambda epoch: row.sides[(epoch - 1) * len(row.sides) // row.epochs]) if row.sides else None,
    )
    spec = run.spec(record, code="training.pretrain:train_pictures", **_recipe(row, task))
    progress = engine.fit(model, task, spec)
    task.evaluate_choices(model, progress)
    listed = {role: rows for role, rows in data.rows.items() if role != "training" or len(rows) <= MOST_LISTED}
    samples = {role: data.clips.iloc[data.clip[rows]] for role, rows in listed.items()}
    samples = {role: rows[["clip", "actor"]].assign(label=rows.target) for role, rows in samples.items()}
    run_folder.write(run, record, card, progress=progress, samples=samples, within="network.")


def _recipe(row: PretrainConfig, task: ImageTask | SpeakerTask) -> dict[str, Any]:
    """Return the fields of `TrainSpec` that a row decides."""
    decided = engine.recipe(row, schedule="constant", weight_decay=None)
    how = {"learning_rate": row.learning_rate, "epochs": row.epochs, "steps": task.steps}
    return how | {"evaluate_every": row.evaluate_every} | decided


def _load_init(run: RunSpec, network: nn.Module) -> str:
    """Load pretrained weights into `network` and freeze what is not trained; return the SHA-256 of the file, or empty.

    The last layer starts anew: equally many classes need not be the same ones.
    """
    found = ""
    for path in run.init.values():
        if isinstance(network, VGG16):
            found = load_descriptor(network, path, last_layer=False)
        else:
            load_backbone(network, path, of=run.settings.pretrain.network, where="pretrain.*.init")
            found = sha256(path)
    if run.settings.pretrain.trained == "dense":
        network.freeze_convolutions()
    return found


def _check_pictures(run: RunSpec, data: FaceImageDataset) -> Iterable[tuple[bool, str]]:
    """Yield what keeps the row from being trained on these pictures."""
    corpus = run.settings.pretrain.corpus
    yield not len(data.clips), f"{corpus} has no usable video"
    yield len(data.pictures) < 2, f"{corpus} has {len(data.pictures)} pictures to train on"
    for role in ROLES[1:]:
        yield role not in data.rows, f"{corpus} has no picture for the role {role}"
    yield len(set(data.label[data.pictures])) < 2, f"the training pictures of {corpus} are of one class"
    yield from _check_init(run)


def train_speakers(run: RunSpec, results: Path, seeds: Iterable[int], manifest: Path | None) -> None:
    """Train every seed of a row that listens and write its folder.

    Started by torchrun, every process calls this and the first one writes.

    Raises
    ------
    ConfigError : something else than a whole network that tells people apart is asked for.
    ModelError : pretrained weights do not fit, the loss is no longer a number, or processes have different data.
    TableError : a stage has not run, or its files are damaged.
    CorpusError : the corpus does not name its people, or its list of pairs is damaged.
    """
    row = run.settings.pretrain
    if (row.target, row.trained) != ("actor", "all"):
        raise ConfigError(
            f"params.yaml: pretrain.{run.name}: networks of sound learn target: actor with trained: all,"
            f" found {row.target} and {row.trained}"
        )
    group = join_group()
    data = read_speakers(results, row.corpus, run.settings.sound)
    listed = find_pairs(manifest, row.corpus)
    pairs = None if listed is None else read_pairs(listed)
    data = replace(data, files=[*data.files, "" if listed is None else sha256(listed)])

    def train_one(one: RunSpec) -> None:
        _train_speakers(one, data, pairs, group)
        group.collect(None)  # checkpoints are deleted next: not before the first process has written

    run_folder.train_runs(run, train_one, folds=[FOLD], seeds=seeds)


def find_pairs(manifest: Path | None, corpus: str) -> Path | None:
    """Return the list of verification pairs in the corpus that data/<corpus>.json describes, if there is one.

    Raises
    ------
    TableError : the manifest is no manifest of this corpus, or the corpus is no longer where it says.
    """
    if manifest is None:
        return None
    root, _ = source_root(manifest, corpus)
    if not root.is_dir():
        raise TableError(f"{manifest}: {root} is not there; run from the repository root, or get_corpus again")
    direct = root / LIST
    return direct if direct.is_file() else min(root.rglob(LIST), default=None)


def _train_speakers(run: RunSpec, data: SpeakerDataset, pairs: pd.DataFrame | None, group: Group) -> None:
    row, of = run.settings.pretrain, run.settings
    card = _make_card(run, data.speakers)
    draws = run.draws("pretrain", run.corpus, run.seed)  # without the name: rows of one study start alike
    n_clips, n_listed = {role: len(rows) for role, rows in data.rows.items()}, data.clips.role.value_counts()
    record = run.record(
        FOLD_NAME,
        card.classes,
        base=row.corpus,
        n_clips=n_clips,
        n_missing={role: int(n_listed.get(role, 0)) - n for role, n in n_clips.items()},  # without a voice
        n_unlisted=int(n_listed.get("", 0)),  # in no role, see divide_voices
        n_shown=n_clips["training"] * of.extractor.crops,  # crops of an epoch
        data_digest=digest(data.files),
        init="".join(sha256(path) for path in run.init.values()),
    )
    task = SpeakerTask(
        data=data,
        crops=of.extractor.crops,
        batch=row.batch,
        draws=draws,
        precision=of.extractor.precision,
        group=group,
        loss=engine.make_loss(row, data.label[data.rows["training"]], len(data.speakers)),
    )
    spec = run.spec(*(record, group.size), code="training.pretrain:train_speakers", **_recipe(row, task))
    group.require_equal(spec.key, f"{run.corpus} {run.name} seed {run.seed}")
    if reason := run_folder.find_reason(_check_speakers(run, data)):
        if group.is_first:
            further = {PAIRS_FILE: (None, tables.PAIRS)}
            run_folder.write(run, record | UNTRAINED, card, reason=reason, further=further)
        return
    network = checkpoint.network(card, seed=draws.number("weights"))
    _load_init(run, network)
    progress = engine.fit(network, task, spec, group=group)
    pairs = tables.empty(tables.PAIRS) if pairs is None else _verify(pairs, task, network, progress)
    if not group.is_first:
        return
    n_missing = int(pairs.score.isna().sum())
    log.info("%s: %d of %d pairs have no voice and no score", row.corpus, n_missing, len(pairs))
    record |= {
        "n_parameters": n_parameters(network),
        "n_trained": n_parameters(network),
        "multiply_adds": multiply_adds(network, (1, 1, *segment_shape(of.sound)), computed=True),
        "n_pairs": {
            "scored": len(pairs) - n_missing,
            "unheard": int((pairs.score.notna() & ~pairs.heard).sum()),  # of the scored ones
            "missing": n_missing,
        },
    }
    samples = {role: data.samples(role) for role in spec.roles}  # training utterances are too many to be evaluated
    further = {PAIRS_FILE: (pairs, tables.PAIRS)}
    run_folder.write(run, record, card, progress=progress, samples=samples, further=further)


def _check_speakers(run: RunSpec, data: SpeakerDataset) -> Iterable[tuple[bool, str]]:
    """Yield what keeps speakers from being learnt from these utterances."""
    corpus = run.settings.pretrain.corpus
    yield not len(data.utterances.clip), f"{corpus} has no usable audio"
    taught = len(set(data.label[data.rows["training"]]))
    yield taught < 2, f"the training utterances of {corpus} are of {'one speaker' if taught else 'nobody'}"
    for role in ROLES[1:]:
        yield not len(data.rows[role]), f"{corpus} has no utterance for the role {role}"
    yield from _check_init(run)


def _verify(pairs: pd.DataFrame, task: SpeakerTask, model: nn.Module, progress: Progress) -> pd.DataFrame:
    """Enter the equal error rates of both selections into `progress`; return PAIRS as the honest network scores them.

    pairs : see `read_pairs`.
    """
    clip = task.data.utterances.clip
    row_of = pd.Series(np.arange(len(clip)), index=clip)
    one, other = (row_of.reindex(pairs[side]).to_numpy() for side in ("one", "other"))  # NaN: no voice
    scored = ~(np.isnan(one) | np.isnan(other))
    trained_on = clip[task.data.rows["training"]]
    pairs = pairs.assign(heard=pairs.one.isin(trained_on) | pairs.other.isin(trained_on), score=np.nan)
    one, other = one[scored].astype(np.int64), other[scored].astype(np.int64)
    rows = np.union1d(one, other)
    same, unheard = pairs.same[scored].to_numpy(), ~pairs.heard[scored].to_numpy()
    for selection, choice in progress.choices.items():
        model.load_state_dict(choice.weights)
        features = functional.normalize(task.embed(model, rows)).numpy()
        sides = (features[np.searchsorted(rows, side)] for side in (one, other))
        score = np.einsum("pd,pd->p", *sides).astype(np.float64)
        if selection == "honest":
            pairs.loc[scored, "score"] = score
        rates = {
            "eer": equal_error_rate(score, same)[0],
            "eer_unheard": equal_error_rate(score[unheard], same[unheard])[0],
        }
        choice.metrics = choice.metrics | {name: rate for name, rate in rates.items() if np.isfinite(rate)}
    return pairs
