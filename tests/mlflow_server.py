"""A real `mlflow server` for tests, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE
from tests.warm import SITE, warm

__all__ = ["mlflow_server"]


@contextmanager
def mlflow_server(
    home: Path,
    port: int,
    *,
    backend: str | None = None,
    more: Sequence[str] = (),
    variables: Mapping[str, str] | None = None,
    artifacts: str | None = None,
) -> Iterator[str]:
    """Run a server; yields its address.

    Args:
        home: The folder of its log and artifacts.
        port: Where it listens.
        backend: Its database; None: the migrated one of the home.
        more: Further arguments.
        variables: Its environment, beside this process's.
        artifacts: Where it keeps them; None: a folder of the home.
    """
    command = [
        *(sys.executable, "-W", "ignore", "-m", "mlflow", "server"),
        *("--backend-store-uri", backend or "sqlite:///" + (home / "mlflow.db").as_posix()),
        *("--artifacts-destination", artifacts or str(home / "served")),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *more,
    ]
    # Its job runners are three more processes that nothing here needs.
    environment = {
        **os.environ,
        "PYTHONPATH": str(SITE),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **(variables or {}),
    }
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(warm(command), stdout=log, stderr=log, cwd=home, env=environment)
    try:
        _await_health(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


def _await_health(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=PATIENCE):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("the server did not start")
