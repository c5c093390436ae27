"""ROUGE, BLEU and chrF as their reference implementations compute them, scaled to 0 to 1."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scorers.common import ExpectingScorer, Unscored, accepted, row_language
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.evaluation.scorers.word_splitting import words
from llmflowlab.evaluation.scores import Score
from llmflowlab.loading import load
from llmflowlab.text.language_codes import base_language
from llmflowlab.text.normalise import Rules, fold

__all__ = ["Bleu", "Chrf", "Rouge1", "Rouge2", "RougeL"]


class _Rouge(ExpectingScorer):
    """ROUGE's F-measure (Lin 2004) by the rouge-score package, over words of any script."""

    binary = False
    measure_name = ""

    def configure(self, options: Options) -> None:
        self._rules = options.rules("unicode", "case")
        self._stem = options.flag("stemmer", default=False)

    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        found = _rouge(self.measure_name, self._rules, self._stem).score(expected, text)
        return float(found[self.measure_name].fmeasure), None


class Rouge1(_Rouge):
    measure_name = "rouge1"


class Rouge2(_Rouge):
    measure_name = "rouge2"


class RougeL(_Rouge):
    measure_name = "rougeL"


class _Words:
    """What rouge-score cuts texts up with; its own knows no letters but a to z."""

    def __init__(self, rules: Rules, stem: Any) -> None:
        self._rules = rules
        self._stem = stem

    def tokenize(self, text: str) -> list[str]:
        found = words(fold(text, self._rules))
        if self._stem is None:
            return found
        # As rouge-score itself does: short words stay.
        return [self._stem.stem(word) if len(word) > 3 else word for word in found]


@cache
def _rouge(name: str, rules: Rules, stem: bool) -> Any:
    rouge_scorer = load("rouge_score.rouge_scorer", "nltk.stem.porter")
    from nltk.stem import porter

    stemmer = porter.PorterStemmer() if stem else None
    return rouge_scorer.RougeScorer([name], tokenizer=_Words(rules, stemmer))


class _Corpus(ExpectingScorer):
    """A corpus-level figure of sacrebleu; all accepted answers are references together."""

    binary = False

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        if (reason := answer.why_not_scored) is not None:
            return Score(scorer=self.name, not_scored=reason)
        if not accepted(row):
            return Score(scorer=self.name, not_scored="no_expected_answer")
        if (why := self.undefined(row)) is not None:
            return Score(scorer=self.name, not_scored="expected_unusable", rationale=why)
        value, _ = self.measure(row, answer.text)
        parts = self.statistics(row, answer)
        return Score(scorer=self.name, value=value, parts=parts)

    def undefined(self, row: Row) -> str | None:
        """Return why the figure says nothing of a row, whatever is answered; None where it does."""
        return None

    def statistics(self, row: Row, answer: AnswerRecord) -> tuple[float, ...]:
        references = [[text] for text in accepted(row)]
        metric = self._metric(row)
        # sacrebleu's own sums: what it computes a corpus' score from.
        return tuple(map(float, metric._extract_corpus_statistics([answer.text], references)[0]))

    def value(self, summed: Sequence[float]) -> float:
        found = self._of_sums(summed)
        return min(max(found / 100, 0.0), 1.0)

    def measure(self, row: Row, text: str) -> tuple[float, str | None]:
        wanted = accepted(row)
        if not wanted:
            raise Unscored("no_expected_answer")
        found = self._sentence(row).sentence_score(text, list(wanted)).score / 100
        return min(max(found, 0.0), 1.0), None

    def compare(self, row: Row, text: str, expected: str) -> tuple[float, str | None]:
        found = self._sentence(row).sentence_score(text, [expected]).score / 100
        return min(max(found, 0.0), 1.0), None

    @abstractmethod
    def _metric(self, row: Row) -> Any:
        """Return sacrebleu's metric for a row's language."""

    def _sentence(self, row: Row) -> Any:
        return self._metric(row)

    @abstractmethod
    def _of_sums(self, summed: Sequence[float]) -> float:
        """Return the figure, 0 to 100, of summed statistics."""


_ORDER = 4
"""Words of the longest n-grams."""
_TOKENIZERS = ("auto", "13a", "intl", "zh", "char", "none")
_BY_LANGUAGE = {"zh": "zh", "ja": "char", "ko": "char", "th": "char", "lo": "char", "my": "char"}


class Bleu(_Corpus):
    """BLEU (Papineni et al. 2002) by sacrebleu: 4-grams, brevity penalty, exponential smoothing."""

    def configure(self, options: Options) -> None:
        self._tokenizer = options.choice("tokenize", _TOKENIZERS, "auto")
        self._lower = options.rules("case", default=Rules(case=False)).case

    def lacks(self, dataset: Dataset) -> str | None:
        if (lacking := super().lacks(dataset)) is not None:
            return lacking
        if any(accepted(row) and self.undefined(row) is None for row in dataset.rows):
            return None
        return (
            f"No expected answer of {dataset.name} has {_ORDER} words, which {self.name} counts together; "
            "take chrf, token_f1 or exact_match."
        )

    def undefined(self, row: Row) -> str | None:
        # Of a right answer of two words BLEU would be 0: there is nothing of the highest order to match.
        tokenizer = self._metric(row).tokenizer
        if any(len(tokenizer(text).split()) >= _ORDER for text in accepted(row)):
            return None
        return f"The expected answer has fewer than {_ORDER} words, which BLEU counts together."

    def _tokenize(self, row: Row) -> str:
        if self._tokenizer != "auto":
            return self._tokenizer
        return _BY_LANGUAGE.get(base_language(row_language(row)), "13a")

    def _metric(self, row: Row) -> Any:
        return _bleu(self._tokenize(row), self._lower, False)

    def _sentence(self, row: Row) -> Any:
        # Short texts have no 4-grams at all; only orders that occur count.
        return _bleu(self._tokenize(row), self._lower, True)

    def _of_sums(self, summed: Sequence[float]) -> float:
        metric = _bleu("13a", self._lower, False)
        return float(metric._compute_score_from_stats(list(map(int, summed))).score)


class Chrf(_Corpus):
    """chrF (Popović 2015) by sacrebleu: character 6-grams, beta 2; `words=2` makes it chrF++."""

    def configure(self, options: Options) -> None:
        self._lower = options.rules("case", default=Rules(case=False)).case
        self._words = options.whole("words") or 0
        if self._words > 4:
            options.refuse(f"words={self._words} is too many; chrF++ has 2")

    def _metric(self, row: Row) -> Any:
        return _chrf(self._lower, self._words)

    def _of_sums(self, summed: Sequence[float]) -> float:
        metric = _chrf(self._lower, self._words)
        return float(metric._compute_score_from_stats(list(map(int, summed))).score)


@cache
def _bleu(tokenize: str, lower: bool, sentence: bool) -> Any:
    load("sacrebleu", "sacrebleu.metrics.bleu")
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenize, lowercase=lower, effective_order=sentence)


@cache
def _chrf(lower: bool, word_order: int) -> Any:
    load("sacrebleu", "sacrebleu.metrics.chrf")
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=word_order, lowercase=lower)
