"""`main.py ui`: MLflow's own pages on the lab's store."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
from types import FrameType

from llmflowlab.cli import options
from llmflowlab.cli.context import App
from llmflowlab.errors import ConfigurationError, ExitCode

__all__ = ["declare_options", "free_port", "open_pages", "run_command", "server_arguments"]

_PORTS_TRIED = 20
_END_PATIENCE = 10.0
"""Seconds the server gets to end by itself."""


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "--port", type=options.port, default=5000, metavar="N", help="default: 5000"
    )


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry the command out; returns the exit code."""
    return open_pages(app, port=arguments.port)


def open_pages(app: App, *, port: int) -> int:
    """Start MLflow's server on this machine only, until Ctrl-C.

    Raises:
        ConfigurationError: No port is free, or the server did not start.
    """
    uri = app.settings.tracking_uri
    if uri.startswith(("http://", "https://")):
        app.screen.say(
            f"The lab's runs are on a tracking server; open {app.lab.store_address} in a browser."
        )
        return ExitCode.DONE
    chosen = free_port(port)
    if chosen != port:
        app.screen.note(f"Port {port} is taken; using {chosen}.")
    app.settings.home.mkdir(parents=True, exist_ok=True)
    app.screen.say(f"MLflow at http://127.0.0.1:{chosen} (Ctrl-C ends it)")
    arguments = server_arguments(app, chosen)
    # A group of its own, so that Ctrl-C reaches this program only, which then ends all of it; the
    # server's own processes would answer with tracebacks.
    server = subprocess.Popen(
        arguments,
        env=app.lab.child_environment,
        cwd=app.settings.home,
        start_new_session=True,
    )
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = server.wait()
    except KeyboardInterrupt:
        return ExitCode.DONE
    finally:
        signal.signal(signal.SIGTERM, before)
        _end(server)
    if code:
        raise ConfigurationError(
            f"MLflow's server ended with code {code}; its own words are above."
        )
    return ExitCode.DONE


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
    """Return the command that serves the lab's store."""
    artifacts = (app.settings.home / "mlartifacts").as_uri()
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", app.settings.tracking_uri),
        *("--default-artifact-root", artifacts),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
    ]


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
