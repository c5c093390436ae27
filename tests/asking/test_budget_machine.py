"""Money in any order of events: never over its cap, and spent is the sum of what was charged."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy, Cancellation
from llmflowlab.asking.paid import Asker
from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import Overloaded, TimedOut
from llmflowlab.messages import Parameters, Request
from llmflowlab.providers.base import Finished, StreamEvent, TextDelta, Usage, UsageReport
from llmflowlab.providers.scripted import Script, Step
from tests.asking.priced import PROMPT, Priced, priced

SET = threading.Event()
"""Whoever would have to wait for money is told at once that there is none."""
SET.set()


class Reserving(RuleBasedStateMachine):
    """Calls that begin and end in any order, while somebody raises the cap."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(Decimal(100))
        self.open: list[Decimal] = []
        self.charged = Decimal(0)

    @rule(worst=st.integers(1, 60))
    def begin(self, worst: int) -> None:
        before = self.budget.committed
        assert self.budget.cap is not None
        fits = before + worst <= self.budget.cap
        assert self.budget.reserve(Decimal(worst), SET) == fits
        if fits:
            self.open.append(Decimal(worst))

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 99), share=st.integers(0, 100))
    def end(self, which: int, share: int) -> None:
        worst = self.open.pop(which % len(self.open))
        self.budget.settle(worst, worst * share / 100)
        self.charged += worst * share / 100

    @rule(more=st.integers(0, 50))
    def raise_the_cap(self, more: int) -> None:
        assert self.budget.cap is not None
        self.budget.raise_to(self.budget.cap + more)

    @rule(found=st.integers(0, 40))
    def find_what_was_spent_before(self, found: int) -> None:
        """As much as the ledger of a resumed evaluation tells, which may be known already."""
        assert self.budget.cap is not None
        if found + sum(self.open) <= self.budget.cap:
            self.budget.note_spent(Decimal(found))
            self.charged = max(self.charged, Decimal(found))

    @invariant()
    def nothing_is_over_and_all_is_counted(self) -> None:
        assert self.budget.cap is not None
        assert self.budget.committed <= self.budget.cap
        assert self.budget.spent == self.charged
        assert self.budget.committed == self.charged + sum(self.open)


REQUEST = Request(messages=PROMPT, parameters=Parameters(max_tokens=50))
WORST = priced().worst_case(Priced([]), REQUEST) or Decimal(0)
SILENCE = TimedOut("silence", provider="scripted")
BUSY = Overloaded("busy", provider="scripted", status=503)


def counted(prompt: int | None, completion: int | None, end: Step) -> Script:
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    return [TextDelta("hi"), UsageReport(usage), end]


TRIES: dict[str, Callable[[int], Script]] = {
    "answered": lambda tokens: counted(tokens, tokens, Finished("stop")),
    "half counted": lambda tokens: counted(None, tokens, Finished("stop")),
    "uncounted": lambda tokens: [TextDelta("hi"), Finished("stop")],
    "silent": lambda tokens: SILENCE,
    "refused": lambda tokens: BUSY,
    "refused but counted": lambda tokens: [UsageReport(Usage(prompt_tokens=tokens)), BUSY],
    "broken off": lambda tokens: [TextDelta("hi"), SILENCE],
    "broken off, counted so far": lambda tokens: counted(tokens, 1, SILENCE),
    "nothing but thinking, then silent": lambda tokens: [
        UsageReport(Usage(prompt_tokens=tokens, completion_tokens=1)),
        SILENCE,
    ],
    "a bug": lambda tokens: ZeroDivisionError(),
}


class Paying(RuleBasedStateMachine):
    """Whole calls through the one door, whatever comes of their tries."""

    def __init__(self) -> None:
        super().__init__()
        self.provider = Priced(default=BUSY)
        self.budget = Budget(4 * WORST)
        self.asker = Asker(
            self.provider,
            policy=CallPolicy(max_tries=3, backoff_base=0.0, backoff_max=0.0),
            metering=priced(),
            budget=self.budget,
        )
        self.told = Decimal(0)
        """What the calls say they were paid."""

    @rule(tries=st.lists(st.tuples(st.sampled_from(sorted(TRIES)), st.integers(1, 50)), max_size=3))
    def ask(self, tries: list[tuple[str, int]]) -> None:
        self.provider.queue(*(TRIES[kind](tokens) for kind, tokens in tries))
        sent = len(self.provider.requests)
        paid = self.asker.ask_blocking(REQUEST)
        assert paid.tries == len(self.provider.requests) - sent
        assert paid.refused_by_budget <= (self.budget.spent + WORST > 4 * WORST)
        self.told += paid.known
        self._forget_the_rest()

    @rule(tokens=st.integers(1, 50), silent=st.booleans())
    def embed(self, tokens: int, silent: bool) -> None:
        counted_ = [UsageReport(Usage(prompt_tokens=tokens))]
        self.provider.queue(*([SILENCE] if silent else []), counted_)
        self.told += self.asker.embed_blocking(["red"]).paid.known
        self._forget_the_rest()

    @rule(begun=st.booleans())
    def press_ctrl_c(self, begun: bool) -> None:
        stop = Cancellation()
        self.provider.queue([*([TextDelta("hi")] if begun else []), stop.set, TextDelta("late")])
        self.told += self.asker.ask_blocking(REQUEST, cancelled=stop).known
        self._forget_the_rest()

    @rule()
    def stop_between_two_tries(self) -> None:
        stopper = Stopper()
        self.provider.queue(SILENCE, "never")
        paid = self.asker.ask_blocking(
            REQUEST, on_wait=lambda notice: stopper.stop(), stopper=stopper
        )
        self.told += paid.known
        self._forget_the_rest()

    @rule()
    def fail_while_an_answer_is_shown(self) -> None:
        def broken(event: StreamEvent) -> None:
            raise BrokenPipeError

        self.provider.queue("one two three")
        before = self.budget.spent
        try:
            self.asker.ask_blocking(REQUEST, on_event=broken)
        except BrokenPipeError:
            assert self.budget.spent > before
        self.told += self.budget.spent - before
        self._forget_the_rest()

    def _forget_the_rest(self) -> None:
        """What was not asked for must not answer the next call."""
        self.provider._answers.clear()

    @invariant()
    def nothing_is_over_and_all_is_counted(self) -> None:
        assert self.budget.spent <= 4 * WORST
        assert self.budget.committed == self.budget.spent == self.told


TestReserving = Reserving.TestCase
TestReserving.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestPaying = Paying.TestCase
TestPaying.settings = settings(max_examples=40, stateful_step_count=12, deadline=None)
