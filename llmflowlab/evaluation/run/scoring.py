"""Scores the answers: deterministic scorers at once, judgements concurrently and kept on disk."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TypeAlias

from llmflowlab.asking.stopping import Stopper
from llmflowlab.data.dataset import Row
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import (
    Judge,
    JudgeScorer,
    Panel,
    PreferenceScorer,
    build_judged_scorer,
)
from llmflowlab.evaluation.judging.exam import Exam
from llmflowlab.evaluation.judging.scorer import Judgement
from llmflowlab.evaluation.run.examination import Examination
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.peers import PeerAnswers
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.run.stored_verdicts import StoredVerdicts
from llmflowlab.evaluation.run.workers import Workers
from llmflowlab.evaluation.scorers.base import TextScorer
from llmflowlab.evaluation.scorers.embedding import Embedder, EmbeddingScorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scores import Score

__all__ = ["AnyScorer", "JudgingProgress", "Scoring"]

AnyScorer: TypeAlias = TextScorer | JudgeScorer | PreferenceScorer | EmbeddingScorer


@dataclass(frozen=True, slots=True)
class JudgingProgress:
    """How far the judges are."""

    scorers: int
    """Scorers that ask a judge."""
    done: int
    """Scores of theirs that are there."""
    cost: Decimal
    """USD of the verdicts asked for now, as far as it is known."""
    unpriced: bool
    """Whether the cost of one is not known."""


class Scoring:
    """The second phase of an evaluation; `score` is safe to call from many threads.

    Args:
        plan: Which scorers.
        judge: Asked by the judged scorers; None where the plan has none.
        ledger: Where judgements are kept.
        embedders: For each scorer that compares vectors, what makes them.
        exam: Rows on which judges are examined before they judge; 0: not at all.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        judge: Judge | Panel | None,
        ledger: Ledger,
        embedders: Mapping[str, Embedder] | None = None,
        *,
        exam: int = 0,
    ) -> None:
        self.plan = plan
        self.scorers: dict[str, AnyScorer] = {}
        for name in plan.scorers:
            spec = plan.spec(name)
            if embedders is not None and name in embedders:
                self.scorers[name] = EmbeddingScorer(spec, embedders[name])
            elif spec.kind in TEXT_KINDS:
                self.scorers[name] = build_text_scorer(spec)
            else:
                assert judge is not None, "a plan with judged scorers has a judge"
                self.scorers[name] = build_judged_scorer(spec, judge)
        self._comparing = [
            n for n, how in self.scorers.items() if isinstance(how, PreferenceScorer)
        ]
        self._exams = {
            name: Examination(how, plan.dataset.rows, exam)
            for name, how in self.scorers.items()
            if isinstance(how, JudgeScorer | PreferenceScorer)
        }
        self._peers = PeerAnswers(len(plan.candidates))
        self.scores: dict[Cell, dict[str, Score]] = {}
        """Those of now; whoever has no more need of a row's takes them out."""
        self._counts: Counter[str] = Counter()
        """How many there were by scorer."""
        self._reached: Counter[str] = Counter()
        """Those of them that did not come too late."""
        self._stopper = Stopper()
        self._lock = threading.Lock()
        self._kept = StoredVerdicts(plan, ledger)
        self._taken: set[str] = set()
        """Keys of judgements that a row of this evaluation already has."""
        self._failed: dict[str, Score] = {}
        """Verdicts on pairs that were not to be had: both sides of a pair go without."""
        self._judges_cost, self._unpriced = Decimal(0), False
        self._asking: dict[str, threading.Event] = {}
        """Keys of judgements being asked for, with what is set when they are there."""
        self._in_flight, self._judged_ms = 0, 0
        """Verdicts being asked for, and when the last one ended, in milliseconds since the epoch."""
        self._pool: Workers | None = None
        self._futures: deque[Future[None]] = deque()
        self._open: dict[Cell, int] = {}
        """Rows that wait for judgements, with how many."""
        self._on_finished: Callable[[Cell], None] = lambda cell: None

    def know(self, answers: Mapping[Cell, AnswerRecord]) -> None:
        """Take in answers, for scorers that compare a row's answers with each other."""
        if self._comparing:
            for cell, answer in answers.items():
                self._peers.know(cell, answer)

    def recall(self, *answers: Mapping[Cell, AnswerRecord]) -> set[tuple[Cell, str]]:
        """Look up judgements already paid for; returns for which rows and scorers there are some.

        Args:
            answers: They are not held; of a cell that is in several the last one counts.
        """
        # Others than those that are compared later: these are known as they come.
        peers = PeerAnswers(len(self.plan.candidates))
        if self._comparing:
            for part in answers:
                for cell, answer in part.items():
                    peers.know(cell, answer)
        judged = {
            name: how
            for name, how in self.scorers.items()
            if isinstance(how, JudgeScorer | PreferenceScorer | EmbeddingScorer)
        }
        keys = {
            (cell, name): [one.key for one in judgements]
            for part in (answers if judged else ())
            for cell, answer in part.items()
            for name, how in judged.items()
            if (judgements := self._judgements(how, cell, answer, peers))
        }
        self._kept.recall(key for wanted in (*keys.values(), *self._exam_keys()) for key in wanted)
        for exam in self._exams.values():
            exam.recall(self._kept)
            if exam.exams():
                self._taken.update(exam.keys)
        return {place for place, wanted in keys.items() if all(key in self._kept for key in wanted)}

    def known(self) -> Iterator[tuple[str, Score]]:
        """Yield the judgements that need not be asked for, with their keys."""
        return self._kept.known()

    def _exam_keys(self) -> list[list[str]]:
        return [exam.keys for exam in self._exams.values()]

    def to_examine(self, scorer: str, judge: str) -> int:
        """Return how many verdicts a judge's examination still takes, after `recall`."""
        exam = self._exams.get(scorer)
        return 0 if exam is None else exam.missing(judge, self._kept)

    def judging(self) -> JudgingProgress | None:
        """Return how far the judges are; None where the plan has none."""
        if not self._exams:
            return None
        with self._lock:
            done = sum(self._reached[name] for name in self._exams)
            return JudgingProgress(len(self._exams), done, self._judges_cost, self._unpriced)

    @property
    def scored(self) -> int:
        """Scores that were made."""
        with self._lock:
            return self._counts.total()

    def judged_since(self, moment_ms: int) -> bool:
        """Tell whether a verdict is being asked for, or was after a moment in milliseconds since the epoch."""
        with self._lock:
            return self._in_flight > 0 or self._judged_ms >= moment_ms

    def exams(self) -> list[Exam]:
        """Return what the examinations said that were held, or are known from before."""
        return [found for exam in self._exams.values() for found in exam.exams()]

    def _judgements(
        self, how: AnyScorer, cell: Cell, answer: AnswerRecord, peers: PeerAnswers
    ) -> Sequence[Judgement]:
        """Return the verdicts that a score is made from; none where nothing is to be judged."""
        row = self._row(cell)
        if isinstance(how, JudgeScorer | EmbeddingScorer) and how.refuses(row, answer) is None:
            return list(how.judgements(row, answer))
        if isinstance(how, PreferenceScorer):
            opponents = peers.opponents(cell)
            if opponents is not None and how.refuses(answer, opponents) is None:
                return list(how.judgements(row, answer, opponents))
        return []

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
        try:
            found = self._found(self.scorers[scorer], cell, answer)
        except TrackingError:
            raise
        except Exception as exc:  # noqa: BLE001 - it befalls this row, and must not end the others
            judged = isinstance(self.scorers[scorer], JudgeScorer | PreferenceScorer)
            found = Score(
                scorer=scorer,
                not_scored="judge_failed" if judged else "scorer_failed",
                rationale=f"Something unexpected went wrong ({type(exc).__name__}).",
            )
        self._keep(cell, found)
        return found

    def _keep(self, cell: Cell, score: Score) -> None:
        with self._lock:
            by_name = self.scores.setdefault(cell, {})
            if score.scorer not in by_name:
                by_name[score.scorer] = score
                self._counts[score.scorer] += 1
                # What a stop or the budget left out was judged by nobody.
                if score.not_scored not in {"budget_exhausted", "not_reached"}:
                    self._reached[score.scorer] += 1

    def _found(self, how: AnyScorer, cell: Cell, answer: AnswerRecord) -> Score:
        if not isinstance(how, JudgeScorer | PreferenceScorer | EmbeddingScorer):
            return how.score(self._row(cell), answer)
        refused = self._refused(how, cell, answer)
        return refused or how.combine(list(self._verdicts(how, cell, answer)))

    def _refused(
        self,
        how: JudgeScorer | PreferenceScorer | EmbeddingScorer,
        cell: Cell,
        answer: AnswerRecord,
    ) -> Score | None:
        if isinstance(how, JudgeScorer | EmbeddingScorer):
            return how.refuses(self._row(cell), answer)
        opponents = self._peers.opponents(cell)
        if opponents is None:
            reason = answer.why_not_scored or "not_reached"
            return Score(scorer=how.name, not_scored=reason)
        return how.refuses(answer, opponents)

    def _verdicts(
        self,
        how: JudgeScorer | PreferenceScorer | EmbeddingScorer,
        cell: Cell,
        answer: AnswerRecord,
    ) -> Iterable[Score]:
        """Have the verdicts one after another, up to the first that is not to be had.

        Without it there is no score, so that asking for the others would be money for nothing.
        """
        judgements = self._judgements(how, cell, answer, self._peers)
        if isinstance(how, PreferenceScorer):
            with self._lock:
                lost = [self._failed[one.key] for one in judgements if one.key in self._failed]
            if lost:
                yield replace(lost[0], shared=True)
                return
        for place, judgement in enumerate(judgements):
            if place and self._stopper.stopped:
                yield Score(scorer=how.name, not_scored="not_reached")
                return
            if not self._kept.find(judgement.key) and (exam := self._exams.get(how.name)):
                exam.hold(self._verdict)
            found = self._verdict(judgement, paired=isinstance(how, PreferenceScorer))
            yield found
            if found.value is None:
                return

    def _verdict(self, judgement: Judgement, *, paired: bool = False) -> Score:
        """Return a verdict, asked for once however many rows need it.

        Args:
            judgement: What is asked.
            paired: Whether it speaks of two answers; one that failed is then asked for no more in
                this run, so that it cannot count for one of the two alone.
        """
        key = judgement.key
        while True:
            with self._lock:
                twin, kept, shared = self._asking.get(key), key in self._kept, key in self._taken
                if kept:
                    self._taken.add(key)
                elif key in self._failed:
                    return replace(self._failed[key], shared=True)
                elif twin is None:
                    self._asking[key] = threading.Event()
                    break
            if kept:
                # Read with the lock free; where it is gone meanwhile, it is asked for.
                if (found := self._kept.get(key)) is not None:
                    return replace(found, shared=shared)
            elif twin is not None:
                # Another row said the same and is being judged: one judgement serves both.
                twin.wait()
        try:
            found = self._asked(judgement)
            if paired and found.value is None:
                with self._lock:
                    self._failed[key] = found
            return found
        finally:
            with self._lock:
                self._asking.pop(key).set()

    def _asked(self, judgement: Judgement) -> Score:
        with self._lock:
            self._in_flight += 1
        try:
            found = judgement.ask(self._stopper)
        finally:
            with self._lock:
                self._in_flight -= 1
                self._judged_ms = int(time.time() * 1000)
        if found.value is None and found.judge is None:
            # Nothing was sent.
            return found
        if found.scorer in self._exams:
            with self._lock:
                self._judges_cost += Decimal(found.cost_usd or 0)
                self._unpriced = self._unpriced or found.cost_usd is None
        if found.value is not None:
            # Before it is there for others, of which none may count as the one that paid.
            with self._lock:
                self._taken.add(judgement.key)
        self._kept.keep(judgement.key, found)
        return found

    def score_all(
        self,
        answers: Mapping[Cell, AnswerRecord],
        *,
        concurrency: int,
        tick: Callable[[int, int], None] | None = None,
    ) -> None:
        """Score everything there is an answer record for."""
        self.know(answers)
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

    def examine(self) -> None:
        """Begin the examinations that rows will wait for, while their answers are still under way."""
        assert self._pool is not None
        for exam in self._exams.values():
            self._futures.append(self._pool.submit(partial(self._examined, exam)))

    def _examined(self, exam: Examination) -> None:
        try:
            exam.hold(self._verdict)
        except TrackingError:
            raise
        except Exception:  # noqa: BLE001 - the rows will meet it, and it befalls each of them alone
            return

    def set_concurrency(self, value: int) -> None:
        """Allow more judgements in flight; the judge's own gate keeps them to fewer."""
        if self._pool is not None:
            self._pool.grow_to(value)

    @property
    def backlog(self) -> int:
        """Judgements that wait or are under way."""
        return 0 if self._pool is None else self._pool.open

    def submit(self, cell: Cell, answer: AnswerRecord) -> None:
        """Score a row: text at once in this thread, judgements in the pool."""
        judged = [name for name, how in self.scorers.items() if how.needs_judge]
        for name in self.scorers:
            if name not in judged:
                self.score(cell, name, answer)
        if not judged:
            self._on_finished(cell)
            return
        assert self._pool is not None
        with self._lock:
            self._open[cell] = len(judged)
        for name in judged:
            if name not in self._comparing:
                self._begin(cell, name, answer)
        if self._comparing:
            for other, record in self._peers.add(cell, answer):
                for name in self._comparing:
                    self._begin(other, name, record)

    def _begin(self, cell: Cell, name: str, answer: AnswerRecord) -> None:
        assert self._pool is not None
        self._futures.append(self._pool.submit(partial(self._judged, cell, name, answer)))

    def _judged(self, cell: Cell, name: str, answer: AnswerRecord) -> None:
        if not self._stopper.stopped:
            self.score(cell, name, answer)
        else:
            self._keep(cell, Score(scorer=name, not_scored="not_reached"))
        with self._lock:
            self._open[cell] -= 1
            finished = self._open[cell] == 0
            if finished:
                del self._open[cell]
        if finished:
            self._peers.release(cell)
            self._on_finished(cell)

    def join(self, tick: Callable[[], None]) -> None:
        """Wait until every submitted row has its scores.

        Raises:
            TrackingError: A judgement could not be written down.
        """
        # No more answers will come: what still waits for a row-mate waits in vain.
        for cell, answer in self._peers.incomplete():
            for name in self._comparing:
                self._begin(cell, name, answer)
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
