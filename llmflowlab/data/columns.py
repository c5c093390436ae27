"""Which column of a benchmark file means what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llmflowlab.errors import DatasetError, InputError

__all__ = ["ROLES", "USUAL_NAMES", "Columns", "assign_columns", "is_usual_name"]

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "question": ("question", "prompt", "input", "query", "inputs", "instruction", "user_input"),
    "answer": (
        *("answer", "expected", "target", "reference", "ground_truth", "expected_answer"),
        *("expected_response", "expected_output", "reference_answer", "gold_answer", "gold"),
        *("correct_answer", "ideal", "answers", "solution", "output", "label"),
    ),
    "context": ("context", "passage", "document", "contexts", "retrieved_context"),
    "guidelines": ("guidelines", "guideline", "rubric", "criteria"),
    "category": ("category", "topic", "subject", "task", "kind"),
    "language": ("language", "lang", "locale"),
    "id": ("id", "row_id", "question_id", "qid", "uid"),
    "messages": ("messages", "conversation"),
    "params": ("params", "parameters"),
}
"""Recognised names of each role; case, spaces and hyphens do not matter."""

# Only where no column holds the question, so that a file keeps the meaning that it had.
_INSTEAD_OF_QUESTION = frozenset({"messages", "params"})

ROLES = tuple(USUAL_NAMES)

# Two questions or two answers change what is measured, so that nobody but the person may choose.
_DECISIVE = frozenset({"question", "answer"})

# An "output" beside an "answer" is what some model said, not what is right.
_ONLY_ALONE = frozenset({"solution", "output", "label"})

_OTHER_ROLE_NAMES = {"expected": "answer", "expected_answer": "answer", "lang": "language"}


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
    messages: str | None = None
    """Whole conversations as JSON; `question` is the same column then."""
    params: str | None = None
    """Parameters of each conversation as JSON."""


def is_usual_name(name: str) -> bool:
    """Say whether a column's name is one that is recognised."""
    return any(_plain(name) in names for names in USUAL_NAMES.values())


def assign_columns(columns: Sequence[str], mapping: Mapping[str, str], *, file: str) -> Columns:
    """Find the column of each role.

    Args:
        columns: The file's columns.
        mapping: Columns the person named, by role.
        file: The file's name, for messages.

    Raises:
        InputError: `mapping` names a role or column that does not exist.
        DatasetError: No column can be the question, or several can be the same role.
    """
    chosen = _mapped(columns, mapping, file)
    taken = set(chosen.values())
    for role, names in USUAL_NAMES.items():
        if role in chosen or role in _INSTEAD_OF_QUESTION:
            continue
        found = sorted(
            (c for c in columns if _plain(c) in names and c not in taken),
            key=lambda column: names.index(_plain(column)),
        )
        found = [c for c in found if _plain(c) not in _ONLY_ALONE] or found
        if len(found) > 1 and role in _DECISIVE:
            listed = " and ".join(map(repr, found))
            raise DatasetError(
                f"{listed} could each be the {role}; choose one, for example {role}={found[0]}.",
                file=file,
                line=None,
            )
        if found:
            chosen[role] = found[0]
            taken.add(found[0])
    _conversations(columns, chosen, taken)
    if "question" not in chosen:
        listed = ", ".join(map(repr, columns)) or "none"
        raise DatasetError(
            f"no column holds the question; name it {' or '.join(USUAL_NAMES['question'][:4])}, "
            f"or say which it is with question=COLUMN. Its columns: {listed}.",
            file=file,
        )
    return Columns(**chosen)


def _conversations(columns: Sequence[str], chosen: dict[str, str], taken: set[str]) -> None:
    """Find the columns of conversations where the person named them or there is no question."""

    def usual(role: str) -> str | None:
        names = USUAL_NAMES[role]
        return next((c for c in columns if _plain(c) in names and c not in taken), None)

    if "messages" not in chosen and "question" not in chosen and (found := usual("messages")):
        chosen["messages"] = found
    if "messages" in chosen:
        chosen["question"] = chosen["messages"]
        if "params" not in chosen and (found := usual("params")):
            chosen["params"] = found
    elif "params" in chosen:
        raise InputError("A column of params belongs to one of messages; name that too.")


def _mapped(columns: Sequence[str], mapping: Mapping[str, str], file: str) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for given, column in mapping.items():
        role = _OTHER_ROLE_NAMES.get(_plain(given), _plain(given))
        if role not in ROLES:
            raise InputError(f"{given!r} is no role of a column; use one of {', '.join(ROLES)}.")
        exact = [c for c in columns if c == column]
        similar = exact or [c for c in columns if _plain(c) == _plain(column)]
        if len(similar) != 1:
            raise InputError(
                f"{file} has no column {column!r} for the {role}; its columns: "
                f"{', '.join(map(repr, columns))}."
            )
        chosen[role] = similar[0]
    twice = next((c for c in chosen.values() if list(chosen.values()).count(c) > 1), None)
    if twice is not None:
        raise InputError(f"Column {twice!r} was given two roles; give each role its own column.")
    return chosen


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip()).casefold()
