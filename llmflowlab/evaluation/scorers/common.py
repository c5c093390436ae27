"""What deterministic scorers have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.evaluation.scores import DATA_GAPS, NotScored, Score
from llmflowlab.text.language import LanguageDetector

__all__ = [
    "ExpectingScorer",
    "KindScorer",
    "Unscored",
    "accepted",
    "lacking_column",
    "language_detector",
    "language_of",
    "row_language",
]


class Unscored(Exception):
    """A scorer cannot say anything of a row; carries the reason."""

    def __init__(self, reason: NotScored, why: str | None = None) -> None:
        super().__init__(why or reason)
        self.reason = reason
        self.why = why


def accepted(row: Row) -> tuple[str, ...]:
    """Return every answer that the row accepts; none where it expects nothing."""
    return (row.expected, *row.alternatives) if row.expected else ()


@cache
def language_detector() -> LanguageDetector:
    # The packaged model, never a larger one of this home: the same figure on every machine.
    return LanguageDetector(Path("no-models-of-this-home"))


@lru_cache(maxsize=4096)
def language_of(text: str) -> str | None:
    """Return the language that a text is recognised as; None where that cannot be told."""
    return language_detector().detect(text).code


def row_language(row: Row) -> str | None:
    """Return a row's language: its column's, else what its question is recognised as."""
    return row.language or language_of(row.question)


def lacking_column(dataset: Dataset, column: str, scorer: str) -> str | None:
    """Return what is wrong where a dataset lacks a column that a scorer was told to use."""
    if column in dataset.columns:
        return None
    listed = ", ".join(map(repr, dataset.columns))
    return f"{dataset.name} has no column {column!r} for {scorer}; its columns: {listed}."


class KindScorer(ABC):
    """A scorer built from a specification.

    Args:
        spec: Its name and options.

    Raises:
        InputError: An option does not exist or has no such value.
    """

    binary: ClassVar[bool] = True
    version: ClassVar[str] = "1"
    needs_judge: ClassVar[bool] = False

    def __init__(self, spec: ScorerSpec) -> None:
        self.name = spec.name
        options = Options(spec)
        self.configure(options)
        options.done()

    def configure(self, options: Options) -> None:
        """Read the options."""

    def lacks(self, dataset: Dataset) -> str | None:
        return None

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        if (reason := answer.why_not_scored) is not None:
            return Score(scorer=self.name, not_scored=reason)
        try:
            value, rationale = self.measure(row, answer.text)
        except Unscored as exc:
            return Score(scorer=self.name, not_scored=exc.reason, rationale=exc.why)
        return Score(scorer=self.name, value=min(max(value, 0.0), 1.0), rationale=rationale)

    @abstractmethod
    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        """Return the value of an answer, and what a person should know of it.

        Raises:
            Unscored: Nothing can be said of this row.
        """


class ExpectingScorer(KindScorer):
    """A scorer that compares with each accepted answer; the best one counts."""

    def lacks(self, dataset: Dataset) -> str | None:
        if any(row.expected for row in dataset.rows):
            return None
        return f"{dataset.name} has no expected answers, which {self.name} compares with."

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        wanted = accepted(row)
        if not wanted:
            raise Unscored("no_expected_answer")
        refused: Unscored | None = None
        best: tuple[float, str | None] | None = None
        for expected in wanted:
            try:
                found = self.compare(row, text, expected)
            except Unscored as exc:
                # What another accepted answer could have said comes before what the benchmark lacks.
                if refused is None or refused.reason in DATA_GAPS:
                    refused = exc
            else:
                best = found if best is None or found[0] > best[0] else best
        if best is None:
            assert refused is not None
            raise refused
        return best

    @abstractmethod
    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        """Compare an answer with one accepted answer; see `measure`."""
