"""The driver of an evaluation on a cluster: follows the workers, concludes from their rows and records.

Rows come to it as committed files. Where MLflow is to have a trace of each, they go through the ledger of
the driver's home as if they had been answered there, and all that follows is what follows on one machine.
Where they are more than that, figures are counted from the files' columns without their texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace

from llmflowlab.asking.interruption import interruptible
from llmflowlab.cluster.beforehand import prepare_judges
from llmflowlab.cluster.collecting import Collected, FileRows, LedgerRows
from llmflowlab.cluster.crew import Crew, Job, follow
from llmflowlab.cluster.leases import ClusterLimits, ClusterStanding
from llmflowlab.cluster.progress import ClusterProgress
from llmflowlab.cluster.shard_ledger import paid_key
from llmflowlab.cluster.shards import Stage
from llmflowlab.cluster.storage import Storage
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import to_document, write_document, write_files
from llmflowlab.evaluation.run.closing import RunSummary, closing_of
from llmflowlab.evaluation.run.ending import Ending, with_runs
from llmflowlab.evaluation.run.pending import await_recording
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.running import held, on_cluster
from llmflowlab.evaluation.run.workbench import EngineResources, EvaluationSnapshot

__all__ = ["TRACES", "run_on_cluster"]

TRACES = 10_000
"""Answers up to which MLflow has a trace of each."""


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
    name = plan.evaluation_id
    with (
        held(bench.ledger, name),
        held(bench.ledger, on_cluster(name)),
        interruptible() as pressed,
    ):

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
        self.crew = crew
        self.recorder: RecorderProcess | None = None
        self.progress = ClusterProgress(plan, tell)

    def whole(self, limits: ClusterLimits, workers: int, traces: int) -> EvaluationResult:
        plan, bench, show = self.plan, self.bench, self.progress.show
        few = plan.size <= traces
        rows: Collected
        arguments = (plan, bench.ledger, self.storage, self.stage, self.progress.candidates)
        if few:
            rows = found = LedgerRows(*arguments)
            found.standings = self.progress.standings
        else:
            rows = FileRows(*arguments, most=traces)
        rows.begin()
        recorder = bench.recorder or RecorderProcess(bench.settings, bench.ledger.path)
        self.recorder = self.progress.recorder = recorder
        if few:
            self.record(recorder)
        before = prepare_judges(
            plan,
            bench,
            self.storage,
            self.stage.folder,
            lambda: show("answering", "examining the judges"),
            reuse=few,
        )
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

        def watch(standing: ClusterStanding | None) -> None:
            if standing is not None:
                # Workers spend it; who looks at the budget is to see so.
                bench.budget.note_spent(standing.spent)
            self.progress.watch(standing)

        interrupted = follow(self.crew, take, watch)
        if not interrupted:
            self.tidy(committed.values())
        result = replace(rows.result(interrupted=interrupted), interrupted=interrupted)
        if bench.gates is not None:
            result = replace(result, gates=bench.gates(result))
        said = rows.recorded()
        bench.ledger.set_gates(plan.evaluation_id, result.gates)
        if not few:
            self.record(recorder)
        ending = Ending(bench, plan.evaluation_id, show, interrupted=interrupted)
        result = with_runs(result, ending.runs(recorder, waits=True))
        result, closing = self.written(result, few=few, said=said)
        result = ending.carry_out(result, lambda: ending.close(recorder, closing))
        notes = [*recorder.notes, *([said] if said else []), *self.remarks(result)]
        return replace(result, notes=tuple(notes))

    def record(self, recorder: RecorderProcess) -> None:
        evaluation = self.plan.evaluation_id
        self.bench.ledger.set_state(evaluation, "running")
        # Where it cannot be noted, nothing later knows of it; the recorder does its work all the same.
        with suppress(OSError):
            await_recording(self.bench.settings, evaluation)
        recorder.begin(evaluation)

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

    def tidy(self, committed: Iterable[str]) -> None:
        """Delete what workers wrote that were lost before they could commit it, for whoever reads the folder."""
        kept = set(committed)
        left = [key for key in self.storage.keys(f"{self.stage.folder}/results") if key not in kept]
        self.storage.delete([*left, *map(paid_key, left)])

    def remarks(self, result: EvaluationResult) -> list[str]:
        said = []
        lost = 0 if self.progress.standing is None else self.progress.standing.taken_over
        if lost:
            said.append(
                f"{lost} shard{'s were' if lost > 1 else ' was'} taken over from workers that were lost; what "
                "they had paid for was found in the storage. Calls under way there may have cost something that "
                "stands in no answer's cost; a budget counts them at their worst case."
            )
        if result.unfinished is not None:
            said.append(
                f"The workers' answers are in {self.storage.place}: with --runner ray --storage "
                f"{self.storage.place}, --resume {self.plan.evaluation_id} has workers go on, on any machine "
                "that sees it; without, it goes on in one process of this home."
            )
        return said
