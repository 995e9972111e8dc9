"""I-7: can the classifier alone make the thesis's gap between machines and networks? (specification, section 6)

Table 4.1 gives 41 % and 44 % to support vector machines and 75 % to a network of 108 parameters, on the same eight
numbers and with the same accuracy in training.
"""

import itertools
import math
from dataclasses import dataclass

from mien.evaluation.classifiers import Judgement, accuracy_in, mean_and_sd, paired_difference
from mien.report.classifiers import Evidence, printed_once
from mien.report.hypotheses import NOT_SUPPORTED, NOTHING, SUPPORTED, UNDECIDED, Answer, Contrast, Verdict, contrast
from mien.report.markdown import grid, percent

MACHINES = ("ssvm", "svm_poly")
NETWORKS = {"AU8": "dnn_au", "FP68": "dnn_fp"}
TITLES = {"AU8": "the eight action units", "FP68": "68 points of the face"}
POSSIBLE = "gap possible above chance"
SAME, OTHER = "same scaling", "network standardised, machine raw"
RULE = (
    "the network less each support vector machine on identical features (both standardised or both raw), means over "
    "the runs with the same training people, on the same test pictures. Supported if every interval ends below the "
    "gap that the thesis prints for that machine; not supported if one of them starts at that gap or above; undecided "
    "otherwise, and where the network is so weak that such a gap below it would end under chance. The largest gap is "
    "shown, so the search for one favours the thesis."
)


@dataclass(frozen=True)
class _Gap:
    """Network less machine, and whether the gap of the thesis would fit between this network and chance."""

    found: Contrast
    network: float  # accuracy on the test pictures, percent
    machine: float
    room: bool


def judge_same_features(evidence: Evidence, features: str) -> Verdict:
    """Compare the networks with the support vector machines on the features "AU8" or "FP68"."""
    names = [name for name, one in evidence.classifiers.items() if _belongs(evidence, name, features)]
    gaps = [_gap(evidence, *pair) for pair in _pairs(evidence, names)]
    gaps = [gap for gap in gaps if not math.isnan(gap.found.difference)]
    deciding = [gap for gap in gaps if gap.found.decides]
    largest = max(deciding, key=lambda gap: gap.found.difference, default=None)
    printed = _span([gap.found.thesis for gap in deciding])
    best = largest.found if largest else NOTHING
    return Verdict(
        key=f"Same features, {features}",
        title=f"network and support vector machine on {TITLES[features]}",
        claim=f"on identical {features}, the classifier alone does not make the thesis's gap{printed} between network "
        "and support vector machine.",
        rule=RULE,
        verdict=_answer(deciding),
        measure=f"Largest gap found, {best.one} less {best.other}" if largest else "Nothing to compare",
        effect=best.difference,
        interval=(best.low, best.high),
        n=f"{best.n_pictures} pictures of {best.n_people} test people, {evidence.corpora}",
        printed="",
        synthetic=evidence.synthetic,
        detail=(
            *evidence.caution,
            *_accuracies(evidence, names),
            *_edges(evidence, names),
            *_table(gaps),
            *_explanation(evidence, deciding, largest),
        ),
        contrasts=tuple(gap.found for gap in gaps),
    )


def _span(values: list[float]) -> str:
    if not values:
        return ""
    low, high = percent(min(values)), percent(max(values))
    return f" of {low} points" if low == high else f" of {low} to {high} points"


def _belongs(evidence: Evidence, name: str, features: str) -> bool:
    one = evidence.classifiers[name]
    return one.features == features and one.model in (*MACHINES, NETWORKS[features]) and bool(evidence.panel.of(name))


def _pairs(evidence: Evidence, names: list[str]) -> list[tuple[str, str, str]]:
    """Return (network, machine, SAME) and then, for the standardised networks and the raw machines, OTHER."""
    config = evidence.classifiers
    machines = [name for name in names if config[name].model in MACHINES]
    every = [(one, other) for one in names if one not in machines for other in machines]
    scaled = {name: config[name].standardise for name in names}
    same = [(one, other, SAME) for one, other in every if scaled[one] == scaled[other]]
    return same + [(one, other, OTHER) for one, other in every if scaled[one] and not scaled[other]]


