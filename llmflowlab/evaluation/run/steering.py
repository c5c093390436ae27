"""What can be changed while an evaluation runs: the calls in flight, and the budget.

The person at its screen changes them directly; another process leaves a wish in the ledger, which the
running evaluation looks at about once a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal

from llmflowlab.asking.budget import Budget
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.running import is_running, on_cluster
from llmflowlab.program import program_name

__all__ = ["Adjustment", "AdjustmentFollower", "Steering", "ask_for", "known_budget"]

_EVERY = 1.0
"""Seconds between two looks into the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A wish; what is None stays as it is."""

    concurrency: int | None = None
    budget: Decimal | None = None
    """USD."""


class Steering:
    """The wheel of one running evaluation.

    Args:
        concurrency: Calls in flight per candidate at the beginning.
        budget: The evaluation's money.
    """

    def __init__(self, concurrency: int, budget: Budget) -> None:
        self.budget = budget
        self._concurrency = concurrency
        self._listeners: list[Callable[[int], None]] = []

    @property
    def concurrency(self) -> int:
        return self._concurrency

    def attach(self, listener: Callable[[int], None]) -> None:
        """Have a function called with every new concurrency."""
        self._listeners.append(listener)

    def set_concurrency(self, value: int) -> None:
        """Change the calls in flight per candidate, one at least."""
        self._concurrency = max(value, 1)
        for listener in self._listeners:
            listener(self._concurrency)

    def set_budget(self, cap: Decimal) -> None:
        """Change the cap; calls that were refused before are not asked again now.

        Raises:
            InputError: The evaluation was begun without a budget, so its answers may have any length
                and no cap could be held.
        """
        if self.budget.cap is None:
            raise InputError("This evaluation runs without a budget, so there is none to change.")
        self.budget.raise_to(cap)

    def obey(self, wish: Adjustment) -> None:
        """Do what an adjustment says, as far as it can be done."""
        if wish.concurrency is not None:
            self.set_concurrency(wish.concurrency)
        if wish.budget is not None and self.budget.cap is not None:
            self.set_budget(wish.budget)


class AdjustmentFollower:
    """Looks for wishes that other processes leave in the ledger.

    Args:
        ledger: Where they are left.
        evaluation: For whom; wishes from before now are not its own any more.
        steering: Is changed by them.
    """

    def __init__(self, ledger: Ledger, evaluation: str, steering: Steering) -> None:
        self._ledger = ledger
        self._evaluation = evaluation
        self._steering = steering
        self._cap = steering.budget.cap
        if self._cap is not None:
            # So that a resumed evaluation knows its budget.
            note(ledger, evaluation, Adjustment(budget=self._cap))
        self._seen = ledger.last_adjustment()
        self._next = time.monotonic() + _EVERY

    def look(self, now: float) -> None:
        """Follow what was wished since the last look, at most once a second.

        Args:
            now: Seconds of the monotonic clock.
        """
        if now < self._next:
            return
        self._next = now + _EVERY
        # A wish is not worth an evaluation: where the file is busy, the next look finds it.
        with suppress(TrackingError):
            for number, concurrency, budget in self._ledger.adjustments(
                self._evaluation, self._seen
            ):
                self._seen = number
                self._steering.obey(Adjustment(concurrency=concurrency, budget=budget))
                self._cap = self._steering.budget.cap
            cap = self._steering.budget.cap
            if cap != self._cap:
                self._cap = cap
                note(self._ledger, self._evaluation, Adjustment(budget=cap))


def ask_for(ledger: Ledger, evaluation: str, wish: Adjustment) -> None:
    """Leave a wish for an evaluation that runs in another process.

    Raises:
        InputError: There is no such evaluation, it is not running, or it has no budget to change.
        TrackingError: The ledger cannot be written.
    """
    ledger.evaluation(evaluation)
    if not is_running(ledger, evaluation):
        raise InputError(
            f"{evaluation} is not running; go on with it by {program_name()} evaluate --resume {evaluation}, "
            "which takes --concurrency and --budget too."
        )
    if is_running(ledger, on_cluster(evaluation)):
        raise InputError(
            f"{evaluation} runs on a cluster, whose workers keep concurrency and budget; stop it with Ctrl-C, and "
            "give --resume others."
        )
    if wish.budget is not None and known_budget(ledger, evaluation) is None:
        raise InputError(
            f"{evaluation} runs without a budget, so there is none to change; "
            "stop it with Ctrl-C, or lower its --concurrency."
        )
    note(ledger, evaluation, wish)


def note(ledger: Ledger, evaluation: str, wish: Adjustment) -> None:
    """Write down what an evaluation is to run with.

    Raises:
        TrackingError: The ledger cannot be written.
    """
    ledger.adjust(evaluation, wish.concurrency, wish.budget)


def known_budget(ledger: Ledger, evaluation: str) -> Decimal | None:
    """Return the budget in USD that an evaluation was last given, None where it has none."""
    return ledger.budget(evaluation)
