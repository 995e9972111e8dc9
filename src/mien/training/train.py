"""Commands `train` and `train_everybody`: one variant on folds of a corpus, and on all of its people.

Below the output folder, every fold and seed gets a folder fold<k>-seed<s> with

predictions.parquet  table PREDICTIONS: logits of every head, for both selections, of validation and test clips
history.csv          a row per epoch; losses are the fused head's mean cross-entropy per clip
model.safetensors    weights of the honest epoch (of the optimistic one under the protocol of the thesis)
run.json             settings, sizes, chosen epochs and their metrics

The learning rate and the end follow the validation people. Under the protocol of the thesis, validation people are
trained on too, everything follows the test people, and there is no honest epoch.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from mien.augment.aug_a import MODES, augment
from mien.augment.masks import mask_spectra
from mien.config import schema
from mien.config.labels import LEVELS
from mien.config.schema import MasksConfig, ModulationConfig
from mien.errors import ConfigError, ModelError
from mien.io.files import digest, read_json, sha256
from mien.models import checkpoint
from mien.models.checkpoint import ModelCard
from mien.models.layout import to_device
from mien.models.mrpn import Network, first_mismatch, n_parameters
from mien.training import clips, engine, run_folder
from mien.training.clips import Batch, ClipDataset, Sampling, network_inputs
from mien.training.engine import Choice, Draws, EvalResult, Pass, Progress
from mien.training.modulation import GradientModulation
from mien.training.run_folder import EVERYBODY, RunSpec

log = logging.getLogger(__name__)

SECTIONS = ("train", "augment", "sound", "faces", "seed")  # that a variant depends on, its own row aside
FLOOR = 0.1  # G-Blend: least overfitting, in units of the loss
LEAST = 0.01  # G-Blend: least share of a head in the sum of all weights
LOSSES = {  # target -> the loss of every clip, (B, C) and (B,) -> (B,)
    "label": partial(functional.cross_entropy, reduction="none"),
    "intensity": lambda score, level: (score.squeeze(1) - level).square(),
}


def train(
    *,
    corpus: str,
    variant: str,
    folds: list[int],
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    init: list[str] | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a variant on folds of a corpus; a run that was killed goes on from its checkpoints.

    Parameters
    ----------
    variant : str
        Row of variants in params.yaml.
    out : Path
        results/training/CORPUS/VARIANT.
    init : list of str
        MODALITY=FILE, model files of the rows in variants.VARIANT.init.

    Raises
    ------
    ConfigError : pretrained weights are given that are not asked for, or the other way round.
    """
    run, dataset = prepare_run(corpus, variant, out=out, data=data, init=init, config=config, jobs=jobs)
    run_folder.train_runs(run, lambda one: train_fold(one, dataset), folds=folds, seeds=seeds)


train_vectors = train  # of a corpus that comes as numbers: a rule of its own trains all folds and seeds in one job


