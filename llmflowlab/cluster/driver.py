"""The driver of an evaluation on a cluster: follows the workers, concludes from their rows and records.

Rows come to it as committed files. Where MLflow is to have a trace of each, they go through the ledger of
the driver's home as if they had been answered there, and all that follows is what follows on one machine.
Where they are more than that, figures are counted from the files' columns without their texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from llmflowlab.asking.interruption import interruptible
from llmflowlab.cluster.collecting import Collected, FileRows, LedgerRows
from llmflowlab.cluster.coordinator import ClusterLimits, ClusterStanding
from llmflowlab.cluster.shard_ledger import PaidRecord, paid_key, text_of
from llmflowlab.cluster.shards import Stage
from llmflowlab.cluster.storage import Storage
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.standing import InterimScore, InterimScores
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.judging.exam import Exam
from llmflowlab.evaluation.reports import to_document, write_document, write_files
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.closing import RunSummary, closing_of
from llmflowlab.evaluation.run.engine import EvaluationSnapshot, with_runs
from llmflowlab.evaluation.run.examination import keep_exams
from llmflowlab.evaluation.run.ledger import EvaluationState
from llmflowlab.evaluation.run.pending import await_recording
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.workbench import EngineResources, Phase
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.program import program_name

__all__ = ["TRACES", "Crew", "Job", "follow", "run_on_cluster"]

TRACES = 10_000
"""Answers up to which MLflow has a trace of each."""
_LOOK = 0.3
"""Seconds between two looks at the workers."""
_RUNS_SOON = 3.0
"""Seconds that the files wait for the names of their runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What coordinator and workers are told; nothing secret is in it."""

    place: str
    """Of the storage."""
    stage: Stage
    described: dict[str, Any]
    """The plan."""
    limits: ClusterLimits
    workers: int


class Crew(Protocol):
    """Coordinator and workers, wherever they are."""

    def begin(self, job: Job) -> None:
        """Start them.

        Raises:
            ConfigurationError: They cannot be used as they are.
        """

    def tend(self, seconds: float) -> bool:
        """Wait a moment, and replace workers that were lost; False once all have ended.

        Raises:
            LabError: A worker cannot go on, and another could not either.
        """

    def standing(self, after: int) -> ClusterStanding | None:
        """Return how far they are; None while the coordinator is being started anew."""

    def stop(self) -> None:
        """Have them end: what is in flight finishes."""

    def end(self) -> None:
        """Let go of them."""


def run_on_cluster(
    plan: EvaluationPlan,
    bench: EngineResources,
    storage: Storage,
    stage: Stage,
    crew: Crew,
    limits: ClusterLimits,
    *,
    workers: int,
    traces: int = TRACES,
    on_progress: Callable[[EvaluationSnapshot], None],
) -> EvaluationResult:
    """Carry an evaluation out whose rows are staged.

    Ctrl-C has the workers finish what is in flight and concludes from what there is; a second one leaves
    at once. What was answered is in the storage, from which any machine can go on.

    Args:
        plan: The evaluation.
        bench: What its driver works with: judges for their examination, the recorder.
        storage: Where its rows are.
        stage: The evaluation there.
        crew: Who works on it.
        limits: What they keep to.
        workers: How many.
        traces: Answers up to which MLflow has a trace of each.
        on_progress: Told how far it is.

    Raises:
        LabError: Another process works on it, the cluster or the storage cannot be used, or a worker
            cannot go on.
        KeyboardInterrupt: At a second Ctrl-C.
    """
    with held(bench.ledger, plan.evaluation_id), interruptible() as pressed:

        def show(snapshot: EvaluationSnapshot) -> None:
            if pressed.is_set() and snapshot.phase != "done":
                pressed.clear()
                raise KeyboardInterrupt
            on_progress(snapshot)

        run = _ClusterRun(plan, bench, storage, stage, crew, show)
        try:
            return run.whole(limits, workers, traces)
        except BaseException:
            if run.recorder is not None:
                run.recorder.abandon()
            with suppress(TrackingError):
                bench.ledger.set_state(plan.evaluation_id, "interrupted")
            raise
        finally:
            crew.end()


def follow(
    crew: Crew,
    take: Callable[[int, str], None],
    tick: Callable[[ClusterStanding | None], None],
) -> bool:
    """Take committed shards in until no worker is left; returns whether Ctrl-C ended it.

    Args:
        crew: Who works.
        take: Told of each shard with the key of its rows.
        tick: Told now and then how far all is; None while that cannot be told.

    Raises:
        LabError: A worker cannot go on.
        KeyboardInterrupt: At a second one that `tick` raises.
    """
    seen, interrupted, working = 0, False, True
    while working:
        try:
            if interrupted:
                crew.stop()
            working = crew.tend(_LOOK)
            # Once more after the last has ended: what it committed is to be taken in.
            found = crew.standing(seen)
            working = working or found is None
            for number, shard, key in () if found is None else found.commits:
                take(shard, key)
                seen = number + 1
            tick(found)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
    return interrupted


class _ClusterRun:
    """The state of one `run_on_cluster`."""

    def __init__(
        self,
        plan: EvaluationPlan,
        bench: EngineResources,
        storage: Storage,
        stage: Stage,
        crew: Crew,
        tell: Callable[[EvaluationSnapshot], None],
    ) -> None:
        self.plan, self.bench, self.storage, self.stage = plan, bench, storage, stage
        self.crew, self._tell = crew, tell
        self.interrupted = False
        self.recorder: RecorderProcess | None = None
        each = len(plan.dataset.rows) * plan.trials
        self.progress = [CandidateProgress(each) for _ in plan.candidates]
        main = main_scorer(plan.scorers)
        self.standings = InterimScores(
            main,
            exact=plan_traits(plan)[main].exact(repeated=plan.repeated),
            candidates=len(plan.candidates),
            questions=plan.questions,
            clusters=plan.clusters,
        )
        self.standing: ClusterStanding | None = None
        self.under_way: Mapping[int, int] = {}
        self.shown = [0] * len(plan.candidates)
        self.detail = ""

    def whole(self, limits: ClusterLimits, workers: int, traces: int) -> EvaluationResult:
        plan, bench = self.plan, self.bench
        few = plan.size <= traces
        rows: Collected
        arguments = (plan, bench.ledger, self.storage, self.stage, self.progress)
        if few:
            rows = found = LedgerRows(*arguments)
            found.standings = self.standings
        else:
            rows = FileRows(*arguments, most=traces)
        rows.begin()
        self.recorder = bench.recorder or RecorderProcess(bench.settings, bench.ledger.path)
        if few:
            self.record()
        before = self.prepare_judges(reuse=few)
        self.crew.begin(
            Job(
                place=self.storage.place,
                stage=self.stage,
                described=plan.describe(),
                limits=replace(limits, before=before),
                workers=workers,
            )
        )
        committed: dict[int, str] = {}

        def take(shard: int, key: str) -> None:
            committed[shard] = key
            rows.take(shard, key)

        self.interrupted = follow(self.crew, take, self.watch)
        if not self.interrupted:
            self.tidy(committed.values())
        result = replace(rows.result(interrupted=self.interrupted), interrupted=self.interrupted)
        if bench.gates is not None:
            result = replace(result, gates=bench.gates(result))
        said = rows.recorded()
        bench.ledger.set_gates(plan.evaluation_id, result.gates)
        if not few:
            self.record()
        runs = self.recorder.wait_for_runs(_RUNS_SOON, lambda: self.show("recording"))
        result, closing = self.written(with_runs(result, runs), few=few, said=said)
        ended: EvaluationState = "finished" if result.unfinished is None else "interrupted"
        bench.ledger.set_state(plan.evaluation_id, ended)
        problems = self.close(closing)
        if problems and ended == "finished":
            bench.ledger.set_state(plan.evaluation_id, "partial")
        self.show("done")
        notes = [*self.recorder.notes, *([said] if said else []), *self.remarks(result)]
        result = replace(result, interrupted=self.interrupted)
        runs = bench.ledger.evaluation(plan.evaluation_id).runs
        return replace(with_runs(result, runs), problems=tuple(problems), notes=tuple(notes))

    def record(self) -> None:
        assert self.recorder is not None
        evaluation = self.plan.evaluation_id
        self.bench.ledger.set_state(evaluation, "running")
        # Where it cannot be noted, nothing later knows of it; the recorder does its work all the same.
        with suppress(OSError):
            await_recording(self.bench.settings, evaluation)
        self.recorder.begin(evaluation)

    def prepare_judges(self, *, reuse: bool) -> Decimal:
        """Hold the judges' examination once for all workers, and tell them what need not be asked.

        Returns:
            USD that it took.
        """
        plan, ledger, folder = self.plan, self.bench.ledger, self.stage.folder
        before = self.storage.read(f"{folder}/exams.json")
        if before is not None:
            said = json.loads(before)
            keep_exams(ledger, plan.evaluation_id, [Exam.from_json(one) for one in said["exams"]])
            return Decimal(said["spent"])
        bench = self.bench
        scoring = Scoring(plan, bench.judge, ledger, bench.embedders, exam=bench.exam)
        records: list[PaidRecord] = []
        if reuse:
            kept = find_reusable(plan, ledger)
            records += [
                {
                    "table": "answers",
                    "key": plan.answer_key(cell),
                    "record": kept.answers[cell].to_json(),
                }
                for cell in kept.borrowed
            ]
            scoring.recall(kept.given, kept.answers)
        else:
            scoring.recall()
        scoring.start(bench.concurrency, lambda cell: None)
        scoring.examine()
        scoring.join(lambda: self.show("answering", "examining the judges"))
        exams = scoring.exams()
        records += [
            {"table": "judgements", "key": key, "record": score.to_json()}
            for key, score in scoring.known()
        ]
        keep_exams(ledger, plan.evaluation_id, exams)
        self.storage.write(f"{folder}/earlier.jsonl", text_of(records))
        said = {"exams": [one.to_json() for one in exams], "spent": str(bench.budget.spent)}
        self.storage.write(f"{folder}/exams.json", json.dumps(said).encode())
        return bench.budget.spent

    def watch(self, standing: ClusterStanding | None) -> None:
        if standing is not None:
            self.standing, self.under_way = standing, standing.rows
            self.detail = _detail(standing)
        self.show("answering", self.detail)

    def written(
        self, result: EvaluationResult, *, few: bool, said: str | None
    ) -> tuple[EvaluationResult, RunSummary]:
        """Write the files, and return what the runs are closed with."""
        if few:
            result, files = write_files(result, self.bench.output)
            return result, closing_of(result, files)
        place = f"{self.storage.place}/{self.stage.folder}/results"
        result = replace(result, files={"rows": place})
        document = self.bench.output / "evaluation.json"
        write_document(to_document(result), document)
        closing = closing_of(result, [document])
        return result, replace(
            closing,
            conclusion=f"{closing.conclusion} {said}",
            summary=f"{said}\n\n{closing.summary}",
        )

    def close(self, closing: RunSummary) -> list[str]:
        assert self.recorder is not None
        try:
            try:
                return self.recorder.close(closing.to_json(), lambda: self.show("recording"))
            except KeyboardInterrupt:
                if self.interrupted:
                    raise
                self.interrupted = True
                words = "finishing the record (Ctrl-C again leaves at once)"
                return self.recorder.wait(lambda: self.show("recording", words))
        except TrackingError as exc:
            return [exc.message]

    def tidy(self, committed: Iterable[str]) -> None:
        """Delete what workers wrote that were lost before they could commit it, for whoever reads the folder."""
        kept = set(committed)
        left = [key for key in self.storage.keys(f"{self.stage.folder}/results") if key not in kept]
        self.storage.delete([*left, *map(paid_key, left)])

    def remarks(self, result: EvaluationResult) -> list[str]:
        said = []
        lost = 0 if self.standing is None else self.standing.taken_over
        if lost:
            said.append(
                f"{lost} shard{'s were' if lost > 1 else ' was'} taken over from workers that were lost; what "
                "they had paid for was found in the storage."
            )
        if result.unfinished is not None:
            said.append(
                f"The workers' answers are in {self.storage.place}: {program_name()} evaluate --resume "
                f"{self.plan.evaluation_id} --runner ray --storage {self.storage.place} goes on from there, on "
                "any machine that sees it."
            )
        return said

    def show(self, phase: Phase, detail: str = "") -> None:
        done = [
            replace(one, answered=one.answered + self.under_way.get(index, 0))
            for index, one in enumerate(self.progress)
        ]
        # What a lost worker had counted is counted again by the next: nothing goes backwards meanwhile.
        self.shown = [max(a, b.answered) for a, b in zip(self.shown, done, strict=True)]
        done = [replace(b, answered=a) for a, b in zip(self.shown, done, strict=True)]
        recorder = self.recorder
        standings: list[InterimScore] = [
            self.standings.of(index) for index in range(len(self.plan.candidates))
        ]
        self._tell(
            EvaluationSnapshot(
                phase=phase,
                candidates=done,
                scored=sum(one.done for one in self.progress) * len(self.plan.scorers),
                to_score=sum(one.done for one in done) * len(self.plan.scorers),
                recorded=recorder.recorded if recorder else 0,
                to_record=sum(one.done for one in self.progress),
                scorer=self.standings.scorer,
                standings=standings,
                detail=detail,
            )
        )


def _detail(standing: ClusterStanding) -> str:
    words = [
        f"{standing.done - standing.partly} of {standing.shards} shards",
        f"{standing.open} under way",
    ]
    if standing.taken_over:
        words.append(f"{standing.taken_over} taken over")
    if standing.stopped:
        words.append("stopping: waiting for answers in flight (Ctrl-C again leaves at once)")
    return ", ".join(words)
