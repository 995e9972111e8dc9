"""What a training leaves behind: run.json, predictions.parquet, history.csv, model.safetensors, and further tables.

What a training says about single clips, as rows of PREDICTIONS.

First weights of trunks: which files the command line and params.yaml name, and what is wrong with them.

What all seeds of a row of ``pretrain`` share: the parameters that it depends on, and what it starts from.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from mien.config.schema import AugmentConfig, FacesConfig, PretrainConfig, SoundConfig, section
from mien.errors import ConfigError, ModelError
from mien.io import tables
from mien.io.files import atomic_folder, sha256, write_json
from mien.io.tables import Schema
from mien.models import checkpoint
from mien.models.checkpoint import ExtractorSettings
from mien.models.mrpn import Network, load_trunk, n_parameters
from mien.training.clips import ROLES, Recordings
from mien.training.engine import Progress


def record_of(
    recordings: Recordings,
    roles: Mapping[str, pd.DataFrame],
    *,
    variant: str,
    fold: int,
    seed: int,
    model: nn.Module,
    config: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what run.json says about a fold of a corpus before it is trained.

    roles : role -> its clips.   config : the sections of params.yaml.
    """
    names = recordings.folds.name[recordings.folds.fold == fold]
    return {
        "corpus": recordings.corpus,
        "variant": variant,
        "fold": fold,
        "fold_name": names.iloc[0],
        "seed": seed,
        "classes": list(recordings.classes),
        "n_parameters": n_parameters(model),
        "n_clips": {role: len(clips) for role, clips in roles.items()},
        "data_digest": recordings.digest,
        "config": dict(config),
    }


def outcome(progress: Progress | None, reason: str) -> dict[str, Any]:
    """Return what run.json says about the course of a run; without progress it was not applicable, for `reason`."""
    choices = {} if progress is None else progress.choices
    return {
        "status": "not applicable" if progress is None else "trained",
        "reason": reason,
        "epochs": 0 if progress is None else len(progress.history),
        "best_epoch": {selection: choice.epoch for selection, choice in choices.items()},
        "metrics": {selection: choice.metrics for selection, choice in choices.items()},
    }


