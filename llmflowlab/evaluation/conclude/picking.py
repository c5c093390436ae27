"""Whom to take under a condition: the cheapest that is not worse than another, the best within limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Literal

from llmflowlab.evaluation.conclude.people_quality import PeopleQuality
from llmflowlab.evaluation.conclude.recommendation import all_at_bottom, merit, no_worse
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.statistics.noninferiority import NonInferiority
from llmflowlab.text.money import dollars

__all__ = ["Limits", "Pick", "Picker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be spent on 1,000 answers, and how long 95 of 100 may take."""

    cost_per_1000: Decimal | None = None
    """USD."""
    seconds: float | None = None

    @property
    def words(self) -> str:
        parts = [] if self.cost_per_1000 is None else [f"{dollars(self.cost_per_1000)} per 1,000"]
        parts += [] if self.seconds is None else [f"{self.seconds:g} s (p95)"]
        return " and ".join(parts)

    def to_json(self) -> dict[str, Any]:
        cost = self.cost_per_1000
        return {
            "max_cost_per_1000_usd": None if cost is None else float(cost),
            "max_seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """Whom to take under a condition."""

    asked: Literal["not_worse_than", "best_under"]
    candidate: str | None
    """None where nobody meets it, or nothing may be concluded."""
    reason: str
    """A sentence."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class Picker:
    """Says whom to take, of a whole evaluation whose scorer is believed.

    Args:
        result: The evaluation.
        scorer: Quality is measured by it.
        means: Of those whose coverage allows a verdict.
        better: What is shown, as `better_pairs` returns it.
        limits: Who may be named; they hold for every pick.
        higher: The scorer's direction.
        people: What quality is measured by instead, where people judged enough.
    """

    def __init__(
        self,
        result: EvaluationResult,
        scorer: str,
        means: Mapping[int, float],
        better: set[tuple[str, int, int]],
        limits: Limits,
        *,
        higher: bool,
        people: PeopleQuality | None = None,
    ) -> None:
        self._result = result
        self._scorer = scorer
        self._means = means
        self._better = better
        self._limits = limits
        self._higher = higher
        self._people = people
        self._by = scorer if people is None else f"people and {scorer}"
        self._merits = {
            index: merit(result.table, scorer, index) if people is None else (mean, mean)
            for index, mean in means.items()
        }

    def not_worse(self, reference: int, margin: float) -> Pick:
        """Return the cheapest that is shown to be no worse than one by more than the margin."""
        name = self._label(reference)
        by = f"{100 * margin:g} point{'' if margin == 0.01 else 's'}"
        told = "not_worse_than"
        if reference not in self._means:
            return _pick(
                told, None, f"{name} has too few scored answers to hold others against it."
            )
        table, means = self._result.table, self._means
        sequential = self._result.sequential
        if sequential is not None and sequential.scorer != self._scorer:
            sequential = None
        shown = (
            no_worse(table, self._scorer, means, reference, margin, sequential, higher=self._higher)
            if self._people is None
            else self._people.no_worse(reference, margin)
        )
        fits = [index for index in (reference, *shown) if self._fits(index)]
        priced = [index for index in fits if self._cost(index) is not None]
        within = f" under {self._limits.words}" if self._limits.words else ""
        if not priced:
            return _pick(
                told,
                None,
                f"Nobody{within} whose cost is known was shown to be no worse than {name} by more than "
                f"{by}.",
            )
        chosen = min(priced, key=self._burden)
        unpriced = [self._label(index) for index in fits if index not in priced]
        more = f"; what {', '.join(unpriced)} costs is unknown" if unpriced else ""
        if chosen == reference:
            others = "none of those" if shown else "nobody else was"
            words = f"{others} shown to be no worse by more than {by}" + (
                " costs less" if shown else ""
            )
            return _pick(
                told,
                name,
                f"Cheapest that is not worse than {name}{within}: itself; {words}{more}.",
            )
        return _pick(
            told,
            self._label(chosen),
            f"Cheapest that is not worse than {name} by more than {by}{within}: "
            f"{self._label(chosen)}, {self._money(chosen)} against {self._money(reference)} per 1,000 "
            f"answers ({self._bound(shown[chosen])}){self._against(chosen, reference)}{more}.",
        )

    def best_under(self) -> Pick:
        """Return the best of those within the limits."""
        told, words = "best_under", self._limits.words
        fits = [index for index in self._means if self._fits(index)]
        unknown = [
            self._label(index)
            for index in self._means
            if index not in fits and self._unknown(index)
        ]
        more = f"; unknown for {', '.join(unknown)}" if unknown else ""
        if not fits:
            return _pick(told, None, f"Nobody is under {words}{more}.")
        table, scorer = self._result.table, self._scorer
        if all_at_bottom({index: self._merits[index] for index in fits}, table, scorer):
            return _pick(
                told,
                None,
                f"Under {words} by {self._by} nobody is better than the worst there is{more}.",
            )
        top = max(self._merits[index] for index in fits)
        equal = [index for index in fits if self._merits[index] == top]
        chosen = min(equal, key=self._burden)
        name = self._label(chosen)
        said = f"Best under {words}: {name}, {self._by} {self._means[chosen]:.1%}"
        if len(equal) > 1:
            said += f"; equal: {', '.join(self._label(i) for i in equal if i != chosen)}"
        alike = [
            self._label(index)
            for index in fits
            if index not in equal and (scorer, chosen, index) not in self._better
        ]
        said += f"; not shown to be better than {', '.join(alike)}" if alike else ""
        return _pick(told, name, f"{said}{more}.")

    def _label(self, index: int) -> str:
        return self._result.candidates[index].spec.label

    def _cost(self, index: int) -> Decimal | None:
        return self._result.candidates[index].cost_per_1000

    def _money(self, index: int) -> str:
        cost = self._cost(index)
        return "an unknown amount" if cost is None else dollars(cost)

    def _burden(self, index: int) -> tuple[bool, Decimal, float]:
        cost, took = self._cost(index), self._result.candidates[index].latency.p95
        return cost is None, cost or Decimal(0), float("inf") if took is None else took

    def _fits(self, index: int) -> bool:
        limits, cost = self._limits, self._cost(index)
        took = self._result.candidates[index].latency.p95
        return (
            limits.cost_per_1000 is None or (cost is not None and cost <= limits.cost_per_1000)
        ) and (limits.seconds is None or (took is not None and took <= limits.seconds))

    def _unknown(self, index: int) -> bool:
        limits, took = self._limits, self._result.candidates[index].latency.p95
        return (limits.cost_per_1000 is not None and self._cost(index) is None) or (
            limits.seconds is not None and took is None
        )

    def _bound(self, found: NonInferiority) -> str:
        return f"{self._by} {100 * found.difference:+.1f} points, lower bound {100 * found.lower_bound:+.1f}"

    def _against(self, one: int, other: int) -> str:
        """Say what speaks for one that is not shown to cost less."""
        if ("cost_usd", one, other) in self._better:
            return ""
        if self._cost(one) == self._cost(other):
            return "; it costs as much, and its p95 is shorter"
        return "; not shown to cost less"


def _pick(asked: Any, candidate: str | None, reason: str) -> Pick:
    return Pick(asked=asked, candidate=candidate, reason=reason)
