"""Evaluations that can be gone on with."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

from llmflowlab.evaluation.run.running import is_running
from llmflowlab.evaluation.run.steering import known_budget
from llmflowlab.lab.lab import Lab

__all__ = ["Unfinished", "unfinished_evaluations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """An evaluation that was not finished and on which nobody works."""

    id: str
    dataset: str
    state: str
    """`interrupted`, also where its process died without a word, or `partial`."""
    models: Sequence[str]
    budget: Decimal | None
    """USD it was last given; None where it has no budget."""
    spent: Decimal
    """USD so far, as far as prices were known."""


def unfinished_evaluations(lab: Lab, most: int = 5) -> list[Unfinished]:
    """Return the newest ones."""
    with closing(lab.ledger()) as ledger:
        stored = [
            e
            for e in ledger.evaluations()
            if e.state != "finished" and not is_running(ledger, e.id)
        ]
        return [
            Unfinished(
                id=e.id,
                dataset=e.plan["dataset"]["name"],
                # Nobody works on it any more, so a process that was killed left `running` behind.
                state="interrupted" if e.state == "running" else e.state,
                models=[candidate["model"] for candidate in e.plan["candidates"]],
                budget=known_budget(ledger, e.id),
                spent=ledger.spent(e.id),
            )
            for e in stored[:most]
        ]
