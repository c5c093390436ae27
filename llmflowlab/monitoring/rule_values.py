"""What a rule makes of an answer, or of a score of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from llmflowlab.guardrails.policy import Policy
from llmflowlab.guardrails.verdict import CATEGORIES, DIRECTIONS
from llmflowlab.monitoring.alert_rules import AlertRule
from llmflowlab.monitoring.looked_at import Lacking
from llmflowlab.monitoring.observations import Observed
from llmflowlab.monitoring.traffic_figures import erred
from llmflowlab.service.store.served_traffic import ServedRow
from llmflowlab.tracking.summaries import answered, unpriced_turns

__all__ = ["value_for"]

_Make: TypeAlias = Callable[[AlertRule, ServedRow], "str | float | Lacking | None"]


def value_for(rule: AlertRule, one: Observed) -> str | float | Lacking | None:
    """Return a value from 0 to 1, USD, a language or a length; None: the rule is not about it."""
    if not rule.chosen.takes(one.answerer):
        return None
    if rule.kind == "score_drop":
        if one.row is not None:
            return Lacking(None)
        if one.scorer != rule.options["scorer"]:
            return None
        return Lacking(one.not_scored) if one.score is None else one.score
    if one.row is None:
        return None
    if rule.kind == "violation_rate":
        return _violated(rule, one.row, one.guardrails)
    return _VALUES[rule.kind](rule, one.row)


def _violated(rule: AlertRule, row: ServedRow, policy: Policy | None) -> float | Lacking:
    wanted = {
        key: rule.options[key]
        for key in ("category", "direction", "action")
        if rule.options[key] is not None
    }
    if policy is None:
        return Lacking("guardrails_off")
    hit = any(
        all(found.get(key) == value for key, value in wanted.items())
        for found in row.record.violations
    )
    return float(hit) if hit or _looked_for(policy, wanted) else Lacking("not_looked_for")


def _looked_for(policy: Policy, wanted: Mapping[str, str]) -> bool:
    """Tell whether a policy can find what is wanted at all."""
    actions = {
        policy.action(category, direction)
        for category in CATEGORIES
        for direction in DIRECTIONS
        if wanted.get("category", category) == category
        and wanted.get("direction", direction) == direction
    } - {"off"}
    if policy.detector is not None and "mask" in actions:
        # A model's word for where something stands is no place to put a mask.
        actions.add("warn")
    return bool(actions) and wanted.get("action", next(iter(actions))) in actions


def _slow(rule: AlertRule, row: ServedRow) -> float | Lacking:
    if not answered(row.record):
        return Lacking("no_answer")
    return float(row.record.inference_time > rule.options["above"])


def _cost(rule: AlertRule, row: ServedRow) -> float | Lacking:
    if unpriced_turns([row.record]):
        return Lacking("no_price")
    return float(row.record.cost or 0)


def _of_first(make: Callable[[ServedRow], str | float | Lacking]) -> _Make:
    """Make it of answers that begin a conversation: those that follow in one are too much like it."""

    def made(rule: AlertRule, row: ServedRow) -> str | float | Lacking | None:
        turn = row.record
        if turn.index != 0 or turn.earlier_exchanges:
            return None
        return make(row) if turn.state == "complete" else Lacking("no_answer")

    return made


_VALUES: Mapping[str, _Make] = {
    "error_rate": lambda rule, row: float(erred(row.record)),
    "latency": _slow,
    "cost_per_hour": _cost,
    "language_drift": _of_first(lambda row: row.record.language or Lacking("no_language")),
    "length_drift": _of_first(lambda row: float(row.length)),
}
