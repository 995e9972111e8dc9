"""Tables 4.1 and 4.2 of the thesis, classifiers of one corpus tested on another, beside ours."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mien.classical.samples import has_features, read_samples
from mien.classical.svm import GRIDS
from mien.config.labels import CLASSICAL
from mien.config.schema import ClassifierConfig, ClassifyConfig, CrossConfig, EvaluateConfig, load, section
from mien.evaluation.classifiers import (
    PredictionSet,
    RunPredictions,
    accuracy_in,
    best_split,
    expected_runs,
    judged_on,
    mean_and_sd,
    measures_in,
    read_prediction_set,
    score_on,
)
from mien.evaluation.measures import BESIDE, columns, measure, percents
from mien.evaluation.metrics import MEASURES
from mien.evaluation.runs import Run, read_runs
from mien.report.page import render_page, write_table
from mien.report.thesis import read_published

log = logging.getLogger(__name__)

HEADLINE = "headline"  # the test pictures
THEIRS, THEIR_NAME = "CK+ to RaFD", "ckplus_rafd"  # the pair of corpora of the thesis
UNSHAPED = "without neutral shape"  # those that did not give a person's shape to the fitter (specification I-37)
CELLS = [  # of 4.1.csv; accuracies in percent, differences in points
    "classifier",
    "pictures",  # HEADLINE, a camera, a gaze, UNSHAPED
    "thesis_train",
    "thesis_test",
    "train",
    "train_sd",
    "validation",
    "test",
    "test_sd",
    "optimistic",
    "difference",
    "low",
    "high",
    *columns(),  # of UAR and macro-F1; intervals of the headline only
    "coverage",
    "strict",
    "split",  # whose run the row shows; empty for a mean over seeds
    "n_runs",
    "n_pictures",
    "n_judged",
    "n_classes",  # of the judged pictures
    "n_people",
]
REPEATS = [  # of 4.2.csv; percent and points
    "classifier",
    "part",
    "thesis_mean",
    "thesis_sd",
    "mean",
    "sd",
    "difference",
    *(f"{name}{end}" for name in BESIDE for end in ("", "_sd")),
    "edge",  # splits that chose the smallest or the largest C of the search
    "n_splits",
]


@dataclass(frozen=True)
class Printed:
    """A cell of the thesis, percent; NaN where it prints nothing."""

    train: float = math.nan
    test: float = math.nan


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the classifiers said, and what a reader must know before the first number.

    classifiers : in the order of params.yaml.   thesis : number -> table, see `read_published`.
    edges : classifier -> see `share_at_edge`.
    """

    panel: PredictionSet
    classifiers: dict[str, ClassifierConfig]
    cross: CrossConfig
    classify: ClassifyConfig
    evaluate: EvaluateConfig
    thesis: dict[str, Any]
    edges: dict[str, float]
    synthetic: bool
    scale: str

    @property
    def corpora(self) -> str:
        """Return what is learnt on and what is tested on, in words."""
        return f"{' and '.join(self.cross.train)} to {self.cross.test}"

    @property
    def cameras(self) -> list[int]:
        """Return the cameras of the headline that the test corpus has, degrees."""
        table = self.panel.table
        return sorted(set(self.cross.angles) & set(table.angle[table.role == "test"]))

    @property
    def differs(self) -> bool:
        """Say whether the thesis's numbers belong to another pair of corpora."""
        return self.cross.name != THEIR_NAME

    def shown(self, name: str, selection: str = "honest") -> list[RunPredictions]:
        """Return what table 4.1 shows: of a classical model the best split, of a network the runs of all seeds."""
        judgements = self.panel.of(name, selection)
        if judgements and self.classifiers[name].model in CLASSICAL:
            return [best_split(self.panel, judgements)]
        return judgements

    def validation(self, name: str) -> float:
        """Return the validation accuracy 0..1 averaged over the runs, by which one classifier is preferred."""
        return mean_and_sd(accuracy_in(self.panel, one, "validation") for one in self.panel.of(name))[0]


