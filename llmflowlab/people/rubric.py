"""What a person is asked of each answer: questions answered by yes or no, a grade, or a label."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import InputError
from llmflowlab.people.answer_words import ASIDE, CORRECT, QUALITY
from llmflowlab.text.yaml_texts import read_texts

__all__ = ["COLUMNS", "DEFAULT", "Rubric", "RubricQuestion", "Scale", "read_rubric", "said_by"]

Scale: TypeAlias = Literal["yes_no", "grade", "labels"]

COLUMNS = frozenset(
    {"row", "question", "context", "expected", "answer", "model", "verdict", "comment", "key"}
)
"""What a sheet's other columns are called."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
_MOST_LABELS, _MOST_QUESTIONS, _LARGEST = 9, 9, 100_000
_YES = frozenset({"yes", "y", "true", "ja", "oui", "sí", "si", "sì", "sim", "wahr", "vrai"})
_NO = frozenset({"no", "n", "false", "nein", "non", "não", "nao", "falsch", "faux"})
_GRADE = re.compile(r"([1-5])(?:[.,]0+)?")
_SCALES: dict[str, Scale] = {"yes/no": "yes_no", "yes_no": "yes_no", "1-5": "grade", "1–5": "grade"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricQuestion:
    """One thing a person is asked of each answer."""

    name: str
    ask: str
    """The question itself."""
    scale: Scale
    labels: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """What can be said, in the order of the keys 1, 2, … where it is no yes or no."""
        return {
            "yes_no": ("yes", "no"),
            "grade": ("1", "2", "3", "4", "5"),
            "labels": self.labels,
        }[self.scale]

    @property
    def choice(self) -> str:
        """What can be said, in words."""
        return {
            "yes_no": "yes or no",
            "grade": "1 (worst) to 5 (best)",
            "labels": ", ".join(self.labels),
        }[self.scale]

    def read(self, text: str) -> str | None:
        """Return what a person means by a text, in whatever case and language; None where nothing."""
        said = said_by(text)
        if said in self.options:
            return said
        folded = text.strip().casefold()
        return next((label for label in self.labels if label.casefold() == folded), None)


def said_by(text: str) -> str | None:
    """Return yes, no or a grade from 1 to 5 as a person or a spreadsheet writes it; None for others."""
    word = text.strip().casefold()
    if word in _YES:
        return "yes"
    if word in _NO:
        return "no"
    grade = _GRADE.fullmatch(word)
    return grade[1] if grade is not None else None


@dataclass(frozen=True, slots=True)
class Rubric:
    """The questions, in the order in which they are asked."""

    questions: tuple[RubricQuestion, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(question.name for question in self.questions)


DEFAULT = Rubric(
    (
        RubricQuestion(name=CORRECT, ask="Is the answer correct?", scale="yes_no"),
        RubricQuestion(name=QUALITY, ask="How good is it?", scale="grade"),
    )
)


def read_rubric(file: Path) -> Rubric:
    """Read the questions of a YAML or JSON file: a list of `name`, `ask` and `scale`.

    Raises:
        InputError: The file cannot be used; says in a sentence what is wrong with it.
    """
    try:
        return Rubric(tuple(_question(values, place) for place, values in _entries(file)))
    except InputError as exc:
        raise InputError(f"{file}: {exc.message}") from exc


def _entries(file: Path) -> list[tuple[int, Any]]:
    try:
        content = file.expanduser().read_bytes()
    except OSError as exc:
        raise InputError(f"it cannot be read ({exc.strerror or exc}).") from exc
    if len(content) > _LARGEST:
        raise InputError("this is too large for a rubric.")
    found = read_texts(content, kind="neither YAML nor JSON")
    if isinstance(found, dict):
        found = found.get("questions")
    if not isinstance(found, list) or not found:
        raise InputError("it holds no questions; give a list of name, ask and scale.")
    if len(found) > _MOST_QUESTIONS:
        raise InputError(f"it asks {len(found)} questions; {_MOST_QUESTIONS} are the most.")
    names = [values.get("name") for values in found if isinstance(values, dict)]
    if twice := [name for place, name in enumerate(names) if name and name in names[:place]]:
        raise InputError(f"the question {twice[0]!r} stands there twice.")
    return list(enumerate(found, start=1))


def _question(values: Any, place: int) -> RubricQuestion:
    if not isinstance(values, dict):
        raise InputError(f"question {place} has no keys; give name, ask and scale.")
    name = values.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(
            f"the name of question {place} is {name!r}; give small letters, digits and _, as in "
            "helpful."
        )
    if name in COLUMNS or name in ASIDE:
        raise InputError(f"{name!r} is taken; give question {place} another name.")
    if unknown := [key for key in values if key not in {"name", "ask", "scale"}]:
        raise InputError(f"{name} has a key {unknown[0]!r}; there are name, ask and scale.")
    ask = values.get("ask", f"{name}?")
    if not isinstance(ask, str) or not ask.strip():
        raise InputError(f"{name} asks nothing; write its question under ask.")
    scale = values.get("scale", "yes/no")
    if isinstance(scale, str) and scale in _SCALES:
        return RubricQuestion(name=name, ask=ask.strip(), scale=_SCALES[scale])
    if not isinstance(scale, list):
        raise InputError(f"the scale of {name} is {scale!r}; give yes/no, 1-5 or a list of labels.")
    return RubricQuestion(name=name, ask=ask.strip(), scale="labels", labels=_labels(name, scale))


def _labels(name: str, scale: list[Any]) -> tuple[str, ...]:
    labels = tuple(label.strip() for label in scale if isinstance(label, str) and label.strip())
    if len(labels) < len(scale):
        raise InputError(f"{name} has a label that is no text.")
    if not 2 <= len(labels) <= _MOST_LABELS:
        raise InputError(f"{name} has {len(labels)} labels; give 2 to {_MOST_LABELS}.")
    if len({label.casefold() for label in labels}) < len(labels):
        raise InputError(f"{name} has a label twice.")
    if meant := [label for label in labels if said_by(label) is not None]:
        raise InputError(
            f"{name} has the label {meant[0]!r}; use the scale yes/no or 1-5 for that."
        )
    return labels
