"""Lay table 4.3 out as Markdown; fixed decimals, fixed order, no dates."""

import math

import pandas as pd

from mien.core.config import PretrainConfig
from mien.report.markdown import SYNTHETIC, grid, limits, percent
from mien.report.transfer import SHARE, Source, TransferEvidence

PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
UNLEARNT = "†"
BESIDE = (
    "Private test: accuracy at the epoch of lowest validation loss, pictures with an identical twin in another usage "
    "left out; the private test chooses nothing. Interval: Wilson's, {level:g}%. FER2013 names nobody, so every "
    "picture counts as a unit of its own; pictures of one person resemble each other, so the true interval is wider, "
    "and other seeds are not in it: every row is one training. Difference: private test less the thesis's number, "
    "which does not say on which of the two tests it was measured, and counts twins. Public test: it chose the epoch, "
    "so its accuracy is optimistic. 'optimistic' is the private test at its own best epoch. Macro recall: mean of the "
    "recalls of the classes, private test."
)
TWINS = (
    "Published results count the pictures that have an identical twin in another usage (mostly training); here they "
    "are apart, and these columns put them back. n is the number of pictures. Honest epoch."
)
COST = (
    "Epochs to {share:g}%: the first epoch whose validation accuracy reaches {share:g}% of that at the chosen epoch. "
    "Training until then: multiply-adds of three passes (forward, gradient of the activations, gradient of the "
    "weights) per picture shown, copies included; where convolutions stay as they are, a pass forward and the two "
    "gradients of the dense layers, each as many multiply-adds as there are trained weights. Validation and the "
    "optimiser are not counted. Start: the same count for the network that a row starts from, until the epoch whose "
    "weights were kept; a - for weights from a file, whose cost is not known. A start is paid once for any number of "
    "rows. k, M, G, T, P: 10^3 to 10^15. There are no seconds here, because equal seeds give equal files: "
    "benchmarks/pretrain/*.tsv and logs/pretrain hold those of whole trainings."
)
ISSUES = (
    "69.76 [85] and 69.4 [88] are values of the public board (the private winner had 71.16), 75.2 [86] is of the "
    "private test, as far as we recall their papers; on which test the thesis measured 70.47 it does not say. The "
    "rows are therefore not one ranking.",
    "The numbers in brackets are the thesis's own, as printed: [77] leads to the paper of CK+, not to a network with "
    "HOG features, and what it cites for batch normalisation, [7] to [9], is shifted by one.",
    "Names and methods in our words; accuracies as printed.",
)


def render_transfer(cells: pd.DataFrame, evidence: TransferEvidence) -> str:
    """Return the page of table 4.3; `cells` CELLS."""
    parts = {part: cells[cells.part == part] for part in ("table", "others", "printed")}
    level = 100 * evidence.evaluate.confidence
    blocks = [
        *_introduction(parts["table"], evidence),
        "## Beside the thesis",
        BESIDE.format(level=level),
        grid([_beside(row, evidence) for row in parts["table"].itertuples()]),
        "## With and without twins",
        TWINS,
        grid([_twins(row) for row in parts["table"].itertuples()]),
        "## Cost",
        COST.format(share=100 * SHARE),
        grid([_cost(row) for row in parts["table"].itertuples()]),
    ]
    if len(parts["others"]):
        text = "The other rows on FER2013: learning rates, and what chapter 5 starts from. Columns as above."
        shown = [[act(row) for row in parts["others"].itertuples()] for act in (_twins, _cost)]
        beside = [_beside(row, evidence) for row in parts["others"].itertuples()]
        blocks += ["## Other rows", text, *map(grid, (beside, *shown))]
    blocks += [
        "## What the thesis prints",
        grid([_printed(row, evidence.sources[row.row]) for row in parts["printed"].itertuples()]),
    ]
    return "\n\n".join([*blocks, *_notes(cells, evidence)]) + "\n"


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


