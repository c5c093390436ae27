"""Recorders of evaluations, forked from one process that has loaded MLflow already.

A recorder is a process of its own, and loading MLflow costs each of them some seconds of processor: ten
times what a test of thirty rows makes it write. A test gets the same process with the same pipes, the
same environment and the same end, without that beginning. Programs that a test starts, and so all under
`tests/e2e` and the ones that are killed and resumed, start their recorders as users' do.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

__all__ = ["WarmRecorders"]

ROOT = Path(__file__).parents[1]
_PIPES = 3
_NUMBER = struct.Struct("i")


class WarmRecorders:
    """Starts recorders; stands in for `subprocess` where the lab starts them.

    The process they are forked from begins with the first of them.
    """

    PIPE = subprocess.PIPE

    def __init__(self) -> None:
        self._source: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def Popen(self, command: Sequence[str], *, env: Mapping[str, str], **_: Any) -> WarmRecorder:
        """Start a recorder; what else is asked for (pipes, text, a session of its own) is so anyway."""
        assert command[-2] == "llmflowlab.evaluation.run.recorder"
        line = self._line or self._begin()
        (in_, stdin), (stdout, out), (stderr, err) = os.pipe(), os.pipe(), os.pipe()
        mine, its = socket.socketpair()
        order = {"ledger": command[-1], "environment": dict(env), "folder": str(Path.cwd())}
        socket.send_fds(line, [b"."], [in_, out, err, its.fileno()])
        with its:
            mine.sendall(json.dumps(order).encode() + b"\n")
        for handle in (in_, out, err):
            os.close(handle)
        return WarmRecorder(mine, stdin, stdout, stderr)

    def _begin(self) -> socket.socket:
        self._line, its = socket.socketpair()
        with its:
            self._source = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "tests.warm_recorder", str(its.fileno())],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
                pass_fds=[its.fileno()],
            )
        return self._line

    def end(self) -> None:
        """End the process they are forked from."""
        if self._line is not None and self._source is not None:
            self._line.close()
            self._source.wait()


class WarmRecorder:
    """What `subprocess.Popen` is to the lab."""

    def __init__(self, line: socket.socket, stdin: int, stdout: int, stderr: int) -> None:
        self.stdin: TextIO = open(stdin, "w", encoding="utf-8")  # noqa: SIM115 - the lab closes them
        self.stdout: TextIO = open(stdout, encoding="utf-8")  # noqa: SIM115
        self.stderr: TextIO = open(stderr, encoding="utf-8")  # noqa: SIM115
        self.returncode: int | None = None
        self._line = line
        (self.pid,) = _NUMBER.unpack(line.recv(_NUMBER.size, socket.MSG_WAITALL))

    def poll(self) -> int | None:
        if self.returncode is None:
            self._line.setblocking(False)
            with suppress(BlockingIOError):
                return self.wait()
            self._line.setblocking(True)
        return self.returncode

    def wait(self) -> int:
        if self.returncode is None:
            (self.returncode,) = _NUMBER.unpack(self._line.recv(_NUMBER.size))
            self._line.close()
        assert self.returncode is not None
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


@contextmanager
def _received(line: socket.socket) -> Iterator[list[int]]:
    _, handles, _, _ = socket.recv_fds(line, 1, array.array("i").itemsize * (_PIPES + 1))
    yield handles
    for handle in handles:
        os.close(handle)


def _source(line: socket.socket) -> None:
    from sqlalchemy.orm import configure_mappers

    from llmflowlab.evaluation.run import recorder
    from llmflowlab.evaluation.run.sinks import SINKS
    from llmflowlab.loading import load

    SINKS["mlflow"]()
    # All that opening a database would load; none is opened here.
    stores = ("tracking", "model_registry")
    load("mlflow", *(f"mlflow.store.{kind}.sqlalchemy_store" for kind in stores))
    configure_mappers()
    # Whoever waits for a recorder is its own process, which nobody here waits for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        with _received(line) as handles:
            if not handles:
                return
            if os.fork() == 0:
                line.close()
                _wait_for_one(handles, recorder.main)
                os._exit(0)


def _wait_for_one(handles: list[int], main: Any) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with socket.socket(fileno=handles.pop()) as told:
        with told.makefile("rb") as said:
            order = json.loads(said.readline())
        pid = os.fork()
        if pid == 0:
            told.close()
            os._exit(_record(handles, order, main))
        for handle in handles:
            os.close(handle)
        with suppress(BrokenPipeError):
            told.sendall(_NUMBER.pack(pid))
            _, status = os.waitpid(pid, 0)
            told.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _record(handles: list[int], order: dict[str, Any], main: Any) -> int:
    os.setsid()
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for handle, number in zip(handles, range(_PIPES), strict=True):
        os.dup2(handle, number)
        os.close(handle)
    try:
        return int(main(Path(order["ledger"])))
    except BaseException:  # as an interpreter ends that nobody caught it in
        import traceback

        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    _source(socket.socket(fileno=int(sys.argv[1])))
