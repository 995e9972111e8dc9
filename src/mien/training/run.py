"""One fold and seed of a variant: prepare the network, train it, write the four files."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.augment.slicing import SEGMENTS
from mien.core.config import AugmentConfig, FacesConfig, SoundConfig, TrainConfig, VariantConfig
from mien.core.errors import ModelError
from mien.core.files import digest, sha256
from mien.core.provenance import code_digest
from mien.core.rng import seed_for
from mien.models import checkpoint
from mien.models.build import first_mismatch
from mien.models.fusion import Network
from mien.training import resume, run_folder
from mien.training.blend import loss_weights, no_blend, read_courses
from mien.training.dataset import complete, obstacle, split
from mien.training.first_weights import load_first, no_start
from mien.training.fit import Job, fit
from mien.training.machine import conditions
from mien.training.prediction_rows import prediction_rows
from mien.training.recordings import Recordings
from mien.training.run_folder import outcome, record_of
from mien.training.targets import aim, facts_of

log = logging.getLogger(__name__)

SELECTIONS = {"honest": ("honest", "optimistic"), "thesis": ("optimistic",)}  # protocol -> selections, model's first


@dataclass(frozen=True, kw_only=True)
class Run:
    """What all folds and seeds of one command share: the sections of params.yaml and the names."""

    corpus: str
    name: str  # of the variant
    variant: VariantConfig
    train: TrainConfig
    augment: AugmentConfig
    sound: SoundConfig
    faces: FacesConfig
    seed: int
    first: Mapping[str, Path]  # modality -> file with the first weights of its trunk; random where absent

    def config(self) -> dict[str, Any]:
        """Return the sections as they go into run.json; which seeds others train does not matter to a run."""
        sections = {name: asdict(getattr(self, name)) for name in ("variant", "train", "augment", "sound", "faces")}
        return sections | {"seed": self.seed}


def train_fold(run: Run, recordings: Recordings, *, fold: int, seed: int, out: Path) -> None:
    """Train one fold with one seed and write its folder below `out`.

    Raises
    ------
    ModelError : a frozen branch, first weights or a history are missing or do not fit.
    TableError : the fold does not exist.
    """
    recordings = aim(recordings, run.variant.target)
    roles = _roles(run, recordings, fold)
    settings = settings_of(run, recordings, fold, seed)
    scope = ("training", run.corpus, fold, seed)
    model = checkpoint.network(settings, seed=seed_for(run.seed, *scope, "weights"))
    record = record_of(recordings, roles, variant=run.name, fold=fold, seed=seed, model=model, config=run.config())
    if run.variant.target == "intensity":
        record |= facts_of(recordings, roles)
    run_name = resume.run_name(fold, seed)
    folder = Path(out) / run_name
    histories = {head: Path(out).parent / other / run_name for head, other in run.variant.blend.items()}
    reason = obstacle(recordings, roles) or no_start(run.variant.init, run.first)
    if reason := reason or no_blend(histories, run.train.protocol):
        log.info("%s %s fold %d: not applicable: %s", run.corpus, run.name, fold, reason)
        run_folder.write_not_applicable(folder, record, reason=reason, settings=settings)
        return
    given = _given_weights(run, model, fold=fold, seed=seed, out=out)
    courses = read_courses(histories, corpus=run.corpus, fold=fold, seed=seed)
    weights = loss_weights(courses) if courses else {}
    if courses:
        record |= {"loss_weights": weights, "blend": {head: asdict(course) for head, course in courses.items()}}
    job = job_of(
        run,
        model=model,
        recordings=recordings,
        roles=roles,
        loss_weights=weights,
        scope=scope,
        checkpoint=resume.folder_of(run.corpus, run.name, fold=fold, seed=seed),
        key=digest([record, given, code_digest("training.train"), *conditions()]),
    )
    progress = fit(job)
    selections = SELECTIONS[run.train.protocol]
    run_folder.write(
        folder,
        record | outcome(progress, ""),
        predictions=pd.concat([prediction_rows(recordings, roles, progress, selection) for selection in selections]),
        history=progress.history,
        weights=progress.choices[selections[0]].weights,
        settings=settings,
    )
    log.info("%s %s fold %d seed %d: %s", run.corpus, run.name, fold, seed, outcome(progress, "")["metrics"])


def remove_checkpoints(run: Run, folds: list[int], seeds: list[int]) -> None:
    """Delete the checkpoints of a command; to be called when all its folders are written."""
    for fold in folds:
        for seed in seeds:
            resume.remove(run.corpus, run.name, fold=fold, seed=seed)


def _roles(run: Run, recordings: Recordings, fold: int) -> dict[str, pd.DataFrame]:
    """Return the clips of the roles that the protocol knows; training clips have every modality."""
    roles = split(recordings, fold)
    if run.train.protocol == "thesis":
        both = pd.concat([roles["training"], roles["validation"]]).sort_values("clip")
        roles = {"training": both, "test": roles["test"]}
    return roles | {"training": complete(recordings, roles["training"])}


def job_of(run: Run, **own: Any) -> Job:
    """Return the training that the sections of `run` ask for; `own`: the fields of `Job` that they do not know."""
    return Job(
        augmentation=run.variant.augmentation,
        target=run.variant.target,
        modality_dropout=run.variant.modality_dropout,
        train=run.train,
        augment=run.augment,
        sound=run.sound,
        seed=run.seed,
        **own,
    )


def settings_of(run: Run, recordings: Recordings, fold: int, seed: int) -> checkpoint.Settings:
    """Return what rebuilds the network of a run."""
    return checkpoint.Settings(
        corpus=run.corpus,
        variant=run.name,
        fold=fold,
        seed=seed,
        modalities=run.variant.modalities,
        fusion=run.variant.fusion,
        aggregator=run.variant.aggregator,
        trunk=run.variant.trunk,
        side_head=run.variant.side_head,
        residual=run.variant.residual,
        target=run.variant.target,
        augmentation=run.variant.augmentation,
        classes=recordings.classes,
        width=run.train.width,
        dropout=run.train.dropout,
        frames=run.train.frames,
        segments=SEGMENTS[run.variant.augmentation],
        sound=asdict(run.sound),
        faces=asdict(run.faces),
    )


def _given_weights(run: Run, model: Network, *, fold: int, seed: int, out: Path) -> dict[str, str]:
    """Load first weights of trunks and frozen branches into `model`; return the digests of the files they came from."""
    digests = load_first(model, run.first)
    for modality, variant in sorted(run.variant.frozen.items()):
        path = Path(out).parent / variant / resume.run_name(fold, seed) / "model.safetensors"
        trained, settings = checkpoint.load(path)
        if (settings.corpus, settings.fold, settings.seed) != (run.corpus, fold, seed):
            raise ModelError(
                f"{path}: is of {settings.corpus} fold {settings.fold} seed {settings.seed}; train {variant} again"
            )
        branch = model.branches[modality]
        state = trained.branches[modality].state_dict()
        if mismatch := first_mismatch(branch.state_dict(), state):
            raise ModelError(f"{path}: its branch does not fit {run.name}: {mismatch}; train {variant} again")
        branch.load_state_dict(state)
        digests[modality] = sha256(path)
    model.freeze(*run.variant.frozen, trunks=run.variant.init if run.variant.extractors == "frozen" else ())
    return digests