def what_starts(row: PretrainConfig) -> str:
    """Return what a row of ``pretrain`` starts from, in words."""
    return {"random": "random", "none": "a file, not named"}.get(row.init, row.init)


def _introduction(table: pd.DataFrame, evidence: TransferEvidence) -> list[str]:
    notice = [f"**{SYNTHETIC}**"] if evidence.synthetic else []
    trained = table[table.reason == ""]
    n_classes = len(evidence.trials[evidence.transfer.table[0]].run.classes)
    text = (
        f"Learnt on the training pictures of {evidence.transfer.corpus}, {n_classes} emotions, scale {evidence.scale}. "
    )
    if len(trained):
        one = trained.iloc[0]
        text += (
            f"Validated on the public test ({one.n_public} pictures), tested on the private test ({one.n_private}). "
            f"Always naming the commonest emotion of the private test would score {percent(one.chance)}. "
        )
    text += "Accuracy in percent, differences in points; a - stands for nothing to report."
    for name in dict.fromkeys(evidence.rows[row].init for row in evidence.names):
        if name in evidence.rows and name not in evidence.names:
            what = {"actor": "who somebody is", "label": "emotions"}[evidence.rows[name].target]
            text += f" {name}, which rows start from, has learnt {what} on {evidence.rows[name].corpus}."
    return [f"# Table 4.3: {evidence.title}", *notice, text]


def _beside(row, evidence: TransferEvidence) -> dict[str, str]:
    config = evidence.rows[row.row]
    return {
        "row": _marked(row),
        "starts from": what_starts(config),
        "trained": {"all": "everything", "dense": "dense layers"}[config.trained],
        "rate": power(config.learning_rate),
        "thesis": _printed_number(row.thesis),
        "private test": percent(row.private),
        f"{100 * evidence.evaluate.confidence:g}% interval": limits(row.low, row.high),
        "difference": percent(row.difference, signed=True),
        "public test": percent(row.public),
        "optimistic": percent(row.optimistic),
        "macro recall": percent(row.macro_recall),
        "chance": percent(row.chance),
    }


def _twins(row) -> dict[str, str]:
    cells = {"row": _marked(row)}
    for usage in ("private", "public"):
        for name, suffix in (("without twins", ""), ("with twins", "_with_twins")):
            n, value = getattr(row, f"n_{usage}{suffix}"), getattr(row, f"{usage}{suffix}")
            cells[f"{usage}, {name}"] = "-" if math.isnan(value) else f"{percent(value)} (n = {n})"
    return cells


def _cost(row) -> dict[str, str]:
    absent = row.reason != ""
    return {
        "row": _marked(row),
        "chosen epoch": "-" if absent else str(row.chosen_epoch),
        f"epochs to {100 * SHARE:g}%": "-" if absent else str(row.cost_epochs),
        "trained weights": "-" if absent else f"{row.n_trained:,}".replace(",", " "),
        "training until then": amount(row.cost_adds),
        "start": amount(row.start_adds),
        "both": amount(row.cost_adds + row.start_adds),
    }


def _printed(row, source: Source) -> dict[str, str]:
    return {
        "method": source.method,
        "who": source.who,
        "reference": source.reference,
        "accuracy": _printed_number(row.thesis),
    }


def _printed_number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.2f}".removesuffix("0")


def _marked(row) -> str:
    if row.reason:
        return f"{row.row} \\*"
    return row.row if row.learnt else f"{row.row} {UNLEARNT}"


def _notes(cells: pd.DataFrame, evidence: TransferEvidence) -> list[str]:
    notes = [f"\\* {name}: not applicable: {reason}." for name, reason in evidence.reasons.items()]
    if cells.learnt.eq(False).any():
        notes.append(
            f"{UNLEARNT} not shown to have learnt: the interval of its public test reaches down to always naming the "
            "commonest class. The epochs and the cost of such a row say nothing about speed."
        )
    return ["## Notes", "\n".join(f"- {note}" for note in [*notes, *ISSUES])]
