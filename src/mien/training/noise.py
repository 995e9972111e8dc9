"""Command `train_fuzzy`: networks on people whose faces or voices say less and less (thesis 5.1), one repetition.

The repetition decides who is tested, which clips are affected, and all random draws of the training. Every row of
section fuzziness is trained and tested under every condition. Nobody validates: all epochs are run while the learning
rate falls to zero along half a cosine, and the last one counts. Networks of one repetition start from the same weights
and see the clips in the same order with the same changes, whatever the condition, so that conditions are compared and
not luck.
"""

import logging
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from mien.config import schema
from mien.config.fuzziness import CLEAR, FUZZY_MODALITIES, NOTHING, VERSIONS, Condition, conditions
from mien.config.schema import FacesConfig, FuzzinessConfig, SoundConfig
from mien.errors import ConfigError, TableError
from mien.io import tables
from mien.io.files import digest, sha256
from mien.io.provenance import code_digest
from mien.models import checkpoint
from mien.models.mrpn import Network
from mien.training import clips as media
from mien.training import engine, run_folder
from mien.training.clips import ClipDataset, count_batches
from mien.training.engine import Draws, TrainSpec
from mien.training.run_folder import RunSpec
from mien.training.train import SECTIONS, ClipTask, make_card

log = logging.getLogger(__name__)


