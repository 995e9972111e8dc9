"""How far the networks of a corpus can be trusted: what they say of its test clips, undisturbed and disturbed."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.config.labels import LEVELS
from mien.config.schema import EvaluateConfig, TrustConfig, load, section
from mien.errors import TableError
from mien.evaluation import calibration
from mien.evaluation.calibration import (
    CLEAN,
    at_limit,
    brier_scores,
    calibration_error,
    conditions,
    cross_entropies,
    ece_of_calibrated_model,
    fit_temperature,
    perceived,
    probabilities,
    raters_of,
    reliability,
    share_at,
)
from mien.evaluation.metrics import by_actor
from mien.evaluation.runs import Run, read_runs, reasons_of, select_runs
from mien.evaluation.statistics import Estimate, Gain, gain, interval_of_mean, logit_t_interval, units_of
from mien.io import tables
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.page import render_page, write_table
from mien.report.rules import answer_of
from mien.report.tables.comparison import count_beyond

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trust:
    """The rows of section ``trust`` on one corpus.

    judged : ASSESSMENTS of all rows, and of the options that were trained on this corpus, with the columns network,
        predicted, hit (0 or 1) and temperature: that of the clip's network, NaN without validation people.
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
        return reasons_of(self.runs, self.trust.asked)

    def modalities(self, network: str) -> tuple[str, ...]:
        """Return what a network uses."""
        return modalities_of(next(run for run in self.runs if run.variant == network))

    def of(self, network: str, condition: str = CLEAN) -> pd.DataFrame:
        """Return the rows of `judged` of a network under a condition."""
        return self.judged[(self.judged.network == network) & (self.judged.condition == condition)]

    def share(self, rows: pd.DataFrame, values: np.ndarray) -> Estimate:
        """Return the mean over folds of values 0..1 (N,) of N rows of `judged`, and its interval; see `units_of`."""
        return self._estimate(rows, values, partial(logit_t_interval, n_clips=rows["clip"].nunique()))

    def mean(self, rows: pd.DataFrame, values: np.ndarray) -> Estimate:
        """Return the mean over folds of any values (N,), such as differences; else as `share`."""
        return self._estimate(rows, values, interval_of_mean)

    def _estimate(self, rows: pd.DataFrame, values: np.ndarray, interval: Callable) -> Estimate:
        if rows.empty:
            return Estimate(math.nan, math.nan, math.nan, 0, 0)
        people = by_actor(rows.assign(hit=values, apart=False))
        sums = people.assign(sum=people.accuracy * people.weight)
        units = sums.groupby(units_of(people.fold, people.person))[["sum", "weight"]].sum()
        found, weights = (units["sum"] / units.weight).to_numpy(), units.weight.to_numpy()
        low, high = interval(found, weights, confidence=self.evaluate.confidence)
        return Estimate(float(np.average(found, weights=weights)), low, high, rows["clip"].nunique(), len(people))


def read_trust(
    corpus: str, runs: list[Path], *, assessed: Path, clips: Path, votes: Path, info: Path, params: Mapping[str, Any]
) -> Trust:
    """Read everything that the page of a corpus rests on.

    runs : run.json of every row and option, fold and seed.   assessed : folder of assess.

    Raises
    ------
    TableError : a row lacks a run or a judgement that another one has.
    """
    trust, given = section(TrustConfig, params, "trust"), read_runs(runs)
    chosen = select_runs(given, corpus, trust.rows)
    further = [run for run in given if run.corpus == corpus and run.variant in trust.options]
    temperatures = pd.DataFrame([_temperature_of(run) for run in chosen if run.trained], columns=_TEMPERATURES)
    chosen += [run for run in further if run not in chosen]
    names = [name for name in trust.asked if name in {run.variant for run in chosen}]
    rows = [_read_judged(Path(assessed), name, chosen, trust) for name in names]
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


COLUMNS = [  # of the CSV; shares, accuracies and calibration errors in percent, their differences in points
    "network",
    "part",  # of the page; option: of a network on the folds that it has, beside another one on the same
    "item",  # what of it: before or after the temperature, a group of people or clips, a condition, a label
    "at",  # bin of the reliability diagram, from 0; percent of the clips that are judged
    "quantity",
    "value",
    "low",
    "high",
    "n_clips",
    "n_people",
]
STATES = ("before", "after")  # the temperature
GROUPS = ("sex", "statement", "intensity")
_NUMBERS = ("at", "value", "low", "high", "n_clips", "n_people")


