"""One record of a file as a benchmark question."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.data.accepted_answers import answers_in
from llmflowlab.data.bounds import too_long
from llmflowlab.data.choices import LETTERS, ChoiceOptions, lettered
from llmflowlab.data.conversation_rows import RowConversation, row_conversation
from llmflowlab.data.file_records import Record, value_of
from llmflowlab.data.layout import Layout
from llmflowlab.data.names import fold
from llmflowlab.data.shapes import answers_of, context_of, conversation_of, question_of
from llmflowlab.data.values import kind_of, structured
from llmflowlab.errors import InputError

__all__ = ["Row", "read_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One benchmark question."""

    index: int
    """From 0, in the order of the file."""
    line: int | None
    """Physical line on which the row begins, from 1; None where the format has no lines."""
    id: str
    """From the file's id column, else `index` + 1."""
    question: str
    """As it is asked: with its options under it where it has some."""
    expected: str | None = None
    """None where the file gives no answer: correctness is then not scored."""
    alternatives: tuple[str, ...] = ()
    """Further answers that are as right as `expected`."""
    context: str | None = None
    guidelines: tuple[str, ...] = ()
    category: str | None = None
    language: str | None = None
    options: tuple[str, ...] = ()
    """The options of a multiple-choice question, in the order of their letters."""
    facts: tuple[str, ...] = ()
    """What an answer must say, where no answer is expected word by word."""
    given_answers: Mapping[str, str] = field(default_factory=dict)
    """What was answered before, by column, where the file was read with columns of such answers."""
    conversation: RowConversation | None = None
    """What is sent instead of `question`, which is then its last user message."""
    withheld: tuple[str, ...] = ()
    """Columns that fill no variable: the question, which has a place of its own, and what is expected."""
    source: dict[str, str]
    """All cells of the file as text, by column, for reports."""

    @property
    def values(self) -> dict[str, Any]:
        """What the variables of a prompt template are filled with: its columns, and who asks."""
        said = {name: text for name, text in self.source.items() if name not in self.withheld}
        if self.context is not None:
            said.setdefault("context", self.context)
        return {**said, **((self.conversation and self.conversation.custom_inputs) or {})}

    @property
    def accepted(self) -> str:
        """Every accepted answer in one text, for judges and people; empty without any."""
        if self.expected is None and self.facts:
            return "\n".join(f"- {fact}" for fact in self.facts)
        return "\nor: ".join([self.expected or "", *self.alternatives])


def read_row(index: int, record: Record, layout: Layout) -> Row:
    """Return one record of a file as a benchmark question.

    Raises:
        InputError: It cannot be used; the message is the end of a sentence about the row.
    """
    columns, cells = layout.columns, record.cells
    for column, text in cells.items():
        if (why := _unusable(text)) is not None:
            raise InputError(f"column {column!r} holds {why}.")

    def optional(column: str | None) -> str | None:
        return (cells.get(column, "").strip() or None) if column else None

    conversation, spoken = _conversation(record, layout, optional(columns.params))
    question = conversation.question if conversation else _question(record, columns.question)
    answers = [spoken] if spoken is not None else answers_in(record, layout)
    options = layout.options.of(record) if layout.options and not conversation else None
    if options is not None and layout.options is not None:
        question, answers = _with_options(question, answers, options, layout.options.base)
    guidelines = optional(columns.guidelines)
    return Row(
        index=index,
        line=record.line,
        id=optional(columns.id) or str(index + 1),
        question=question,
        expected=answers[0] if answers else None,
        alternatives=tuple(answers[1:]),
        context=_context(record, columns.context),
        guidelines=() if guidelines is None else _lines(guidelines),
        category=optional(columns.category),
        language=optional(columns.language),
        options=options.texts if options else (),
        facts=() if answers or columns.facts is None else _lines(cells.get(columns.facts, "")),
        given_answers={column: _given(record, column) for column in layout.given},
        conversation=conversation,
        withheld=layout.withheld,
        source=cells,
    )


def _unusable(text: str) -> str | None:
    if "\0" in text:
        return "a NUL character; save the file as text again"
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "half a character (a lone surrogate), which no provider accepts"
    return too_long(text)


