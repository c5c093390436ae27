"""What the ledger keeps of past evaluations, and how it is given back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation
from llmflowlab.evaluation.run.running import held, is_running, lock_file

__all__ = ["Kept", "clear", "compact", "kept_evaluations", "size"]

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One evaluation and what it paid for."""

    stored: StoredEvaluation
    state: str
    """As stored; `interrupted` where its process died without a word."""
    answers: int
    """Answers it asked for, failed ones included."""
    judgements: int
    cost_usd: Decimal | None
    """Of both; None as soon as a part is unknown."""

    def to_json(self) -> dict[str, Any]:
        plan = self.stored.plan
        return {
            "evaluation_id": self.stored.id,
            "created": self.stored.created,
            "state": self.state,
            "dataset": plan["dataset"]["name"],
            "rows": plan["dataset"]["rows"],
            "trials": plan["trials"],
            "candidates": [candidate["model"] for candidate in plan["candidates"]],
            "answers": self.answers,
            "judgements": self.judgements,
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
        }


def kept_evaluations(ledger: Ledger) -> list[Kept]:
    """Return all evaluations of a ledger, newest first.

    Raises:
        TrackingError: The ledger cannot be read.
    """
    counts: dict[tuple[str, str], int] = {}
    costs: dict[str, Decimal | None] = {}
    for table in ("answers", "judgements"):
        seen = 0
        sql = f"SELECT seq, evaluation, record FROM {table} WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - the names above
        while page := ledger.query(sql, (seen, _PAGE)):
            seen = page[-1][0]
            for _, evaluation, text in page:
                counts[table, evaluation] = counts.get((table, evaluation), 0) + 1
                costs[evaluation] = _sum(costs.get(evaluation, Decimal(0)), _paid(json.loads(text)))
    return [
        Kept(
            stored=stored,
            state=_state(ledger, stored),
            answers=counts.get(("answers", stored.id), 0),
            judgements=counts.get(("judgements", stored.id), 0),
            cost_usd=costs.get(stored.id, Decimal(0)),
        )
        for stored in ledger.evaluations()
    ]


def _state(ledger: Ledger, stored: StoredEvaluation) -> str:
    if is_running(ledger, stored.id):
        return "running"
    return "interrupted" if stored.state == "running" else stored.state


def _sum(one: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if one is None or other is None else one + other


def _paid(record: Mapping[str, Any]) -> Decimal | None:
    """Return what a record cost with its failed tries, None where that is unknown."""
    wasted = Decimal(record.get("wasted_usd") or 0)
    cost = record.get("cost_usd")
    if cost is not None:
        return Decimal(cost) + wasted
    # A call that failed before anything came has no price, and cost nothing that is known of.
    whole = record.get("state") == "complete" or record.get("value") is not None
    return None if whole else wasted


def clear(ledger: Ledger, evaluation: str) -> None:
    """Forget an evaluation: its plan, answers, judgements and rows; what MLflow holds stays.

    The file keeps its size until `compact`.

    Raises:
        InputError: There is no such evaluation, or it is running.
        TrackingError: The ledger cannot be written.
    """
    ledger.evaluation(evaluation)
    try:
        with held(ledger, evaluation):
            for table in ("answers", "judgements", "outcomes", "adjustments", "gates", "feedback"):
                ledger.execute(f"DELETE FROM {table} WHERE evaluation = ?", (evaluation,))  # noqa: S608 - the names above
            ledger.execute("DELETE FROM evaluations WHERE id = ?", (evaluation,))
    except InputError as exc:
        raise InputError(f"{evaluation} is running; stop it or wait for its end.") from exc
    lock_file(ledger, evaluation).unlink(missing_ok=True)
    needed = {stored.plan.get("dataset_key") for stored in ledger.evaluations()}
    for (digest,) in ledger.query("SELECT digest FROM datasets"):
        if digest not in needed:
            ledger.execute("DELETE FROM datasets WHERE digest = ?", (digest,))


def compact(ledger: Ledger) -> None:
    """Give the room of what was cleared back to the disk.

    Raises:
        TrackingError: The ledger cannot be written, or another process is writing to it.
    """
    ledger.execute("VACUUM")
    ledger.query("PRAGMA wal_checkpoint(TRUNCATE)")


def size(ledger: Ledger) -> int:
    """Return the bytes the ledger takes on disk, its write-ahead file included."""
    files = [ledger.path, ledger.path.with_name(ledger.path.name + "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())
