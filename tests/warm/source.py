"""The process that programs are forked from: `python -m tests.warm.source DOOR`.

Ends with its standard input.
"""

from __future__ import annotations

import array
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import sys
import types
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
_NUMBER = struct.Struct("i")
_STREAMS = 3


def main(door: socket.socket) -> None:
    """Fork a program for each order; returns in programs, with their exit codes raised."""
    _load()
    own = [path for path in sys.path if path and Path(path).resolve() != ROOT]
    # Who waits for a program is a process too, which nobody here waits for.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with door:
        order = _next_order(door)
    if order is not None:
        _become(order, own)


def _load() -> None:
    import mlflow.pyfunc.scoring_server
    import uvicorn
    from sqlalchemy.orm import configure_mappers

    from llmflowlab.agents import package
    from llmflowlab.evaluation.run import recorder
    from llmflowlab.evaluation.run.sinks import SINKS
    from llmflowlab.lab import deliverer
    from llmflowlab.loading import load
    from llmflowlab.tracking import delivery

    assert all((mlflow.pyfunc.scoring_server, uvicorn, package, recorder, deliverer, delivery))
    SINKS["mlflow"]()
    # All that opening a database would load; none is opened here.
    stores = ("tracking", "model_registry")
    load("mlflow", *(f"mlflow.store.{kind}.sqlalchemy_store" for kind in stores))
    configure_mappers()
    # What is never looked at is not copied.
    gc.collect()
    gc.freeze()


def _next_order(door: socket.socket) -> dict[str, Any] | None:
    """Return an order in the process that is to carry it out; None at the end."""
    while True:
        if sys.stdin in select.select([door, sys.stdin], [], [])[0]:
            return None
        line, _ = door.accept()
        with line:
            if os.fork() == 0:
                door.close()
                if (order := _watched(line)) is not None:
                    return order
                os._exit(0)


def _watched(line: socket.socket) -> dict[str, Any] | None:
    """Return the order in a process of its own; None when that has ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, handles, _, _ = socket.recv_fds(line, 1, array.array("i").itemsize * _STREAMS)
    with line.makefile("rb") as said:
        order: dict[str, Any] = json.loads(said.readline())
    ended, lives = os.pipe()
    if (pid := os.fork()) == 0:
        line.close()
        os.close(ended)
        for handle, number in zip(handles, range(_STREAMS), strict=True):
            os.dup2(handle, number)
            os.close(handle)
        return order
    os.close(lives)
    for handle in handles:
        os.close(handle)
    with suppress(BrokenPipeError):
        line.sendall(_NUMBER.pack(pid))
    # Whoever kills the one that stands for the program has killed the program.
    if line.fileno() in select.select([line.fileno(), ended], [], [])[0]:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    with suppress(BrokenPipeError):
        line.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))
    return None


def _become(order: dict[str, Any], own: list[str]) -> None:
    """Run a program as an interpreter would that was started for it."""
    import resource

    os.setsid()
    os.umask(order["umask"])
    os.chdir(order["folder"])
    resource.setrlimit(resource.RLIMIT_FSIZE, tuple(order["file_size"]))
    os.environ.clear()
    os.environ.update(order["environment"])
    # The interpreter closes them at its end, as its own.
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", 1, "utf-8", "backslashreplace", closefd=False)  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.orig_argv[:] = [sys.executable, *order["command"]]
    words = list(order["command"])
    warnings.resetwarnings()
    isolated = False
    while words[0] in {"-I", "-W"}:
        isolated |= words[0] == "-I"
        if words.pop(0) == "-W":
            warnings.simplefilter(words.pop(0))
    how = words.pop(0) if words[0] in {"-c", "-m"} else "file"
    safe = isolated or "PYTHONSAFEPATH" in os.environ
    first = {"-c": "", "-m": order["folder"], "file": str(Path(words[0]).parent)}[how]
    named = [] if isolated else os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [*([] if safe else [first]), *filter(None, named), *own]
    _forget_another_lab()
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if how == "-c":
        code = words[0]
        sys.argv[:] = ["-c", *words[1:]]
        exec(compile(code, "<string>", "exec"), main.__dict__)
    elif how == "-m":
        sys.argv[:] = words
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = words
        runpy.run_path(words[0], run_name="__main__")


def _forget_another_lab() -> None:
    """Let a program import the lab that it would find, which need not be this one."""
    found = [path for path in sys.path if (Path(path) / "llmflowlab").is_dir()]
    if not found or Path(found[0]).resolve() != ROOT:
        for name in [name for name in sys.modules if name.split(".")[0] == "llmflowlab"]:
            del sys.modules[name]


if __name__ == "__main__":
    # As an imported module, which a program's own `__main__` does not replace.
    from tests.warm.source import main as _main

    _main(socket.socket(fileno=int(sys.argv[1])))
