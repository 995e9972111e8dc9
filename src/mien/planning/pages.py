"""The plan of a whole run as a page and as rows of a table."""

from collections.abc import Iterable, Sequence
from typing import Any

from mien.core.config import Params
from mien.planning.disk import Space, spaces
from mien.planning.line import gigabytes, spoken, summary
from mien.planning.rates import Speed
from mien.planning.runs import Planned, planned
from mien.report.markdown import grid

STAGES = {
    "pretrain": "networks trained ahead",
    "variants": "networks of chapter 5",
    "streams": "networks that run along",
    "classifiers": "classifiers of chapter 4",
    "fuzziness": "missing and fuzzy information",
}


def rows_of(runs: Sequence[Planned], speed: Speed) -> list[dict[str, Any]]:
    """Return a row per kind of training."""
    return [
        {
            "stage": run.stage,
            "corpus": run.corpus,
            "name": run.name,
            "runs": run.runs,
            "clips": run.clips,
            "epochs": run.epochs,
            "multiply_adds": run.forward,
            "work": run.work,
            "hours": speed.hours(run),
        }
        for run in runs
    ]


def render(params: Params, speed: Speed) -> str:
    """Return the page as Markdown."""
    runs = planned(params)
    left = spaces(params, runs)
    made = sorted({name for name, row in params.corpora.items() if row.source == "synthetic"})
    blocks = [
        f"# Plan: what scale {params.scale} takes",
        f"{summary(params, speed)}.",
        "Hours are those of one device. Counted from the parameters; nothing was read or run. Epochs are all that may "
        "be run: early stops shorten them. Clips are those that a run learns from in an epoch. A multiply-add is two "
        "operations, and a training pass costs three passes forward. Reading and augmenting clips is not counted, nor "
        "is what needs no GPU: synthesis, faces, landmarks, fits.",
        *([f"Corpora that are synthesised here: {', '.join(made)}."] if made else []),
        "## Stages",
        grid(_by_stage(runs, speed)),
        "## Trainings",
        grid(_by_kind(runs, speed)),
        "## On the disk",
        grid(_by_place(left)),
        "The files of synthesised corpora are not counted; checkpoints are those of one training, and are deleted at "
        "its end.",
    ]
    return "\n\n".join(blocks) + "\n"


def _by_stage(runs: Sequence[Planned], speed: Speed) -> list[dict[str, str]]:
    rows = []
    for stage, title in STAGES.items():
        own = [run for run in runs if run.stage == stage]
        rows.append(_sums(title, own, speed))
    return [*rows, _sums("**all**", runs, speed)]


def _sums(title: str, runs: Iterable[Planned], speed: Speed) -> dict[str, str]:
    runs = list(runs)
    return {
        "stage": title,
        "runs": str(sum(run.runs for run in runs)),
        "10¹⁵ multiply-adds": f"{sum(run.work for run in runs) / 1e15:,.1f}".replace(",", " "),
        "hours": spoken(sum(speed.hours(run) for run in runs)),
    }


def _by_kind(runs: Sequence[Planned], speed: Speed) -> list[dict[str, str]]:
    return [
        {
            "stage": run.stage,
            "corpus": run.corpus,
            "network": run.name,
            "runs": str(run.runs),
            "clips": str(run.clips),
            "epochs": str(run.epochs) if run.epochs else "-",
            "10⁹ multiply-adds per clip": f"{run.forward / 1e9:.3f}" if run.forward else "-",
            "hours": spoken(speed.hours(run)),
            "of a run": spoken(speed.hours(run) / run.runs) if run.runs else "-",
        }
        for run in runs
    ]


def _by_place(left: Sequence[Space]) -> list[dict[str, str]]:
    totals: dict[tuple[str, str], float] = {}
    for space in left:
        key = (space.stage, space.corpus)
        totals[key] = totals.get(key, 0.0) + space.bytes
    rows = [{"stage": stage, "corpus": corpus, "GB": gigabytes(size)} for (stage, corpus), size in totals.items()]
    return [*rows, {"stage": "**all**", "corpus": "", "GB": gigabytes(sum(totals.values()))}]
