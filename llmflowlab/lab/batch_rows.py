"""The two files of a batch: the requests it reads and the answers it writes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.data.columns import assign_columns
from llmflowlab.data.conversation_rows import RowConversation, row_conversation
from llmflowlab.data.tables import Record, read_table
from llmflowlab.data.values import numbered
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.reports.spreadsheet import write_cells
from llmflowlab.evaluation.reports.whole import whole_file

__all__ = ["ENDINGS", "BatchRow", "read_requests", "write_answers"]

ENDINGS = (".csv", ".jsonl", ".ndjson")
"""What the name of an output may end in."""
_FIELDS = (
    *("row", "content", "model", "finish_reason", "prompt_tokens", "completion_tokens"),
    *("tokens_estimated", "error_reason", "error"),
)
_PROMPTS = ("prompt", "question")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One request."""

    number: int
    """From 1, in the order of the file."""
    conversation: RowConversation | None
    """None where the row cannot be used; the other rows can."""
    error: str | None = None
    """Why it cannot."""


def read_requests(file: Path) -> tuple[list[BatchRow], Sequence[str]]:
    """Return the requests of a file, and what is to be said of it.

    Every kind, encoding and separator that a benchmark may have. Columns: `messages` (a list of role
    and content) or `prompt` for a single message, and `params` (an object) where there are any;
    without these, whatever column an evaluation would take for the question.

    Raises:
        InputError: The file cannot be read, has no row or no such column.
    """
    table = read_table(file.expanduser())
    if not table.records:
        raise InputError(f"{file} holds no row.")
    prompt = next((name for name in _PROMPTS if name in table.columns), None)
    if "messages" not in table.columns and prompt is None:
        prompt = assign_columns(table.columns, {}, file=file.name).question
    rows = [_row(number, record, prompt) for number, record in enumerate(table.records, 1)]
    return rows, table.warnings


def _row(number: int, record: Record, prompt: str | None) -> BatchRow:
    cells = record.cells
    messages = cells.get("messages") or ""
    params: str | None = cells.get("params") or None
    if "params" in record.values:
        params = json.dumps(numbered(record.values["params"]), ensure_ascii=False)
    if not messages and prompt is not None:
        messages = json.dumps([{"role": "user", "content": cells.get(prompt) or ""}])
    try:
        said = row_conversation(messages, params)
    except InputError as exc:
        return BatchRow(number=number, conversation=None, error=exc.message)
    return BatchRow(number=number, conversation=said)


def write_answers(
    rows: Sequence[BatchRow], answers: Mapping[int, AnswerRecord], output: Path
) -> None:
    """Write what came of every request, in order; whole or not at all.

    Args:
        rows: The requests.
        answers: By the number of the row; a row without one was not reached.
        output: `.csv`, safe to open in a spreadsheet, or JSON lines.

    Raises:
        TrackingError: It cannot be written.
    """
    lines = [_line(row, answers.get(row.number)) for row in rows]
    if output.suffix.lower() == ".csv":
        cells = [[_cell(line[name]) for name in _FIELDS] for line in lines]
        write_cells([_FIELDS, *cells], output)
        return
    with whole_file(output) as out:
        out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def _line(row: BatchRow, answer: AnswerRecord | None) -> dict[str, Any]:
    line: dict[str, Any] = {**dict.fromkeys(_FIELDS), "row": row.number}
    if row.conversation is None:
        return {**line, "error_reason": "bad_input", "error": row.error}
    if answer is None:
        return {**line, "error_reason": "not_reached", "error": "The row was not asked."}
    if not answer.answered:
        return {**line, "error_reason": answer.reason, "error": answer.error}
    return {
        **line,
        "content": answer.text,
        "model": answer.model_version,
        "finish_reason": answer.finish_reason,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "tokens_estimated": answer.tokens_estimated,
    }


def _cell(value: Any) -> str:
    return "" if value is None else str(value)
