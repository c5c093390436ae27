"""The journal of a batch: a ledger of its own beside the output, kept to one process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.ledger import Ledger

__all__ = ["BatchJournal", "journal_of", "open_journal"]

_SQLITE = b"SQLite format 3\x00"


def journal_of(output: Path) -> Path:
    """Return the journal that stands beside an output while its batch is not done."""
    return output.with_name(output.name + ".journal")


@dataclass(slots=True)
class BatchJournal:
    """The open journal."""

    ledger: Ledger
    done: bool = False
    """To be set once the output holds everything: the journal then goes."""


@contextmanager
def open_journal(output: Path) -> Iterator[BatchJournal]:
    """Open the journal of an output.

    Raises:
        InputError: Another process writes to it, or it is no journal of ours.
        TrackingError: The folder cannot be written.
    """
    file = journal_of(output)
    with _alone(file, output):
        _refuse_foreign(file)
        with closing(Ledger(file)) as ledger:
            journal = BatchJournal(ledger)
            yield journal
        if journal.done:
            for ending in ("", "-wal", "-shm"):
                file.with_name(file.name + ending).unlink(missing_ok=True)


@contextmanager
def _alone(journal: Path, output: Path) -> Iterator[None]:
    """Keep a journal to this process.

    Raises:
        InputError: Another batch writes to it.
        TrackingError: The folder cannot be written.
    """
    place = journal.with_name(journal.name + ".lock")
    lock = FileLock(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise InputError(
            f"Another batch is writing {output}; wait for its end, or name another file."
        ) from exc
    except OSError as exc:
        raise TrackingError(f"{output} cannot be written ({exc.strerror or exc}).") from exc
    try:
        yield
    finally:
        lock.release()
        place.unlink(missing_ok=True)


def _refuse_foreign(journal: Path) -> None:
    """Refuse a file that is no ledger, such as the journal of a batch that version 0.1.0 began.

    Raises:
        InputError: It is something else.
    """
    try:
        with journal.open("rb") as file:
            head = file.read(len(_SQLITE))
    except FileNotFoundError:
        return
    except OSError as exc:
        raise InputError(f"{journal} cannot be read ({exc.strerror}).") from exc
    if head not in {b"", _SQLITE}:
        raise InputError(
            f"{journal} is no journal that this version can go on with; finish the batch with the "
            "version that began it, or move the file away to begin again."
        )
