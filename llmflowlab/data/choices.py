"""Multiple choice: the options of a row, how they are shown to the model, and which one is right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.data.file_records import Record
from llmflowlab.data.names import fold
from llmflowlab.data.question_keys import same_text
from llmflowlab.data.values import as_text, structured

__all__ = ["LETTERS", "ChoiceOptions", "OptionSource", "lettered", "option_columns", "options_from"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PREFIXES = ("option", "choice", "answeroption", "op", "opt", "sol", "ending", "antwortoption")
_MARK = re.compile(r"(?:^|\s)[(\[]?[A-Z][).:\]]\s")
_LEADING = re.compile(r"^[(\[]?([A-Z])[).:\]]\s*(?=\S)")
_INLINE = re.compile(r"(?:^|(?<=[\s,;|]))[(\[]?([A-Z])[).:\]]\s*(?=\S)")
_LETTER = re.compile(r"^[(\[\"']?([A-Za-z])[).:\]\"']?\.?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOptions:
    """What one row offers."""

    texts: tuple[str, ...]
    labels: tuple[str, ...] = ()
    """What the file calls them, where that is neither letters nor places."""
    right: int | None = None
    """The right one, where the options themselves say it."""

    def place(self, answer: str, base: int | None) -> int | None:
        """Return which option an expected answer means: by its label, place, text or letter.

        Args:
            answer: The expected answer.
            base: The number of the first option where answers are places; None where they are not.
        """
        answer = answer.strip()
        if self.labels and answer in self.labels:
            return self.labels.index(answer)
        if base is not None and answer.isdecimal():
            found = int(answer) - base
            return found if 0 <= found < len(self.texts) else None
        plain = same_text(answer)
        same = [i for i, text in enumerate(self.texts) if same_text(text) == plain]
        if len(same) == 1:
            return same[0]
        letter = _LETTER.match(answer)
        if letter is None and (leading := _LEADING.match(answer)):
            rest = same_text(answer[leading.end() :])
            place = LETTERS.index(leading[1])
            fits = place < len(self.texts) and same_text(self.texts[place]) == rest
            return place if fits else None
        found = LETTERS.index(letter[1].upper()) if letter else len(self.texts)
        return found if found < len(self.texts) else None

    def stand_in(self, question: str) -> bool:
        """Say whether the question shows its options already."""
        asked = same_text(question)
        return len(_MARK.findall(question)) >= len(self.texts) and all(
            same_text(text) in asked for text in self.texts
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSource:
    """Where a file keeps options, and how its answers name the right one."""

    cell: str | None = None
    """One column that holds them all; None: `columns`."""
    columns: tuple[str, ...] = ()
    """A column for each, in order."""
    numbered: bool = False
    """Whether those columns carry numbers, from 1."""
    base: int | None = None
    """The number of the first option where expected answers are places; None where they are not."""

    def of(self, record: Record) -> ChoiceOptions | None:
        """Return a row's options; None where it offers fewer than two."""
        if self.cell is None:
            texts = [record.cells.get(column, "").strip() for column in self.columns]
            while texts and not texts[-1]:
                texts.pop()
            return ChoiceOptions(texts=tuple(texts)) if len(texts) > 1 and all(texts) else None
        value = record.values.get(self.cell)
        text = record.cells.get(self.cell, "")
        return options_from(value if value is not None else text)


def lettered(texts: Sequence[str]) -> str:
    """Return options as they are shown: one a line, each under its letter."""
    lines = (f"{LETTERS[i]}) {' '.join(text.split())}" for i, text in enumerate(texts))
    return "\n".join(lines)


def options_from(value: Any) -> ChoiceOptions | None:
    """Return the options that a value holds; None where it holds fewer than two.

    Recognised: a list of texts; `{"text": [...], "label": [...]}`; `{"A": "...", "B": "..."}`; a list
    of `{"text", "label"}`; TruthfulQA's `{"choices", "labels"}`; in a cell of text, the same as JSON
    or a Python list, and texts set apart by line breaks, bars or semicolons.
    """
    if isinstance(value, str):
        inner = structured(value) or _marked(value)
        if not inner:
            sign = next((sign for sign in ("\n", "|", ";") if sign in value.strip()), None)
            inner = value.split(sign) if sign else []
        value = inner
    if isinstance(value, Mapping):
        return _of_object(value)
    if not isinstance(value, list):
        return None
    if value and all(isinstance(item, Mapping) for item in value):
        texts = [item.get("text", item.get("content", item.get("option"))) for item in value]
        labels = [item.get("label", item.get("key", item.get("id"))) for item in value]
        return _made(texts, labels)
    return _made(value, [])


def _marked(text: str) -> list[str]:
    """Return the parts of a text that stand under the letters A, B and so on."""
    marks = list(_INLINE.finditer(text))
    if len(marks) < 2 or [mark[1] for mark in marks] != list(LETTERS[: len(marks)]):
        return []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    return [text[m.end() : end].strip(" ,;|\n") for m, end in zip(marks, ends, strict=True)]


def _of_object(value: Mapping[str, Any]) -> ChoiceOptions | None:
    keys = {fold(str(key)): item for key, item in value.items()}
    texts = keys.get("text", keys.get("texts", keys.get("choices")))
    labels = keys.get("label", keys.get("labels"))
    if isinstance(texts, list):
        marks = [as_text(label) for label in labels] if isinstance(labels, list) else []
        if "choices" in keys and marks and set(marks) <= {"0", "1"}:
            right = marks.index("1") if marks.count("1") == 1 else None
            return _made(texts, [], right)
        return _made(texts, marks)
    scores = [as_text(item) for item in value.values()]
    if scores.count("1") == 1 and set(scores) <= {"0", "1"}:
        # BIG-bench: {"yes": 1, "no": 0}.
        return _made(list(value), [], scores.index("1"))
    if all(len(str(key).strip()) <= 2 for key in value):
        return _made(list(value.values()), list(value))
    return None


def _made(
    texts: Sequence[Any], labels: Sequence[Any], right: int | None = None
) -> ChoiceOptions | None:
    if any(isinstance(text, list | Mapping) for text in texts):
        return None
    plain = [as_text(text).strip() for text in texts]
    if not 2 <= len(plain) <= len(LETTERS) or not all(plain):
        return None
    # "A) Vienna" under a letter of its own would carry two.
    leading = [_LEADING.match(text) for text in plain]
    if all(found and found[1] == LETTERS[i] for i, found in enumerate(leading)):
        plain = [_LEADING.sub("", text).strip() or text for text in plain]
    named = tuple(as_text(label).strip() for label in labels)
    usable = len(named) == len(plain) and len(set(named)) == len(named) and all(named)
    return ChoiceOptions(texts=tuple(plain), labels=named if usable else (), right=right)


def option_columns(
    columns: Sequence[str], taken: frozenset[str]
) -> tuple[OptionSource, bool] | None:
    """Return the columns that hold an option each, and whether their names are bare letters.

    Recognised: `A` `B` `C`; `option_a`, `Choice B`, `opc`; `option1`, `choice 2`, `sol1`; from the
    first letter or number on, without a gap.
    """
    free = {fold(column): column for column in columns if column not in taken}
    for prefix in ("", *_PREFIXES):
        for marks in (LETTERS.lower(), [str(n) for n in range(1, 27)]):
            if not prefix and marks[0] == "1":
                continue
            found: list[str] = []
            for mark in marks:
                if f"{prefix}{mark}" not in free:
                    break
                found.append(free[f"{prefix}{mark}"])
            if len(found) > 1:
                return OptionSource(columns=tuple(found), numbered=marks[0] == "1"), not prefix
    return None
