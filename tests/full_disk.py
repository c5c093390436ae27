"""Disks that take nothing more, as SQLite tells of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

__all__ = ["TROUBLES", "no_writing"]

TROUBLES = {
    "database or disk is full": "the disk is full; make room there; what was said before is kept.",
    "attempt to write a readonly database": "it cannot be written; make the folder and its files writable",
}
"""What SQLite says, and what is made of it."""


@contextmanager
def no_writing(said: str) -> Iterator[None]:
    """Let every transaction that writes to a file of the ledger's kind fail with SQLite's words."""
    failure = sqlite3.OperationalError(said)
    with mock.patch("llmflowlab.evaluation.run.ledger_file._writing", side_effect=failure):
        yield
