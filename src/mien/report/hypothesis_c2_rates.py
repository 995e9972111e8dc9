"""The thesis's sentences about learning rates (X12, L1005, L1012), answered from the histories."""

import math

from mien.evaluation.transfer import Trial
from mien.report.markdown import grid, percent
from mien.report.transfer import TransferEvidence
from mien.report.transfer_pages import power

STUCK = 1.0e-3  # the rate at which the thesis's network does not learn
SAFE = 1.0e-6  # the rate above which its validation loss diverges
RISE = 0.05  # of the lowest validation loss, by which the last must be above it to count as diverging


def rise(trial: Trial) -> float:
    """Return how far the last validation loss is above the lowest, as a share; infinite if it is no number."""
    loss = trial.history.validation_loss
    return float(loss.iloc[-1] / loss.min() - 1) if math.isfinite(loss.iloc[-1]) else math.inf


def judge_rates(evidence: TransferEvidence) -> list[str]:
    """Return the blocks of Markdown that answer both sentences, from the rows of ``transfer.rates``."""
    names = [name for name in evidence.transfer.rates if name not in evidence.reasons]
    title = "### Learning rates"
    if not names:
        return [title, "No row of the study of learning rates was trained, so neither sentence has an answer."]
    names.sort(key=lambda name: -evidence.rows[name].learning_rate)
    text = (
        f"The thesis says that a rate of {power(STUCK)} does not learn, and that above {power(SAFE)} the validation "
        "loss diverges. Learnt: the interval of the public test lies above always naming its commonest class. "
        f"Diverges: the last validation loss is more than {100 * RISE:g}% above the lowest. A rate that is too small "
        "to learn within these epochs does not diverge either, so the second sentence needs rates that learnt."
    )
    return [title, text, grid([_row(evidence, name) for name in names]), _answers(evidence, names)]


def _row(evidence: TransferEvidence, name: str) -> dict[str, str]:
    trial, history = evidence.trials[name], evidence.trials[name].history
    return {
        "row": name,
        "rate": power(evidence.rows[name].learning_rate),
        "validation accuracy": percent(100 * trial.final_accuracy),
        "learnt": "yes" if evidence.learnt(name) else "not shown",
        "lowest validation loss": f"{history.validation_loss.min():.3f} (epoch {trial.chosen_epoch} of {len(history)})",
        "last": f"{history.validation_loss.iloc[-1]:.3f}",
        "rise": f"{percent(100 * rise(trial))}%",
        "diverges": "yes" if rise(trial) > RISE else "no",
    }


def _answers(evidence: TransferEvidence, names: list[str]) -> str:
    rate = {name: evidence.rows[name].learning_rate for name in names}
    lines = []
    for name in (one for one in names if rate[one] == STUCK):
        said = "learns here, against the thesis" if evidence.learnt(name) else "is not shown to learn here either"
        lines.append(f"A rate of {power(STUCK)} ({name}) {said}.")
    if not lines:
        lines.append(f"No row has a rate of {power(STUCK)}.")
    above, below = ([name for name in names if (rate[name] > SAFE) == side] for side in (True, False))
    for kind, found in ((f"above {power(SAFE)}", above), (f"of {power(SAFE)} and below", below)):
        wild = [name for name in found if rise(evidence.trials[name]) > RISE]
        able = [name for name in found if evidence.learnt(name)]
        lines.append(
            f"Of the rates {kind} ({', '.join(found) or 'none'}) the validation loss diverges for "
            f"{', '.join(wild) or 'none'}; learnt have {', '.join(able) or 'none'}."
        )
    return " ".join(lines)
