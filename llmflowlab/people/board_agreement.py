"""How far judge and people put the same contestants into the same order."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from llmflowlab.people.leaderboard import Leaderboard

__all__ = ["BoardAgreement", "agreement_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardAgreement:
    """How far two leaderboards put the same contestants into the same order."""

    pairs: int
    """Of contestants that stand on both."""
    same_order: int

    @property
    def kendall_tau(self) -> float | None:
        """Kendall's τ (1938, Biometrika 30:81-93); None without a pair."""
        return (2 * self.same_order - self.pairs) / self.pairs if self.pairs else None

    def sentence(self) -> str:
        if not self.pairs:
            return "No two models stand on both leaderboards."
        return (
            f"Judge and people put {self.same_order} of {self.pairs} pairs of models into the same order "
            f"(Kendall's tau {self.kendall_tau:.2f})."
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "pairs": self.pairs,
            "same_order": self.same_order,
            "kendall_tau": self.kendall_tau,
        }


def agreement_of(people: Leaderboard, judge: Leaderboard) -> BoardAgreement:
    """Compare the orders of those who stand on both."""
    points = {place.contestant.key: place.points for place in judge.places}
    common = [
        (p.points, points[p.contestant.key]) for p in people.places if p.contestant.key in points
    ]
    pairs = list(combinations(common, 2))
    same = sum((a[0] > b[0]) == (a[1] > b[1]) for a, b in pairs)
    return BoardAgreement(pairs=len(pairs), same_order=same)
