"""Which trained networks judge a clip, and what is known of them: who they learnt from, and how often they are right.

All networks of a row judge together, one of every fold: the mean of their probabilities, calibrated by a temperature
that is fitted on the validation people of all folds. Whoever is new to all of them gets a cross-entropy that is at most
the mean of theirs (Jensen's inequality), while the fold of the lowest validation loss is the one with the easiest
validation people, and leaves others unused. How often the mean is right cannot be measured: everybody was learnt from
by some of them; what is said is how often one of them is right, of people whom it did not learn from.
"""

import hashlib
import logging
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mien.apps import Models
from mien.config import schema
from mien.config.schema import CandideConfig, FacesConfig, SoundConfig
from mien.errors import ConfigError, ModelError, TableError
from mien.io.files import read_json, sha256
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.mrpn import Network

if TYPE_CHECKING:
    from mien.evaluation.runs import Run

log = logging.getLogger(__name__)

SHOWN_BY = {"video": "face", "audio": "voice", "units": "face"}  # modality -> what a clip without it lacks
VARIABLE = "MIEN_MODELS"  # of the environment: the folder with models
CONFIDENCE = 0.95  # of the interval of an accuracy
WEIGHTS = "model.safetensors"


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
    file: str = ""  # or the folder of a row
    sha256: str = ""  # of the file; of a row: of those of its files, in the order of folds, in hexadecimal
    checked: bool = False  # the weights are those that training or export wrote; False: nothing says what they were

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as values of JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def describe(self) -> str:
        """Say it in one line."""
        alike = f"{self.networks} networks" if self.networks > 1 else "1 network"
        text = f"{self.row} of {self.corpus} ({alike}), trained on {self.people or 'people of whom nothing is known'}"
        if self.accuracy is None:
            return f"{text}; its accuracy is not known"
        ends = ""
        if self.accuracy_low is not None:
            ends = f" ({100 * self.accuracy_low:.0f} to {100 * self.accuracy_high:.0f})"
        who = "such people that a network was not trained on"
        if self.protocol == "thesis":
            who += ", on whom its epoch was chosen"
        return f"{text}; right in {100 * self.accuracy:.0f}%{ends} of the clips of {who}"


