"""Asks the candidates: concurrently, each answer on disk before it counts, stoppable at any time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from llmflowlab.errors import BadAnswer, ProviderError, TrackingError
from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.plan import Cell, EvaluationPlan, request_for
from llmflowlab.providers.base import Provider
from llmflowlab.providers.calling import CallPolicy, WaitNotice, call

__all__ = ["Answering", "CandidateProgress", "reusable_answers"]

BROKEN_TRIES = 3
"""How often a row is asked in all when its answer breaks off in the middle.

Nobody has read such an answer yet, so asking again loses nothing; the count stands on the row.
"""


@dataclass(slots=True)
class CandidateProgress:
    """How far one candidate is; read by the screen while workers write it."""

    total: int
    answered: int = 0
    failed: int = 0
    reused: int = 0
    in_flight: int = 0
    waiting: int = 0
    """Calls that wait before another try."""
    cost: Decimal = Decimal(0)
    """Of the answers sent for now, the priced ones."""
    unpriced: int = 0
    started: float = field(default_factory=time.monotonic)
    last_wait: WaitNotice | None = None

    @property
    def done(self) -> int:
        return self.answered + self.failed

    @property
    def rate(self) -> float:
        """Answers a second, reused ones left out."""
        seconds = time.monotonic() - self.started
        return (self.done - self.reused) / seconds if seconds > 0 else 0.0


def reusable_answers(plan: EvaluationPlan, ledger: Ledger) -> dict[Cell, AnswerRecord]:
    """Return the answers that need not be asked for; only whole ones, what failed is asked again.

    They are this evaluation's own, and those of earlier ones too unless the plan is fresh.
    """
    cells = {plan.answer_key(cell): cell for cell in plan.cells()}
    owner = plan.evaluation_id if plan.fresh else None
    found: dict[Cell, AnswerRecord] = {}
    for key, (_, values) in ledger.load("answers", cells, evaluation=owner).items():
        record = AnswerRecord.from_json(values)
        if record.answered:
            found[cells[key]] = record
    return found


class Answering:
    """The first phase of an evaluation.

    Args:
        plan: What to ask.
        providers: One per candidate, in the plan's order.
        ledger: Where answers are kept.
        concurrency: Calls in flight per candidate.
        policy: Patience of one call.
        metering: Counts and prices answers.
        reused: Answers that are there already.
        on_answer: Called in a worker thread with each new answer, after it is on disk.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        providers: Sequence[Provider],
        ledger: Ledger,
        *,
        concurrency: int,
        policy: CallPolicy,
        metering: Metering,
        reused: Mapping[Cell, AnswerRecord],
        on_answer: Callable[[Cell, AnswerRecord], None] | None = None,
    ) -> None:
        self.plan = plan
        self.answers: dict[Cell, AnswerRecord] = dict(reused)
        self.stop = threading.Event()
        self.failure: BaseException | None = None
        self._providers = providers
        self._ledger = ledger
        self._policy = policy
        self._metering = metering
        self._on_answer = on_answer
        self._lock = threading.Lock()
        self._queues: list[deque[Cell]] = [deque() for _ in providers]
        per_candidate = len(plan.dataset.rows) * plan.trials
        self.progress = [CandidateProgress(per_candidate) for _ in providers]
        for cell in plan.cells():
            if cell in self.answers:
                self.progress[cell.candidate].answered += 1
                self.progress[cell.candidate].reused += 1
            else:
                self._queues[cell.candidate].append(cell)
        self._threads = [
            threading.Thread(target=self._work, args=(index,), name=f"answer-{index}", daemon=True)
            for index, cells in enumerate(self._queues)
            for _ in range(min(concurrency, len(cells)))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self, tick: Callable[[], None] | None = None, *, every: float = 0.2) -> None:
        """Wait until all is answered or stopped; `tick` is called in this thread meanwhile.

        Raises:
            TrackingError: An answer could not be written down; nothing more was sent after that.
        """
        for thread in self._threads:
            while thread.is_alive():
                thread.join(timeout=every)
                if tick is not None:
                    tick()
        if self.failure is not None:
            raise self.failure

    def _work(self, index: int) -> None:
        cells = self._queues[index]
        try:
            while not self.stop.is_set():
                try:
                    cell = cells.popleft()
                except IndexError:
                    return
                self._answer(cell)
        except BaseException as exc:  # noqa: BLE001 - carried over to `join`, raised there
            self.failure = self.failure or exc
            self.stop.set()

    def _answer(self, cell: Cell) -> None:
        progress = self.progress[cell.candidate]
        with self._lock:
            progress.in_flight += 1
        try:
            record = self._ask(cell)
        finally:
            with self._lock:
                progress.in_flight -= 1
        if record is None:
            return
        written = self._ledger.append(
            "answers", self.plan.evaluation_id, self.plan.answer_key(cell), record.to_json()
        )
        self._wait_for_disk(written.result)
        with self._lock:
            self.answers[cell] = record
            progress.answered += record.answered
            progress.failed += not record.answered
            if record.cost is None:
                progress.unpriced += record.answered
            else:
                progress.cost += record.cost
        if self._on_answer is not None:
            self._on_answer(cell, record)

    @staticmethod
    def _wait_for_disk(result: Callable[[], None]) -> None:
        try:
            result()
        except TrackingError:
            raise

    def _ask(self, cell: Cell) -> AnswerRecord | None:
        """Return what came of asking; None where the evaluation was stopped before an answer came."""
        provider = self._providers[cell.candidate]
        request = request_for(
            self.plan.candidates[cell.candidate], self.plan.dataset.rows[cell.row]
        )
        tries = 0
        while True:
            sent_ms = int(time.time() * 1000)
            try:
                answer = call(
                    provider,
                    request,
                    policy=self._policy,
                    on_wait=lambda notice: self._note_wait(cell.candidate, notice),
                    cancelled=None,
                )
            except ProviderError as exc:
                return self._metering.failed(exc, sent_ms, tries + self._policy.max_tries)
            tries += answer.tries
            broken = answer.state == "incomplete" and tries < BROKEN_TRIES
            if not broken or self.stop.is_set():
                break
        started_ms = int(time.time() * 1000 - answer.inference_time * 1000)
        if answer.state == "complete" and not answer.text and answer.finish_reason == "safety":
            refused = BadAnswer("the answer was empty", provider=provider.name)
            return self._metering.failed(refused, started_ms, tries)
        return self._metering.record(provider, request, answer, started_ms)

    def _note_wait(self, candidate: int, notice: WaitNotice) -> None:
        self.progress[candidate].last_wait = notice
