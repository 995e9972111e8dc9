"""Table 5.4 of the thesis, every option of the networks on every corpus, beside ours."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.labels import ACTED
from mien.config.schema import EvaluateConfig, OverviewConfig, load, section
from mien.errors import TableError
from mien.evaluation.measures import columns
from mien.evaluation.metrics import read_duplicates, score
from mien.evaluation.runs import read_runs, select_runs
from mien.evaluation.statistics import Gain, gain, holm
from mien.io.files import read_json
from mien.io.randomness import rng_for
from mien.report.page import render_page, write_table
from mien.report.tables.comparison import MEAN, Beyond, Comparison, compare, count_beyond
from mien.report.thesis import Other, Summed, other_systems, printed_beside, read_published, summed_row

log = logging.getLogger(__name__)

CELLS = [  # of 5.4.csv, a row per corpus and row of the table; accuracies in percent, differences in points
    "part",  # ours, or others: systems of other authors, as the thesis prints them
    "row",
    "corpus",
    "thesis_row",
    "thesis",
    "thesis_folds",  # mean of the fold table that the printed number sums up
    "honest",
    "low",
    "high",
    "optimistic",
    "difference",  # ours less the printed number
    *columns(),  # of UAR and macro-F1
    "seeds_sd",
    "against",
    "gain",  # over `against`, on the clips of both
    "gain_low",
    "gain_high",
    "p",
    "p_holm",  # adjusted over the corpus
    "n_folds",
    "n_people",
    "n_clips",
    "n_seeds",
    "n_parameters",
    "reason",  # why there is no number
]
CLOSE = 0.3  # points that a printed sum may be off the mean of its folds (rounding, and specification I-15)


@dataclass(frozen=True)
class OnCorpus:
    """Table 5.4 of one corpus.

    comparison : of the rows that it is asked for.   printed : row -> what Table 5.4 prints.
    gains : row -> (gain over the row that it is held against, p adjusted over the corpus).
    reasons : row -> why it has no number.   parameters : row -> weights of its networks.
    """

    name: str
    synthetic: bool
    comparison: Comparison
    printed: dict[str, Summed | None]
    gains: dict[str, tuple[Gain, float]]
    reasons: dict[str, str]
    parameters: dict[str, int]

    @property
    def means(self) -> pd.DataFrame:
        """Return the means over folds of all rows."""
        return self.comparison.cells[self.comparison.cells.fold == MEAN]

    @property
    def beyond(self) -> Beyond:
        """Return how many gains have an interval without zero, and how many chance alone would give."""
        return count_beyond((one for one, _ in self.gains.values()), confidence=self.comparison.confidence)

    @property
    def is_honest(self) -> bool:
        """Say whether epochs were chosen on people who are not reported."""
        return self.comparison.selection == "honest"


def read_corpora(
    runs: list[Path], clips: list[Path], corpus_info: list[Path], tables: Mapping[str, Any], params: Mapping[str, Any]
) -> list[OnCorpus]:
    """Read what is known of every corpus of ``overview.folds``; `tables` of `read_published`.

    Raises
    ------
    TableError : a corpus has no corpus.json among those given, or a run is missing.
    """
    overview = section(OverviewConfig, params, "overview")
    evaluate = section(EvaluateConfig, params, "evaluate")
    read, apart = read_runs(runs), read_duplicates(clips)
    infos = {info["corpus"]: info for info in map(read_json, corpus_info)}
    if missing := [corpus for corpus in overview.folds if corpus not in infos]:
        raise TableError(f"overview.folds names {missing[0]}; pass its corpus.json with --corpus-info")
    corpora = []
    for corpus in ACTED:
        if corpus not in overview.folds:
            continue
        asked = [row for row, one in overview.rows.items() if corpus in one.corpora]
        missing = [row for row in overview.rows if row not in asked]
        chosen = select_runs(read, corpus, asked, n_folds=overview.folds[corpus])
        scores = score(chosen, apart)
        comparison = compare(chosen, scores, dict.fromkeys(asked), evaluate, seed=params["seed"])
        reasons = dict.fromkeys(missing, "not asked for (params.yaml, overview.rows)") | comparison.reasons
        corpora.append(
            OnCorpus(
                name=corpus,
                synthetic=infos[corpus]["source"] == "synthetic",
                comparison=comparison,
                printed={row: summed_row(tables, printed_beside(tables["5.4"], row), corpus) for row in overview.rows},
                gains=_gains(comparison, overview, corpus),
                reasons=reasons,
                parameters={run.variant: run.record["n_parameters"] for run in chosen if run.trained},
            )
        )
    return corpora


def _gains(comparison: Comparison, overview: OverviewConfig, corpus: str) -> dict[str, tuple[Gain, float]]:
    """Return row -> gain over the row that it is held against, and its adjusted p, where both are of this corpus."""
    rows = comparison.variants
    pairs = {row: overview.rows[row].baseline for row in rows if overview.rows[row].baseline in rows}
    found = {}
    for row, other in pairs.items():
        rng = rng_for(comparison.seed, "evaluation", "sign_flip", corpus, row, other)
        options = {"confidence": comparison.confidence, "rng": rng}
        found[row] = gain(comparison.scores, row, other, comparison.selection, **options)
    adjusted = holm([one.p for one in found.values()])
    return {row: (one, p) for (row, one), p in zip(found.items(), adjusted, strict=True)}


def cells_of(corpora: list[OnCorpus], rows: list[str], others: list[Other]) -> pd.DataFrame:
    """Return CELLS: our rows, then the systems of other authors."""
    table = [_cell(corpus, row) for row in rows for corpus in corpora]
    table += [
        {"part": "others", "row": other.reference, "corpus": corpus, "thesis_row": other.method, "thesis": value}
        for other in others
        for corpus, value in other.values.items()
    ]
    frame = pd.DataFrame(table, columns=CELLS)
    counts = [name for name in CELLS if name.startswith("n_")]
    texts = dict.fromkeys(("thesis_row", "against", "reason"), "")
    return frame.astype(dict.fromkeys(counts, "Int64")).fillna(texts)


def _cell(corpus: OnCorpus, row: str) -> dict[str, Any]:
    printed, mine = corpus.printed.get(row), corpus.comparison.cells[corpus.comparison.cells.variant == row]
    cell: dict[str, Any] = {"part": "ours", "row": row, "corpus": corpus.name, "reason": corpus.reasons.get(row, "")}
    if printed:
        folds = printed.folds.mean if printed.folds else math.nan
        cell |= {"thesis_row": printed.name, "thesis": printed.value, "thesis_folds": folds}
    if len(mine):
        mean, folds = mine[mine.fold == MEAN].iloc[0], mine[mine.fold != MEAN]
        keys = ("honest", "low", "high", "optimistic", *columns(), "seeds_sd", "n_clips", "n_seeds")
        cell |= {key: mean[key] for key in keys} | {
            "n_people": mean.n_actors,
            "n_folds": int((folds.n_clips > 0).sum()),
        }
        cell["difference"] = mean[corpus.comparison.selection] - printed.value if printed else math.nan
    if row in corpus.gains:
        found, adjusted = corpus.gains[row]
        cell |= {"against": found.other, "gain": found.difference, "gain_low": found.low, "gain_high": found.high}
        cell |= {"p": found.p, "p_holm": adjusted}
    return cell | ({"n_parameters": corpus.parameters[row]} if row in corpus.parameters else {})


def render(cells: pd.DataFrame, corpora: list[OnCorpus], *, title: str, scale: str, confidence: float) -> str:
    """Return the page; `cells` CELLS."""
    summed = [(corpus.name, one) for corpus in corpora for one in corpus.printed.values() if one and one.folds]
    return render_page(
        "overview",
        title=title,
        scale=scale,
        confidence=confidence,
        corpora=corpora,
        ours=cells[cells.part == "ours"],
        others=cells[cells.part == "others"],
        summed=summed,
        off=[(corpus, one) for corpus, one in summed if abs(one.gap) > CLOSE],
        close=CLOSE,
        frozen={name for corpus in corpora for name in corpus.comparison.frozen},
    )


def build_overview(
    *,
    runs: list[Path],
    clips: list[Path],
    corpus_info: list[Path],
    thesis: Path,
    out_csv: Path,
    out_md: Path,
    config: str = "params.yaml",
) -> None:
    """Put table 5.4 of the thesis beside ours.

    Parameters
    ----------
    clips, corpus_info : list of Path
        Table CLIPS and corpus.json of every corpus.
    """
    params, tables = load(config), read_published(thesis)
    corpora = read_corpora(runs, clips, corpus_info, tables, params)
    rows, others = list(params["overview"]["rows"]), other_systems(tables, [corpus.name for corpus in corpora])
    title, confidence = tables["5.4"]["title"], section(EvaluateConfig, params, "evaluate").confidence
    cells = cells_of(corpora, rows, others)
    text = render(cells, corpora, title=title, scale=params["scale"], confidence=confidence)
    write_table(cells, text, csv=out_csv, md=out_md)
    log.info("table 5.4: %d rows, %s, %d runs", len(rows), " and ".join(one.name for one in corpora), len(runs))
