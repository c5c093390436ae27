"""Examines the judges of one scorer before the first of its rows is judged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.judging import JudgeScorer, PreferenceScorer
from llmflowlab.evaluation.judging.exam import (
    Exam,
    ExamTask,
    ExamVerdict,
    exam_tasks,
    set_beside_people,
)
from llmflowlab.evaluation.judging.scorer import Judgement
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.stored_verdicts import StoredVerdicts
from llmflowlab.evaluation.scores import Score

__all__ = ["Examination", "keep_exams"]

_AT_ONCE = 16
"""Verdicts asked for at a time; the judge's own gate keeps them to fewer."""


class Examination:
    """One scorer's examination of its judges; safe to use from many threads.

    Args:
        how: The scorer.
        rows: Of the benchmark.
        questions: Rows to examine on at most; 0: no examination.
    """

    def __init__(
        self, how: JudgeScorer | PreferenceScorer, rows: Sequence[Row], questions: int
    ) -> None:
        self.scorer = how.name
        self._tasks: list[tuple[str, ExamTask]] = [
            (judge.reference, task)
            for judge in (how.panel.judges if questions else ())
            for task in exam_tasks(how, judge, rows, questions)
        ]
        self._said: list[Score] | None = None
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """Keys of all its judgements."""
        return [task.judgement.key for _, task in self._tasks]

    def recall(self, kept: StoredVerdicts) -> None:
        """Take the verdicts from judgements already paid for, if all of them are there."""
        said = [score for key in self.keys if (score := kept.get(key)) is not None]
        if len(said) == len(self._tasks):
            self._said = said

    def missing(self, judge: str, kept: Container[str]) -> int:
        """Return how many verdicts of a judge, by its reference, are still to be asked for."""
        return sum(
            reference == judge and task.judgement.key not in kept for reference, task in self._tasks
        )

    def hold(self, ask: Callable[[Judgement], Score]) -> None:
        """Hold it, once; whoever comes meanwhile waits for its end.

        Raises:
            TrackingError: A verdict could not be written down.
        """
        with self._lock:
            if self._said is not None:
                return
            with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="exam") as pool:
                self._said = list(pool.map(ask, (task.judgement for _, task in self._tasks)))

    def exams(self) -> list[Exam]:
        """Return what came of it, judge by judge; nothing before it was held."""
        found: dict[str, list[ExamVerdict]] = {}
        for (judge, task), score in zip(self._tasks, self._said or [], strict=False):
            found.setdefault(judge, []).append(ExamVerdict(task.right, score))
        return [
            Exam(scorer=self.scorer, judge=judge, verdicts=tuple(verdicts))
            for judge, verdicts in found.items()
        ]


def keep_exams(ledger: Ledger, evaluation: str, exams: Sequence[Exam]) -> None:
    """Keep what examinations said beside what is known of other scorers' from before.

    Raises:
        TrackingError: The ledger cannot be written.
    """
    if not exams:
        return
    # Those of an earlier start stand where its scorer has nothing left to judge.
    held = {exam.scorer for exam in exams}
    before = ledger.exams(evaluation)
    known = {(exam.scorer, exam.judge): exam.beside_people for exam in before}
    exams = [*exams, *(exam for exam in before if exam.scorer not in held)]
    ledger.set_exams(evaluation, set_beside_people(exams, known))
