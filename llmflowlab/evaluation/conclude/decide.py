"""What two candidates' scores show: the one rule by which anybody is called better, or no worse.

Comparisons, ranks, gates, promotion, recommendation and `diff` ask here. A verdict is given only on a
whole evaluation, above the coverage floor, and only where it survives the worst case over the answers
that are missing: those of the favoured side counted at the bad end of the scale, those of the other at
the good end (Manski 1990, American Economic Review 80:319-323), so that not answering never helps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from llmflowlab.evaluation.conclude.pairs import Pairs
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.noninferiority import NonInferiority, non_inferior
from llmflowlab.statistics.paired import PairedTest, paired_test

__all__ = [
    "ALPHA",
    "INTERRUPTED",
    "Evidence",
    "Shown",
    "difference_shown",
    "obstacle",
    "points",
    "weigh",
    "withheld",
]

Shown: TypeAlias = Literal["a_better", "b_better", "no_difference_shown"]

ALPHA = 0.05
INTERRUPTED = "the evaluation was interrupted"


def difference_shown(
    test: PairedTest, p_value: float, *, higher_is_better: bool = True, level: float = ALPHA
) -> Shown:
    """Return what a test of B against A shows, whatever is missing.

    The p-value and the interval must both say so, and equal means are never told apart.

    Args:
        test: With its interval.
        p_value: After correction where there are several.
        higher_is_better: The scorer's direction.
        level: What the p-value is held against.
    """
    low, high = test.interval.low, test.interval.high
    if test.difference == 0 or p_value >= level or low <= 0.0 <= high:
        return "no_difference_shown"
    return "b_better" if (low > 0) == higher_is_better else "a_better"


def withheld(pairs: Pairs, floor: float) -> str | None:
    """Return in words why two columns allow no verdict; None where they do.

    Their judge is not believed, or too few questions have a score of both.
    """
    if pairs.doubt is not None:
        return pairs.doubt
    covered = pairs.covered
    if covered is None or covered >= floor:
        return None
    return f"only {pairs.n} of {pairs.of} questions have a score of both ({floor:.0%} are needed)"


def obstacle(
    pairs: Pairs, found: Shown, *, level: float, names: tuple[str, str] = ("A", "B")
) -> str | None:
    """Return in words why a difference that was shown does not survive the worst case; else None.

    Args:
        pairs: A and B.
        found: Who was shown to be better.
        level: Of the test; its interval has confidence 1 − level.
        names: What A and B are called.
    """
    worst = {"a_better": pairs.worst_a, "b_better": pairs.worst_b}.get(found)
    if worst is None:
        return None
    test = paired_test(
        *worst, binary=pairs.exact, confidence=1 - level, clusters=pairs.worst_clusters
    )
    if test is None:
        return None
    higher = pairs.traits.higher_is_better
    # The uncorrected value against the level that correction left: the same as corrected against 5 %.
    if difference_shown(test, test.p_value, higher_is_better=higher, level=level) == found:
        return None
    beyond = test.interval.low > 0 or test.interval.high < 0
    # The interval and the test may differ at the border: both must say so.
    why = f", with a p-value of {test.p_value:.2g} above {level:.2g}" if beyond else ""
    return (
        f"{_missing(pairs, names)}; at worst the difference is {points(test.difference)} "
        f"({points(test.interval.low)} to {points(test.interval.high)}{why})"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A challenger against what is in place, more being better whatever the scorer's direction."""

    paired: NonInferiority
    """Over the questions that both have a score for."""
    worst: NonInferiority | None
    """Over all questions, what is missing counted against the challenger; None: nothing is missing."""
    kindest: NonInferiority | None
    """The same counted for it."""
    missing: str
    """What is missing, in words."""
    withheld: str | None
    """Why no verdict is given at all."""

    @property
    def verdict(self) -> Literal["non_inferior", "inferior", "not_shown"]:
        """Shown to be no worse than the margin, shown to be worse, or neither."""
        found = self.paired.verdict
        other = {"non_inferior": self.worst, "inferior": self.kindest}.get(found)
        if self.withheld is not None or (other is not None and other.verdict != found):
            return "not_shown"
        return found

    @property
    def superior(self) -> bool:
        """Whether it was shown to be better outright."""
        return (
            self.withheld is None
            and self.paired.superior
            and (self.worst is None or self.worst.superior)
        )

    @property
    def same(self) -> bool:
        """Whether they were shown to differ by less than the margin either way, at worst too."""
        held = [each for each in (self.paired, self.worst, self.kindest) if each is not None]
        return self.withheld is None and all(each.within for each in held)

    @property
    def bounds(self) -> Interval:
        """Both one-sided bounds of the challenger minus what is in place, over what is scored."""
        return Interval(self.paired.lower_bound, self.paired.upper_bound)

    @property
    def caveat(self) -> str | None:
        """Why the verdict is not what the scored questions alone would say; None where it is."""
        if self.withheld is not None:
            return self.withheld
        found = self.paired.verdict
        if found == "inferior":
            changed, at = self.kindest, "best"
        else:
            changed, at = self.worst, "worst"
        if changed is None or (
            changed.verdict == found and changed.superior == self.paired.superior
        ):
            return None
        bound = changed.upper_bound if found == "inferior" else changed.lower_bound
        return f"{self.missing}; at {at} the bound is {points(bound)}"


def weigh(
    pairs: Pairs,
    *,
    margin: float,
    error: float = ALPHA,
    floor: float = COVERAGE_FLOOR,
    interrupted: bool = False,
    names: tuple[str, str] = ("A", "B"),
) -> Evidence | None:
    """Hold a challenger (B) against what is in place (A); None where no question has both scores.

    Args:
        pairs: A and B.
        margin: How much worse is still accepted, in points of 1.
        error: Chance of calling a challenger no worse that is worse by the margin.
        floor: Share of the questions that must have a score of both.
        interrupted: Whether the evaluation is not whole.
        names: What A and B are called.
    """

    def held(
        values: tuple[np.ndarray, np.ndarray] | None, clusters: np.ndarray | None
    ) -> NonInferiority | None:
        if values is None:
            return None
        a, b = map(pairs.towards_good, values)
        return non_inferior(a, b, margin, binary=pairs.exact, error=error, clusters=clusters)

    paired = held((pairs.a, pairs.b), pairs.clusters)
    if paired is None:
        return None
    return Evidence(
        paired=paired,
        worst=held(pairs.worst_b, pairs.worst_clusters),
        kindest=held(pairs.worst_a, pairs.worst_clusters),
        missing=_missing(pairs, names),
        withheld=INTERRUPTED if interrupted else withheld(pairs, floor),
    )


def _missing(pairs: Pairs, names: tuple[str, str]) -> str:
    sides = [
        f"{number} answer{'' if number == 1 else 's'} of {name}"
        for number, name in zip((pairs.missing_a, pairs.missing_b), names, strict=True)
        if number
    ]
    plural = len(sides) > 1 or max(pairs.missing_a, pairs.missing_b) != 1
    return f"{' and '.join(sides)} {'are' if plural else 'is'} missing"


def points(difference: float) -> str:
    """Write a difference of two scores with its sign, in points of a hundred."""
    return f"{100 * difference:+.1f} points"
