"""Alerts on their way: what is sent, what is tried again, and what is in no message."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.monitoring.alert_delivery import LOG, Messenger
from llmflowlab.monitoring.alert_events import AlertEvent
from llmflowlab.monitoring.alert_rules import Deliveries
from llmflowlab.settings import Settings

HOOK = "https://hooks.example:8443/services/T0/s3cret?key=k3y"


def event(**more: Any) -> AlertEvent:
    values: dict[str, Any] = {
        "id": "a-1-fired",
        "rule": "too many errors",
        "kind": "error_rate",
        "state": "fired",
        "at_ms": 1_790_000_000_000,
        "text": "too many errors: 12.0% errors, above 5.0%, of 100 in 5 min",
        "value": 0.12,
        "n": 100,
        "limit": 0.05,
        "model": None,
        "prompt": None,
        "alpha": 0.01,
        "days": 30.0,
        "method": "m",
    }
    return AlertEvent(**{**values, **more})


class Hook:
    """A webhook that answers as told, and keeps what it was sent."""

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = list(answers)
        self.seen: list[httpx.Request] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"location": "https://elsewhere.example/"})

    def post(self, settings: Settings) -> None:
        messenger = Messenger(
            settings,
            Deliveries(webhook=HOOK),
            transport=httpx.MockTransport(self),
            wait=self.waits.append,
        )
        assert messenger.ways == ["log", "webhook"]
        messenger.deliver(event(), "webhook")


def test_a_webhook_gets_the_event_as_json(settings: Settings) -> None:
    hook = Hook(204)
    hook.post(settings)
    (request,) = hook.seen
    assert str(request.url) == HOOK
    assert json.loads(request.content) == event().to_json()


def test_what_may_pass_is_tried_again_with_growing_pauses(settings: Settings) -> None:
    hook = Hook(503, httpx.ConnectError("refused"), 200)
    hook.post(settings)
    assert len(hook.seen) == 3
    assert hook.waits == [1, 2]


@pytest.mark.parametrize(
    ("answers", "said", "calls"),
    [
        ([404], "answered 404.", 1),
        ([302], "answered 302 and points elsewhere, which is not followed.", 1),
        ([500, 500, 429], "answered 429.", 3),
        ([httpx.ReadTimeout("slow")] * 3, "cannot be reached (ReadTimeout).", 3),
    ],
)
def test_what_fails_is_said_without_the_address_s_secrets(
    settings: Settings, answers: list[Any], said: str, calls: int
) -> None:
    hook = Hook(*answers)
    with pytest.raises(TrackingError) as raised:
        hook.post(settings)
    assert raised.value.message == f"The webhook at hooks.example {said}"
    assert len(hook.seen) == calls
    assert {str(one.url.host) for one in hook.seen} == {"hooks.example"}


def test_the_log_gets_a_line_of_json_each_time_and_is_the_owner_s_alone(settings: Settings) -> None:
    messenger = Messenger(settings, Deliveries())
    assert messenger.ways == ["log"]
    messenger.deliver(event(), "log")
    messenger.deliver(event(text="a\nb\x1b[31m", state="cleared"), "log")
    file = settings.state_dir / LOG
    first, second = map(json.loads, file.read_text("utf-8").splitlines())
    assert first["at"] == "2026-09-21T14:13:20+00:00"
    assert second["text"] == "a\nb\x1b[31m"
    assert "\x1b" not in file.read_text("utf-8")
    if sys.platform != "win32":
        assert file.stat().st_mode & 0o777 == 0o600


@pytest.fixture
def run(settings: Settings, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Have a command run that writes down what it was called with."""
    out = tmp_path / "called.json"
    code = (
        "import json, os, sys; json.dump({'arguments': sys.argv[1:], 'environment': dict(os.environ)}, "
        f"open({str(out)!r}, 'w'))"
    )

    def call(*arguments: str, **more: Any) -> dict[str, Any]:
        command = (sys.executable, "-c", code, *arguments)
        Messenger(settings, Deliveries(command=command)).deliver(event(**more), "command")
        found: dict[str, Any] = json.loads(out.read_text("utf-8"))
        return found

    return call


def test_a_command_gets_values_as_arguments_and_in_its_environment(
    run: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    hostile = "--exec=$(rm -rf /); `x` {state}\n\x1b]0;t\x07"
    called = run("LLMFlowLab: {rule}", "{text}", "{other} {value}", rule="r", text=hostile)
    # Each is one argument on one line, no option, and what a value says is not looked at again.
    assert called["arguments"] == [
        "LLMFlowLab: r",
        "exec=$(rm -rf /); `x` {state}␊␛]0;t␇",
        "{other} 0.12",
    ]
    assert called["environment"]["LLMFLOWLAB_ALERT_STATE"] == "fired"
    assert called["environment"]["LLMFLOWLAB_ALERT_TEXT"] == called["arguments"][1]
    assert "OPENAI_API_KEY" not in called["environment"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("no-such-program",), "The alert command no-such-program cannot be started (No such file"),
        ((sys.executable, "-c", "raise SystemExit(3)"), "ended with 3."),
        (("a\0b",), "cannot be started (its name cannot be used)."),
    ],
)
def test_a_command_that_fails_is_said(
    settings: Settings, command: tuple[str, ...], said: str
) -> None:
    with pytest.raises(TrackingError) as raised:
        Messenger(settings, Deliveries(command=command)).deliver(event(), "command")
    assert said in raised.value.message
