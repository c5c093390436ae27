"""Which column of a benchmark file means what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmflowlab.data.names import NAMES, fold, plain
from llmflowlab.errors import DatasetError, InputError

__all__ = ["ROLES", "Columns", "assign_columns", "named_column"]

ROLES = tuple(NAMES)

# Only where no column holds the question, so that a file keeps the meaning that it had.
_INSTEAD_OF_QUESTION = frozenset({"messages", "params"})

# Two questions or two answers change what is measured, so that nobody but the person may choose.
_DECISIVE = frozenset({"question", "answer"})

_OTHER_ROLE_NAMES = {
    "expected": "answer",
    "expected_answer": "answer",
    "lang": "language",
    "options": "choices",
    "expected_facts": "facts",
}
_SEPARATORS = (";", "|", ",", "/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The file's column for each role; None where it has none."""

    question: str
    answer: str | None = None
    context: str | None = None
    guidelines: str | None = None
    category: str | None = None
    language: str | None = None
    id: str | None = None
    choices: str | None = None
    """All options of a row in one cell."""
    facts: str | None = None
    """Facts that an answer must hold, where no answer is expected word by word."""
    messages: str | None = None
    """Whole conversations; `question` is the same column then."""
    params: str | None = None
    """Parameters of each conversation as JSON."""
    answers: str | None = None
    """A column whose every cell is a list of accepted answers."""
    given: str | None = None
    """What looks like answers that some model gave before; scored only where the person names it."""
    separator: str | None = None
    """What stands between two of `answers`; None: whichever is found."""
    for_want: frozenset[str] = frozenset()
    """Roles whose column has a name that often means something else."""


def assign_columns(
    columns: Sequence[str],
    mapping: Mapping[str, str],
    *,
    file: str,
    given: Sequence[str] = (),
) -> Columns:
    """Find the column of each role.

    Args:
        columns: The file's columns.
        mapping: Columns the person named, by role.
        file: The file's name, for messages.
        given: Columns of answers to be scored; none of them is what is expected for want of better.

    Raises:
        InputError: `mapping` names a role or column that does not exist.
        DatasetError: No column can be the question, or several can be the same role.
    """
    chosen, separator = _mapped(columns, mapping, file)
    taken = set(chosen.values())
    for_want = set()
    for role, names in NAMES.items():
        listed_apart = role == "answer" and "answers" in chosen
        if role in chosen or role in _INSTEAD_OF_QUESTION or listed_apart:
            continue
        for exact, tier in names.tiers():
            weak = tier is names.instead
            found = _found(columns, tier, taken.union(given) if weak else taken, exact=exact)
            if len(found) > 1 and role in _DECISIVE:
                listed = " and ".join(map(repr, found))
                raise DatasetError(
                    f"{listed} could each be the {role}; choose one, for example "
                    f"{role}={found[0]}.",
                    file=file,
                )
            if found:
                chosen[role] = found[0]
                taken.add(found[0])
                if weak:
                    for_want.add(role)
                break
    _conversations(columns, chosen, taken)
    if "question" not in chosen:
        shown = ", ".join(map(repr, columns[:30])) or "none"
        more = f" and {len(columns) - 30:,} more" if len(columns) > 30 else ""
        raise DatasetError(
            f"no column holds the question; name it {' or '.join(NAMES['question'].first[:4])}, "
            f"or say which it is with question=COLUMN. Its columns: {shown}{more}."
            + (" Perhaps its header line is missing." if any(map(_is_text, columns)) else ""),
            file=file,
        )
    return Columns(**chosen, separator=separator, for_want=frozenset(for_want))


def _is_text(name: str) -> bool:
    return name.rstrip().endswith(("?", ".", "？", "。")) or len(name) > 60


def _found(
    columns: Sequence[str], names: Sequence[str], taken: set[str], *, exact: bool
) -> list[str]:
    """Return the columns that have one of the names, in the order of the names."""
    form = plain if exact else fold
    wanted = {form(name): place for place, name in reversed(list(enumerate(names)))}
    found = [column for column in columns if column not in taken and form(column) in wanted]
    return sorted(found, key=lambda column: wanted[form(column)])


def _conversations(columns: Sequence[str], chosen: dict[str, str], taken: set[str]) -> None:
    """Find the columns of conversations where the person named them or there is no question."""

    def usual(role: str) -> str | None:
        return next(iter(_found(columns, NAMES[role].every, taken, exact=False)), None)

    if "messages" not in chosen and "question" not in chosen and (found := usual("messages")):
        chosen["messages"] = found
    if "messages" in chosen:
        chosen["question"] = chosen["messages"]
        if "params" not in chosen and (found := usual("params")):
            chosen["params"] = found
    elif "params" in chosen:
        raise InputError("A column of params belongs to one of messages; name that too.")


def _mapped(
    columns: Sequence[str], mapping: Mapping[str, str], file: str
) -> tuple[dict[str, str], str | None]:
    chosen: dict[str, str] = {}
    separator = None
    for given, column in mapping.items():
        role = _OTHER_ROLE_NAMES.get(plain(given), plain(given))
        if role not in ROLES:
            raise InputError(f"{given!r} is no role of a column; use one of {', '.join(ROLES)}.")
        if role == "answers" and column not in columns and column.endswith(_SEPARATORS):
            column, separator = column[:-1], column[-1]
        chosen[role] = named_column(columns, column, role, file)
    twice = next((c for c in chosen.values() if list(chosen.values()).count(c) > 1), None)
    if twice is not None:
        raise InputError(f"Column {twice!r} was given two roles; give each role its own column.")
    return chosen, separator


def named_column(columns: Sequence[str], column: str, role: str, file: str) -> str:
    """Return the column that the person means: as it is written, else whatever its case.

    Raises:
        InputError: The file has none, or several that differ in case alone.
    """
    for form in (str, plain, fold):
        similar = [c for c in columns if form(c) == form(column)]
        if len(similar) == 1:
            return similar[0]
        if similar:
            break
    listed = ", ".join(map(repr, columns[:30]))
    raise InputError(f"{file} has no column {column!r} for the {role}; its columns: {listed}.")
