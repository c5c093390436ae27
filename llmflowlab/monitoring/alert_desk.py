"""Rules at work in a home: one look at a time, whoever looks, and nothing said twice.

All that rules know is in one file, written whole under a lock; an event stands in it until it has arrived,
so that a kill between two steps repeats a delivery at most, with the same id.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.errors import InputError, LabError, TrackingError
from llmflowlab.files import disk_trouble, exclusive, set_aside, write_atomically
from llmflowlab.lab.compare import named_candidates
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.report import result_of
from llmflowlab.monitoring.alert_delivery import Messenger
from llmflowlab.monitoring.alert_events import AlertEvent
from llmflowlab.monitoring.alert_rules import AlertRule
from llmflowlab.monitoring.alerts_seen import AlertsSeen, RuleSeen
from llmflowlab.monitoring.blind_rules import why_blind
from llmflowlab.monitoring.observations import SeenTo, begin_at, observe
from llmflowlab.monitoring.rule_watch import EvaluatedBaseline, RuleWatch
from llmflowlab.service.store.service_database import Engine
from llmflowlab.settings import Settings

__all__ = ["STATE", "AlertDesk"]

STATE = "alerts.json"
"""In the home's own folder: what rules know."""
_BACK_MS = 86_400_000
"""How far a new rule looks back: a day."""
_FORGOTTEN_MS = 90 * 86_400_000
"""After which a rule that nobody has is forgotten."""
_TRIES = 50
"""After which an event that does not arrive is given up."""


@dataclass(slots=True, kw_only=True)
class _Kept:
    """The file."""

    rules: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By id: what each knows, and when it was looked at."""
    waiting: list[dict[str, Any]] = field(default_factory=list)
    """Events with the ways that they have still to go."""


class AlertDesk:
    """Looks at rules.

    Args:
        lab: The parts.
        engine: The service's database.
        rules: The rules.
        messenger: Carries what begins and ends.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        lab: Lab,
        engine: Engine,
        rules: Sequence[AlertRule],
        messenger: Messenger,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._lab = lab
        self._settings: Settings = lab.settings
        self._engine = engine
        self._rules = rules
        self._messenger = messenger
        self._clock = clock
        self._file = lab.settings.state_dir / STATE

    def look(self) -> AlertsSeen:
        """Take in what came since the last look of anybody, and deliver what began or ended.

        Raises:
            InputError: A rule's baseline is not there.
            TrackingError: The database or the file of what rules know cannot be used, or another monitor of
                this home has been at it for half a minute.
        """
        with exclusive(self._settings, STATE):
            kept = self._read()
            now_ms = int(self._clock() * 1000)
            watches = [self._restored(kept, rule, now_ms) for rule in self._rules]
            first = SeenTo(
                turn=min(one.cursor.turn for one in watches),
                rating=min(one.cursor.rating for one in watches),
                score=min(one.cursor.score for one in watches),
            )
            seen, cursor = observe(self._engine, first, now_ms)
            events = [event for watch in watches for event in watch.advance(seen, cursor, now_ms)]
            kept.waiting += [
                {"event": event.to_json(), "ways": self._messenger.ways, "tries": 0}
                for event in events
            ]
            for watch in watches:
                kept.rules[watch.rule.id] = {"at_ms": now_ms, "knows": watch.to_json()}
            for id_ in [
                i for i, one in kept.rules.items() if one["at_ms"] < now_ms - _FORGOTTEN_MS
            ]:
                del kept.rules[id_]
            # Before anything is sent: whoever looks next must not find it anew.
            self._write(kept)
            failed = self._send(kept)
            return AlertsSeen(
                rules=[self._seen(one) for one in watches], events=events, undelivered=failed
            )

    def _seen(self, one: RuleWatch) -> RuleSeen:
        blind = None if one.state == "standing" else why_blind(self._engine, one)
        standing = one.standing
        return RuleSeen(
            rule=one.rule,
            state=one.state if blind is None else "unknown",
            text=blind.text if blind is not None else standing.text if standing else None,
            since_ms=None if standing is None else standing.since_ms,
            e_value=None if one.watch is None else one.watch.e_value,
            fires_at=1 / one.alpha,
            learnt=len(one.learnt),
            looked_at=one.looked_at,
            unset=blind is not None and blind.unset,
        )

    def _restored(self, kept: _Kept, rule: AlertRule, now_ms: int) -> RuleWatch:
        known = kept.rules.get(rule.id)
        if known is not None:
            return RuleWatch.from_json(rule, known["knows"])
        since = now_ms - _BACK_MS
        baseline = None
        if rule.kind == "score_drop":
            baseline = self._baseline(rule)
        return RuleWatch.begun(rule, begin_at(self._engine, since), since, baseline)

    def _baseline(self, rule: AlertRule) -> EvaluatedBaseline:
        """Return what a score is held against.

        Raises:
            InputError: There is no such evaluation, it has several models, or it has not that score.
        """
        options, name = rule.options, rule.options["evaluation"]
        if name is None:
            return EvaluatedBaseline(mean=options["mean"], n=options["n"])
        scorer = options["scorer"]
        with closing(self._lab.existing_ledger()) as ledger:
            stored, places = named_candidates(ledger, name)
            if len(places) != 1:
                raise InputError(
                    f"{rule.name}: {name} has several models; name one, as in {stored.id}:1."
                )
            result = result_of(ledger, stored.id)
        score = result.candidates[places[0]].scores.get(scorer)
        if score is None or score.mean is None:
            known = ", ".join(result.candidates[places[0]].scores) or "none"
            raise InputError(f"{rule.name}: {name} has no mean of {scorer}; its scores: {known}.")
        # Several answers to a question are no more than one question.
        return EvaluatedBaseline(mean=score.mean, n=max(score.scored // result.plan.trials, 1))

    def _send(self, kept: _Kept) -> list[str]:
        if not kept.waiting:
            return []
        failed: dict[str, None] = {}
        for item in kept.waiting:
            event = AlertEvent(**item["event"])
            for way in list(item["ways"]):
                try:
                    self._messenger.deliver(event, way)
                except LabError as exc:
                    failed[exc.message] = None
                    continue
                item["ways"].remove(way)
            item["tries"] += 1
        kept.waiting = [one for one in kept.waiting if one["ways"] and one["tries"] < _TRIES]
        self._write(kept)
        return list(failed)

    def _read(self) -> _Kept:
        try:
            values = json.loads(self._file.read_bytes())
            kept = _Kept(rules=dict(values["rules"]), waiting=list(values["waiting"]))
            for rule in self._rules:
                if rule.id in kept.rules:
                    RuleWatch.from_json(rule, kept.rules[rule.id]["knows"])
        except FileNotFoundError:
            return _Kept()
        except OSError as exc:
            raise TrackingError(f"{self._file} cannot be read ({exc.strerror}).") from exc
        except (ValueError, KeyError, TypeError, AttributeError):
            # What it knew is lost; what is worse is to be silent for ever.
            set_aside(self._file)
            return _Kept()
        return kept

    def _write(self, kept: _Kept) -> None:
        text = json.dumps({"rules": kept.rules, "waiting": kept.waiting}, allow_nan=False)
        with _disk(str(self._file)):
            write_atomically(self._file, text.encode())


@contextmanager
def _disk(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        why = disk_trouble(exc) or str(exc.strerror)
        raise TrackingError(f"{name} cannot be kept: {why}.") from exc
