"""What guardrails found, as metrics and as a table of a run; one form for chats and evaluations.

A violation is here what `guardrails/` makes of it as JSON values: direction, category, rule, action.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["TABLE", "TABLE_TAG", "counts", "metrics_of", "table_of"]

TABLE = "guardrail_violations.json"
"""The table's file among a run's artifacts."""
TABLE_TAG = {"mlflow.loggedArtifacts": json.dumps([{"path": TABLE, "type": "table"}])}
"""Tells MLflow's pages that it is a table."""

_COLUMNS = ("direction", "category", "rule", "severity", "action", "layer", "excerpt", "reason")


def counts(violations: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Count violations by category and direction: `injection_in`."""
    found = Counter(f"{each['category']}_{each['direction']}" for each in violations)
    return dict(sorted(found.items()))


def metrics_of(by: Mapping[str, int]) -> dict[str, float]:
    """Return counts as a run's metrics, all of them together first."""
    each = {f"guardrail_violations/{name}": float(number) for name, number in by.items()}
    return {"guardrail_violations": float(sum(by.values())), **each}


def table_of(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Return the table's text, a line for each violation.

    Args:
        rows: Each with the trace, or the row, that it was found in.
    """
    data = [[where, *(found.get(name) for name in _COLUMNS)] for where, found in rows]
    return json.dumps({"columns": ["where", *_COLUMNS], "data": data}, ensure_ascii=False)
