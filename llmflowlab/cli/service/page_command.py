"""The chat page from the command line: beside the service, or alone for one that runs elsewhere."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json, port
from llmflowlab.cli.output import give
from llmflowlab.errors import ConfigurationError, ExitCode, InputError, LabError
from llmflowlab.page.page_process import (
    STARTERS,
    PageSetup,
    RunningPage,
    chat_page,
    require_chainlit,
)
from llmflowlab.service.service_processes import for_this_machine_alone

__all__ = ["PageBeside", "declare_alone", "declare_beside", "run_alone"]


def declare_beside(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a page that runs beside the service."""
    group = parser.add_argument_group("chat page")
    group.add_argument("--page", action="store_true", help="a chat page in the browser as well")
    _declare(group, "page-")


def declare_alone(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a page alone."""
    parser.add_argument(
        "--service",
        default="http://127.0.0.1:8000",
        metavar="URL",
        help="the service's address (default http://127.0.0.1:8000)",
    )
    _declare(parser, "")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="a name in Host headers"
    )
    add_json(parser)


def _declare(where: argparse._ActionsContainer, prefix: str) -> None:
    add = where.add_argument
    add(f"--{prefix}host", default="127.0.0.1", metavar="HOST", help="default: 127.0.0.1")
    add(f"--{prefix}port", type=port, default=8001, metavar="N", help="default: 8001")
    add(
        "--starter",
        action="append",
        default=[],
        metavar="TEXT",
        help="what can be asked with one click; give it several times",
    )


class PageBeside:
    """The page of a service, from when that is ready until the end of the context.

    Args:
        app: The parts.
        arguments: As `declare_beside` declares them, with `--allow-host`.

    Raises:
        ConfigurationError: Chainlit is missing.
    """

    def __init__(self, app: App, arguments: argparse.Namespace) -> None:
        self._settings = app.settings
        self._arguments = arguments
        self._stack = ExitStack()
        self._error: LabError | None = None
        if arguments.page:
            require_chainlit()

    def __enter__(self) -> PageBeside:
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()
        if self._error is not None:
            raise self._error

    def start(self, service: str) -> str | None:
        """Start it where one is wanted; returns its address.

        Where it cannot be started the service is told to end, and the context's end raises why.
        """
        if not self._arguments.page:
            return None
        setup = _setup(self._arguments, service, "page_")
        try:
            return self._stack.enter_context(chat_page(self._settings, setup)).address
        except LabError as exc:
            self._error = exc
            os.kill(os.getpid(), signal.SIGTERM)
            return None

    @property
    def failed(self) -> bool:
        return self._error is not None


def run_alone(app: App, arguments: argparse.Namespace) -> int:
    """Run a page until Ctrl-C; returns the exit code.

    Raises:
        LabError: It cannot be run.
    """
    parts = urlsplit(arguments.service)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise InputError(
            f"--service is {arguments.service!r}; give an address as http://127.0.0.1:8000."
        )
    setup = _setup(arguments, arguments.service.rstrip("/"), "")
    with _until_told() as wait, chat_page(app.settings, setup) as page:
        give(
            arguments.json,
            lambda: {"page": page.address, "service": setup.service},
            lambda: app.screen.say(
                f"The chat page of {setup.service} is at {page.address}. Ctrl-C ends it."
            ),
        )
        wait(page)
    return ExitCode.DONE


def _setup(arguments: argparse.Namespace, service: str, prefix: str) -> PageSetup:
    host = getattr(arguments, f"{prefix}host")
    return PageSetup(
        service=service,
        host=host,
        port=getattr(arguments, f"{prefix}port"),
        hosts=tuple(arguments.allow_host),
        near=for_this_machine_alone(host),
        starters=tuple(arguments.starter) or STARTERS,
    )


@contextmanager
def _until_told() -> Iterator[Callable[[RunningPage], None]]:
    """Have SIGTERM end the wait as Ctrl-C does."""

    def told(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    def wait(page: RunningPage) -> None:
        with suppress(KeyboardInterrupt):
            page.process.wait()
            raise ConfigurationError("The page has ended; the lines above say why.")

    before = signal.signal(signal.SIGTERM, told)
    try:
        yield wait
    finally:
        signal.signal(signal.SIGTERM, before)
