"""What was trained for chapter 5 on one corpus, beside what the thesis prints: the evidence of its verdicts."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mien.core.config import ACTED, EvaluateConfig, section
from mien.core.errors import TableError
from mien.core.files import read_json
from mien.core.rng import rng_for
from mien.evaluation.metrics import reported, score, twins
from mien.evaluation.pairs import Gain, gain, gain_over_best
from mien.evaluation.runs import Run, read_runs
from mien.report.comparison import best_printed, printed_gain
from mien.report.published import Published, published_row, read_published

SINGLE = ("AM", "VM")  # variants of params.yaml, by the names of its rows
JOINT = ("N0_late", "N0", "N1", "N2")
TIMED = {"AM": "AM_NT", "VM": "VM_NT", "N0": "N0_NT"}  # with time augmentation -> without
NO_OVERLAP = "N0_WO"  # time augmentation without overlapping segments
VARIANTS = (*SINGLE, *JOINT, *TIMED.values(), NO_OVERLAP)
PRINTED = {  # corpus -> variant -> row of a fold table
    "ravdess": {
        "AM": "5.1/AM_T",
        "AM_NT": "5.1/AM_NT",
        "VM": "5.1/VM_T",
        "VM_NT": "5.1/VM_NT",
        "N0_NT": "5.1/JM_NT",
        "N0_late": "5.2/N0_late",
        "N0": "5.2/N0_e2e",
        "N1": "5.2/N1_e2e",
        "N2": "5.2/N2_e2e",
    },
    "cremad": {"N0_late": "5.3/N0_late", "N0": "5.3/N0_e2e", "N1": "5.3/N1_e2e", "N2": "5.3/N2_e2e"},
}
SUMMED = {"N0_NT": "N0_e2e_IA", "N0_WO": "N0_e2e_VA_WO", "N0": "N0_e2e_VA_AO"}  # variant -> row of table 5.4


@dataclass(frozen=True, eq=False)
class Trained:
    """The networks of one corpus.

    scores : SCORES of VARIANTS.   runs : variant -> its trained runs.   reasons : variant -> why it was not trained.
    printed : variant -> what a fold table of the thesis prints.   summed : variant -> percent in table 5.4.
    """

    corpus: str
    scores: pd.DataFrame
    runs: dict[str, list[Run]]
    reasons: dict[str, str]
    printed: dict[str, Published]
    summed: dict[str, float]
    evaluate: EvaluateConfig
    synthetic: bool
    seed: int

    @property
    def selection(self) -> str:
        """Return the selection that verdicts rest on."""
        return reported(self.scores)

    def gain(self, one: str, other: str) -> Gain:
        """Return how much better one variant is than another; without numbers where one was not trained."""
        return gain(self.scores, one, other, self.selection, **self._options(one, other))

    def gain_over_best(self, joint: str, single: Sequence[str]) -> Gain:
        """Return how much better a variant is than the best of others in each fold, if all of them were trained."""
        if not all(self.runs.get(name) for name in (joint, *single)):
            return Gain(joint, f"best of {' and '.join(single)}")
        return gain_over_best(self.scores, joint, single, self.selection, **self._options(joint, *single))

    def printed_gain(self, one: str, other: str) -> Gain | None:
        """Return what the thesis's folds say of two variants; None where it does not print both."""
        sides = self.printed.get(one), self.printed.get(other)
        return printed_gain(*sides, confidence=self.evaluate.confidence)

    def printed_gain_over_best(self, joint: str, single: Sequence[str]) -> Gain | None:
        """Return the same for a variant and the best of others in each fold."""
        row = self.printed.get(joint)
        best = best_printed([self.printed.get(name) for name in single], row)
        return printed_gain(row, best, confidence=self.evaluate.confidence)

    def absent(self, names: Iterable[str]) -> list[str]:
        """Return sentences that say which of some variants have no numbers, and why."""
        names = [name for name in dict.fromkeys(names) if not self.runs.get(name)]
        return [f"{name}: {self.reasons.get(name, 'not asked for')}" for name in names]

    def _options(self, *scope: str) -> dict[str, Any]:
        rng = rng_for(self.seed, "report", "chapter5", self.corpus, *scope)
        return {"confidence": self.evaluate.confidence, "rng": rng}


def read_chapter5(runs: Iterable[Path], clips: Iterable[Path], thesis: Path, params: dict[str, Any]) -> list[Trained]:
    """Read runs of VARIANTS, clips.parquet of their corpora with corpus.json beside each, and the thesis's numbers.

    Runs of other variants are left aside. Corpora come in the order of the thesis's tables.
    params : sections evaluate and seed.

    Raises
    ------
    TableError : a run is of a corpus whose clips.parquet is not given.
    """
    clips = list(clips)
    infos = {info["corpus"]: info for info in (read_json(path.with_name("corpus.json")) for path in clips)}
    chosen = [run for run in read_runs(runs) if run.variant in VARIANTS and run.corpus in ACTED]
    if missing := sorted({run.corpus for run in chosen} - infos.keys()):
        raise TableError(f"the clips of {missing[0]} are not given; pass its clips.parquet with --variant-clips")
    apart, tables = twins(clips), read_published(thesis)
    return [
        Trained(
            corpus=corpus,
            scores=score(own, apart),
            runs={name: list(part) for name, part in itertools.groupby(_trained(own), key=lambda run: run.variant)},
            reasons={run.variant: run.reason or "not applicable" for run in own if not run.trained},
            printed={name: published_row(tables, row, corpus) for name, row in PRINTED[corpus].items()},
            summed={name: float(tables["5.4"]["rows"][row][corpus]) for name, row in SUMMED.items()},
            evaluate=section(EvaluateConfig, params, "evaluate"),
            synthetic=infos[corpus]["source"] == "synthetic",
            seed=params["seed"],
        )
        for corpus in ACTED
        if (own := [run for run in chosen if run.corpus == corpus])
    ]


def _trained(runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.trained]  # sorted by variant: read_runs
