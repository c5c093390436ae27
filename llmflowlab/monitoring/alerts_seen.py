"""Rules as they stand after a look, in figures and in a line each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.monitoring.alert_events import AlertEvent
from llmflowlab.monitoring.alert_rules import AlertRule
from llmflowlab.monitoring.looked_at import LookedAt, lacking_words

__all__ = ["AlertsSeen", "RuleSeen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSeen:
    """A rule as it stands after a look."""

    rule: AlertRule
    state: str
    """`learning`, `quiet`, `standing`, or `unknown`: it has nothing to look at."""
    text: str | None
    """What stands, or why there is nothing to look at."""
    since_ms: int | None
    e_value: float | None
    """Evidence. None while a baseline is learnt."""
    fires_at: float
    """Evidence that fires."""
    learnt: int
    """Of the baseline, while it is learnt."""
    looked_at: LookedAt
    unset: bool = False
    """Whether something has to be set up before it can look."""

    @property
    def said(self) -> str:
        """A line of text about it."""
        if self.state == "standing":
            return f"ALERT {self.text}"
        name = self.rule.name
        if self.state == "unknown":
            return f"{name}: unknown, {self.text}"
        lacking = self.looked_at.lacking
        but = f"; not looked at: {lacking_words(lacking)}" if lacking else ""
        if self.state == "learning":
            options = self.rule.options
            return (
                f"{name}: learning for {options['hours']:g} h at least, {self.learnt:,} of "
                f"{options['baseline']:,} seen{but}"
            )
        return f"{name}: quiet, evidence {self.e_value or 0:.2g} of {self.fires_at:g}{but}"

    def to_json(self) -> dict[str, Any]:
        return {
            **self.rule.to_json(),
            "state": self.state,
            "text": self.text,
            "since_ms": self.since_ms,
            "e_value": self.e_value,
            "fires_at": self.fires_at,
            "learnt": self.learnt,
            "looked_at": self.looked_at.to_json(),
            "unset": self.unset,
            "said": self.said,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsSeen:
    """What a look has brought."""

    rules: Sequence[RuleSeen]
    events: Sequence[AlertEvent] = ()
    """That began or ended in this look."""
    undelivered: Sequence[str] = ()
    """Why something did not arrive, a sentence each."""

    @property
    def standing(self) -> list[RuleSeen]:
        return [one for one in self.rules if one.state == "standing"]

    @property
    def unknown(self) -> list[RuleSeen]:
        """Those that have nothing to look at."""
        return [one for one in self.rules if one.state == "unknown"]

    @property
    def false_alarm(self) -> float:
        """Chance of any within `days`, at most."""
        return min(sum(one.rule.alpha for one in self.rules), 1.0)

    @property
    def days(self) -> float:
        return min((one.rule.days for one in self.rules), default=0.0)

    @property
    def unset(self) -> list[RuleSeen]:
        """Those of them for which something has to be set up."""
        return [one for one in self.rules if one.unset]

    def to_json(self) -> dict[str, Any]:
        return {
            "standing": len(self.standing),
            "unknown": len(self.unknown),
            "false_alarm": {
                "each": max((one.rule.alpha for one in self.rules), default=0.0),
                "any": self.false_alarm,
                "days": self.days,
            },
            "rules": [one.to_json() for one in self.rules],
            "events": [event.to_json() for event in self.events],
            "undelivered": list(self.undelivered),
        }
