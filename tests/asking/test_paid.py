"""The one door to a model: what it returns, what it charges, and when it lets nobody through.

Everything is asked by both faces of the door, in a thread and on an event loop.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import Cancellation, WaitNotice
from llmflowlab.asking.pacing import Limiter, Pacer
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.pump import Texts
from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ConfigurationError,
    Interrupted,
    Overloaded,
    StreamInterrupted,
    TimedOut,
)
from llmflowlab.messages import Parameters, Request
from llmflowlab.providers.base import (
    Finished,
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    Usage,
    UsageReport,
)
from llmflowlab.providers.limits import RateLimits
from llmflowlab.providers.scripted import Script
from tests.asking.priced import POLICY, PROMPT, Priced, priced
from tests.patience import hold

REQUEST = Request(messages=PROMPT, parameters=Parameters(max_tokens=50))
BUSY = Overloaded("busy", provider="scripted", status=503)
SILENCE = TimedOut("silence", provider="scripted")
WORST = priced().worst_case(Priced([]), REQUEST) or Decimal(0)
Ask = Callable[..., Paid]


def in_a_thread(asker: Asker, request: Request = REQUEST, **options: Any) -> Paid:
    return asker.ask_blocking(request, **options)


def on_a_loop(asker: Asker, request: Request = REQUEST, **options: Any) -> Paid:
    return asyncio.run(asker.ask(request, **options))


@pytest.fixture(params=[in_a_thread, on_a_loop])
def ask(request: pytest.FixtureRequest) -> Ask:
    found: Ask = request.param
    return found


def asker(*answers: Script, cap: Decimal | None = None, **options: Any) -> Asker:
    budget = Budget(cap)
    return Asker(Priced(answers), policy=POLICY, metering=priced(), budget=budget, **options)


def said(text: str, prompt: int | None = None, completion: int | None = None) -> list[StreamEvent]:
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion)
    return [TextDelta(text), UsageReport(usage), Finished("stop", "model-001")]


def failed(error: Exception, prompt: int | None = None) -> Script:
    return [UsageReport(Usage(prompt_tokens=prompt, completion_tokens=0)), error]


def test_an_answer_comes_with_its_tokens_and_its_cost(ask: Ask) -> None:
    usage = Usage(prompt_tokens=10, completion_tokens=4, cached_tokens=3, reasoning_tokens=2)
    how = asker([ReasoningDelta("hm"), TextDelta("hi"), UsageReport(usage), Finished("stop")])
    paid = ask(how)
    assert (paid.state, paid.whole().text, paid.error) == ("complete", "hi", None)
    assert (paid.prompt_tokens, paid.completion_tokens) == (10, 4)
    assert (paid.cached_tokens, paid.reasoning_tokens, paid.tokens_estimated) == (3, 2, False)
    assert (paid.cost, paid.wasted, paid.spent, paid.tries) == (
        Decimal("0.014"),
        Decimal(0),
        Decimal("0.014"),
        1,
    )
    assert how.budget.spent == how.budget.committed == Decimal("0.014")


def test_a_failed_try_that_reported_tokens_is_part_of_what_was_spent(ask: Ask) -> None:
    # One answer of 0.005 after a failed try of 1.00 once cost 0.005 in chat and 1.005 in the ledger.
    how = asker(failed(BUSY, 1000), said("good", 4, 1))
    paid = ask(how)
    assert (paid.cost, paid.wasted, paid.spent) == (Decimal("0.005"), Decimal(1), Decimal("1.005"))
    assert (paid.prompt_tokens, paid.tries) == (4, 2)
    assert how.budget.spent == Decimal("1.005")


def test_a_call_whose_every_try_failed_carries_its_tokens_and_its_money(ask: Ask) -> None:
    how = asker(*[failed(BUSY, 100)] * 5)
    paid = ask(how)
    assert (paid.state, paid.answer, paid.error) == ("failed", None, BUSY)
    assert (paid.prompt_tokens, paid.completion_tokens) == (500, 0)
    assert (paid.cost, paid.wasted, paid.tries) == (Decimal(0), Decimal("0.5"), 5)
    assert how.budget.spent == Decimal("0.5")
    with pytest.raises(Overloaded):
        paid.whole()


@pytest.mark.parametrize(
    ("error", "charged"),
    [
        pytest.param(BadRequest("no", provider="scripted", status=400), 0, id="refused"),
        pytest.param(ConfigurationError("switched off"), 0, id="not configured"),
    ],
)
def test_a_failure_is_a_value_with_what_it_cost(
    ask: Ask, error: Exception, charged: Decimal
) -> None:
    how = asker(error)
    paid = ask(how)
    assert (paid.error, paid.spent, how.budget.spent) == (error, charged, charged)
    with pytest.raises(type(error)):
        paid.whole()


def test_a_bug_after_sending_is_an_answer_nobody_can_read_and_charged(ask: Ask) -> None:
    bug = RecursionError("nested too deep")
    how = asker(bug)
    paid = ask(how)
    assert isinstance(paid.error, BadAnswer)
    assert paid.error.__cause__ is bug
    assert (paid.spent, how.budget.spent) == (WORST, WORST)


def test_a_provider_that_cannot_be_prepared_has_sent_nothing(ask: Ask) -> None:
    class Unready(Priced):
        def prepare(self) -> None:
            raise ConfigurationError("install it")

    paid = ask(Asker(Unready(), policy=POLICY, metering=priced()))
    assert (paid.state, paid.tries, paid.spent) == ("failed", 0, Decimal(0))
    assert isinstance(paid.error, ConfigurationError)


def test_a_server_that_accepts_and_falls_silent_is_asked_as_often_as_the_budget_holds(
    ask: Ask,
) -> None:
    # Such a server once took 46 requests under a budget for two, and "nothing" was spent.
    how = asker(*[SILENCE] * 5, cap=WORST * Decimal("2.5"))
    paid = ask(how)
    assert len(how.provider.requests) == 2  # type: ignore[attr-defined]
    assert (paid.state, paid.refused_by_budget, paid.tries) == ("interrupted", True, 2)
    assert paid.spent == how.budget.spent == how.budget.committed == 2 * WORST


def test_a_budget_that_holds_no_call_sends_nothing(ask: Ask) -> None:
    how = asker("never", cap=WORST - Decimal("0.001"))
    paid = ask(how)
    assert how.provider.requests == []  # type: ignore[attr-defined]
    assert (paid.state, paid.refused_by_budget, paid.tries, paid.spent) == (
        "interrupted",
        True,
        0,
        Decimal(0),
    )
    with pytest.raises(Interrupted):
        paid.whole()


def test_what_was_set_aside_and_not_used_is_given_back(ask: Ask) -> None:
    how = asker(BUSY, said("hi", 4, 1), cap=WORST)
    assert ask(how).spent == how.budget.committed == Decimal("0.005")


def test_an_answer_that_broke_off_is_charged_whole_where_nobody_counted_it(ask: Ask) -> None:
    how = asker([TextDelta("Hel"), SILENCE], cap=WORST)
    paid = ask(how)
    assert (paid.state, paid.answer and paid.answer.text) == ("incomplete", "Hel")
    assert isinstance(paid.error, StreamInterrupted)
    assert paid.cost == paid.spent == how.budget.spent == WORST


def test_an_unknown_price_is_unknown_in_every_sum(ask: Ask) -> None:
    provider = Priced([SILENCE, "hi"], model="other")
    paid = ask(Asker(provider, policy=POLICY, metering=priced()))
    assert (paid.cost, paid.wasted, paid.spent, paid.known) == (None, None, None, Decimal(0))


def test_what_a_callback_raises_ends_the_call_and_leaves_nothing_set_aside(ask: Ask) -> None:
    def broken(event: StreamEvent) -> None:
        raise BrokenPipeError

    how = asker("one two three", cap=WORST)
    with pytest.raises(BrokenPipeError):
        ask(how, on_event=broken)
    assert Decimal(0) < how.budget.spent == how.budget.committed < WORST


def test_callbacks_run_where_the_call_is_made(ask: Ask) -> None:
    seen: list[object] = []
    here = threading.current_thread()

    def note(what: object) -> None:
        assert threading.current_thread() is here
        seen.append(what)

    ask(asker(BUSY, "one two"), on_event=note, on_wait=note, on_try=note)
    kinds = [what if isinstance(what, bool) else type(what).__name__ for what in seen]
    answer = ["TextDelta", "TextDelta", "UsageReport", "Finished"]
    assert kinds == [True, False, "WaitNotice", True, *answer, False]


def test_cancelling_gives_the_call_up_and_charges_what_came(ask: Ask) -> None:
    stop, released = Cancellation(), threading.Event()
    how = asker([TextDelta("Hel"), stop.set, lambda: hold(released)], cap=WORST)
    paid = ask(how, cancelled=stop)
    released.set()
    assert (paid.state, paid.refused_by_budget) == ("interrupted", False)
    assert Decimal(0) < how.budget.spent == how.budget.committed < WORST


@pytest.mark.parametrize("abandon", [False, True])
def test_a_stop_ends_a_call_that_waits_for_another_try(ask: Ask, abandon: bool) -> None:
    stopper = Stopper()

    def stop(notice: WaitNotice) -> None:
        (stopper.abandon if abandon else stopper.stop)()

    how = asker(failed(BUSY, 100), "never")
    paid = ask(how, on_wait=stop, stopper=stopper)
    assert (paid.state, paid.tries, paid.spent) == ("interrupted", 1, Decimal("0.1"))
    assert paid.prompt_tokens == 100


def test_a_stop_lets_finish_what_is_in_flight_and_sends_nothing_more(ask: Ask) -> None:
    stopper = Stopper()
    how = asker([stopper.stop, *said("hi", 4, 1)], "never")
    assert ask(how, stopper=stopper).state == "complete"
    paid = ask(how, stopper=stopper)
    assert (paid.state, paid.tries, paid.refused_by_budget) == ("interrupted", 0, False)


def test_a_stop_ends_the_wait_for_money(ask: Ask) -> None:
    stopper, how = Stopper(), asker("never", cap=WORST)
    assert how.budget.reserve(WORST)
    threading.Timer(0.05, stopper.stop).start()
    paid = ask(how, stopper=stopper)
    assert (paid.state, paid.refused_by_budget, paid.tries) == ("interrupted", False, 0)


def test_the_pace_is_asked_before_each_try_and_told_how_it_ended(ask: Ask) -> None:
    limiter = Limiter(Pacer(4))
    paid = ask(asker(BUSY, "hi", gate=limiter))
    state = limiter.state()
    assert (paid.tries, state.in_flight, state.refusals) == (2, 0, 0)


def test_a_gate_that_only_threads_can_pass_is_passed_on_a_loop_too(ask: Ask) -> None:
    class Gate:
        def __init__(self) -> None:
            self.left: list[int | None] = []

        def enter(self, stop: object) -> bool:
            return True

        def leave(self, error: object, tokens: int | None) -> None:
            self.left.append(tokens)

    gate = Gate()
    ask(asker(said("hi", 4, 1), gate=gate))
    assert gate.left == [5]


def test_a_limit_told_in_headers_holds_the_next_call_back(ask: Ask) -> None:
    limiter = Limiter(Pacer(4))
    how = asker("hi", gate=limiter)
    how.provider.limits = RateLimits(pause=9.0)
    ask(how)
    assert 8.0 < limiter.state().paused_for <= 9.0


def test_calls_on_one_loop_share_their_pace_and_their_budget() -> None:
    limiter = Limiter(Pacer(2, start=2))
    most = 0

    def answer(request: Request) -> Script:
        nonlocal most
        most = max(most, limiter.state().in_flight)
        return said("hi", 4, 1)

    provider = Priced(default=answer)
    budget = Budget(WORST * 3)
    how = Asker(provider, policy=POLICY, metering=priced(), budget=budget, gate=limiter)

    async def all_at_once() -> list[Paid]:
        return await asyncio.gather(*(how.ask(REQUEST) for _ in range(20)))

    paid = asyncio.run(all_at_once())
    assert {one.state for one in paid} == {"complete"}
    assert most <= 2
    assert budget.spent == budget.committed == 20 * Decimal("0.005")


def test_a_task_that_is_cancelled_gives_its_call_up_and_its_money_back() -> None:
    released, begun = threading.Event(), threading.Event()
    how = asker([begun.set, lambda: hold(released)], cap=WORST)

    async def cut_short() -> None:
        task = asyncio.create_task(how.ask(REQUEST))
        await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cut_short())
    released.set()
    # The prompt was sent, and that is what it is charged for.
    assert Decimal(0) < how.budget.spent == how.budget.committed < WORST


@pytest.mark.parametrize("blocking", [True, False])
def test_an_embedding_is_a_paid_call_like_any_other(blocking: bool) -> None:
    how = asker(SILENCE, BUSY, [UsageReport(Usage(prompt_tokens=7))])
    texts = ["red", "blue"]
    found = how.embed_blocking(texts) if blocking else asyncio.run(how.embed(texts))
    silent = priced().worst_case(how.provider, Texts(("red", "blue")))
    assert found.vectors == ((1.0, 3.0), (1.0, 4.0))
    assert (found.paid.cost, found.paid.wasted) == (Decimal("0.007"), silent)
    assert (found.paid.prompt_tokens, found.paid.tokens_estimated) == (7, False)
    # Money that a failed try had cost was once given back to the budget.
    assert how.budget.spent == found.paid.spent


def test_vectors_that_do_not_fit_their_texts_are_paid_for_in_vain() -> None:
    class Short(Priced):
        def embed(self, texts: Any) -> Any:
            return super().embed(texts[1:])

    script = [[UsageReport(Usage(prompt_tokens=7))]]
    how = Asker(Short(script), policy=POLICY, metering=priced())
    found = how.embed_blocking(["red", "blue"])
    assert (found.vectors, found.paid.spent) == (None, Decimal("0.007"))
    assert "returned 1 vectors for 2 texts" in str(found.paid.error)


OUTCOMES: dict[str, Callable[[int], Script]] = {
    "answered": lambda tokens: said("hi", tokens, 1),
    "uncounted": lambda tokens: said("hi"),
    "silent": lambda tokens: SILENCE,
    "refused": lambda tokens: BUSY,
    "failed but counted": lambda tokens: failed(BUSY, tokens),
    "broken off": lambda tokens: [TextDelta("h"), SILENCE],
    "a bug": lambda tokens: ZeroDivisionError(),
}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(sorted(OUTCOMES)), st.integers(1, 60)), max_size=30),
    st.integers(1, 12),
    st.integers(1, 6),
)
def test_spent_and_reserved_never_pass_the_cap_whatever_comes_of_the_calls(
    outcomes: list[tuple[str, int]], tenths: int, workers: int
) -> None:
    cap = WORST * tenths / 4
    budget = Budget(cap)
    provider = Priced([OUTCOMES[kind](tokens) for kind, tokens in outcomes], default=BUSY)
    how = Asker(provider, policy=POLICY, metering=priced(), budget=budget)
    seen: list[Decimal] = []

    async def ask_on() -> Decimal:
        spent = Decimal(0)
        for _ in range(3):
            paid = await how.ask(REQUEST, on_try=lambda begun: seen.append(budget.committed))
            assert paid.spent is not None
            spent += paid.spent
        return spent

    async def all_at_once() -> list[Decimal]:
        return await asyncio.gather(*(ask_on() for _ in range(workers)))

    told = sum(asyncio.run(all_at_once()), Decimal(0))
    assert max(seen, default=Decimal(0)) <= cap
    # What the calls say was spent is what the budget counted, to the last digit.
    assert told == budget.spent == budget.committed