def _gap(evidence: Evidence, network: str, machine: str, scaling: str) -> _Gap:
    """Return network less machine over the runs that learnt on the same people."""
    panel = evidence.panel
    seeds = _shared(evidence, [network, machine])
    one, other = (_runs(evidence, name, seeds) for name in (network, machine))
    difference = paired_difference(panel, one, other, strict=False, config=evidence.evaluate)
    thesis = _printed_gap(evidence, network, machine)
    decides = scaling == SAME and not math.isnan(thesis)
    scores = [_test_accuracy(evidence, side) for side in (one, other)]
    found = contrast(network, machine, difference, pictures=scaling, thesis=thesis, decides=decides)
    return _Gap(found, *scores, room=scores[0] - 100 * panel.chance >= thesis)


def _test_accuracy(evidence: Evidence, runs: list[Judgement]) -> float:
    """Return the mean accuracy of some runs on the test pictures, percent."""
    return mean_and_sd(100 * accuracy_in(evidence.panel, run, "test") for run in runs)[0]


def _printed_gap(evidence: Evidence, *names: str) -> float:
    """Return the gap that the thesis prints between two models on these features, points; NaN where it does not.

    A raw row has no cell of its own: it is held against the cell of the same model and features.
    """
    values = []
    for name in names:
        mine = evidence.classifiers[name]
        like = [one.thesis for one in evidence.classifiers.values() if _alike(one, mine) and one.thesis]
        values.append(printed_once(evidence.thesis, like[0]).test if like else math.nan)
    return values[0] - values[1]


def _alike(one, other) -> bool:
    return (one.model, one.features) == (other.model, other.features)


def _shared(evidence: Evidence, names: list[str]) -> set[int]:
    """Return the seeds, which are also the splits, that all of `names` were trained with."""
    return set.intersection(*({one.seed for one in evidence.panel.of(name)} for name in names))


def _runs(evidence: Evidence, name: str, seeds: set[int], selection: str = "honest") -> list[Judgement]:
    return [one for one in evidence.panel.of(name, selection) if one.seed in seeds]


def _answer(gaps: list[_Gap]) -> Answer:
    """Hold the interval of every pair against the gap that the thesis prints for it; NaN decides nothing."""
    if any(gap.found.low >= gap.found.thesis for gap in gaps):
        return NOT_SUPPORTED
    below = [gap.room and gap.found.high < gap.found.thesis for gap in gaps]
    return SUPPORTED if below and all(below) else UNDECIDED


def _accuracies(evidence: Evidence, names: list[str]) -> list[str]:
    if not names:
        return ["No network and no support vector machine was trained on these features."]
    seeds = _shared(evidence, names)
    rows = []
    for name in names:
        config, runs = evidence.classifiers[name], _runs(evidence, name, seeds)
        cells = {
            role: mean_and_sd(100 * accuracy_in(evidence.panel, one, role) for one in runs)
            for role in ("training", "test")
        }
        best = _runs(evidence, name, seeds, "optimistic")
        printed = printed_once(evidence.thesis, config.thesis)
        rows.append(
            {
                "classifier": name,
                "scaling": "standardised" if config.standardise else "raw",
                "train": percent(cells["training"][0]),
                "test": percent(cells["test"][0]),
                "sd": percent(cells["test"][1]),
                "optimistic": percent(_test_accuracy(evidence, best)),
                "thesis train": percent(printed.train),
                "thesis test": percent(printed.test),
            }
        )
    text = (
        f"Means over the {len(seeds)} run{'' if len(seeds) == 1 else 's'} that all of them share: the same people are "
        "learnt from, the same people are tested. 'sd' is the sample standard deviation of test; 'optimistic' chooses "
        "the epoch of a network on the test pictures. Augmented landmarks were not tried."
    )
    return ["### Accuracy on identical features", text, grid(rows)]


