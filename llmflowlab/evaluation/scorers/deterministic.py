"""The scorers that are used where none is named: normalised words compared with the expected ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.common import accepted
from llmflowlab.evaluation.scorers.options import Options
from llmflowlab.evaluation.scores import Score
from llmflowlab.text.normalise import Rules, tokenise

__all__ = ["DETERMINISTIC", "ComparingScorer", "comparing", "contains", "exact_match", "token_f1"]


def exact_match(answer: list[str], expected: list[str]) -> float:
    """Return 1 where the normalised answer is the normalised expectation, else 0."""
    return float(answer == expected)


def contains(answer: list[str], expected: list[str]) -> float:
    """Return 1 where the expected tokens stand in the answer, whole and in order, else 0.

    Whole tokens, so that "8" is not found in "18".
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


@dataclass(frozen=True, slots=True)
class ComparingScorer:
    """A scorer that compares normalised tokens of answer and expectation."""

    name: str
    binary: bool
    compare: Callable[[list[str], list[str]], float]
    needs_judge: bool = False
    version: str = "1"
    rules: Rules = Rules()

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        """Score one answer; of several accepted answers the nearest counts."""
        if (reason := answer.why_not_scored) is not None:
            return Score(scorer=self.name, not_scored=reason)
        if not row.expected:
            return Score(scorer=self.name, not_scored="no_expected_answer")
        given = self._tokens(row, answer.text)
        values = (self.compare(given, self._tokens(row, text)) for text in accepted(row))
        return Score(scorer=self.name, value=max(values))

    def _tokens(self, row: Row, text: str) -> list[str]:
        return tokenise(text, language=row.language, rules=self.rules)

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
    return ComparingScorer(spec.name, plain.binary, plain.compare, rules=rules)


DETERMINISTIC: dict[str, ComparingScorer] = {
    scorer.name: scorer
    for scorer in (
        ComparingScorer("exact_match", True, exact_match),
        ComparingScorer("contains", True, contains),
        ComparingScorer("token_f1", False, token_f1),
    )
}