def train_fuzzy(
    *,
    seed: int,
    data: Path,
    out: Path,
    init: list[str] | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train and test all networks of one repetition; a killed run goes on from its checkpoints.

    Parameters
    ----------
    seed : int
        Repetition, from 0.
    data : Path
        Folder with {corpora,faces,sound}/CORPUS-VERSION/.
    out : Path
        results/fuzziness/CORPUS/seedS/predictions.parquet, table FUZZY.
    init : list of str
        ROW=FILE, model files of the rows of pretrain that the variants start from.

    Raises
    ------
    ConfigError : a row needs people who validate, or pretrained weights that were not given or not trained.
    """
    engine.prepare(jobs)
    params = schema.load(config)
    fuzzy = schema.section(FuzzinessConfig, params, "fuzziness")
    runs = plan_runs(params, fuzzy, init or [], seed=seed, out=out)
    settings = next(iter(runs.values())).settings
    versions = read_versions(data, fuzzy.corpus, faces=settings.faces, sound=settings.sound)
    experiment = Experiment(
        runs=runs,
        versions=versions,
        roles=divide_people(versions.clips, tested=fuzzy.tested, turn=seed),
        conditions=conditions(fuzzy.shares),
        draws=Draws(settings.seed, ("fuzziness", fuzzy.corpus, seed)),
    )
    rows = run_conditions(experiment)
    tables.write(out, rows, tables.FUZZY)
    shutil.rmtree(experiment.folder, ignore_errors=True)
    log.info("%s seed %d: %d judgements", fuzzy.corpus, seed, len(rows))


@dataclass(frozen=True)
class Versions:
    """One corpus in all versions: `of` maps version to `ClipDataset`, clips (table CLIPS) are those usable in all."""

    of: dict[str, ClipDataset]
    clips: pd.DataFrame

    @cached_property
    def digest(self) -> str:
        """Return the digest of all files that were read."""
        return digest({version: one.digest for version, one in self.of.items()})

    def drawn(self, condition: Condition, draws: Draws) -> set[str]:
        """Draw the clips that a condition takes from its version.

        One number per clip and modality decides, so a larger share affects the same clips and more, and both kinds
        affect the same ones.
        """
        name = condition.modality
        return {clip for clip in self.clips["clip"] if draws.rng(name, clip).uniform() < condition.share}

    def changed(self, condition: Condition) -> set[str]:
        """Return the clips whose modality differs in the condition's version: a neutral face loses nothing."""
        if condition.version == CLEAR:
            return set()
        clear, other = (self.of[version].media[condition.modality] for version in (CLEAR, condition.version))
        values = "pixels" if condition.modality == "video" else "spectrum"
        pairs = ((clip, getattr(clear[clip], values), getattr(other[clip], values)) for clip in self.clips["clip"])
        return {clip for clip, one, changed in pairs if not np.array_equal(one, changed)}

    def mixed(self, condition: Condition, draws: Draws, modalities: Collection[str]) -> ClipDataset:
        """Return the corpus of a condition, as a network of `modalities` sees it: drawn clips as in its version.

        Face and voice of a drawn clip come from the same version, because a face moves with its voice.
        """
        clear, other, drawn = self.of[CLEAR], self.of[condition.version], self.drawn(condition, draws)
        chosen = {
            modality: {clip: (other if clip in drawn else clear).media[modality][clip] for clip in self.clips["clip"]}
            for modality in modalities
        }
        return replace(clear, clips=self.clips, media=chosen, digest=self.digest)


def read_versions(folder: Path, corpus: str, *, faces: FacesConfig, sound: SoundConfig) -> Versions:
    """Read every version, a corpus of its own: `folder`/{corpora,faces,sound}/<corpus>-<version>.

    Voices of the versions with another face are those of the clear one, so they are not stored again.

    Raises
    ------
    TableError : a stage has not run, the versions are not of the same takes, or no clip can be used in all of them.
    """
    of = {}
    for version in VERSIONS:
        looks = ("video",) if version.endswith("_video") else FUZZY_MODALITIES
        read = media.read(folder, f"{corpus}-{version}", looks, faces=faces, sound=sound)
        of[version] = replace(read, corpus=corpus)
        if "audio" not in looks:
            of[version] = replace(of[version], media=of[version].media | {"audio": of[CLEAR].media["audio"]})
    takes = {version: one.clips[["clip", "actor", "label"]] for version, one in of.items()}
    if strangers := [version for version, rows in takes.items() if not rows.equals(takes[CLEAR])]:
        raise TableError(f"{folder}: {strangers[0]} has other takes than {CLEAR}; delete both and make them again")
    names = set.intersection(*(set(part) for one in of.values() for part in one.media.values()))
    clips = of[CLEAR].clips
    usable = clips["clip"].isin(names) & (clips.label >= 0) & ~clips.apart
    log.info("%s: %d of %d takes have a face and a voice in all versions", corpus, usable.sum(), len(clips))
    if not usable.any():
        raise TableError(f"{folder}: no take has a face and a voice in all versions; see the logs of extract_faces")
    return Versions(of, clips[usable].sort_values("clip").reset_index(drop=True))


def divide_people(clips: pd.DataFrame, *, tested: int, turn: int) -> dict[str, pd.DataFrame]:
    """Return the clips of the roles training and test: `tested` people in turn, men and women alternating.

    Every turn goes on where the last one stopped, and begins again when all were tested.
    """
    people = clips.drop_duplicates("actor").sort_values("actor")
    by_sex = [people.actor[people.sex == sex] for sex in sorted(people.sex.unique(), reverse=True)]
    order = [person for pair in zip_longest(*by_sex) for person in pair if person is not None]
    chosen = {order[(turn * tested + k) % len(order)] for k in range(tested)}
    is_tested = clips.actor.isin(chosen)
    roles = {"training": clips[~is_tested], "test": clips[is_tested]}
    return {role: rows.reset_index(drop=True) for role, rows in roles.items()}


def plan_runs(
    params: Mapping[str, Any], fuzzy: FuzzinessConfig, given: Iterable[str], *, seed: int, out: Path
) -> dict[str, RunSpec]:
    """Return the run of every row, those first whose branches others keep.

    given : texts ROW=FILE, the models of rows of pretrain.

    Raises
    ------
    ConfigError : a row needs people who validate, or first weights that are not given, are no file or were not
        applicable; or weights are given that none asks for.
    """
    settings = {name: run_folder.read_settings(params, *SECTIONS, variant=f"variants.{name}") for name in fuzzy.rows}
    asked = sorted({row for of in settings.values() for row in of.variant.init.values()})
    models = {}
    for text in given:
        row, _, path = text.partition("=")
        if row not in asked or not path:
            raise ConfigError(f"--init {text}: the rows of fuzziness start from {', '.join(asked)}; give ROW=FILE")
        models[row] = path
    runs = {}
    for name, of in sorted(settings.items(), key=lambda item: bool(item[1].variant.frozen)):
        init, where = of.variant.init, f"params.yaml: fuzziness.rows: {name}"
        if of.variant.blend:
            raise ConfigError(
                f"{where} has a blend, which follows validation people; nobody validates in this experiment, so take it"
                " out"
            )
        named = [f"{modality}={models[row]}" for modality, row in init.items() if row in models]
        files = run_folder.find_init(f"variants.{name}", init, named)
        if reason := run_folder.find_reason(run_folder.check_init(init, files)):
            raise ConfigError(f"{where}: {reason}; take it out, or train that row")
        of.train = replace(of.train, epochs=fuzzy.epochs)
        runs[name] = RunSpec(corpus=fuzzy.corpus, name=name, settings=of, out=out.parent, init=files, seed=seed)
    return runs


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One repetition: runs by variant, in an order in which branches that others keep come first; people by role.

    draws : those of the corpus aside; they depend neither on the network nor on the condition.
    """

    runs: dict[str, RunSpec]
    versions: Versions
    roles: dict[str, pd.DataFrame]
    conditions: list[Condition]
    draws: Draws

    @property
    def folder(self) -> Path:
        """Return where checkpoints are kept."""
        return engine.ROOT.joinpath(*map(str, self.draws.scope))

    @cached_property
    def key(self) -> str:
        """Return a digest of all that the results depend on."""
        records = {name: run.record("", ()) for name, run in self.runs.items()}
        init = {name: {m: sha256(path) for m, path in run.init.items()} for name, run in self.runs.items()}
        people = {role: sorted(set(clips.actor)) for role, clips in self.roles.items()}
        code = code_digest("training.noise:train_fuzzy")
        return digest([records, init, people, self.versions.digest, code, *engine.environment()])


@dataclass(frozen=True)
class Trained:
    """A network and what it says of the test clips, (N, C)."""

    model: Network
    logits: Tensor


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
        if condition.modality == "video" and "video" not in run.settings.variant.modalities:
            trained[name] = clear[name]
        else:
            trained[name] = _train(experiment, run, condition, trained)
    return trained


def _train(experiment: Experiment, run: RunSpec, condition: Condition, others: Mapping[str, Trained]) -> Trained:
    row, how, draws = run.settings.variant, run.settings.train, experiment.draws
    dataset = experiment.versions.mixed(condition, draws, row.modalities)
    model = checkpoint.network(make_card(run, dataset.classes), seed=draws.number("weights"))
    run_folder.load_init(model, run.init)
    for modality, other in row.frozen.items():
        model.branches[modality].load_state_dict(others[other].model.branches[modality].state_dict())
    model.freeze(*row.frozen, trunks=row.init if row.extractors == "frozen" else ())
    task = ClipTask(settings=run.settings, dataset=dataset, roles=experiment.roles, draws=draws, loss_weights={})
    spec = TrainSpec(
        learning_rate=how.learning_rate,
        epochs=how.epochs,
        steps=count_batches(len(experiment.roles["training"]), size=how.batch),
        **engine.recipe(row, schedule="cosine", weight_decay=how.weight_decay),
        roles=(),
        checkpoint=experiment.folder / condition.name / run.name,
        key=f"{experiment.key} {run.name} {condition.name}",
    )
    engine.fit(model, task, spec)
    result = task.evaluate(model, "test")
    log.info("%s %s: accuracy %.3f", condition.name, run.name, result.accuracy)
    return Trained(model, result.logits["fused"])


def _rows(experiment: Experiment, condition: Condition, trained: Mapping[str, Trained]) -> pd.DataFrame:
    affected = experiment.versions.drawn(condition, experiment.draws) & experiment.versions.changed(condition)
    tested = experiment.roles["test"][["clip", "actor", "label"]]
    rows = [
        tested.assign(
            seed=experiment.draws.scope[-1],
            kind=condition.kind,
            modality=condition.modality,
            share=condition.share,
            variant=name,
            affected=tested["clip"].isin(affected),
            logits=list(one.logits.numpy()),
        )
        for name, one in trained.items()
    ]
    return pd.concat(rows)[tables.FUZZY.columns.names]
