"""`main.py ui`: MLflow's own pages on the lab's store."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from pathlib import Path
from types import FrameType

from llmflowlab.cli import options
from llmflowlab.cli.context import App
from llmflowlab.cli.output import give
from llmflowlab.errors import ConfigurationError, ExitCode
from llmflowlab.program import interpreted

__all__ = ["declare_options", "free_port", "open_pages", "run_command", "server_arguments"]

_PORTS_TRIED = 20
_LOOK = 0.1
"""Seconds between looks at a port that does not answer yet."""
_END_PATIENCE = 10.0
"""Seconds the server gets to end by itself."""


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "--port", type=options.port, default=5000, metavar="N", help="default: 5000"
    )
    parser.add_argument(
        "--no-browser", action="store_true", help="only say the address, open no browser"
    )
    options.add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    return open_pages(
        app, port=arguments.port, browser=not arguments.no_browser, as_json=arguments.json
    )


def open_pages(app: App, *, port: int = 5000, browser: bool = True, as_json: bool = False) -> int:
    """Start MLflow's server on this machine only, until Ctrl-C.

    Args:
        app: Where it is said.
        port: The first port to try.
        browser: Open the pages, where there is a person.
        as_json: Give the address as a document, for a script.

    Raises:
        ConfigurationError: No port is free, or the server did not start.
    """
    uri = app.settings.tracking_uri
    if uri.startswith(("http://", "https://")):
        there = app.lab.store_address
        give(
            as_json,
            lambda: {"address": there, "started": False},
            lambda: app.screen.say(
                f"The lab's runs are on a tracking server; open {there} in a browser."
            ),
        )
        return ExitCode.DONE
    if (why := app.lab.why_unusable()) is not None:
        raise ConfigurationError(why)
    chosen = free_port(port)
    if chosen != port:
        app.screen.note(f"Port {port} is taken; using {chosen}.")
    app.settings.home.mkdir(parents=True, exist_ok=True)
    # What is not there yet would be missing on the pages.
    app.lab.hand_over()
    app.screen.note("starting MLflow's pages; this takes a moment ... (Ctrl-C ends it)")
    arguments, environment = server_arguments(app, chosen), app.lab.child_environment
    log = app.settings.state_dir / "ui.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # A group of its own, so that Ctrl-C reaches this program only, which then ends all of it; the
    # server's own processes would answer with tracebacks.
    with log.open("wb") as out:
        server = subprocess.Popen(
            arguments,
            env={**environment, "MLFLOW_BACKEND_STORE_URI": environment["MLFLOW_TRACKING_URI"]},
            # uvicorn imports from the current folder whatever it is told.
            cwd=app.settings.state_dir,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        if _answers(server, chosen):
            address = f"http://127.0.0.1:{chosen}"
            give(
                as_json,
                lambda: {"address": address, "started": True},
                lambda: app.screen.say(f"ready: MLflow at {address} (Ctrl-C ends it)"),
            )
            if browser and not as_json and not app.screen.plain:
                webbrowser.open(address)
        code = server.wait()
    except KeyboardInterrupt:
        return ExitCode.DONE
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(server)
    if code:
        raise ConfigurationError(
            f"MLflow's server ended with code {code}{_last_words(log)} All it said is in {log}."
        )
    return ExitCode.DONE


def _answers(server: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until the port takes connections; False where the server ended before."""
    while server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return True
        time.sleep(_LOOK)
    return False


def _last_words(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
        if lines:
            return f': "{" ".join(lines[-1].split())[:200]}".'
    return "."


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _end(server: subprocess.Popen[bytes]) -> None:
    """End the server and what it started."""
    if sys.platform == "win32":
        server.terminate()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(_END_PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def server_arguments(app: App, port: int) -> list[str]:
    """Return the command that serves the lab's store, whose address is in its environment.

    The address may hold a password, and everybody on a machine sees what others typed.
    """
    artifacts = (app.settings.home / "mlartifacts").as_uri()
    return interpreted(
        *("mlflow", "server", "--default-artifact-root", artifacts),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    )


def free_port(wanted: int) -> int:
    """Return the first free port from `wanted` on.

    Raises:
        ConfigurationError: None of the next ones is free.
    """
    for port in range(wanted, min(wanted + _PORTS_TRIED, 65536)):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            if sys.platform != "win32":
                # As the server itself does; on Windows the option would share a port in use.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ConfigurationError(
        f"The ports from {wanted} on are all taken; name another with --port N."
    )
