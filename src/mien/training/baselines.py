"""Command `fit_baseline`: classical methods beside the networks of chapter 5, on the same folds, people and clips.

A row of `baselines` is a support vector machine with the kernel exp(-gamma |x - y|²) (`svm`) or a logistic regression
(`logistic`) on statistics of a clip's voice or action units, or the sum of the log probabilities of several such rows
(`late`), of those that a clip has. Features are standardised by the training people, hyper-parameters chosen and
temperatures fitted on the validation people. Nothing is drawn, so a fold has one run, whatever `repeats` says; run.json
says so (`deterministic`). Nobody is chosen on the tested people either: under the protocol of the thesis the same
numbers are written where those of networks are, as optimistic ones.
"""

import itertools
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.special import log_softmax

from mien.audio.functionals import egemaps_functionals, voice_functionals
from mien.audio.spectrogram import trim_silence
from mien.classical.fit import write_folder
from mien.config import schema
from mien.config.schema import SoundConfig
from mien.errors import ModelError
from mien.evaluation.calibration import cross_entropies, fit_temperature
from mien.evaluation.runs import Run, read_run
from mien.io.files import digest
from mien.io.shards import FULL_SCALE
from mien.training import clips, engine, run_folder
from mien.training.clips import ActionUnitSequence, ClipDataset, FeatureVector, ModalityData
from mien.training.run_folder import RunSpec

log = logging.getLogger(__name__)

Point = tuple[float, ...]  # hyper-parameters as exponents of 10
Logits = Callable[[np.ndarray], np.ndarray]  # (N, D) -> (N, C)

STEP = 0.5  # of the grid, exponents of 10
FARTHEST = 6.0  # exponent at which a grid stops growing
GRIDS = {  # model -> where the grid begins: range of every exponent
    "svm": {"C": (-0.5, 1.5), "gamma": (-1.0, 0.0)},  # gamma times the number of features
    "logistic": {"C": (-2.0, 0.0)},
}
EVALUATED = ("validation", "test")


def fit_baseline(
    *,
    corpus: str,
    baseline: str,
    folds: list[int],
    seeds: list[int],
    out: Path,
    data: Path = Path("results"),
    config: str = "params.yaml",
    jobs: int = 1,
) -> None:
    """Fit a classical method to folds of a corpus.

    Parameters
    ----------
    baseline : str
        Row of baselines in params.yaml.
    seeds : list of int
        0, for the name of the folder: nothing is drawn.
    out : Path
        results/training/CORPUS/BASELINE; a row `late` reads those of its parts beside it.
    """
    engine.prepare(jobs)
    keys = ("sound", "faces", "train.protocol")
    settings = run_folder.read_settings(schema.load(config), *keys, baseline=f"baselines.{baseline}")
    run = RunSpec(corpus=corpus, name=baseline, settings=settings, out=out, init={})
    if settings.baseline.model == "late":
        run_folder.train_runs(run, _fuse, folds=folds, seeds=seeds)
        return
    given = {"faces": settings.faces, "sound": settings.sound}
    row = settings.baseline
    dataset = clips.read(data, corpus, [row.modality], **given, running=True)
    features = {
        clip: functionals(one, settings.sound, trimmed=row.trimmed, descriptors=row.descriptors)
        for clip, one in dataset.media[row.modality].items()
    }
    if row.normalise != "corpus":
        vectors = {clip: FeatureVector(values, 0.0) for clip, values in features.items()}
        dataset = replace(dataset, media={row.modality: vectors})
        dataset = clips.normalise(dataset, row.normalise)
        features = {clip: one.values for clip, one in dataset.media[row.modality].items()}
    run_folder.train_runs(run, lambda one: _fit_fold(one, dataset, features), folds=folds, seeds=seeds)


