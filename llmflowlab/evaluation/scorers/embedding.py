"""How near answer and expectation are in meaning, by a model that turns texts into vectors."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, TypeAlias

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.pacing import Gate
from llmflowlab.asking.reservation import Reservation
from llmflowlab.asking.stopping import Stopper
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import BadAnswer, InputError, ProviderError
from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.judging.scorer import Judgement
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.common import accepted
from llmflowlab.evaluation.scorers.options import Options
from llmflowlab.evaluation.scores import NotScored, Score
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import Finished, Provider, StreamEvent, TextDelta, UsageReport
from llmflowlab.text.digests import digest_of

__all__ = ["Embedder", "EmbeddingScorer", "embedding_model"]

_BATCH = 64
"""Texts in one call; every endpoint known takes as many."""
Vector: TypeAlias = "tuple[float, ...]"
_TABLE = "CREATE TABLE IF NOT EXISTS vectors (key TEXT PRIMARY KEY, vector TEXT NOT NULL)"


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
    """There are no vectors; `record` is what the try cost, where something was sent."""

    def __init__(self, reason: NotScored, why: str | None, record: AnswerRecord | None) -> None:
        super().__init__(why)
        self.reason = reason
        self.why = why
        self.record = record


class _Embedding(Provider):
    """A provider's embeddings as an answer, so that a call's tries, waits and deadlines hold for them."""

    name: ClassVar[str] = "embedding"
    display_name: ClassVar[str] = "Embeddings"
    supplier: ClassVar[str] = ""

    def __init__(self, provider: Provider) -> None:
        super().__init__(provider.model, provider.settings)
        self._provider = provider

    @property
    def reference(self) -> str:
        return self._provider.reference

    @property
    def priced_as(self) -> tuple[str, str]:
        return self._provider.priced_as

    @classmethod
    def readiness(cls, settings: Any, timeout: float) -> Any:
        raise NotImplementedError

    def list_models(self) -> list[Any]:
        return []

    def prepare(self) -> None:
        self._provider.prepare()

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        found = self._provider.embed([message.content for message in request.messages])
        if len(found.vectors) != len(request.messages) or not all(found.vectors):
            raise BadAnswer(
                f"{self.reference} returned {len(found.vectors)} vectors for "
                f"{len(request.messages)} texts.",
                provider=self._provider.name,
                model=self.model,
            )
        yield TextDelta(json.dumps(found.vectors))
        yield UsageReport(found.usage)
        yield Finished("stop", found.model_version)


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
            raise InputError(
                f"{provider.reference} makes no embeddings here; name a model of ollama, openai or azure."
            )
        self.reference = provider.reference
        self._provider = _Embedding(provider)
        self._ledger = ledger
        self._policy = policy
        self._metering = metering
        self._budget = budget or Budget(None)
        self._gate = gate
        self._lock = threading.Lock()
        self._known: dict[str, Vector] = {}
        ledger.execute(_TABLE)

    @property
    def priced(self) -> bool:
        """Whether it is known what a text costs."""
        request = Request(messages=(Message("user", "x"),))
        return self._metering.worst_case(self._provider, request, 0) is not None

    def vectors(
        self, texts: Sequence[str], stopper: Stopper
    ) -> tuple[list[Vector], list[AnswerRecord]]:
        """Return a vector for each text, and what was asked for to have them.

        Raises:
            _LeftOut: They are not to be had.
        """
        keys = {text: digest_of([self.reference, text]) for text in texts}
        records = []
        missing = self._missing(keys)
        for start in range(0, len(missing), _BATCH):
            part = missing[start : start + _BATCH]
            found, record = self._asked(part, stopper)
            records.append(record)
            self._keep({keys[text]: vector for text, vector in zip(part, found, strict=True)})
        with self._lock:
            return [self._known[keys[text]] for text in texts], records

    def _missing(self, keys: dict[str, str]) -> list[str]:
        with self._lock:
            unknown = {key: text for text, key in keys.items() if key not in self._known}
        marks = ",".join("?" * len(unknown))
        sql = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - marks alone
        kept = {key: tuple(json.loads(v)) for key, v in self._ledger.query(sql, tuple(unknown))}
        with self._lock:
            self._known.update(kept)
        return [text for key, text in unknown.items() if key not in kept]

    def _keep(self, found: dict[str, Vector]) -> None:
        marks = ",".join("(?, ?)" for _ in found)
        values = [item for key, vector in found.items() for item in (key, json.dumps(vector))]
        sql = f"INSERT OR IGNORE INTO vectors (key, vector) VALUES {marks}"  # noqa: S608 - marks alone
        self._ledger.execute(sql, tuple(values))
        with self._lock:
            self._known.update(found)

    def _asked(self, texts: Sequence[str], stopper: Stopper) -> tuple[list[Vector], AnswerRecord]:
        # Endpoints refuse an empty text; a space is as near to nothing.
        request = Request(messages=tuple(Message("user", text or " ") for text in texts))
        worst = Decimal(0)
        if self._budget.cap is not None:
            worst = self._metering.worst_case(self._provider, request, 0) or Decimal(0)
        at_most = partial(self._metering.at_most, self._provider)
        reservation = Reservation(self._budget, worst, at_most, stopper.event)
        reservation.gate = self._gate
        spent = Decimal(0)
        try:
            answer = stopper.call(self._provider, request, policy=self._policy, gate=reservation)
            if answer.state == "interrupted":
                reason: NotScored = "budget_exhausted" if reservation.refused else "not_reached"
                raise _LeftOut(reason, None, None)
            if answer.error is not None:
                raise _LeftOut("scorer_failed", answer.error.message, None)
            record = self._metering.embedded(self._provider, request, answer)
            spent = record.spent
        except ProviderError as exc:
            raise _LeftOut("scorer_failed", exc.message, None) from exc
        finally:
            reservation.settle(spent)
        return [tuple(vector) for vector in json.loads(answer.text)], record


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
            found, records = self._embedder.vectors([answer.text, *accepted(row)], stopper)
        except _LeftOut as exc:
            return Score(scorer=self.name, not_scored=exc.reason, rationale=exc.why)
        if len({len(vector) for vector in found}) != 1:
            why = "The model's vectors have different lengths."
            return Score(scorer=self.name, not_scored="scorer_failed", rationale=why)
        costs = [record.cost for record in records]
        known = [cost for cost in costs if cost is not None]
        return Score(
            scorer=self.name,
            value=max(similarity(found[0], other) for other in found[1:]),
            judge=self._embedder.reference,
            prompt_tokens=sum(record.prompt_tokens or 0 for record in records),
            completion_tokens=0,
            cost_usd=str(sum(known, Decimal(0))) if len(known) == len(costs) else None,
            seconds=sum(record.latency or 0.0 for record in records),
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
