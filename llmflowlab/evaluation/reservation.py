"""Money set aside for one call: for each try that is paid for, the worst that a try can cost."""

from __future__ import annotations

import threading
from decimal import Decimal

from llmflowlab.errors import ProviderError
from llmflowlab.evaluation.budget import Budget
from llmflowlab.providers.pacing import Gate

__all__ = ["Reservation"]


class Reservation:
    """Stands before a call's gate and lets in only what the budget allows.

    Args:
        budget: Where the money comes from.
        worst: USD that one try can cost at most.
        stopped: Ends the wait for money.
    """

    def __init__(self, budget: Budget, worst: Decimal, stopped: threading.Event) -> None:
        self.gate: Gate | None = None
        """Asked once the money is there; None lets everything in."""
        self.refused = False
        """Whether a try was not sent because the money was not there."""
        self._budget = budget
        self._worst = worst
        self._stopped = stopped
        self._held = Decimal(0)
        self._spent = True
        """Whether what is held may be used up already, by tries before."""

    def enter(self, stop: threading.Event) -> bool:
        if self._spent:
            if not self._budget.reserve(self._worst, self._stopped):
                self.refused = not self._stopped.is_set()
                return False
            self._held += self._worst
            self._spent = False
        return self.gate is None or self.gate.enter(stop)

    def leave(self, error: ProviderError | None, tokens: int | None) -> None:
        # A refusal is free; a failure that reports tokens is not.
        self._spent = bool(tokens)
        if self.gate is not None:
            self.gate.leave(error, tokens)

    def settle(self, actual: Decimal) -> None:
        """Give back what the call did not cost."""
        self._budget.settle(self._held, actual)
