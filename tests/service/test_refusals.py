"""Every way a request can be refused: its status, its code, and nothing that is not for the client."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute

from llmflowlab.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ContextTooLong,
    NotConfigured,
    Overloaded,
    TrackingError,
)
from llmflowlab.providers.base import Finished, TextDelta, allow_requests
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.service import openai_routes, responses_routes, service_app
from llmflowlab.service.http_refusals import CODES
from llmflowlab.settings import Settings, load_settings
from tests.loopback import LoopbackServer
from tests.patience import hold
from tests.service.running import Running, everything, key_of, running

SECRET = "sk-operators-own-0123456789"
FAILED: dict[str, Any] = {"provider": "scripted", "model": "model"}


def _asked(answer: Script) -> Callable[[Settings], httpx.Response]:
    def ask(settings: Settings) -> httpx.Response:
        with running(settings, ScriptedProvider(default=answer)) as service:
            return service.complete("Hi")

    return ask


def _sent(method: str, path: str, **more: Any) -> Callable[[Settings], httpx.Response]:
    def ask(settings: Settings) -> httpx.Response:
        with running(settings, ScriptedProvider(default="Yes.")) as service:
            return service.client.request(method, path, **more)

    return ask


@contextmanager
def held(settings: Settings, **limits: Any) -> Iterator[tuple[Running, threading.Event]]:
    """A service whose one answer is under way until the event is set."""
    begun, go_on = threading.Event(), threading.Event()
    model = ScriptedProvider(
        default=[begun.set, lambda: hold(go_on), TextDelta("Done."), Finished("stop", None)]
    )
    with running(settings, model, limits=limits) as service:
        asking = threading.Thread(target=service.chat, args=("Hi", "s"))
        asking.start()
        hold(begun)
        try:
            yield service, go_on
        finally:
            go_on.set()
            asking.join()


def session_busy(settings: Settings) -> httpx.Response:
    with held(settings) as (service, _):
        return service.chat("And?", "s")


def overloaded(settings: Settings) -> httpx.Response:
    with held(settings, concurrent=1, queue=0) as (service, _):
        return service.complete("Hi")


def deadline(settings: Settings) -> httpx.Response:
    with held(settings, deadline=0.05, concurrent=5) as (service, _):
        return service.complete("Hi")


def shutting_down(settings: Settings) -> httpx.Response:
    with held(settings, concurrent=1, queue=5) as (service, _):
        found: list[httpx.Response] = []
        waiting = threading.Thread(target=lambda: found.append(service.complete("Hi")))
        waiting.start()
        while service.client.get("/ready").json()["waiting"] == 0:
            pass
        service.server.should_exit = True
        waiting.join()
        return found[0]


def missing_key(settings: Settings) -> httpx.Response:
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        key_of(settings, "alice")
        return service.complete("Hi")


def invalid_key(settings: Settings) -> httpx.Response:
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        key_of(settings, "alice")
        return service.client.get("/v1/models", headers={"Authorization": "Bearer lfl-guess"})


def wrong_keys(settings: Settings) -> httpx.Response:
    key = key_of(settings, "alice")
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        for _ in range(20):
            service.client.get("/v1/models", headers={"Authorization": "Bearer lfl-guess"})
        # Whoever has a key is not locked out by others who guess.
        assert service.client.get("/v1/models", headers=key).status_code == 200
        return service.client.get("/v1/models", headers={"Authorization": "Bearer lfl-guess"})


def rate_limited(settings: Settings) -> httpx.Response:
    key = key_of(settings, "alice", per_minute=2)
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        first = [service.client.get("/v1/models", headers=key).status_code for _ in range(2)]
        assert first == [200, 200]
        return service.client.get("/v1/models", headers=key)


def too_long(settings: Settings) -> httpx.Response:
    with running(settings, ScriptedProvider(default="Yes."), limits={"most_turns": 1}) as service:
        service.chat("Hi", "s")
        return service.chat("Hi", "s")


def too_large(settings: Settings) -> httpx.Response:
    limits = {"body_bytes": 1000}
    with running(settings, ScriptedProvider(default="Yes."), limits=limits) as service:
        return service.complete("x" * 1000)


def slow_body(settings: Settings) -> httpx.Response:
    limits = {"body_seconds": 0.05}
    with running(settings, ScriptedProvider(default="Yes."), limits=limits) as service:
        raw = service.raw(
            b"POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"query'
        )
    head, _, body = raw.partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    return httpx.Response(int(head.split()[1]), content=body)


def budget(settings: Settings) -> httpx.Response:
    with LoopbackServer() as server:
        there = load_settings(
            server.environment("openai"), cwd=settings.home, stdin_is_terminal=False
        )
        allow_requests(True)
        with running(
            there, "openai:gpt-4.1-mini", limits={"daily_usd": Decimal("1e-6")}
        ) as service:
            found = service.complete("Hi", max_tokens=10)
        assert server.chats() == []
    return found


def broken(settings: Settings) -> httpx.Response:
    with running(settings, ScriptedProvider(default="Yes.")) as service:

        def fault(name: object) -> None:
            raise RuntimeError(f"a fault with {SECRET}")

        service.state.offer = fault
        return service.complete("Hi")


def storage(settings: Settings) -> httpx.Response:
    with running(settings, ScriptedProvider(default="Yes.")) as service:

        def broken(connection: object) -> None:
            raise TrackingError("The service's database failed: disk I/O error.")

        service.state.desk.put = lambda work, lasting=False: type(service.state.desk).put(
            service.state.desk, broken, lasting=lasting
        )
        found = service.client.get("/sessions")
        assert service.client.get("/ready").status_code == 503
        assert service.client.get("/metrics").status_code == 200
        del service.state.desk.put
        return found


PRODUCED: dict[str, Callable[[Settings], httpx.Response]] = {
    "bad_request": _sent("POST", "/chat", json={"question": "Hi"}),
    "unsupported_parameter": _sent(
        "POST",
        "/v1/chat/completions",
        json={"messages": [{"role": "user", "content": "x"}], "n": 2},
    ),
    "context_length_exceeded": _asked(ContextTooLong("It is too long.", **FAILED)),
    "missing_key": missing_key,
    "invalid_key": invalid_key,
    "foreign_host": _sent("GET", "/health", headers={"Host": "evil.example"}),
    "not_found": _sent("GET", "/admin"),
    "model_not_found": _sent("POST", "/chat", json={"query": "Hi", "model": "gpt-9"}),
    "session_not_found": _sent("GET", "/sessions/none"),
    "trace_not_found": _sent(
        "POST", "/feedback", json={"trace_id": "tr-" + "0" * 32, "thumb": "up"}
    ),
    "method_not_allowed": _sent("GET", "/chat"),
    "request_timeout": slow_body,
    "session_busy": session_busy,
    "body_too_large": too_large,
    "conversation_too_long": too_long,
    "rate_limited": rate_limited,
    "too_many_wrong_keys": wrong_keys,
    "budget_exhausted": budget,
    "internal_error": broken,
    "model_failed": _asked(ConnectionFailed("Nothing answered.", **FAILED)),
    "model_unavailable": _asked(
        NotConfigured(f"Set SCRIPTED_API_KEY, now {SECRET}.", provider="scripted")
    ),
    "overloaded": overloaded,
    "shutting_down": shutting_down,
    "storage_failed": storage,
    "deadline_exceeded": deadline,
}
ON_RETRY = {
    *("rate_limited", "too_many_wrong_keys", "budget_exhausted", "session_busy", "overloaded"),
    *("shutting_down", "storage_failed", "model_unavailable", "model_failed"),
}


@pytest.mark.parametrize("code", CODES)
def test_each_code_is_given_with_its_status_and_no_more_than_the_client_may_know(
    settings: Settings, code: str
) -> None:
    refused = PRODUCED[code](replace(settings, max_tries=1))
    error = refused.json()["error"]
    assert (error["code"], refused.status_code) == (code, CODES[code][0])
    assert set(error) == {"message", "type", "code", "param"}
    assert error["message"].endswith((".", "…"))
    for hidden in (SECRET, "Traceback", "SCRIPTED_API_KEY", ".py"):
        assert hidden not in refused.text
    assert ("retry-after" in refused.headers) == (code in ON_RETRY)
    assert ("www-authenticate" in refused.headers) == (refused.status_code == 401)


def test_every_code_is_produced() -> None:
    assert set(PRODUCED) == set(CODES)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (AuthenticationFailed(f"The key {SECRET} was refused.", **FAILED), "model_unavailable"),
        (Overloaded("Busy.", **FAILED), "overloaded"),
    ],
)
def test_a_stream_that_fails_before_its_first_word_has_a_status(
    settings: Settings, failure: Exception, code: str
) -> None:
    with running(replace(settings, max_tries=1), ScriptedProvider(default=failure)) as service:
        for refused in (service.chat("Hi", stream=True), service.complete("Hi", stream=True)):
            assert refused.status_code == CODES[code][0]
            assert refused.json()["error"]["code"] == code
            assert SECRET not in refused.text


def test_a_stream_that_fails_later_says_so_and_what_came_is_kept(settings: Settings) -> None:
    broken: Script = [TextDelta("Half "), ConnectionFailed("The line broke.", **FAILED)]
    with running(settings, ScriptedProvider(default=broken)) as service:
        said = service.complete("Hi", stream=True).text
        plain = service.complete("Hi")
        kept = service.turns()
    last = json.loads(said.strip().rpartition("data: ")[2])
    assert last["error"]["code"] == "model_failed"
    assert "[DONE]" not in said
    # A part must not pass for an answer where the shape has no place to say so.
    assert (plain.status_code, plain.json()["error"]["code"]) == (502, "model_failed")
    assert {turn["answer"].strip() for turn in kept} == {"Half"}
    assert {turn["state"] for turn in kept} == {"incomplete"}


def test_half_heads_are_closed(settings: Settings) -> None:
    limits = {"head_seconds": 0.3}
    with running(settings, ScriptedProvider(default="Yes."), limits=limits) as service:
        with ExitStack() as stack:
            opened = [stack.enter_context(service.line()) for _ in range(300)]
            for line in opened:
                line.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            assert {everything(line) for line in opened} == {b""}
        assert service.client.get("/health").status_code == 200


@pytest.mark.parametrize(
    "sent",
    [
        {"content": b"{", "headers": {"content-type": "application/json"}},
        {"content": b"hello", "headers": {"content-type": "text/plain"}},
        {"json": {"messages": []}},
        {"json": {"model": "another", "messages": [{"role": "user", "content": "Hi"}]}},
        {"json": {"messages": [{"role": "user", "content": "Hi"}], "temperature": "hot"}},
        {"json": {"model": "another", "input": "Hi"}},
        {"json": {"messages": "x" * 3_000}},
    ],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_what_is_answered_before_fastapi_is_refused_as_behind_it(
    settings: Settings, path: str, sent: dict[str, Any]
) -> None:
    """Pages of other origins are answered behind the middlewares, all others in front of them."""
    found = []
    for origins in ((), ("https://page.example",)):
        model = ScriptedProvider(default="Hello.", settings=settings)
        with running(settings, model, limits={"body_bytes": 2_000}, origins=origins) as service:
            answered = service.client.post(path, **sent)
            found.append(
                (answered.status_code, answered.json(), answered.headers["x-content-type-options"])
            )
            assert service.client.get(path).status_code == 405
    assert found[0] == found[1]
    assert found[0][0] >= 400


def test_what_is_answered_before_fastapi_is_what_it_describes() -> None:
    described = {
        route.path: route.endpoint
        for routes in (openai_routes, responses_routes)
        for route in routes.router.routes
        if isinstance(route, APIRoute) and "POST" in (route.methods or ())
    }
    assert service_app._AT_ONCE.keys() == described.keys()
