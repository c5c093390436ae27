"""How a file is read: which column is what, where its options are, and what is worth saying of it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from llmflowlab.data.choices import ChoiceOptions, OptionSource, option_columns
from llmflowlab.data.columns import Columns, assign_columns, named_column
from llmflowlab.data.file_records import DataTable, Record
from llmflowlab.data.names import NAMES, fold
from llmflowlab.data.shapes import answers_of
from llmflowlab.data.values import kind_of, structured
from llmflowlab.errors import InputError

__all__ = ["Layout", "layout_of", "more_answers"]

_KEYS = frozenset(map(fold, ("answer_key", "answer_index", "answer_idx", "correct_option", "correct_index", "correct_choice", "cop", "label")))  # fmt: skip
_SHOWN_UNUSED = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What every row of a file is read by."""

    columns: Columns
    options: OptionSource | None = None
    separator: str | None = None
    """What stands between two accepted answers of one cell; None where a cell is one answer."""
    further: tuple[str, ...] = ()
    """Columns of further accepted answers."""
    given: tuple[str, ...] = ()
    """Columns of answers that are to be scored as they are, in the order in which they were named."""
    unused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def withheld(self) -> tuple[str, ...]:
        """The columns that no prompt is filled from: the question's and those of expected answers."""
        one = self.columns
        named = (one.question, one.answer, one.answers, one.facts, *self.further)
        return tuple(column for column in named if column is not None)

    def sentence(self) -> str:
        """Say which column is what, and which are not used."""
        one = self.columns
        parts = []
        for field in fields(one):
            column = getattr(one, field.name)
            if field.name in {"messages", "separator", "for_want", "given"} or column is None:
                continue
            if field.name == "choices" and (self.options is None or self.options.cell is None):
                continue
            name = _CALLED.get(field.name, field.name)
            if field.name == "question" and one.messages is not None:
                name = "conversation"
            want = " (taken for want of better)" if field.name in one.for_want else ""
            parts.append(f"{name}: {column}{want}")
        if self.further:
            parts.append(f"further answers: {', '.join(self.further)}")
        if self.options is not None and self.options.cell is None:
            parts.append(f"options: {', '.join(self.options.columns)}")
        if self.given:
            parts.append(f"answers to be scored: {', '.join(self.given)}")
        elif one.given is not None:
            parts.append(
                f"answers already given: {one.given} (--answers {shlex.quote(one.given)} scores them)"
            )
        if self.unused:
            more = len(self.unused) - _SHOWN_UNUSED
            parts.append(
                f"unused: {', '.join(self.unused[:_SHOWN_UNUSED])}"
                + (f" and {more:,} more" if more > 0 else "")
            )
        return "; ".join(parts)

    def roles(self) -> dict[str, str]:
        """Return the file's column for each role that was recognised."""
        found = {
            field.name: getattr(self.columns, field.name)
            for field in fields(self.columns)
            if field.name not in {"separator", "for_want"}
        }
        return {role: column for role, column in found.items() if column is not None}


_CALLED = {
    "answer": "expected",
    "answers": "accepted answers",
    "choices": "options",
    "facts": "expected facts",
}


def layout_of(
    table: DataTable, mapping: Mapping[str, str], file: str, given: Sequence[str] = ()
) -> Layout:
    """Look at a whole file and return how its rows are read.

    Args:
        table: The file.
        mapping: Columns the person named, by role.
        file: The file's name, for messages.
        given: Columns of answers that are to be scored as they are.

    Raises:
        InputError: `mapping` names a role or column that does not exist, or one of `given` does not
            exist or is something else.
        DatasetError: No column can be the question, or several can be the same role.
    """
    named = [named_column(table.columns, name, "answers to be scored", file) for name in given]
    columns = assign_columns(table.columns, mapping, file=file, given=named)
    roles = (getattr(columns, field.name) for field in fields(columns) if field.name != "for_want")
    taken = frozenset(role for role in roles if role is not None)
    further = more_answers(table.columns, columns.answer, taken)
    remarks: list[str] = []
    options = _options(table, columns, taken | set(further), remarks)
    used = taken | set(further) | set(options.columns if options else ())
    _refuse_other_roles(named, columns, further, options)
    if columns.choices and options is None:
        used -= {columns.choices}
    remarks += _answer_remarks(table.records, columns)
    return Layout(
        columns=columns,
        options=options,
        separator=_separator(table.records, columns),
        further=further,
        given=tuple(named),
        unused=tuple(column for column in table.columns if column not in used.union(named)),
        remarks=tuple(remarks),
    )


def _refuse_other_roles(
    given: Sequence[str], columns: Columns, further: Sequence[str], options: OptionSource | None
) -> None:
    expected = {columns.answer, columns.answers, *further}
    roles = {
        getattr(columns, field.name): _CALLED.get(field.name, field.name)
        for field in fields(columns)
        if field.name not in {"separator", "for_want", "given"}
    } | dict.fromkeys(options.columns if options else (), "options")
    for column in given:
        if column in expected:
            raise InputError(
                f"Column {column!r} holds the expected answers, and compared with itself it is always "
                "right; name another with --answers."
            )
        if column in roles:
            raise InputError(
                f"Column {column!r} is read as {roles[column]}, not as answers; name another with "
                "--answers, or say with --map ROLE=COLUMN what is what."
            )


