"""What is found in a text, and what becomes of it: plain values that every door reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

__all__ = [
    "ACTIONS",
    "CATEGORIES",
    "DIRECTIONS",
    "Action",
    "Category",
    "Detection",
    "Direction",
    "Layer",
    "Severity",
    "Verdict",
    "Violation",
]

Category: TypeAlias = Literal[
    "toxicity", "profanity", "injection", "malicious", "personal_data", "secrets", "own"
]
"""`own`: of the person's own rules."""
Direction: TypeAlias = Literal["in", "out"]
Action: TypeAlias = Literal["block", "mask", "warn", "log", "off"]
"""From the strictest on; `log` is told to the run alone."""
Severity: TypeAlias = Literal["low", "medium", "high"]
Layer: TypeAlias = Literal["rules", "detector"]

CATEGORIES: tuple[Category, ...] = get_args(Category)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
ACTIONS: tuple[Action, ...] = get_args(Action)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detection:
    """A place in a text that a rule, or the detector, objects to."""

    category: Category
    rule: str
    """What found it: `email`, `ignore_instructions`, `detector`."""
    severity: Severity
    start: int
    """Characters from the text's beginning, as it was given."""
    end: int
    layer: Layer = "rules"
    reason: str | None = None
    """The detector's own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A finding as it is recorded: without the place, with what was done."""

    direction: Direction
    category: Category
    rule: str
    severity: Severity
    action: Action
    excerpt: str
    """What was found with a little around it; secrets and personal data are masked in it."""
    layer: Layer = "rules"
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Violation:
        known = cls.__dataclass_fields__
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What becomes of a text."""

    action: Action
    """The strictest of all findings; `off` where there is none."""
    findings: tuple[Detection, ...] = ()
    violations: tuple[Violation, ...] = ()
    """One for each finding."""
    text: str = ""
    """With masks where the policy says so; what stood before the blocked place where it is blocked."""

    @property
    def blocked_by(self) -> Violation | None:
        """The first violation that blocks; None where none does."""
        return next((found for found in self.violations if found.action == "block"), None)
