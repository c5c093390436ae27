"""How large a benchmark may be; each bound is far beyond any that was meant as one."""

from __future__ import annotations

from collections.abc import Sized

from llmflowlab.errors import DatasetError

__all__ = [
    "MOST_BYTES",
    "MOST_CELLS",
    "refuse_many_columns",
    "too_long",
]

MOST_BYTES = 500_000_000
"""Of a file, and of a compressed one when it is unpacked; rows take several times that in memory."""
MOST_CELLS = 50_000_000
_MOST_COLUMNS = 5_000
_LONGEST_CELL = 10_000_000


def refuse_many_columns(columns: Sized, file: str) -> None:
    """Refuse a file that is a matrix rather than a list of questions.

    Raises:
        DatasetError: It has too many columns.
    """
    if len(columns) > _MOST_COLUMNS:
        raise DatasetError(
            f"has {len(columns):,} columns, up to {_MOST_COLUMNS:,} are read; write one row for each "
            "question and keep the columns that are needed.",
            file=file,
        )


def too_long(text: str) -> str | None:
    """Return why a cell cannot be used; None where it has a usable length."""
    if len(text) <= _LONGEST_CELL:
        return None
    return (
        f"{len(text):,} characters, more than any model reads (up to {_LONGEST_CELL:,} are taken)"
    )
