"""The outcome of one row for one scorer: a value, or "not scored" with its reason."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, TypeAlias

__all__ = ["COVERAGE_FLOOR", "DATA_GAPS", "DEFAULT_MARGIN", "NOT_WHOLE", "NotScored", "Score"]

NotScored: TypeAlias = Literal[
    "answer_cut",
    "answer_empty",
    "answer_failed",
    "answer_filtered",
    "answer_incomplete",
    "answer_tool_call",
    "blocked_in",
    "blocked_out",
    "budget_exhausted",
    "expected_unusable",
    "judge_failed",
    "judge_unparseable",
    "judges_disagree",
    "no_context",
    "no_expected_answer",
    "no_guidelines",
    "no_opponent",
    "not_reached",
    "prompt_cut",
    "scorer_failed",
    "undecidable",
]
"""Why a row has no value: never wrong, never right, always counted."""

DATA_GAPS: frozenset[str] = frozenset(
    {"expected_unusable", "no_context", "no_expected_answer", "no_guidelines"}
)
"""Reasons that lie in the benchmark: a row without guidelines was not lost by anybody."""

NOT_WHOLE: frozenset[str] = frozenset(
    {"answer_cut", "answer_empty", "answer_filtered", "answer_tool_call", "prompt_cut"}
)
"""Reasons that an answer which arrived is not a whole one."""

COVERAGE_FLOOR = 0.95
"""Share of the answers that must be scored, the data's own gaps aside, for a verdict to be given."""

DEFAULT_MARGIN = 0.02
"""By how much a mean may be worse and still count as no worse: two points of a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a scorer says of one answer. Exactly one of `value` and `not_scored` is set."""

    scorer: str
    value: float | None = None
    """0 to 1; yes/no scorers give 0 or 1."""
    not_scored: NotScored | None = None
    rationale: str | None = None
    """The judge's reason, or what went wrong."""
    judge: str | None = None
    """Model reference of the judge; None for deterministic scorers."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: str | None = None
    """What the judgement cost, Decimal as text; None where unknown or not asked."""
    seconds: float = 0.0
    reused: bool = False
    """Taken from an earlier evaluation: nothing was asked or paid for it in this one."""
    shared: bool = False
    """The judgement of another row of this evaluation, which said the same and was paid for there."""
    parts: tuple[float, ...] | None = None
    """Statistics that add up over rows, for scorers whose figure over many rows is not a mean."""
    members: tuple[Score, ...] = ()
    """The verdicts that this score was made from, where there were several."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.not_scored is None):
            raise ValueError("a score has either a value or a reason for having none")
        if self.value is not None and not 0.0 <= self.value <= 1.0:
            raise ValueError(f"a score lies between 0 and 1, not at {self.value!r}")

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        # A score without them is written as it ever was, and its digest stays.
        if self.parts is None:
            del values["parts"]
        if not self.members:
            del values["members"]
        else:
            values["members"] = [member.to_json() for member in self.members]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Score:
        kept = {name: value for name, value in values.items() if name in _FIELDS}
        if kept.get("parts") is not None:
            kept["parts"] = tuple(kept["parts"])
        kept["members"] = tuple(cls.from_json(member) for member in kept.get("members", ()))
        return cls(**kept)


_FIELDS = frozenset(f.name for f in fields(Score))
