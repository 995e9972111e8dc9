"""One repetition of the experiment on missing and fuzzy information: every network under every condition.

Nobody validates: all epochs are run while the learning rate falls to zero along half a cosine (Loshchilov & Hutter
2017), and the last one counts. Networks of one repetition start from the same weights and see the clips in the same
order with the same changes, whatever the condition, so that conditions are compared and not luck.
"""

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd
import torch

from mien.core import tables
from mien.core.files import digest, sha256
from mien.core.fuzzy import NOTHING, Condition
from mien.core.provenance import code_digest
from mien.core.rng import seed_for
from mien.models import checkpoint
from mien.models.fusion import Network
from mien.models.layout import to_device
from mien.training import machine, resume
from mien.training.first_weights import load_first
from mien.training.fit import Job, judge, optimizer_of, train_once
from mien.training.fuzzy_clips import Versions
from mien.training.progress import Progress, Verdict, run_epochs
from mien.training.run import Run, job_of, settings_of

log = logging.getLogger(__name__)

EVERY_S = 60.0  # between two checkpoints of a network


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One repetition: runs by variant, in an order in which branches that others keep come first; people by role."""

    runs: dict[str, Run]
    versions: Versions
    roles: dict[str, pd.DataFrame]
    conditions: list[Condition]
    turn: int

    @property
    def scope(self) -> tuple[object, ...]:
        """Return what names the draws, those of the corpus aside: neither network nor condition."""
        return "fuzziness", self.versions.clips.corpus.iloc[0], self.turn

    @property
    def folder(self) -> Path:
        """Return where checkpoints are kept."""
        return resume.ROOT.joinpath(*map(str, self.scope))

    @cached_property
    def key(self) -> str:
        """Return a digest of all that the results depend on."""
        configs = {name: run.config() for name, run in self.runs.items()}
        first = {name: {m: sha256(path) for m, path in run.first.items()} for name, run in self.runs.items()}
        people = {role: sorted(set(clips.actor)) for role, clips in self.roles.items()}
        return digest(
            [configs, first, people, self.versions.digest, code_digest("training.train_fuzzy"), *machine.conditions()]
        )


@dataclass(frozen=True)
class Trained:
    """A network and what it says of the test clips."""

    model: Network
    verdict: Verdict


def run_conditions(experiment: Experiment) -> pd.DataFrame:
    """Train and judge every network under every condition, going on where a killed call stopped; return FUZZY."""
    clear = train_condition(experiment, NOTHING, {})
    rows = []
    for condition in experiment.conditions:
        kept = experiment.folder / f"{condition.name}-{experiment.key}.parquet"
        if not kept.exists():
            trained = clear if condition == NOTHING else train_condition(experiment, condition, clear)
            tables.write(kept, _rows(experiment, condition, trained), tables.FUZZY)
            if condition != NOTHING:  # the clear networks are asked for by all that follow
                shutil.rmtree(experiment.folder / condition.name, ignore_errors=True)
        rows.append(tables.read(kept, tables.FUZZY))
    return pd.concat(rows, ignore_index=True)


def train_condition(experiment: Experiment, condition: Condition, clear: Mapping[str, Trained]) -> dict[str, Trained]:
    """Train every network under one condition; return variant -> `Trained`.

    clear : the networks of the clear condition: one of voices alone is taken over where only faces change. A face moves
        with its voice, so one of faces alone is trained anew where voices change.
    """
    trained: dict[str, Trained] = {}
    for name, run in experiment.runs.items():
        if condition.modality == "video" and "video" not in run.variant.modalities:
            trained[name] = clear[name]
            continue
        frozen = {modality: trained[other].model for modality, other in run.variant.frozen.items()}
        trained[name] = _train(experiment, run, condition, frozen)
        log.info("%s %s: accuracy %.3f", condition.name, name, trained[name].verdict.accuracy)
    return trained


def _train(experiment: Experiment, run: Run, condition: Condition, frozen: Mapping[str, Network]) -> Trained:
    drawn = experiment.versions.drawn(condition, seed=run.seed, turn=experiment.turn)
    recordings = experiment.versions.mixed(condition, drawn, run.variant.modalities)
    settings = settings_of(run, recordings, 0, experiment.turn)
    model = checkpoint.network(settings, seed=seed_for(run.seed, *experiment.scope, "weights"))
    load_first(model, run.first)
    for modality, other in frozen.items():
        model.branches[modality].load_state_dict(other.branches[modality].state_dict())
    model.freeze(*frozen, trunks=run.variant.init if run.variant.extractors == "frozen" else ())
    job = job_of(
        run,
        model=model,
        recordings=recordings,
        roles=experiment.roles,
        loss_weights={},
        scope=experiment.scope,
        checkpoint=experiment.folder / condition.name / run.name,
        key=f"{experiment.key} {run.name} {condition.name}",
    )
    return Trained(model, fit_all_epochs(job))


def fit_all_epochs(job: Job) -> Verdict:
    """Train for all epochs, going on from a checkpoint if there is one; return what is said of the test clips.

    Raises
    ------
    ModelError : the loss is no longer a number.
    """
    model = to_device(job.model, machine.device())
    optimizer = optimizer_of(job, model)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=job.train.epochs)

    def run_epoch(epoch: int, progress: Progress) -> None:
        loss = train_once(job, epoch, model, optimizer)
        scheduler.step()
        progress.history.append({"epoch": epoch, "train_loss": loss})
        progress.finished = epoch == job.train.epochs

    parts = {"model": model, "optimizer": optimizer, "scheduler": scheduler}
    run_epochs(run_epoch, parts, epochs=job.train.epochs, checkpoint=job.checkpoint, key=job.key, every_s=EVERY_S)
    return judge(job, model, "test")


def _rows(experiment: Experiment, condition: Condition, trained: Mapping[str, Trained]) -> pd.DataFrame:
    seed = next(iter(experiment.runs.values())).seed
    affected = experiment.versions.drawn(condition, seed=seed, turn=experiment.turn)
    affected &= experiment.versions.changed(condition)
    tested = experiment.roles["test"][["clip", "actor", "label"]]
    rows = [
        tested.assign(
            seed=experiment.turn,
            kind=condition.kind,
            modality=condition.modality,
            share=condition.share,
            variant=name,
            affected=tested["clip"].isin(affected),
            logits=list(one.verdict.logits["fused"].numpy()),
        )
        for name, one in trained.items()
    ]
    return pd.concat(rows)[tables.FUZZY.columns.names]
