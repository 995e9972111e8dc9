"""How far trained networks can be trusted: what they say of their test clips, undisturbed and disturbed, read whole."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.core import tables
from mien.core.config import EvaluateConfig, TrustConfig, section
from mien.core.errors import TableError
from mien.core.files import read_json
from mien.core.rng import rng_for
from mien.evaluation.calibration import fit_temperature
from mien.evaluation.conditions import CLEAN, conditions
from mien.evaluation.metrics import by_actor
from mien.evaluation.runs import Run, read_runs, select_runs
from mien.evaluation.statistics import interval_of_mean, interval_of_share
from mien.evaluation.streams import Estimate


@dataclass(frozen=True)
class Trust:
    """The rows of section ``trust`` on one corpus.

    judged : ASSESSMENTS of all rows, with the columns network, predicted, hit (0 or 1) and temperature: that of the
        clip's network, NaN without validation people.
    temperatures : network, fold, fold_name, seed, temperature, n_clips: what was fitted to the validation people.
    clips : CLIPS, by clip.   votes : VOTES; no rows where the corpus has no raters.
    """

    corpus: str
    runs: list[Run]
    judged: pd.DataFrame
    temperatures: pd.DataFrame
    clips: pd.DataFrame
    votes: pd.DataFrame
    trust: TrustConfig
    evaluate: EvaluateConfig
    seed: int
    scale: str
    synthetic: bool

    @property
    def networks(self) -> tuple[str, ...]:
        """Return the rows, in the order of params.yaml."""
        return self.trust.rows

    @property
    def reasons(self) -> dict[str, str]:
        """Return network -> why it, or some of its folds, could not be trained."""
        texts: dict[str, set[str]] = {}
        for run in self.runs:
            if not run.trained:
                texts.setdefault(run.variant, set()).add(run.reason or "not applicable")
        return {name: "; ".join(sorted(texts[name])) for name in self.networks if name in texts}

    def modalities(self, network: str) -> tuple[str, ...]:
        """Return what a network uses."""
        return modalities_of(next(run for run in self.runs if run.variant == network))

    def of(self, network: str, condition: str = CLEAN) -> pd.DataFrame:
        """Return the rows of `judged` of a network under a condition."""
        return self.judged[(self.judged.network == network) & (self.judged.condition == condition)]

    def rng(self, *scope: str) -> np.random.Generator:
        """Return the generator of one simulation."""
        return rng_for(self.seed, "evaluation", "trust", self.corpus, *scope)

    def share(self, rows: pd.DataFrame, values: np.ndarray) -> Estimate:
        """Return the mean over folds of values (N,), 0..1, with its interval over actors.

        rows : N of `judged`.
        """
        return self._estimate(rows, values, interval_of_share)

    def mean(self, rows: pd.DataFrame, values: np.ndarray) -> Estimate:
        """Return the mean over folds of any values (N,), such as differences; else as `share`."""
        return self._estimate(rows, values, interval_of_mean)

    def _estimate(self, rows: pd.DataFrame, values: np.ndarray, interval: Callable) -> Estimate:
        if rows.empty:
            return Estimate(math.nan, math.nan, math.nan, 0, 0)
        people = by_actor(rows.assign(hit=values, apart=False))
        found, weights = people.accuracy.to_numpy(), people.weight.to_numpy()
        low, high = interval(found, weights, confidence=self.evaluate.confidence)
        return Estimate(float(np.average(found, weights=weights)), low, high, rows["clip"].nunique(), len(people))


def read_trust(
    corpus: str, runs: list[Path], *, assessed: Path, clips: Path, votes: Path, info: Path, params: Mapping[str, Any]
) -> Trust:
    """Read everything that the page of a corpus rests on.

    runs : run.json of every row, fold and seed.   assessed : folder of assess.

    Raises
    ------
    TableError : a row lacks a run or a judgement that another one has.
    """
    trust = section(TrustConfig, params, "trust")
    chosen = select_runs(read_runs(runs), corpus, trust.rows)
    temperatures = pd.DataFrame([_temperature_of(run) for run in chosen if run.trained], columns=_TEMPERATURES)
    rows = [_read_judged(Path(assessed), name, chosen, trust) for name in trust.rows]
    judged = pd.concat(rows, ignore_index=True)
    keys = ["network", "fold", "seed"]
    return Trust(
        corpus=corpus,
        runs=chosen,
        judged=judged.merge(temperatures[[*keys, "temperature"]], on=keys, how="left"),
        temperatures=temperatures,
        clips=tables.read(clips, tables.CLIPS).set_index("clip"),
        votes=tables.read(votes, tables.VOTES),
        trust=trust,
        evaluate=section(EvaluateConfig, params, "evaluate"),
        seed=section(int, params, "seed"),
        scale=params["scale"],
        synthetic=read_json(info)["source"] == "synthetic",
    )


def modalities_of(run: Run) -> tuple[str, ...]:
    """Return the modalities that the network of a run uses."""
    return tuple(run.record["config"]["variant"]["modalities"])


_TEMPERATURES = ["network", "fold", "fold_name", "seed", "temperature", "n_clips"]


def _temperature_of(run: Run) -> tuple:
    """Fit the temperature of a network to the people who validated it: its test people must not decide."""
    rows = run.predictions()
    rows = rows[(rows.selection == "honest") & (rows.role == "validation") & (rows["head"] == "fused")]
    logits = np.stack(rows.logits) if len(rows) else np.empty((0, len(run.classes)))
    found = fit_temperature(logits, rows.label.to_numpy())
    return run.variant, run.fold, run.fold_name, run.seed, found, len(rows)


def _read_judged(folder: Path, network: str, runs: list[Run], trust: TrustConfig) -> pd.DataFrame:
    path = folder / f"{network}.parquet"
    rows = tables.read(path, tables.ASSESSMENTS)
    mine = [run for run in runs if run.variant == network]
    wanted = {(run.fold, run.seed) for run in mine if run.trained}
    names = [one.name for one in conditions(trust) if one.kind != "missing" and one.concerns(modalities_of(mine[0]))]
    for name in names if wanted else ():
        found = rows[rows.condition == name]
        if set(zip(found.fold, found.seed, strict=True)) != wanted:
            raise TableError(
                f"{path}: {name}: not the folds and seeds of {network} that were trained; run assess again"
            )
    predicted = np.stack(rows.logits).argmax(axis=1) if len(rows) else np.empty(0, dtype=np.int64)
    return rows.assign(network=network, predicted=predicted, hit=(predicted == rows.label).astype(float))
