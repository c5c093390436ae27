"""Which option of a multiple-choice question an answer chooses."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.scorers.common import ExpectingScorer, Unscored, accepted, lacking_column
from llmflowlab.evaluation.scorers.deterministic import contains
from llmflowlab.evaluation.scorers.options import Options
from llmflowlab.text.normalise import tokenise

__all__ = ["MultipleChoice", "chosen_letter"]

_LETTERS = "ABCDEFGHIJ"
_NO_OPTIONS = dict.fromkeys("ABCDE", "")
_IN_QUESTION = re.compile(r"^[ \t]*[(\[]?([A-J])[).:\]][ \t]+(\S.*)$", re.M)
_WORDS = (
    r"answer|choice|option|choose|pick|select|antwort|lösung|réponse|respuesta|opción|risposta"
    r"|opzione|resposta|opção|wähle"
)
# "The answer is (B)", "Antwort: **B**", "\boxed{B}".
_STATED = re.compile(
    rf"(?:\b(?:{_WORDS})\b(?:[\s:*_=\-–]|\b(?:is|are|ist|lautet|est|la|es|è|é|correct|option|the|"
    rf"final|answer|would|be|letter)\b){{0,12}}[(\[\"'“*_]*|\\boxed\{{(?:\\text\{{)?)"
    rf"(?-i:([A-J]))(?![\w'’])(?:[)\]\"'”*_]*\s*(?:,|/|&|\bor\b|\band\b|\boder\b|\bund\b|\bou\b|\bet\b|\bo\b|\by\b|\be\b)\s*"
    rf"(?:option\s+)?[(\[\"'“*_]*(?-i:([A-J]))(?![\w'’.]))?",
    re.IGNORECASE,
)
_BARE = re.compile(r"^\W*([A-Ja-j])\W*$")
_LEADING = re.compile(r"^[\s*_(\[\"']*([A-J])(?:[)\].:]|[*_]+(?=\s|$)|$|\n)")
_MARKED = re.compile(r"(?:[(\[]([A-J])[)\]]|\*\*([A-J])\*\*|^\s*([A-J])[).:](?=\s|$))", re.M)
# A is an article and I a pronoun: as words of a sentence they are no choice.
_LONE = re.compile(r"(?<![\w'’])([B-HJ])(?![\w'’+#-])")


def chosen_letter(text: str, options: Mapping[str, str], *, language: str | None) -> str | None:
    """Return the letter that an answer chooses; None where it chooses none, or two.

    In this order: the last statement such as "The answer is (B)"; the letter that the answer is or
    begins with; the only letter that is marked, as in (B); the only lone capital letter; the only
    option whose text stands in the answer.
    """
    stated = [match for match in _STATED.finditer(text) if match[1] in options]
    if stated:
        last = stated[-1]
        return last[1] if last[2] in (None, last[1]) else None
    if (whole := _BARE.match(text)) and whole[1].upper() in options:
        return whole[1].upper()
    marked = {letter for groups in _MARKED.findall(text) for letter in groups if letter in options}
    marked.discard("")
    if marked:
        return marked.pop() if len(marked) == 1 else None
    if (leading := _LEADING.match(text)) and leading[1] in options:
        return leading[1]
    lone = {letter for letter in _LONE.findall(text) if letter in options}
    if lone:
        return lone.pop() if len(lone) == 1 else None
    given = tokenise(text, language=language)
    named = {
        letter: wanted
        for letter, option in options.items()
        if option and contains(given, wanted := tokenise(option, language=language))
    }
    # "carbon dioxide" names "carbon" as well: the longer one is meant.
    meant = [
        letter
        for letter, wanted in named.items()
        if not any(len(o) > len(wanted) and contains(o, wanted) for o in named.values())
    ]
    return meant[0] if len(meant) == 1 else None


class MultipleChoice(ExpectingScorer):
    """1 where the answer chooses the right option; none or two chosen is 0."""

    def configure(self, options: Options) -> None:
        self._column = options.text("choices")

    def lacks(self, dataset: Dataset) -> str | None:
        if self._column is not None:
            lacking = lacking_column(dataset, self._column, self.name)
            if lacking is not None:
                return lacking
        if (lacking := super().lacks(dataset)) is not None:
            return lacking
        if any(
            self._right(row, a, self._options(row)) for row in dataset.rows for a in accepted(row)
        ):
            return None
        return (
            f"No expected answer of {dataset.name} is a letter or an option's text, which {self.name} "
            "compares with; name the column of options with choices=COLUMN."
        )

    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        options = self._options(row)
        right = self._right(row, expected, options)
        if right is None:
            raise Unscored("expected_unusable", "The expected answer is none of the options.")
        chosen = chosen_letter(text, options, language=row.language)
        said = "The answer chooses no single option." if chosen is None else f"Chosen: {chosen}."
        return float(chosen == right), said

    def _options(self, row: Row) -> Mapping[str, str]:
        if self._column is not None:
            return _lettered(_several(row.source.get(self._column, "")))
        if row.options:
            return _lettered(list(row.options))
        cells = {name.strip().lower().replace(" ", "_"): text for name, text in row.source.items()}
        for prefix in ("", "option_", "choice_"):
            found = {
                c: cells[f"{prefix}{c.lower()}"]
                for c in _LETTERS
                if cells.get(f"{prefix}{c.lower()}")
            }
            if len(found) > 1:
                return found
        for name in ("choices", "options"):
            if len(several := _several(cells.get(name, ""))) > 1:
                return _lettered(several)
        asked = dict(_IN_QUESTION.findall(row.question))
        return asked if len(asked) > 1 else _NO_OPTIONS

    @staticmethod
    def _right(row: Row, expected: str, options: Mapping[str, str]) -> str | None:
        wanted = tokenise(expected, language=row.language)
        same = [
            c
            for c, text in options.items()
            if text and tokenise(text, language=row.language) == wanted
        ]
        if len(same) == 1:
            return same[0]
        letter = _BARE.match(expected) or re.match(r"^\s*[(\[]?([A-J])[).:\]]\s", expected)
        return letter[1].upper() if letter and letter[1].upper() in options else None


def _several(text: str) -> list[str]:
    if text.lstrip().startswith("["):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
        if isinstance(values, list):
            return [str(value) for value in values]
    sign = "\n" if "\n" in text.strip() else "|" if "|" in text else ";"
    return [part.strip() for part in text.split(sign) if part.strip()]


def _lettered(texts: list[str]) -> dict[str, str]:
    return dict(zip(_LETTERS, texts, strict=False))
