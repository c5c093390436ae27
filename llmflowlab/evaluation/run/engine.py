"""One evaluation from plan to result: answer, score, record, conclude.

Answers are scored as they come and handed to the recorder through the ledger, so that MLflow is
written while other answers are still under way.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.asking.interruption import interruptible, raising
from llmflowlab.asking.pacing import Limiter
from llmflowlab.errors import LabError, TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.deciding import Decider
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.standing import InterimScores
from llmflowlab.evaluation.judging.exam import doubts_of
from llmflowlab.evaluation.reports import to_document, write_files
from llmflowlab.evaluation.run.answering import Answering
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.ending import Ending, with_runs
from llmflowlab.evaluation.run.examination import keep_exams
from llmflowlab.evaluation.run.outcomes import Entry, Outcome
from llmflowlab.evaluation.run.pending import await_recording
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.runs_left import await_runs
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.steering import AdjustmentFollower, Steering
from llmflowlab.evaluation.run.stored_outcomes import StoredOutcomes
from llmflowlab.evaluation.run.system_meter import SystemMeter, meters_for
from llmflowlab.evaluation.run.workbench import EngineResources, EvaluationSnapshot, Harness, Phase
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scorers.traits import traits_of
from llmflowlab.tracking.store import load_mlflow

if TYPE_CHECKING:
    from llmflowlab.evaluation.run.recording import Recording

__all__ = [
    "EngineResources",
    "EvaluationSnapshot",
    "Harness",
    "Phase",
    "new_evaluation_id",
    "run_evaluation",
    "run_rows",
    "to_document",
    "write_files",
]

_WAITING_ROWS = 200
"""Finished rows that may wait for the disk before answers wait for them."""


def run_evaluation(
    plan: EvaluationPlan,
    bench: EngineResources,
    *,
    on_progress: Callable[[EvaluationSnapshot], None] | None = None,
) -> EvaluationResult:
    """Carry an evaluation out.

    Ctrl-C while answers come in stops sending, lets what is in flight finish, and goes on to score
    and record what there is; the result says so. A second Ctrl-C leaves at once: what was answered
    is on disk and a resumed evaluation goes on from there.

    Raises:
        InputError: Another process works on this evaluation.
        TrackingError: The ledger cannot be written; what was answered before is kept.
        KeyboardInterrupt: At a second Ctrl-C.
    """
    with held(bench.ledger, plan.evaluation_id), interruptible() as pressed:
        created = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        bench.ledger.begin(plan, created)
        bench.ledger.set_state(plan.evaluation_id, "running")
        if bench.harness == "fast":
            # Where it cannot be noted, nothing later knows of it; the recorder does its work all the same.
            with suppress(OSError):
                await_recording(bench.settings, plan.evaluation_id)
        with suppress(OSError):
            await_runs(bench.settings, plan.evaluation_id)
        # Another process may have worked on it since the budget was made.
        bench.budget.note_spent(bench.ledger.spent(plan.evaluation_id))
        run = _Run(plan, bench, on_progress or (lambda snapshot: None), pressed)
        try:
            return run.whole()
        except BaseException:
            run.abandon()
            # Where the ledger is what failed, that is the error to be told.
            with suppress(TrackingError):
                bench.ledger.set_state(plan.evaluation_id, "interrupted")
            raise


def run_rows(
    plan: EvaluationPlan,
    bench: EngineResources,
    *,
    on_progress: Callable[[EvaluationSnapshot], None],
) -> None:
    """Answer and score rows, and no more: what is finished stands in the ledger, for others to conclude from.

    A KeyboardInterrupt that `on_progress` raises is a Ctrl-C to `run_evaluation`.

    Raises:
        TrackingError: The ledger cannot be written; what was answered before is kept.
        KeyboardInterrupt: At a second one.
    """
    bench.ledger.begin(plan, datetime.now().strftime("%Y-%m-%d %H:%M:%S"))
    run = _Run(plan, bench, on_progress, threading.Event())
    try:
        run.rows_alone()
    except BaseException:
        run.abandon()
        raise


class _Run:
    """The state of one `run_evaluation`."""

    def __init__(
        self,
        plan: EvaluationPlan,
        bench: EngineResources,
        tell: Callable[[EvaluationSnapshot], None],
        pressed: threading.Event,
    ) -> None:
        self.pressed = pressed
        self.plan = plan
        self.bench = bench
        self.tell = tell
        self.scoring = Scoring(plan, bench.judge, bench.ledger, bench.embedders, exam=bench.exam)
        kept = find_reusable(plan, bench.ledger)
        self.reused = kept.answers
        self.borrowed = kept.borrowed
        self.scoring.recall(kept.given, kept.answers)
        self.answering = Answering(
            plan,
            bench.providers,
            bench.ledger,
            limiters=_limiters(plan, bench),
            concurrency=bench.concurrency,
            policy=bench.policy,
            metering=bench.metering,
            reused=self.reused,
            budget=bench.budget,
            detectors=bench.detectors,
            on_answer=self.score,
            held=None if plan.until_decided is None else self.judges_behind,
            shared=self.shared,
        )
        self.steering = bench.steering or Steering(bench.concurrency, bench.budget)
        self.steering.attach(self.answering.set_concurrency)
        self.steering.attach(self.scoring.set_concurrency)
        self.follower = AdjustmentFollower(bench.ledger, plan.evaluation_id, self.steering)
        main = main_scorer(plan.scorers)
        traits = traits_of(plan.spec(main), combine=plan.judge_combine)
        self.standings = InterimScores(
            main,
            exact=traits.exact(repeated=plan.repeated),
            candidates=len(plan.candidates),
            questions=plan.questions,
            clusters=plan.clusters,
        )
        self.decider = None if plan.until_decided is None else Decider(plan, main)
        self.interrupted = False
        self.recorder: RecorderProcess | None = None
        self.recording: Recording | None = None
        self.rows = StoredOutcomes(plan, bench.ledger)
        self.meters: dict[int, SystemMeter] = {}
        self.written: deque[Future[None]] = deque()
        """Finished rows on their way into the ledger."""

    def whole(self) -> EvaluationResult:
        fast = self.bench.harness == "fast"
        if fast:
            self.recorder = self.bench.recorder or RecorderProcess(
                self.bench.settings, self.bench.ledger.path
            )
            self.recorder.begin(self.plan.evaluation_id)
            self.scoring.start(self.bench.concurrency, self.finished)
        self.answer()
        problems: list[str] = []
        if fast:
            self.wait_for_scores()
        else:
            problems += self.score_with_mlflow()
        result = self.conclude()
        ending = Ending(
            self.bench, self.plan.evaluation_id, self.show, interrupted=self.interrupted
        )
        result, files = write_files(with_runs(result, self.runs(ending)), self.bench.output)
        result = ending.carry_out(result, lambda: problems or self.close(ending, result, files))
        notes = self.recording.notes() if self.recording else []
        if self.recorder is not None:
            notes = self.recorder.notes
        return replace(result, notes=tuple(notes))

    def rows_alone(self) -> None:
        self.scoring.start(self.bench.concurrency, self.finished)
        self.answer()
        self.wait_for_scores()

    def answer(self) -> None:
        for provider in self.bench.providers:
            # Importing an SDK takes up to a second, which must not count as a model's first answer.
            if provider is not None:
                # One that cannot be used fails its own rows, each with the reason.
                with suppress(LabError):
                    provider.prepare()
        if any(candidate.guardrails for candidate in self.plan.candidates):
            # Imported here, as most evaluations have none. It too would hold up answers under way.
            from llmflowlab.guardrails.checking import preload

            preload()
        for cell, record in self.reused.items():
            self.answering.answers[cell] = record
            self.score(cell, record)
        self.meters = self.measured()
        if self.bench.harness == "fast" and self.answering.left:
            self.scoring.examine()
        self.answering.start()
        for provider in filter(None, self.bench.providers):
            # While the first answers are waited for there is time.
            self.bench.metering.preload(provider)
        try:
            self.answering.join(lambda: self.show("answering"))
        except KeyboardInterrupt:
            self.interrupted = True
            self.answering.stop()
            self.scoring.stop()
            self.answering.join(
                lambda: self.show(
                    "answering",
                    "stopping: waiting for answers in flight (Ctrl-C again leaves at once)",
                )
            )

        if self.meters:
            found = {index: meter.end() for index, meter in self.meters.items()}
            self.bench.ledger.add_system_use(self.plan.evaluation_id, found)

    def measured(self) -> dict[int, SystemMeter]:
        """Begin to measure the candidates whose models compute on this machine."""
        to_ask = (cell for cell in self.plan.cells() if cell not in self.reused)
        beside = [*self.judging, *self.bench.detectors]
        found = meters_for(self.plan, self.bench.providers, to_ask, beside)
        for meter in found.values():
            meter.start()
        return found

    @property
    def judging(self) -> list[str]:
        """References of the models that judge or embed answers."""
        embedders = self.bench.embedders.values()
        return [*self.plan.judges, *(embedder.reference for embedder in embedders)]

    def shared(self, cell: Cell, record: AnswerRecord) -> bool:
        """Tell whether the process of this machine that computed an answer judged others meanwhile."""
        provider = self.bench.providers[cell.candidate]
        if provider is None or provider.process is None:
            return False
        judges_too = provider.name in {reference.partition(":")[0] for reference in self.judging}
        return judges_too and self.scoring.judged_since(record.started_ms)

    def judges_behind(self) -> bool:
        """Tell whether more answers would only wait for their verdicts.

        Of a comparison that may end early they would be paid for in vain.
        """
        return self.scoring.backlog > 2 * self.steering.concurrency

    def score(self, cell: Cell, record: AnswerRecord) -> None:
        if cell.candidate in self.meters and cell not in self.reused:
            self.meters[cell.candidate].answered()
        if self.bench.harness == "fast":
            self.scoring.submit(cell, record)

    def finished(self, cell: Cell) -> None:
        """Hand a row whose scores are all there to the recorder."""
        outcome = Outcome(
            cell,
            self.answering.answers[cell],
            self.scoring.scores[cell],
            reused=cell in self.borrowed,
        )
        deciding = outcome.scores.get(self.standings.scorer)
        self.standings.add(cell, deciding)
        decided = self.decider is not None and self.decider.add(cell, deciding)
        if decided and self.standings.scorer not in doubts_of(self.scoring.exams()):
            # What is in flight finishes and is scored; nothing more is sent.
            self.answering.stop()
        self.written.append(
            self.bench.ledger.append(
                "outcomes", self.plan.evaluation_id, outcome.key, outcome.to_json()
            )
        )
        if self.bench.harness == "fast":
            # From here on the ledger has it: what an evaluation holds does not grow with its texts.
            self.rows.add(cell, outcome)
            del self.answering.answers[cell], self.scoring.scores[cell]
        self.await_written(_WAITING_ROWS)

    def await_written(self, most: int = 0) -> None:
        """Wait until no more than so many finished rows are still to be written.

        Raises:
            TrackingError: One cannot be.
        """
        with suppress(IndexError):
            while len(self.written) > most:
                self.written.popleft().result()

    def wait_for_scores(self) -> None:
        try:
            self.scoring.join(lambda: self.show("scoring"))
        except KeyboardInterrupt:
            if self.interrupted:
                raise
            self.interrupted = True
            self.scoring.stop()
            self.scoring.join(lambda: self.show("scoring", "stopping"))
        # The recorder is told to end next: it must find every row in the ledger.
        self.await_written()

    def score_with_mlflow(self) -> list[str]:
        try:
            # First: MLflow reads some of its settings, the progress bar's too, when it is imported.
            load_mlflow(self.bench.settings)
            # Imported here: it imports MLflow, which the fast harness keeps out of this process.
            from llmflowlab.evaluation.run.recording import Recording

            self.recording = Recording(self.plan, self.bench.settings, self.bench.ledger)
            self.recording.open()
            self.scoring.know(self.answering.answers)
            with raising():
                self.recording.score_with_mlflow(
                    self.answering.answers,
                    self.scoring,
                    concurrency=self.bench.concurrency,
                    tick=lambda: self.show("scoring"),
                )
        except TrackingError as exc:
            # The answers are safe and the figures can still be shown; the store gets them later.
            self.scoring.score_all(self.answering.answers, concurrency=self.bench.concurrency)
            return [exc.message]
        finally:
            self.keep_outcomes()
        return []

    def keep_outcomes(self) -> None:
        """Keep the rows that MLflow's harness scored, so that they can be delivered once more."""
        for cell in list(self.scoring.scores):
            self.finished(cell)
        self.await_written()

    def conclude(self) -> EvaluationResult:
        ledger, evaluation = self.bench.ledger, self.plan.evaluation_id
        keep_exams(ledger, evaluation, self.scoring.exams())
        fast = self.bench.harness == "fast"
        result = build_result(
            self.plan,
            self.rows.answers if fast else self.answering.answers,
            self.rows.scores if fast else self.scoring.scores,
            reused=[
                sum(1 for cell in self.borrowed if cell.candidate == index)
                for index in range(len(self.plan.candidates))
            ],
            interrupted=self.interrupted,
            exams=ledger.exams(evaluation),
            in_vain=ledger.judged_in_vain(evaluation),
            given_up=ledger.answered_in_vain(evaluation),
            system=ledger.system_use(evaluation),
        )
        result = replace(result, people=ledger.people(evaluation))
        if self.bench.gates is not None:
            result = replace(result, gates=self.bench.gates(result))
            self.bench.ledger.set_gates(self.plan.evaluation_id, result.gates)
        return result

    def runs(self, ending: Ending) -> Mapping[str, Any]:
        """Return the runs, for the files to name."""
        if self.recorder is None:
            return self.bench.ledger.evaluation(self.plan.evaluation_id).runs
        return ending.runs(self.recorder, waits=self.bench.waits)

    def close(self, ending: Ending, result: EvaluationResult, files: Sequence[Path]) -> list[str]:
        closing = closing_of(result, files)
        if self.recorder is None:
            assert self.recording is not None
            return self.recording.close(closing, self.entries())
        if self.bench.waits:
            return ending.close(self.recorder, closing)
        return ending.leave(self.recorder, closing, result)

    def entries(self) -> list[Entry]:
        answers = self.answering.answers
        return [
            Outcome(cell, answers[cell], scores).entry(with_scores=False)
            for cell, scores in self.scoring.scores.items()
        ]

    def show(self, phase: Phase, detail: str = "") -> None:
        if self.pressed.is_set() and phase != "done":
            self.pressed.clear()
            raise KeyboardInterrupt
        self.follower.look(time.monotonic())
        self.tell(
            EvaluationSnapshot(
                phase=phase,
                candidates=self.answering.progress,
                scored=self.scoring.scored,
                to_score=self.answering.done * len(self.plan.scorers),
                judging=self.scoring.judging(),
                recorded=self.recorder.recorded if self.recorder else 0,
                to_record=self.answering.done,
                scorer=self.standings.scorer,
                standings=[self.standings.of(index) for index in range(len(self.plan.candidates))],
                detail=detail,
            )
        )

    def abandon(self) -> None:
        for meter in self.meters.values():
            meter.end()
        self.answering.abandon()
        self.scoring.abandon()
        if self.recorder is not None:
            self.recorder.abandon()


def _limiters(plan: EvaluationPlan, bench: EngineResources) -> list[Limiter]:
    shared: dict[str, Limiter] = {}
    for spec in plan.candidates:
        limiter = bench.limiter(spec.provider, bench.settings, bench.concurrency)
        shared.setdefault(spec.model, limiter)
    return [shared[spec.model] for spec in plan.candidates]


def new_evaluation_id() -> str:
    """Return a fresh id that sorts by time and can be typed: `20260131-235959-a1b2`."""
    return f"{datetime.now().strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
