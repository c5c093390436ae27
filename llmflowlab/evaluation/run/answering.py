"""Has the candidates' answers: concurrently, each answer on disk before it counts, stoppable at any time."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy, WaitNotice
from llmflowlab.asking.metering import DEFAULT_MAX_TOKENS, Metering
from llmflowlab.asking.pacing import Limiter
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import NOT_REACHED, AnswerRecord, in_words
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan, request_for
from llmflowlab.guardrails.guarded import asker_for, guard_of
from llmflowlab.messages import Request
from llmflowlab.providers.base import Provider

__all__ = ["DEFAULT_MAX_TOKENS", "Answering", "CandidateProgress"]

BROKEN_TRIES = 3
"""How often a row is asked in all when its answer breaks off in the middle.

Nobody has read such an answer yet, so asking again loses nothing; the count stands on the row.
"""

_LAST_WORDS = 2.0
"""Seconds that calls which are given up may take to be written down."""
_LEAD = 16
"""Rows by which a candidate may be ahead of the other where a comparison may end early."""


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
    """What was paid for the rows asked now, failed tries included, as far as it is known."""
    unpriced: int = 0
    """Rows of which a part of the cost is not known."""
    uncounted: int = 0
    """Rows done whose cost is told later, as workers of a cluster do."""
    started: float = field(default_factory=time.monotonic)

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
        providers: One per candidate, in the plan's order; None for those whose answers are given.
        ledger: Where answers are kept.
        limiters: One per candidate; candidates that share a model share a limiter.
        concurrency: Workers per candidate.
        policy: Patience of one call.
        metering: Counts, prices and charges answers.
        reused: Answers that are there already.
        budget: Money shared by everything the evaluation asks.
        detectors: By reference, the models behind candidates' guardrails.
        on_answer: Called in a worker thread with each new answer, after it is on disk.
        held: Tells whether to wait before another row is asked; called often.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        providers: Sequence[Provider | None],
        ledger: Ledger,
        *,
        limiters: Sequence[Limiter],
        concurrency: int,
        policy: CallPolicy,
        metering: Metering,
        reused: Mapping[Cell, AnswerRecord],
        budget: Budget,
        detectors: Mapping[str, Provider] | None = None,
        on_answer: Callable[[Cell, AnswerRecord], None] | None = None,
        held: Callable[[], bool] | None = None,
        shared: Callable[[Cell, AnswerRecord], bool] = lambda cell, record: False,
    ) -> None:
        self.plan = plan
        self.answers: dict[Cell, AnswerRecord] = {}
        """Those of now; whoever has no more need of one takes it out."""
        self.failure: BaseException | None = None
        self._stopper = Stopper()
        self._stop = self._stopper.event
        self._ledger = ledger
        self._limiters = limiters
        self._askers = {
            index: asker_for(
                provider,
                guard_of(
                    plan.candidates[index].guardrails,
                    detectors or {},
                    policy=policy,
                    metering=metering,
                    budget=budget,
                ),
                policy=policy,
                metering=metering,
                budget=budget,
                gate=limiter,
            )
            for index, (provider, limiter) in enumerate(zip(providers, limiters, strict=True))
            if provider is not None
        }
        self._on_answer = on_answer
        self._held = held
        self._shared = shared
        self._lock = threading.Lock()
        self._earlier = ledger.answered_in_vain(plan.evaluation_id)
        self._queues: list[deque[Cell]] = [deque() for _ in providers]
        per_candidate = len(plan.dataset.rows) * plan.trials
        self.progress = [CandidateProgress(per_candidate) for _ in providers]
        for cell in plan.cells():
            if cell in reused:
                done = reused[cell].answered
                self.progress[cell.candidate].answered += done
                self.progress[cell.candidate].failed += not done
                self.progress[cell.candidate].reused += 1
            else:
                self._queues[cell.candidate].append(cell)
        self._threads = [
            self._worker(index)
            for index, cells in enumerate(self._queues)
            for _ in range(min(concurrency, len(cells)))
        ]

    @property
    def done(self) -> int:
        """Answers that are there, reused ones among them, whatever became of each."""
        return sum(progress.done for progress in self.progress)

    @property
    def left(self) -> int:
        """Answers that nobody began to ask for."""
        return sum(len(cells) for cells in self._queues)

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
        self._stopper.stop()

    def abandon(self) -> None:
        """Send nothing more and give up calls in flight; what they cost by then is written down first."""
        self._stopper.abandon()
        until = time.monotonic() + _LAST_WORDS
        for thread in self._threads:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))

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
        record = self._had(cell)
        if record.reason == NOT_REACHED:
            return
        with self._lock:
            self.answers[cell] = record
            progress.answered += record.answered
            progress.failed += not record.answered
            progress.cost += record.known_spent
            progress.unpriced += record.spent is None
        if self._on_answer is not None:
            self._on_answer(cell, record)

    def _had(self, cell: Cell) -> AnswerRecord:
        """Return a cell's answer, which is on disk: asked for, or taken from the data file."""
        given = self.plan.given(cell)
        if given is not None:
            record = AnswerRecord.of_given(given, at_ms=int(time.time() * 1000))
            self._write(cell, record)
            return record
        progress = self.progress[cell.candidate]
        with self._lock:
            progress.in_flight += 1
        try:
            record = self._with_earlier(cell, self._ask(cell))
            if record.answered and self._shared(cell, record):
                record = replace(record, shared=True)
        finally:
            with self._lock:
                progress.in_flight -= 1
        return self._keep(cell, record)

    def _keep(self, cell: Cell, record: AnswerRecord) -> AnswerRecord:
        """Write an answer down before it counts; one that cannot be written down has failed.

        Raises:
            TrackingError: Nothing can be written down any more.
        """
        nothing = record.state == "budget_exhausted" or record.reason == NOT_REACHED
        if nothing and not record.known_spent and not record.unpriced:
            return record
        try:
            self._write(cell, record)
        except TrackingError:
            raise
        except Exception as exc:  # noqa: BLE001 - it befalls this row, and must not end the others
            record = self._failed(cell, exc, record)
            self._write(cell, record)
        return record

    def _with_earlier(self, cell: Cell, record: AnswerRecord) -> AnswerRecord:
        """Return an answer with what earlier starts of the evaluation paid for its row."""
        earlier = self._earlier.get(self.plan.answer_key(cell))
        if earlier is None:
            return record
        paid = sum((each.known_spent for each in earlier), Decimal(0))
        unknown = any(each.spent is None for each in earlier)
        return replace(
            record,
            earlier_usd=str(paid) if paid else None,
            unpriced=record.unpriced or unknown,
        )

    def _write(self, cell: Cell, record: AnswerRecord) -> None:
        key = self.plan.answer_key(cell)
        if not record.reusable:
            # Kept for what it cost; under a key of its own, so that a later answer finds its place.
            key = f"{key}#{uuid.uuid4().hex}"
        self._ledger.append("answers", self.plan.evaluation_id, key, record.to_json()).result()

    def _failed(
        self, cell: Cell, exc: Exception, before: AnswerRecord | None = None
    ) -> AnswerRecord:
        """Return the record of a row that something nobody foresaw befell: its own row alone."""
        reason, words = in_words(exc, self._askers[cell.candidate].provider.settings)
        spent = Decimal(0) if before is None else before.known_spent
        return AnswerRecord(
            text="",
            state="failed",
            reason=reason,
            error=words,
            started_ms=int(time.time() * 1000) if before is None else before.started_ms,
            tries=0 if before is None else before.tries,
            wasted_usd=str(spent) if spent else None,
            earlier_usd=None if before is None else before.earlier_usd,
            unpriced=before is not None and before.spent is None,
        )

    def _ask(self, cell: Cell) -> AnswerRecord:
        """Return what came of asking, with what all of it cost."""
        asker = self._askers[cell.candidate]
        began_ms = int(time.time() * 1000)
        try:
            row = self.plan.dataset.rows[cell.row]
            request = request_for(self.plan.candidates[cell.candidate], row)
            paid = self._paid(cell, asker, request)
            while (
                paid.state == "incomplete" and paid.tries < BROKEN_TRIES and not self._stop.is_set()
            ):
                paid = self._paid(cell, asker, request).after(paid)
            return AnswerRecord.of(
                paid,
                began_ms=began_ms,
                ended_ms=int(time.time() * 1000),
                settings=asker.provider.settings,
            )
        except Exception as exc:  # noqa: BLE001 - it befalls this row, and must not end the others
            return self._failed(cell, exc)

    def _paid(self, cell: Cell, asker: Asker, request: Request) -> Paid:
        progress = self.progress[cell.candidate]

        def on_wait(notice: WaitNotice) -> None:
            with self._lock:
                progress.waiting.add(cell)

        def on_try(begun: bool) -> None:
            with self._lock:
                progress.asking += 1 if begun else -1
                progress.waiting.discard(cell)

        try:
            return asker.ask_blocking(
                request, on_wait=on_wait, on_try=on_try, stopper=self._stopper
            )
        finally:
            with self._lock:
                progress.waiting.discard(cell)
