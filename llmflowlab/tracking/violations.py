"""What guardrails found, as metrics and as a table of a run; one form for chats and evaluations.

A violation is here what `guardrails/` makes of it as JSON values: direction, category, rule, action.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "TABLE",
    "TABLE_TAG",
    "added",
    "counts",
    "counts_in",
    "in_words",
    "metrics_of",
    "table_of",
]

TABLE = "guardrail_violations.json"
"""The table's file among a run's artifacts."""
TABLE_TAG = {"mlflow.loggedArtifacts": json.dumps([{"path": TABLE, "type": "table"}])}
"""Tells MLflow's pages that it is a table."""

_ALL = "guardrail_violations"
_COLUMNS = ("direction", "category", "rule", "severity", "action", "layer", "excerpt", "reason")


def counts(violations: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count violations by category and direction: `injection_in`."""
    found = Counter(f"{each['category']}_{each['direction']}" for each in violations)
    return dict(sorted(found.items()))


def metrics_of(by: Mapping[str, int]) -> dict[str, float]:
    """Return counts as a run's metrics, all of them together first."""
    each = {f"{_ALL}/{name}": float(number) for name, number in by.items()}
    return {_ALL: float(sum(by.values())), **each}


def counts_in(metrics: Mapping[str, float]) -> dict[str, int] | None:
    """Return the counts that a run's metrics are of; None where it had no guardrails."""
    if _ALL not in metrics:
        return None
    each = {name: value for name, value in metrics.items() if name.startswith(f"{_ALL}/")}
    return {name.removeprefix(f"{_ALL}/"): round(each[name]) for name in sorted(each)}


def added(several: Iterable[Mapping[str, int] | None]) -> dict[str, int] | None:
    """Add counts up; None where none of them had guardrails."""
    known = [each for each in several if each is not None]
    total = sum(map(Counter, known), Counter[str]())
    return dict(sorted(total.items())) if known else None


def in_words(by: Mapping[str, int]) -> str:
    """Write counts: `email 2, injection_in 1`."""
    return ", ".join(f"{name} {number:,}" for name, number in by.items())


def table_of(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the table's text, a line for each violation.

    Args:
        rows: Each with the trace, or the row, that it was found in.
    """
    data = [[where, *(found.get(name) for name in _COLUMNS)] for where, found in rows]
    return json.dumps({"columns": ["where", *_COLUMNS], "data": data}, ensure_ascii=False)