def predictions_of(progress: Progress, judged: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return PREDICTIONS of all selections by a network with one head.

    judged : role -> clip, actor and label of its samples, in the order of their logits.
    """
    rows = [
        samples.assign(selection=selection, role=role, head="fused", logits=list(choice.logits[role]["fused"].numpy()))
        for selection, choice in sorted(progress.choices.items())
        for role, samples in judged.items()
    ]
    return pd.concat(rows)[tables.PREDICTIONS.columns.names]


def write(
    folder: Path,
    record: Mapping[str, Any],
    *,
    predictions: pd.DataFrame,
    history: list[dict[str, float]],
    weights: Mapping[str, Tensor],
    settings: Any,
    further: Mapping[str, tuple[pd.DataFrame, Schema]] | None = None,
) -> None:
    """Write a run folder, whole or not at all.

    settings : the dataclass of the model's header.   further : file name -> another table and its columns.
    """
    with atomic_folder(folder) as scratch:
        tables.write(scratch / "predictions.parquet", predictions, tables.PREDICTIONS)
        for name, (rows, schema) in (further or {}).items():
            tables.write(scratch / name, rows, schema)
        followed = any(tables.TRAIN_ACCURACY in row for row in history)
        columns = [*tables.HISTORY, *([tables.TRAIN_ACCURACY] if followed else [])]
        pd.DataFrame(history, columns=columns).to_csv(scratch / "history.csv", index=False, lineterminator="\n")
        checkpoint.save_state(scratch / "model.safetensors", weights, settings)
        write_json(scratch / "run.json", dict(record))


def write_not_applicable(
    folder: Path, record: Mapping[str, Any], *, reason: str, settings: Any, further: Mapping[str, Schema] | None = None
) -> None:
    """Write the folder of a run that there is nothing to train on for: tables without rows, a model without weights.

    further : file name -> the columns of another table.
    """
    write(
        folder,
        dict(record) | outcome(None, reason),
        predictions=tables.empty(tables.PREDICTIONS),
        history=[],
        weights={},
        settings=settings,
        further={name: (tables.empty(schema), schema) for name, schema in (further or {}).items()},
    )


def prediction_rows(
    recordings: Recordings, roles: dict[str, pd.DataFrame], progress: Progress, selection: str
) -> pd.DataFrame:
    """Return rows of PREDICTIONS; a side head is silent about clips without its modality."""
    rows = []
    for role in ROLES[1:]:
        for head, logits in progress.choices[selection].logits.get(role, {}).items():
            media = recordings.media.get(head)  # None for the fused head
            for clip, values in zip(roles[role].itertuples(), logits.numpy(), strict=True):
                if media is None or clip.clip in media:
                    rows.append((selection, role, clip.clip, clip.actor, clip.label, head, values))
    return pd.DataFrame(rows, columns=tables.PREDICTIONS.columns.names)


def files_of(where: str, init: Mapping[str, str], given: list[str]) -> dict[str, Path]:
    """Return modality -> file; a row of pretrain is given by its file, a file in params.yaml speaks for itself.

    where : the row of params.yaml that `init` is of, such as variants.N2.   given : texts MODALITY=FILE.

    Raises
    ------
    ConfigError : first weights are given that are not asked for, or the other way round.
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


def no_start(init: Mapping[str, str], files: Mapping[str, Path]) -> str:
    """Say which row of pretrain, that a branch starts from, was not trained; empty if all were."""
    for modality, path in sorted(files.items()):
        if checkpoint.is_bare(path):
            return f"{init[modality]}, which its {modality} branch starts from, was not trained"
    return ""


def load_first(model: Network, files: Mapping[str, Path]) -> dict[str, str]:
    """Load the trunks of `model` that have a file; return modality -> digest of its file.

    Raises
    ------
    ModelError : a file is missing, damaged or holds another trunk.
    """
    for modality, path in sorted(files.items()):
        load_trunk(model, modality, path)
    return {modality: sha256(path) for modality, path in files.items()}


FOLD = 0  # the division is the corpus's own, or one that depends on the names of its clips alone
FOLD_NAME = "official"
UNTRAINED = {"init": "", "n_parameters": 0, "n_trained": 0, "multiply_adds": 0}  # of run.json, without a network


@dataclass(frozen=True, kw_only=True)
class PretrainRun:
    """A row of ``pretrain`` with what it depends on of the other sections of params.yaml."""

    name: str  # of the row
    pretrain: PretrainConfig
    uses: Mapping[str, Any]  # the keys that `PretrainConfig.uses` names, nested as in params.yaml
    seed: int
    width: int  # channels of the first stage
    size_px: int  # side of the picture that the network looks at; 0 for sound
    dropout: float  # of vgg16; 0 for others
    crops: int  # of an utterance in an epoch; 0 for pictures
    precision: str
    faces: FacesConfig | None  # of pictures
    augment: AugmentConfig | None  # of pictures that are changed anew in every epoch
    sound: SoundConfig | None  # of voices
    init: Path | None  # model file with the first weights; None: random, or not named
    manifest: Path | None = None  # data/<corpus>.json: says where the corpus keeps its list of verification pairs

    @classmethod
    def of(
        cls, name: str, params: Mapping[str, Any], *, init: Path | None = None, manifest: Path | None = None
    ) -> "PretrainRun":
        """Take a row and what it uses out of the parameters; the file `init` is that of the row it starts from.

        Raises
        ------
        ConfigError : a key is missing, or first weights are given and none are asked for.
        ModelError : first weights are missing.
        """
        row = section(PretrainConfig, params, "pretrain", name)
        uses = _pick(params, row.uses)
        faces = section(FacesConfig, uses, "faces") if "faces" in uses else None
        of_vgg = row.network == "vgg16"
        return cls(
            name=name,
            pretrain=row,
            uses=uses,
            seed=section(int, uses, "seed"),
            width=section(int, uses, "extractor", "vgg_width") if of_vgg else section(int, uses, "train", "width"),
            size_px=section(int, uses, "extractor", "vgg_size_px") if of_vgg else 0 if faces is None else faces.size_px,
            dropout=section(float, uses, "extractor", "vgg_dropout") if of_vgg else 0.0,
            crops=section(int, uses, "extractor", "crops") if row.modality == "audio" else 0,
            precision=section(str, uses, "extractor", "precision"),
            faces=faces,
            augment=section(AugmentConfig, uses, "augment") if "augment" in uses else None,
            sound=section(SoundConfig, uses, "sound") if "sound" in uses else None,
            init=_first_weights(name, row.init, init),
            manifest=manifest,
        )

    @property
    def base(self) -> str:
        """Return the corpus of the clips."""
        return self.pretrain.corpus

    @property
    def corpus(self) -> str:
        """Return the name under which its results are kept, such as voxceleb_actor."""
        return self.pretrain.name

    def config(self) -> dict[str, Any]:
        """Return what goes into run.json: the row, and what else it uses."""
        return {"pretrain": asdict(self.pretrain), **self.uses}

    def settings(self, classes: tuple[str, ...], *, seed: int) -> ExtractorSettings:
        """Return the header of the model file of a seed."""
        return ExtractorSettings(
            corpus=self.corpus,
            base=self.base,
            variant=self.name,
            fold=FOLD,
            seed=seed,
            modality=self.pretrain.modality,
            network=self.pretrain.network,
            width=self.width,
            size_px=self.size_px,
            classes=classes,
            sound={} if self.sound is None else asdict(self.sound),
            faces={} if self.faces is None else asdict(self.faces),
        )

    def record(self, classes: tuple[str, ...], *, seed: int) -> dict[str, Any]:
        """Return what run.json says about every row."""
        return {
            "corpus": self.corpus,
            "base": self.base,
            "variant": self.name,
            "fold": FOLD,
            "fold_name": FOLD_NAME,
            "seed": seed,
            "classes": list(classes),
            "config": self.config(),
        }

    def no_start(self) -> str:
        """Say why there are no weights to start from; empty if there are, or if none are needed."""
        if self.pretrain.init == "none":
            return f"no file of first weights is named; write its path under pretrain.{self.name}.init"
        if self.init is not None and checkpoint.is_bare(self.init):
            return f"{self.pretrain.init}, which it starts from, was not trained"
        return ""


def _pick(params: Mapping[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """Return the parts of nested parameters that dotted keys lead to, nested as before."""
    chosen: dict[str, Any] = {}
    for key in keys:
        *parents, last = key.split(".")
        source, target = params, chosen
        for parent in parents:
            source, target = source.get(parent, {}), target.setdefault(parent, {})
        if last not in source:
            raise ConfigError(f"params.yaml: {key} is missing; a row of pretrain needs {', '.join(keys)}")
        target[last] = source[last]
    return chosen


def _first_weights(row: str, init: str, given: Path | None) -> Path | None:
    """Return the file of the first weights, or None where they are random or nobody has named one."""
    if init in ("random", "none"):
        if given is not None:
            raise ConfigError(f"--init {given}: pretrain.{row}.init is {init}; leave --init away or name a row there")
        return None
    path = Path(init) if given is None else given
    if not path.is_file():
        advice = "train that row first" if given else "give a row's model file with --init, fetch the file"
        raise ModelError(f"{path}: no such file of first weights for {row}; {advice}, or write init: random")
    return path
