"""How a model answers: in the question's language, or by refusing."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.scorers.common import KindScorer, Unscored
from llmflowlab.evaluation.scorers.options import Options
from llmflowlab.evaluation.scorers.refusals import REFUSALS
from llmflowlab.text.language import LanguageDetector
from llmflowlab.text.normalise import base_language

__all__ = ["LanguageMatch", "Refusal", "is_refusal"]

_SAME = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "tl": "fil"}
_BEGINNING = 400
"""Characters of an answer in which a refusal stands; later ones are about something else."""
_QUOTED = re.compile(
    r"\"[^\"\n]{0,300}\"|“[^”\n]{0,300}”|«[^»\n]{0,300}»|„[^“”\n]{0,300}[“”]|^>.*$", re.M
)


class LanguageMatch(KindScorer):
    """1 where the answer is in the question's language; not scored where that cannot be told."""

    def configure(self, options: Options) -> None:
        self._expect = (options.text("expect") or "question").strip().lower()

    def lacks(self, dataset: Dataset) -> str | None:
        if _detector().source is None:
            return f"No language model can be loaded for {self.name}; install requirements.txt."
        return None

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        wanted = self._wanted(row)
        if wanted is None:
            raise Unscored("undecidable", "The question's language cannot be told.")
        found = _detector().detect(text).code
        if found is None:
            raise Unscored("undecidable", "The answer's language cannot be told.")
        return float(_same(found) == _same(wanted)), f"{found}, expected {wanted}"

    def _wanted(self, row: Row) -> str | None:
        if self._expect != "question":
            return self._expect
        return row.language or _detector().detect(row.question).code


def _same(code: str) -> str:
    base = base_language(code)
    return _SAME.get(base, base)


@cache
def _detector() -> LanguageDetector:
    # The packaged model, never a larger one of this home: the same figure on every machine.
    return LanguageDetector(Path("no-models-of-this-home"))


class Refusal(KindScorer):
    """1 where the answer declines to do what was asked, 0 where it does not."""

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        found = is_refusal(text)
        return float(found is not None), None if found is None else f"It says: {found!r}"


def is_refusal(text: str) -> str | None:
    """Return the words by which an answer refuses; None where it does not refuse.

    Looked at is the beginning, without what stands in quotation marks. Not knowing something is no
    refusal.
    """
    plain = unicodedata.normalize("NFKC", _QUOTED.sub(" ", text.strip()[: 2 * _BEGINNING]))
    plain = re.sub(r"[’‘`´]", "'", plain)
    plain = re.sub(r"[*_#\s]+", " ", plain).strip()[:_BEGINNING]
    for pattern in REFUSALS:
        if (match := pattern.search(plain)) is not None:
            return match[0].strip()
    return None
