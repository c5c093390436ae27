"""What alerts say: that one begins, or ends, in words and in figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from llmflowlab.monitoring.alert_rules import AlertRule

__all__ = ["COST_CAP", "AlertEvent", "said_of"]

COST_CAP = 3.0
"""How many times its limit a five minutes' cost counts at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertEvent:
    """An alert that begins or ends."""

    id: str
    """The same however often it is sent."""
    rule: str
    kind: str
    state: str
    """`fired` or `cleared`."""
    at_ms: int
    text: str
    value: float | None
    """What was seen since it began: a share, a mean, or USD an hour."""
    n: int
    """Of how many values."""
    limit: float
    model: str | None
    prompt: str | None
    alpha: float
    days: float
    method: str

    @classmethod
    def of(
        cls,
        rule: AlertRule,
        state: str,
        text: str,
        *,
        at_ms: int,
        value: float | None,
        n: int,
        limit: float,
    ) -> AlertEvent:
        """Return one of a rule's; shares of what costs may count become USD an hour."""
        if rule.kind == "cost_per_hour":
            limit = rule.options["above"]
            value = None if value is None else value * COST_CAP * limit
        return cls(
            id=f"{rule.id}-{at_ms}-{state}",
            rule=rule.name,
            kind=rule.kind,
            state=state,
            at_ms=at_ms,
            text=f"{rule.name}: {text}",
            value=value,
            n=n,
            limit=limit,
            model=rule.chosen.model,
            prompt=rule.chosen.prompt,
            alpha=rule.alpha,
            days=rule.days,
            method=rule.about.method,
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def said_of(
    rule: AlertRule, label: str, mean: float, before: float, *, n: int, hours: float
) -> str:
    """Say what was seen, and what it is held against.

    Args:
        rule: The rule.
        label: Of which of several shares.
        mean: What was seen, of n values in so many hours.
        before: The limit, or what the baseline had.
        n: How many.
        hours: In which time.
    """
    time = f"{hours * 60:g} min" if hours < 2 else f"{hours:.0f} h"
    return f"{_WORDS[rule.kind](rule, label, mean, before)}, of {n:,} in {time}"


_Words = Callable[[AlertRule, str, float, float], str]


def _drifted(what: str) -> _Words:
    return lambda rule, label, mean, before: (
        f"{what} {label} is {mean:.0%}, and was {before:.0%} in the baseline"
    )


_WORDS: Mapping[str, _Words] = {
    "error_rate": lambda rule, _, mean, before: f"{mean:.1%} errors, above {before:.1%}",
    "violation_rate": lambda rule, _, mean, before: (
        f"guardrails found something in {mean:.1%}, above {before:.1%}"
    ),
    "latency": lambda rule, _, mean, before: (
        f"{mean:.1%} take longer than {rule.options['above']:g} s, where {before:.1%} may"
    ),
    "cost_per_hour": lambda rule, _, mean, before: (
        f"at least ${mean * COST_CAP * rule.options['above']:.3g} an hour, above "
        f"${rule.options['above']:g}"
    ),
    "score_drop": lambda rule, _, mean, before: (
        f"mean {rule.options['scorer']} is {mean:.1%}, and was {before:.1%} in the baseline"
    ),
    "language_drift": _drifted("the share of"),
    "length_drift": _drifted("the share of answers as long as"),
}
