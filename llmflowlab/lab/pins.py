"""Turns of a chat as rows of a benchmark file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.data.converting import write_table
from llmflowlab.data.file_records import DataTable, Record, value_of
from llmflowlab.data.layout import layout_of
from llmflowlab.data.tables import read_table
from llmflowlab.errors import InputError
from llmflowlab.files import disk_trouble, exclusive
from llmflowlab.lab.conversation import Exchange
from llmflowlab.settings import Settings

__all__ = ["Pinned", "pin", "pins_file"]

_COLUMNS = ("messages", "language", "model", "trace_id")
_KINDS = (".csv", ".tsv", ".jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """Where a turn stands now."""

    file: Path
    row: int
    """From 1."""
    replaced: bool
    """Whether the file asked the same before; it has the new expected answer now."""


def pins_file(settings: Settings) -> Path:
    """Return where turns are pinned that are given no other file."""
    return settings.home / "pinned.csv"


def pin(
    settings: Settings,
    file: Path,
    exchanges: Sequence[Exchange],
    *,
    expected: str,
    language: str | None = None,
    model: str | None = None,
    trace_id: str | None = None,
) -> Pinned:
    """Make the last of some exchanges a row: what was said before it, its prompt, and what is expected.

    All of it is one conversation in one cell, the expected answer at its end: `evaluate --data` reads
    it so, and no cell begins with what a spreadsheet takes for a formula. The system prompt is the
    candidate's and is left out.

    Args:
        settings: Names the home.
        file: CSV or JSON Lines; made where it is not there.
        exchanges: From the beginning of the conversation.
        expected: What should have been answered.
        language: Of the answer, where it is known.
        model: Who answered, where it is known.
        trace_id: Of the turn, where it has one of its own.

    Raises:
        InputError: The file is of another kind, holds no conversations, or cannot be written.
        TrackingError: Another process kept it locked.
    """
    if file.suffix.lower() not in _KINDS:
        raise InputError(f"{file} is of no kind that turns are pinned to; name a .csv or .jsonl.")
    said = [
        {"role": role, "content": text}
        for exchange in exchanges
        for role, text in (("user", exchange.prompt), ("assistant", exchange.answer))
    ]
    said[-1]["content"] = expected
    extra = {"language": language or "", "model": model or "", "trace_id": trace_id or ""}
    cells = {"messages": json.dumps(said, ensure_ascii=False), **extra}
    with _locked(settings, file):
        table = _existing(file)
        records = list(table.records)
        same = [i for i, record in enumerate(records) if _asked(record) == said[:-1]]
        place = same[0] if same else len(records)
        kept = {name: records[place].cells.get(name, "") for name in table.columns} if same else {}
        records[place : place + 1] = [Record(None, kept | cells, {"messages": said})]
        columns = tuple(dict.fromkeys((*table.columns, *_COLUMNS)))
        # A chat is private where it is kept, as all of a home is.
        shared = file.parent.resolve() != settings.home.resolve()
        write_table(DataTable(columns, tuple(records)), file, force=True, shared=shared)
    return Pinned(file=file, row=place + 1, replaced=bool(same))


@contextmanager
def _locked(settings: Settings, file: Path) -> Iterator[None]:
    """Hold the lock of pinned turns; a disk that takes nothing is said in a sentence."""
    try:
        with exclusive(settings, "pins"):
            yield
    except OSError as exc:
        why = disk_trouble(exc) or exc.strerror or str(exc)
        raise InputError(f"Nothing was pinned to {file}: {why}.") from exc


def _existing(file: Path) -> DataTable:
    if not file.exists():
        return DataTable(_COLUMNS, ())
    table = read_table(file)
    columns = layout_of(table, {}, file.name).columns
    if columns.messages != "messages" or columns.answer is not None:
        raise InputError(
            f"{file} holds no conversations that end with what is expected, as pinned turns do; "
            "pin to another file."
        )
    return table


def _asked(record: Record) -> object:
    said = value_of(record, "messages")
    return said[:-1] if isinstance(said, list) else None
