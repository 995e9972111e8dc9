"""H1 to H4: what the thesis's fold tables say of time augmentation, joint networks, MRPN and N1 (chapter 5)."""

from collections.abc import Iterable, Mapping

from mien.report.chapter5 import SINGLE, TIMED, Trained
from mien.report.fold_claims import FoldClaim, judge
from mien.report.hypotheses import Verdict

EXCEPTION = 1 / 12  # of the folds; the thesis names one of twelve itself, A9,10
LAST, BEFORE = "N2", ("N0_late", "N0", "N1")
EARLIER = ("N0_late", "N0")  # what N1 is held against


def judge_folds(trained: Trained) -> list[Verdict]:
    """Return the verdicts on H1 to H4 of one corpus; none on a question of which neither side knows anything."""
    claims = (_time(trained), _joint(trained), _residual(trained), _side_heads(trained))
    return [judge(claim, trained) for claim in claims if _is_known(claim)]


def known_pairs(trained: Trained, pairs: Mapping[str, str]) -> dict[str, str]:
    """Return the pairs (one, other) of which we, or the thesis's folds, know both."""
    return {
        one: other
        for one, other in pairs.items()
        if all(trained.runs.get(name) for name in (one, other)) or trained.printed_gain(one, other)
    }


def and_(names: Iterable[str]) -> str:
    """Return names as A, B and C."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _is_known(claim: FoldClaim) -> bool:
    return any(one.n_folds for one in claim.ours) or any(one is not None for one in claim.printed)


def _time(trained: Trained) -> FoldClaim:
    pairs = known_pairs(trained, TIMED)
    return FoldClaim(
        key="H1",
        title="time augmentation, fold by fold",
        claim=f"time augmentation makes {and_(pairs or TIMED)} worse in no fold.",
        ours=tuple(trained.gain(*pair) for pair in pairs.items()),
        printed=tuple(trained.printed_gain(*pair) for pair in pairs.items()),
    )


def _joint(trained: Trained) -> FoldClaim:
    pairs = [("N0", SINGLE), (TIMED["N0"], tuple(TIMED[name] for name in SINGLE))]
    sides = [(trained.gain_over_best(*pair), trained.printed_gain_over_best(*pair)) for pair in pairs]
    known = [(ours, printed) for ours, printed in sides if ours.n_folds or printed]
    return FoldClaim(
        key="H2",
        title="the joint network and the better of its modalities",
        claim="the joint network is at least as good as the better of its two modalities alone, in all folds but one "
        "of twelve.",
        ours=tuple(ours for ours, _ in known),
        printed=tuple(printed for _, printed in known),
        failing=EXCEPTION,
    )


def _residual(trained: Trained) -> FoldClaim:
    return FoldClaim(
        key="H3",
        title="MRPN and the other joint networks, fold by fold",
        claim=f"{LAST} (MRPN) is at least as good as {and_(BEFORE)}, in every fold.",
        ours=tuple(trained.gain(LAST, other) for other in BEFORE),
        printed=tuple(trained.printed_gain(LAST, other) for other in BEFORE),
    )


def _side_heads(trained: Trained) -> FoldClaim:
    return FoldClaim(
        key="H4",
        title="N1 and both kinds of N0, on average",
        claim=f"N1 is better than {and_(EARLIER)} on average.",
        ours=tuple(trained.gain("N1", other) for other in EARLIER),
        printed=tuple(trained.printed_gain("N1", other) for other in EARLIER),
        failing=1.0,
    )
