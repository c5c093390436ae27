"""Alerts on their way to people: a log in the home, a webhook, a command."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from urllib.parse import urlsplit

import httpx

from llmflowlab.errors import TrackingError
from llmflowlab.files import disk_trouble
from llmflowlab.monitoring.alert_events import AlertEvent
from llmflowlab.monitoring.alert_rules import Deliveries
from llmflowlab.settings import Settings
from llmflowlab.text.sanitize import neutralise

__all__ = ["LOG", "Messenger"]

LOG = "alerts.log"
"""In the home's own folder; a line of JSON for each event."""
_SECONDS = 10.0
_TRIES = 3
_PAUSE = 1.0
_OF_COMMANDS = 30.0
_LONGEST = 500
_PASSED_ON = (
    *(
        "PATH",
        "HOME",
        "USER",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "SYSTEMROOT",
        "DISPLAY",
        "WAYLAND_DISPLAY",
    ),
    *("XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
)
"""Variables that a command gets of ours; keys are not among them."""


class Messenger:
    """Carries events to where a file of rules says.

    Args:
        settings: Names the home.
        deliveries: Where to.
        transport: How a webhook is reached; by the network unless a test says otherwise.
        wait: Waits so many seconds.
    """

    def __init__(
        self,
        settings: Settings,
        deliveries: Deliveries,
        *,
        transport: httpx.BaseTransport | None = None,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._settings = settings
        self._deliveries = deliveries
        self._transport = transport
        self._wait = wait

    @property
    def ways(self) -> list[str]:
        """The ways that an event has to go, the log first."""
        more = {"webhook": self._deliveries.webhook, "command": self._deliveries.command}
        return ["log", *(name for name, where in more.items() if where)]

    def deliver(self, event: AlertEvent, way: str) -> None:
        """Carry an event one way.

        Raises:
            LabError: It did not arrive.
        """
        {"log": self._log, "webhook": self._post, "command": self._run}[way](event)

    def _log(self, event: AlertEvent) -> None:
        at = datetime.fromtimestamp(event.at_ms / 1000, timezone.utc).isoformat()
        line = json.dumps({"at": at, **event.to_json()}, ensure_ascii=True)
        file = self._settings.state_dir / LOG
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(
                os.open(file, os.O_APPEND | os.O_CREAT | os.O_WRONLY, 0o600), "a"
            ) as out:
                out.write(line + "\n")
        except OSError as exc:
            why = disk_trouble(exc) or exc.strerror
            raise TrackingError(f"{file} does not take an alert: {why}.") from exc

    def _post(self, event: AlertEvent) -> None:
        address = self._deliveries.webhook or ""
        # What follows the host may be a secret, as with Slack's.
        where = f"The webhook at {urlsplit(address).hostname}"
        with httpx.Client(
            timeout=_SECONDS, follow_redirects=False, transport=self._transport
        ) as client:
            for left in reversed(range(_TRIES)):
                try:
                    status = client.post(address, json=event.to_json()).status_code
                except httpx.HTTPError as exc:
                    why = f"cannot be reached ({type(exc).__name__})"
                else:
                    if 200 <= status < 300:
                        return
                    why = f"answered {status}"
                    if 300 <= status < 400:
                        why += " and points elsewhere, which is not followed"
                    if status < 500 and status != 429:
                        break
                if left:
                    self._wait(_PAUSE * 2 ** (_TRIES - 1 - left))
        raise TrackingError(f"{where} {why}.")

    def _run(self, event: AlertEvent) -> None:
        values = {name: _harmless(value) for name, value in _told(event).items()}
        command = [_filled(part, values) for part in self._deliveries.command]
        known = self._settings.environment
        environment = {name: known[name] for name in _PASSED_ON if name in known}
        environment |= {f"LLMFLOWLAB_ALERT_{name.upper()}": text for name, text in values.items()}
        name = self._deliveries.command[0]
        try:
            done = subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_OF_COMMANDS,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise TrackingError(f"The alert command {name} took longer than 30 s.") from exc
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or "its name cannot be used"
            raise TrackingError(f"The alert command {name} cannot be started ({why}).") from exc
        if done.returncode:
            raise TrackingError(f"The alert command {name} ended with {done.returncode}.")


def _told(event: AlertEvent) -> dict[str, str]:
    return {
        "text": event.text,
        "rule": event.rule,
        "kind": event.kind,
        "state": event.state,
        "id": event.id,
        "value": "" if event.value is None else f"{event.value:g}",
    }


def _harmless(text: str) -> str:
    """Return a text as one line of no great length that no program takes for an option."""
    return neutralise(text, keep="").lstrip("-")[:_LONGEST]


def _filled(part: str, values: Mapping[str, str]) -> str:
    """Put values where their names stand in braces; what a value says is not looked at again."""
    return re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], found[0]), part)
