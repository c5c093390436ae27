"""A model's past in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

__all__ = ["FEW_TURNS", "Evaluated", "ModelSummary", "Quality"]

FEW_TURNS = 5
"""Below this an average says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well a model answered in its latest evaluation."""

    scorer: str
    mean: float
    ci_low: float | None
    ci_high: float | None
    coverage: float | None
    scored: int | None
    dataset: str
    digest: str | None
    lower_is_better: bool = False
    doubt: str | None = None
    """Why nothing is concluded from it; None where something may be."""
    people: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What people think of the same answers, as `EvaluationSummary.people`; empty where nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What a model's answers took in all its evaluations, weighted by the answers that came.

    Averages and no sums: an answer that a later evaluation takes over stands in both.
    """

    evaluations: int
    answers: int
    avg_time: float | None
    """Seconds."""
    tokens_per_answer: float | None
    """Generated ones."""
    cost_per_answer: float | None
    """USD of a whole answer, over the evaluations that know it."""
    guardrail_violations: Mapping[str, int] | None
    """What guardrails found in the latest evaluation of it that had any, by category and direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """All sessions of one model, added up, and what its evaluations say."""

    reference: str
    sessions: int = 0
    turns: int = 0
    failed_turns: int = 0
    answered_turns: int = 0
    """Turns of which something of an answer came."""
    tokens: int | None = None
    """All tokens, sent and generated."""
    generated: int | None = None
    cost: Decimal | None = None
    """USD; None as soon as a part of it is unknown."""
    unpriced_sessions: int = 0
    avg_time: float | None = None
    """Seconds, weighted by answered turns."""
    worst_p95: float | None = None
    """Seconds; the slowest session's 95th percentile."""
    first_token: float | None = None
    """Seconds, weighted by answered turns."""
    speed: float | None = None
    """Tokens per second, weighted by answered turns."""
    last_used: str | None = None
    guardrail_violations: Mapping[str, int] | None = None
    """What guardrails found in its sessions, by category and direction; None where none had any."""
    quality: Quality | None = None
    evaluated: Evaluated | None = None
    """None where no answer of it came in any evaluation."""

    @property
    def cost_per_turn(self) -> Decimal | None:
        """USD; what makes models comparable that were used unequally often."""
        answered = self.answered_turns
        return None if self.cost is None or answered < 1 else self.cost / answered