def more_answers(
    columns: Sequence[str], answer: str | None, taken: frozenset[str]
) -> tuple[str, ...]:
    """Return the columns of further accepted answers: `answer_2` and so on."""
    if answer is None:
        return ()
    stem = re.sub(r"[ _-]?1$", "", answer)
    pattern = re.compile(rf"{re.escape(stem)}[ _-]?([2-9]|[1-9]\d)", re.IGNORECASE)
    found = [
        (int(number[1]), name)
        for name in columns
        if name not in taken and (number := pattern.fullmatch(name.strip()))
    ]
    numbers = {number for number, _ in found}
    # From the tenth on only in an unbroken row: a lone "answer 42" is something else.
    return tuple(name for number, name in found if number < 10 or set(range(2, number)) <= numbers)


def _options(
    table: DataTable, columns: Columns, taken: frozenset[str], remarks: list[str]
) -> OptionSource | None:
    """Return where the options are, if the expected answers are among them."""
    if columns.messages is not None:
        return None
    bare = False
    if columns.choices is not None:
        source = OptionSource(cell=columns.choices)
    else:
        found = option_columns(table.columns, taken)
        if found is None:
            return None
        source, bare = found
    pairs = [
        (options, answer)
        for record in table.records
        if (options := source.of(record)) is not None
        for answer in [record.cells.get(columns.answer or "", "").strip()]
    ]
    asked = [(options, answer) for options, answer in pairs if answer and options.right is None]
    base = _base(asked, columns.answer, numbered=source.numbered)
    known = sum(options.place(answer, base) is not None for options, answer in asked)
    where = (
        f"column {source.cell!r} is"
        if source.cell is not None
        else f"columns {', '.join(map(repr, source.columns))} are"
    )
    if not pairs or (asked and not known) or (bare and (not asked or known < len(asked))):
        why = (
            "no expected answer is one of the options" if pairs else "it cannot be read as options"
        )
        if not bare and any(record.cells.get(source.cell or "", "x") for record in table.records):
            remarks.append(f"The {where} not shown to the model: {why}.")
        return None
    if known < len(asked):
        remarks.append(
            f"{len(asked) - known} of {len(asked)} expected answers are none of their row's options."
        )
    if base is not None:
        remarks.append(f"The expected answers are places among the options, counted from {base}.")
    elif asked and all(a.isdecimal() and o.place(a, 0) is not None for o, a in asked):
        remarks.append(
            "The expected answers were taken for texts of the options; they could be places as well."
        )
    return replace(source, base=base)


def _base(
    asked: Iterable[tuple[ChoiceOptions, str]], column: str | None, *, numbered: bool
) -> int | None:
    """Return from where the answers of a file count their options; None where they are no places."""
    pairs = list(asked)
    if not pairs or not all(answer.isdecimal() for _, answer in pairs):
        return None
    if any(options.labels and answer in options.labels for options, answer in pairs):
        return None
    named = fold(column or "") in _KEYS
    if not named and all(options.place(answer, None) is not None for options, answer in pairs):
        return None
    for base in (1, 0) if numbered else (0, 1):
        if all(options.place(answer, base) is not None for options, answer in pairs):
            return base
    return None


def _separator(records: Sequence[Record], columns: Columns) -> str | None:
    if columns.answers is None or columns.separator is not None:
        return columns.separator
    texts = [record.cells.get(columns.answers, "") for record in records]
    found = (sign for sign in ("\n", ";", "|") if any(sign in text.strip() for text in texts))
    return next(found, ";")


def _answer_remarks(records: Sequence[Record], columns: Columns) -> Iterator[str]:
    """Say where an expected answer is an object, or looks like a list that is read as one text."""
    column = columns.answer
    if column is None:
        return
    unknown = [
        value
        for record in records
        if isinstance(value := record.values.get(column), dict) and answers_of(value) is None
    ]
    if unknown:
        yield (
            f"The column {column!r} holds {kind_of(unknown[0])} ({_rows(unknown)}), which is no "
            "known shape of an answer; it is compared as JSON text."
        )
    texts = [record.cells.get(column, "") for record in records if column not in record.values]
    several = fold(column) in _SEVERAL
    listed = [text for text in texts if text[:1] == "[" and isinstance(structured(text), list)]
    marked = [text for text in texts if ";" in text.strip(" ;")]
    if listed and not several and 2 * len(listed) > len(texts):
        yield _list_remark(column, f"lists in {_rows(listed)}")
    elif len(marked) > (0 if several else 1) and 2 * len(marked) > len(texts):
        yield _list_remark(column, f"texts set apart by ; in {_rows(marked)}")


def _rows(found: Sequence[object]) -> str:
    return "1 row" if len(found) == 1 else f"{len(found)} rows"


def _list_remark(column: str, what: str) -> str:
    return (
        f'The column {column!r} holds {what}; each is compared as one text. --map "answers={column}" '
        "takes every part for an accepted answer."
    )


_SEVERAL = frozenset(map(fold, ("answers", *NAMES["answer"].several)))
