"""C1: do neural networks beat geometry with a support vector machine on the same pictures? (thesis L170, X01-X10)"""

import itertools
import math
from dataclasses import replace

from mien.core.config import NETWORKS
from mien.evaluation.classifiers import paired_difference
from mien.evaluation.statistics import interval_of_cell
from mien.report.classifiers import Evidence, printed_once
from mien.report.hypotheses import NOTHING, SUPPORTED, UNDECIDED, Contrast, Verdict, answer, contrast
from mien.report.markdown import grid, limits, percent

MACHINES = ("ssvm", "svm_poly")
PICTURES = 67 * 3 * 3 * 4  # RaFD: people, cameras, gazes, emotions; the thesis does not print its number of pictures
COMMON, ALL = "judged by both", "all, missing is an error"
RULE = (
    "the network on pictures and the support vector machine with the best validation accuracy, averaged over their "
    "runs, stand for their kinds (the earlier of equals); no test picture takes part in the choice. Supported if the "
    "difference of their test accuracies has its whole interval above zero, on the pictures that both could judge and "
    "on all test pictures with a missing judgement as an error; not supported if both intervals are below zero; "
    "undecided otherwise."
)


def judge_networks(evidence: Evidence) -> Verdict:
    """Compare the best network on pictures with the best support vector machine, and every network with every one."""
    images, machines = _kind(evidence, pictures=True), _kind(evidence, models=MACHINES)
    image, machine = _preferred(evidence, images), _preferred(evidence, machines)
    networks = _kind(evidence, models=NETWORKS)
    pairs = {(one, other): _pair(evidence, one, other) for one in networks for other in machines}
    deciding = [replace(one, decides=True) for one in pairs[image, machine]] if image and machine else []
    if deciding:
        pairs[image, machine] = deciding
    best = deciding[0] if deciding else NOTHING
    *_, low, high = _printed_best(evidence)
    return Verdict(
        key="C1",
        title="neural networks against geometry",
        claim="a simple convolutional network beats geometry with a support vector machine on the same pictures.",
        rule=RULE,
        verdict=answer([one.low for one in deciding], [one.high for one in deciding]),
        measure=f"{image} less {machine}" if deciding else "Nothing to compare",
        effect=best.difference,
        interval=(best.low, best.high),
        n=f"{best.n_pictures} pictures of {best.n_people} test people that both could judge, {evidence.corpora}",
        printed=answer([low], [high]),
        synthetic=evidence.synthetic,
        detail=(
            *evidence.caution,
            *_chosen(evidence, images, machines),
            *_deciding(deciding, synthetic=evidence.synthetic),
            *_matrix(pairs, networks, machines),
            *_printed(evidence),
        ),
        contrasts=tuple(one for found in pairs.values() for one in found),
    )


def _kind(evidence: Evidence, *, models: tuple[str, ...] = NETWORKS, pictures: bool = False) -> list[str]:
    """Return the classifiers of some models that were trained, in their order."""
    return [
        name
        for name, one in evidence.classifiers.items()
        if one.model in models and (one.features == "image" or not pictures) and evidence.panel.of(name)
    ]


def _preferred(evidence: Evidence, names: list[str]) -> str:
    """Return the name with the best validation accuracy, the earlier of equals; empty where none was validated."""
    known = [name for name in names if not math.isnan(evidence.validation(name))]
    return max(known, key=evidence.validation, default="")


def _pair(evidence: Evidence, one: str, other: str) -> list[Contrast]:
    """Return the two contrasts of a pair: on the pictures both could judge, and on all."""
    printed = [printed_once(evidence.thesis, evidence.classifiers[name].thesis).test for name in (one, other)]
    return [
        contrast(
            one,
            other,
            paired_difference(
                evidence.panel,
                evidence.shown(one),
                evidence.shown(other),
                strict=pictures == ALL,
                config=evidence.evaluate,
            ),
            pictures=pictures,
            thesis=printed[0] - printed[1],
        )
        for pictures in (COMMON, ALL)
    ]


def _chosen(evidence: Evidence, *kinds: list[str]) -> list[str]:
    rows = []
    for names in kinds:
        preferred = _preferred(evidence, names)
        rows.extend(
            {
                "classifier": name,
                "validation": percent(100 * evidence.validation(name)),
                "runs": str(len(evidence.panel.of(name))),
                "stands for its kind": "yes" if name == preferred else "",
            }
            for name in names
        )
    if not rows:
        return ["No network on pictures and no support vector machine was trained."]
    text = "Validation accuracy, averaged over the runs of a classifier: what the choice rests on."
    return ["### Which of them stand for their kinds", text, grid(rows)]


