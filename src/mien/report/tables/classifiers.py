"""Tables 4.1 and 4.2 of the thesis beside ours: every number of them, before it is laid out.

Lay tables 4.1 and 4.2 out as Markdown; fixed decimals, fixed order, no dates.

Command compare_classifiers: tables 4.1 and 4.2 of the thesis beside ours, as CSV and Markdown.
"""

import logging
import math
from argparse import ArgumentParser, Namespace
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
from mien.errors import ConfigError
from mien.evaluation.classifiers import (
    Judgement,
    Panel,
    accuracy_in,
    best_split,
    expected_runs,
    interval_on,
    mean_and_sd,
    read_panel,
    score_on,
)
from mien.evaluation.runs import Run, read_runs, rows_in_order
from mien.report.page import SYNTHETIC, grid, limits, percent
from mien.report.thesis import read_published

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
    "macro_recall",
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

    panel: Panel
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

    def shown(self, name: str, selection: str = "honest") -> list[Judgement]:
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
    runs = list(runs)
    cross = section(CrossConfig, params, "cross")
    classify = section(ClassifyConfig, params, "classify")
    classifiers = {name: section(ClassifierConfig, params, "classifiers", name) for name in params["classifiers"]}
    classifiers = rows_in_order(runs, classifiers)
    n_runs = {name: cross.splits if one.model in CLASSICAL else classify.seeds for name, one in classifiers.items()}
    pictures = read_samples(samples)
    chosen = expected_runs(read_runs(runs), cross.name, n_runs)
    return Evidence(
        panel=read_panel(chosen, pictures.table),
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


def printed_once(tables: dict[str, Any], name: str) -> Printed:
    """Return the cell of table 4.1 that params.yaml names, such as SSVM/AU or CNN-2_75x75x1.

    Raises
    ------
    ConfigError : the table has no such cell.
    """
    if not name:
        return Printed()
    table = tables["4.1"]
    cells = {
        f"{row}/{column}": {part: values[part][column] for part in values}
        for row, values in table["features"].items()
        for column in values["test"]
    } | table["images"]
    if name not in cells:
        raise ConfigError(f"params.yaml: classifiers: table 4.1 has no cell {name!r}; known: {', '.join(cells)}")
    return Printed(*(100 * float(cells[name][part]) for part in ("train", "test")))


def printed_repeats(tables: dict[str, Any], name: str) -> tuple[Printed, Printed] | None:
    """Return mean and standard deviation over the thesis's repetitions (table 4.2); None where it has none."""
    row, _, column = name.partition("/")
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
        printed = printed_repeats(evidence.thesis, config.thesis) or (Printed(), Printed())
        judgements = evidence.panel.of(name)
        for part, role in (("train", "training"), ("test", "test")):
            mean, sd = mean_and_sd(100 * accuracy_in(evidence.panel, one, role) for one in judgements)
            theirs = [getattr(side, part) for side in printed]
            edge = 100 * evidence.edges[name]
            rows.append((name, part, *theirs, mean, sd, mean - theirs[0], edge, len(judgements)))
    table = pd.DataFrame(rows, columns=REPEATS)
    alone = table.thesis_mean.isna()
    return pd.concat([table[~alone], table[alone]], ignore_index=True)


def _headline(evidence: Evidence, name: str) -> dict[str, Any]:
    """Return the cell of a classifier's test pictures."""
    panel, config = evidence.panel, evidence.classifiers[name]
    shown, optimistic = evidence.shown(name), evidence.shown(name, "optimistic")
    rows = panel.rows("test")
    printed = printed_once(evidence.thesis, config.thesis)
    cell = {"classifier": name, "pictures": HEADLINE, "thesis_train": printed.train, "thesis_test": printed.test}
    for column, role in (("train", "training"), ("validation", "validation"), ("test", "test")):
        mean, sd = mean_and_sd(100 * accuracy_in(panel, one, role) for one in shown)
        cell |= {column: mean, f"{column}_sd": sd}
    low, high = interval_on(panel, shown, rows, config=evidence.evaluate)
    cell |= _scored(evidence, name, rows) | {"low": 100 * low, "high": 100 * high}
    cell["optimistic"] = mean_and_sd(100 * accuracy_in(panel, one, "test") for one in optimistic)[0]
    cell["difference"] = cell["test"] - printed.test
    cell["n_runs"] = len(panel.of(name))
    if shown and config.model in CLASSICAL:
        cell["split"] = shown[0].seed
    return cell


def _scored(evidence: Evidence, name: str, rows: np.ndarray) -> dict[str, Any]:
    usable = has_features(evidence.panel.table, evidence.classifiers[name].features)
    score = score_on(evidence.panel, evidence.shown(name), rows, usable=usable)
    return {
        "test": 100 * score.accuracy,
        "macro_recall": 100 * score.macro_recall,
        "coverage": 100 * score.coverage,
        "strict": 100 * score.strict,
        "n_pictures": score.n_pictures,
        "n_judged": score.n_judged,
        "n_classes": score.n_classes,
        "n_people": score.n_people,
    }


SPLIT = (
    "Models without epochs (SSVM, polynomial SVM, Eigenfaces, Fisherfaces) are fitted on {splits} random divisions of "
    "the training people; the table shows the division with the best validation accuracy, the earlier of equals, as "
    "the printed numbers of the thesis seem to be the best of thirty."
)
EPOCH = (
    "Networks are means over {seeds} seed{s}, of which seed n learns on division n; their epoch is the one of lowest "
    "validation loss. 'optimistic' chooses the epoch on the test pictures."
)

EDGE = "at the grid's edge"


def render_once(cells: pd.DataFrame, evidence: Evidence) -> str:
    """Return the page of table 4.1; `cells` CELLS."""
    headline = cells[cells.pictures == HEADLINE]
    blocks = [
        *_introduction("4.1", evidence),
        SPLIT.format(splits=evidence.cross.splits),
        EPOCH.format(seeds=evidence.classify.seeds, s="" if evidence.classify.seeds == 1 else "s"),
        "## Beside the thesis",
        *_beside(headline, evidence),
        "## How much could be judged",
        *_judged(cells, evidence),
        "## By camera",
        "Accuracy where there is a judgement, and in brackets the share of the pictures that have the features; 90 is "
        f"frontal. The headline counts {_cameras(evidence)}.",
        grid(_by_group(cells, evidence, "camera ")),
    ]
    if cells.pictures.str.startswith("gaze ").any():
        text = "The same by where the eyes look, cameras of the headline."
        blocks += ["## By gaze", text, grid(_by_group(cells, evidence, "gaze "))]
    return "\n\n".join([*blocks, *_notes(evidence)]) + "\n"


def render_repeats(table: pd.DataFrame, evidence: Evidence) -> str:
    """Return the page of table 4.2; `table` REPEATS."""
    rows = []
    for name, parts in table.groupby("classifier", sort=False):
        row = {"classifier": _marked(name, evidence)}
        for part in parts.itertuples():
            row[f"thesis {part.part}"] = _with_sd(part.thesis_mean, part.thesis_sd)
            row[part.part] = _with_sd(part.mean, part.sd)
            row[f"difference, {part.part}"] = percent(part.difference, signed=True)
        rows.append(row | {EDGE: percent(parts.edge.iloc[0]), "splits": str(parts.n_splits.iloc[0])})
    text = (
        f"Mean ± sample standard deviation over {evidence.cross.splits} random divisions of the training people (the "
        f"thesis: {evidence.thesis['4.2']['repeats']} repetitions). The test pictures are always the same, so the "
        "deviation says how much the choice of training people matters, not how much other test people would change "
        f"it. '{EDGE}': the share of the divisions, in percent, in which the search chose the smallest C (also taken "
        "on ties) or the largest, so that one beyond might be better. Rows of which the thesis prints no repetitions "
        "come last."
    )
    body = grid(rows) if rows else "No model without epochs is among the classifiers."
    return "\n\n".join([*_introduction("4.2", evidence), text, "## Over the divisions", body, *_notes(evidence)]) + "\n"


def _introduction(number: str, evidence: Evidence) -> list[str]:
    table = evidence.panel.table
    learnt, tested, aside = (table[table.role == role] for role in ("training", "test", "aside"))
    chance = percent(100 * evidence.panel.chance)
    counts = (
        f"Learnt on {' and '.join(evidence.cross.train)} ({learnt.person.nunique()} people, {len(learnt)} pictures), "
        f"tested on {evidence.cross.test} ({tested.person.nunique()} people, {len(tested)} pictures of "
        f"{_cameras(evidence)}; {len(aside)} of other cameras are in no headline; a face, without which nothing "
        f"is judged, was found in {has_features(aside, 'image').sum()} of them), scale {evidence.scale}. Accuracy "
        "in percent, differences in points; a - stands for nothing to report. Always naming the commonest of the "
        f"{tested.label.nunique()} emotions would score {chance}."
    )
    notice = [f"**{SYNTHETIC}**"] if evidence.synthetic else []
    title = evidence.thesis[number]["title"]
    if evidence.caution:
        title = title.replace(THEIRS, evidence.corpora)
    return [f"# Table {number}: {title}", *notice, counts, *evidence.caution]


def _beside(headline: pd.DataFrame, evidence: Evidence) -> list[str]:
    level = f"{100 * evidence.evaluate.confidence:g}% interval"
    rows = [
        {
            "classifier": _marked(row.classifier, evidence),
            "thesis train": percent(row.thesis_train),
            "train": _with_sd(row.train, row.train_sd),
            "thesis test": percent(row.thesis_test),
            "test": _with_sd(row.test, row.test_sd),
            level: limits(row.low, row.high),
            "difference": percent(row.difference, signed=True),
            "optimistic": percent(row.optimistic),
            "run": _behind(row, evidence),
        }
        for row in headline.itertuples()
    ]
    text = (
        "Accuracy on the pictures that have the classifier's features. The interval is over whole "
        "test people, and holds the trained classifiers fixed: how much other seeds or other people in the training "
        "would change the number is not in it. ± is the sample standard deviation over the networks of a row, each of "
        "which has its own seed and its own division of the training people, so it mixes the two; it says nothing of "
        "other test people and can be wider than the interval. Table 4.2 says how much the division changes the models "
        "without epochs. The difference is ours less the thesis's, test. The thesis does not say how it chose its "
        "epochs."
    )
    return [text, grid(rows)]


def _judged(cells: pd.DataFrame, evidence: Evidence) -> list[str]:
    rows = []
    for name, mine in cells.groupby("classifier", sort=False):
        mine = mine.set_index("pictures")
        here, unshaped = mine.loc[HEADLINE], mine.loc[UNSHAPED]
        accuracy = unshaped.test if unshaped.n_classes == here.n_classes else math.nan  # another task with fewer
        rows.append(
            {
                "classifier": _marked(name, evidence),
                "test": percent(here.test),
                "pictures": str(here.n_judged) if here.n_judged else "-",
                "coverage": percent(here.coverage),
                "strict": percent(here.strict),
                "macro recall": percent(here.macro_recall),
                UNSHAPED: percent(accuracy),
                "change": percent(accuracy - here.test, signed=True),
            }
        )
    shaped = evidence.panel.table.shaped.astype(bool).to_numpy() & evidence.panel.rows("test")
    text = (
        "Coverage: share of the test pictures in which the features were found; strict: a picture without them counts "
        f"as an error. The neutral shape of a person is fitted to a neutral picture, and {shaped.sum()} of these are "
        f"test pictures themselves, a mild leak for the action units (AU8). '{UNSHAPED}' leaves these pictures out, "
        "with the change beside it, and so removes only the match of a picture with itself: the other pictures of the "
        "person still use the shape. Rows without action units show how much fewer neutral faces change by "
        "themselves; a - stands where an emotion is left without a picture."
    )
    return [text, grid(rows)]


def _by_group(cells: pd.DataFrame, evidence: Evidence, prefix: str) -> list[dict[str, str]]:
    rows = []
    for name, mine in cells[cells.pictures.str.startswith(prefix)].groupby("classifier", sort=False):
        shown = {row.pictures.removeprefix(prefix): _covered(row.test, row.coverage) for row in mine.itertuples()}
        rows.append({"classifier": _marked(name, evidence)} | shown)
    return rows


def _covered(accuracy: float, coverage: float) -> str:
    return "-" if math.isnan(coverage) else f"{percent(accuracy)} ({coverage:.0f})"


def _behind(row, evidence: Evidence) -> str:
    if not row.n_runs:
        return "-"
    if evidence.classifiers[row.classifier].model in CLASSICAL:
        return f"split {row.split + 1} of {row.n_runs}"
    return f"{row.n_runs} seed{'' if row.n_runs == 1 else 's'}"


def _with_sd(mean: float, sd: float) -> str:
    return percent(mean) if math.isnan(sd) else f"{percent(mean)} ± {percent(sd)}"


def _cameras(evidence: Evidence) -> str:
    angles = evidence.cameras
    return f"the camera{'' if len(angles) == 1 else 's'} {', '.join(f'{angle}°' for angle in angles) or '-'}"


def _marked(name: str, evidence: Evidence) -> str:
    return f"{name} \\*" if name in evidence.panel.reasons else name


def _notes(evidence: Evidence) -> list[str]:
    reasons = evidence.panel.reasons
    notes = [f"- \\* {name}: not applicable: {reasons[name]}." for name in evidence.classifiers if name in reasons]
    return ["## Notes", "\n".join(notes)] if notes else []


log = logging.getLogger(__name__)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what is read and written."""
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="run.json of every classifier and seed")
    parser.add_argument("--samples", type=Path, required=True, help="folder with samples.parquet and corpus.json")
    parser.add_argument("--thesis", type=Path, required=True, help="the thesis's numbers")
    parser.add_argument("--out-41", type=Path, required=True, help="table 4.1; .csv and .md are added")
    parser.add_argument("--out-42", type=Path, required=True, help="table 4.2; .csv and .md are added")


def run(args: Namespace) -> None:
    """Read the runs, compare, write both tables."""
    from mien.report.page import write_table

    evidence = read_evidence(args.runs, args.samples, args.thesis, load(args.config))
    cells, repeats = compare_once(evidence), compare_repeats(evidence)
    write_table(cells, render_once(cells, evidence), **_files(args.out_41))
    write_table(repeats, render_repeats(repeats, evidence), **_files(args.out_42))
    log.info("tables 4.1 and 4.2: %d classifiers, %d runs", len(evidence.classifiers), len(args.runs))


def _files(path: Path) -> dict[str, Path]:
    """Return the two files of a table; the dot of 4.1 begins no suffix."""
    return {kind: path.with_name(f"{path.name}.{kind}") for kind in ("csv", "md")}
