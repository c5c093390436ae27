"""OpenAI and Azure over HTTP, and Claude through its real SDK, against a loopback server that speaks all three."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from llmflowlab.asking.calling import CallPolicy, call
from llmflowlab.errors import (
    AuthenticationFailed,
    BadAnswer,
    BadRequest,
    ConfigurationError,
    ConnectionFailed,
    ContextTooLong,
    LabError,
    Overloaded,
    ProviderError,
    RateLimited,
    RefusedBySafety,
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Finished, Provider, TextDelta, Usage, allow_requests
from llmflowlab.providers.factory import build
from llmflowlab.settings import load_settings
from tests.loopback import Fault, FaultKind, LoopbackServer, Tokens, WireName, closed_port
from tests.patience import PATIENCE
from tests.providers.http_of import http_of, lines_of

HELLO = Request(messages=(Message("user", "Grüße, 世界 🌍"),))
ONCE = CallPolicy(max_tries=1)
SCHEMA = {
    "title": "Verdict",
    "type": "object",
    "properties": {"result": {"type": "string"}, "rationale": {"type": "string"}},
    "required": ["result", "rationale"],
}
CLOSED = {**SCHEMA, "additionalProperties": False}
VERSIONS = {
    "openai": "gpt-4.1-mini-2025-04-14",
    "azure": "gpt-4.1-mini-2025-04-14",
    "anthropic": "claude-haiku-4-5-20251001",
}
WIRES: tuple[WireName, ...] = ("openai", "azure", "anthropic")

Make = Callable[..., Provider]


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest) -> WireName:
    name: WireName = request.param
    return name


@pytest.fixture
def make(loopback: LoopbackServer, requests_allowed: None, tmp_path: Path) -> Iterator[Make]:
    made: list[Provider] = []

    def make_provider(reference: str, **environ: str) -> Provider:
        merged = {**loopback.environment(), **environ}
        settings = load_settings(merged, cwd=tmp_path, stdin_is_terminal=False)
        made.append(build(reference, settings))
        return made[-1]

    yield make_provider
    for provider in made:
        provider.close()


def test_an_answer_streams_whole_with_usage_and_version(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.scenario.tokens[wire] = Tokens(prompt=11, completion=7, cached=4, reasoning=30)
    loopback.scenario.torn = True
    answer = call(make(wire), HELLO, policy=ONCE)
    assert (answer.text, answer.state) == ("You said: Grüße, 世界 🌍", "complete")
    assert (answer.finish_reason, answer.model_version) == ("stop", VERSIONS[wire])
    # Claude's stream says how many tokens its thoughts took only where the SDK knows of it.
    thoughts = None if wire == "anthropic" else 30
    assert answer.usage == Usage(
        prompt_tokens=11, completion_tokens=37, cached_tokens=4, reasoning_tokens=thoughts
    )


# Servers that speak OpenAI's protocol are of many makers.
@pytest.mark.parametrize("wire", ["openai", "azure"], indirect=True)
def test_a_server_that_never_streams_is_read_all_the_same(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.scenario.tokens[wire] = Tokens(prompt=11, completion=7)
    loopback.scenario.never_streams = True
    answer = call(make(wire), HELLO, policy=ONCE)
    assert (answer.text, answer.state) == ("You said: Grüße, 世界 🌍", "complete")
    assert (answer.finish_reason, answer.model_version) == ("stop", VERSIONS[wire])
    assert answer.usage is not None
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7)


def test_the_last_event_is_finished_and_pieces_come_one_by_one(make: Make, wire: WireName):
    events = list(make(wire).stream(HELLO))
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert pieces == ["You", " said:", " Grüße,", " 世界", " 🌍"]
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1


def test_thoughts_are_kept_apart_from_the_answer(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.scenario.reasoning = "Let me think"
    answer = call(make(wire), HELLO, policy=ONCE)
    assert (answer.reasoning, answer.text[:8]) == ("Let me think", "You said")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault("rate_limited", wait=1.5), RateLimited),
        ("rate_limited", RateLimited),
        ("quota_used_up", BadRequest),
        ("overloaded", Overloaded),
        ("internal_error", Overloaded),
        (Fault("overloaded", status=502), Overloaded),
        (Fault("overloaded", status=504), Overloaded),
        ("wrong_key", AuthenticationFailed),
        ("forbidden", AuthenticationFailed),
        ("unknown_model", UnknownModel),
        ("context_too_long", ContextTooLong),
        ("bad_parameter", BadRequest),
        ("blocked_prompt", RefusedBySafety),
        ("blocked_answer", RefusedBySafety),
        ("reset", ConnectionFailed),
        (Fault("drop", after=0), ConnectionFailed),
        ("malformed", BadAnswer),
        (Fault("error_in_stream", after=0), Overloaded),
    ],
    ids=str,
)
def test_a_failure_before_the_answer_is_told_by_its_kind(
    make: Make,
    wire: WireName,
    loopback: LoopbackServer,
    fault: Fault | FaultKind,
    kind: type[ProviderError],
):
    provider = make(wire)
    loopback.fail(fault)
    with pytest.raises(ProviderError) as caught:
        list(provider.stream(HELLO))
    assert type(caught.value) is kind
    assert (caught.value.provider, caught.value.model) == (wire, provider.model)
    assert len(loopback.chats()) == 1, "the SDK must not retry: the caller does"
    assert loopback.scenario.keys[wire] not in caught.value.message
    assert caught.value.message.endswith((".", "!", "…"))


@pytest.mark.parametrize(
    "fault",
    [
        "drop",
        "unfinished",
        "error_in_stream",
        Fault("reset", after=1),
        Fault("malformed", after=1),
    ],
    ids=str,
)
def test_an_answer_that_breaks_off_is_kept_and_marked_incomplete(
    make: Make, wire: WireName, loopback: LoopbackServer, fault: Fault | FaultKind
):
    loopback.fail(fault)
    answer = call(make(wire), HELLO, policy=CallPolicy(max_tries=3))
    assert (answer.text, answer.state, answer.finish_reason) == ("You", "incomplete", None)
    assert isinstance(answer.error, StreamInterrupted)
    assert len(loopback.chats()) == 1


def test_the_wait_asked_for_reaches_the_caller(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.fail(Fault("rate_limited", wait=1.5))
    with pytest.raises(RateLimited) as caught:
        list(make(wire).stream(HELLO))
    assert (caught.value.retry_after, caught.value.status) == (1.5, 429)


def test_a_server_that_says_nothing_is_given_up(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.fail("hang")
    with pytest.raises(TimedOut) as caught:
        call(make(wire), HELLO, policy=CallPolicy(max_tries=1, first_token_timeout=0.2))
    assert caught.value.stage == "first_token"


def test_the_sdks_own_deadline_is_mapped_too(
    make: Make, wire: WireName, loopback: LoopbackServer, monkeypatch: pytest.MonkeyPatch
):
    # The second one's first token has to come in time, on a busy machine too.
    for seconds, fault, stage in (
        (0.1, Fault("hang"), "first_token"),
        (1.0, Fault("hang", after=1), "between_tokens"),
    ):
        monkeypatch.setattr("llmflowlab.providers.connections.read_timeout", lambda _, s=seconds: s)
        loopback.fail(fault)
        with pytest.raises(TimedOut) as caught:
            list(make(wire).stream(HELLO))
        assert caught.value.stage == stage


def test_giving_a_stream_up_closes_its_connection(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.fail(Fault("hang", after=1))
    stream = make(wire).stream(HELLO)
    assert any(isinstance(event, TextDelta) for event in stream)
    stream.close()  # type: ignore[attr-defined]  # a generator, as every provider's stream is
    assert loopback.last.disconnected.wait(PATIENCE)


@pytest.mark.parametrize(
    ("reference", "variable", "suffix"),
    [
        ("openai", "OPENAI_BASE_URL", "/v1"),
        ("azure", "AZURE_OPENAI_ENDPOINT", ""),
        ("anthropic", "ANTHROPIC_BASE_URL", ""),
    ],
)
def test_an_address_where_nothing_answers_is_named(
    make: Make, reference: str, variable: str, suffix: str
):
    address = f"http://127.0.0.1:{closed_port()}{suffix}"
    with pytest.raises(ConnectionFailed) as caught:
        list(make(reference, **{variable: address}).stream(HELLO))
    assert address in caught.value.message
    assert variable in caught.value.message


def test_a_stopped_answer_keeps_its_text(make: Make, wire: WireName, loopback: LoopbackServer):
    loopback.fail(Fault("blocked_answer", after=2))
    answer = call(make(wire), HELLO, policy=ONCE)
    assert (answer.text, answer.finish_reason) == ("You said:", "safety")


def test_thoughts_that_used_up_the_limit_leave_an_empty_answer(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.fail("thoughts_only")
    answer = call(make(wire), HELLO, policy=ONCE)
    assert (answer.text, answer.finish_reason, answer.state) == ("", "length", "complete")
    assert answer.usage.completion_tokens == 64


def test_a_limit_on_tokens_ends_the_answer_with_length(make: Make, wire: WireName):
    request = Request(messages=HELLO.messages, parameters=Parameters(max_tokens=2))
    answer = call(make(wire), request, policy=ONCE)
    assert (answer.text, answer.finish_reason) == ("You said:", "length")


@pytest.mark.parametrize(
    ("reference", "limit"),
    [("openai", "max_tokens"), ("azure", "max_completion_tokens"), ("anthropic", "max_tokens")],
)
def test_parameters_system_prompt_and_conversation_are_sent(
    make: Make, loopback: LoopbackServer, reference: str, limit: str
):
    request = Request(
        messages=(Message("user", "a"), Message("assistant", "b"), Message("user", "c")),
        system="Be brief",
        parameters=Parameters(temperature=0.2, top_p=0.9, max_tokens=50, seed=3),
    )
    call(make(reference), request, policy=ONCE)
    body = loopback.last.body
    assert {name: body[name] for name in ("temperature", "top_p", limit)} == {
        "temperature": 0.2,
        "top_p": 0.9,
        limit: 50,
    }
    talk = [(turn["role"], turn["content"]) for turn in body["messages"]]
    if reference == "anthropic":
        assert body["system"] == "Be brief"
        assert "seed" not in body, "Anthropic has none and refuses what it does not know"
    else:
        assert talk.pop(0) == ("system", "Be brief")
        assert body["seed"] == 3
        assert body["stream_options"] == {"include_usage": True}
    assert talk == [("user", "a"), ("assistant", "b"), ("user", "c")]


def test_what_is_not_set_is_not_sent(make: Make, wire: WireName, loopback: LoopbackServer):
    call(make(wire), HELLO, policy=ONCE)
    names = set(loopback.last.body) - {"stream_options"}
    always = {"model", "messages", "stream"}
    assert names == (always | {"max_tokens"} if wire == "anthropic" else always)


def test_a_response_schema_is_sent_in_the_vendors_form(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    loopback.scenario.verdict = lambda whole: "no"
    request = Request(messages=HELLO.messages, response_schema=SCHEMA)
    answer = call(make(wire), request, policy=ONCE)
    assert answer.text == '{"result": "no", "rationale": "The loopback judge says no."}'
    if wire == "anthropic":
        form = loopback.last.body["output_config"]["format"]
        assert form == {"type": "json_schema", "schema": CLOSED}
    else:
        form = loopback.last.body["response_format"]
        schema = {"name": "Verdict", "schema": CLOSED, "strict": True}
        assert form == {"type": "json_schema", "json_schema": schema}


def test_the_connection_is_used_again_for_the_next_turn(make: Make, wire: WireName):
    provider = make(wire)
    for _ in range(3):
        # Read in this thread: `call` leaves the closing to another, which may come late.
        list(provider.stream(HELLO))
    assert len(lines_of(http_of(provider)._transport)) == 1


def test_one_provider_serves_many_threads(make: Make, wire: WireName, loopback: LoopbackServer):
    provider = make(wire)

    def ask(number: int) -> str:
        request = Request(messages=(Message("user", f"number {number}"),))
        return call(provider, request, policy=ONCE).text

    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(ask, range(24)))
    assert texts == [f"You said: number {number}" for number in range(24)]


def test_nothing_is_sent_where_requests_are_switched_off(
    make: Make, wire: WireName, loopback: LoopbackServer
):
    provider = make(wire)
    allow_requests(False)
    with pytest.raises(ConfigurationError):
        list(provider.stream(HELLO))
    assert loopback.requests == []


def test_models_are_listed_the_default_first(make: Make, wire: WireName, loopback: LoopbackServer):
    provider = make(wire)
    loopback.scenario.models[wire].reverse()
    names = [model.name for model in provider.list_models()]
    assert names[0] == provider.model
    assert "text-embedding-3-small" not in names


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("wrong_key", AuthenticationFailed),
        ("overloaded", Overloaded),
        ("reset", ConnectionFailed),
        ("malformed", BadAnswer),
    ],
)
@pytest.mark.parametrize("reference", ["openai", "anthropic"])
def test_a_failure_while_listing_models_is_mapped(
    make: Make,
    loopback: LoopbackServer,
    reference: str,
    fault: FaultKind,
    kind: type[LabError],
):
    # Twice: where nothing came a list is asked for once more, which does no harm.
    loopback.fail(*[Fault(fault, on="other")] * 2)
    with pytest.raises(kind):
        make(reference).list_models()


def test_an_address_that_is_no_api_is_said_to_be_none(make: Make, loopback: LoopbackServer):
    with pytest.raises(BadAnswer, match="OPENAI_BASE_URL"):
        list(make("openai", OPENAI_BASE_URL=f"{loopback.url}/nowhere").stream(HELLO))
    with pytest.raises(BadAnswer, match="OPENAI_API_VERSION"):
        list(make("azure", AZURE_OPENAI_ENDPOINT=f"{loopback.url}/nowhere").stream(HELLO))