def _deciding(contrasts: list[Contrast], *, synthetic: bool) -> list[str]:
    if not contrasts:
        return ["One of the two kinds is missing, so nothing can be said."]
    rows = [
        {
            "pictures": one.pictures,
            "difference": one.text,
            "test pictures": str(one.n_pictures),
            "test people": str(one.n_people),
            "thesis, same pair": percent(one.thesis, signed=True),
        }
        for one in contrasts
    ]
    text = (
        f"{contrasts[0].one} less {contrasts[0].other}, as table 4.1 shows them: of a network the mean over its seeds, "
        "of a support vector machine the division with the best validation accuracy."
    )
    if synthetic:
        text += (
            " Computed faces are drawn from the very mesh that is fitted to them and move by its units, which favours "
            "geometry, and a small training corpus favours few parameters: the answer is about these faces only."
        )
    return ["### The difference that decides", text, grid(rows)]


def _matrix(pairs: dict[tuple[str, str], list[Contrast]], networks: list[str], machines: list[str]) -> list[str]:
    if not pairs:
        return []
    rows = [{"network": one} | {other: _cell(*pairs[one, other]) for other in machines} for one in networks]
    above = sum(
        answer([one.low for one in found], [one.high for one in found]) == SUPPORTED for found in pairs.values()
    )
    text = (
        "Network less support vector machine on the pictures that both could judge; bold where both intervals, this "
        f"one and that on all test pictures, are above zero ({above} of {len(pairs)} pairs) or both are below. The "
        "intervals are not corrected for the number of pairs: a guide, no proof."
    )
    return ["### Every network against every support vector machine", text, grid(rows)]


def _cell(common: Contrast, strict: Contrast) -> str:
    clear = answer([common.low, strict.low], [common.high, strict.high]) != UNDECIDED
    return f"**{common.text}**" if clear else common.text


def _printed_rows(evidence: Evidence) -> tuple[dict[str, float], dict[str, float]]:
    """Return the thesis's networks on pictures and its support vector machines: cell -> test accuracy 0..1."""
    table = evidence.thesis["4.1"]
    images = {name: values["test"] for name, values in table["images"].items()}
    machines = {
        f"{row}/{column}": value
        for row, values in table["features"].items()
        if row != "DNN"
        for column, value in values["test"].items()
    }
    return images, machines


def _printed_best(evidence: Evidence) -> tuple[str, str, float, float]:
    """Return the best cell of each kind on test, and the lower and upper end of what lies between their intervals."""
    images, machines = _printed_rows(evidence)
    image, machine = (max(side, key=side.get) for side in (images, machines))
    one, other = (_wilson(value, PICTURES, evidence) for value in (images[image], machines[machine]))
    return image, machine, one[0] - other[1], one[1] - other[0]


def _printed(evidence: Evidence) -> list[str]:
    images, machines = _printed_rows(evidence)
    image, machine, low, high = _printed_best(evidence)
    rows = [
        {
            "cell of table 4.1": name,
            "test": percent(100 * value),
            "Wilson": limits(*(100 * end for end in _wilson(value, PICTURES, evidence))),
        }
        for name, value in (images | machines).items()
    ]
    gap = percent(100 * (images[image] - machines[machine]))
    enough = pictures_to_part(images[image], machines[machine], confidence=evidence.evaluate.confidence)
    text = (
        f"The thesis prints {image} {gap} points above {machine}, the best of each kind on test: as printed, the claim "
        f"is {answer([low], [high])}. A paired interval needs the judgement of every picture, which the thesis does "
        f"not print. With {PICTURES} test pictures (67 people, 3 cameras, 3 gazes, 4 emotions; its own number is not "
        f"stated) Wilson's {100 * evidence.evaluate.confidence:g}% intervals are those below, if pictures were "
        f"independent, which pictures of one person are not; {enough} test pictures would be enough to part the two "
        "best. Chance is no explanation of the printed difference; another protocol on either side could be."
    )
    return ["### As printed", text, grid(rows)]


def pictures_to_part(one: float, other: float, *, confidence: float) -> int:
    """Return the smallest number of test pictures with which Wilson's intervals of two accuracies lie apart.

    Raises
    ------
    ValueError : the accuracies are equal, so no number is enough.
    """
    if one == other:
        raise ValueError(f"two accuracies of {one} never part")

    def lie_apart(n: int) -> bool:
        lower, upper = (interval_of_cell(value * n, n, confidence=confidence) for value in sorted((one, other)))
        return lower[1] < upper[0]

    return next(n for n in itertools.count(1) if lie_apart(n))


def _wilson(value: float, n: int, evidence: Evidence) -> tuple[float, float]:
    return interval_of_cell(value * n, n, confidence=evidence.evaluate.confidence)