def read_evidence(runs: Iterable[Path], samples: Path, thesis: Path, params: dict[str, Any]) -> Evidence:
    """Read run folders, results/samples/<pair> and the thesis's numbers.

    params : sections classifiers, cross, classify, evaluate and scale.

    Raises
    ------
    TableError : a run is missing or does not belong to the samples.
    """
    cross = section(CrossConfig, params, "cross")
    classify = section(ClassifyConfig, params, "classify")
    classifiers = {name: section(ClassifierConfig, params, "classifiers", name) for name in params["classifiers"]}
    n_runs = {name: cross.splits if one.model in CLASSICAL else classify.seeds for name, one in classifiers.items()}
    pictures = read_samples(samples)
    chosen = expected_runs(read_runs(runs), cross.name, n_runs)
    return Evidence(
        panel=read_prediction_set(chosen, pictures.table),
        classifiers=classifiers,
        cross=cross,
        classify=classify,
        evaluate=section(EvaluateConfig, params, "evaluate"),
        thesis=read_published(thesis),
        edges={name: share_at_edge(chosen, name, one.model) for name, one in classifiers.items()},
        synthetic=pictures.info["source"] == "synthetic",
        scale=params["scale"],
    )


def share_at_edge(runs: Iterable[Run], name: str, model: str) -> float:
    """Return the share 0..1 of a classifier's runs that chose the smallest or largest C of the grid; NaN without C."""
    costs = [point["C"] for point in GRIDS.get(model, [])]
    chosen = [run.record.get("chosen", {}).get("C") for run in runs if run.variant == name and run.trained]
    return mean_and_sd(cost in (min(costs), max(costs)) for cost in chosen if costs and cost is not None)[0]


def cell_beside(tables: dict[str, Any], row: ClassifierConfig) -> str:
    """Return the cell of table 4.1 beside a classifier, such as SSVM/AU or CNN-2_75x75x1; empty where there is none."""
    ours = tables["4.1"]["ours"].items()
    return next((cell for cell, says in ours if all(getattr(row, key) == value for key, value in says.items())), "")


def printed_once(tables: dict[str, Any], row: ClassifierConfig) -> Printed:
    """Return what table 4.1 prints beside a classifier."""
    cell, table = cell_beside(tables, row), tables["4.1"]
    if not cell:
        return Printed()
    model, _, column = cell.partition("/")
    parts = table["features"][model] if column else table["images"][cell]
    return Printed(*(100 * float(parts[part][column] if column else parts[part]) for part in ("train", "test")))


def printed_repeats(tables: dict[str, Any], row: ClassifierConfig) -> tuple[Printed, Printed] | None:
    """Return mean and standard deviation over the thesis's repetitions (table 4.2); None where it has none."""
    row, _, column = cell_beside(tables, row).partition("/")
    mean, std = tables["4.2"]["mean"], tables["4.2"]["std"]
    if row not in mean or column not in mean[row]["test"]:
        return None
    return tuple(Printed(*(100 * float(side[row][part][column]) for part in ("train", "test"))) for side in (mean, std))


def compare_once(evidence: Evidence) -> pd.DataFrame:
    """Return CELLS: per classifier the headline, then every camera, every gaze and the pictures without leak."""
    groups = groups_of(evidence.panel.table)
    rows = []
    for name in evidence.classifiers:
        rows.append(_headline(evidence, name))
        for pictures, chosen in groups.items():
            rows.append({"classifier": name, "pictures": pictures} | _scored(evidence, name, chosen))
    cells = pd.DataFrame(rows, columns=CELLS)
    return cells.astype({name: "Int64" for name in CELLS if name == "split" or name.startswith("n_")})


