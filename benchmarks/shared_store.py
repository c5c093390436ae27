"""How many traces a second an MLflow server on PostgreSQL takes, from one writer and from several at once.

`python -m benchmarks.shared_store URI RUN COUNT` is one writer: rows of an evaluation, one at a time, as the lab
writes them; it prints the seconds of each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness import environment
from benchmarks.processes import ROOT
from benchmarks.table import Line
from deployment.postgres import free_port, running_cluster, server_programs

WRITERS = (1, 4, 16)
TRACES = 240
"""Of all writers together."""


def measure(*, quick: bool) -> Iterator[Line]:
    programs = server_programs()
    if programs is None or find_spec("psycopg") is None:
        note = "PostgreSQL or its driver psycopg is not installed"
        yield Line(what="an MLflow server on PostgreSQL", reached=None, unit="", note=note)
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        running_cluster(programs, _passable(Path(folder)) / "postgres") as postgres,
        _server(Path(folder), "postgresql+psycopg" + postgres.database("mlflow")) as uri,
    ):
        _written(Path(folder), uri, writers=1, count=20)
        for writers in WRITERS[:2] if quick else WRITERS:
            yield _rate(Path(folder), uri, writers)


def _passable(folder: Path) -> Path:
    """Let PostgreSQL's own user reach what is below."""
    folder.chmod(0o711)
    return folder


def _rate(folder: Path, uri: str, writers: int) -> Line:
    times, seconds = _written(folder, uri, writers=writers, count=TRACES // writers)
    times.sort()
    median, worst = times[len(times) // 2], times[min(len(times) * 99 // 100, len(times) - 1)]
    return Line(
        what=f"a trace with two spans, {writers} writer{'s' if writers > 1 else ''}, 99 of 100",
        reached=worst * 1000,
        unit="ms",
        note=f"{len(times) / seconds:.1f} traces a second; median {median * 1000:.1f} ms",
    )


def _written(folder: Path, uri: str, *, writers: int, count: int) -> tuple[list[float], float]:
    command = [sys.executable, "-m", "benchmarks.shared_store", uri]
    env = environment(folder / "home", "http://127.0.0.1:9/v1")
    began: list[float] = []
    running = [
        subprocess.Popen(
            [*command, f"run-{writers}-{number}", str(count)],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(writers)
    ]
    for process in running:
        assert process.stdout is not None
        process.stdout.readline()
    began.append(time.perf_counter())
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    found: list[float] = []
    for process in running:
        assert process.stdout is not None
        found += json.loads(process.stdout.readline())
    seconds = time.perf_counter() - began[0]
    for process in running:
        process.communicate()
        assert process.returncode == 0
    return found, seconds


@contextmanager
def _server(folder: Path, backend: str) -> Iterator[str]:
    port = free_port()
    command = [
        *(sys.executable, "-W", "ignore", "-m", "mlflow", "server", "--workers", "4"),
        *("--backend-store-uri", backend, "--artifacts-destination", str(folder / "served")),
        *("--host", "127.0.0.1", "--port", str(port)),
    ]
    env = environment(folder / "home", "") | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=env)
    try:
        uri = f"http://127.0.0.1:{port}"
        while server.poll() is None:
            try:
                with urllib.request.urlopen(f"{uri}/health", timeout=60):
                    break
            except OSError:
                time.sleep(0.5)
        assert server.poll() is None, (folder / "server.log").read_text("utf-8")[-2000:]
        yield uri
    finally:
        server.terminate()
        server.wait()


def write(uri: str, name: str, count: int) -> None:
    """Write traces one after the other, once a line comes on standard input."""
    from llmflowlab.settings import load_settings
    from llmflowlab.tracking.evaluation_rows import RowTrace
    from llmflowlab.tracking.evaluation_runs import EvaluationRuns, RunSpec
    from llmflowlab.tracking.records import new_trace_id
    from llmflowlab.tracking.spans import SpanSpec, TokenUse
    from llmflowlab.tracking.store import open_store

    settings = load_settings({"MLFLOW_TRACKING_URI": uri}, cwd=Path.cwd(), stdin_is_terminal=False)
    runs = EvaluationRuns(open_store(settings), name, created_ms=int(time.time() * 1000))
    run_id = runs.open_run(RunSpec(name=name, key="candidate-0", params={}, tags={}), parent=None)
    print("ready", flush=True)
    sys.stdin.readline()
    times = []
    for number in range(count):
        now = time.time_ns()
        call = SpanSpec(
            name="call",
            kind="CHAT_MODEL",
            inputs={"question": "What is a run?"},
            outputs="A run.",
            start_ns=now,
            end_ns=now + 10**8,
        )
        row = RowTrace(
            trace_id=new_trace_id(),
            run_id=run_id,
            question=f"Question {number}: " + "what is a run? " * 10,
            answer="A run is one execution of code that is tracked. " * 5,
            start_ns=now,
            end_ns=now + 2 * 10**8,
            ok=True,
            error=None,
            tokens=TokenUse(prompt=40, completion=60),
            spans=[call],
            expected="a run",
            digest=str(number),
        )
        began = time.perf_counter()
        runs.write_traces([row])
        times.append(time.perf_counter() - began)
    print(json.dumps(times), flush=True)


if __name__ == "__main__":
    write(sys.argv[1], sys.argv[2], int(sys.argv[3]))
