"""A conversation's prompts put to another model, turn by turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal

from llmflowlab.asking.budget import Budget
from llmflowlab.errors import InputError, LabError
from llmflowlab.lab.chat_events import AnswerView
from llmflowlab.lab.chat_session import Chat
from llmflowlab.lab.conversation import Exchange
from llmflowlab.lab.lab import Lab
from llmflowlab.tracking.records import TurnRecord

__all__ = ["Replayed", "ReplayedTurn", "replay"]


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """One prompt and both its answers."""

    exchange: Exchange
    before: TurnRecord | None
    """As it was; None for an exchange that was loaded from a file."""
    answered_by: str | None
    after: TurnRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of it."""

    model: str
    turns: Sequence[ReplayedTurn]
    asked: int
    """Prompts that there were."""
    error: LabError | None
    """Why it ended early; None where it did not, or where the person stopped it."""

    @property
    def common(self) -> list[ReplayedTurn]:
        """The turns of which both sides are whole, so that their figures can be set side by side."""
        return [
            turn
            for turn in self.turns
            if turn.before is not None and turn.before.state == turn.after.state == "complete"
        ]


def replay(
    lab: Lab,
    chat: Chat,
    reference: str,
    view: Callable[[int], AnswerView],
    *,
    cancelled: threading.Event,
    same_context: bool = False,
    budget: Decimal | None = None,
) -> Replayed:
    """Put a conversation's prompts to another model; recorded as a session of its own.

    Ends with the first prompt that gets no whole answer: what follows would build on it.

    Args:
        lab: The parts.
        chat: The conversation.
        reference: The model.
        view: Returns where the answer to a prompt, by its number from 1, is shown.
        cancelled: Ends it once it is set; what came is kept.
        same_context: Whether each prompt is sent with the answers that were given before it here;
            otherwise the model goes on from its own, as the conversation would have gone.
        budget: USD that all of it may cost.

    Raises:
        InputError: Nothing was said yet, the reference is malformed, or a budget meets a model without
            a known price.
        NotConfigured: The model's provider lacks something.
        TrackingError: A turn could not be written to disk.
    """
    exchanges = list(chat.conversation.exchanges)
    if not exchanges:
        raise InputError("Nothing has been said yet that another model could be asked as well.")
    with closing(lab.provider(reference)) as provider:
        if budget is not None and lab.prices.rates(provider.name, provider.model) is None:
            raise InputError(
                f"A budget needs prices, and none is known for {provider.reference}; add it to "
                f"{lab.settings.prices_file}, or leave --budget out."
            )
        found: list[ReplayedTurn] = []
        error: LabError | None = None
        other = chat.twin(provider, budget=Budget(budget))
        try:
            for number, exchange in enumerate(exchanges, start=1):
                if same_context:
                    other.conversation.replace(exchanges[: number - 1])
                outcome = other.ask(exchange.prompt, view(number), cancelled=cancelled)
                before = chat.turn_of(exchange)
                who = None if before is None else chat.answered_by[before.trace_id]
                found.append(ReplayedTurn(exchange, before, who, outcome.record))
                error = outcome.error
                if cancelled.is_set() or error is not None:
                    break
        finally:
            other.close(interrupted=cancelled.is_set())
        return Replayed(model=provider.reference, turns=found, asked=len(exchanges), error=error)
