"""Asks the candidates: concurrently, each answer on disk before it counts, stoppable at any time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import Answer, CallPolicy, Cancellation, WaitNotice, call
from llmflowlab.asking.pacing import Limiter
from llmflowlab.asking.reservation import Reservation
from llmflowlab.errors import ConfigurationError, ProviderError
from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, request_for
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider

__all__ = ["DEFAULT_MAX_TOKENS", "Answering", "CandidateProgress"]

BROKEN_TRIES = 3
"""How often a row is asked in all when its answer breaks off in the middle.

Nobody has read such an answer yet, so asking again loses nothing; the count stands on the row.
"""

_STOPPED = "not_reached"
"""Reason of a row that was given up when the evaluation was stopped; it is asked again later."""

_LEAD = 16
"""Rows by which a candidate may be ahead of the other where a comparison may end early."""

DEFAULT_MAX_TOKENS = 4096
"""Length of an answer that a budget reckons with where the candidate names none."""


@dataclass(slots=True)
class CandidateProgress:
    """How far one candidate is; read by the screen while workers write it."""

    total: int
    answered: int = 0
    failed: int = 0
    reused: int = 0
    in_flight: int = 0
    """Rows that a worker has in hand."""
    asking: int = 0
    """Requests that the provider has now; what is in flight beyond them waits for leave to send."""
    waiting: set[Cell] = field(default_factory=set)
    """Answers that wait before another try."""
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


class Answering:
    """The first phase of an evaluation: each candidate has workers of its own.

    So a slow candidate does not hold up another.

    Args:
        plan: What to ask.
        providers: One per candidate, in the plan's order.
        ledger: Where answers are kept.
        limiters: One per candidate; candidates that share a model share a limiter.
        concurrency: Workers per candidate.
        policy: Patience of one call.
        metering: Counts and prices answers.
        reused: Answers that are there already.
        budget: Money shared by everything the evaluation asks.
        on_answer: Called in a worker thread with each new answer, after it is on disk.
        held: Tells whether to wait before another row is asked; called often.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        providers: Sequence[Provider],
        ledger: Ledger,
        *,
        limiters: Sequence[Limiter],
        concurrency: int,
        policy: CallPolicy,
        metering: Metering,
        reused: Mapping[Cell, AnswerRecord],
        budget: Budget,
        on_answer: Callable[[Cell, AnswerRecord], None] | None = None,
        held: Callable[[], bool] | None = None,
    ) -> None:
        self.plan = plan
        self.answers: dict[Cell, AnswerRecord] = dict(reused)
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._providers = providers
        self._ledger = ledger
        self._limiters = limiters
        self._policy = policy
        self._metering = metering
        self._budget = budget
        self._on_answer = on_answer
        self._held = held
        self._lock = threading.Lock()
        self._waiting: set[Cancellation] = set()
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
            self._worker(index)
            for index, cells in enumerate(self._queues)
            for _ in range(min(concurrency, len(cells)))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def set_concurrency(self, value: int) -> None:
        """Change how many calls of each candidate are in flight, while `join` waits.

        Not to be called from several threads at once.
        """
        for limiter in self._limiters:
            limiter.set_concurrency(value)
        if self._stop.is_set():
            return
        working = Counter(thread.name for thread in self._threads if thread.is_alive())
        for index, cells in enumerate(self._queues):
            for _ in range(min(value - working[f"answer-{index}"], len(cells))):
                thread = self._worker(index)
                self._threads.append(thread)
                thread.start()

    def _worker(self, index: int) -> threading.Thread:
        return threading.Thread(
            target=self._work, args=(index,), name=f"answer-{index}", daemon=True
        )

    def stop(self) -> None:
        """Send nothing more: calls in flight finish, those that wait for another try are given up."""
        self._stop.set()
        with self._lock:
            waiting = list(self._waiting)
        for call_ in waiting:
            call_.set()

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
            while not self._stop.is_set():
                if self._too_far_ahead(index) or (self._held is not None and self._held()):
                    self._stop.wait(0.02)
                    continue
                try:
                    cell = cells.popleft()
                except IndexError:
                    return
                self._answer(cell)
        except BaseException as exc:  # noqa: BLE001 - carried over to `join`, raised there
            self.failure = self.failure or exc
            self.stop()

    def _too_far_ahead(self, index: int) -> bool:
        """Tell whether a candidate should wait for the other.

        Only where a comparison may end early: what the quicker one answers beyond the slower one's
        rows is paid for in vain.
        """
        if self.plan.until_decided is None:
            return False
        left = [len(cells) for cells in self._queues]
        return max(left) - left[index] > _LEAD

    def _answer(self, cell: Cell) -> None:
        progress = self.progress[cell.candidate]
        with self._lock:
            progress.in_flight += 1
        try:
            record = self._ask(cell)
        finally:
            with self._lock:
                progress.in_flight -= 1
        self._keep(cell, record)
        if record.reason == _STOPPED:
            return
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

    def _keep(self, cell: Cell, record: AnswerRecord) -> None:
        """Write an answer down before it counts."""
        if not record.spent and (record.state == "budget_exhausted" or record.reason == _STOPPED):
            return
        key = self.plan.answer_key(cell)
        if not record.answered:
            # Kept for what it cost; under a key of its own, so that a later answer finds its place.
            key = f"{key}#{uuid.uuid4().hex}"
        self._ledger.append("answers", self.plan.evaluation_id, key, record.to_json()).result()

    def _ask(self, cell: Cell) -> AnswerRecord:
        """Return what came of asking, with what all of it cost."""
        provider = self._providers[cell.candidate]
        spec = self.plan.candidates[cell.candidate]
        request = request_for(spec, self.plan.dataset.rows[cell.row])
        tries = 0
        spent = Decimal(0)
        while True:
            record = self._paid(cell, provider, request)
            tries += record.tries
            if spent:
                record = replace(record, wasted_usd=str(Decimal(record.wasted_usd or 0) + spent))
            again = record.state == "incomplete" and tries < BROKEN_TRIES
            if not again or self._stop.is_set():
                return replace(record, tries=tries)
            spent = record.spent

    def _paid(self, cell: Cell, provider: Provider, request: Request) -> AnswerRecord:
        """Ask once, within the budget."""
        worst = Decimal(0)
        if self._budget.cap is not None:
            most = request.parameters.max_tokens or DEFAULT_MAX_TOKENS
            worst = self._metering.worst_case(provider, request, most) or Decimal(0)
        actual = Decimal(0)
        at_most = partial(self._metering.at_most, provider)
        reservation = Reservation(self._budget, worst, at_most, self._stop)
        try:
            record = self._sent(cell, provider, request, reservation)
            actual = record.spent
        finally:
            reservation.settle(actual)
        return record

    def _sent(
        self, cell: Cell, provider: Provider, request: Request, reservation: Reservation
    ) -> AnswerRecord:
        begun_ms = int(time.time() * 1000)
        try:
            answer = self._call(cell, provider, request, reservation)
        except ProviderError as exc:
            return self._metering.failed(provider, exc, begun_ms, exc.tries)
        except ConfigurationError as exc:
            return AnswerRecord(
                text="",
                state="failed",
                reason="not_configured",
                error=exc.message,
                started_ms=begun_ms,
            )
        if answer.state == "interrupted":
            refused = reservation.refused
            return AnswerRecord(
                text="",
                state="budget_exhausted" if refused else "failed",
                reason="budget_exhausted" if refused else _STOPPED,
                error="The budget did not allow this call; raise it and resume."
                if refused
                else "The evaluation was stopped.",
                started_ms=begun_ms,
                tries=answer.tries,
                wasted_usd=self._metering.wasted(provider, answer.failed_usage),
            )
        started_ms = int(time.time() * 1000 - answer.inference_time * 1000)
        return self._metering.record(provider, request, answer, started_ms)

    def _call(
        self, cell: Cell, provider: Provider, request: Request, reservation: Reservation
    ) -> Answer:
        progress = self.progress[cell.candidate]
        cancelled = Cancellation()

        def back() -> None:
            with self._lock:
                self._waiting.discard(cancelled)
                progress.waiting.discard(cell)

        def on_wait(notice: WaitNotice) -> None:
            progress.last_wait = notice
            with self._lock:
                self._waiting.add(cancelled)
                progress.waiting.add(cell)
            if self._stop.is_set():
                cancelled.set()

        def count(change: int) -> None:
            with self._lock:
                progress.asking += change

        limiter = self._limiters[cell.candidate]
        reservation.gate = _StoppableGate(limiter, self._stop, back, count)
        try:
            return call(
                provider,
                request,
                policy=self._policy,
                on_wait=on_wait,
                cancelled=cancelled,
                gate=reservation,
            )
        finally:
            back()
            limits = provider.limits
            if limits is not None and limits.pause > 0:
                self._limiters[cell.candidate].pause(limits.pause)


class _StoppableGate:
    """A limiter that lets nobody in once the evaluation was stopped."""

    def __init__(
        self,
        limiter: Limiter,
        stopped: threading.Event,
        back: Callable[[], None],
        count: Callable[[int], None],
    ) -> None:
        self._limiter = limiter
        self._stopped = stopped
        self._back = back
        self._count = count

    def enter(self, stop: threading.Event) -> bool:
        self._back()
        entered = not stop.is_set() and self._limiter.enter(self._stopped)
        if entered:
            self._count(1)
        return entered

    def leave(self, error: ProviderError | None, tokens: int | None) -> None:
        self._count(-1)
        self._limiter.leave(error, tokens)
