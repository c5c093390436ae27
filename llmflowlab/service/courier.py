"""A process of its own that brings what was answered to MLflow; no answer ever waits for it.

The service's database is the queue: whatever becomes of MLflow, of this process or of the service, what is
not marked as delivered there is delivered later. It steps back where the machine has other work, above all
while answers are made: then it works a fifth of the time, a few at once, for as long as nothing is old.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing

from llmflowlab.agents.package import package
from llmflowlab.candidate import Candidate
from llmflowlab.errors import LabError
from llmflowlab.machine import person
from llmflowlab.people.ratings import rating_word
from llmflowlab.people.word_store import WordStore
from llmflowlab.process_end import run_to_the_end
from llmflowlab.service.scoring.score_figures import assessed, score_metrics
from llmflowlab.service.store.issued_keys import keys_made
from llmflowlab.service.store.online_scores import score_totals_of
from llmflowlab.service.store.served_turns import (
    Undelivered,
    delivered,
    deployment_of,
    newest_turn,
    totals_of,
    undelivered,
    undelivered_count,
)
from llmflowlab.service.store.service_database import (
    Engine,
    address_of,
    delivering,
    opened,
    reading,
    writing,
)
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.service_runs import ServedTurn, ServiceRuns

__all__ = ["Courier", "Rush", "deliver_all", "main"]

_TOGETHER = 100
_FEW = 20
"""At once while answers are made."""
_REST = 4.0
"""Its pauses then, in the times that it worked."""
_BUSY = 5.0
"""Answers a second from which on they count as being made."""
_OLD = 600.0
"""Seconds after which an answer waits no longer for others to be made."""
_LOOK = 1.0
"""Seconds between two looks for something new."""
_BETWEEN_TOTALS = 20.0
"""Pause between two writings of totals, in the times that one took."""
_FIRST_RETRY, _LONGEST_RETRY = 1.0, 60.0
_LAST = 20.0
"""Seconds that are left for what is on its way when the service ends."""


class Courier:
    """Delivers.

    Args:
        settings: Names the database and the store.
        engine: The database.
    """

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._runs: ServiceRuns | None = None
        self._raters: dict[str, str] = {}
        self._changed: set[str] = set()
        """Deployments of which something was delivered since their totals were written."""
        self._open: set[str] = set()
        """Deployments whose runs are to be ended."""
        self.oldest_ms: int | None = None
        """When the oldest of the last handful was asked for; None where there was none."""

    def deliver(self, most: int = _TOGETHER) -> int:
        """Deliver a handful; returns how many there were.

        Raises:
            LabError: The store or the database failed; nothing is lost, and it can be tried again.
        """
        # A service that was killed leaves its courier at work for a while, beside the next one's; services on
        # several machines may have one database.
        with delivering(self._engine, self._settings.state_dir):
            return self._deliver(most)

    def _deliver(self, most: int) -> int:
        # Whoever writes holds up the service's own writer, and this process gets the processor last.
        with reading(self._engine) as connection:
            waiting = undelivered(connection, most)
        self.oldest_ms = min((each.record.started_ms for each in waiting), default=None)
        if not waiting:
            return 0
        if self._runs is None:
            self._runs = ServiceRuns(self._settings, package())
        by_deployment: dict[str, list[Undelivered]] = defaultdict(list)
        for each in waiting:
            by_deployment[each.deployment].append(each)
        for deployment, those in by_deployment.items():
            candidate, begun_ms = self._candidate(deployment)
            turns = [self._turn(each) for each in those]
            self._runs.write(deployment, candidate, begun_ms, turns)
            self._keep_words(deployment, those)
            with writing(self._engine) as connection:
                delivered(connection, those)
            self._changed.add(deployment)
            self._open.add(deployment)
        return len(waiting)

    def total(self, *, ended: bool = False) -> None:
        """Bring the totals of what was delivered up to date.

        Raises:
            LabError: The store or the database failed.
        """
        for deployment in sorted(self._open if ended else self._changed):
            candidate, begun_ms = self._candidate(deployment)
            with reading(self._engine) as connection:
                turns = totals_of(connection, deployment)
                scores = score_totals_of(connection, deployment)
            assert self._runs is not None
            self._runs.total(
                deployment,
                candidate,
                begun_ms,
                turns,
                scores=score_metrics(scores),
                ended_ms=int(time.time() * 1000) if ended else None,
            )
            self._changed.discard(deployment)
            if ended:
                self._open.discard(deployment)

    def _candidate(self, deployment: str) -> tuple[Candidate, int]:
        with reading(self._engine) as connection:
            described = deployment_of(connection, deployment)
        return Candidate.from_record(described["candidate"]), int(described["begun_ms"])

    def _turn(self, each: Undelivered) -> ServedTurn:
        tags = {"llmflowlab.door": each.door}
        if each.owner:
            tags["llmflowlab.key"] = self._rater(each.owner)
        # Sessions of different keys may be called the same.
        named = None if each.session_id is None else f"{each.owner}:{each.session_id}".lstrip(":")
        return ServedTurn(
            session_id=named,
            record=each.record,
            ratings=each.ratings,
            rater=self._rater(each.owner),
            tags=tags,
            scores=[(assessed(kept), kept.settled_ms) for kept in each.scores],
            again=each.again,
        )

    def _rater(self, owner: str) -> str:
        if not owner:
            return person()
        if owner not in self._raters:
            with reading(self._engine) as connection:
                self._raters = {key.id: key.name for key, _ in keys_made(connection)}
        return self._raters.get(owner, owner)

    def _keep_words(self, deployment: str, those: Sequence[Undelivered]) -> None:
        """Put ratings among what people said, where `info` and reviews find them."""
        words = [
            rating_word(rating, deployment, by=self._rater(each.owner))
            for each in those
            for rating in each.ratings
        ]
        if words:
            with closing(WordStore(self._settings.people_file)) as store:
                store.keep(words)


def deliver_all(settings: Settings) -> int:
    """Deliver everything that waits; returns how many answers that were.

    Raises:
        LabError: The store or the database failed; what is left is kept.
    """
    engine = opened(address_of(settings))
    try:
        courier, done = Courier(settings, engine), 0
        while number := courier.deliver():
            done += number
        courier.total(ended=True)
        return done
    finally:
        engine.dispose()


def _work(
    settings: Settings, engine: Engine, ending: threading.Event, tell: Callable[[str], None]
) -> None:
    courier = Courier(settings, engine)
    pause, last_said, until = _FIRST_RETRY, "", float("inf")
    rush, total_from = Rush(engine), float("-inf")
    while True:
        if ending.is_set():
            until = min(until, time.monotonic() + _LAST)
        try:
            began, making = time.monotonic(), rush.going_on()
            if courier.deliver(_FEW if making else _TOGETHER):
                pause = _FIRST_RETRY
                old = time.time() - (courier.oldest_ms or 0) / 1000 > _OLD
                if making and not old:
                    ending.wait(_REST * (time.monotonic() - began))
                if time.monotonic() < until:
                    continue
            # All turns are read for it, the longer the more there are.
            if ending.is_set() or time.monotonic() >= total_from:
                began = time.monotonic()
                courier.total(ended=ending.is_set())
                now = time.monotonic()
                total_from = now + _BETWEEN_TOTALS * (now - began)
        except LabError as exc:
            if exc.message != last_said:
                tell(f"{exc.message.rstrip('.')}; what was answered is kept and delivered later.")
            last_said = exc.message
            ending.wait(pause)
            pause = min(2 * pause, _LONGEST_RETRY)
        if ending.is_set():
            with contextlib.suppress(LabError), reading(engine) as connection:
                if left := undelivered_count(connection):
                    tell(
                        f"MLflow lacks {left} answers; they are delivered when the service starts again."
                    )
            return
        ending.wait(_LOOK)


class Rush:
    """Tells whether many answers are being made.

    Args:
        engine: The database they are kept in.
        clock: Seconds by a clock that only goes forward.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._seen = 0
        self._at = float("-inf")

    def going_on(self) -> bool:
        """Look at how many came since it was last asked."""
        with reading(self._engine) as connection:
            newest = newest_turn(connection)
        now = self._clock()
        rate = (newest - self._seen) / max(now - self._at, 0.1)
        self._seen, self._at = newest, now
        return rate > _BUSY


def main() -> None:
    """Deliver until standard input ends: with the service, however that ended."""
    settings = load_settings(stdin_is_terminal=False)
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(19)
    ending = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        ending.set()

    threading.Thread(target=wait, name="parent", daemon=True).start()

    def tell(sentence: str) -> None:
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()

    engine = opened(address_of(settings))
    try:
        _work(settings, engine, ending, tell)
    except Exception as exc:
        tell(f"Delivery to MLflow ended unexpectedly ({type(exc).__name__}: {exc}).")
        raise SystemExit(1) from exc


if __name__ == "__main__":
    run_to_the_end(main)
