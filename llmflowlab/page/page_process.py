"""Starts the chat page in a process of its own, which ends with this one."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.page.page_files import chainlit_is_there, write_page_files
from llmflowlab.program import interpreted
from llmflowlab.settings import Settings

__all__ = ["STARTERS", "PageSetup", "RunningPage", "chat_page", "require_chainlit"]

STARTERS = (
    "What can you help me with?",
    "Explain in two sentences what a language model is.",
    "Write a friendly reply to a customer whose parcel is late.",
    "Which questions should I not ask you?",
)
_HANDED_ON = frozenset(
    {
        *("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "USERPROFILE"),
        *("SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    }
)
"""Of the environment; a provider's key is nothing to a page."""
_GOODBYE = 10.0
"""Seconds that the page has to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSetup:
    """How a page is set up."""

    service: str
    """The service's address."""
    host: str = "127.0.0.1"
    port: int = 8001
    """0 takes a free one."""
    hosts: tuple[str, ...] = ()
    """Further names that a Host header may have."""
    near: bool = True
    """Whether it is meant for this machine alone; elsewhere nobody comes in without a key."""
    starters: tuple[str, ...] = STARTERS


@dataclass(frozen=True, slots=True)
class RunningPage:
    """A page that can be opened."""

    address: str
    process: subprocess.Popen[str]


def require_chainlit() -> None:
    """See to it that Chainlit is installed.

    Raises:
        ConfigurationError: It is not.
    """
    if not chainlit_is_there():
        raise ConfigurationError(
            "The chat page needs Chainlit, which is not installed; run: "
            f'{sys.executable} -m pip install "chainlit>=2.9.4,<3"'
        )


@contextmanager
def chat_page(settings: Settings, setup: PageSetup) -> Iterator[RunningPage]:
    """Run a page.

    Raises:
        ConfigurationError: Chainlit is missing, or the page did not start.
        InputError: The port is taken.
    """
    require_chainlit()
    folder = settings.home / ".llmflowlab" / "page" / str(setup.port)
    try:
        write_page_files(folder)
    except OSError as exc:
        raise ConfigurationError(
            f"The page's files cannot be written to {folder} ({exc})."
        ) from exc
    cookie = f"llmflowlab_page_{setup.port}"
    told = {
        "service": setup.service,
        "host": setup.host,
        "port": setup.port,
        # Where it is meant for other machines and no names are known, any will do.
        "hosts": list(setup.hosts) if setup.near or setup.hosts else None,
        "near": setup.near,
        "starters": list(setup.starters),
        "cookie": cookie,
    }
    process = subprocess.Popen(
        interpreted("llmflowlab.page.page_server", json.dumps(told)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Ctrl-C in the terminal is for who started it, and ends it in order.
        start_new_session=True,
        cwd=folder,
        env={
            **{name: each for name, each in settings.environment.items() if name in _HANDED_ON},
            "CHAINLIT_APP_ROOT": str(folder),
            # Of this start alone: what was signed by another one signs nobody in.
            "CHAINLIT_AUTH_SECRET": secrets.token_hex(32),
            "CHAINLIT_AUTH_COOKIE_NAME": cookie,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONIOENCODING": "utf-8",
            # What comes with Chainlit asks before it tells anybody anything.
            "TRACELOOP_TELEMETRY": "false",
            "OTEL_SDK_DISABLED": "true",
            "DO_NOT_TRACK": "1",
        },
    )
    try:
        yield RunningPage(_address(setup, _first_word(process)), process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _first_word(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
    except ValueError:
        raise ConfigurationError("The page did not start; the lines above say why.") from None
    if "error" in said:
        raise InputError(f"The page cannot start: {said['error']}; give it another port.")
    return int(said["port"])


def _address(setup: PageSetup, port: int) -> str:
    shown = f"[{setup.host}]" if ":" in setup.host else setup.host
    return f"http://{shown}:{port}"
