"""Which trained networks judge a clip, and what is known of them: who they learnt from, and how often they are right.

All networks of a row judge together, one of every fold: the mean of their probabilities, calibrated by a temperature
that is fitted on the validation people of all folds. Whoever is new to all of them gets a cross-entropy that is at most
the mean of theirs (Jensen's inequality), while the fold of the lowest validation loss is the one with the easiest
validation people, and leaves others unused. How often the mean is right cannot be measured: everybody was learnt from
by some of them; what is said is how often one of them is right, of people whom it did not learn from.

Where nothing judges faces and voices together, a network of each does (`combine`): whatever they were trained on, they
answer in the names of emotions that both know, and the product of their calibrated probabilities, each divided by the
shares of its training clips, is the answer (Kittler, Hatef, Duin & Matas 1998, On combining classifiers, eq. 8: faces
and voices of one emotion are taken to be independent, and emotions to be equally frequent).
"""

import hashlib
import logging
import math
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.apps import Models, Names
from mien.audio.spectrogram import segment_shape
from mien.config import schema
from mien.config.labels import common_names, label_map
from mien.config.schema import CandideConfig, FacesConfig, SoundConfig
from mien.config.values import plain
from mien.errors import ConfigError, ModelError, TableError
from mien.io.files import read_json, sha256
from mien.models import checkpoint
from mien.models.checkpoint import GreyscaleInput, ModelCard
from mien.models.mrpn import Network
from mien.models.onnx import use_onnx, write_onnx

if TYPE_CHECKING:
    import pandas as pd

    from mien.evaluation.runs import Run

log = logging.getLogger(__name__)

