"""The Gemini provider through its real SDK, against a loopback server that speaks Google's protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmflowlab.asking.calling import CallPolicy, Cancellation, call
from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
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
from llmflowlab.providers.base import TextDelta
from llmflowlab.providers.gemini.provider import GeminiProvider
from llmflowlab.settings import load_settings
from tests.loopback.scenario import Fault, FaultKind, Tokens
from tests.loopback.server import LoopbackServer, closed_port
from tests.patience import PATIENCE
from tests.providers.http_of import http_of, lines_of

HELLO = Request(messages=(Message("user", "Grüße, 世界 🌍"),))
ONCE = CallPolicy(max_tries=1)

Make = Callable[..., GeminiProvider]


@pytest.fixture
def make(loopback: LoopbackServer, requests_allowed: None, tmp_path: Path) -> Iterator[Make]:
    made: list[GeminiProvider] = []

    def build(model: str = "gemini-2.5-flash", **environ: str) -> GeminiProvider:
        merged = {**loopback.environment("gemini"), **environ}
        settings = load_settings(merged, cwd=tmp_path, stdin_is_terminal=False)
        made.append(GeminiProvider(model, settings))
        return made[-1]

    yield build
    for provider in made:
        provider.close()


def test_an_answer_streams_whole_with_usage_and_version(make: Make, loopback: LoopbackServer):
    loopback.scenario.tokens["gemini"] = Tokens(prompt=11, completion=7, cached=4, reasoning=30)
    loopback.scenario.torn = True
    answer = call(make(), HELLO, policy=ONCE)
    assert (answer.text, answer.state) == ("You said: Grüße, 世界 🌍", "complete")
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 37)
    assert (answer.usage.cached_tokens, answer.usage.reasoning_tokens) == (4, 30)
    assert (answer.finish_reason, answer.model_version) == ("stop", "gemini-2.5-flash")
    sent = loopback.last
    assert sent.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent"
    assert sent.headers["x-goog-api-key"] == loopback.scenario.keys["gemini"]
    # A limit on the whole answer, which nobody asked for.
    assert "x-server-timeout" not in sent.headers


def test_thoughts_are_kept_apart_from_the_answer(make: Make, loopback: LoopbackServer):
    loopback.scenario.reasoning = "Let me think"
    answer = call(make(), HELLO, policy=ONCE)
    assert (answer.reasoning, answer.text[:8]) == ("Let me think", "You said")


def test_parameters_system_prompt_and_schema_are_sent(make: Make, loopback: LoopbackServer):
    schema = {"type": "object", "properties": {"result": {"type": "string"}}}
    request = Request(
        messages=(Message("user", "a"), Message("assistant", "b"), Message("user", "c")),
        system="Be brief",
        parameters=Parameters(temperature=0.2, top_p=0.9, max_tokens=50, seed=3),
        response_schema=schema,
    )
    call(make(), request, policy=ONCE)
    body = loopback.last.body
    assert [turn["role"] for turn in body["contents"]] == ["user", "model", "user"]
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief"}]
    assert body["generationConfig"] == {
        "temperature": 0.2,
        "topP": 0.9,
        "maxOutputTokens": 50,
        "seed": 3,
        "responseMimeType": "application/json",
        "responseJsonSchema": schema,
    }


def test_the_connection_is_used_again_for_the_next_turn(make: Make, loopback: LoopbackServer):
    provider = make()
    for _ in range(3):
        # Read in this thread: `call` leaves the closing to another, which may come late.
        list(provider.stream(HELLO))
    assert len(lines_of(http_of(provider)._transport)) == 1


def test_thoughts_that_used_up_the_limit_leave_an_empty_answer(
    make: Make, loopback: LoopbackServer
):
    loopback.fail("thoughts_only")
    answer = call(make(), HELLO, policy=ONCE)
    assert (answer.text, answer.finish_reason, answer.state) == ("", "length", "complete")
    assert answer.usage.reasoning_tokens == 64


def test_an_answer_stopped_by_a_filter_keeps_its_text(make: Make, loopback: LoopbackServer):
    loopback.fail(Fault("blocked_answer", after=2))
    answer = call(make(), HELLO, policy=ONCE)
    assert (answer.text, answer.finish_reason) == ("You said:", "safety")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limited", RateLimited),
        ("quota_used_up", BadRequest),
        ("overloaded", Overloaded),
        ("internal_error", Overloaded),
        ("wrong_key", AuthenticationFailed),
        ("forbidden", AuthenticationFailed),
        ("unknown_model", UnknownModel),
        ("context_too_long", ContextTooLong),
        ("bad_parameter", BadRequest),
        ("blocked_prompt", RefusedBySafety),
        ("blocked_answer", RefusedBySafety),
        ("reset", ConnectionFailed),
        ("malformed", BadAnswer),
    ],
)
def test_a_failure_before_the_answer_is_mapped(
    fault: FaultKind, kind: type[ProviderError], make: Make, loopback: LoopbackServer
):
    loopback.fail(fault if fault != "blocked_answer" else Fault(fault, after=0))
    with pytest.raises(kind) as caught:
        call(make(), HELLO, policy=ONCE)
    assert type(caught.value) is kind
    assert loopback.scenario.keys["gemini"] not in str(caught.value)


@pytest.mark.parametrize(
    "fault", ["drop", "reset", "error_in_stream", "unfinished", "malformed", "hang"]
)
def test_a_failure_in_the_middle_keeps_what_came(
    fault: FaultKind, make: Make, loopback: LoopbackServer
):
    loopback.fail(Fault(fault, after=2))
    # Only a line that hangs is given up early: a busy machine may be slow with the others.
    policy = CallPolicy(token_timeout=1.0) if fault == "hang" else CallPolicy()
    answer = call(make(), HELLO, policy=policy)
    assert (answer.state, answer.text) == ("incomplete", "You said:")
    assert isinstance(answer.error, StreamInterrupted)
    assert answer.usage.prompt_tokens == 11
    assert len(loopback.chats()) == 1


@pytest.mark.parametrize("fault", ["rate_limited", "overloaded", "internal_error", "reset", "hang"])
def test_a_failure_that_passes_is_overcome(fault: FaultKind, make: Make, loopback: LoopbackServer):
    loopback.fail(fault, fault)
    # Where an answer is given up early, a busy machine may need more tries for one that comes.
    hangs = fault == "hang"
    policy = CallPolicy(backoff_base=0.001, max_tries=50)
    if hangs:
        policy = replace(policy, first_token_timeout=0.2)
    answer = call(make(), HELLO, policy=policy)
    assert answer.state == "complete"
    assert answer.tries >= 3 if hangs else answer.tries == 3


def test_the_wait_that_retry_info_asks_for_is_kept(make: Make, loopback: LoopbackServer):
    loopback.fail(Fault("rate_limited", wait=3600))
    with pytest.raises(RateLimited, match="Gemini asks to wait 3600 s") as caught:
        call(make(), HELLO, policy=CallPolicy())
    assert (caught.value.retry_after, caught.value.tries) == (3600, 1)


def test_the_sdks_own_read_deadline_ends_a_connection_that_hangs(
    make: Make, loopback: LoopbackServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("llmflowlab.providers.transport.READ_SLACK", 0.1)
    provider = make(LLMFLOWLAB_FIRST_TOKEN_TIMEOUT="0.1", LLMFLOWLAB_TOKEN_TIMEOUT="0.1")
    loopback.fail("hang")
    with pytest.raises(TimedOut) as caught:
        list(provider.stream(HELLO))
    assert caught.value.stage == "first_token"


def test_giving_an_answer_up_closes_its_connection(make: Make, loopback: LoopbackServer):
    loopback.scenario.answer = lambda question: "word " * 10_000
    loopback.scenario.token_latency = 0.001
    stop = Cancellation()
    answer = call(make(), HELLO, policy=ONCE, cancelled=stop, on_event=lambda event: stop.set())
    assert answer.state == "interrupted"
    assert loopback.last.disconnected.wait(PATIENCE)


def test_a_stream_closed_early_closes_its_connection(make: Make, loopback: LoopbackServer):
    # On Python 3.10 the garbage collector came too late for this.
    loopback.scenario.answer = lambda question: "word " * 10_000
    loopback.scenario.token_latency = 0.001
    stream = make().stream(HELLO)
    assert any(isinstance(event, TextDelta) for event in stream)
    stream.close()  # type: ignore[attr-defined]  # a generator, as every provider's stream is
    assert loopback.last.disconnected.wait(PATIENCE)


def test_nothing_at_the_address_says_so(make: Make):
    address = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(ConnectionFailed, match=f"cannot be reached at {address}"):
        call(make(GOOGLE_GEMINI_BASE_URL=address), HELLO, policy=ONCE)


def test_a_server_that_is_not_geminis_says_so(make: Make, loopback: LoopbackServer):
    wrong = make(GOOGLE_GEMINI_BASE_URL=f"{loopback.url}/elsewhere")
    with pytest.raises(ProviderError) as caught:
        call(wrong, HELLO, policy=ONCE)
    assert "GOOGLE_GEMINI_BASE_URL" in caught.value.message


def test_models_are_listed_with_their_windows(make: Make, loopback: LoopbackServer):
    models = make("gemini-2.5-pro").list_models()
    assert [(m.name, m.context_window) for m in models] == [
        ("gemini-2.5-flash", 1048576),
        ("gemini-2.5-pro", 1048576),
    ]


def test_the_window_is_asked_of_the_server_and_unknown_where_it_fails(
    make: Make, loopback: LoopbackServer
):
    assert make().context_window() == 1048576
    assert make("gemini-9-nothing").context_window() is None


def test_a_server_that_breaks_while_listing_is_mapped(make: Make, loopback: LoopbackServer):
    # Asked once more where nothing came: reading a list twice does no harm.
    loopback.fail(*[Fault("reset", on="other")] * 2)
    with pytest.raises(ConnectionFailed):
        make().list_models()