def groups_of(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return name -> (N,) bool: every camera of the test corpus, the gazes of the headline, UNSHAPED."""
    tested, headline = table.role.isin(["test", "aside"]), table.role == "test"
    groups = {f"camera {angle}": tested & (table.angle == angle) for angle in sorted(set(table.angle[tested]))}
    gazes = sorted(set(table.gaze[headline]))
    if len(gazes) > 1:
        groups |= {f"gaze {gaze or 'unknown'}": headline & (table.gaze == gaze) for gaze in gazes}
    groups[UNSHAPED] = headline & ~table.shaped.astype(bool)
    return {name: rows.to_numpy() for name, rows in groups.items()}


def compare_repeats(evidence: Evidence) -> pd.DataFrame:
    """Return REPEATS: train and test of every classical model over the splits, the thesis's rows first."""
    rows = []
    for name, config in evidence.classifiers.items():
        if config.model not in CLASSICAL:
            continue
        printed = printed_repeats(evidence.thesis, config) or (Printed(), Printed())
        judgements = evidence.panel.of(name)
        for part, role in (("train", "training"), ("test", "test")):
            measures = [measures_in(evidence.panel, one, role) for one in judgements]
            (mean, sd), *more = (mean_and_sd(100 * one[key] for one in measures) for key in MEASURES)
            theirs = [getattr(side, part) for side in printed]
            numbers = (*theirs, mean, sd, mean - theirs[0], *(number for pair in more for number in pair))
            rows.append((name, part, *numbers, 100 * evidence.edges[name], len(judgements)))
    table = pd.DataFrame(rows, columns=REPEATS)
    alone = table.thesis_mean.isna()
    return pd.concat([table[~alone], table[alone]], ignore_index=True)


def _headline(evidence: Evidence, name: str) -> dict[str, Any]:
    """Return the cell of a classifier's test pictures."""
    panel, config = evidence.panel, evidence.classifiers[name]
    shown, optimistic = evidence.shown(name), evidence.shown(name, "optimistic")
    rows = panel.rows("test")
    printed = printed_once(evidence.thesis, config)
    cell = {"classifier": name, "pictures": HEADLINE, "thesis_train": printed.train, "thesis_test": printed.test}
    for column, role in (("train", "training"), ("validation", "validation"), ("test", "test")):
        mean, sd = mean_and_sd(100 * accuracy_in(panel, one, role) for one in shown)
        cell |= {column: mean, f"{column}_sd": sd}
    found = measure(judged_on(panel, shown, rows), confidence=evidence.evaluate.confidence)
    cell |= _scored(evidence, name, rows) | percents(found)
    cell |= {"low": 100 * found["accuracy"].low, "high": 100 * found["accuracy"].high}
    cell["optimistic"] = mean_and_sd(100 * accuracy_in(panel, one, "test") for one in optimistic)[0]
    cell["difference"] = cell["test"] - printed.test
    cell["n_runs"] = len(panel.of(name))
    if shown and config.model in CLASSICAL:
        cell["split"] = shown[0].seed
    return cell


def _scored(evidence: Evidence, name: str, rows: np.ndarray) -> dict[str, Any]:
    usable = has_features(evidence.panel.table, evidence.classifiers[name].features)
    score = score_on(evidence.panel, evidence.shown(name), rows, usable=usable)
    shares = {"test": score.measures["accuracy"]} | {name: score.measures[name] for name in BESIDE}
    shares |= {"coverage": score.coverage, "strict": score.strict}
    counts = {key: getattr(score, key) for key in ("n_pictures", "n_judged", "n_classes", "n_people")}
    return {key: 100 * share for key, share in shares.items()} | counts


def render(number: str, evidence: Evidence, rows: pd.DataFrame) -> str:
    """Return the page of table 4.1, `rows` CELLS, or 4.2, `rows` REPEATS."""
    table, title, reasons = evidence.panel.table, evidence.thesis[number]["title"], evidence.panel.reasons
    pictures = {role: table[table.role == role] for role in ("training", "test", "aside")}
    return render_page(
        {"4.1": "classifiers", "4.2": "repeats"}[number],
        evidence=evidence,
        title=title.replace(THEIRS, evidence.corpora) if evidence.differs else title,
        rows=rows,
        pictures=pictures,
        n_faces=has_features(pictures["aside"], "image").sum(),
        n_shaped=(table.shaped.astype(bool) & (table.role == "test")).sum(),
        reasons={name: reasons[name] for name in evidence.classifiers if name in reasons},
        headline=HEADLINE,
        unshaped=UNSHAPED,
    )


def compare_classifiers(
    *, runs: list[Path], samples: Path, thesis: Path, out_41: Path, out_42: Path, config: str = "params.yaml"
) -> None:
    """Put tables 4.1 and 4.2 of the thesis beside ours.

    Parameters
    ----------
    out_41, out_42 : Path
        The tables; .csv and .md are added.
    """
    evidence = read_evidence(runs, samples, thesis, load(config))
    cells, repeats = compare_once(evidence), compare_repeats(evidence)
    for number, out, rows in (("4.1", out_41, cells), ("4.2", out_42, repeats)):
        paths = {kind: out.with_name(f"{out.name}.{kind}") for kind in ("csv", "md")}  # the dot of 4.1 begins no suffix
        write_table(rows, render(number, evidence, rows), **paths)
    log.info("tables 4.1 and 4.2: %d classifiers, %d runs", len(evidence.classifiers), len(runs))