def read_numbers(path: Path) -> pd.DataFrame:
    """Read COLUMNS from the CSV of build_trust.

    Raises
    ------
    TableError : the file is missing or has other columns.
    """
    texts = dict.fromkeys(("network", "part", "item", "quantity"), str)
    try:
        rows = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values={name: [""] for name in _NUMBERS})
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read ({error}); run build_trust again") from error
    if list(rows.columns) != COLUMNS:
        raise TableError(f"{path}: its columns are {list(rows.columns)}, not {COLUMNS}; run build_trust again")
    return rows


def items_of(numbers: pd.DataFrame, part: str) -> list[str]:
    """Return the items of a part, in their order."""
    return list(dict.fromkeys(numbers["item"][numbers.part == part]))


_UNKNOWN = Estimate(math.nan, math.nan, math.nan, 0, 0)


def measure_trust(trust: Trust) -> pd.DataFrame:
    """Return COLUMNS of everything that the page of a corpus states and its figures show."""
    parts = (_calibration, _coverage, _temperatures, _groups, _conditions, _labels)
    rows = [{"network": name} | row for name in trust.networks for part in parts for row in part(trust, name)]
    rows += [
        {"network": gain.one} | row for condition, gain in options_of(trust) for row in _option(trust, condition, gain)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def options_of(trust: Trust) -> list[tuple[str, Gain]]:
    """Return (condition, gain) of every option over its baseline, on the clips of the folds that both have."""
    found = []
    for option, baseline in trust.trust.options.items():
        for condition in conditions(trust.trust):
            sides = [trust.of(name, condition.name) for name in (option, baseline)]
            if all(map(len, sides)):
                scores = pd.concat(sides).rename(columns={"network": "variant"}).assign(selection="", apart=False)
                scores = scores.assign(fold_name=scores.fold)
                rng = rng_for(trust.seed, "evaluation", "trust", trust.corpus, option, condition.name)
                confidence = trust.evaluate.confidence
                found.append((condition.name, gain(scores, option, baseline, "", confidence=confidence, rng=rng)))
    return [(condition, one) for condition, one in found if one.n_folds]


def _option(trust: Trust, condition: str, found: Gain) -> Iterator[dict]:
    """Yield the accuracy of an option and of its baseline on the folds of a gain, and the difference."""
    for quantity, name in (("accuracy", found.one), ("baseline", found.other)):
        rows = trust.of(name, condition)
        rows = rows[rows.fold.isin(list(found.folds))]
        yield _row("option", condition, quantity, trust.share(rows, rows.hit.to_numpy()))
    difference = Estimate(found.difference, found.low, found.high, found.n_clips, found.n_people)
    yield _row("option", condition, "difference", difference, factor=1.0)


def _row(part: str, item: str, quantity: str, found: Estimate, *, factor: float = 100.0, at: float = math.nan) -> dict:
    values = {"value": factor * found.value, "low": factor * found.low, "high": factor * found.high}
    counts = {"n_clips": found.n_clips, "n_people": found.n_people}
    return {"part": part, "item": item, "at": at, "quantity": quantity} | values | counts


def _exact(value: float, rows: pd.DataFrame, *, high: float = math.nan) -> Estimate:
    """Return a number without an interval, or with an upper limit only."""
    return Estimate(value, math.nan, high, rows["clip"].nunique(), rows.actor.nunique())


def _calibration(trust: Trust, network: str) -> Iterator[dict]:
    """Yield confidence, calibration error, losses and the reliability diagram, before and after the temperature."""
    rows, evaluate, bins = trust.of(network), trust.evaluate, trust.trust.bins
    hit, label = rows.hit.to_numpy(), rows.label.to_numpy()
    yield _row("calibration", "", "accuracy", trust.share(rows, hit))
    for state in STATES:
        if rows.empty or (state == "after" and rows.temperature.isna().any()):
            for quantity in ("confidence", "ece", "ece_by_chance", "nll", "brier"):
                yield _row("calibration", state, quantity, _UNKNOWN)
            continue
        scaled = _scaled(rows, state)
        sure = probabilities(scaled).max(axis=1)
        rng = rng_for(trust.seed, "evaluation", "trust", trust.corpus, network, "calibration", state, "chance")
        options = {"resamples": evaluate.resamples, "level": evaluate.confidence, "rng": rng}
        errors, chances = [], []
        for seed in np.unique(rows.seed):  # seeds judge the same clips, so chance is the mean of theirs, not pooled
            mine = (rows.seed == seed).to_numpy()
            errors.append(calibration_error(sure[mine], hit[mine], bins=bins))
            chances.append(ece_of_calibrated_model(sure[mine], bins=bins, **options))
        chance, limit = (float(value) for value in np.mean(chances, axis=0))
        yield _row("calibration", state, "confidence", trust.share(rows, sure))
        yield _row("calibration", state, "ece", _exact(float(np.mean(errors)), rows))
        yield _row("calibration", state, "ece_by_chance", _exact(chance, rows, high=limit))
        losses = {"nll": cross_entropies(scaled, label), "brier": brier_scores(probabilities(scaled), label)}
        for name, loss in losses.items():
            yield _row("calibration", state, name, trust.mean(rows, loss), factor=1.0)
        for one in reliability(sure, hit, bins=bins).itertuples():
            for quantity in ("confidence", "accuracy", "share"):
                yield _row("reliability", state, quantity, _exact(getattr(one, quantity), rows), at=one.bin)


def _scaled(rows: pd.DataFrame, state: str) -> np.ndarray:
    """Return logits (N, C) divided by the temperature of their network, or as they are."""
    logits = np.stack(rows.logits).astype(np.float64)
    return logits / rows.temperature.to_numpy()[:, None] if state == "after" else logits


def _coverage(trust: Trust, network: str) -> Iterator[dict]:
    """Yield accuracy by the share of clips that are judged, the surest ones; temperatures order the folds' clips."""
    rows = trust.of(network)
    if rows.empty:
        return
    fitted = not any(math.isnan(value) or at_limit(value) for value in rows.temperature.unique())
    confidence = probabilities(_scaled(rows, "after" if fitted else "before")).max(axis=1)
    wrong = 1.0 - rows.hit.to_numpy()
    _, risk = calibration.risk_coverage(confidence, wrong)
    yield _row("coverage", "", "aurc", _exact(calibration.area(confidence, wrong), rows))
    yield _row("coverage", "", "aurc_least", _exact(calibration.optimal_aurc(wrong), rows))
    yield _row("coverage", "", "aurc_random", _exact(float(wrong.mean()), rows))
    for coverage in range(5, 101, 5):  # percent
        last = math.ceil(len(risk) * coverage / 100) - 1
        yield _row("coverage", "", "accuracy", _exact(1.0 - risk[last], rows), at=coverage)


def _temperatures(trust: Trust, network: str) -> Iterator[dict]:
    for one in trust.temperatures[trust.temperatures.network == network].itertuples():
        found = Estimate(one.temperature, math.nan, math.nan, one.n_clips, 0)
        yield _row("temperature", f"{one.fold_name}, seed {one.seed}", "temperature", found, factor=1.0)


def _groups(trust: Trust, network: str) -> Iterator[dict]:
    rows = trust.of(network).join(trust.clips[list(GROUPS)], on="clip")
    for group in GROUPS:
        chosen = graded(rows) if group == "intensity" else rows
        words = LEVELS.get(trust.corpus, ()) if group == "intensity" else ()
        known = chosen[chosen[group] != ""].groupby(group)
        for item, part in sorted(known, key=lambda one: (words.index(one[0]) if one[0] in words else -1, one[0])):
            yield _row(group, item, "accuracy", trust.share(part, part.hit.to_numpy()))


def graded(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows whose emotion is acted in more than one intensity with their statement.

    A neutral clip has no strong counterpart; to count it as normal would compare emotions, not intensities.
    """
    n_levels = rows.groupby(["label", "statement"]).intensity.transform("nunique")
    return rows[n_levels > 1]


def _conditions(trust: Trust, network: str) -> Iterator[dict]:
    keys = ["fold", "seed", "clip"]
    clean = trust.of(network).set_index(keys).hit
    for condition in conditions(trust.trust):
        if not condition.concerns(trust.modalities(network)):
            continue
        rows = trust.of(network, condition.name)
        hit = rows.hit.to_numpy()
        yield _row("condition", condition.name, "accuracy", trust.share(rows, hit))
        confidence = probabilities(np.stack(rows.logits)).max(axis=1) if len(rows) else hit
        yield _row("condition", condition.name, "surplus", trust.mean(rows, confidence - hit))
        if condition.name != CLEAN:
            before = clean.reindex(pd.MultiIndex.from_frame(rows[keys])).to_numpy()
            yield _row("condition", condition.name, "difference", trust.mean(rows, hit - before))


def _labels(trust: Trust, network: str) -> Iterator[dict]:
    """Yield how often a network names the intended and the perceived label, and how often people name the former."""
    votes = trust.votes[trust.votes.modality == raters_of(trust.modalities(network))].set_index("clip")
    rows = trust.of(network)
    rows = rows[rows["clip"].isin(votes.index)]
    if rows.empty:
        return
    counts = np.stack(votes.counts.loc[rows["clip"]])  # (N, C)
    shares, label, said = perceived(counts), rows.label.to_numpy(), rows.predicted.to_numpy()
    intended, as_perceived, majority = rows.hit.to_numpy(), share_at(shares, said), share_at(shares, label)
    found = {
        "intended": trust.share(rows, intended),
        "perceived": trust.share(rows, as_perceived),
        "people_majority": trust.share(rows, majority),
        "people_votes": trust.share(rows, share_at(counts / counts.sum(axis=1, keepdims=True), label)),
        "perceived_less_intended": trust.mean(rows, as_perceived - intended),
        "intended_less_people": trust.mean(rows, intended - majority),
        "tied": _exact(float((shares.max(axis=1) < 1).mean()), rows),
    }
    for name, estimate in found.items():
        yield _row("label", "", name, estimate)


def render(trust: Trust, numbers: pd.DataFrame) -> str:
    """Return the page of a corpus; `numbers` as `measure_trust` returns them."""
    shown = trust.judged[trust.judged.network.isin(trust.networks)]
    clips, options = shown[shown.condition == CLEAN].drop_duplicates("clip"), options_of(trust)
    rows = numbers.fillna({"at": EVERYWHERE}).itertuples()
    return render_page(
        "trust",
        trust=trust,
        numbers=numbers,
        found={(row.part, row.network, row.item, row.quantity, row.at): row for row in rows},
        everywhere=EVERYWHERE,
        clips=clips,
        options=options,
        answer_of=answer_of,
        missing=[CLEAN, *(one.name for one in conditions(trust.trust) if one.kind == "missing")],
        beyond_chance=count_beyond([one for _, one in options], confidence=trust.evaluate.confidence),
        names={run.fold: run.fold_name for run in trust.runs},
        conditions=conditions(trust.trust),
        groups={group: items for group in GROUPS if (items := items_of(numbers, group))},
        folds=items_of(numbers, "temperature"),
        n_folds=len({run.fold for run in trust.runs if run.variant in trust.networks}),
        n_seeds=len({run.seed for run in trust.runs if run.variant in trust.networks}),
        raters_of=raters_of,
        at_limit=at_limit,
    )


EVERYWHERE = -1.0  # stands for no bin and no coverage


def build_trust(
    *,
    corpus: str,
    runs: list[Path],
    assessed: Path,
    clips: Path,
    votes: Path,
    corpus_info: Path,
    out_csv: Path,
    out_md: Path,
    config: str = "params.yaml",
) -> None:
    """Say how far the networks of a corpus can be trusted, and what disturbs them.

    Parameters
    ----------
    assessed : Path
        Folder of assess: a table ASSESSMENTS per row.
    clips, votes : Path
        Tables CLIPS and VOTES of the corpus.
    """
    params = load(config)
    trust = read_trust(corpus, runs, assessed=assessed, clips=clips, votes=votes, info=corpus_info, params=params)
    found = measure_trust(trust)
    write_table(found, render(trust, found), csv=out_csv, md=out_md)
    log.info("trust, %s: %d numbers of %d networks", corpus, len(found), len(trust.networks))
