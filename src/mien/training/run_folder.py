"""What all trainings share: the specification of a run, and the folder that it leaves behind.

A run folder has run.json, predictions.parquet, history.csv, model.safetensors, and further tables of some kinds. No
file holds a time: the same seed gives the same bytes. A run for which something is missing is recorded as "not
applicable", with the reason, and is no error.
"""

import logging
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
from torch import nn

from mien.config import schema
from mien.config.values import plain
from mien.errors import ConfigError
from mien.io import tables
from mien.io.files import atomic_folder, digest, sha256, write_json
from mien.io.provenance import code_digest
from mien.io.tables import Schema
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network, load_backbone, n_parameters
from mien.training import engine
from mien.training.clips import ALSO, NO_LEVEL, ClipDataset
from mien.training.engine import Draws, Progress, TrainSpec

log = logging.getLogger(__name__)

EVERYBODY = -1  # in the place of a fold: all people are trained on
FEWEST_PEOPLE = 3  # to test, to validate and to train


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What is trained: a row of params.yaml with what it depends on, on one fold with one seed.

    corpus, name : whose results these are, such as voxceleb_actor, and the row.
    settings : sections of params.yaml that the result depends on, from `read_settings`.
    out : results/training/CORPUS/NAME, for a folder of every fold and seed.
    init : modality -> file with pretrained weights; random where absent.
    fold, seed : the fold that is tested, `EVERYBODY` where nobody is, and the repetition.
    """

    corpus: str
    name: str
    settings: SimpleNamespace
    out: Path
    init: Mapping[str, Path]
    fold: int = 0
    seed: int = 0

    @property
    def folder(self) -> Path:
        """Return the folder of the fold and seed."""
        fold = "everybody" if self.fold == EVERYBODY else f"fold{self.fold}"
        return Path(self.out) / f"{fold}-seed{self.seed}"

    def beside(self, name: str) -> Path:
        """Return the folder of the same fold and seed of another row."""
        return Path(self.out).parent / name / self.folder.name

    @property
    def checkpoint(self) -> Path:
        """Return where checkpoints are kept, below the working directory."""
        return engine.ROOT / self.corpus / self.name / self.folder.name

    def draws(self, *scope: object) -> Draws:
        """Return the random numbers that `scope` names."""
        return Draws(self.settings.seed, scope)

    def card(self, kind: str, **more: Any) -> ModelCard:
        """Return the header of the model file."""
        return ModelCard(
            kind=kind, corpus=self.corpus, variant=self.name, fold=self.fold, seed=self.seed, **_plain(more)
        )

    def record(self, fold_name: str, classes: tuple[str, ...], **more: Any) -> dict[str, Any]:
        """Return what run.json says before the training; which seeds others train does not matter to a run."""
        return {
            "corpus": self.corpus,
            "variant": self.name,
            "fold": self.fold,
            "fold_name": fold_name,
            "seed": self.seed,
            "classes": list(classes),
            "config": _plain(self.settings),
        } | more

    def spec(self, *parts: object, code: str, **how: Any) -> TrainSpec:
        """Return how it is trained.

        parts : what the result depends on.   code : entry of the code digest.   how : fields of `TrainSpec`.
        """
        key = digest([*parts, code_digest(code), *engine.environment()])
        return TrainSpec(checkpoint=self.checkpoint, key=key, **how)


def _plain(value: Any) -> Any:
    """Return sections as dictionaries."""
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    return {key: _plain(one) for key, one in value.items()} if isinstance(value, dict) else plain(value)


def read_settings(params: Mapping[str, Any], *keys: str, **rows: str) -> SimpleNamespace:
    """Return sections of resolved parameters by name.

    keys : dotted, such as "faces", or "train.width" for one value of a section.
    rows : name -> row of a section, such as variant="variants.N2".

    Raises
    ------
    ConfigError : a section or key is missing or wrong.
    """
    settings = SimpleNamespace()
    for name, key in (dict(zip(keys, keys, strict=True)) | rows).items():
        *parents, last = name.split(".")
        place, path = settings, key.split(".")
        for parent in parents:
            place = vars(place).setdefault(parent, SimpleNamespace())
        setattr(place, last, schema.section(schema.kind_at(schema.Params, path), params, *path))
    return settings


def train_runs(
    run: RunSpec, train_one: Callable[[RunSpec], None], *, folds: Iterable[int], seeds: Iterable[int]
) -> None:
    """Train every fold and seed; what was finished before a kill is read from its checkpoint."""
    runs = [replace(run, fold=fold, seed=seed) for fold in folds for seed in seeds]
    for one in runs:
        train_one(one)
    for one in runs:  # only now: the outputs of a command are whole or are made again
        shutil.rmtree(one.checkpoint, ignore_errors=True)


def find_reason(*checks: Iterable[tuple[bool, str]]) -> str:
    """Return the text of the first check that is true, why a run is not applicable; empty if it is."""
    return next((reason for group in checks for wrong, reason in group if wrong), "")


def describe_clips(
    run: RunSpec, dataset: ClipDataset, roles: Mapping[str, pd.DataFrame], model: nn.Module
) -> dict[str, Any]:
    """Return what run.json says about a fold of a corpus before it is trained on the clips of `roles`."""
    return run.record(
        dataset.name_of(run.fold),
        dataset.classes,
        n_parameters=n_parameters(model),
        n_clips={role: len(clips) for role, clips in roles.items()},
        data_digest=dataset.digest,
    )


def check_clips(dataset: ClipDataset, roles: Mapping[str, pd.DataFrame]) -> Iterable[tuple[bool, str]]:
    """Yield what keeps a network of the modalities of `dataset` from being trained on the clips of `roles`."""
    names = list(dataset.media)
    n_people = dataset.clips.group.nunique()
    has = f"{dataset.corpus} has {n_people} {'person' if n_people == 1 else 'people'}"
    yield dataset.folds.empty, f"{has}, {FEWEST_PEOPLE} or more are needed"
    for modality, media in dataset.media.items():
        yield not media, f"{dataset.corpus} has no usable {modality}"
    n_training = len(roles["training"])
    yield n_training < 2, f"the training people have {n_training} clips with {' and '.join(names)}"
    for role, clips in roles.items():
        yield clips.empty, f"the {role} people have no clip with {' or '.join(names)}"


def check_init(init: Mapping[str, str], files: Mapping[str, Path]) -> Iterable[tuple[bool, str]]:
    """Yield whether a row of pretrain that a branch starts from was not trained."""
    for modality, path in sorted(files.items()):
        yield checkpoint.is_bare(path), f"{init[modality]}, which its {modality} branch starts from, was not trained"


def find_init(where: str, init: Mapping[str, str], given: Iterable[str]) -> dict[str, Path]:
    """Return modality -> file of pretrained weights; a file that params.yaml names itself need not be given.

    Parameters
    ----------
    where : row of params.yaml that `init` is of, such as variants.N2.
    init : modality -> row of pretrain, or file.
    given : texts MODALITY=FILE.

    Raises
    ------
    ConfigError : weights are given that are not asked for, or the other way round.
    """
    files = {modality: Path(name) for modality, name in init.items()}
    for text in given:
        modality, _, path = text.partition("=")
        if modality not in init or not path:
            raise ConfigError(
                f"--init {text}: {where}.init is {dict(init) or 'random'}; give MODALITY=FILE for these modalities"
            )
        files[modality] = Path(path)
    for modality, path in files.items():
        if not path.is_file():
            raise ConfigError(
                f"{where}.init.{modality}: {path} is no file; train that row of pretrain first and give its"
                f" model with --init {modality}=FILE, or leave {modality} out of init for random weights"
            )
    return files


def load_init(model: Network, files: Mapping[str, Path]) -> dict[str, str]:
    """Load the trunks of `model` that have a file; return modality -> digest of its file.

    Raises
    ------
    ModelError : a file is missing, damaged or holds another trunk.
    """
    for modality, path in sorted(files.items()):
        load_backbone(model.branches[modality].trunk, path, of=f"{modality} branch", where="variants.*.init")
    return {modality: sha256(path) for modality, path in files.items()}


def write(
    run: RunSpec,
    record: Mapping[str, Any],
    card: ModelCard,
    *,
    reason: str = "",
    progress: Progress | None = None,
    samples: Mapping[str, pd.DataFrame] | None = None,
    media: Mapping[str, Mapping[str, Any]] | None = None,
    kept: str = "honest",
    within: str = "",
    further: Mapping[str, tuple[pd.DataFrame | None, Schema]] | None = None,
    also: Iterable[str] = (),
) -> None:
    """Write the folder of a run, whole or not at all.

    record : what run.json says beside the course of the training.
    reason : why the run is not applicable; tables then have no rows, and the model no weights.
    progress : of a run that was trained.
    samples : role -> clip, actor and label of the samples that are listed, in the order of their logits.
    media : head -> the clips that it can say something about; others have all.
    kept, within : the selection whose weights are written, and the part of the model that they are of, all of it if
        empty.
    further : file name -> another table (None: without rows) and its columns.
    also : heads of further targets, whose predictions go to a file of their own, of the clips whose target is known.
    """
    progress = progress or Progress()
    record = dict(record) | {
        "status": "not applicable" if reason else "trained",
        "reason": reason,
        "epochs": len(progress.history),
        "best_epoch": {selection: choice.epoch for selection, choice in progress.choices.items()},
        "metrics": {selection: choice.metrics for selection, choice in progress.choices.items()},
    }
    told = _list_predictions(progress, samples or {})
    predictions = [
        rows[rows["clip"].isin(media[head])] if media and head in media else rows
        for head, rows in told
        if head not in also
    ]
    of_targets = {target: _join([_of_target(rows, head) for head, rows in told if head == target]) for target in also}
    further = dict(further or {}) | {
        f"{target}.parquet": (rows, tables.PREDICTIONS) for target, rows in of_targets.items()
    }
    followed = any(tables.TRAIN_ACCURACY in row for row in progress.history)
    columns = [*tables.HISTORY, *([tables.TRAIN_ACCURACY] if followed else [])]
    weights = {} if reason else progress.choices[kept].weights
    with atomic_folder(run.folder) as scratch:
        for name, (rows, kind) in {"predictions.parquet": (_join(predictions), tables.PREDICTIONS), **further}.items():
            tables.write(scratch / name, tables.empty(kind) if rows is None else rows, kind)
        history = pd.DataFrame(progress.history, columns=columns)
        history.to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        weights = {name.removeprefix(within): value for name, value in weights.items()}
        checkpoint.save(scratch / "model.safetensors", weights, card)
        write_json(scratch / "run.json", record)
    said = f"not applicable: {reason}" if reason else record["metrics"]
    log.info("%s %s fold %d seed %d: %s", run.corpus, run.name, run.fold, run.seed, said)


def _list_predictions(progress: Progress, samples: Mapping[str, pd.DataFrame]) -> list[tuple[str, pd.DataFrame]]:
    """Return every head and what it said of the samples of a role, by the weights of a selection."""
    return [
        (head, part.assign(selection=selection, role=role, head=head, logits=list(logits.numpy())))
        for selection, choice in sorted(progress.choices.items())
        for role, part in samples.items()
        for head, logits in choice.logits[role].items()
    ]


def _of_target(rows: pd.DataFrame, target: str) -> pd.DataFrame:
    """Return the rows of a further target whose truth is known: its head is the fused one of this target."""
    rows = rows.assign(head="fused", label=rows[f"{ALSO}{target}"])
    return rows[rows.label != NO_LEVEL]


def _join(parts: list[pd.DataFrame]) -> pd.DataFrame | None:
    """Return PREDICTIONS; None without parts."""
    return pd.concat(parts)[tables.PREDICTIONS.columns.names] if parts else None
