"""Lay tables 4.1 and 4.2 out as Markdown; fixed decimals, fixed order, no dates."""

import math

import pandas as pd

from mien.core.config import CLASSICAL
from mien.report.classifiers import HEADLINE, THEIRS, UNSHAPED, Evidence
from mien.report.markdown import SYNTHETIC, grid, limits, percent
from mien.samples.read import has_features

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
