"""Traffic of a rule's own, at a pace and with rates of the test's: hours of it in no time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from llmflowlab.guardrails.policy import DEFAULT
from llmflowlab.monitoring.alert_events import AlertEvent
from llmflowlab.monitoring.alert_kinds import KINDS
from llmflowlab.monitoring.alert_rules import AlertRule
from llmflowlab.monitoring.observations import Observed, SeenTo
from llmflowlab.monitoring.rule_watch import EvaluatedBaseline, RuleWatch
from llmflowlab.monitoring.traffic import Answerer
from llmflowlab.service.store.served_traffic import ServedRow
from llmflowlab.tracking.records import TurnRecord

__all__ = ["Stream", "rule_of"]

WHO = Answerer("openai:gpt-4.1-mini", "support@2")
_TURN = TurnRecord(
    trace_id="tr-0",
    index=0,
    date="",
    started_ms=0,
    prompt="",
    answer="…",
    language="en",
    inference_time=1.0,
    cost_usd="0.001",
)


def rule_of(kind: str, **options: Any) -> AlertRule:
    more = {key: options.pop(key) for key in ("alpha", "days", "chosen") if key in options}
    return AlertRule(name="a rule", kind=kind, options={**KINDS[kind].may, **options}, **more)


class Stream:
    """Answers one after the other, and the rule that sees them.

    Args:
        rule: The rule.
        per_minute: Answers.
        baseline: Of an evaluation.
        seed: Of what is random.
    """

    def __init__(
        self,
        rule: AlertRule,
        *,
        per_minute: float = 4.0,
        baseline: EvaluatedBaseline | None = None,
        seed: int = 1,
    ) -> None:
        self.random = random.Random(seed)
        self.now_ms = 1_790_000_000_000
        self.watch = RuleWatch.begun(rule, SeenTo(turn=0, rating=0, score=0), self.now_ms, baseline)
        self.number = 0
        self._gap = int(60_000 / per_minute)

    def run(
        self, hours: float, make: Callable[[random.Random], Mapping[str, Any]]
    ) -> list[AlertEvent]:
        """Let some hours pass; returns what fired or cleared.

        Args:
            hours: How many.
            make: What each answer is: fields of its record, its `length`, or the `score` of a `scorer`.
        """
        end = self.now_ms + int(hours * 3_600_000)
        seen = list(self._seen(end, make))
        cursor = SeenTo(turn=self.number, rating=self.number, score=end)
        return self.watch.advance(seen, cursor, end)

    def until_fired(
        self, hours: float, make: Callable[[random.Random], Mapping[str, Any]]
    ) -> float | None:
        """Return the hours until an alert fires; None where none does."""
        began = self.now_ms
        fired = [one for one in self.run(hours, make) if one.state == "fired"]
        return (fired[0].at_ms - began) / 3_600_000 if fired else None

    def _seen(
        self, end: int, make: Callable[[random.Random], Mapping[str, Any]]
    ) -> Iterator[Observed]:
        while self.now_ms < end:
            self.now_ms += self._gap
            self.number += 1
            values = dict(make(self.random))
            if "score" in values:
                yield Observed(
                    at_ms=self.now_ms,
                    place=self.number,
                    source="rating",
                    answerer=WHO,
                    **values,
                )
                continue
            length = values.pop("length", 100)
            row = ServedRow(
                number=self.number,
                deployment="d",
                owner="",
                session_id=None,
                length=length,
                record=replace(_TURN, started_ms=self.now_ms - 1000, **values),
            )
            yield Observed(
                at_ms=self.now_ms, place=self.number, answerer=WHO, guardrails=DEFAULT, row=row
            )