Rows = Callable[[Network], Tensor]  # what a network says of some recordings, (M, D)
SHOWN_BY = {"video": "face", "audio": "voice", "units": "face"}  # modality -> what a clip without it lacks
VARIABLE = "MIEN_MODELS"  # of the environment: the folder with models
CONFIDENCE = 0.95  # of the interval of an accuracy
WEIGHTS = "model.safetensors"
RUNTIMES = ("torch", "onnx")  # that networks run by
LEAST = 1e-12  # of a probability of which the logarithm is taken
RULE = "product of calibrated probabilities, each divided by the shares of its training"


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """Who judges; None, or an empty text, where it is not known.

    Accuracy is the mean over folds of the share of clips that one network judges rightly, 0..1, of people whom it did
    not learn from, with its interval of 95 %.
    """

    row: str
    corpus: str
    modalities: tuple[str, ...]
    networks: int  # that judge together
    people: str | None = None  # whom one of the networks, or several, learnt from, such as "12 synthetic people"
    n_people: int | None = None
    synthetic: bool | None = None  # whether the people are
    clips: int | None = None  # that a network learnt from, at most
    accuracy: float | None = None
    accuracy_low: float | None = None
    accuracy_high: float | None = None
    tested_people: int | None = None
    protocol: str = ""  # honest: epochs chosen on people who are not reported; thesis: on those who are
    temperature: float = 1.0
    calibrated: bool = False  # the temperature was fitted, on validation people
    classes: tuple[str, ...] = ()  # that it answers in
    uar: float | None = None  # unweighted average recall of the same clips, and its interval
    uar_low: float | None = None
    uar_high: float | None = None
    recalls: Mapping[str, float] | None = None  # class -> share of its clips that are judged rightly
    # of probabilities at the temperature, on those clips, in `calibration.BINS` bins
    calibration_error: float | None = None
    tested_clips: int | None = None
    shares: Mapping[str, float] | None = None  # class -> share of the training clips, as the loss weighs them
    terms: str = ""  # of the corpus
    address: str = ""
    made: Mapping[str, Any] | None = None  # command, revision, processor, cpu_hours
    parts: "tuple[ModelInfo, ...]" = ()  # of a model that is several ones joined
    file: str = ""  # or the folder of a row
    sha256: str = ""  # of the file; of a row: of those of its files, in the order of folds, in hexadecimal
    checked: bool = False  # the weights are those that training or export wrote; False: nothing says what they were

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values of JSON."""
        said = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return said | {"parts": [part.to_dict() for part in self.parts]}

    def describe(self) -> str:
        """Say it in one line."""
        if self.parts:
            return f"{RULE}: " + "; ".join(f"({part.shown_by}) {part.describe()}" for part in self.parts)
        alike = f"{self.networks} networks" if self.networks > 1 else "1 network"
        text = f"{self.row} of {self.corpus} ({alike}), trained on {self.people or 'people of whom nothing is known'}"
        if self.accuracy is None:
            return f"{text}; its accuracy is not known"
        ends = ""
        if self.accuracy_low is not None:
            ends = f" ({100 * self.accuracy_low:.0f} to {100 * self.accuracy_high:.0f})"
        who = "such people that a network was not trained on" if self.tested_people else "the official test"
        if self.protocol == "thesis":
            who += ", on whom its epoch was chosen"
        return f"{text}; right in {100 * self.accuracy:.0f}%{ends} of the clips of {who}"

    @property
    def shown_by(self) -> str:
        """Return what it judges by: face, voice, or face+voice."""
        return "+".join(dict.fromkeys(SHOWN_BY[name] for name in SHOWN_BY if name in self.modalities))


class FrameClassifier(nn.Module):
    """A network of `pretrain` as one of clips: every clip is a grey picture.

    {"video": (B, 1, S, S) grey levels 0..255} -> {"fused": (B, C) logits}; pictures of another size are resized, as
    training does.
    """

    def __init__(self, network: nn.Module, size_px: int) -> None:
        super().__init__()
        self.network, self.size_px = GreyscaleInput(network), size_px

    def forward(self, inputs: Mapping[str, Tensor], n_steps: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        pictures, size = inputs["video"], (self.size_px, self.size_px)
        if pictures.shape[-1] != self.size_px:
            pictures = functional.interpolate(pictures, size, mode="bilinear", antialias=True)
        return {"fused": self.network(pictures)}


def _forward_with_reference(
    network: nn.Module,
    inputs: Mapping[str, Tensor],
    n_steps: Mapping[str, Tensor] | None,
    references: Sequence[Mapping[str, Rows]],
) -> dict[str, Tensor]:
    if not any(references):
        return network(inputs, n_steps)
    encoded = {name: value.clone() for name, value in network.forward_features(inputs, n_steps).items()}
    for clip, reference in enumerate(references):
        for name, rows in reference.items():
            encoded[name][clip] = network.adapt_to_reference(name, encoded[name][clip], rows(network))
    return network.forward_heads(encoded, n_steps)


class Ensemble(nn.Module):
    """Networks of one row as one: head -> log of the mean of their probabilities, so softmax gives that mean."""

    def __init__(self, networks: Sequence[Network], temperature: float = 1.0) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.temperature = temperature

    def forward(
        self,
        inputs: Mapping[str, Tensor],
        n_steps: Mapping[str, Tensor] | None = None,
        references: Sequence[Mapping[str, Rows]] = (),
    ) -> dict[str, Tensor]:
        """Return head -> (B, C); see `Network`.

        references : of every clip, modality -> features that a network has of other recordings of the person.
        """
        outputs = [_forward_with_reference(network, inputs, n_steps, references) for network in self.networks]
        logs = {head: [(one[head].float() / self.temperature).log_softmax(1) for one in outputs] for head in outputs[0]}
        return {head: torch.stack(rows).logsumexp(0) - math.log(len(rows)) for head, rows in logs.items()}


@dataclass(frozen=True)
class Model:
    """Trained networks of one row with what their files say, or several such models joined.

    Attributes
    ----------
    network : of a joined model None.
    settings : its classes are the names that the model answers in.
    sound : of a network of single pictures, that of params.yaml of the package.
    names : (C, L) 0 and 1: as which of the L classes each of the C that the network knows counts; None: they are the
        same.
    parts : of a joined model.
    """

    path: Path
    network: Ensemble | None
    settings: ModelCard
    faces: FacesConfig
    sound: SoundConfig
    candide: CandideConfig | None = None  # where it looks at action units
    info: ModelInfo | None = None
    names: np.ndarray | None = None
    parts: "tuple[Model, ...]" = ()

    @property
    def by_subject(self) -> bool:
        """Tell whether the person's own recordings standardise what it is given."""
        return self.settings.normalise == "subject"

    @property
    def shows(self) -> set[str]:
        """Return what it judges by: face, voice, or both."""
        return {SHOWN_BY[name] for name in self.settings.modalities}

    def to_names(self, probabilities: np.ndarray) -> np.ndarray:
        """Return probabilities (B, C) of the network's classes as those (B, L) of the model's."""
        if self.names is None:
            return probabilities
        found = np.maximum(probabilities @ self.names, LEAST)
        return found / found.sum(axis=1, keepdims=True)

    @property
    def prior(self) -> np.ndarray:
        """Return (L,) the shares of its training clips; alike where they are not known."""
        shares = self.info.shares if self.info is not None else None
        if not shares:
            return np.full(len(self.settings.classes), 1 / len(self.settings.classes))
        return self.to_names(np.array([[shares.get(name, 0.0) for name in self.info.classes]]))[0]


