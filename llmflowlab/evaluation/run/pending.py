"""Evaluations that MLflow does not have whole yet: a file for each, in the home.

The file is there before the first call, and goes once the store has answered for all of the runs.
Whatever becomes of the evaluation and of its recorder, a later process finds what is left.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from llmflowlab.files import lock_path, write_atomically
from llmflowlab.settings import Settings

__all__ = [
    "await_recording",
    "evaluation_lock",
    "is_held",
    "left_behind",
    "pending_evaluations",
    "recorded",
    "recording_lock",
    "to_record",
]


_ALONE = b"recorder"


def recording_lock(evaluation: str) -> str:
    """Return the name of the lock that whoever records an evaluation holds (see `files.exclusive`)."""
    return f"recording-{evaluation}"


def evaluation_lock(evaluation: str) -> str:
    """Return the name of the lock that whoever works on an evaluation holds."""
    return f"evaluation-{evaluation}"


def await_recording(settings: Settings, evaluation: str, *, alone: bool = False) -> None:
    """Note that an evaluation has begun and is to be in MLflow, however it ends.

    Args:
        settings: Names the home.
        evaluation: Which.
        alone: Whether it has ended and its recorder is to do the rest.

    Raises:
        OSError: It could not be noted.
    """
    write_atomically(_folder(settings) / evaluation, _ALONE if alone else b"")


def recorded(settings: Settings, evaluation: str) -> None:
    """Note that the store has answered for all of an evaluation, or that there is no such any more."""
    with suppress(OSError):
        (_folder(settings) / evaluation).unlink(missing_ok=True)


def pending_evaluations(settings: Settings) -> list[str]:
    """Return those that have ended, well or not, and that MLflow does not have whole.

    Those being recorded are among them.
    """
    folder = _folder(settings)
    if not folder.is_dir():
        return []
    noted = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
    return [name for name in noted if not is_held(settings, evaluation_lock(name))]


def to_record(settings: Settings) -> list[str]:
    """Return those of them that nobody records at the moment."""
    return [
        name
        for name in pending_evaluations(settings)
        if not is_held(settings, recording_lock(name))
    ]


def left_behind(settings: Settings) -> list[str]:
    """Return those that somebody must look after: nobody records them, or only for a moment longer.

    The recorder of an evaluation that was killed ends as soon as it notices.
    """
    nobody = set(to_record(settings))
    return [
        name
        for name in pending_evaluations(settings)
        if name in nobody or not _goes_on_alone(settings, name)
    ]


def _goes_on_alone(settings: Settings, evaluation: str) -> bool:
    try:
        return (_folder(settings) / evaluation).read_bytes() == _ALONE
    except OSError:
        return True


def is_held(settings: Settings, lock_name: str) -> bool:
    """Whether anybody holds the lock of this name (see `files.exclusive`)."""
    file = lock_path(settings, lock_name)
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
