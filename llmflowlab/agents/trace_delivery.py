"""Where an agent's traces go, that they get there, and how many did not.

MLflow queues traces, drops without a word what its queues do not hold, and goes on where the store refuses
one. So production is bounded here: a request waits a moment for the store before it would be lost, and
what was ended is looked for in the store.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llmflowlab.settings import SERVING_EXPERIMENT

__all__ = ["TraceCount", "ended", "flush", "home", "make_room", "place_of", "warm"]

_QUEUE = 10_000
"""What each of MLflow's queues holds where the environment does not say: its own 1,000 or 2,048 are soon full."""
_LOOK_MS = 1000
"""From one look at the spans that ended to the next."""
_MOST_SPANS = 6000
"""Spans on their way to the store before it is waited for; with their traces they fit into the queues."""
_MOST_MEANWHILE = 3000
"""Spans that may begin while the queue is emptied, in which time the one before it is hardly read."""
_PATIENCE = 5.0
"""Seconds that a request waits for the store; it goes on then, its trace perhaps lost, and counted."""
_WARMING = 30.0
"""Seconds that a load waits for a store that is away."""
_PAGE = 500
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceCount:
    """What became of the traces of this process so far."""

    ended: int
    """Requests whose trace was handed to MLflow."""
    stored: int
    """Those that the store was seen to have."""
    unknown: int = 0
    """Those that could not be looked for, as the store is away."""

    @property
    def lost(self) -> int:
        return self.ended - self.stored - self.unknown

    @property
    def sentence(self) -> str | None:
        """What is to be said of it; None where all are there."""
        if self.ended == self.stored:
            return None
        away = f"; {self.unknown} could not be looked for" if self.unknown else ""
        return f"{self.lost} of {self.ended} traces did not reach MLflow{away}."


class _Delivery:
    """The traces of this process on their way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._settling = threading.Lock()
        self._settled = threading.Event()
        self._settled.set()
        self._spans = 0
        self._waiting: dict[str, dict[str, int]] = {}
        """By experiment: each trace's id and when it began, in ms."""
        self._ended = 0
        self._stored = 0

    def make_room(self) -> None:
        with self._lock:
            self._spans += 1
            idle = self._settled.is_set()
            if self._spans < (_MOST_SPANS if idle else _MOST_MEANWHILE):
                return
            if idle:
                self._settled.clear()
                self._spans = 0
        if idle:
            threading.Thread(target=self._settle, name="agent-traces", daemon=True).start()
        else:
            self._settled.wait(_PATIENCE)

    def ended(self, experiment: str, trace_id: str, began_ms: int) -> None:
        with self._lock:
            if not self._ended:
                # After MLflow's own, and so called before it.
                atexit.register(self._at_exit)
            self._ended += 1
            self._waiting.setdefault(experiment, {})[trace_id] = began_ms

    def flush(self) -> TraceCount:
        import mlflow

        with self._settling:
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            mlflow.flush_trace_async_logging()
            stored = {name: _stored(name, ids) for name, ids in waiting.items()}
            with self._lock:
                for name, found in stored.items():
                    if found is None:
                        self._waiting.setdefault(name, {}).update(waiting[name])
                    else:
                        self._stored += found
                unknown = sum(map(len, self._waiting.values()))
                return TraceCount(ended=self._ended, stored=self._stored, unknown=unknown)

    def _settle(self) -> None:
        before = self._ended - self._stored
        try:
            count = self.flush()
            if count.lost > before:
                _log.warning("%s", count.sentence)
        finally:
            self._settled.set()

    def _at_exit(self) -> None:
        with self._lock:
            waits = any(self._waiting.values())
        if waits and (said := self.flush().sentence) is not None:
            _log.warning("%s", said)


_delivery = _Delivery()


def make_room() -> None:
    """Count a span that is to begin, and wait a moment where too many are under way."""
    _delivery.make_room()


def place_of(span: Any) -> tuple[str, str, int] | None:
    """Return where a request's trace goes, its id and when it began; None where none is written.

    Args:
        span: Its outermost one, not ended yet.
    """
    from mlflow.entities import NoOpSpan
    from mlflow.tracing.trace_manager import InMemoryTraceManager

    if isinstance(span, NoOpSpan):
        return None
    manager = InMemoryTraceManager.get_instance()  # type: ignore[no-untyped-call]  # MLflow's
    with manager.get_trace(span.trace_id) as trace:
        if trace is None or trace.info.experiment_id is None:
            return None
        return str(trace.info.experiment_id), str(span.trace_id), span.start_time_ns // 1_000_000


def ended(place: tuple[str, str, int]) -> None:
    """Remember a request's trace that was handed to MLflow just now."""
    _delivery.ended(*place)


