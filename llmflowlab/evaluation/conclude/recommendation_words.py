"""Why a candidate is recommended, in a sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llmflowlab.evaluation.conclude.results import CandidateResult
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.noninferiority import NonInferiority

__all__ = ["of_the_rest", "reason"]


def of_the_rest(
    candidates: Sequence[CandidateResult],
    means: Mapping[int, float],
    best: int,
    scorer: str,
    *,
    higher: bool,
) -> str:
    """Say among whom the best was looked for, where somebody else has a better mean."""
    others = (c.scores[scorer].mean for n, c in enumerate(candidates) if n not in means)
    beaten = any(o is not None and (o > means[best]) == higher and o != means[best] for o in others)
    return f" of those with {COVERAGE_FLOOR:.0%} of their answers scored" if beaten else ""


def reason(
    candidates: Sequence[CandidateResult],
    chosen: int,
    best: int,
    shown: Mapping[int, NonInferiority],
    margin: float,
    advantage: str | None,
    lead: str,
    scorer: str,
    *,
    same: bool,
) -> str:
    """Return what speaks for the chosen one, beside the best in quality."""
    points = f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"
    name, leader = candidates[chosen].spec.label, candidates[best].spec.label
    unpriced = any(candidates[index].cost_per_answer is None for index in (best, *shown))
    unknown = " (not all prices are known)" if shown and unpriced else ""
    if chosen == best:
        why = (
            f"none of those shown to be no worse by more than {points} was shown to cost less, or as "
            "little and to answer faster"
            if shown
            else f"no other was shown to be within {points} of it"
        )
        return f"{name} is recommended: it has the {lead}, and {why}{unknown}."
    bound = shown[chosen].lower_bound
    better = _advantage(candidates[chosen], candidates[best], advantage)
    if same:
        return (
            f"{name} is recommended: by {scorer} either will do, as {name} and {leader} are the same "
            f"within ±{points}, and it {better}{unknown}."
        )
    return (
        f"{name} is recommended: its {scorer} is no worse than that of {leader} by more than {points} "
        f"(lower bound {100 * bound:+.1f}), and it {better}{unknown}."
    )


def _advantage(chosen: CandidateResult, best: CandidateResult, advantage: str | None) -> str:
    mine, theirs = chosen.cost_per_answer, best.cost_per_answer
    if advantage == "cost_usd" and mine is not None and theirs is not None:
        return "is free" if mine == 0 else f"costs {_less(float(mine), float(theirs))}"
    fast, slow = chosen.latency.mean, best.latency.mean
    if fast is None or slow is None or fast <= 0:
        return "answers faster"
    return f"answers in {_less(fast, slow)} time"


def _less(mine: float, theirs: float) -> str:
    if theirs < 2 * mine:
        return f"{100 * (1 - mine / theirs):.0f} % less"
    times = theirs / mine
    return f"{times:.0f} times less" if times >= 10 else f"{times:.1f} times less"
