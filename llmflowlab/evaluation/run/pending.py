"""Evaluations that MLflow does not have whole yet: a file for each, in the home.

The file is there before the first call, and goes once the store has answered for all of the runs.
Whatever becomes of the evaluation and of its recorder, a later process finds what is left.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypeAlias

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
    "somebody_holds",
    "to_record",
]


Worker: TypeAlias = Literal["evaluation", "deliverer", "recorder"]
"""Who works on it: the evaluation itself, whoever delivers what it left, its recorder alone."""
_NOTES: Mapping[Worker, bytes] = {
    "evaluation": b"",
    "deliverer": b"ended",
    "recorder": b"recorder",
}
_GLANCE, _AGAIN = 0.02, 0.005
"""Seconds after which a lock is held, and not only looked at by another process at this moment."""


def recording_lock(evaluation: str) -> str:
    """Return the name of the lock that whoever records an evaluation holds (see `files.exclusive`)."""
    return f"recording-{evaluation}"


def evaluation_lock(evaluation: str) -> str:
    """Return the name of the lock that whoever works on an evaluation holds."""
    return f"evaluation-{evaluation}"


def await_recording(settings: Settings, evaluation: str, by: Worker = "evaluation") -> None:
    """Note that an evaluation has begun and is to be in MLflow, however it ends.

    Args:
        settings: Names the home.
        evaluation: Which.
        by: Who works on it; it has ended where that is not the evaluation itself.

    Raises:
        OSError: It could not be noted.
    """
    write_atomically(_folder(settings) / evaluation, _NOTES[by])


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
    return [
        name
        for name in noted
        if not is_held(settings, evaluation_lock(name))
        or _note(settings, name) == _NOTES["deliverer"]
    ]


def to_record(settings: Settings) -> list[str]:
    """Return those of them that nobody records at the moment."""
    return [
        name
        for name in pending_evaluations(settings)
        if not is_held(settings, recording_lock(name))
        and not is_held(settings, evaluation_lock(name))
    ]


def left_behind(settings: Settings) -> list[str]:
    """Return those that somebody must look after: nobody records them, or only for a moment longer.

    The recorder of an evaluation that was killed ends as soon as it notices.
    """
    nobody = set(to_record(settings))
    return [
        name
        for name in pending_evaluations(settings)
        if name in nobody or _note(settings, name) not in (_NOTES["recorder"], None)
    ]


def is_held(settings: Settings, lock_name: str) -> bool:
    """Whether anybody holds the lock of this name (see `files.exclusive`)."""
    return somebody_holds(lock_path(settings, lock_name))


def somebody_holds(file: Path) -> bool:
    """Whether anybody holds a lock; nobody does where no file can be made."""
    if not file.exists():
        return False
    lock = FileLock(file)
    try:
        lock.acquire(timeout=_GLANCE, poll_interval=_AGAIN)
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


def _note(settings: Settings, evaluation: str) -> bytes | None:
    try:
        return (_folder(settings) / evaluation).read_bytes()
    except OSError:
        return None


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "recordings"
