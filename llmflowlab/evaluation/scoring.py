"""Scores the answers: deterministic scorers at once, judgements concurrently and kept on disk."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.dataset import Row
from llmflowlab.evaluation.judges import JUDGED, Judge, JudgeScorer, judge_scorer
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC, ComparingScorer
from llmflowlab.evaluation.scores import Score
from llmflowlab.evaluation.stopping import Stopper
from llmflowlab.evaluation.workers import Workers

__all__ = ["SCORERS", "AnyScorer", "Scoring", "check_scorers", "is_binary"]

AnyScorer: TypeAlias = ComparingScorer | JudgeScorer

SCORERS: tuple[str, ...] = (*DETERMINISTIC, *JUDGED)
"""All scorer names, in the order of tables."""


def check_scorers(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names once each, in the order of tables.

    Raises:
        InputError: One is unknown.
    """
    for name in names:
        if name not in SCORERS:
            raise InputError(f"{name!r} is no scorer; choose from {', '.join(SCORERS)}.")
    return tuple(name for name in SCORERS if name in set(names))


def is_binary(names: Sequence[str]) -> dict[str, bool]:
    """Return which scorers say yes or no; the others give a degree."""
    return {name: DETERMINISTIC[name].binary if name in DETERMINISTIC else True for name in names}


