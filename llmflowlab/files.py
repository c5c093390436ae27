"""How the lab writes its files: whole or not at all, one writer at a time."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from llmflowlab.errors import HomeUnwritable, TrackingError
from llmflowlab.settings import Settings

__all__ = [
    "disk_trouble",
    "exclusive",
    "lock_path",
    "require_home",
    "set_aside",
    "sync_folder",
    "write_atomically",
]

_PATIENCE = 30.0
"""Seconds to wait for another process that writes the same file; a write takes milliseconds."""


@contextlib.contextmanager
def exclusive(settings: Settings, name: str, *, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold the lock called `name` among all processes that share this home.

    Args:
        settings: Names the home.
        name: As a file name: `gemini_artifacts.json`.
        patience: Seconds to wait for whoever holds it.

    Raises:
        TrackingError: Somebody else held it for too long.
        OSError: The lock file cannot be made.
    """
    file = lock_path(settings, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=patience)
    except Timeout as exc:
        raise TrackingError(
            f"Another process has been writing {name} for {patience:g} s; end it and try again."
        ) from exc
    try:
        yield
    finally:
        lock.release()


def lock_path(settings: Settings, name: str) -> Path:
    """Return the file whose lock is the one called `name`."""
    return settings.state_dir / "locks" / f"{name}.lock"


def require_home(settings: Settings) -> None:
    """Make the home where it is not there, and see that it takes files.

    Raises:
        HomeUnwritable: It does not.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.home):
            pass
    except OSError as exc:
        raise HomeUnwritable(
            f"The home folder {settings.home} cannot be written ({exc.strerror or exc}); set "
            "LLMFLOWLAB_HOME to a folder of yours."
        ) from exc


def write_atomically(path: Path, data: bytes, *, shared: bool = False) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new one.

    Args:
        path: Where; a file that is there keeps its mode.
        data: The content.
        shared: Whether others may read a new one: what a person asked for, not what a home keeps.

    Raises:
        OSError: It could not be written; the old content stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        new = 0o644 if shared else 0o600
        temporary.chmod(path.stat().st_mode & 0o777 if path.exists() else new)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut, where the system can."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems cannot sync a folder; the file itself is synced.
        return
    finally:
        os.close(descriptor)


def disk_trouble(exc: BaseException) -> str | None:
    """Say what ails a disk or a database file, and what to do, as the second half of a sentence.

    Args:
        exc: What the system, SQLite or whoever carries its words raised.

    Returns:
        None where it is neither room, rights nor damage.
    """
    number = exc.errno if isinstance(exc, OSError) else None
    text = str(exc)
    if number in _FULL or "database or disk is full" in text:
        return "the disk is full; make room there"
    if number in _REFUSED or any(words in text for words in _REFUSING):
        return "it cannot be written; make the folder and its files writable, or set LLMFLOWLAB_HOME to another"
    if "malformed" in text or "is not a database" in text:
        return (
            "the file is damaged; put a copy of it back, or rename it: a new one is begun, and what MLflow "
            "has stays"
        )
    if number == errno.EIO or "disk I/O error" in text:
        return "the disk does not take it (input/output error); where it is full, make room there"
    return None


_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
_REFUSING = ("readonly database", "read-only", "unable to open database file")


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be read, so that it is neither lost nor in the way.

    Returns:
        Its new path, `<name>.bad-<date>`.

    Raises:
        OSError: It cannot be renamed.
    """
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        target = path.with_name(f"{path.name}.bad-{stamp}" + (f"-{number}" if number else ""))
        if not target.exists():
            path.rename(target)
            return target
    raise FileExistsError(f"{path} was set aside too often within one second")
