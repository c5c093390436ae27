"""Which evaluations are running: each holds a lock that the system takes back when its process ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.pending import evaluation_lock, somebody_holds

__all__ = ["held", "is_running", "lock_file", "on_cluster"]

_PATIENCE = 0.5
"""Seconds after which another process works on an evaluation, and does not only look."""


def lock_file(ledger: Ledger, evaluation: str) -> Path:
    """Return the file whose lock a running evaluation holds."""
    return ledger.path.parent / "locks" / f"{evaluation_lock(evaluation)}.lock"


def on_cluster(evaluation: str) -> str:
    """Return what is held beside an evaluation whose workers are elsewhere."""
    return f"{evaluation}-cluster"


@contextmanager
def held(ledger: Ledger, evaluation: str) -> Iterator[None]:
    """Keep an evaluation to oneself while the block runs.

    Raises:
        InputError: Another process works on it.
        TrackingError: The lock file cannot be made.
    """
    file = lock_file(ledger, evaluation)
    lock = FileLock(file)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Whoever looks whether it is held holds it for a moment.
        lock.acquire(timeout=_PATIENCE)
    except Timeout as exc:
        raise InputError(
            f"{evaluation} is being worked on by another process; wait for its end."
        ) from exc
    except OSError as exc:
        raise TrackingError(f"{file} cannot be made ({exc.strerror}); mend the folder.") from exc
    try:
        yield
    finally:
        lock.release()


def is_running(ledger: Ledger, evaluation: str) -> bool:
    """Tell whether a living process works on an evaluation."""
    return somebody_holds(lock_file(ledger, evaluation))
