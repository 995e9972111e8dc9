"""Lay the table "fuzziness" out as Markdown; fixed decimals, fixed order, no dates."""

from mien.core.fuzzy import KINDS, MODALITIES, NOTHING, Condition
from mien.evaluation.fuzziness import Estimate
from mien.report.fuzziness import BOTH, PER, WORDS, Fuzziness, difference
from mien.report.markdown import SYNTHETIC, grid, limits, percent

CLAIM = (
    "Claim (thesis, sections 5.1 and 5.3): information that is missing or fuzzy in one modality distorts networks that "
    "are trained end to end, and residual perception protects against it."
)
RULE = (
    "Rule, for each kind: supported if {refined} loses accuracy more slowly than each of {plain} as the share rises: "
    "the whole interval of the difference between the slopes, mean over the modalities, lies above zero; not supported "
    "if one lies below zero; else undecided. One repetition decides nothing, because another training of the same "
    "networks may differ as much. What else stands here decides nothing either."
)
KIND_IN_WORDS = {
    "missing": "missing (the modality stays neutral)",
    "blended": "fuzzy (the modality is blended with another emotion)",
}


def render(found: Fuzziness) -> str:
    """Return the page."""
    blocks = [
        *_introduction(found),
        "## Does residual perception protect?",
        *_verdicts(found),
        "## Accuracy by share",
        *[block for kind in KINDS for modality in MODALITIES for block in _accuracies(found, kind, modality)],
        "## How fast accuracy falls",
        *_slopes(found),
        "## Affected test clips and clear ones",
        *_apart(found),
    ]
    return "\n\n".join(blocks) + "\n"


def points(one: Estimate, *, per: float = 1.0, signed: bool = True) -> str:
    """Return a number with its interval in brackets; - for nothing."""
    value, low, high = (100 * per * end for end in (one.value, one.low, one.high))
    if one.value != one.value or one.low != one.low:
        return percent(value, signed=signed)
    return f"{percent(value, signed=signed)} ({limits(low, high, signed=signed)})"


def _introduction(found: Fuzziness) -> list[str]:
    config, rows = found.config, found.judgements.rows
    n_seeds = rows.seed.nunique()
    clear = rows[(rows.kind == "") & (rows.variant == rows.variant.iloc[0])]
    counts = (
        f"Twin of {config.corpus}, scale {found.scale}: {config.actors} computed people that no other experiment knows,"
        f" {config.tested} of them tested and the others trained on, {n_seeds} repetition{'' if n_seeds == 1 else 's'} "
        f"with {rows.actor.nunique()} test people and {len(clear)} test clips in all, {config.epochs} epochs without a "
        "choice. Under each condition a share of the clips, in training as in test, has one modality that says nothing "
        "or something else as well; face and voice of all other clips are clear. Always naming the commonest emotion "
        f"would score {percent(100 * clear.label.value_counts(normalize=True).max())}."
    )
    over = (
        "repetitions, each with its own people tested, clips affected and random weights"
        if n_seeds > 1
        else "the test people of the one repetition, whose networks are held fixed: other weights are not in it"
    )
    level = f"{100 * found.judgements.confidence:g}%"
    intervals = f"Accuracy in percent, differences in points; in brackets {level} intervals, Student's t over {over}."
    return ["# Fuzziness: missing and fuzzy information", f"**{SYNTHETIC}**", counts, intervals]


def _verdicts(found: Fuzziness) -> list[str]:
    if not found.plain:
        return ["There is no network with residual perception with another one to hold it against."]
    texts = [CLAIM, RULE.format(refined=found.refined, plain=" and ".join(found.plain))]
    for kind in KINDS:
        gaps = "; ".join(
            f"{found.refined} less {other} {points(found.gap(other, kind, BOTH), per=PER)}" for other in found.plain
        )
        texts.append(
            f"{WORDS[kind].capitalize()}: **{found.verdict(kind)}**. Difference of slopes, points per "
            f"{100 * PER:g}% of the clips: {gaps}."
        )
    return texts


def _accuracies(found: Fuzziness, kind: str, modality: str) -> list[str]:
    line = [NOTHING, *(Condition(kind, modality, share) for share in found.config.shares if share > 0)]
    rows = []
    for name in found.config.rows:
        cells = [found.judgements.share(found.judgements.accuracy(name, one)) for one in line]
        rows.append({"network": name} | _by_share(line, [points(cell, signed=False) for cell in cells]))
    for other in found.plain:
        cells = [points(difference(found, other, one)) for one in line]
        rows.append({"network": f"{found.refined} - {other}"} | _by_share(line, cells))
    return [f"### {modality.capitalize()} {KIND_IN_WORDS[kind]}", grid(rows)]


def _slopes(found: Fuzziness) -> list[str]:
    columns = [(kind, modality) for kind in KINDS for modality in (*MODALITIES, BOTH)]
    rows = []
    for name in found.config.rows:
        cells = [points(found.judgements.mean(found.slopes(name, *column)), per=PER) for column in columns]
        rows.append({"network": name} | dict(zip(map(_title, columns), cells, strict=True)))
    for other in found.plain:
        cells = [points(found.gap(other, *column), per=PER) for column in columns]
        rows.append({"network": f"{found.refined} - {other}"} | dict(zip(map(_title, columns), cells, strict=True)))
    text = f"Slope of the least-squares line of accuracy by share, points per {100 * PER:g}% of the clips."
    return [text, grid(rows)]


def _apart(found: Fuzziness) -> list[str]:
    blocks = [
        "Test clips of one condition apart: the clear ones show what affected clips in the training cost, the affected "
        "ones whether a network turns to the other modality. A drawn clip that is no different (a neutral one that is "
        "missing) counts as clear."
    ]
    for condition in found.conditions[1:]:
        n_clips = {subset: found.judgements.n_clips(condition, subset) for subset in ("clear", "affected")}
        rows = []
        for name in found.config.rows:
            cells = {
                f"{subset} (n = {n})": points(
                    found.judgements.share(found.judgements.accuracy(name, condition, subset)), signed=False
                )
                for subset, n in n_clips.items()
            }
            rows.append({"network": name} | cells)
        title = f"{condition.modality.capitalize()} {WORDS[condition.kind]}, {100 * condition.share:g}% of the clips"
        blocks += [f"### {title}", grid(rows)]
    return blocks


def _by_share(line: list[Condition], cells: list[str]) -> dict[str, str]:
    return {f"{100 * condition.share:g}%": cell for condition, cell in zip(line, cells, strict=True)}


def _title(column: tuple[str, str]) -> str:
    kind, modality = column
    return f"{modality} {WORDS[kind]}"