class Scoring:
    """The second phase of an evaluation; `score` is safe to call from many threads.

    Args:
        plan: Which scorers.
        judge: Asked by the judged scorers; None where the plan has none.
        ledger: Where judgements are kept.
    """

    def __init__(self, plan: EvaluationPlan, judge: Judge | None, ledger: Ledger) -> None:
        self.plan = plan
        self.scorers: dict[str, AnyScorer] = {}
        for name in plan.scorers:
            if name in DETERMINISTIC:
                self.scorers[name] = DETERMINISTIC[name]
            else:
                assert judge is not None, "a plan with judged scorers has a judge"
                self.scorers[name] = judge_scorer(name, judge)
        self.scores: dict[Cell, dict[str, Score]] = {}
        self._stopper = Stopper()
        self._ledger = ledger
        self._lock = threading.Lock()
        self._kept: dict[str, Score] = {}
        self._taken: set[str] = set()
        """Keys of judgements that a row of this evaluation already has."""
        self._asking: dict[str, threading.Event] = {}
        """Keys of judgements being asked for, with what is set when they are there."""
        self._pool: Workers | None = None
        self._futures: deque[Future[None]] = deque()
        self._open: dict[Cell, int] = {}
        """Rows that wait for judgements, with how many."""
        self._on_finished: Callable[[Cell], None] = lambda cell: None

    @property
    def binary(self) -> Mapping[str, bool]:
        return is_binary(self.plan.scorers)

    def recall(self, answers: Mapping[Cell, AnswerRecord]) -> set[tuple[Cell, str]]:
        """Load judgements already paid for; returns for which rows and scorers there are some."""
        keys = {
            (cell, scorer.name): scorer.key(self._row(cell), answer)
            for scorer in self.scorers.values()
            if isinstance(scorer, JudgeScorer)
            for cell, answer in answers.items()
            if scorer.refuses(self._row(cell), answer) is None
        }
        own = self.plan.evaluation_id
        found = self._ledger.load(
            "judgements", keys.values(), evaluation=own if self.plan.fresh else None, prefer=own
        )
        self._kept = {
            key: Score.from_json({**values, "reused": owner != own})
            for key, (owner, values) in found.items()
        }
        return {place for place, key in keys.items() if key in self._kept}

    def stop(self) -> None:
        """Ask for no further judgement; those in flight finish, what waits is "not reached"."""
        self._stopper.stop()

    def abandon(self) -> None:
        """Give up the judgements in flight as well."""
        self._stopper.abandon()
        if self._pool is not None:
            self._pool.close(wait=False)

    def score(self, cell: Cell, scorer: str, answer: AnswerRecord) -> Score:
        """Return a cell's score, asking the judge only where no earlier judgement serves.

        Raises:
            TrackingError: The judgement could not be written down.
        """
        with self._lock:
            known = self.scores.get(cell, {}).get(scorer)
        if known is not None:
            return known
        how = self.scorers[scorer]
        row = self._row(cell)
        if isinstance(how, JudgeScorer):
            found = self._judge(how, row, answer)
        else:
            found = how.score(row, answer)
        with self._lock:
            self.scores.setdefault(cell, {})[scorer] = found
        return found

    def _judge(self, scorer: JudgeScorer, row: Row, answer: AnswerRecord) -> Score:
        refused = scorer.refuses(row, answer)
        if refused is not None:
            return refused
        key = scorer.key(row, answer)
        while True:
            with self._lock:
                kept = self._kept.get(key)
                twin = self._asking.get(key)
                if kept is not None:
                    shared = key in self._taken
                    self._taken.add(key)
                    return replace(kept, shared=shared)
                if twin is None:
                    self._asking[key] = threading.Event()
                    break
            # Another row said the same and is being judged: one judgement serves both.
            twin.wait()
        try:
            return self._asked(scorer, key, row, answer)
        finally:
            with self._lock:
                self._asking.pop(key).set()

    def _asked(self, scorer: JudgeScorer, key: str, row: Row, answer: AnswerRecord) -> Score:
        found = scorer.score(row, answer, self._stopper)
        if found.value is None and found.cost_usd is None:
            return found
        # Only what succeeded is used again: a judge that was down is asked again next time. What
        # failed is kept for what it cost.
        stored = key if found.value is not None else f"{key}#{uuid.uuid4().hex}"
        self._ledger.append("judgements", self.plan.evaluation_id, stored, found.to_json()).result()
        if found.value is not None:
            with self._lock:
                self._kept[key] = found
                self._taken.add(key)
        return found

    def score_all(
        self,
        answers: Mapping[Cell, AnswerRecord],
        *,
        concurrency: int,
        tick: Callable[[int, int], None] | None = None,
    ) -> None:
        """Score everything there is an answer record for."""
        judged = [name for name, how in self.scorers.items() if how.needs_judge]
        for cell, answer in answers.items():
            for name in self.scorers:
                if name not in judged:
                    self.score(cell, name, answer)
        jobs = [(cell, name) for cell in answers for name in judged]
        done = 0
        if not jobs:
            return
        with ThreadPoolExecutor(max_workers=concurrency, thread_name_prefix="judge") as pool:
            futures = [pool.submit(self._unless_stopped, c, n, answers[c]) for c, n in jobs]
            try:
                for future in futures:
                    future.result()
                    done += 1
                    if tick is not None:
                        tick(done, len(jobs))
            except BaseException:
                self.abandon()
                pool.shutdown(cancel_futures=True)
                raise

    def start(self, concurrency: int, on_finished: Callable[[Cell], None]) -> None:
        """Begin to score rows as they are submitted.

        Args:
            concurrency: Judgements in flight.
            on_finished: Called once per row when all its scores are there, in any thread.
        """
        self._on_finished = on_finished
        self._pool = Workers(concurrency, name="judge")

    def set_concurrency(self, value: int) -> None:
        """Allow more judgements in flight; the judge's own gate keeps them to fewer."""
        if self._pool is not None:
            self._pool.grow_to(value)

    def submit(self, cell: Cell, answer: AnswerRecord) -> None:
        """Score a row: text at once in this thread, judgements in the pool."""
        judged = [name for name, how in self.scorers.items() if how.needs_judge]
        for name in self.scorers:
            if name not in judged:
                self.score(cell, name, answer)
        if not judged:
            self._on_finished(cell)
            return
        with self._lock:
            self._open[cell] = len(judged)
        assert self._pool is not None
        for name in judged:
            self._futures.append(self._pool.submit(partial(self._judged, cell, name, answer)))

    def _judged(self, cell: Cell, name: str, answer: AnswerRecord) -> None:
        if not self._stopper.stopped:
            self.score(cell, name, answer)
        else:
            with self._lock:
                refused = Score(scorer=name, not_scored="not_reached")
                self.scores.setdefault(cell, {}).setdefault(name, refused)
        with self._lock:
            self._open[cell] -= 1
            finished = self._open[cell] == 0
        if finished:
            self._on_finished(cell)

    def join(self, tick: Callable[[], None]) -> None:
        """Wait until every submitted row has its scores.

        Raises:
            TrackingError: A judgement could not be written down.
        """
        while self._futures:
            wait([self._futures[0]], timeout=0.2)
            tick()
            while self._futures and self._futures[0].done():
                self._futures.popleft().result()
        if self._pool is not None:
            self._pool.close()

    def _unless_stopped(self, cell: Cell, name: str, answer: AnswerRecord) -> None:
        if not self._stopper.stopped:
            self.score(cell, name, answer)

    def _row(self, cell: Cell) -> Row:
        return self.plan.dataset.rows[cell.row]