def _edges(evidence: Evidence, names: list[str]) -> list[str]:
    """Say where a machine differs between the scalings and either search ended at the edge of its grid."""
    config, seeds = evidence.classifiers, _shared(evidence, names) if names else set()
    test = {name: _test_accuracy(evidence, _runs(evidence, name, seeds)) for name in names}
    pairs = [
        f"{percent(100 * evidence.edges[one])}% of the divisions for {one} and {percent(100 * evidence.edges[other])}% "
        f"for {other}"
        for one, other in itertools.product(names, names)
        if config[one].standardise and not config[other].standardise and _alike(config[one], config[other])
        if test[one] != test[other] and max(evidence.edges[one], evidence.edges[other]) > 0
    ]
    if not pairs:
        return []
    return [
        "Where a machine scores differently when standardised than when raw, scaling may not be the only reason: the "
        f"search chose the smallest or the largest C of its grid in {'; in '.join(pairs)} (all divisions, "
        "table 4.2). A wider grid could move these rows."
    ]


def _table(gaps: list[_Gap]) -> list[str]:
    if not gaps:
        return ["There is no pair of a network and a support vector machine, so nothing can be said."]
    rows = [
        {
            "network less machine": _pair_of(gap),
            "scaling": gap.found.pictures,
            "difference": gap.found.text,
            "thesis": percent(gap.found.thesis, signed=True),
            POSSIBLE: "yes" if gap.room else "no",
            "test pictures": str(gap.found.n_pictures),
        }
        for gap in gaps
    ]
    text = (
        f"A pair with the same scaling, of which the thesis prints the gap, decides; '{POSSIBLE}' says whether that "
        "gap has room between the network and chance. A standardised network against a machine on raw numbers compares "
        "no classifiers; it shows how much of a gap a forgotten standardisation could make."
    )
    return ["### Gaps", text, grid(rows)]


def _explanation(evidence: Evidence, deciding: list[_Gap], largest: _Gap | None) -> list[str]:
    if largest is None:
        return []
    people = "On these computed people" if evidence.synthetic else "On these people"
    return [
        f"{people} the largest gap on identical features is {largest.found.text} points, against "
        f"{percent(largest.found.thesis, signed=True)} in the thesis for these models. The network scores "
        f"{percent(largest.network)} there and the machine {percent(largest.machine)}; the easier the pictures are for "
        f"both, the weaker is this test. {_conclusion(evidence, deciding)}"
    ]


def _conclusion(evidence: Evidence, deciding: list[_Gap]) -> str:
    """Say what all gaps that decide come to, and which of them stand in the way of an answer."""
    verdict = _answer(deciding)
    if verdict == SUPPORTED:
        return (
            "Every gap that decides ends below that of the thesis for its models: a gap of the thesis's size is not "
            "explained by the classifier."
        )
    if verdict == NOT_SUPPORTED:
        large = "; ".join(_pair_of(gap) for gap in deciding if gap.found.low >= gap.found.thesis)
        return (
            f"The classifier can explain a gap of the thesis's size, as the whole interval is there or above: {large}."
        )
    chance = percent(100 * evidence.panel.chance)
    weak = "; ".join(
        f"{_pair_of(gap)}: {percent(gap.network)} - {percent(gap.found.thesis)} < {chance}"
        for gap in deciding
        if not gap.room
    )
    wide = "; ".join(_pair_of(gap) for gap in deciding if not gap.found.high < gap.found.thesis)  # or no interval
    return " ".join(
        [
            "Whether the classifier explains a gap of the thesis's size is undecided.",
            *([f"There is no room for the thesis's gap between the network and chance ({weak})."] if weak else []),
            *([f"There is no interval that ends below the thesis's gap ({wide})."] if wide else []),
        ]
    )


def _pair_of(gap: _Gap) -> str:
    return f"{gap.found.one} less {gap.found.other}"