def _question(record: Record, column: str) -> str:
    value = record.values.get(column)
    if isinstance(value, dict):
        found = question_of(value)
        if found is None:
            raise InputError(f"column {column!r} holds {kind_of(value)}; give one text.")
        text = found.strip()
    else:
        if column in record.lists:
            raise InputError(f"column {column!r} holds several values; give one text.")
        text = record.cells.get(column, "").strip()
        if text[:1] == "{" and fold(column) in {"input", "inputs"}:
            # Langfuse and LangSmith write their objects into cells of CSV.
            text = question_of(structured(text)) or text
    if not text:
        raise InputError(f"the question (column {column!r}) is empty.")
    return text


def _conversation(
    record: Record, layout: Layout, params: str | None
) -> tuple[RowConversation | None, str | None]:
    """Return what is said, and the answer at its end where the file has no other."""
    columns = layout.columns
    column = columns.question
    named = columns.messages is not None
    messages: Sequence[Mapping[str, Any]] | None = conversation_of(
        value_of(record, column), turns=named
    )
    if messages is None:
        if not named:
            return None, None
        text = record.cells.get(column, "").strip()
        if not text:
            raise InputError(f"the question (column {column!r}) is empty.")
        return row_conversation(text, params), None
    spoken = None
    if named and columns.answer is None and columns.answers is None and len(messages) > 1:
        last = messages[-1]
        if last.get("role") == "assistant" and isinstance(last.get("content"), str):
            messages, spoken = messages[:-1], last["content"].strip() or None
    references = _turn_answers(record, layout, messages)
    if references is not None:
        messages, spoken = references
    return row_conversation(list(messages), params), spoken


def _turn_answers(
    record: Record, layout: Layout, messages: Sequence[Mapping[str, Any]]
) -> tuple[list[Mapping[str, Any]], str | None] | None:
    """Return turns with the reference answers between them, and the last one's (MT-bench)."""
    columns = layout.columns
    if columns.answer is None:
        return None
    answers = record.values.get(columns.answer)
    if not isinstance(answers, list):
        # The same in a table: a column for each turn.
        answers = [record.cells.get(name, "") for name in (columns.answer, *layout.further)]
    several = len(messages) > 1 and all(message.get("role") == "user" for message in messages)
    if not several or len(answers) != len(messages):
        return None
    said: list[Mapping[str, Any]] = []
    for message, answer in zip(messages, answers, strict=True):
        said += [message, {"role": "assistant", "content": answer}]
    if not all(isinstance(answer, str) and answer.strip() for answer in answers):
        return None
    return said[:-1], str(answers[-1]).strip()


def _context(record: Record, column: str | None) -> str | None:
    if column is None:
        return None
    value = value_of(record, column)
    found = context_of(value) if isinstance(value, list | dict) else None
    text = record.cells.get(column, "") if found is None else found
    return text.strip() or None


def _given(record: Record, column: str) -> str:
    value = record.values.get(column)
    found = answers_of(value) if value is not None else None
    return found[0] if found and len(found) == 1 else record.cells.get(column, "")


def _with_options(
    question: str, answers: list[str], options: ChoiceOptions, base: int | None
) -> tuple[str, list[str]]:
    """Show the options under the question, and accept the right one by its text and its letter."""
    shown = options.stand_in(question)
    places: list[int | None] = [] if options.right is None else [options.right]
    places += [options.place(answer, base) for answer in answers]
    if not shown:
        question = f"{question}\n\n{lettered(options.texts)}"
    elif base is None and options.right is None:
        return question, answers
    accepted: list[str] = []
    for place in dict.fromkeys(places):
        if place is not None:
            accepted += [options.texts[place], LETTERS[place]]
    known = any(place is not None for place in places)
    return question, list(dict.fromkeys(accepted)) if known else answers


def _lines(text: str) -> tuple[str, ...]:
    """Split a cell: a JSON array of texts, else one a line."""
    if text.startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list) and all(isinstance(value, str) for value in values):
            return tuple(value.strip() for value in values if value.strip())
    return tuple(line.strip() for line in text.splitlines() if line.strip())
