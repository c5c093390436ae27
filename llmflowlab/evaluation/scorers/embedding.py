"""How near answer and expectation are in meaning, by a model that turns texts into vectors."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from functools import partial

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Gate
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.pump import Texts
from llmflowlab.asking.stopping import Stopper
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord, in_words
from llmflowlab.evaluation.judging.scorer import Judgement
from llmflowlab.evaluation.run.ledger import Ledger, Vector
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.common import accepted
from llmflowlab.evaluation.scorers.scorer_options import Options
from llmflowlab.evaluation.scores import NotScored, Score
from llmflowlab.providers.base import Provider
from llmflowlab.providers.factory import PROVIDERS, provider_class
from llmflowlab.text.digests import digest_of

__all__ = ["Embedder", "EmbeddingScorer", "embedding_model"]

_BATCH = 64
"""Texts in one call; every endpoint known takes as many."""


def embedding_model(spec: ScorerSpec) -> str:
    """Return the model reference that a specification names.

    Raises:
        InputError: It names none, or has an option that does not exist.
    """
    options = Options(spec)
    model = options.text("model")
    options.done()
    if model is None:
        options.refuse("name the model, as in embedding_similarity:model=ollama:nomic-embed-text")
    return model


class _LeftOut(Exception):
    """There are no vectors; `paid` is what was asked for all the same."""

    def __init__(self, reason: NotScored, why: str | None, paid: Sequence[Paid]) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why
        self.paid = paid


class Embedder:
    """Turns texts into vectors, each text once: kept in the ledger under the model and its digest.

    Raises:
        InputError: The provider has no embeddings.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        ledger: Ledger,
        policy: CallPolicy,
        metering: Metering,
        budget: Budget | None = None,
        gate: Gate | None = None,
    ) -> None:
        if not provider.can_embed:
            able = ", ".join(name for name in PROVIDERS if provider_class(name).can_embed)
            raise InputError(
                f"{provider.reference} makes no embeddings here; name a model of one of {able}."
            )
        self.reference = provider.reference
        self._ledger = ledger
        self._asker = Asker(provider, policy=policy, metering=metering, budget=budget, gate=gate)
        self._lock = threading.Lock()
        self._known: dict[str, Vector] = {}

    @property
    def priced(self) -> bool:
        """Whether it is known what a text costs."""
        return self._asker.metering.worst_case(self._asker.provider, Texts(("x",))) is not None

    def vectors(self, texts: Sequence[str], stopper: Stopper) -> tuple[list[Vector], list[Paid]]:
        """Return a vector for each text, and what was asked for to have them.

        Raises:
            _LeftOut: They are not to be had.
        """
        keys = {text: digest_of([self.reference, text]) for text in texts}
        paid: list[Paid] = []
        missing = self._missing(keys)
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            found = self._asked(part, stopper, paid)
            self._keep({keys[text]: vector for text, vector in zip(part, found, strict=True)})
        with self._lock:
            return [self._known[keys[text]] for text in texts], paid

    def _missing(self, keys: dict[str, str]) -> list[str]:
        with self._lock:
            unknown = {key: text for text, key in keys.items() if key not in self._known}
        kept = self._ledger.vectors(unknown)
        with self._lock:
            self._known.update(kept)
        return [text for key, text in unknown.items() if key not in kept]

    def _keep(self, found: dict[str, Vector]) -> None:
        self._ledger.keep_vectors(found)
        with self._lock:
            self._known.update(found)

    def _asked(
        self, texts: Sequence[str], stopper: Stopper, paid: list[Paid]
    ) -> tuple[Vector, ...]:
        """Ask for vectors, and note in `paid` what it took."""
        # Endpoints refuse an empty text; a space is as near to nothing.
        asked = self._asker.embed_blocking([text or " " for text in texts], stopper=stopper)
        paid.append(asked.paid)
        if asked.vectors is not None:
            return asked.vectors
        if asked.paid.state == "interrupted":
            refused = asked.paid.refused_by_budget
            raise _LeftOut("budget_exhausted" if refused else "not_reached", None, paid)
        _, why = in_words(asked.paid.error, self._asker.provider.settings)
        raise _LeftOut("scorer_failed", why, paid)


class EmbeddingScorer:
    """Cosine of the vectors of answer and expected answer; below 0 it counts as 0."""

    binary = False
    needs_judge = True
    """It asks a model, so that it runs beside the judges."""
    version = "1"

    def __init__(self, spec: ScorerSpec, embedder: Embedder) -> None:
        self.name = spec.name
        self._embedder = embedder

    def lacks(self, dataset: Dataset) -> str | None:
        if any(row.expected for row in dataset.rows):
            return None
        return f"{dataset.name} has no expected answers, which {self.name} compares with."

    def refuses(self, row: Row, answer: AnswerRecord) -> Score | None:
        """Return the score of a row that needs no asking because it cannot be scored."""
        reason = answer.why_not_scored or (None if row.expected else "no_expected_answer")
        return None if reason is None else Score(scorer=self.name, not_scored=reason)

    def judgements(self, row: Row, answer: AnswerRecord) -> Iterator[Judgement]:
        """Yield the one thing that is asked for."""
        about = [answer.text, list(accepted(row))]
        key = digest_of(["embedding_similarity", self.version, self._embedder.reference, about])
        yield Judgement(key, partial(self._ask, row, answer))

    def combine(self, members: Sequence[Score]) -> Score:
        return members[0]

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        """Score one answer now."""
        return self.refuses(row, answer) or self._ask(row, answer, Stopper())

    def _ask(self, row: Row, answer: AnswerRecord, stopper: Stopper) -> Score:
        try:
            found, paid = self._embedder.vectors([answer.text, *accepted(row)], stopper)
        except _LeftOut as exc:
            return self._of(exc.paid, not_scored=exc.reason, rationale=exc.why)
        if len({len(vector) for vector in found}) != 1:
            why = "The model's vectors have different lengths."
            return self._of(paid, not_scored="scorer_failed", rationale=why)
        return self._of(paid, value=max(similarity(found[0], other) for other in found[1:]))

    def _of(
        self,
        paid: Sequence[Paid],
        *,
        value: float | None = None,
        not_scored: NotScored | None = None,
        rationale: str | None = None,
    ) -> Score:
        total = sum(paid, Paid(answer=None, prompt_tokens=0, completion_tokens=0))
        # A failure that took nothing has no cost, as a score that was never asked for has none.
        took = value is not None or bool(total.prompt_tokens) or bool(total.spent)
        return Score(
            scorer=self.name,
            value=value,
            not_scored=not_scored,
            rationale=rationale,
            judge=self._embedder.reference if value is not None or total.tries else None,
            prompt_tokens=total.prompt_tokens if took else None,
            completion_tokens=total.completion_tokens if took else None,
            cost_usd=str(total.spent) if took and total.spent is not None else None,
            seconds=total.seconds,
        )


def similarity(a: Sequence[float], b: Sequence[float]) -> float:
    """Return max(0, cos(a, b)), exactly 1 for equal vectors; 0 where one is all zeros."""
    if a == b and any(a):
        return 1.0
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(x * x for x in b))
    if not lengths or not math.isfinite(lengths):
        return 0.0
    cosine = math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths
    return min(max(cosine, 0.0), 1.0)
