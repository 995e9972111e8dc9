"""Table 4.3 of the thesis, networks on FER2013 by what they start from, beside ours, with what they cost."""

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.config.schema import EvaluateConfig, PretrainConfig, TransferConfig, load, section
from mien.errors import TableError
from mien.evaluation.measures import columns, percents
from mien.evaluation.runs import read_runs, reasons_of
from mien.evaluation.transfer import PRIVATE, PUBLIC, Trial, Trials, read_trial, read_usages, start_adds
from mien.io.files import read_json
from mien.report.page import render_page, write_table
from mien.report.thesis import printed_beside, read_published

log = logging.getLogger(__name__)

SHARE = 0.95  # of the final validation accuracy, whose first epoch is the cost
THESIS_ROW = "ours_vggface_transfer"
CELLS = [  # of 4.3.csv; accuracies in percent, differences in points
    "row",
    "part",  # table, others, printed
    "thesis_row",
    "thesis",
    "private",  # honest epoch, twins left out; the headline
    "low",
    "high",
    "difference",  # private less thesis
    "optimistic",  # private, best epoch on it
    "public",  # chose the epoch
    "private_with_twins",
    "public_with_twins",
    *columns(),  # UAR and macro-F1, private
    "chance",  # private: the largest class
    "validation",  # at the chosen epoch, by history.csv
    "learnt",  # the public test's interval lies above its largest class
    "chosen_epoch",
    "cost_epochs",  # to SHARE of `validation`
    "n_trained",  # weights
    "cost_adds",  # multiply-adds of training until then
    "start_adds",  # of training what it starts from; empty where that is not known
    "n_private",
    "n_private_with_twins",
    "n_public",
    "n_public_with_twins",
    "n_trainings",  # numbers are means over them
    "reason",  # why it was not trained
]


@dataclass(frozen=True, eq=False)
class TransferEvidence:
    """What was trained on FER2013, and what that started from.

    rows : section ``pretrain``.   trials : row -> its trainings; those on FER2013 and their starts.
    names : rows on FER2013 in the order of params.yaml.   printed : row of table 4.3 -> percent.
    beside : row of ours -> row of table 4.3.   sources : row of table 4.3 -> method, who and reference, in our words.
    """

    rows: dict[str, PretrainConfig]
    trials: dict[str, Trials]
    names: tuple[str, ...]
    transfer: TransferConfig
    evaluate: EvaluateConfig
    printed: dict[str, float]
    beside: dict[str, str]
    sources: dict[str, dict[str, str]]
    title: str
    synthetic: bool
    scale: str

    @property
    def others(self) -> tuple[str, ...]:
        """Return the rows on FER2013 that are not in the table."""
        return tuple(name for name in self.names if name not in self.transfer.table)

    @property
    def reasons(self) -> dict[str, str]:
        """Return why rows were not trained, the table's first."""
        names = [*self.transfer.table, *self.others]
        return reasons_of((one.run for name in names for one in self.trials[name].each), names)

    @property
    def n_trainings(self) -> int:
        """Return the fewest trainings of a row of the table."""
        return min(len(self.trials[name].each) for name in self.transfer.table)

    def learnt(self, name: str) -> bool:
        """Say whether a trained row is shown to have learnt; see `evaluation.transfer.Trials.learnt`."""
        return self.trials[name].learnt(confidence=self.evaluate.confidence)

    def start_adds(self, name: str) -> float:
        """Return what the start of a row cost, multiply-adds; see `evaluation.transfer.start_adds`."""
        return start_adds(name, {row: one.init for row, one in self.rows.items()}, self.trials)


def read_transfer(
    runs: Iterable[Path], clips: Path, info: Path, thesis: Path, params: dict[str, Any]
) -> TransferEvidence:
    """Read run folders of rows of ``pretrain``, clips.parquet and corpus.json of FER2013, and the thesis's numbers.

    runs : every row on FER2013 and the rows that they start from; others are ignored.
    params : sections transfer, pretrain, evaluate and scale.

    Raises
    ------
    TableError : a run is missing, or does not belong to these clips.
    """
    transfer = section(TransferConfig, params, "transfer")
    rows = {name: section(PretrainConfig, params, "pretrain", name) for name in params["pretrain"]}
    usages = read_usages(clips)
    found: dict[str, list[Trial]] = {}
    for run in read_runs(runs):
        if run.variant in rows and rows[run.variant].name == run.corpus:
            trial = read_trial(run, usages if run.corpus == transfer.corpus else None)
            found.setdefault(run.variant, []).append(trial)
    trials = {name: Trials(tuple(each)) for name, each in found.items()}
    names = tuple(name for name in rows if rows[name].name == transfer.corpus)
    for name in names:
        if name not in trials:
            raise TableError(f"no run of {name} on {transfer.corpus}; train it and pass its run.json")
    table = read_published(thesis)["4.3"]
    infos = {info} | {info.parent.parent / rows[name].corpus / info.name for name in trials}  # of what starts learnt on
    return TransferEvidence(
        rows=rows,
        trials=trials,
        names=names,
        transfer=transfer,
        evaluate=section(EvaluateConfig, params, "evaluate"),
        printed={name: float(value) for name, value in table["rows"].items()},
        beside={name: printed_beside(table, name, transfer.table) for name in names},
        sources=table["sources"],
        title=table["title"],
        synthetic=any(read_json(path)["source"] == "synthetic" for path in sorted(infos)),
        scale=params["scale"],
    )


