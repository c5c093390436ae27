"""`make stack`: what docker-compose.yml starts, from processes: PostgreSQL, MLflow, the service, its page.

Everything is on this machine alone and ends with Ctrl-C. Without `--folder` it is kept nowhere.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deployment.postgres import free_port, running_cluster, server_programs

__all__ = ["CannotStart", "Stack", "main", "running_stack"]

ROOT = Path(__file__).resolve().parents[1]
_PATIENCE = 180.0
"""Seconds that a part may take to begin."""
_GOODBYE = 75.0
"""Seconds that one has to end: the service brings answers to their end, and to MLflow."""


class CannotStart(Exception):
    """Something is lacking or did not begin; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Stack:
    """Where the parts of a running stack are."""

    service: str
    page: str
    mlflow: str


@contextmanager
def running_stack(
    folder: Path,
    *options: str,
    workers: int = 2,
    ports: tuple[int, int, int] = (0, 0, 0),
    environment: Mapping[str, str] | None = None,
    lasting: bool = True,
) -> Iterator[Stack]:
    """Run a stack.

    Args:
        folder: Keeps all of it.
        options: Of `serve`, such as `--model guide:docs`.
        workers: Of the service.
        ports: Of service, page and MLflow; 0 takes a free one.
        environment: Beside this process's.
        lasting: Whether what PostgreSQL writes must survive a power failure.

    Raises:
        CannotStart: Something is lacking or did not begin.
    """
    programs = _required()
    service_port, page_port, mlflow_port = (port or free_port() for port in ports)
    mlflow = f"http://127.0.0.1:{mlflow_port}"
    base = {**os.environ, **(environment or {}), "PYTHONPATH": _path()}
    with ExitStack() as stack:
        try:
            cluster = stack.enter_context(
                running_cluster(programs, folder / "postgres", lasting=lasting)
            )
            store, desk = (cluster.database(name) for name in ("mlflow", "service"))
        except (RuntimeError, OSError) as exc:
            raise CannotStart(f"PostgreSQL did not start: {exc}") from exc
        kept = {**base, "MLFLOW_BACKEND_STORE_URI": f"postgresql+psycopg{store}"}
        (folder / "mlflow").mkdir(parents=True, exist_ok=True)
        stack.enter_context(
            _process(
                "mlflow",
                [
                    *(sys.executable, "-W", "ignore", "-m", "mlflow", "server"),
                    *("--host", "127.0.0.1", "--port", str(mlflow_port), "--workers", "1"),
                    *("--artifacts-destination", str(folder / "mlflow" / "artifacts")),
                ],
                {**kept, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
                folder,
                health=f"{mlflow}/health",
            )
        )
        lab = {
            **base,
            "LLMFLOWLAB_HOME": str(folder / "home"),
            "LLMFLOWLAB_SERVICE_DATABASE": f"postgresql+psycopg{desk}",
            "MLFLOW_TRACKING_URI": mlflow,
        }
        (folder / "home").mkdir(exist_ok=True)
        program = [sys.executable, "-W", "ignore", str(ROOT / "main.py"), "serve"]
        service = f"http://127.0.0.1:{service_port}"
        at = ("--port", str(service_port), "--workers", str(workers), "--json")
        stack.enter_context(_process("service", [*program, "start", *at, *options], lab, folder))
        beside = ("page", "--service", service, "--port", str(page_port), "--json")
        stack.enter_context(_process("page", [*program, *beside], lab, folder))
        yield Stack(service, f"http://127.0.0.1:{page_port}", mlflow)


def _required() -> Path:
    programs = server_programs()
    if programs is None:
        raise CannotStart("PostgreSQL is not installed; run: apt-get install postgresql")
    for module, package in (("psycopg", "psycopg[binary]"), ("chainlit", "chainlit>=2.9.4,<3")):
        if find_spec(module) is None:
            raise CannotStart(
                f'{package} is missing; run: {sys.executable} -m pip install "{package}"'
            )
    return programs


def _path() -> str:
    known = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(ROOT), *([known] if known else [])])


@contextmanager
def _process(
    name: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    *,
    health: str | None = None,
) -> Iterator[None]:
    """Run a part until the end of the context; it has begun by its `health`, else by what it says first."""
    log = folder / f"{name}.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if health is None else errors,
            stderr=errors,
            cwd=folder,
            env=environment,
            # Ctrl-C is for the stack, which ends its parts one after the other.
            start_new_session=True,
        )
    try:
        begun = _said(process) if health is None else _healthy(process, health)
        if not begun:
            raise CannotStart(f"{name} did not start: {_end_of(log)}")
        yield
    finally:
        process.terminate()
        try:
            process.wait(_GOODBYE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _said(process: subprocess.Popen[bytes]) -> bool:
    assert process.stdout is not None
    try:
        # A document of several lines, which the first one begins.
        return process.stdout.readline().strip().startswith(b"{")
    except json.JSONDecodeError:
        return False


def _healthy(process: subprocess.Popen[bytes], health: str) -> bool:
    until = time.monotonic() + _PATIENCE
    ask = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < until and process.poll() is None:
        try:
            with ask.open(health, timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    return False


def _end_of(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"it said nothing; see {log}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stack until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deployment.stack", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep everything there (default: nowhere)")
    parser.add_argument("--workers", type=int, default=2, help="of the service (default 2)")
    for name, port in (("service", 8000), ("page", 8001), ("mlflow", 5000)):
        parser.add_argument(f"--{name}-port", type=int, default=port, help=f"default {port}")
    parser.add_argument("options", nargs="*", metavar="-- OPTIONS", help="of serve, after --")
    arguments = parser.parse_args(argv)
    options = arguments.options or ["--model", "guide:docs"]
    ports = (arguments.service_port, arguments.page_port, arguments.mlflow_port)

    def told(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, told)
    folder = (arguments.folder or Path(tempfile.mkdtemp(prefix="llmflowlab-stack-"))).resolve()
    try:
        # PostgreSQL's own user goes through it, where we are root.
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o711)
        print("starting PostgreSQL, MLflow, the service and its page ...", flush=True)
        with running_stack(folder, *options, workers=arguments.workers, ports=ports) as stack:
            print(f"page     {stack.page}\nservice  {stack.service}\nMLflow   {stack.mlflow}")
            print("Ctrl-C ends all of it.", flush=True)
            signal.pause()
    except CannotStart as exc:
        print(exc, file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 0
    finally:
        if arguments.folder is None:
            shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
