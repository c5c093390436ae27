"""What a canary is: which model it watches, what it asks, and what it takes for unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from llmflowlab.candidate import Candidate
from llmflowlab.data.rows import Row

__all__ = ["DAY", "DAYS", "SHARES", "SLOW_DAY", "BorderPrompt", "Canary", "Phase", "SuiteQuestion"]

Phase: TypeAlias = Literal["learning", "baseline", "watching"]
DAY = 86_400.0
"""Seconds."""
DAYS = 30
"""Of the time for which false alarms are bounded."""

SHARES: Mapping[str, float] = {
    "words": 0.5,
    "new_words": 0.1,
    "right": 0.1,
    "length": 0.1,
    "refusals": 0.1,
    "latency": 0.1,
}
"""What each layer has of the chance of a false alarm."""
SLOW_DAY = 0.3
"""Share of a day's answers, expected from the days before, that may be slower than nine of ten were."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BorderPrompt:
    """A prompt at the border between words."""

    prompt: str
    word: str
    """The one that was said most often when the prompt was chosen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteQuestion:
    """A question of the suite."""

    id: str
    question: str
    expected: tuple[str, ...]
    """Every accepted answer, at least one."""
    language: str | None = None

    @property
    def row(self) -> Row:
        first, *others = self.expected
        return Row(
            index=0,
            line=None,
            id=self.id,
            question=self.question,
            expected=first,
            alternatives=tuple(others),
            language=self.language,
            source={},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A fixed suite, and how much change it tolerates."""

    candidate: Candidate
    choices: tuple[BorderPrompt, ...]
    questions: tuple[SuiteQuestion, ...]
    every: float
    """Seconds between rounds: how many looks there are in 30 days."""
    alpha: float
    """Chance of any false alarm in that time."""
    tolerance: float
    """By how much the chance of a word may wander, with the hour or the load, either way."""
    learning: int
    """Rounds from which it learns what is usual, before the baseline."""
    baseline: int
    """Rounds that everything later is held against."""
    samples: int
    """How often a round of these asks each border prompt; later ones ask once."""

    @property
    def horizon(self) -> int:
        """Looks in 30 days."""
        return max(1, round(DAYS * DAY / self.every))

    @property
    def daily(self) -> int:
        """Rounds in a day; one where there are fewer."""
        return max(1, round(DAY / self.every))

    def phase(self, rounds: int) -> Phase:
        """Return what the next round is for, after so many."""
        if rounds < self.learning:
            return "learning"
        return "baseline" if rounds < self.learning + self.baseline else "watching"

    def share(self, layer: str) -> float:
        """Return a layer's part of `alpha`, of those there are."""
        there = sum(SHARES[name] for name in self.layers)
        return self.alpha * SHARES[layer] / there

    @property
    def layers(self) -> tuple[str, ...]:
        words = ("words", "new_words") if self.choices else ()
        return (*words, *(("right", "length", "refusals", "latency") if self.questions else ()))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Canary:
        """Restore one.

        Raises:
            KeyError, TypeError, ValueError: It is none.
        """
        own = dict(values)
        own["candidate"] = Candidate.from_json(own["candidate"])
        own["choices"] = tuple(BorderPrompt(**each) for each in own["choices"])
        own["questions"] = tuple(
            SuiteQuestion(**{**each, "expected": tuple(each["expected"])})
            for each in own["questions"]
        )
        return cls(**own)
