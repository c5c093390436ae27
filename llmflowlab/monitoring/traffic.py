"""What the service answered in a while, kept up to date without reading anything twice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmflowlab.candidate import Candidate
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.program import program_name
from llmflowlab.service.store.served_traffic import (
    ServedRow,
    SettledScore,
    deployments_known,
    last_before,
    rated_after,
    rows_after,
    scored_after,
)
from llmflowlab.service.store.service_database import (
    address_of,
    is_there,
    opened,
    reading,
    upgraded,
)
from llmflowlab.settings import Settings
from llmflowlab.text.digests import digest_of
from llmflowlab.tracking.records import RatingRecord

if TYPE_CHECKING:
    from llmflowlab.service.store.service_database import Engine

__all__ = [
    "LATE_MS",
    "Answerer",
    "ChosenAnswers",
    "Traffic",
    "opened_database",
    "opened_traffic",
    "settled",
]

_SPARE = 10_000
LATE_MS = 30_000
"""Milliseconds after which a number that is not there will not come any more: it was never used."""


@dataclass(frozen=True, slots=True)
class Answerer:
    """A model with what it is told: what figures are apart by."""

    model: str
    """Its reference."""
    prompt: str | None = None
    """`NAME@VERSION`, or `system #DIGEST` of a system prompt that has no name."""

    @property
    def label(self) -> str:
        return self.model if self.prompt is None else f"{self.model} + {self.prompt}"

    @classmethod
    def of(cls, candidate: Candidate) -> Answerer:
        if candidate.prompt is None and candidate.system is not None:
            return cls(candidate.model, f"system #{digest_of([candidate.system])[:8]}")
        return cls(candidate.model, candidate.prompt)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenAnswers:
    """Whose answers are looked at."""

    model: str | None = None
    """A reference, or a provider's name; None: all."""
    prompt: str | None = None
    """`NAME@VERSION`, or a NAME with all its versions."""

    def takes(self, answerer: Answerer) -> bool:
        model, prompt = answerer.model, answerer.prompt or ""
        return (self.model is None or self.model in {model, model.partition(":")[0]}) and (
            self.prompt is None or self.prompt in {prompt, prompt.partition("@")[0]}
        )

    def among(self, answerers: Sequence[Answerer]) -> None:
        """See that it takes anybody at all.

        Raises:
            InputError: There are answerers, and it takes none.
        """
        if answerers and not any(map(self.takes, answerers)):
            said = " with ".join(part for part in (self.model, self.prompt) if part is not None)
            known = ", ".join(sorted({one.label for one in answerers}))
            raise InputError(f"The service never answered by {said}; it did by: {known}.")


def settled(rows: Sequence[ServedRow], after: int, now_ms: int) -> int:
    """Return the number up to which nothing can come any more.

    PostgreSQL gives numbers before it commits: the answer before one that is seen may still be on its way.

    Args:
        rows: All that are seen after a number, in their order.
        after: That number.
        now_ms: Milliseconds since the epoch.
    """
    for row in rows:
        if row.number != after + 1 and row.ended_ms > now_ms - LATE_MS:
            break
        after = row.number
    return after


