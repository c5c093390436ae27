"""llama.cpp in this process: a model file is loaded once, and all who ask it share its places.

`xllamacpp.Server` is llama.cpp's own server: requests that come together are worked on together, each
in a place with a window of its own. It also listens on a port of this machine, behind a random key.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import queue
import secrets
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

from llmflowlab.loading import load
from llmflowlab.providers.local.weights import ModelFile

__all__ = ["PLACES", "Engine", "LoadFailed", "Server", "engine_for", "free_cores"]

PLACES = 4
"""Requests that are worked on at once."""
_BATCH = 256
"""Tokens of a prompt that are read at a stretch; in between, a request can be given up."""
_PATIENCE = 5.0
"""Seconds that the program's end waits for requests under way: one may be in the middle of a batch."""

Chunk: TypeAlias = "dict[str, Any]"


class LoadFailed(Exception):
    """llama.cpp does not take the file."""


class Server(Protocol):
    """What is used of `xllamacpp.Server`."""

    def handle_chat_completions(self, payload: Any, callback: Any) -> None:
        """Block until the answer is whole, handing each chunk to `callback`; True from it ends that."""
        ...

    def handle_embeddings(self, payload: Any) -> Chunk: ...


class Engine:
    """A loaded model; its memory is given back when the last who got it has released it."""

    def __init__(self, server: Server) -> None:
        self._server: Server | None = server
        self._holders = 0

    def chat(self, payload: Mapping[str, Any]) -> Generator[Chunk, None, None]:
        """Yield an answer's chunks, in OpenAI's form; closing it ends the generation.

        Raises:
            Exception: Whatever the binding raises.
        """
        call = _Call(self._loaded, payload)
        call.start()
        try:
            while (item := call.inbox.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            call.stopped.set()

    def embed(self, texts: Sequence[str]) -> Chunk:
        return self._loaded.handle_embeddings({"input": list(texts)})

    @property
    def _loaded(self) -> Server:
        assert self._server is not None, "used after it was released"
        return self._server

    def release(self) -> None:
        """Say that it is not needed any more; what is under way still comes to its end."""
        with _loading:
            self._holders -= 1
            if self._holders == 0:
                self._server = None
                for key in [key for key, engine in _shared.items() if engine is self]:
                    del _shared[key]

    def _hold(self) -> Engine:
        self._holders += 1
        return self


class _Call(threading.Thread):
    """One request, in a thread that llama.cpp may block."""

    running: set[_Call] = set()  # noqa: RUF012  # shared by all on purpose: the program's end ends them

    def __init__(self, server: Server, payload: Mapping[str, Any]) -> None:
        super().__init__(name="local-answer", daemon=True)
        self.inbox: queue.SimpleQueue[Chunk | BaseException | None] = queue.SimpleQueue()
        self.stopped = threading.Event()
        self._server: Server | None = server
        self._payload = payload

    def run(self) -> None:
        self.running.add(self)
        end: BaseException | None = None
        try:
            assert self._server is not None
            self._server.handle_chat_completions(self._payload, self._take)
        except BaseException as exc:  # noqa: BLE001
            # Not handled here: carried over to whoever reads, and raised there.
            end = exc
        finally:
            # A thread object outlives its run; the model must not.
            self._server = None
            self.running.discard(self)
        self.inbox.put(end)

    def _take(self, chunk: Chunk) -> bool:
        self.inbox.put(chunk)
        return self.stopped.is_set()


@atexit.register
def _end_all() -> None:
    """End what is under way: llama.cpp's threads must not call into an interpreter that is gone."""
    under_way = list(_Call.running)
    for call in under_way:
        call.stopped.set()
    for call in under_way:
        call.join(_PATIENCE / len(under_way))


_shared: dict[tuple[Any, ...], Engine] = {}
_loading = threading.Lock()


def engine_for(model: ModelFile, *, window: int, threads: int) -> Engine:
    """Return the engine of a model file, loaded unless somebody has it already; to be released.

    Args:
        model: The file.
        window: Tokens that a request and its answer may have in all.
        threads: Processor threads that it computes with.

    Raises:
        ImportError: xllamacpp does not load.
        LoadFailed: llama.cpp does not take the file.
        OSError: The file is gone.
    """
    status = model.path.stat()
    key = (model.path, status.st_size, status.st_mtime_ns, window, threads)
    with _loading:
        engine = _shared.get(key)
        if engine is None:
            engine = _shared[key] = Engine(start_server(model, window=window, threads=threads))
        return engine._hold()


def start_server(model: ModelFile, *, window: int, threads: int) -> Server:
    """Load a model file; blocks the interpreter meanwhile.

    Raises:
        ImportError: xllamacpp does not load.
        LoadFailed: llama.cpp does not take the file.
    """
    xllamacpp = load("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(model.path)
    params.model_alias = {model.name}
    params.n_parallel = PLACES
    params.n_ctx = window * PLACES
    params.n_batch = params.n_ubatch = window if model.paper.embeds else min(_BATCH, window)
    params.embedding = model.paper.embeds
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # Threads that wait leave the processor to others.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.warmup = params.ui = params.endpoint_slots = False
    params.verbosity = -1
    params.api_keys = [secrets.token_urlsafe(24)]
    try:
        return cast("Server", xllamacpp.Server(params))
    except RuntimeError as exc:
        raise LoadFailed(str(exc)) from exc


def free_cores() -> int:
    """Return how many threads to compute with: the cores, without those that others keep busy.

    llama.cpp's threads wait for each other at every step of every token. Where one of them has to
    share its core all of them wait: two threads on two busy cores were ten times slower than one.
    """
    cores = physical_cores()
    try:
        busy = round(os.getloadavg()[0])
    except (AttributeError, OSError):
        busy = 0
    return max(1, cores - busy)


def physical_cores() -> int:
    """Return how many cores this process may use; hyperthreads of one core count once.

    Where the system does not say which belong together (only Linux does here), all count.
    """
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:
        return os.cpu_count() or 1
    cores = set()
    for number in allowed:
        about = Path(f"/sys/devices/system/cpu/cpu{number}/topology")
        core: tuple[str, ...] = (str(number),)
        with contextlib.suppress(OSError):
            core = tuple(
                (about / name).read_text("ascii") for name in ("physical_package_id", "core_id")
            )
        cores.add(core)
    return max(1, len(cores))
