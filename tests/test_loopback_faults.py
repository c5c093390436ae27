"""Faults of the loopback server, as the vendors' servers have them."""

from __future__ import annotations

import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.loopback import Fault, FaultKind, LoopbackServer, WireName
from tests.loopback.asking import WIRES, ask, send, text_of
from tests.patience import PATIENCE


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        ("rate_limited", {429}),
        ("quota_used_up", {400, 403, 429}),
        ("overloaded", {503, 529}),
        ("internal_error", {500}),
        ("wrong_key", {400, 401}),
        ("forbidden", {403}),
        ("unknown_model", {404}),
        ("context_too_long", {400}),
        ("bad_parameter", {400}),
        ("blocked_prompt", {200, 400}),
        ("blocked_answer", {200}),
        ("empty", {200}),
        ("thoughts_only", {200}),
        ("malformed", {200}),
    ],
)
@pytest.mark.parametrize("wire", WIRES)
def test_a_fault_strikes_once_and_is_recorded(
    loopback: LoopbackServer, wire: WireName, kind: FaultKind, statuses: set[int]
):
    loopback.fail(kind)
    assert ask(loopback, wire).status in statuses
    assert loopback.last.fault == kind
    assert text_of(wire, ask(loopback, wire).json) == "You said: Hello"
    assert loopback.last.fault is None


@pytest.mark.parametrize("wire", WIRES)
def test_a_wait_is_asked_for_in_the_vendors_way(loopback: LoopbackServer, wire: WireName):
    loopback.fail(Fault("rate_limited", wait=2.5), "rate_limited")
    with_wait, without = ask(loopback, wire), ask(loopback, wire)
    if wire == "gemini":
        assert with_wait.json["error"]["details"][-1]["retryDelay"] == "2.5s"
        assert "retryDelay" not in without.data.decode()
    else:
        assert with_wait.headers["retry-after"] == "2.5"
        assert "retry-after" not in without.headers


@pytest.mark.parametrize(
    ("kind", "failure"),
    [("reset", ConnectionError), ("drop", http.client.IncompleteRead)],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("wire", WIRES)
def test_a_line_that_breaks_is_seen_as_broken(
    loopback: LoopbackServer,
    wire: WireName,
    stream: bool,
    kind: FaultKind,
    failure: type[Exception],
):
    loopback.fail(kind)
    with pytest.raises(failure):
        ask(loopback, wire, stream=stream)
    assert ask(loopback, wire, stream=stream).status == 200


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("kind", ["unfinished", "error_in_stream", "malformed"])
def test_a_stream_that_goes_wrong_has_the_pieces_before(
    loopback: LoopbackServer, wire: WireName, kind: FaultKind
):
    whole = ask(loopback, wire, stream=True).data
    loopback.fail(Fault(kind, after=2))
    broken = ask(loopback, wire, stream=True).data
    same = next(
        (at for at, (a, b) in enumerate(zip(whole, broken, strict=False)) if a != b),
        min(len(whole), len(broken)),
    )
    assert b"said:" in broken[:same]
    assert broken != whole


def test_a_hang_lasts_until_it_is_released(loopback: LoopbackServer):
    loopback.fail("hang")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(ask, loopback, "openai")
        assert loopback.wait_for_requests(1)
        assert not waiting.done()
        loopback.release()
        with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
            waiting.result(20)


def test_a_client_that_goes_away_is_noticed(loopback: LoopbackServer):
    loopback.fail("hang")
    line = http.client.HTTPConnection("127.0.0.1", loopback.port, timeout=PATIENCE)
    line.request("POST", "/api/chat", json.dumps({"model": "llama3.2", "messages": []}))
    assert loopback.wait_for_requests(1)
    line.close()
    assert loopback.last.disconnected.wait(PATIENCE)


def test_faults_are_kept_for_the_requests_that_they_fit(loopback: LoopbackServer):
    loopback.fail(
        Fault("overloaded", wire="openai"),
        Fault("overloaded", model="qwen3:4b"),
        Fault("overloaded", on="other"),
    )
    assert ask(loopback, "gemini").status == 200
    assert ask(loopback, "ollama").status == 200
    assert ask(loopback, "ollama", model="qwen3:4b").status == 503
    assert ask(loopback, "openai").status == 503
    assert send(loopback, "GET", "/api/tags").status == 503
    assert send(loopback, "GET", "/api/tags").status == 200


def test_a_rate_of_faults_counts_requests_instead_of_throwing_dice(loopback: LoopbackServer):
    loopback.scenario.fail_every(3, "overloaded")
    statuses = [ask(loopback, "openai").status for _ in range(7)]
    assert statuses == [200, 200, 503, 200, 200, 503, 200]


def test_the_most_requests_at_one_time_are_counted(loopback: LoopbackServer):
    together = threading.Barrier(4)
    loopback.scenario.answer = lambda question: str(together.wait(PATIENCE) >= 0)
    with ThreadPoolExecutor(4) as pool:
        for reply in pool.map(lambda _: ask(loopback, "openai"), range(4)):
            assert reply.status == 200
    assert loopback.max_in_flight == 4
    assert len(loopback.chats("openai")) == 4
    assert loopback.chats("gemini") == []
