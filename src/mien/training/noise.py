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

import numpy as np
import pandas as pd
import torch

from mien.config import schema
from mien.config.fuzziness import CLEAR, FUZZY_MODALITIES, NOTHING, VERSIONS, Condition, conditions
from mien.config.schema import FacesConfig, SoundConfig, VariantConfig
from mien.errors import ConfigError, TableError
from mien.io import tables
from mien.io.files import digest, sha256
from mien.io.provenance import code_digest
from mien.io.randomness import rng_for, seed_for
from mien.models import checkpoint
from mien.models.mrpn import Network
from mien.training import clips as media
from mien.training import engine, run_folder
from mien.training.clips import ClipDataset, FrameSequence, ModalityData
from mien.training.engine import EvalResult, TrainSpec
from mien.training.train import ClipTask, Run, make_settings

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
    config : str
        params.yaml, or its sections as JSON text.
    jobs : int
        Threads.

    Raises
    ------
    ConfigError
        A row needs people who validate, or pretrained weights that were not given or not trained.
    """
    engine.prepare(jobs)
    params = schema.load(config)
    fuzzy = schema.section(schema.FuzzinessConfig, params, "fuzziness")
    variants = {name: schema.section(VariantConfig, params, "variants", name) for name in fuzzy.rows}
    files = find_init(variants, init or [])
    runs = {name: Run.of(fuzzy.corpus, name, params, init=files[name]) for name in sort_rows(variants)}
    runs = {name: replace(run, train=replace(run.train, epochs=fuzzy.epochs)) for name, run in runs.items()}
    one = next(iter(runs.values()))
    versions = read_versions(data, fuzzy.corpus, faces=one.faces, sound=one.sound)
    experiment = Experiment(
        runs=runs,
        versions=versions,
        roles=divide_people(versions.clips, tested=fuzzy.tested, turn=seed),
        conditions=conditions(fuzzy.shares),
        turn=seed,
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

    def drawn(self, condition: Condition, *, seed: int, turn: int) -> set[str]:
        """Draw the clips that a condition takes from its version.

        One number per clip and modality decides, so a larger share affects the same clips and more, and both kinds
        affect the same ones.   seed : of params.yaml.   turn : the repetition of the experiment.
        """
        scope = ("fuzziness", self.of[CLEAR].corpus, turn, condition.modality)
        return {clip for clip in self.clips["clip"] if rng_for(seed, *scope, clip).uniform() < condition.share}

    def changed(self, condition: Condition) -> set[str]:
        """Return the clips whose modality differs in the condition's version: a neutral face loses nothing."""
        if condition.version == CLEAR:
            return set()
        clear, other = (self.of[version].media[condition.modality] for version in (CLEAR, condition.version))
        return {clip for clip in self.clips["clip"] if not _same(clear[clip], other[clip])}

    def mixed(self, condition: Condition, drawn: Collection[str], modalities: Collection[str]) -> ClipDataset:
        """Return the corpus of a condition, as a network of `modalities` sees it: `drawn` clips as in its version.

        Face and voice of a drawn clip come from the same version, because a face moves with its voice.
        """
        clear, other = self.of[CLEAR], self.of[condition.version]
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
    return {
        "training": clips[~is_tested].reset_index(drop=True),
        "test": clips[is_tested].reset_index(drop=True),
    }


def _same(one: ModalityData, other: ModalityData) -> bool:
    if isinstance(one, FrameSequence):
        return np.array_equal(one.pixels, other.pixels)
    return torch.equal(one.spectrum, other.spectrum)


def sort_rows(variants: Mapping[str, VariantConfig]) -> list[str]:
    """Return the rows, those first whose branches others keep.

    Raises
    ------
    ConfigError : a row weighs its losses by a history on validation people, and there are none here.
    """
    if blended := [name for name, variant in variants.items() if variant.blend]:
        raise ConfigError(
            f"params.yaml: fuzziness.rows: {blended[0]} has a blend, which follows validation people; nobody validates"
            " in this experiment, so take it out"
        )
    return sorted(variants, key=lambda name: bool(variants[name].frozen))


def find_init(variants: Mapping[str, VariantConfig], given: Iterable[str]) -> dict[str, dict[str, Path]]:
    """Return variant -> modality -> file of pretrained weights.

    given : texts ROW=FILE, the models of rows of pretrain.

    Raises
    ------
    ConfigError
        A row is not given, is no file, was not applicable, or is not asked for.
    """
    asked = sorted({init for variant in variants.values() for init in variant.init.values()})
    models = {}
    for text in given:
        row, _, path = text.partition("=")
        if row not in asked or not path:
            raise ConfigError(f"--init {text}: the rows of fuzziness start from {', '.join(asked)}; give ROW=FILE")
        models[row] = path
    files = {}
    for name, variant in variants.items():
        named = [f"{modality}={models[row]}" for modality, row in variant.init.items() if row in models]
        files[name] = run_folder.find_init(f"variants.{name}", variant.init, named)
        if reason := run_folder.find_reason(run_folder.check_init(variant.init, files[name])):
            raise ConfigError(f"params.yaml: fuzziness.rows: {name}: {reason}; take it out, or train that row")
    return files


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
        return engine.ROOT.joinpath(*map(str, self.scope))

    @cached_property
    def key(self) -> str:
        """Return a digest of all that the results depend on."""
        configs = {name: run.config() for name, run in self.runs.items()}
        init = {name: {m: sha256(path) for m, path in run.init.items()} for name, run in self.runs.items()}
        people = {role: sorted(set(clips.actor)) for role, clips in self.roles.items()}
        code = code_digest("training.noise:train_fuzzy")
        return digest([configs, init, people, self.versions.digest, code, *engine.environment()])


@dataclass(frozen=True)
class Trained:
    """A network and what it says of the test clips."""

    model: Network
    result: EvalResult


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
        log.info("%s %s: accuracy %.3f", condition.name, name, trained[name].result.accuracy)
    return trained


def _train(experiment: Experiment, run: Run, condition: Condition, frozen: Mapping[str, Network]) -> Trained:
    drawn = experiment.versions.drawn(condition, seed=run.seed, turn=experiment.turn)
    dataset = experiment.versions.mixed(condition, drawn, run.variant.modalities)
    model = checkpoint.network(
        make_settings(run, dataset, 0, experiment.turn), seed=seed_for(run.seed, *experiment.scope, "weights")
    )
    run_folder.load_init(model, run.init)
    for modality, other in frozen.items():
        model.branches[modality].load_state_dict(other.branches[modality].state_dict())
    model.freeze(*frozen, trunks=run.variant.init if run.variant.extractors == "frozen" else ())
    task = ClipTask(run=run, dataset=dataset, roles=experiment.roles, scope=experiment.scope, loss_weights={})
    spec = TrainSpec(
        learning_rate=run.train.learning_rate,
        weight_decay=run.train.weight_decay,
        epochs=run.train.epochs,
        schedule="cosine",
        roles=(),
        checkpoint=experiment.folder / condition.name / run.name,
        key=f"{experiment.key} {run.name} {condition.name}",
    )
    engine.fit(model, task, spec)
    return Trained(model, task.evaluate(model, "test"))


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
            logits=list(one.result.logits["fused"].numpy()),
        )
        for name, one in trained.items()
    ]
    return pd.concat(rows)[tables.FUZZY.columns.names]