def join(models: Sequence[Model], said: Sequence[np.ndarray]) -> np.ndarray:
    """Return what models say together, (B, L): the product of p / prior, divided by its sum.

    Parameters
    ----------
    said
        (B, L) of each model, see `Model.to_names`.
    """
    logs = sum(np.log(np.maximum(one, LEAST)) - np.log(model.prior) for model, one in zip(models, said, strict=True))
    shares = np.exp(logs - logs.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def combine(models: Sequence[Model]) -> list[Model]:
    """Return the models, and before them the first of faces and the first of voices as one, if none judges by both.

    Where those two answer in different classes, all models answer in the names that all of them know: RAVDESS's
    neutral and calm are one, and what one of them does not know is left out.

    Raises
    ------
    ModelError : fewer than two names are left.
    """
    face, voice = (next((one for one in models if one.shows == {shown}), None) for shown in ("face", "voice"))
    if face is None or voice is None or any(len(model.shows) > 1 for model in models):
        return list(models)
    if len({model.settings.classes for model in models}) > 1:
        names = common_names(voice.settings.classes, *(model.settings.classes for model in models))
        if len(names) < 2:
            raise ModelError(
                f"{face.path} and {voice.path} have {', '.join(names) or 'no emotion'} in common, two are needed;"
                " name one of them"
            )
        renamed = [_answer_in(model, names) for model in models]
        face, voice = (renamed[models.index(one)] for one in (face, voice))
        models = renamed
    infos = tuple(part.info for part in (face, voice))
    card = replace(
        voice.settings,
        corpus=" + ".join(dict.fromkeys((face.settings.corpus, voice.settings.corpus))),
        variant=f"{face.settings.variant} + {voice.settings.variant}",
        modalities=(*face.settings.modalities, *voice.settings.modalities),
    )
    info = None if None in infos else _describe_parts(card, infos)
    place, candide = Path(f"{face.path} + {voice.path}"), face.candide
    return [Model(place, None, card, face.faces, voice.sound, candide, info, parts=(face, voice)), *models]


def _answer_in(model: Model, names: tuple[str, ...]) -> Model:
    return replace(
        model, settings=replace(model.settings, classes=names), names=label_map(model.settings.classes, names)
    )


def _describe_parts(card: ModelCard, parts: tuple[ModelInfo, ...]) -> ModelInfo:
    files = [part.file for part in parts]
    return ModelInfo(
        row=card.variant,
        corpus=card.corpus,
        modalities=card.modalities,
        networks=sum(part.networks for part in parts),
        people=" and ".join(part.people or "people of whom nothing is known" for part in parts),
        synthetic=None if None in (known := [part.synthetic for part in parts]) else any(known),
        calibrated=all(part.calibrated for part in parts),
        classes=card.classes,
        file=" + ".join(files),
        sha256=hashlib.sha256("".join(part.sha256 for part in parts).encode()).hexdigest(),
        checked=all(part.checked for part in parts),
        parts=parts,
    )


def load_models(paths: Sequence[Path], *, reference: bool = False, runtime: str = "torch") -> list[Model]:
    """Load networks for whole clips, onto the GPU if there is one and torch runs them.

    Parameters
    ----------
    paths
        Of every model: the folder of a row, such as results/training/ravdess/N2, of which a network of every fold is
        taken; one of these networks, model.safetensors; or a file of `export_model`.
    reference
        There are other recordings of the person: of models that judge by the same, those that use them are taken;
        without, the others are.
    runtime
        One of `RUNTIMES`, see `use_onnx`.

    Returns
    -------
    list of Model
        As `combine` returns them.

    Raises
    ------
    ConfigError : there is no such runtime.
    ModelError : a file is missing, unreadable, changed or not ours, or does not tell emotions; onnxruntime is asked for
        and is not installed.
    """
    if runtime not in RUNTIMES:
        raise ConfigError(f"--runtime {runtime}: there are {' and '.join(RUNTIMES)}")
    models = []
    for path in map(Path, paths):
        networks, settings, info = _load(path)
        if runtime == "onnx":
            use_onnx(networks)
        network = Ensemble(networks, info.temperature).eval()
        models.append(Model(path, network, settings, **_sections(path, settings), info=info))
        log.info("%s", info.describe())
    return combine(_choose_by_reference(models, reference=reference))


def _choose_by_reference(models: Sequence[Model], *, reference: bool) -> list[Model]:
    """Return the models without those that have a rival of the same modalities that suits better."""
    suits = {model.settings.modalities for model in models if model.by_subject == reference}
    return [one for one in models if one.by_subject == reference or one.settings.modalities not in suits]


def _load(path: Path) -> tuple[list[Network], ModelCard, ModelInfo]:
    if path.is_file() and (said := checkpoint.read_export(path)) is not None:
        _check_kind(path, said.cards[0])
        networks, said = checkpoint.load_export(path, device=_device())
        info = _read_info(path, said.facts)
        info = replace(info, file=str(path), sha256=sha256(path), checked=True)
        return _as_of_clips(networks, said.cards[0]), said.cards[0], info
    files = files_of_row(path) if path.is_dir() else [path]
    if not files:
        raise ModelError(f"{path}: holds no trained network of a row; name such a folder, or a file")
    networks, settings = _load_files(files)
    return _as_of_clips(networks, settings), settings, describe_files(files, settings, place=path)


def _load_files(files: Sequence[Path]) -> tuple[list[nn.Module], ModelCard]:
    """Return the networks of the files of a row that can judge clips, and the card of the first."""
    kind = _check_kind(files[0], checkpoint.read_card(files[0]))
    loaded = [checkpoint.load(file, kind=kind, device=_device()) for file in files]
    settings = loaded[0][1]
    for file, (_, card) in zip(files, loaded, strict=True):
        if replace(card, fold=settings.fold, seed=settings.seed) != settings:
            raise ModelError(f"{file}: made with other settings than {files[0]}; train the row again")
    return [network for network, _ in loaded], settings


def _as_of_clips(networks: Sequence[nn.Module], card: ModelCard) -> list[nn.Module]:
    return [FrameClassifier(one, card.size_px).to(_device()) if card.kind == "extractor" else one for one in networks]


def _check_kind(path: Path, card: ModelCard) -> str:
    """Return the kind of a network that can judge clips: one of `variants` or of `pretrain` that learnt emotions."""
    of = {"stream": "streams, which run along with a recording", "classifier": "classifiers, of single pictures"}
    if unknown := set(card.modalities) - SHOWN_BY.keys():
        found = f"learnt from {', '.join(sorted(unknown))} of a table, which recordings do not have"
    elif card.kind in of:
        found = f"is a row of {of[card.kind]}"
    elif card.kind == "extractor" and card.corpus != card.base:
        found = "is a row of pretrain that learnt who somebody is (target: actor)"
    elif card.target != "label":
        found = f"learnt {card.target}"
    else:
        return card.kind
    raise ModelError(
        f"{path}: {card.variant} of {card.corpus} {found}; clips are judged by networks that learnt emotions: name a"
        " row of variants, or of pretrain with target: label"
    )


def _read_info(path: Path, facts: Mapping[str, Any]) -> ModelInfo:
    try:
        return ModelInfo(**{key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()})
    except TypeError as error:
        raise ModelError(f"{path}: its header is of another version ({error}); export it again") from error


def describe_files(files: Sequence[Path], settings: ModelCard, *, place: Path) -> ModelInfo:
    """Return what is known of networks of one row, from the files of its runs and of its corpus beside them.

    Temperature and accuracy are those of the row, from one network of every fold.

    Parameters
    ----------
    place
        The one file, or the folder of the row.
    """
    from mien.evaluation.runs import read_run

    about = ModelInfo(
        classes=settings.classes,
        row=settings.variant,
        corpus=settings.corpus,
        modalities=settings.modalities,
        networks=len(files),
        file=str(place),
        sha256=sha256(place) if place.is_file() else _digest_of(files),
    )
    if not all((file.parent / "run.json").is_file() for file in files):
        log.warning("%s: lies outside the results of its training: whether it is whole cannot be checked", files[0])
        return about
    row = files[0].parent.parent
    about = replace(about, checked=all(_is_listed(file) for file in files))
    try:
        runs = [read_run(file.parent / "run.json") for file in files_of_row(row) or files]
        about = replace(about, **_measured(runs), **_calibrated(runs))
        about = replace(about, **_resolved(runs, about.temperature))
        judging = [read_run(file.parent / "run.json") for file in files]
        return replace(about, **_learnt(row.parents[2] / "corpora" / settings.corpus, judging))
    except TableError as error:
        log.warning("not all is known of %s: %s", settings.variant, error)
        return about


def _digest_of(files: Sequence[Path]) -> str:
    return hashlib.sha256("".join(map(sha256, files)).encode()).hexdigest()


def _is_listed(file: Path) -> bool:
    """Say whether the job that trained a network has listed its file, so that it was checked when it was loaded."""
    seeds = [file.parent.parent / f"{name}.json" for name in (file.parent.name.rpartition("-")[2], "seeds")]
    return any(path.is_file() for path in seeds)


def _learnt(corpus: Path, runs: "list[Run]") -> dict[str, Any]:
    """Return who and what networks learnt from."""
    from mien.io import tables

    found: dict[str, Any] = {"clips": max((run.record["n_clips"]["training"] for run in runs), default=None)}
    info, folds, clips = corpus / "corpus.json", corpus / "folds.parquet", corpus / "clips.parquet"
    if info.is_file():
        found["synthetic"] = read_json(info)["source"] == "synthetic"
    kind = {True: "synthetic people", False: "people"}.get(found.get("synthetic"), "people, real or synthetic")
    if not folds.is_file():
        return found
    roles = {"training"} if all(_protocol(run) == "honest" for run in runs) else {"training", "validation"}
    rows = tables.read(folds, tables.FOLDS)
    if any(run.fold >= 0 for run in runs):  # else they have seen everybody
        rows = rows[rows.fold.isin([run.fold for run in runs]) & rows.role.isin(roles)]
    found["n_people"] = int(rows.group.nunique())
    found["people"] = f"{found['n_people']} {kind}"
    if clips.is_file() and runs:
        listed = tables.read(clips, tables.CLIPS)
        listed = listed[listed.group.isin(rows.group) & (listed.label >= 0) & ~listed.apart]
        if not (listed.actor != "").any():  # FER2013: nobody knows how many
            found |= {"n_people": None, "people": f"{found['clips']} pictures of {kind}"}
        found["shares"] = _weighed(listed.label_name.value_counts(), runs[0])
    return found


def _weighed(counts: "pd.Series", run: "Run") -> dict[str, float]:
    """Return class -> share of the training clips, as balancing and the weights of the loss make it."""
    config = run.record["config"]
    row = config.get("pretrain", config.get("variant", {}))
    power = {"none": 1.0, "sqrt": 0.5, "inverse": 0.0}[row.get("class_weights", "none")]
    power = 0.0 if row.get("balance") else power
    values = np.array([counts.get(name, 0) for name in run.classes], dtype=np.float64)
    values = np.where(values > 0, np.maximum(values, 1.0) ** power, 0.0)
    values = values / values.sum() if values.sum() else np.full(len(values), 1 / len(values))
    return {name: round(float(value), 5) for name, value in zip(run.classes, values, strict=True)}


def _protocol(run: "Run") -> str:
    return "honest" if "honest" in run.record.get("metrics", {}) else "thesis"


def _measured(runs: "list[Run]") -> dict[str, Any]:
    """Return the accuracy of one network on the people whom it did not learn from, with its interval."""
    from mien.evaluation.measures import measure
    from mien.evaluation.metrics import reported, score

    scores = score(runs, set())
    scores = scores[scores.selection == reported(scores)]
    if scores.empty:
        return {}
    measured = measure(scores, confidence=CONFIDENCE)
    numbers: dict[str, Any] = {}
    for name in ("accuracy", "uar"):
        found = measured[name]
        numbers |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    numbers = {key: None if math.isnan(value) else round(value, 4) for key, value in numbers.items()}
    recalls = scores[~scores.apart].groupby("label").hit.mean()
    numbers["recalls"] = {runs[0].classes[label]: round(float(value), 4) for label, value in recalls.items()}
    numbers["tested_clips"] = int(scores["clip"].nunique())
    numbers["tested_people"] = measured["accuracy"].n_people if (scores.actor != "").any() else None
    return numbers | {"protocol": reported(scores).replace("optimistic", "thesis")}


def _resolved(runs: "list[Run]", temperature: float) -> dict[str, Any]:
    """Return the calibration error of one network at a temperature, on the people whom it did not learn from."""
    from mien.evaluation.calibration import BINS, calibration_error, probabilities

    rows = [run.predictions() for run in runs]
    rows = [one[(one.selection == "honest") & (one.role == "test") & (one["head"] == "fused")] for one in rows]
    rows = [one for one in rows if len(one)]
    if not rows:
        return {}
    said = probabilities(np.concatenate([np.stack(one.logits) for one in rows]), temperature)
    hit = np.concatenate([(one.label == one.predicted).to_numpy() for one in rows])
    return {"calibration_error": round(calibration_error(said.max(axis=1), hit, bins=BINS), 4)}


def _calibrated(runs: "list[Run]") -> dict[str, Any]:
    """Return the temperature of the validation people of all folds; without any, the networks stay as they are.

    Pooled, because two people of one fold make it worse as often as better. The probabilities of a mean of calibrated
    networks are a little too low rather than too high (Rahaman & Thiery 2021, Uncertainty quantification and deep
    ensembles).
    """
    from mien.evaluation.calibration import at_limit, fit_temperature

    rows = [run.predictions() for run in runs]
    rows = [one[(one.selection == "honest") & (one.role == "validation") & (one["head"] == "fused")] for one in rows]
    logits = [np.stack(one.logits) for one in rows if len(one)]
    if not logits:
        return {}
    found = fit_temperature(np.concatenate(logits), np.concatenate([one.label for one in rows if len(one)]))
    return {"temperature": round(found, 4), "calibrated": True} if not at_limit(found) else {}


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def _sections(path: Path, settings: Any) -> dict[str, Any]:
    """Return the sections faces and sound of a header, and candide where it looks at action units.

    A network of single pictures knows no sound; a film that it looks at has that of the package.
    """
    kinds = {"faces": FacesConfig, "sound": SoundConfig}
    kinds |= {"candide": CandideConfig} if "units" in settings.modalities else {}
    said = {name: getattr(settings, name) for name in kinds}
    if settings.kind == "extractor":
        said["sound"] = said["sound"] or schema.load(schema.DEFAULTS)["sound"]
    try:
        return {name: schema.build(kind, said[name], name) for name, kind in kinds.items()}
    except ConfigError as error:
        found = str(error).removeprefix("params.yaml: ")
        raise ModelError(f"{path}: its header has settings of another version ({found}); train it again") from error


def find_trained(results: Path | None, corpus: str, rows: schema.PredictConfig) -> list[Path]:
    """Return where the models of the rows joint, video and audio that a section names are, for `load_models`.

    Parameters
    ----------
    results
        Folder of results, or of exported models; None: the one that the environment names, else results here, those of
        the checkout, and what came with the package: the first of them that has networks that were trained on people,
        and where none has, the first that has any.

    Raises
    ------
    ModelError : there is none of them.
    """
    names = list(dict.fromkeys((rows.joint, rows.video, rows.audio)))
    places = list_places(results)
    if len(places) == 1 and not places[0].is_dir():
        raise ModelError(
            f"{places[0]}: no such folder; {f'{VARIABLE} names it' if results is None else 'name another'}"
        )
    there = [found for place in places if (found := _find_rows(place, corpus, names))]
    if there:
        return next((found for found in there if not _is_synthetic(found[0])), there[0])
    raise ModelError(
        f"{', '.join(map(str, places))}: no exported model, and no trained run of {', '.join(names)} of {corpus}; run"
        " snakemake in the folder of mien to train them, or name a folder by --models or model files by --checkpoint"
    )


def list_places(results: Path | None) -> list[Path]:
    """Return the folders in which models are looked for, the first first."""
    if results is not None:
        return [Path(results)]
    if named := os.environ.get(VARIABLE):
        return [Path(named)]
    home = schema.DEFAULTS.resolve().parent
    checkout = [home / "results"] if schema.DEFAULTS.is_symlink() and home != Path.cwd() else []
    return [Path("results"), *checkout, home / "resources" / "models"]


def _is_synthetic(path: Path) -> bool:
    """Say whether it is known that a row of results, or an exported file, has met synthetic people only."""
    if path.is_file():
        return checkpoint.read_export(path).facts.get("synthetic") is True
    info = path.parents[2] / "corpora" / path.parent.name / "corpus.json"
    return info.is_file() and read_json(info).get("source") == "synthetic"


def _find_rows(place: Path, corpus: str, names: Sequence[str]) -> list[Path]:
    """Return the rows of a folder of results, or its exported files: those that are asked for, if it has some."""
    if found := [row for name in names if files_of_row(row := place / "training" / corpus / name)]:
        return found
    exported = []
    for path in sorted(place.glob("*.safetensors")):
        if (said := checkpoint.read_export(path)) is not None and said.cards[0].kind in ("variant", "extractor"):
            exported.append((path, said.cards[0]))
    asked = [path for path, card in exported if card.corpus == corpus and card.variant in names]
    return asked or [path for path, _ in exported]


def files_of_row(folder: Path) -> list[Path]:
    """Return the networks of a row that were trained, one of every fold: that of the lowest seed."""
    found: dict[str, tuple[int, Path]] = {}
    for file in sorted(folder.glob("fold*-seed*/run.json")):
        fold, _, seed = file.parent.name.partition("-seed")
        if seed.isdigit() and read_json(file).get("status") == "trained":
            found[fold] = min(found.get(fold, (math.inf, file)), (int(seed), file.parent / WEIGHTS))
    return [found[fold][1] for fold in sorted(found, key=lambda name: (len(name), name))]


def everybody_of(folder: Path) -> list[Path]:
    """Return the networks of a row that were trained on everybody, with every seed; nobody is left to judge these."""
    return sorted(folder.glob(f"everybody-seed*/{WEIGHTS}"))


def export_model(
    out: Path,
    /,
    *,
    rows: Names = None,
    weights: Path | None = None,
    half: bool = False,
    results: Models = None,
    config: str = "",
) -> None:
    """Write trained models as files that can be given away, one of each row: CORPUS-ROW.safetensors.

    A file holds the networks of all folds, or in their place those that were trained on everybody, what is known of
    them, the temperature and a digest of the weights that is checked on loading. Name the folder with --models, or in
    the environment as MIEN_MODELS.

    Examples:

        mien export_model models
        mien export_model models --rows fer2013/P1 --half
        mien predict clip.mp4 --models models

    Parameters
    ----------
    out
        Folder for the files.
    rows
        Rows of `variants` or `pretrain`; by default those that section `predict` names. CORPUS/ROW where it is another
        corpus than that of `predict`.
    weights
        Of one row: the folder of another row whose networks are written in the place of its own, such as one that was
        trained on everybody; what is said of how often it is right stays that of the row, of people whom its networks
        did not learn from.
    half
        Store weights with 16 bits.
    results
        Folder with results.
    config
        File with the parameters; by default params.yaml here, or the one that came with mien.
    """
    asked = schema.section(schema.PredictConfig, schema.load(config), "predict")
    places = list_places(results)
    names = rows or list(dict.fromkeys((asked.joint, asked.video, asked.audio)))
    if weights is not None and len(names) != 1:
        raise ConfigError(f"--weights {weights} is of one row, and there are {len(names)}; name it with --rows")
    for name in names:
        corpus, _, name = name.rpartition("/")
        corpus = corpus or asked.corpus
        row = next((one for place in places if files_of_row(one := place / "training" / corpus / name)), None)
        if row is None:
            raise ModelError(f"{', '.join(map(str, places))}: no trained run of {name} of {corpus}; train it first")
        files = files_of_row(row)
        networks, card = _load_files(files)
        info = describe_files(files, card, place=row)
        others = everybody_of(weights or row) or (files_of_row(weights) if weights is not None else [])
        if weights is not None and not others:
            raise ModelError(f"{weights}: holds no trained network of a row; name such a folder with --weights")
        if others:
            networks, other = _load_files(others)
            if (other.classes, other.modalities) != (card.classes, card.modalities):
                raise ModelError(f"{weights}: was trained for other classes or modalities than {row}; name another")
            card, final = other, describe_files(others, other, place=weights or row)
            learnt = ("networks", "people", "n_people", "clips", "synthetic", "shares", "checked")
            info = replace(info, **{key: getattr(final, key) for key in learnt})
            files += others
        info = replace(info, file="", sha256="", **_facts_to_give(files, info, half=half))
        target = Path(out) / f"{corpus}-{name}.safetensors"
        cards = [replace(card, fold=k) for k in range(len(networks))]
        checkpoint.export(target, list(zip(networks, cards, strict=True)), info.to_dict(), half=half)
        print(f"{target}: {info.describe()}", flush=True)


def export_onnx(
    out: Path, /, *, checkpoint: list[Path] | None = None, results: Models = None, config: str = ""
) -> None:
    """Write the models that judge as ONNX files for other programs, one of each: CORPUS-ROW.onnx.

    Inputs are `video`, grey faces (B, 1, S, S) in levels 0..255, or `audio`, log-mel spectrograms of voices (B, 1, 1,
    bands, columns); the output `fused` (B, C) is the logarithm of calibrated probabilities. Metadata of the file are
    the classes, the settings that inputs are made with, and what is known of the networks. Of a model that refers to
    other recordings of the person, it is what the networks say without any.

    Examples:

        mien export_onnx graphs
        mien export_onnx graphs --checkpoint models/fer2013-P1.safetensors

    Parameters
    ----------
    out
        Folder for the files.
    checkpoint
        Model files, as for `mien predict`; --checkpoint before each.
    results
        Folder with models, as for `mien predict`.
    config
        File with the parameters; by default params.yaml here, or the one that came with mien.
    """
    asked = schema.section(schema.PredictConfig, schema.load(config), "predict")
    for path in checkpoint or find_trained(results, asked.corpus, asked):
        (model,) = load_models([path])
        card = model.settings
        target = Path(out) / f"{card.corpus}-{card.variant}.onnx"
        facts = {"classes": card.classes, "card": plain(card), "model": model.info.to_dict()}
        write_onnx(target, model.network, *input_of(model), facts)
        print(f"{target}: {model.info.describe()}", flush=True)


def input_of(model: Model) -> tuple[str, tuple[int, ...]]:
    """Return the modality that a network of one looks at at once, and the shape of what it is given of a clip.

    Raises
    ------
    ModelError : it goes through a clip by steps, or has several modalities.
    """
    card = model.settings
    if card.kind == "extractor":
        return "video", (1, card.size_px, card.size_px)
    if card.modalities == ("audio",) and card.trunk.get("audio") == "cnn" and model.sound.front_end == "logmel":
        return "audio", (1, 1, *segment_shape(model.sound))
    raise ModelError(
        f"{model.path}: {card.variant} of {card.corpus} looks at {' and '.join(card.modalities)} in steps, of which"
        " every clip has another number; ONNX files are written of networks of single pictures (pretrain) and of whole"
        " voices (trunk cnn, front_end logmel)"
    )


def _facts_to_give(files: Sequence[Path], info: ModelInfo, *, half: bool) -> dict[str, Any]:
    """Return what those who are given a file should know: terms of the data, and how it was made."""
    from mien.corpora.index import adapter_for
    from mien.io.provenance import git_revision

    access = adapter_for(info.corpus.removesuffix("_actor")).ACCESS
    given = "" if info.synthetic else " --configfile config/people.yaml"  # params.yaml is of synthetic people
    last = "everybody-seed0" if any(file.parent.name.startswith("everybody") for file in files) else "seed0"
    made: dict[str, Any] = {
        "command": f"snakemake{given} --cores all results/training/{info.corpus}/{info.row}/{last}.json",
        "revision": git_revision(Path(__file__).parent),
        "processor": _processor(),
        "epochs": [read_json(file.parent / "run.json").get("best_epoch") for file in files],
        "weights": "16 bits" if half else "32 bits",
    }
    if seconds := _cpu_seconds({file.parent.parent for file in files}):
        made["cpu_hours"] = round(seconds / 3600, 2)
    return {"terms": access.terms, "address": access.address, "made": made}


def _cpu_seconds(rows: Iterable[Path]) -> float:
    """Return what the jobs that trained rows took on processors, as Snakemake's benchmarks beside results say, s."""
    total = 0.0
    for row in rows:
        folder = row.parents[2].parent / "benchmarks"
        for path in folder.glob(f"*/{row.parent.name}-{row.name}-seed*.tsv"):
            heads, *lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
            total += sum(float(line[heads.index("cpu_time")]) for line in lines)
    return total


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def choose_model(models: Iterable[Model], modalities: Sequence[str]) -> Model:
    """Return the model that uses most of what `modalities` show, then misses least, then stands first.

    Frames and action units both show the face.
    """
    shown = {SHOWN_BY[name] for name in modalities}

    def rank(model: Model) -> tuple[int, int]:
        wanted = {SHOWN_BY[name] for name in model.settings.modalities}
        return -len(wanted & shown), len(wanted - shown)

    return min(models, key=rank)
