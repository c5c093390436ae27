"""The service while its database takes nothing: what is in flight ends with a word, and nothing is lost or spoilt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.service import generation
from llmflowlab.settings import Settings
from tests.service.running import Running, frames, in_database, running

LONG = "All about runs. " * 20_000


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generation, "_KEEPING", 0.05)


@contextmanager
def full_disk(service: Running) -> Iterator[None]:
    """Let the database have no page more, as SQLite tells of a full disk."""
    _pages(service, 1)
    yield
    _pages(service, 1_000_000)


def _pages(service: Running, most: int) -> None:
    service.state.desk.put(
        lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {most}").all()
    ).result()


def ask_whole(service: Running) -> Any:
    return service.complete("Tell me").json()["error"]


def ask_streamed(service: Running) -> Any:
    answered = service.complete("Tell me", stream=True)
    *pieces, (_, last) = frames(answered.text.splitlines())
    assert len(pieces) > 1
    return last["error"]


def ask_in_a_session(service: Running) -> Any:
    return service.chat("Tell me", "s").json()["error"]


@pytest.mark.parametrize("ask", [ask_whole, ask_streamed, ask_in_a_session])
def test_an_answer_that_cannot_be_kept_is_refused_and_kept_once_there_is_room(
    settings: Settings, ask: Callable[[Running], Any]
) -> None:
    provider = ScriptedProvider(default=LONG)
    with running(settings, provider) as service:
        assert service.chat("Hi", "s").status_code == 200
        with full_disk(service):
            told = ask(service)
            assert told["code"] == "storage_failed"
            asked = len(provider.requests)
            again = service.complete("Me too")
            assert (again.status_code, again.json()["error"]["code"]) == (503, "storage_failed")
            # Nothing is paid for that could not be kept either.
            assert len(provider.requests) == asked == 2
            ready = service.client.get("/ready")
            assert (ready.status_code, ready.json()["ready"]) == (503, False)
            assert "full" in ready.json()["reason"]
        kept = service.turns()
        assert [turn["answer"].strip() for turn in kept] == [LONG.strip()] * 2
        assert service.client.get("/ready").json()["ready"] is True
        after = service.chat("And now?", "s")
        assert after.json()["turn"] == sum(turn["session_id"] == "s" for turn in kept)
    (whole,) = in_database(settings, lambda c: c.exec_driver_sql("PRAGMA integrity_check").all())
    assert whole == ("ok",)


def test_what_could_not_be_kept_by_the_end_is_said(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with running(settings, ScriptedProvider(default=LONG)) as service:
        _pages(service, 1)
        answered = service.complete("Tell me")
        assert answered.json()["error"]["code"] == "storage_failed"
    assert "could not be kept" in caplog.text
