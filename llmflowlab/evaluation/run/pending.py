"""Evaluations that have ended and that MLflow does not have whole yet: a file for each, in the home.

The file is there before the recorder is told to close the runs, and goes once the store has answered for
all of them. Whatever becomes of the recorder, a later process finds what is left.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from llmflowlab.files import lock_path, write_atomically
from llmflowlab.settings import Settings

__all__ = ["await_recording", "pending_evaluations", "recorded", "recording_lock", "to_record"]


def recording_lock(evaluation: str) -> str:
    """Return the name of the lock that whoever records an evaluation holds (see `files.exclusive`)."""
    return f"recording-{evaluation}"


def await_recording(settings: Settings, evaluation: str) -> None:
    """Note that an evaluation has ended and is to be in MLflow.

    Raises:
        OSError: It could not be noted.
    """
    write_atomically(_folder(settings) / evaluation, b"")


def recorded(settings: Settings, evaluation: str) -> None:
    """Note that the store has answered for all of an evaluation, or that there is no such any more."""
    with suppress(OSError):
        (_folder(settings) / evaluation).unlink(missing_ok=True)


def pending_evaluations(settings: Settings) -> list[str]:
    """Return the evaluations that MLflow does not have whole, those being recorded included."""
    folder = _folder(settings)
    if not folder.is_dir():
        return []
    return sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))


def to_record(settings: Settings) -> list[str]:
    """Return those of them that nobody records at the moment."""
    return [name for name in pending_evaluations(settings) if not _is_recorded_now(settings, name)]


def _is_recorded_now(settings: Settings, evaluation: str) -> bool:
    file = lock_path(settings, recording_lock(evaluation))
    if not file.exists():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "recordings"
