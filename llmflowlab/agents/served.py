"""Where our agents meet MLflow's loader and servers: handed over safely, failures with their HTTP status."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos import databricks_pb2 as codes
from mlflow.pyfunc.model import PythonModel

from llmflowlab.errors import (
    BadAnswer,
    BadRequest,
    ConnectionFailed,
    ContextTooLong,
    InputError,
    LabError,
    Overloaded,
    RateLimited,
    RefusedBySafety,
    StreamInterrupted,
    TimedOut,
)

__all__ = ["AgentFailed", "arrived", "failures_for_mlflow", "hand_over"]

_CODES: tuple[tuple[type[LabError], int], ...] = (
    (RateLimited, codes.REQUEST_LIMIT_EXCEEDED),  # 429
    (Overloaded, codes.TEMPORARILY_UNAVAILABLE),  # 503
    (ConnectionFailed, codes.TEMPORARILY_UNAVAILABLE),
    (StreamInterrupted, codes.TEMPORARILY_UNAVAILABLE),
    (BadAnswer, codes.TEMPORARILY_UNAVAILABLE),
    (TimedOut, codes.DEADLINE_EXCEEDED),  # 504
    (RefusedBySafety, codes.INVALID_PARAMETER_VALUE),  # 400: the same request will not do better
    (ContextTooLong, codes.INVALID_PARAMETER_VALUE),
    (BadRequest, codes.INVALID_PARAMETER_VALUE),
    (InputError, codes.INVALID_PARAMETER_VALUE),
)

_PATIENCE = 10.0
"""Seconds that one thread's load waits for another's."""


class AgentFailed(MlflowException):
    """A failure of an agent, so that MLflow's servers answer with a fitting HTTP status.

    Raised without the chain of exceptions behind it: MLflow writes that into traces.
    """

    def __init__(self, error: LabError) -> None:
        code = next((c for kind, c in _CODES if isinstance(error, kind)), codes.INTERNAL_ERROR)
        super().__init__(error.message, error_code=code)
        self.error = error
        """What happened, in the lab's own class of error."""


@contextmanager
def failures_for_mlflow() -> Iterator[None]:
    """Turn the lab's errors into MLflow's.

    Raises:
        AgentFailed: The block raised a `LabError`.
    """
    try:
        yield
    except LabError as exc:
        raise AgentFailed(exc) from None


class _Turn:
    """Lets one thread at a time hand its model over.

    MLflow runs a model's file and then takes the model out of a global variable: of two threads that
    load at once, one could get the other's. So a thread keeps its turn from setting the variable
    until MLflow calls `load_context`, which is the next thing it does.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holder: threading.Thread | None = None

    def take(self) -> None:
        me, until = threading.current_thread(), time.monotonic() + _PATIENCE
        with self._changed:
            # A thread that ended, or only logged a model and never loads it, must not block others.
            while self._holder not in {None, me} and time.monotonic() < until:
                if self._holder is not None and not self._holder.is_alive():
                    break
                self._changed.wait(timeout=0.05)
            self._holder = me

    def give_back(self) -> None:
        with self._changed:
            if self._holder is threading.current_thread():
                self._holder = None
                self._changed.notify()


_turn = _Turn()


def hand_over(module: str, model: PythonModel) -> None:
    """Make `model` the one that a file of models-from-code defines.

    Args:
        module: The file's `__name__`; one that is merely imported takes no turn.
        model: The model.
    """
    if module.startswith("code_model_"):
        _turn.take()
    set_model(model)


def arrived() -> None:
    """Say that MLflow has taken this thread's model; every `load_context` begins with it."""
    _turn.give_back()