class Ensemble(nn.Module):
    """Networks of one row as one: head -> log of the mean of their probabilities, so softmax gives that mean."""

    def __init__(self, networks: Sequence[Network], temperature: float = 1.0) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.temperature = temperature

    def forward(self, inputs: Mapping[str, Tensor], n_steps: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Return head -> (B, C); see `Network`."""
        said = [network(inputs, n_steps) for network in self.networks]
        logs = {head: [(one[head].float() / self.temperature).log_softmax(1) for one in said] for head in said[0]}
        return {head: torch.stack(rows).logsumexp(0) - math.log(len(rows)) for head, rows in logs.items()}


@dataclass(frozen=True)
class Model:
    """Trained networks of one row with what their files say."""

    path: Path
    network: Ensemble
    settings: ModelCard
    faces: FacesConfig
    sound: SoundConfig
    candide: CandideConfig | None = None  # where it looks at action units
    info: ModelInfo | None = None


def load_models(paths: Sequence[Path]) -> list[Model]:
    """Load networks for whole clips, onto the GPU if there is one.

    Parameters
    ----------
    paths
        Of every model: the folder of a row, such as results/training/ravdess/N2, of which a network of every fold is
        taken; one of these networks, model.safetensors; or a file of `export_model`.

    Raises
    ------
    ModelError : a file is missing, unreadable, changed or not ours, or does not tell emotions.
    """
    models = []
    for path in map(Path, paths):
        networks, settings, info = _load(path)
        if settings.target != "label":
            raise ModelError(
                f"{path}: {settings.variant} learnt {settings.target}; clips are judged by networks that learnt"
                " emotions: name another"
            )
        network = Ensemble(networks, info.temperature).eval()
        models.append(Model(path, network, settings, **_sections(path, settings), info=info))
        log.info("%s", info.describe())
    return models


def _load(path: Path) -> tuple[list[Network], ModelCard, ModelInfo]:
    if path.is_file() and (said := checkpoint.read_export(path)) is not None:
        networks, said = checkpoint.load_export(path, device=_device())
        info = _read_info(path, said.facts)
        return networks, said.cards[0], replace(info, file=str(path), sha256=sha256(path), checked=True)
    files = files_of_row(path) if path.is_dir() else [path]
    if not files:
        raise ModelError(f"{path}: holds no trained network of a row; name such a folder, or a file")
    loaded = [checkpoint.load(file, device=_device()) for file in files]
    settings = loaded[0][1]
    for file, (_, card) in zip(files, loaded, strict=True):
        if replace(card, fold=settings.fold, seed=settings.seed) != settings:
            raise ModelError(f"{file}: made with other settings than {files[0]}; train the row again")
    return [network for network, _ in loaded], settings, describe_files(files, settings, place=path)


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
        judging = [run for run in runs if run.folder / WEIGHTS in files]
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
    info, folds = corpus / "corpus.json", corpus / "folds.parquet"
    if info.is_file():
        found["synthetic"] = read_json(info)["source"] == "synthetic"
    if folds.is_file():
        roles = {"training"} if all(_protocol(run) == "honest" for run in runs) else {"training", "validation"}
        rows = tables.read(folds, tables.FOLDS)
        rows = rows[rows.fold.isin([run.fold for run in runs]) & rows.role.isin(roles)]
        found["n_people"] = int(rows.group.nunique())
        kind = {True: "synthetic people", False: "people"}.get(found.get("synthetic"), "people, real or synthetic")
        found["people"] = f"{found['n_people']} {kind}"
    return found


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
    found = measure(scores, confidence=CONFIDENCE)["accuracy"]
    numbers = {"accuracy": found.value, "accuracy_low": found.low, "accuracy_high": found.high}
    numbers = {key: None if math.isnan(value) else round(value, 4) for key, value in numbers.items()}
    return numbers | {"tested_people": found.n_people, "protocol": reported(scores).replace("optimistic", "thesis")}


def _calibrated(runs: "list[Run]") -> dict[str, Any]:
    """Return the temperature of the validation people of all folds; without any, the networks stay as they are.

    Pooled, because two people of one fold make it worse as often as better. The probabilities of a mean of calibrated
    networks are a little too low rather than too high (Rahaman & Thiery 2021, Uncertainty quantification and deep
    ensembles).
    """
    import numpy as np

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
    """Return the sections faces and sound of a header, and candide where it looks at action units."""
    kinds = {"faces": FacesConfig, "sound": SoundConfig}
    kinds |= {"candide": CandideConfig} if "units" in settings.modalities else {}
    try:
        return {name: schema.build(kind, getattr(settings, name), name) for name, kind in kinds.items()}
    except ConfigError as error:
        found = str(error).removeprefix("params.yaml: ")
        raise ModelError(f"{path}: its header has settings of another version ({found}); train it again") from error


def find_trained(results: Path | None, corpus: str, rows: schema.PredictConfig) -> list[Path]:
    """Return where the models of the rows joint, video and audio that a section names are, for `load_models`.

    Parameters
    ----------
    results
        Folder of results, or of exported models; None: the first that has one of the rows among the one that the
        environment names, results here, those of the checkout, and what came with the package.

    Raises
    ------
    ModelError : there is none of them.
    """
    names = list(dict.fromkeys((rows.joint, rows.video, rows.audio)))
    places = list_places(results)
    for place in places:
        if found := _find_rows(place, corpus, names):
            return found
    raise ModelError(
        f"{', '.join(map(str, places))}: no trained run of {', '.join(names)} of {corpus}; run snakemake in"
        " the folder of mien to train them, name a folder with models with --models, or model files with --checkpoint"
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


def _find_rows(place: Path, corpus: str, names: Sequence[str]) -> list[Path]:
    """Return the rows of a folder of results, or its exported files: those that are asked for, if it has some."""
    if found := [row for name in names if files_of_row(row := place / "training" / corpus / name)]:
        return found
    exported = []
    for path in sorted(place.glob("*.safetensors")):
        if (said := checkpoint.read_export(path)) is not None and said.cards[0].kind == "variant":
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


def export_model(out: Path, /, *, rows: list[str] | None = None, results: Models = None, config: str = "") -> None:
    """Write trained models as files that can be given away, one of each row: CORPUS-ROW.safetensors.

    A file holds the networks of all folds, what is known of them, the temperature and a digest of the weights that is
    checked on loading. Name the folder with --models, or in the environment as MIEN_MODELS.

    Examples:

        mien export_model models
        mien predict clip.mp4 --models models

    Parameters
    ----------
    out
        Folder for the files.
    rows
        Rows of `variants`; by default those that section `predict` names.
    results
        Folder with results.
    config
        File with the parameters; by default params.yaml here, or the one that came with mien.
    """
    asked = schema.section(schema.PredictConfig, schema.load(config), "predict")
    places = list_places(results)
    names = rows or list(dict.fromkeys((asked.joint, asked.video, asked.audio)))
    for name in names:
        row = next((one for place in places if files_of_row(one := place / "training" / asked.corpus / name)), None)
        if row is None:
            raise ModelError(
                f"{', '.join(map(str, places))}: no trained run of {name} of {asked.corpus}; train it first"
            )
        files = files_of_row(row)
        networks = [checkpoint.load(file) for file in files]
        info = describe_files(files, networks[0][1], place=row)
        facts = replace(info, file="", sha256="").to_dict()
        target = Path(out) / f"{asked.corpus}-{name}.safetensors"
        checkpoint.export(target, networks, facts)
        print(f"{target}: {info.describe()}", flush=True)


def choose_model(models: Iterable[Model], modalities: Sequence[str]) -> Model:
    """Return the model that uses most of what `modalities` show, then misses least, then stands first.

    Frames and action units both show the face.
    """
    shown = {SHOWN_BY[name] for name in modalities}

    def rank(model: Model) -> tuple[int, int]:
        wanted = {SHOWN_BY[name] for name in model.settings.modalities}
        return -len(wanted & shown), len(wanted - shown)

    return min(models, key=rank)