def functionals(
    one: ModalityData, sound: SoundConfig | None = None, *, trimmed: bool = False, descriptors: str = "mfcc"
) -> np.ndarray:
    """Return the features (D,) of a clip, float64.

    Of vectors the numbers themselves; of action units mean, standard deviation, minimum, maximum and the middle frame
    of the eight, in this order. Of voices `voice_functionals`, or `egemaps_functionals` if `descriptors` says egemaps;
    trimmed: without the silence around them.
    """
    if isinstance(one, FeatureVector):
        return one.values.astype(np.float64)
    if isinstance(one, ActionUnitSequence):
        units = one.units.astype(np.float64)
        return np.concatenate(
            [units.mean(axis=0), units.std(axis=0), units.min(axis=0), units.max(axis=0), units[len(units) // 2]]
        )
    wave = torch.from_numpy(one.samples.astype(np.float32) / FULL_SCALE)
    find = egemaps_functionals if descriptors == "egemaps" else voice_functionals
    return find(trim_silence(wave, sound)[0] if trimmed else wave, sound.rate_hz)


def _fit_fold(run: RunSpec, dataset: ClipDataset, features: Mapping[str, np.ndarray]) -> None:
    roles = clips.split(dataset, run.fold)
    record = run.record(
        dataset.name_of(run.fold),
        dataset.classes,
        n_clips={role: len(rows) for role, rows in roles.items()},
        data_digest=dataset.digest,
    )
    if reason := run_folder.find_reason(run_folder.check_clips(dataset, roles), _check_classes(dataset, roles)):
        _write(run, record, reason=reason)
        return
    inputs = {role: np.stack([features[clip] for clip in rows["clip"]]) for role, rows in roles.items()}
    labels = {role: rows.label.to_numpy() for role, rows in roles.items()}
    logits, size, chosen = fit(inputs, labels, model=run.settings.baseline.model)
    judged = {role: logits(inputs[role]) for role in EVALUATED}
    _write(run, record | {"n_parameters": size, **chosen}, samples=roles, logits=judged)


def _check_classes(dataset: ClipDataset, roles: Mapping[str, pd.DataFrame]) -> Iterable[tuple[bool, str]]:
    absent = [name for k, name in enumerate(dataset.classes) if k not in set(roles["training"].label)]
    yield bool(absent), f"no training clip of {', '.join(absent)} has {' or '.join(dataset.media)}"


def fit(
    inputs: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], *, model: str
) -> tuple[Logits, int, dict[str, Any]]:
    """Fit a model to the training people, with hyper-parameters and a temperature of the validation people.

    The hyper-parameters are those of the lowest cross-entropy of the validation people, each with its own temperature.

    Parameters
    ----------
    inputs, labels : role -> (N, D) and (N,), every class in training; test people are not looked at.

    Returns
    -------
    function that returns calibrated logits, how many numbers it keeps, and the search for run.json.
    """
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(inputs["training"])
    training, validation = (scaler.transform(inputs[role]) for role in ("training", "validation"))
    build = partial(_build, training, labels["training"], model)

    def loss(point: Point) -> float:
        found, _ = build(point)
        logits = found(validation)
        temperature = fit_temperature(logits, labels["validation"])
        return float(cross_entropies(logits / temperature, labels["validation"]).mean())

    point, n_points, inside = search(loss, list(GRIDS[model].values()))
    machine, size = build(point)
    temperature = fit_temperature(machine(validation), labels["validation"])
    chosen = dict(zip(GRIDS[model], (10.0**value for value in point), strict=True)) | {"temperature": temperature}
    return (
        lambda rows: machine(scaler.transform(rows)) / temperature,
        size + 2 * training.shape[1],
        {"chosen": chosen, "search": {"points": n_points, "inside": inside}},
    )


def search(loss: Callable[[Point], float], ranges: list[tuple[float, float]]) -> tuple[Point, int, bool]:
    """Return the point of the lowest loss, how many were tried, and whether it lies inside of them.

    The grid grows by a step on every side where its best point lies, until it lies inside, or at `FARTHEST`. Of equals
    the one nearest to the middle of the first grid is the best.
    """
    middle = [sum(ends) / 2 for ends in ranges]
    losses: dict[Point, float] = {}
    while True:
        axes = [np.arange(low, high + STEP / 2, STEP).tolist() for low, high in ranges]
        for point in itertools.product(*axes):
            if point not in losses:
                losses[point] = loss(point)
        best = min(losses, key=lambda point: (losses[point], math.dist(point, middle), point))
        grown = [
            (low - STEP * (at == low > -FARTHEST), high + STEP * (at == high < FARTHEST))
            for at, (low, high) in zip(best, ranges, strict=True)
        ]
        if grown == ranges:
            return best, len(losses), all(low < at < high for at, (low, high) in zip(best, ranges, strict=True))
        ranges = grown


def _build(rows: np.ndarray, labels: np.ndarray, model: str, point: Point) -> tuple[Logits, int]:
    """Return the fitted model and how many numbers it keeps."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import SVC

    if model == "logistic":
        found = LogisticRegression(C=10.0 ** point[0], max_iter=10_000).fit(rows, labels)
        size = found.coef_.size + found.intercept_.size
    else:
        gamma = 10.0 ** point[1] / rows.shape[1]
        found = SVC(C=10.0 ** point[0], gamma=gamma, decision_function_shape="ovr").fit(rows, labels)
        size = found.support_vectors_.size + found.dual_coef_.size + found.intercept_.size

    def logits(inputs: np.ndarray) -> np.ndarray:
        values = found.decision_function(inputs)
        return values if values.ndim == 2 else np.column_stack([-values, values]) / 2  # of two classes

    return logits, size


def _fuse(run: RunSpec) -> None:
    """Add the log probabilities of the parts, which are calibrated each on its own.

    Raises
    ------
    ModelError : a part was not fitted, or to another fold.
    """
    parts = [_read_part(run, name) for name in run.settings.baseline.parts]
    first = parts[0]
    record = run.record(
        first.fold_name,
        first.classes,
        n_clips={},
        data_digest=digest([part.record["data_digest"] for part in parts]),
        n_parameters=sum(part.record["n_parameters"] for part in parts),
    )
    if reason := run_folder.find_reason((not part.trained, f"{part.variant} was not fitted") for part in parts):
        _write(run, record, reason=reason)
        return
    rows = pd.concat([part.predictions() for part in parts])
    rows["logits"] = list(log_softmax(np.stack(rows.logits).astype(np.float64), axis=1))
    summed = rows.groupby(["role", "clip", "actor", "label"]).logits.sum().reset_index()
    samples = {role: summed[summed.role == role] for role in EVALUATED}
    record["n_clips"] = {role: len(part) for role, part in samples.items()}
    _write(run, record, samples=samples, logits={role: np.stack(part.logits) for role, part in samples.items()})


def _read_part(run: RunSpec, name: str) -> Run:
    path = run.beside(name) / "run.json"
    if not path.is_file():
        raise ModelError(f"{path}: is missing, and {run.name} adds its log probabilities; fit {name} first")
    return read_run(path)


def _write(
    run: RunSpec,
    record: dict[str, Any],
    *,
    reason: str = "",
    samples: Mapping[str, pd.DataFrame] | None = None,
    logits: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write the folder of a run, whole or not at all."""
    selection = "optimistic" if run.settings.train.protocol == "thesis" else "honest"
    record = {"n_parameters": 0, **record, "deterministic": True, "reason": reason}
    done = write_folder(run.folder, record, samples or {}, logits or {}, selection=selection)
    said = f"not applicable: {reason}" if reason else done["metrics"]
    log.info("%s %s fold %d: %s", run.corpus, run.name, run.fold, said)
