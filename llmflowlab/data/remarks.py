"""What a person should know of the rows of a file before anything is asked."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

from llmflowlab.data.file_records import BadRow
from llmflowlab.data.layout import Layout
from llmflowlab.data.question_keys import same_text
from llmflowlab.data.rows import Row

__all__ = ["left_out", "remarks_on", "words_for_nothing"]

_NAMED = 5
"""Rows left out that are named in a warning."""
_NOTHING = frozenset({"NaN", "nan", "<NA>", "null", "NULL", "None", "N/A", "#N/A"})
"""How pandas, databases, Python and spreadsheets write a value that is not there."""


def remarks_on(rows: tuple[Row, ...], layout: Layout) -> Iterable[str]:
    """Yield sentences on missing answers, conversations and repeated questions."""
    yield from _gaps(rows, layout)
    yield from words_for_nothing(rows)
    yield from _answers_at_the_end(rows, layout)
    yield from _unanswered_turns(rows)
    yield from _repetitions(rows)


def left_out(bad: Sequence[BadRow]) -> Iterable[str]:
    """Yield the remark that names the rows that were left out."""
    if bad:
        listed = "; ".join(f"{one.where}: {one.reason.rstrip('.')}" for one in bad[:_NAMED])
        more = f"; and {len(bad) - _NAMED:,} more" if len(bad) > _NAMED else ""
        rows_are = "1 row was" if len(bad) == 1 else f"{len(bad):,} rows were"
        yield f"{rows_are} left out: {listed}{more}."


def _gaps(rows: tuple[Row, ...], layout: Layout) -> Iterable[str]:
    expecting = layout.columns.answer or layout.columns.answers
    if expecting is None and not any(row.expected or row.facts for row in rows):
        yield (
            "No column holds expected answers: scorers that compare with one have nothing to score."
        )
        return
    missing = sum(row.expected is None and not row.facts for row in rows)
    if missing:
        yield f"{missing} of {len(rows)} rows have no expected answer and are not scored for it."


def words_for_nothing(rows: Sequence[Row]) -> Iterable[str]:
    """Say which expected answers may be a missing value that another program wrote as a word.

    They stay: "What is 0/0 in JavaScript?" has the answer NaN.
    """
    found = [row for row in rows if row.expected is not None and row.expected in _NOTHING]
    if found:
        words = " or ".join(sorted({str(row.expected) for row in found}))
        answers = (
            "1 expected answer is" if len(found) == 1 else f"{len(found)} expected answers are"
        )
        yield (
            f"{answers} the word {words} (row {found[0].id} first), which is taken as the answer; where "
            "it stands for a missing one, leave the cell empty."
        )


def _answers_at_the_end(rows: tuple[Row, ...], layout: Layout) -> Iterable[str]:
    columns = layout.columns
    count = sum(row.conversation is not None and row.expected is not None for row in rows)
    if count and columns.answer is None and columns.answers is None:
        conversations = "1 conversation" if count == 1 else f"{count} conversations"
        yield (
            f"The last message of {conversations} is the assistant's: it is the expected answer and "
            "is not sent."
        )


def _unanswered_turns(rows: tuple[Row, ...]) -> Iterable[str]:
    count = 0
    for row in rows:
        roles = [message.role for message in row.conversation.messages] if row.conversation else []
        count += ("user", "user") in itertools.pairwise(roles)
    if count:
        rows_hold = "1 row holds" if count == 1 else f"{count} rows hold"
        yield (
            f"{rows_hold} several turns of the user without an answer between them; they are sent "
            "together, and the answer to all of them is scored."
        )


def _repetitions(rows: tuple[Row, ...]) -> Iterable[str]:
    first: dict[tuple[Any, ...], Row] = {}
    repeated: list[tuple[Row, Row]] = []
    for row in rows:
        asked = row.conversation and json.dumps(row.conversation.to_json())
        key = (same_text(row.question), same_text(row.context or ""), asked)
        earlier = first.setdefault(key, row)
        if earlier is not row:
            repeated.append((earlier, row))
    if repeated:
        earlier, row = repeated[0]
        rows_ask = "1 row repeats" if len(repeated) == 1 else f"{len(repeated)} rows repeat"
        where, before = (
            f"line {r.line}" if r.line is not None else f"row {r.index + 1}" for r in (row, earlier)
        )
        yield f"{rows_ask} an earlier question (the first in {where}, as in {before})."
