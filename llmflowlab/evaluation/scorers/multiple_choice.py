"""Which option of a multiple-choice question an answer chooses."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.scorers.choosing import LETTERS, chosen_letter
from llmflowlab.evaluation.scorers.common import (
    ExpectingScorer,
    Unscored,
    accepted,
    lacking_column,
    row_language,
)
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.text.normalise import tokenise

__all__ = ["MultipleChoice", "chosen_letter"]

_NO_OPTIONS = dict.fromkeys("ABCDE", "")
_IN_QUESTION = re.compile(r"^[ \t]*[(\[]?([A-J])[).:\]][ \t]+(\S.*)$", re.M)
_LETTER = re.compile(r"^\W*([A-Ja-j])\W*$|^\s*[(\[]?([A-J])[).:\]]\s")


class MultipleChoice(ExpectingScorer):
    """1 where the answer chooses the right option; none or two chosen is 0."""

    version = "3"

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
        chosen = chosen_letter(text, options, language=row_language(row))
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
                for c in LETTERS
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
        wanted = tokenise(expected, language=row_language(row))
        same = [
            c
            for c, text in options.items()
            if text and tokenise(text, language=row_language(row)) == wanted
        ]
        if len(same) == 1:
            return same[0]
        found = _LETTER.match(unicodedata.normalize("NFKC", expected))
        letter = (found[1] or found[2]).upper() if found else None
        return letter if letter in options else None


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
    return dict(zip(LETTERS, texts, strict=False))
