"""Values that say what candidates' scores show: comparisons, ranks, early decisions, recommendations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from llmflowlab.evaluation.conclude.decide import ALPHA, difference_shown
from llmflowlab.statistics.effects import EffectSize
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.noninferiority import NonInferiority
from llmflowlab.statistics.paired import PairedTest
from llmflowlab.statistics.sequential import Decision

__all__ = [
    "Comparison",
    "ComparisonVerdict",
    "Equivalence",
    "FrontEntry",
    "Rank",
    "Recommendation",
    "Sequential",
    "bounds",
]

ComparisonVerdict: TypeAlias = Literal[
    "a_better", "b_better", "same_within_margin", "no_difference_shown", "not_comparable"
]


def bounds(interval: Interval | None, prefix: str = "") -> dict[str, float | None]:
    """Return an interval's ends under the names that documents have for them."""
    return {
        f"{prefix}ci_low": None if interval is None else interval.low,
        f"{prefix}ci_high": None if interval is None else interval.high,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequential:
    """What a comparison that may end early has come to."""

    scorer: str
    margin: float
    verdict: Decision | None
    """None while it is open."""
    looked_at: int
    """Rows that the verdict rests on."""
    of: int
    """Rows of the dataset."""
    interval: Interval
    """Of B minus A, holding at all times together."""
    difference: float | None
    """Mean of B minus mean of A over the rows looked at."""
    saved_usd: Decimal | None = None
    """What the rows not asked would have cost, at the price of those that were; None if unknown."""
    not_asked: int = 0
    """Answers that were not asked for."""

    def to_json(self) -> dict[str, Any]:
        return {
            "scorer": self.scorer,
            "margin": self.margin,
            "decided": self.verdict is not None,
            "verdict": self.verdict,
            "looked_at": self.looked_at,
            "of": self.of,
            "difference": self.difference,
            "ci_low": self.interval.low,
            "ci_high": self.interval.high,
            "not_asked": self.not_asked,
            "saved_usd": None if self.saved_usd is None else float(self.saved_usd),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalence:
    """Whether two candidates were shown to be the same within a margin."""

    margin: float
    """Differences below it do not matter, in points of 1."""
    p_value: float | None
    """Of "they differ by the margin or more", over the rows that both have a score for."""
    p_adjusted: float | None
    """After Holm, over the same comparisons as those of differences."""
    shown: bool
    """By p-value and bounds, at worst over what is missing too, on a whole evaluation."""
    asked: bool = False
    """Whether somebody named the margin: only then it is a verdict."""
    bounds: Interval | None = None
    """Both one-sided bounds of B minus A, at the level that the correction left; None where the
    p-value already says that nothing is shown."""
    caveat: str | None = None
    """What is missing, where the scored rows alone would show it."""

    def to_json(self) -> dict[str, Any]:
        return {
            "margin": self.margin,
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
            "shown": self.shown,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two candidates on one scorer, over the rows both have a score for."""

    a: str
    b: str
    scorer: str
    test: PairedTest | None
    """None where no row has both scores."""
    p_adjusted: float | None
    """After Holm, over all comparisons of the evaluation's scores, or of its measures."""
    lower_is_better: bool = False
    """Seconds, tokens and USD; and scores that say what should not be."""
    is_measure: bool = False
    """Whether it compares what answers took, and not their scores."""
    pair: tuple[int, int] = (0, 1)
    """The candidates' places in the plan."""
    sequential: Sequential | None = None
    """What a comparison that may end early came to: it takes the place of the test."""
    smallest_visible: float | None = None
    """The smallest true difference that these rows would have shown in 80 of 100 cases."""
    level: float = ALPHA
    """What is left of 5 % for it alone, where all comparisons share them."""
    family: int = 1
    """How many comparisons share the 5 %; the interval is corrected for them like the p-value."""
    withheld: str | None = None
    """Why there is no verdict, whatever the scored rows show; None where nothing stands in its way."""
    contradicted: str | None = None
    """Why what the scored rows show does not survive the worst case over those that are missing."""
    effect: EffectSize | None = None
    """None where it is undefined."""
    equivalence: Equivalence | None = None
    """None where nothing can be said of a margin: of corpus figures, seconds, tokens and USD."""

    @property
    def verdict(self) -> ComparisonVerdict:
        """What was shown; see `decide`."""
        if self.withheld is not None:
            return "not_comparable"
        if self.sequential is not None:
            decided = self.sequential.verdict or "no_difference_shown"
            return "same_within_margin" if decided == "equivalent" else decided
        if self.test is None or self.p_adjusted is None:
            return "not_comparable"
        if self.contradicted is None:
            shown = difference_shown(
                self.test, self.p_adjusted, higher_is_better=not self.lower_is_better
            )
            if shown != "no_difference_shown":
                return shown
        same = self.equivalence
        if same is not None and same.asked and same.shown:
            return "same_within_margin"
        return "no_difference_shown"

    def to_json(self) -> dict[str, Any]:
        test, verdict = self.test, self.verdict
        why = None if verdict == "same_within_margin" else self.withheld or self.contradicted
        interval = test.interval if test else None
        if self.sequential is not None:
            interval = self.sequential.interval
        same = None if self.equivalence is None else self.equivalence.to_json()
        return {
            "a": self.a,
            "b": self.b,
            ("measure" if self.is_measure else "scorer"): self.scorer,
            "n": test.n if test else 0,
            "clusters": test.clusters if test else None,
            "difference": test.difference if test else None,
            **bounds(interval),
            # The p-value of a test made at the end would be wrong where one looked all the time.
            "p_value": test.p_value if test and self.sequential is None else None,
            "p_adjusted": self.p_adjusted if self.sequential is None else None,
            "verdict": verdict,
            "smallest_visible": self.smallest_visible,
            "effect_size": None if self.effect is None else self.effect.to_json(),
            **({} if self.is_measure else {"equivalence": same}),
            **({} if why is None else {"no_verdict_because": why}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """A candidate's place among all, by one scorer."""

    candidate: int
    """Its place in the plan."""
    rank: int
    """One more than the number of candidates shown to be better."""
    group: str
    """Letters; candidates that share one could not be told apart."""
    mean: float | None
    interval: Interval | None
    probability_best: float | None = None
    """At worst over what is missing, and under an assumption: see `leaderboards`; None: no say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEntry:
    """A candidate that no other beats in quality, cost and latency at once.

    Beaten is who is nowhere better than the other, and shown to be worse somewhere.
    """

    candidate: int
    mean: float
    interval: Interval | None
    cost_usd: Decimal | None
    """Of an answer on average; None where unknown."""
    cost_interval: Interval | None
    latency: float | None
    """Seconds of an answer on average."""
    latency_interval: Interval | None

    def to_json(self, labels: Sequence[str]) -> dict[str, Any]:
        return {
            "candidate": labels[self.candidate],
            "mean": self.mean,
            **bounds(self.interval),
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            **bounds(self.cost_interval, "cost_"),
            "latency": self.latency,
            **bounds(self.latency_interval, "latency_"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """One candidate and why."""

    scorer: str
    candidate: int
    best: int
    """The candidate with the best mean."""
    margin: float
    evidence: NonInferiority | None
    """Against the best; None where it is the best itself."""
    reason: str
    front: Sequence[FrontEntry]

    def to_json(self, labels: Sequence[str]) -> dict[str, Any]:
        return {
            "candidate": labels[self.candidate],
            "reason": self.reason,
            "scorer": self.scorer,
            "margin": self.margin,
            "evidence": None if self.evidence is None else self.evidence.to_json(),
            "front": [entry.to_json(labels) for entry in self.front],
        }