def flush() -> TraceCount:
    """Wait until MLflow has written what is under way, and count what the store has.

    To be called before a process that serves an agent ends; what is lost is a warning in the log by
    then at the latest.
    """
    return _delivery.flush()


def home() -> str | None:
    """Return the id of the experiment that a request's trace belongs to; None leaves that to MLflow.

    That is the experiment of the model that is asked. One that the environment names goes before, and so
    does that of a run under way.
    """
    import mlflow
    from mlflow.tracing.utils import maybe_get_logged_model_id

    if mlflow.active_run() is not None or _named_elsewhere(*_named()):
        return None
    model_id = mlflow.get_active_model_id() or maybe_get_logged_model_id()
    return None if model_id is None else experiment_of(model_id)


@lru_cache(maxsize=256)
def experiment_of(model_id: str) -> str | None:
    """Return the experiment of a logged model; None where the store does not know or cannot say."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        return str(mlflow.MlflowClient().get_logged_model(model_id).experiment_id)
    except MlflowException:
        return None


def _named() -> tuple[str | None, str | None]:
    from mlflow.environment_variables import MLFLOW_EXPERIMENT_ID, MLFLOW_EXPERIMENT_NAME

    name, number = (
        each.get()  # type: ignore[no-untyped-call]  # MLflow annotates nothing here
        for each in (MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID)
    )
    return name, number


@lru_cache(maxsize=256)
def _named_elsewhere(name: str | None, number: str | None) -> bool:
    import mlflow
    from mlflow.exceptions import MlflowException

    if number and not name:
        try:
            name = str(mlflow.MlflowClient().get_experiment(number).name)
        except MlflowException:
            return True
    # The lab's servers name this one for models that have none.
    return bool(name) and name != SERVING_EXPERIMENT


def warm() -> None:
    """Open the store and set tracing up, so that no request has to; nothing is written.

    Where MLflow's tracing began before, its queues stay as they are.
    """
    import mlflow

    _warmed(mlflow.get_tracking_uri())


@lru_cache(maxsize=256)
def _warmed(uri: str) -> None:
    warming = threading.Thread(target=_warm, name="agent-warming", daemon=True)
    warming.start()
    warming.join(_WARMING)


def _warm() -> None:
    import mlflow
    from mlflow.tracing.provider import is_tracing_enabled

    try:
        _enlarge_queues()
        if is_tracing_enabled():
            _named_elsewhere(*_named())
            mlflow.MlflowClient().search_traces(locations=["0"], max_results=1, include_spans=False)
    except Exception as exc:  # noqa: BLE001 - whatever a store raises: the first trace will tell of it
        _log.debug("The store could not be opened beforehand (%s).", type(exc).__name__)


def _enlarge_queues() -> None:
    import mlflow
    from mlflow import environment_variables as named

    wanted = [
        (named.MLFLOW_TRACE_BUFFER_MAX_SIZE, _QUEUE),
        # As many spans are held until the next look at them.
        (named.MLFLOW_ASYNC_TRACE_LOGGING_MAX_SPAN_BATCH_SIZE, _QUEUE),
        (named.MLFLOW_ASYNC_TRACE_LOGGING_MAX_INTERVAL_MILLIS, _LOOK_MS),
        (named.MLFLOW_ASYNC_TRACE_LOGGING_MAX_QUEUE_SIZE, _QUEUE),
    ]
    if mlflow.get_tracking_uri().startswith("sqlite:"):
        # Several would keep each other from writing until one gives its trace up.
        wanted.append((named.MLFLOW_ASYNC_TRACE_LOGGING_MAX_WORKERS, 1))
    for variable, size in wanted:
        if not variable.is_set():  # type: ignore[no-untyped-call]  # as above
            variable.set(size)  # type: ignore[no-untyped-call]  # as above


def _stored(experiment: str, waiting: Mapping[str, int]) -> int | None:
    """Return how many of some traces the store has; None where it cannot be asked."""
    import mlflow

    first, last = min(waiting.values()), max(waiting.values())
    found, token = 0, None
    try:
        while True:
            page = mlflow.MlflowClient().search_traces(
                locations=[experiment],
                filter_string=f"timestamp_ms >= {first} AND timestamp_ms <= {last}",
                max_results=_PAGE,
                page_token=token,
                include_spans=False,
            )
            found += sum(trace.info.trace_id in waiting for trace in page)
            token = page.token
            if not token or found == len(waiting):
                return found
    except Exception as exc:  # noqa: BLE001 - whatever a store raises: what it has is unknown then
        _log.debug("The store could not be asked (%s).", type(exc).__name__)
        return None