class Traffic:
    """The answers of the service's database.

    Args:
        engine: The database.
        chosen: Whose answers.
        window: Seconds that are looked back on.
        clock: Seconds since the epoch.
    """

    def __init__(
        self, engine: Engine, *, chosen: ChosenAnswers, window: float, clock: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._chosen = chosen
        self._clock = clock
        self.window = window
        self._known: dict[str, tuple[Answerer, Candidate]] = {}
        self._done: int | None = None
        """The number up to which everything was read; None: nothing was."""
        self._past: deque[ServedRow] = deque()
        self._rated_to = 0
        self._scored_to = 0
        self._scores: dict[str, dict[str, SettledScore]] = {}
        self._ratings: dict[str, list[tuple[str, RatingRecord]]] = {}

    def read(self) -> tuple[list[ServedRow], int]:
        """Return the window's answers in their order, and its end in milliseconds since the epoch.

        Raises:
            TrackingError: The database failed.
            InputError: Nobody who ever answered is among the chosen.
        """
        now_ms = int(self._clock() * 1000)
        since_ms = now_ms - int(self.window * 1000)
        with reading(self._engine) as connection:
            if self._done is None:
                self._done = last_before(connection, since_ms)
            fresh = list(rows_after(connection, self._done))
            self._learn({row.deployment for row in fresh}, lambda: deployments_known(connection))
            said = rated_after(connection, self._rated_to)
            # Of two workers one may be a little behind; read again, a score is the same.
            since = max(self._scored_to - LATE_MS, since_ms)
            scored = scored_after(connection, since, now_ms + LATE_MS)
        for each in said:
            self._rated_to = each.number
            rated = self._ratings.setdefault(each.record.trace_id, [])
            rated.append((each.owner, each.record))
        for one in scored:
            self._scored_to = one.settled_ms
            self._scores.setdefault(one.trace_id, {})[one.scorer] = one
        if len(self._scores) > 2 * len(self._past) + _SPARE:
            # Those of answers that are not looked at.
            mine_now = {row.record.trace_id for row in self._past}
            self._scores = {id_: of for id_, of in self._scores.items() if id_ in mine_now}
        end = settled(fresh, self._done, now_ms)
        mine = [row for row in fresh if self._chosen.takes(self.answerer(row))]
        self._done = end
        self._past.extend(row for row in mine if row.number <= end)
        while self._past and self._past[0].record.started_ms < since_ms:
            gone = self._past.popleft().record.trace_id
            self._scores.pop(gone, None)
            self._ratings.pop(gone, None)
        unsure = [row for row in mine if row.number > end]
        young = [row for row in (*self._past, *unsure) if row.record.started_ms >= since_ms]
        return young, now_ms

    def _learn(self, ids: set[str], known: Callable[[], Mapping[str, dict[str, Any]]]) -> None:
        if self._known and ids <= set(self._known):
            return
        for id_, described in known().items():
            candidate = Candidate.from_record(described["candidate"])
            self._known[id_] = Answerer.of(candidate), candidate
        self._chosen.among([answerer for answerer, _ in self._known.values()])

    def answerer(self, row: ServedRow) -> Answerer:
        """Return who gave an answer that was read."""
        return self._known[row.deployment][0]

    def candidate(self, row: ServedRow) -> Candidate:
        """Return the same with all that it was set up with."""
        return self._known[row.deployment][1]

    def ratings(self, row: ServedRow) -> Sequence[tuple[str, RatingRecord]]:
        """Return what people said of an answer, each with the id of the key that said it."""
        return self._ratings.get(row.record.trace_id, ())

    def scores(self, row: ServedRow) -> Iterable[SettledScore]:
        """Return what came of an answer's scores."""
        return self._scores.get(row.record.trace_id, {}).values()


@contextmanager
def opened_database(settings: Settings) -> Iterator[Engine]:
    """Yield the database of a home's service.

    Raises:
        ConfigurationError: Nothing was ever served in this home.
        LabError: It cannot be used.
    """
    address = address_of(settings)
    if not is_there(address):
        raise ConfigurationError(
            f"Nothing was served in this home yet; start {program_name()} serve --model guide:docs, or "
            "name the home of the service with LLMFLOWLAB_HOME."
        )
    engine = opened(address)
    try:
        upgraded(engine)
        yield engine
    finally:
        engine.dispose()


@contextmanager
def opened_traffic(
    settings: Settings, *, chosen: ChosenAnswers, window: float, clock: Callable[[], float]
) -> Iterator[Traffic]:
    """Yield the traffic of a home's service.

    Raises:
        LabError: As of `opened_database`.
    """
    with opened_database(settings) as engine:
        yield Traffic(engine, chosen=chosen, window=window, clock=clock)