def train_everybody(
    *,
    corpus: str,
    variant: str,
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    init: list[str] | None = None,
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Train a variant on all people of a corpus, for as many epochs as were chosen on its folds on average.

    No people are left to test these networks, which are to be distributed; their folders are everybody-seed0 and so on.

    Parameters
    ----------
    variant : str
        Row of variants in params.yaml, which was trained on its folds.
    out : Path
        results/training/CORPUS/VARIANT.
    init : list of str
        MODALITY=FILE, model files of the rows in variants.VARIANT.init.

    Raises
    ------
    ModelError : no run on a fold, with the same settings and data, has chosen an epoch.
    ConfigError : as of `train`; or the row is made from other networks, which have not seen everybody.
    """
    run, dataset = prepare_run(corpus, variant, out=out, data=data, init=init, config=config, jobs=jobs)
    run_folder.train_runs(run, lambda one: fit_everybody(one, dataset), folds=[EVERYBODY], seeds=seeds)


def prepare_run(
    corpus: str, variant: str, *, out: Path, data: Path, init: list[str] | None, config: str, jobs: int
) -> tuple[RunSpec, ClipDataset]:
    """Return what is trained, without its fold and seed, and what it learns from; arguments of `train`."""
    engine.prepare(jobs)
    where = f"variants.{variant}"
    params = schema.load(config)
    settings = run_folder.read_settings(params, *SECTIONS, variant=where)
    settings.train = settings.variant.resolve_train(settings.train)
    settings.sound = settings.variant.resolve_sound(settings.sound)
    if "units" in settings.variant.modalities:
        settings.candide = schema.section(schema.CandideConfig, params, "candide")
    files = run_folder.find_init(where, settings.variant.init, init or [])
    run = RunSpec(corpus=corpus, name=variant, settings=settings, out=out, init=files)
    dataset = clips.read(data, corpus, settings.variant.modalities, faces=settings.faces, sound=settings.sound)
    return run, clips.normalise(dataset, settings.variant.normalise)


def train_fold(run: RunSpec, dataset: ClipDataset) -> None:
    """Train one fold with one seed and write its folder.

    Raises
    ------
    ModelError : a frozen branch, pretrained weights or a history are missing or do not fit.
    TableError : the fold does not exist.
    """
    row, how = run.settings.variant, run.settings.train
    dataset = clips.select_target(dataset, row.target)
    if row.also:
        dataset = clips.add_targets(dataset, row.also)
    roles = clips.split(dataset, run.fold)
    if how.protocol == "thesis":
        both = pd.concat([roles["training"], roles["validation"]]).sort_values("clip")
        roles = {"training": both, "test": roles["test"]}
    roles["training"] = clips.complete(dataset, roles["training"])
    draws = run.draws("training", run.corpus, run.fold, run.seed)
    card = make_card(run, dataset.classes, vectors=clips.vector_sizes(dataset) or None)
    model = checkpoint.network(card, seed=draws.number("weights"))
    record = run_folder.describe_clips(run, dataset, roles, model)
    if row.target == "intensity":
        record |= clips.describe_levels(dataset, roles["training"])
    if row.also:
        described = {
            target: clips.describe_levels(dataset, roles["training"], column=f"{clips.ALSO}{target}")
            for target in row.also
        }
        record["also"] = {target: {"classes": list(LEVELS[run.corpus])} | facts for target, facts in described.items()}
    histories = {head: run.beside(other) for head, other in row.blend.items()}
    if reason := run_folder.find_reason(
        run_folder.check_clips(dataset, roles), run_folder.check_init(row.init, run.init), _check_blend(run, histories)
    ):
        run_folder.write(run, record, card, reason=reason)
        return
    for name in card.vectors or {}:
        vectors = np.stack([dataset.media[name][clip].values for clip in roles["training"]["clip"]])
        model.branches[name].trunk.standardise_by(torch.from_numpy(vectors))
    given = run_folder.load_init(model, run.init) | _load_frozen(run, model)
    model.freeze(*row.frozen, trunks=row.init if row.extractors == "frozen" else ())
    weights = {}
    if histories:
        courses = {head: LearningStats.of(pd.read_csv(path / "history.csv")) for head, path in histories.items()}
        weights = gradient_blending_weights(courses)
        record |= {"loss_weights": weights, "blend": {head: asdict(course) for head, course in courses.items()}}
    task = ClipTask(settings=run.settings, dataset=dataset, roles=roles, draws=draws, loss_weights=weights)
    if row.weights:
        evaluate_reused_weights(run, task, model, record, card)
        return
    record |= {"n_steps": task.count_steps()}
    if row.looks:
        task = FeatureTask(**vars(task), features=task.store_features(model))
    elif card.vectors:
        task = VectorTask(**vars(task), features=task.store_inputs())
    kept = "optimistic" if how.protocol == "thesis" else "honest"
    spec = run.spec(
        *(record, given),
        code="training.train:train",
        learning_rate=how.learning_rate,
        epochs=how.epochs,
        steps=clips.count_batches(len(roles["training"]), size=how.batch),
        **engine.recipe(row, schedule="plateau", weight_decay=how.weight_decay),
        patience=how.patience,
        stop=how.stop,
        evaluate_every=row.evaluate_every,
        roles=tuple(role for role in ("validation", "test") if role in roles),
        keep=(kept,),
    )
    progress = engine.fit(model, task, spec)
    samples = {role: roles[role] for role in spec.roles}
    run_folder.write(
        run, record, card, progress=progress, samples=samples, media=dataset.media, kept=kept, also=row.also
    )


def evaluate_reused_weights(
    run: RunSpec, task: "ClipTask", model: Network, record: dict[str, Any], card: ModelCard
) -> None:
    """Judge by the network of another row, at the epoch that it has chosen, and write the folder.

    Raises
    ------
    ModelError : it was not trained, or is of another fold or seed.
    """
    record, progress, kept = _load_reused_weights(run, model, record)
    to_device(model, engine.device())
    samples = {role: rows for role, rows in task.roles.items() if role != "training"}
    judged = {role: task.evaluate(model, role) for role in samples}
    choice = progress.choices[kept]
    choice.metrics = {f"{role}_loss": one.loss for role, one in judged.items()}
    choice.metrics |= {f"{role}_accuracy": one.accuracy for role, one in judged.items()}
    choice.logits = {role: one.logits for role, one in judged.items()}
    run_folder.write(run, record, card, progress=progress, samples=samples, media=task.dataset.media, kept=kept)


def _load_reused_weights(run: RunSpec, model: Network, record: dict[str, Any]) -> tuple[dict[str, Any], Progress, str]:
    """Load the network of the row `weights` of the same fold and seed; return what is known of it, as trainers do."""
    of = run.beside(run.settings.variant.weights)
    trained, card = checkpoint.load(of / "model.safetensors")
    if (card.corpus, card.fold, card.seed) != (run.corpus, run.fold, run.seed):
        raise ModelError(f"{of}: is of {card.corpus} fold {card.fold} seed {card.seed}; train {card.variant} again")
    if mismatch := first_mismatch(model.state_dict(), trained.state_dict()):
        raise ModelError(f"{of}: is another network than {run.name}: {mismatch}; train {card.variant} again")
    model.load_state_dict(trained.state_dict())
    other = read_json(of / "run.json")
    progress = Progress(history=pd.read_csv(of / "history.csv").to_dict("records"))
    kept = "optimistic" if run.settings.train.protocol == "thesis" else "honest"
    progress.choices[kept] = Choice(other["best_epoch"][kept], weights=model.state_dict())
    return record | {"n_steps": other["n_steps"], "weights": sha256(of / "model.safetensors")}, progress, kept


def fit_everybody(run: RunSpec, dataset: ClipDataset) -> None:
    """Train on all people of a corpus with one seed and write its folder.

    Raises
    ------
    ModelError : no run on a fold, with the same settings and data, has chosen an epoch.
    ConfigError : the row is made from other networks, which have not seen everybody.
    """
    row, how = run.settings.variant, run.settings.train
    if clips.vector_sizes(dataset):
        raise ConfigError(f"{run.name} uses precomputed numbers: it cannot be applied to recordings; name another row")
    if row.frozen or row.blend:
        raise ConfigError(f"{run.name} is made from other rows, which were not trained on everybody; name another row")
    dataset = clips.select_target(dataset, row.target)
    if row.also:
        dataset = clips.add_targets(dataset, row.also)
    listed = dataset.clips[~dataset.clips.apart & (dataset.clips.label >= 0)]
    training = clips.complete(dataset, listed.sort_values("clip"))
    draws = run.draws("training", run.corpus, run.fold, run.seed)
    card = make_card(run, dataset.classes)
    model = checkpoint.network(card, seed=draws.number("weights"))
    record = run.record(
        "everybody",
        dataset.classes,
        n_parameters=n_parameters(model),
        n_clips={"training": len(training)},
        data_digest=dataset.digest,
    )
    kept = "optimistic" if how.protocol == "thesis" else "honest"
    if row.weights:
        record, progress, kept = _load_reused_weights(run, model, record)
        run_folder.write(run, record, card, progress=progress, kept=kept)
        return
    chosen = []
    for path in sorted(Path(run.out).glob("fold*-seed*/run.json")):
        other = read_json(path)
        if other["status"] == "trained":
            if differing := [key for key in ("config", "data_digest") if digest(other[key]) != digest(record[key])]:
                raise ModelError(f"{path}: is of another {differing[0]}; train it again before everybody is trained on")
            chosen.append(other["best_epoch"][kept])
    if not chosen:
        raise ModelError(
            f"{run.out}: no fold was trained, whose epoch is needed to train on everybody; train one first"
        )
    epochs = round(fmean(chosen))
    given = run_folder.load_init(model, run.init)
    model.freeze(trunks=row.init if row.extractors == "frozen" else ())
    task = ClipTask(settings=run.settings, dataset=dataset, roles={"training": training}, draws=draws, loss_weights={})
    record |= {"n_steps": task.count_steps(), "epochs_of_folds": chosen}
    spec = run.spec(
        *(record, given),
        code="training.train:train_everybody",
        learning_rate=how.learning_rate,
        epochs=epochs,
        steps=clips.count_batches(len(training), size=how.batch),
        **engine.recipe(row, schedule="constant", weight_decay=how.weight_decay),
        roles=(),
    )
    progress = engine.fit(model, task, spec)
    progress.choices[kept] = Choice(epochs, weights=model.state_dict())
    run_folder.write(run, record, card, progress=progress, kept=kept)


def make_card(run: RunSpec, classes: tuple[str, ...], **more: Any) -> ModelCard:
    """Return what rebuilds the network of a run."""
    row, how = run.settings.variant, run.settings.train
    shared = ("modalities", "fusion", "aggregator", "trunk", "side_head", "head", "residual", "target", "also")
    shared += ("members", "augmentation", "normalise")
    return run.card(
        "variant",
        **{name: getattr(row, name) for name in shared},
        classes=classes,
        width=how.width,
        dropout=how.dropout,
        frames=how.frames,
        sound=run.settings.sound,
        faces=run.settings.faces,
        candide=vars(run.settings).get("candide", {}),  # of rows with action units
        **more,
    )


def _load_frozen(run: RunSpec, model: Network) -> dict[str, str]:
    """Load the branches of other variants that stay as they are; return modality -> digest of the file."""
    digests = {}
    for modality, variant in sorted(run.settings.variant.frozen.items()):
        path = run.beside(variant) / "model.safetensors"
        trained, card = checkpoint.load(path)
        if (card.corpus, card.fold, card.seed) != (run.corpus, run.fold, run.seed):
            raise ModelError(f"{path}: is of {card.corpus} fold {card.fold} seed {card.seed}; train {variant} again")
        branch = model.branches[modality]
        state = trained.branches[modality].state_dict()
        if mismatch := first_mismatch(branch.state_dict(), state):
            raise ModelError(f"{path}: its branch does not fit {run.name}: {mismatch}; train {variant} again")
        branch.load_state_dict(state)
        digests[modality] = sha256(path)
    return digests


@dataclass(frozen=True, kw_only=True)
class ClipTask:
    """A variant is trained on clips.

    settings : with variant, train, augment and sound.
    roles : role -> its clips, of which training ones are complete.
    loss_weights : of heads; 1 where absent.
    """

    settings: SimpleNamespace
    dataset: ClipDataset
    roles: Mapping[str, pd.DataFrame]
    draws: Draws
    loss_weights: Mapping[str, float]
    kept: dict[str, list[Batch]] = field(default_factory=dict)  # role -> what is evaluated, if it is small

    @property
    def sampling(self) -> Sampling:
        """Return how clips are looked at."""
        of = self.settings
        return Sampling.of(of.variant.augmentation, frames=of.train.frames, share=of.augment.slice, sound=of.sound)

    @property
    def loss(self) -> Callable[..., Tensor]:
        """Return the loss of every clip, (B, C) and (B,) -> (B,)."""
        row = self.settings.variant
        if row.target != "label":
            return LOSSES[row.target]
        label = self.roles["training"].label.to_numpy()
        return partial(engine.make_loss(row, label, len(self.dataset.classes)), reduction="none")

    def count_steps(self) -> dict[str, float]:
        """Return modality -> mean number of steps of a whole training clip, to the hundredth."""
        seconds = [self.dataset.duration_s(clip) for clip in self.roles["training"]["clip"]]
        return {
            name: round(fmean(self.sampling.count_steps(name, duration_s) for duration_s in seconds), 2)
            for name in self.dataset.media
        }

    def train_epoch(self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int) -> Pass:
        """Train one epoch; the loss is that of the fused head."""
        row, how = self.settings.variant, self.settings.train
        model.train()
        batches = self.training_batches(epoch)
        if row.modality_dropout:
            batches = clips.drop_modalities(batches, row.modality_dropout, rng=self.draws.rng("modalities", epoch))
        asked = self.asked(model)
        if row.modulation != ModulationConfig():
            noise = torch.Generator(engine.device()).manual_seed(self.draws.number("modulation", epoch))
            asked = GradientModulation(network=model, config=row.modulation, generator=noise)
        with self.draws.epoch(epoch) as generator:
            loss = train_epoch(
                asked,
                clips.on_device(engine.device(), batches),
                optimizer,
                inputs_of=partial(self.inputs_of, generator=generator),
                precision=how.precision,
                loss_of=self.loss,
                weights=self.loss_weights,
            )
        return Pass(loss)

    def training_batches(self, epoch: int) -> Iterable[Batch]:
        """Return the batches of an epoch."""
        order, training = self.draws.rng("order", epoch), self.roles["training"]
        size = self.settings.train.batch
        return clips.training_batches(self.dataset, training, self.sampling, size=size, rng=order)

    def inputs_of(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return what a network is given of a batch of training."""
        mode = MODES[self.settings.variant.augmentation]
        change = partial(augment, config=self.settings.augment, mode=mode, generator=generator)
        inputs = network_inputs(batch, augment=change)
        if (masks := self.settings.variant.masks) != MasksConfig():
            inputs["audio"] = mask_spectra(inputs["audio"], masks, generator=generator)
        return inputs

    def asked(self, model: Network) -> Callable[..., dict[str, Tensor]]:
        """Return the part of a network that answers what `inputs_of` gives, in its present mode."""
        return model

    @torch.no_grad()
    def evaluate(self, model: nn.Module, role: str) -> EvalResult:
        """Evaluate the clips of a role, each of which has at least one modality."""
        model.eval()
        scores, device = [], engine.device()
        for batch in self.evaluation_inputs(model, role):
            with engine.autocast(device, self.settings.train.precision):
                out = (model.forward_heads if self.uses_reference else self.asked(model))(batch.inputs, batch.n_steps)
            scores.append({head: score.float().cpu() for head, score in out.items()})
        logits = {head: torch.cat([score[head] for score in scores]) for head in scores[0]}
        label = torch.tensor(self.roles[role].label.to_numpy())
        if self.settings.variant.target == "intensity":
            return EvalResult.of_levels(logits, label, n_levels=len(self.dataset.classes))
        return EvalResult.of(logits, label)

    @property
    def uses_reference(self) -> bool:
        """Tell whether what a network says of a voice is standardised by the person's other recordings."""
        return self.settings.variant.normalise == "subject" and "audio" in self.dataset.media

    def evaluation_inputs(self, model: Network, role: str) -> Iterable[Batch]:
        """Return what is evaluated: `evaluation_batches`, or what branches say of them, referred to their person."""
        if not self.uses_reference:
            return self.evaluation_batches(role)
        batch = self.encode_role(model, role)
        said, heard = batch.inputs["audio"].clone(), batch.n_steps["audio"] > 0
        for actor in self.roles[role].actor.unique():
            own = torch.from_numpy((self.roles[role].actor == actor).to_numpy(copy=True)).to(heard.device) & heard
            said[own] = model.adapt_to_reference("audio", said[own], said[own])
        return [replace(batch, inputs=batch.inputs | {"audio": said})]

    def encode_role(self, model: Network, role: str) -> Batch:
        """Return what the branches of a network say of all clips of a role."""
        (batch,) = self._store(model, self.evaluation_batches(role))
        return batch

    def evaluation_batches(self, role: str) -> Iterable[Batch]:
        """Return the clips of a role with the inputs of a network: they are the same after every epoch."""
        if role in self.kept:
            return self.kept[role]
        size = engine.EVALUATED * self.settings.train.batch
        batches = clips.evaluation_batches(self.dataset, self.roles[role], self.sampling, size=size)
        batches = (replace(one, inputs=network_inputs(one)) for one in clips.on_device(engine.device(), batches))
        first = next(batches)
        n_bytes = sum(value.nbytes for value in first.inputs.values())
        if n_bytes * len(self.roles[role]) > clips.IN_MEMORY * len(first):
            return chain([first], batches)
        self.kept[role] = [first, *batches]
        return self.kept[role]

    def store_features(self, model: Network) -> dict[str, list[Batch]]:
        """Return what the kept branches of a network say: role -> clips in their order, of training look after look."""
        model.eval()
        stored = {role: self._store(model, self.evaluation_batches(role)) for role in self.roles if role != "training"}
        training, size = self.roles["training"], engine.EVALUATED * self.settings.train.batch
        parts = [training.iloc[start : start + size] for start in range(0, len(training), size)]
        rng = self.draws.rng("looks")
        looks = (
            clips.assemble(self.dataset, part, self.sampling, rng=rng)
            for _ in range(self.settings.variant.looks)
            for part in parts
        )
        generator = torch.Generator(engine.device()).manual_seed(self.draws.number("looks"))
        looks = (replace(one, inputs=self.inputs_of(one, generator)) for one in clips.on_device(engine.device(), looks))
        return stored | {"training": self._store(model, looks)}

    def store_inputs(self) -> dict[str, list[Batch]]:
        """Return role -> all of its clips, which look the same whenever they are looked at."""
        batches = {
            role: clips.assemble(self.dataset, rows, self.sampling, rng=None) for role, rows in self.roles.items()
        }
        return {role: [batch.to(engine.device())] for role, batch in batches.items()}

    @torch.no_grad()
    def _store(self, model: Network, batches: Iterable[Batch]) -> list[Batch]:
        """Return one batch of features with the clips of all `batches`."""
        said, n_steps, label, also = [], [], [], []
        for batch in batches:
            with engine.autocast(engine.device(), self.settings.train.precision):
                said.append(model.forward_features(batch.inputs, batch.n_steps))
            n_steps.append(batch.n_steps)
            label.append(batch.label)
            also.append(batch.also)
        joined = [{name: _join([one[name] for one in parts]) for name in parts[0]} for parts in (said, n_steps, also)]
        return [Batch(*joined[:2], torch.cat(label), joined[2])]


def _join(parts: list[Tensor]) -> Tensor:
    """Return clips of several batches as one, (B, ...) each; of states (B, T, D) the shorter are padded."""
    if parts[0].ndim < 3:
        return torch.cat(parts)
    most = max(part.shape[1] for part in parts)
    return torch.cat([functional.pad(part, (0, 0, 0, most - part.shape[1])) for part in parts])


@dataclass(frozen=True, kw_only=True)
class FeatureTask(ClipTask):
    """The heads of a network whose branches are all kept are trained on what these say of some looks at every clip.

    features : from `store_features`.
    """

    features: Mapping[str, list[Batch]]

    def training_batches(self, epoch: int) -> Iterable[Batch]:
        """Return the batches of an epoch: of every clip one of its looks, drawn anew."""
        rng, n = self.draws.rng("order", epoch), len(self.roles["training"])
        (looks,) = self.features["training"]
        n_looks = len(looks) // n
        for rows in clips.random_batches(n, size=self.settings.train.batch, rng=rng):
            which = rng.integers(n_looks, size=len(rows))
            yield looks.take(torch.from_numpy(which * n + rows))

    def evaluation_batches(self, role: str) -> Iterable[Batch]:
        """Return the clips of a role."""
        return self.features[role]

    def encode_role(self, model: Network, role: str) -> Batch:
        """Return the features of all clips of a role."""
        (batch,) = self.features[role]
        return batch

    def inputs_of(self, batch: Batch, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the features of a batch."""
        return batch.inputs

    def asked(self, model: Network) -> Callable[..., dict[str, Tensor]]:
        """Return what comes after the branches."""
        return model.forward_heads


class VectorTask(FeatureTask):
    """A network is trained on clips that come as vectors; `features` are from `store_inputs`."""

    def asked(self, model: Network) -> Callable[..., dict[str, Tensor]]:
        """Return all of the network."""
        return model


def train_epoch(
    model: Callable[..., dict[str, Tensor]],
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    *,
    inputs_of: Callable[[Batch], dict[str, Tensor]],
    precision: str = "float32",
    loss_of: Callable[..., Tensor] = LOSSES["label"],
    weights: Mapping[str, float] | None = None,
) -> float:
    """Run one pass over `batches` of complete clips, minimising the sum of all heads' losses (eq. 28).

    A side head's loss is the mean over the clips that have its modality: all, unless modalities are dropped.

    model : a network in training mode, or the part of it that answers what `inputs_of` makes of a batch.
    loss_of : the loss of every clip, of heads that learn the target.
    weights : head -> factor of its loss; 1 where absent.

    Returns the mean loss per clip of the fused head, which is comparable between networks.
    """
    total, n_clips = 0.0, 0
    for batch in batches:
        inputs = inputs_of(batch)
        with engine.autocast(batch.label.device, precision):
            scores = model(inputs, batch.n_steps)
        losses = {
            head: _mean(loss_of(score.float(), batch.label), batch.n_steps.get(head))
            for head, score in scores.items()
            if head not in batch.also
        }
        for head, level in batch.also.items():
            known = level != clips.NO_LEVEL
            if bool(known.any()):
                losses[head] = LOSSES[head](scores[head].float()[known], level[known]).mean()
        loss = sum((weights or {}).get(head, 1.0) * loss for head, loss in losses.items())
        if isinstance(model, GradientModulation):
            model.step(optimizer, loss, batch.label)
        else:
            engine.step(optimizer, loss)
        total += losses["fused"].detach() * len(batch)
        n_clips += len(batch)
    return float(total) / n_clips


def _mean(losses: Tensor, n_steps: Tensor | None) -> Tensor:
    return losses.mean() if n_steps is None or bool((n_steps > 0).all()) else losses[n_steps > 0].mean()


# How much each head's loss counts: G-Blend of Wang, Tran, Feiszli (2020), "What makes training multi-modal
# classification networks hard?", reference [97] of the thesis, estimated once and before ("offline").
#
# The weight of a head is proportional to G / O^2 of a network that learnt by that head alone: G is by how much the loss
# of the validation people fell, O by how much more than it the loss of the training people did, between the first epoch
# and the one with the lowest validation loss. Both come from history.csv, whose training loss is that of the pass
# itself, with its distortions and dropout; what they add is about the same at both epochs. Test people have no part.
#
# Where the paper's estimate breaks down:
# - O near or below 0 says that nothing was overfitted, and its square means nothing. Below `FLOOR`, about what the mean
#   loss of a hundred clips is uncertain by, O counts as that.
# - G = 0 (no epoch was better than the first) would silence a head, and the answer is one of them. Each head keeps at
#   least the share `LEAST`. If no head gained anything, all count alike.


@dataclass(frozen=True, kw_only=True)
class LearningStats:
    """What a network learnt between two epochs, and how much of it by heart."""

    first_epoch: int
    best_epoch: int
    gain: float  # G: fall of the validation loss
    overfitting: float  # O: growth of the distance from training to validation loss

    @classmethod
    def of(cls, history: pd.DataFrame) -> "LearningStats":
        """Return what history.csv says; its column validation_loss has numbers."""
        first, best = history.iloc[0], history.loc[history.validation_loss.idxmin()]
        gaps = [row.validation_loss - row.train_loss for row in (first, best)]
        return cls(
            first_epoch=int(first.epoch),
            best_epoch=int(best.epoch),
            gain=float(first.validation_loss - best.validation_loss),
            overfitting=float(gaps[1] - gaps[0]),
        )


def gradient_blending_weights(courses: Mapping[str, LearningStats]) -> dict[str, float]:
    """Return head -> weight; their sum is the number of heads."""
    raw = {head: course.gain / max(course.overfitting, FLOOR) ** 2 for head, course in courses.items()}
    total = sum(raw.values())
    if total == 0:
        log.warning("G-Blend: no head gained anything after the first epoch: all count alike")
        return dict.fromkeys(courses, 1.0)
    shares = {head: max(weight / total, LEAST) for head, weight in raw.items()}
    return {head: len(shares) * share / sum(shares.values()) for head, share in shares.items()}


def _check_blend(run: RunSpec, folders: Mapping[str, Path]) -> Iterable[tuple[bool, str]]:
    """Yield why heads cannot be weighed by the histories of the runs `folders`, head -> folder.

    Raises
    ------
    ModelError : one is missing, or is of another corpus, fold or seed, whose validation people may be tested here.
    """
    yield (
        bool(folders) and run.settings.train.protocol == "thesis",
        "G-Blend weighs heads by the loss of validation people, and the protocol of the thesis has none",
    )
    for head, folder in folders.items():
        path, name = folder / "run.json", folder.parent.name
        if not path.is_file():
            raise ModelError(f"{path}: is missing, and its history weighs a loss; train that variant first")
        other = read_json(path)
        if (other["corpus"], other["fold"], other["seed"]) != (run.corpus, run.fold, run.seed):
            raise ModelError(
                f"{path}: is of {other['corpus']} fold {other['fold']} seed {other['seed']}; train {name} again"
            )
        yield other["status"] != "trained", f"{name}, whose history weighs the loss of {head}, was not trained"
