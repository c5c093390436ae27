"""What a call takes: who counts its tokens, what it costs, and what a failed try is charged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from llmflowlab.asking.attempt import Answer
from llmflowlab.asking.metering import DEFAULT_MAX_TOKENS, Metering, Tokens, was_refused
from llmflowlab.asking.pump import Texts
from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConfigurationError,
    ConnectionFailed,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Usage
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.text.tokens import TokenCounter
from tests.asking.priced import PROMPT, Priced, PricesByHand, priced

TALK = Request(
    messages=(
        Message("user", "Why is the sky blue?"),
        Message("assistant", "Rayleigh scattering."),
        Message("user", "And red at dusk?"),
    ),
    system="Be brief.",
)


@pytest.mark.parametrize("model", ["gpt-4.1-mini", "llama3.2", "docs"])
def test_a_request_is_counted_as_chat_formats_send_it(model: str) -> None:
    # Evaluation once counted the bare texts of this conversation, 18 tokens, and chat 37.
    assert priced().prompt_tokens(Priced([], model=model), TALK) == 37


def test_texts_for_vectors_are_counted_without_what_chat_formats_add() -> None:
    counter = TokenCounter()
    counted = Metering(counter).prompt_tokens(Priced([]), Texts(("red", "blue house")))
    assert counted == counter.count("red").value + counter.count("blue house").value


@pytest.mark.parametrize(
    ("usage", "prompt", "completion", "estimated"),
    [
        pytest.param(Usage(prompt_tokens=9, completion_tokens=4), 9, 4, False, id="both reported"),
        pytest.param(Usage(prompt_tokens=0, completion_tokens=0), 37, 2, True, id="zeros"),
        pytest.param(
            Usage(prompt_tokens=9, completion_tokens=0), 9, 2, True, id="zero beside text"
        ),
        pytest.param(Usage(prompt_tokens=9), 9, 2, True, id="prompt alone"),
        pytest.param(Usage(completion_tokens=4), 37, 4, True, id="answer alone"),
        pytest.param(Usage(), 37, 2, True, id="nothing"),
    ],
)
def test_what_the_provider_did_not_count_is_counted_and_marked(
    usage: Usage, prompt: int, completion: int, estimated: bool
) -> None:
    answer = Answer(text="42 it", usage=usage)
    tokens = priced().tokens(Priced([]), TALK, answer)
    assert (tokens.prompt, tokens.completion, tokens.estimated) == (prompt, completion, estimated)


def test_an_answer_without_text_may_have_no_tokens() -> None:
    answer = Answer(text="", usage=Usage(prompt_tokens=9, completion_tokens=0))
    assert priced().tokens(Priced([]), TALK, answer) == Tokens(prompt=9, completion=0)


def test_zeros_that_a_server_fills_in_are_no_price_of_nothing() -> None:
    # `0 + 0 tokens` of a gateway that counts nothing once made its answers free of charge.
    meter, provider = priced(), Priced([])
    answer = Answer(text="four", usage=Usage(prompt_tokens=0, completion_tokens=0))
    tokens = meter.tokens(provider, TALK, answer)
    assert meter.cost(provider, TALK, answer, tokens) == Decimal(37 + tokens.completion) / 1000


def test_reasoning_that_nobody_counted_is_counted_with_the_answer() -> None:
    meter, provider = priced(), Priced([])
    silent = meter.tokens(provider, TALK, Answer(text="four"))
    thinking = meter.tokens(provider, TALK, Answer(text="four", reasoning="two and two " * 5))
    assert thinking.completion > silent.completion


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (RateLimited("x", provider="p"), True),
        (Overloaded("x", provider="p", status=503), True),
        (AuthenticationFailed("x", provider="p"), True),
        (UnknownModel("x", provider="p"), True),
        (BadRequest("x", provider="p", status=400), True),
        (ContextTooLong("x", provider="p"), True),
        (BadAnswer("nothing under this address", provider="p", status=404), True),
        (RefusedBySafety("the prompt", provider="p", status=400), True),
        (TimedOut("x", provider="p", stage="connect"), True),
        (ConnectionFailed("nobody there", provider="p"), True),
        (ConfigurationError("x"), True),
        (RefusedBySafety("the answer", provider="p"), False),
        (TimedOut("x", provider="p", stage="first_token"), False),
        (TimedOut("x", provider="p", stage="between_tokens"), False),
        (ConnectionFailed("the line broke", provider="p", sent=True), False),
        (BadAnswer("unreadable", provider="p"), False),
        (StreamInterrupted("x", provider="p"), False),
        (RecursionError("nested too deep"), False),
    ],
    ids=lambda value: value.__class__.__name__ if isinstance(value, Exception) else "",
)
def test_refused_is_what_the_provider_said_no_to_or_never_got(
    error: Exception, refused: bool
) -> None:
    assert was_refused(error) is refused


def test_every_class_of_provider_error_is_decided_on() -> None:
    # A new class falls under "charged unless it has a status", which somebody must have wanted.
    decided = {
        *(RateLimited, Overloaded, AuthenticationFailed, UnknownModel, BadRequest, ContextTooLong),
        *(ConnectionFailed, TimedOut, BadAnswer, RefusedBySafety, StreamInterrupted),
    }
    assert set(ProviderError.__subclasses__()) == decided


@pytest.mark.parametrize(
    ("usage", "error", "cost"),
    [
        pytest.param(Usage(), Overloaded("x", provider="p"), 0, id="refused"),
        pytest.param(
            Usage(prompt_tokens=7), Overloaded("x", provider="p"), 7, id="refused but counted"
        ),
        pytest.param(
            Usage(prompt_tokens=7, completion_tokens=3), BadAnswer("x", provider="p"), 10, id="told"
        ),
        pytest.param(
            # Once charged at 10 tokens: a server that thinks on, unseen, bills all of it.
            Usage(prompt_tokens=7, completion_tokens=3),
            TimedOut("x", provider="p"),
            7 + 50,
            id="told of its beginning",
        ),
        pytest.param(Usage(prompt_tokens=7), TimedOut("x", provider="p"), 7 + 50, id="half told"),
        pytest.param(Usage(), TimedOut("x", provider="p"), "worst", id="silent"),
        pytest.param(
            Usage(prompt_tokens=0, completion_tokens=0),
            TimedOut("x", provider="p"),
            "worst",
            id="silent with zeros",
        ),
    ],
)
def test_a_failed_try_is_charged_at_what_was_reported_else_at_the_worst_case(
    usage: Usage, error: Exception, cost: int | str
) -> None:
    meter, provider = priced(), Priced([])
    request = Request(messages=PROMPT, parameters=Parameters(max_tokens=50))
    worst = meter.worst_case(provider, request)
    expected = worst if cost == "worst" else Decimal(cost) / 1000
    assert meter.wasted(provider, request, usage, error) == expected


def test_the_worst_case_holds_the_longest_answer_and_more_than_our_count_of_the_prompt() -> None:
    meter, provider = priced(), Priced([])
    request = Request(messages=PROMPT, parameters=Parameters(max_tokens=50))
    prompt = meter.prompt_tokens(provider, request)
    assert meter.worst_case(provider, request) == Decimal(prompt + prompt // 2 + 64 + 50) / 1000
    unlimited = Request(messages=PROMPT)
    assert meter.worst_case(provider, unlimited) == (
        Decimal(prompt + prompt // 2 + 64 + DEFAULT_MAX_TOKENS) / 1000
    )


def test_an_answer_that_broke_off_costs_the_worst_case() -> None:
    meter, provider = priced(), Priced([])
    broken = Answer(text="Hel", state="incomplete")
    tokens = meter.tokens(provider, TALK, broken)
    assert meter.cost(provider, TALK, broken, tokens) == meter.worst_case(provider, TALK)
    counted = Answer(
        text="Hel", state="incomplete", usage=Usage(prompt_tokens=9, completion_tokens=1)
    )
    tokens = meter.tokens(provider, TALK, counted)
    # What was counted by then is its beginning; the rest may have been generated unseen.
    assert meter.cost(provider, TALK, counted, tokens) == Decimal(9 + 4096) / 1000


def test_an_answer_that_was_given_up_costs_what_came_of_it() -> None:
    meter, provider = priced(), Priced([])
    cut = Answer(text="Hel", state="interrupted")
    tokens = meter.tokens(provider, TALK, cut)
    assert meter.cost(provider, TALK, cut, tokens) == Decimal(tokens.total) / 1000


def test_an_unknown_price_is_unknown_and_a_free_model_costs_nothing() -> None:
    failure = TimedOut("x", provider="p")
    unknown, free = Priced([], model="other"), ScriptedProvider([])
    for provider, cost in ((unknown, None), (free, Decimal(0))):
        meter = Metering(TokenCounter(), PricesByHand())
        assert meter.worst_case(provider, TALK) == cost
        assert meter.wasted(provider, TALK, Usage(), failure) == cost
        answer = Answer(text="x")
        assert meter.cost(provider, TALK, answer, meter.tokens(provider, TALK, answer)) == cost
    assert Metering(TokenCounter()).worst_case(Priced([]), TALK) is None


def test_parts_that_one_of_two_answers_does_not_know_are_unknown_of_both() -> None:
    known = Tokens(prompt=1, completion=2, cached=1, reasoning=1)
    both = known + Tokens(prompt=10, completion=20, estimated=True, reasoning=3)
    assert both == Tokens(prompt=11, completion=22, estimated=True, cached=None, reasoning=4)
