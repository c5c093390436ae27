"""The scorers that are used where none is named: normalised words compared with the expected ones."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.common import ExpectingScorer, accepted, row_language
from llmflowlab.evaluation.scorers.containing import stands_in
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.evaluation.scores import Score
from llmflowlab.text.normalise import Rules, tokenise

__all__ = [
    "DETERMINISTIC",
    "ComparingScorer",
    "SquadExact",
    "comparing",
    "contains",
    "squad_normal",
    "token_f1",
]


def contains(answer: list[str], expected: list[str]) -> float:
    """Return 1 where the expected tokens stand in the answer, whole and in order, else 0.

    Whole tokens, so that "8" is not found in "18". Of scripts without spaces see `stands_in`.
    """
    width = len(expected)
    places = range(len(answer) - width + 1)
    return float(any(answer[i : i + width] == expected for i in places))


def token_f1(answer: list[str], expected: list[str]) -> float:
    """Return the harmonic mean of token precision and recall.

    F1 = 2·P·R / (P + R) with P = common / answer tokens and R = common / expected tokens, common
    counted as a multiset (Rajpurkar et al. 2016, SQuAD, section 6.1).
    """
    common = sum((Counter(answer) & Counter(expected)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(answer), common / len(expected)
    return 2 * precision * recall / (precision + recall)


Compare: TypeAlias = Callable[["ComparingScorer", str, str, str | None, str], float | None]
"""(scorer, answer, expected answer, language, question) → value; None where it cannot be told."""


def _exact(
    scorer: ComparingScorer, answer: str, expected: str, language: str | None, question: str
) -> float | None:
    return float(scorer.tokens(answer, language) == scorer.tokens(expected, language))


def _contains(
    scorer: ComparingScorer, answer: str, expected: str, language: str | None, question: str
) -> float | None:
    found = stands_in(answer, expected, language=language, rules=scorer.rules, question=question)
    return None if found is None else float(found)


def _f1(
    scorer: ComparingScorer, answer: str, expected: str, language: str | None, question: str
) -> float | None:
    return token_f1(scorer.tokens(answer, language), scorer.tokens(expected, language))


@dataclass(frozen=True, slots=True)
class ComparingScorer:
    """A scorer that compares normalised tokens of answer and expectation."""

    name: str
    binary: bool
    compare: Compare
    needs_judge: bool = False
    version: str = "2"
    rules: Rules = Rules()

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        """Score one answer; of several accepted answers the nearest counts."""
        if (reason := answer.why_not_scored) is not None:
            return Score(scorer=self.name, not_scored=reason)
        if not row.expected:
            return Score(scorer=self.name, not_scored="no_expected_answer")
        language = row_language(row)
        values = [
            self.compare(self, answer.text, text, language, row.question) for text in accepted(row)
        ]
        best = max((value for value in values if value is not None), default=0.0)
        if None in values and best < 1.0:
            why = "The expected text stands in the answer, but whether as a word cannot be told."
            return Score(scorer=self.name, not_scored="undecidable", rationale=why)
        return Score(scorer=self.name, value=best)

    def tokens(self, text: str, language: str | None) -> list[str]:
        return tokenise(text, language=language, rules=self.rules)

    def lacks(self, dataset: Dataset) -> str | None:
        if any(row.expected for row in dataset.rows):
            return None
        return f"{dataset.name} has no expected answers, which {self.name} compares with."


def comparing(spec: ScorerSpec) -> ComparingScorer:
    """Build one of these scorers.

    Raises:
        InputError: An option does not exist or has no such value.
    """
    plain = DETERMINISTIC[spec.kind]
    options = Options(spec)
    rules = options.rules()
    options.done()
    return replace(plain, name=spec.name, rules=rules)


DETERMINISTIC: dict[str, ComparingScorer] = {
    scorer.name: scorer
    for scorer in (
        ComparingScorer("exact_match", True, _exact),
        ComparingScorer("contains", True, _contains),
        ComparingScorer("token_f1", False, _f1),
    )
}


class SquadExact(ExpectingScorer):
    """SQuAD v1.1's exact match, by the evaluation script's own normalisation and no other.

    Rajpurkar et al. 2016, arXiv:1606.05250: lower case, ASCII punctuation left out without a space, the
    words a, an and the left out, white space made single; the best of the accepted answers.
    """

    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        return float(squad_normal(text) == squad_normal(expected)), None


_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normal(text: str) -> str:
    """Return a text as SQuAD's evaluation script compares it."""
    bare = text.lower().translate(_ASCII_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())
