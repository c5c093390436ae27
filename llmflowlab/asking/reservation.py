"""Money set aside for one call: for each try that is paid for, the worst that a try can cost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.pacing import Gate
from llmflowlab.errors import ProviderError

__all__ = ["Reservation"]


class Reservation:
    """Stands before a call's gate and lets in only what the budget allows.

    Args:
        budget: Where the money comes from.
        worst: USD that one try can cost at most.
        price: USD that so many tokens cost at most.
        stopped: Ends the wait for money.
    """

    def __init__(
        self,
        budget: Budget,
        worst: Decimal,
        price: Callable[[int], Decimal],
        stopped: threading.Event,
    ) -> None:
        self.gate: Gate | None = None
        """Asked once the money is there; None lets everything in."""
        self.refused = False
        """Whether a try was not sent because the money was not there."""
        self._budget = budget
        self._worst = worst
        self._price = price
        self._stopped = stopped
        self._held: Decimal | None = None
        """Set aside for the try to come, or under way; None where nothing is."""
        self._counted = Decimal(0)
        """Counted as spent already, for tries that failed."""

    def enter(self, stop: threading.Event) -> bool:
        if self._held is None:
            if not self._budget.reserve(self._worst, self._stopped):
                self.refused = not self._stopped.is_set()
                return False
            self._held = self._worst
        return self.gate is None or self.gate.enter(stop)

    def leave(self, error: ProviderError | None, tokens: int | None) -> None:
        if error is not None and tokens and self._held is not None:
            # A refusal is free; a failure that reports tokens is not. What is left is given back
            # before more is asked for: calls that hold money while they wait for it wait for ever.
            cost = min(self._worst, self._price(tokens))
            self._budget.settle(self._held, cost)
            self._counted += cost
            self._held = None
        if self.gate is not None:
            self.gate.leave(error, tokens)

    def settle(self, actual: Decimal) -> None:
        """Give back what the call did not cost."""
        self._budget.settle(self._held or Decimal(0), actual - self._counted)
