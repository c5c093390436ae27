"""Clients that leave, and a service that ends, in the middle of an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from llmflowlab.lab.measure import measured
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.records import TurnRecord
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE, hold
from tests.service.running import Running, running

MODEL = "openai:gpt-4.1-mini"


@pytest.fixture
def service(
    settings: Settings, loopback: LoopbackServer, requests_allowed: None
) -> Iterator[Running]:
    there = load_settings(
        loopback.environment("openai"), cwd=settings.home, stdin_is_terminal=False
    )
    with running(there, MODEL, limits={"concurrent": 1}) as found:
        yield found


def begin(service: Running, path: str, body: dict[str, Any]) -> socket.socket:
    request = httpx.Request("POST", f"{service.url}{path}", json=body)
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    line = socket.create_connection(("127.0.0.1", service.port), PATIENCE)
    line.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + request.content)
    return line


BODIES: dict[str, dict[str, Any]] = {
    "/chat": {"query": "Hi", "session_id": "s"},
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
}


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("after", [None, 1])
def test_the_model_is_left_when_the_client_leaves(
    service: Running, loopback: LoopbackServer, path: str, stream: bool, after: int | None
) -> None:
    loopback.fail(Fault("hang", after=after))
    with begin(service, path, {**BODIES[path], "stream": stream}) as line:
        with loopback.arrived:
            assert loopback.arrived.wait_for(loopback.chats, PATIENCE)
        if stream and after is not None:
            said = b""
            while b"You" not in said:
                said += line.recv(65536)
    # A second is what the provider's line may live on; a busy machine is given more, but no answer's time.
    assert loopback.chats()[0].disconnected.wait(PATIENCE)
    (turn,) = service.turns()
    assert turn["state"] in {"interrupted", "failed"}
    if stream and after is not None:
        assert turn["answer"].strip() == "You"
    assert turn["tokens_estimated"]
    assert turn["prompt_tokens"] >= 1
    assert turn["cost_usd"] is not None
    # Slot and session are free: with one slot alone the next is answered.
    assert service.chat("Again", "s").status_code == 200
    assert service.client.get("/ready").json()["answers_under_way"] == 0


def test_who_waits_for_a_turn_and_leaves_is_not_answered(settings: Settings) -> None:
    begun, go_on = threading.Event(), threading.Event()
    model = ScriptedProvider(
        [[begun.set, lambda: hold(go_on), TextDelta("One."), Finished("stop", None)]],
        default="Two.",
    )
    with running(settings, model, limits={"concurrent": 1, "queue": 1}) as service:
        asking = threading.Thread(target=service.chat, args=("Hi", "s"))
        asking.start()
        hold(begun)
        with begin(service, "/chat", {"query": "never", "session_id": "t"}):
            while service.client.get("/ready").json()["waiting"] == 0:
                pass
        while service.client.get("/ready").json()["waiting"]:
            pass
        go_on.set()
        asking.join()
        assert service.chat("Next", "t").json()["turn"] == 0
    assert [request.messages[-1].content for request in model.requests] == ["Hi", "Next"]


def test_answers_under_way_are_given_before_the_end(settings: Settings) -> None:
    begun, go_on = threading.Event(), threading.Event()
    model = ScriptedProvider(
        default=[
            begun.set,
            TextDelta("One "),
            lambda: hold(go_on),
            TextDelta("two."),
            Finished("stop", None),
        ]
    )
    found: list[httpx.Response] = []
    with running(settings, model) as service:
        asking = threading.Thread(target=lambda: found.append(service.complete("Hi", stream=True)))
        asking.start()
        hold(begun)
        service.server.should_exit = True
        while not service.state.draining:
            pass
        go_on.set()
        asking.join()
    assert found[0].text.endswith("data: [DONE]\n\n")


def test_what_takes_too_long_at_the_end_is_given_up_and_kept(settings: Settings) -> None:
    begun, go_on = threading.Event(), threading.Event()
    model = ScriptedProvider(
        default=[begun.set, TextDelta("Half "), lambda: hold(go_on), Finished("stop", None)]
    )
    with running(settings, model, limits={"drain": 0.1}) as service:
        asking = threading.Thread(target=service.chat, args=("Hi", "s"))
        asking.start()
        hold(begun)
        service.server.should_exit = True
        asking.join()
        go_on.set()
    with running(settings, model) as service:
        (turn,) = service.turns()
    assert (turn["answer"].strip(), turn["state"]) == ("Half", "interrupted")


def test_the_last_piece_leaves_before_the_answer_is_measured(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes with the answer's end, and waited for its language and its record."""
    first, last, owner = threading.Event(), threading.Event(), measured
    in_time: list[bool] = []

    def late(*args: Any) -> TurnRecord:
        in_time.append(last.wait(PATIENCE))
        return owner(*args)

    monkeypatch.setattr("llmflowlab.service.generation.measured", late)
    beginning, end = TextDelta("One. "), (TextDelta("Two."), Finished("stop", None))
    model = ScriptedProvider([[beginning, lambda: hold(first), *end]])
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": True}
    with (
        running(settings, model) as service,
        begin(service, "/v1/chat/completions", body) as line,
    ):
        said = b""
        while b"[DONE]" not in said:
            said += line.recv(65536)
            if b"One." in said:
                first.set()
            if b"Two." in said:
                last.set()
    assert in_time == [True]
