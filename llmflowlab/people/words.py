"""A person's word on an answer, on a chat's turn or on two answers beside each other: one kind for all.

Whoever asks a person (a review at the keys, a sheet, an arena, `/rate` in a chat, a served answer's
thumb) makes a `Word` of it, and whoever wants to know what people said reads words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeAlias

__all__ = ["Target", "TargetKind", "Word"]

TargetKind: TypeAlias = Literal["answer", "turn", "battle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a word is about."""

    kind: TargetKind
    """An evaluation's answer, a chat's or a served turn, or two models' answers to one prompt."""
    within: str
    """Id of the evaluation, of the run that the turn belongs to, or of the arena."""
    key: str
    """Which one of it: `candidate:row:trial`, a trace's id, or a battle's number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one person said of one thing, in answer to one question."""

    person: str
    target: Target
    question: str
    """What was asked: `correct`, `quality`, `rating`, `preference`, or a rubric's own name."""
    said: str | None
    """`yes`, `no`, a grade, a label, or a vote; None where the person took it back."""
    comment: str = ""
    at_ms: int
    """When, in milliseconds since 1970."""
    seconds: float | None = None
    """How long the person looked at it; None where nobody knows."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else belongs to it, as JSON values: in which order answers stood, say."""

    def to_json(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "kind": self.target.kind,
            "within": self.target.within,
            "key": self.target.key,
            "question": self.question,
            "said": self.said,
            "comment": self.comment,
            "at_ms": self.at_ms,
            "seconds": self.seconds,
            "details": dict(self.details),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        return cls(
            person=values["person"],
            target=Target(kind=values["kind"], within=values["within"], key=values["key"]),
            question=values["question"],
            said=values["said"],
            comment=values["comment"],
            at_ms=values["at_ms"],
            seconds=values["seconds"],
            details=values["details"],
        )
