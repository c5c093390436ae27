"""What the ledger keeps of past evaluations, and how it is given back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.asking.paid import plus
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation, Table
from llmflowlab.evaluation.run.running import held, is_running, lock_file

__all__ = ["KeptEvaluation", "clear", "compact", "kept_evaluations", "size"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEvaluation:
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


def kept_evaluations(ledger: Ledger) -> list[KeptEvaluation]:
    """Return all evaluations of a ledger, newest first.

    Raises:
        TrackingError: The ledger cannot be read.
    """
    counts: dict[tuple[str, str], int] = {}
    costs: dict[str, Decimal | None] = {}
    for table, paid in _PAID.items():
        for evaluation, record in ledger.all_records(table):
            counts[table, evaluation] = counts.get((table, evaluation), 0) + 1
            costs[evaluation] = plus(costs.get(evaluation, Decimal(0)), paid(record))
    return [
        KeptEvaluation(
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


def _judged(record: Mapping[str, Any]) -> Decimal | None:
    cost = record.get("cost_usd")
    if cost is not None:
        return Decimal(cost)
    # What is kept without a value and without a cost is from before there was either.
    return None if record.get("value") is not None else Decimal(0)


_PAID: Mapping[Table, Callable[[Mapping[str, Any]], Decimal | None]] = {
    "answers": lambda record: AnswerRecord.from_json(dict(record)).spent,
    "judgements": _judged,
}
"""What a record was paid for, None where that is unknown."""


def clear(ledger: Ledger, evaluation: str) -> None:
    """Forget an evaluation: its plan, answers, judgements and rows; what MLflow holds stays.

    The file keeps its size until `compact`.

    Raises:
        InputError: There is no such evaluation, or it is running.
        TrackingError: The ledger cannot be written.
    """
    if not ledger.knows(evaluation):
        raise InputError(f"There is no evaluation {evaluation!r} in {ledger.path.parent}.")
    try:
        with held(ledger, evaluation):
            ledger.forget(evaluation)
    except InputError as exc:
        raise InputError(f"{evaluation} is running; stop it or wait for its end.") from exc
    lock_file(ledger, evaluation).unlink(missing_ok=True)


def compact(ledger: Ledger) -> None:
    """Give the room of what was cleared back to the disk.

    Raises:
        TrackingError: The ledger cannot be written, or another process is writing to it.
    """
    ledger.compact()


def size(ledger: Ledger) -> int:
    """Return the bytes the ledger takes on disk, its write-ahead file included."""
    files = [ledger.path, ledger.path.with_name(ledger.path.name + "-wal")]
    return sum(file.stat().st_size for file in files if file.exists())
