"""The Ollama provider through its real SDK, against a loopback server that speaks its protocol."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
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
    StreamInterrupted,
    TimedOut,
    UnknownModel,
)
from llmflowlab.messages import Message, Request
from llmflowlab.providers.ollama.provider import OllamaProvider
from llmflowlab.settings import load_settings
from tests.loopback.scenario import Fault, FaultKind, Tokens
from tests.loopback.server import LoopbackServer, closed_port
from tests.patience import PATIENCE
from tests.providers.http_of import http_of, lines_of

HELLO = Request(messages=(Message("user", "Grüße, 世界 🌍"),))
ONCE = CallPolicy(max_tries=1)

Make = Callable[..., OllamaProvider]


@pytest.fixture
def make(loopback: LoopbackServer, requests_allowed: None, tmp_path: Path) -> Iterator[Make]:
    made: list[OllamaProvider] = []

    def build(model: str = "llama3.2", **environ: str) -> OllamaProvider:
        merged = {**loopback.environment("ollama"), **environ}
        settings = load_settings(merged, cwd=tmp_path, stdin_is_terminal=False)
        made.append(OllamaProvider(model, settings))
        return made[-1]

    yield build
    for provider in made:
        provider.close()


def test_an_answer_streams_whole_with_usage_and_version(make: Make, loopback: LoopbackServer):
    loopback.scenario.tokens["ollama"] = Tokens(prompt=11, completion=7)
    loopback.scenario.reasoning = "Let me think"
    loopback.scenario.torn = True
    answer = call(make(), HELLO, policy=ONCE)
    assert (answer.text, answer.state) == ("You said: Grüße, 世界 🌍", "complete")
    assert answer.reasoning == "Let me think"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (11, 7)
    assert (answer.finish_reason, answer.model_version) == ("stop", "llama3.2")
    assert "authorization" not in loopback.last.headers


def test_the_connection_is_used_again_for_the_next_turn(make: Make, loopback: LoopbackServer):
    provider = make()
    for _ in range(3):
        # Read in this thread: `call` leaves the closing to another, which may come late.
        list(provider.stream(HELLO))
    assert len(lines_of(http_of(provider)._transport)) == 1


def test_a_key_for_a_gateway_is_sent(make: Make, loopback: LoopbackServer):
    loopback.scenario.keys["ollama"] = "gateway-key-0123456789"
    answer = call(make(OLLAMA_API_KEY="gateway-key-0123456789"), HELLO, policy=ONCE)
    assert answer.state == "complete"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("rate_limited", RateLimited),
        ("overloaded", Overloaded),
        ("internal_error", Overloaded),
        ("wrong_key", AuthenticationFailed),
        ("forbidden", AuthenticationFailed),
        ("unknown_model", UnknownModel),
        ("context_too_long", ContextTooLong),
        ("bad_parameter", BadRequest),
        ("reset", ConnectionFailed),
        ("malformed", BadAnswer),
    ],
)
def test_a_failure_before_the_answer_is_mapped(
    fault: FaultKind, kind: type[ProviderError], make: Make, loopback: LoopbackServer
):
    loopback.fail(fault)
    with pytest.raises(kind) as caught:
        call(make(), HELLO, policy=ONCE)
    assert type(caught.value) is kind


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


@pytest.mark.parametrize("fault", ["rate_limited", "overloaded"])
def test_the_wait_asked_for_is_read_though_the_sdk_drops_it(
    fault: FaultKind, make: Make, loopback: LoopbackServer
):
    loopback.fail(Fault(fault, wait=3600))
    with pytest.raises(ProviderError, match="Ollama asks to wait 3600 s") as caught:
        call(make(), HELLO, policy=CallPolicy())
    assert caught.value.retry_after == 3600


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
    # Else Ollama would go on computing what nobody reads.
    loopback.scenario.answer = lambda question: "word " * 10_000
    loopback.scenario.token_latency = 0.001
    stop = Cancellation()
    answer = call(make(), HELLO, policy=ONCE, cancelled=stop, on_event=lambda event: stop.set())
    assert answer.state == "interrupted"
    assert loopback.last.disconnected.wait(PATIENCE)


def test_nothing_at_the_address_says_so_in_answers_and_in_lists(make: Make):
    address = f"http://127.0.0.1:{closed_port()}"
    provider = make(OLLAMA_HOST=address)
    with pytest.raises(ConnectionFailed, match=f"Nothing answers at {address}; start Ollama"):
        call(provider, HELLO, policy=ONCE)
    with pytest.raises(ConnectionFailed, match=f"Nothing answers at {address}; start Ollama"):
        provider.list_models()
    assert provider.context_window() is None


def test_a_model_that_is_not_there_names_the_command_that_gets_it(make: Make):
    with pytest.raises(UnknownModel, match="run `ollama pull qwen3:14b`"):
        call(make("qwen3:14b"), HELLO, policy=ONCE)


def test_models_windows_and_downloads_are_read(make: Make, loopback: LoopbackServer):
    assert [model.name for model in make().list_models()] == ["llama3.2", "qwen3:4b"]
    assert make().context_window() == 4096
    progress = list(make("phi4").pull())
    assert progress[-1].status == "success"
    assert any(p.completed and p.completed == p.total for p in progress)
    assert "phi4" in [model.name for model in make().list_models()]


def test_a_download_of_what_the_library_lacks_is_an_unknown_model(make: Make):
    with pytest.raises(UnknownModel):
        list(make("missing-model").pull())


@pytest.mark.parametrize(
    "environ", [{"ALL_PROXY": "socks5://127.0.0.1:9"}, {"SSL_CERT_FILE": "/no/such.pem"}]
)
def test_the_sdk_can_be_imported_whatever_the_environment_names(
    environ: dict[str, str], loopback: LoopbackServer
):
    # It makes a client as it is imported; "the package ollama is missing" was the answer.
    program = """
        from llmflowlab.messages import Message, Request
        from llmflowlab.providers.factory import build
        from llmflowlab.settings import load_settings

        provider = build("ollama:llama3.2", load_settings())
        request = Request(messages=(Message("user", "hello"),))
        print("".join(getattr(event, "text", "") for event in provider.stream(request)))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **loopback.environment("ollama"), **environ},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