def cells_of(evidence: TransferEvidence) -> pd.DataFrame:
    """Return CELLS: the rows of the table, the other rows on FER2013, and what the thesis prints."""
    rows = [_cell(evidence, name, "table") for name in evidence.transfer.table]
    rows += [_cell(evidence, name, "others") for name in evidence.others]
    rows += [
        {"row": name, "part": "printed", "thesis_row": name, "thesis": value}
        for name, value in evidence.printed.items()
    ]
    cells = pd.DataFrame(rows, columns=CELLS)
    whole = [name for name in CELLS if name.startswith("n_")]
    texts = dict.fromkeys(("thesis_row", "reason"), "")
    return cells.astype(dict.fromkeys(whole, "Int64") | {"learnt": "boolean"}).fillna(texts)


def _cell(evidence: TransferEvidence, name: str, part: str) -> dict[str, Any]:
    row, beside = evidence.trials[name], evidence.beside.get(name, "")
    thesis = evidence.printed.get(beside, math.nan)
    cell = {"row": name, "part": part, "thesis_row": beside, "thesis": thesis}
    if not row.trained:
        return cell | {"reason": evidence.reasons[name]}
    confidence = evidence.evaluate.confidence
    for usage, column in ((PRIVATE, "private"), (PUBLIC, "public")):
        for duplicates, suffix in ((False, ""), (True, "_with_twins")):
            accuracy = row.accuracy(usage, duplicates=duplicates, confidence=confidence).value
            n = len(row.first.rows(usage, duplicates=duplicates))
            cell |= {f"{column}{suffix}": 100 * accuracy, f"n_{column}{suffix}": n}
    private = row.accuracy(PRIVATE, confidence=confidence)
    return cell | {
        "low": 100 * private.low,
        "high": 100 * private.high,
        "difference": cell["private"] - thesis,
        "optimistic": 100 * row.accuracy(PRIVATE, selection="optimistic", confidence=confidence).value,
        **percents(row.measures(PRIVATE, confidence=confidence)),
        "chance": 100 * row.chance(PRIVATE),
        "validation": 100 * row.mean(lambda trial: trial.final_accuracy),
        "learnt": evidence.learnt(name),
        "chosen_epoch": row.mean(lambda trial: trial.chosen_epoch),
        "cost_epochs": row.mean(cost_epochs),
        "n_trained": row.first.run.record["n_trained"],
        "cost_adds": row.mean(lambda trial: trial.adds_per_epoch * cost_epochs(trial)),
        "start_adds": evidence.start_adds(name),
        "n_trainings": len(row.each),
    }


def cost_epochs(trial: Trial) -> float:
    """Return the first epoch of a training with SHARE of its final validation accuracy."""
    return trial.epochs_to(SHARE * trial.final_accuracy)


def render(cells: pd.DataFrame, evidence: TransferEvidence) -> str:
    """Return the page of table 4.3; `cells` CELLS."""
    rows, names = evidence.rows, evidence.names
    starts = dict.fromkeys(rows[name].init for name in names if rows[name].init in rows)
    return render_page(
        "transfer",
        evidence=evidence,
        n_classes=len(evidence.trials[evidence.transfer.table[0]].first.run.classes),
        starts={name: rows[name] for name in starts if name not in names},
        share=SHARE,
        cells=cells,
        amount=amount,
        power=power,
    )


PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def amount(value: float) -> str:
    """Return a large number with three digits and a prefix, such as 31.8 G; - for nothing."""
    if math.isnan(value):
        return "-"
    scale, prefix = next(((scale, prefix) for scale, prefix in PREFIXES if value >= scale), (1.0, ""))
    text = f"{value / scale:.3g}" if value < 999.5 * scale else f"{value / scale:.0f}"
    return f"{text} {prefix}".strip()


def power(rate: float) -> str:
    """Return a learning rate as 3e-4."""
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def compare_transfer(
    *,
    runs: list[Path],
    clips: Path,
    corpus_info: Path,
    thesis: Path,
    out_csv: Path,
    out_md: Path,
    config: str = "params.yaml",
) -> None:
    """Put table 4.3 of the thesis beside ours.

    Parameters
    ----------
    runs : list of Path
        run.json of every row on FER2013 and of its starts.
    clips : Path
        clips.parquet of FER2013.
    corpus_info : Path
        corpus.json of FER2013.
    """
    evidence = read_transfer(runs, clips, corpus_info, thesis, load(config))
    cells = cells_of(evidence)
    write_table(cells, render(cells, evidence), csv=out_csv, md=out_md)
    log.info("table 4.3: %d rows, %d of them not trained", len(evidence.names), len(evidence.reasons))
