"""From what was asked for to an evaluation that can be run: data, candidates, scorers, judge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.asking.budget import Budget
from llmflowlab.data.dataset import Dataset, load_dataset, sample
from llmflowlab.data.shipped import shipped_benchmark
from llmflowlab.data.stratified import stratified_sample
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.evaluation.conclude.clusters_in_words import cluster_remark
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.judging import JUDGED, PREFERENCE, Judge
from llmflowlab.evaluation.judging.scorer import panel_of
from llmflowlab.evaluation.run.clustering import cluster_column
from llmflowlab.evaluation.run.engine import (
    EngineResources,
    EvaluationSnapshot,
    new_evaluation_id,
    run_evaluation,
)
from llmflowlab.evaluation.run.estimate import Estimate, estimate
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.evaluation.run.scorer_choice import DEFAULT_JUDGED, check_scorers
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.steering import Steering, known_budget
from llmflowlab.evaluation.scores import DEFAULT_MARGIN
from llmflowlab.files import require_home
from llmflowlab.lab.candidates import candidates_of
from llmflowlab.lab.deliverer import let_deliver
from llmflowlab.lab.early_decision import refuse_decided, refuse_undecidable
from llmflowlab.lab.evaluation_bench import bench_of
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.gate_checks import champions_asked, gate_check
from llmflowlab.lab.guards import refuse_unpriced
from llmflowlab.lab.judges import judges_of
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.scorer_offer import default_scorers
from llmflowlab.lab.scorers import complete, described, refuse_lacking
from llmflowlab.settings import Settings
from llmflowlab.text.money import dollars
from llmflowlab.tracking.dataset_files import question_file

if TYPE_CHECKING:
    from llmflowlab.lab.cluster_evaluation import OnCluster

__all__ = ["PreparedEvaluation", "default_data", "prepare", "run"]


_LARGE = 2_000_000
"""Bytes from which on a cluster's data is read in pieces."""
_ESTIMATED = 2_000
"""Rows by which the cost of more than are traced is estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedEvaluation:
    """An evaluation ready to be run, and what is worth saying before; to be closed after use."""

    plan: EvaluationPlan
    bench: EngineResources
    estimate: Estimate
    remarks: Sequence[str]
    lab: Lab
    cluster: OnCluster | None = None
    """Where it runs; None: in this process."""

    @property
    def steering(self) -> Steering:
        """What changes concurrency and budget while it runs."""
        assert self.bench.steering is not None, "an evaluation that was prepared can be steered"
        return self.bench.steering

    def told(self) -> list[str]:
        """Take out what is worth knowing of how candidates and judges were asked."""
        judges = () if self.bench.judge is None else panel_of(self.bench.judge).judges
        asked = [*self.bench.providers, *(judge.provider for judge in judges)]
        return [sentence for provider in filter(None, asked) for sentence in provider.told()]

    def close(self) -> None:
        """Let go of the ledger, and of a recorder that was started and not needed."""
        if self.bench.recorder is not None:
            self.bench.recorder.abandon()
        self.bench.ledger.close()


def default_data(settings: Settings) -> Path:
    """Return the benchmark to use where none is named: the home's, else the one shipped.

    Raises:
        InputError: Neither is there.
    """
    own = settings.home / "benchmark.csv"
    if own.is_file():
        return own
    shipped = shipped_benchmark()
    if shipped is None:
        raise InputError(
            f"There is no benchmark.csv in {settings.home}; name one with --data FILE."
        )
    return shipped


def prepare(
    lab: Lab, request: EvaluationRequest, *, recorder: RecorderProcess | None = None
) -> PreparedEvaluation:
    """Check everything that can be checked before the first call.

    Args:
        lab: The parts.
        request: What is wished for.
        recorder: A recorder's process that is loading MLflow meanwhile; it is let go of with what is
            prepared, or at an error. None has one started when it is needed.

    Raises:
        InputError: A file, model, scorer or number cannot be used.
        NotConfigured: A provider lacks its key, address or package.
        HomeUnwritable: Nothing could be kept.
        ConfigurationError: A tracker that was chosen is not installed.
    """
    with ExitStack() as undone:
        if recorder is not None:
            undone.callback(recorder.abandon)
        require_home(lab.settings)
        lab.require_trackers()
        ledger = lab.ledger()
        undone.callback(ledger.close)
        champions = champions_asked(
            lab,
            request.gates,
            request.models,
            ledger,
            request.resume,
            given=bool(request.answers),
        )
        beside = replace(request, beside=[*request.beside, *champions])
        prepared = _prepare(lab, beside, ledger, recorder)
        gates = gate_check(request.gates, prepared.plan, ledger, champions)
        undone.pop_all()
        return replace(prepared, bench=replace(prepared.bench, gates=gates))


def run(
    prepared: PreparedEvaluation, on_progress: Callable[[EvaluationSnapshot], None] | None = None
) -> EvaluationResult:
    """Carry a prepared evaluation out; see `run_evaluation` for what Ctrl-C does.

    Raises:
        InputError: Another process works on it.
        TrackingError: The ledger cannot be written; what was answered before is kept.
    """
    let_deliver(prepared.bench.settings, prepared.plan.evaluation_id)
    if prepared.cluster is not None:
        # Imported here: most evaluations run on this machine alone.
        from llmflowlab.cluster.progress import ClusterProgress
        from llmflowlab.lab.cluster_evaluation import crew_for

        tell = on_progress or (lambda snapshot: None)
        asked = prepared.cluster.request
        ClusterProgress(prepared.plan, tell).show("answering", asked.beginning)
        crew, workers = crew_for(prepared.lab, asked)
        return prepared.cluster.run(
            prepared.plan, prepared.bench, crew, workers=workers, on_progress=tell
        )
    return run_evaluation(prepared.plan, prepared.bench, on_progress=on_progress)


def _prepare(
    lab: Lab, request: EvaluationRequest, ledger: Ledger, recorder: RecorderProcess | None
) -> PreparedEvaluation:
    cluster = _cluster(lab, request)
    if cluster is not None and cluster.began is not None:
        plan = cluster.began.plan
        remarks = list(plan.dataset.warnings)
    elif request.resume is not None:
        plan = ledger.plan(request.resume)
        remarks = list(plan.dataset.warnings)
        refuse_decided(plan, ledger)
    else:
        plan, remarks = _new_plan(lab, request)
    cap = request.budget
    if request.resume is not None:
        before = known_budget(ledger, plan.evaluation_id) if cluster is None else cluster.cap
        if cap is None and before is not None:
            cap = before
            remarks.append(f"The budget is {dollars(cap)} as before; --budget USD changes it.")
        elif cap is not None and any(
            c.parameters.max_tokens is None for c in plan.candidates if c.column is None
        ):
            raise InputError(
                f"{plan.evaluation_id} was begun without a budget, so its answers may have any "
                "length and none can be held; begin a new evaluation with --budget."
            )
    spent = cluster.began.spent if cluster is not None and cluster.began is not None else None
    budget = Budget(cap, spent=ledger.spent(plan.evaluation_id) if spent is None else spent)
    output = request.output or lab.settings.state_dir / "evaluations" / plan.evaluation_id
    bench = replace(
        bench_of(
            lab,
            plan,
            ledger,
            budget=budget,
            concurrency=request.concurrency or lab.settings.concurrency,
            output=output,
            allow_unknown_cost=request.allow_unknown_cost,
        ),
        exam=lab.settings.judge_exam,
        harness=request.harness,
        recorder=recorder,
        waits=request.waits,
    )
    figures = _estimate(lab, plan, bench, cluster)
    if cap is not None and not request.allow_unknown_cost:
        refuse_unpriced(figures.unpriced)
    if cap is not None and figures.cost is not None and figures.cost[1] > cap - budget.spent:
        remarks.append(
            f"It may cost up to {dollars(figures.cost[1])}, and of the budget {dollars(cap - budget.spent)} "
            "is left: it ends before that is overspent, and can be gone on with."
        )
    return PreparedEvaluation(
        plan=plan, bench=bench, estimate=figures, remarks=remarks, lab=lab, cluster=cluster
    )


def _cluster(lab: Lab, request: EvaluationRequest) -> OnCluster | None:
    if request.ray is None:
        return None
    # Imported here: most evaluations run on this machine alone.
    from llmflowlab.lab.cluster_evaluation import on_cluster, refuse_unsplit

    refuse_unsplit(request)
    return on_cluster(lab, request)


def _estimate(
    lab: Lab, whole: EvaluationPlan, bench: EngineResources, cluster: OnCluster | None
) -> Estimate:
    """Estimate what is still to be sent; of a cluster's many rows by some of them."""
    plan, rows = whole, len(whole.dataset.rows)
    if cluster is not None:
        plan, rows = cluster.drawn(whole, _ESTIMATED)
    kept = find_reusable(plan, bench.ledger, part=plan is not whole)
    scoring = Scoring(plan, bench.judge, bench.ledger, bench.embedders, exam=bench.exam)
    figures = estimate(
        plan,
        bench.providers,
        metering=bench.metering,
        prices=lab.prices,
        reused=kept.answers,
        panel=bench.judge if not isinstance(bench.judge, Judge) else None,
        ledger=bench.ledger,
        detectors=bench.detectors,
        judged=scoring.recall(kept.given, kept.answers),
        to_examine=scoring.to_examine,
    ).times(rows, len(plan.dataset.rows))
    there = (len(whole.dataset.rows) - rows) * len(whole.candidates) * whole.trials
    return replace(figures, reused=figures.reused + there)


def _new_plan(lab: Lab, request: EvaluationRequest) -> tuple[EvaluationPlan, list[str]]:
    dataset = _dataset(lab, request)
    candidates, notes = candidates_of(lab, request, dataset)
    judges, remarks = judges_of(lab, request.judges, {candidate.model for candidate in candidates})
    remarks = [*notes, *remarks]
    if request.scorers:
        specs = tuple(map(complete, check_scorers(request.scorers)))
        refuse_lacking(specs, dataset)
    else:
        specs = check_scorers(default_scorers(dataset, judged=bool(judges)))
        if not judges:
            remarks.append(
                f"Left out without a judge: {', '.join(DEFAULT_JUDGED)}. Name one with --judge "
                "provider:model or LLMFLOWLAB_JUDGE; it should not be one of the candidates."
            )
    if not specs:
        raise InputError(
            f"{dataset.name} holds expected facts, which a judge compares with; name one with --judge "
            "provider:model or LLMFLOWLAB_JUDGE."
        )
    needs_judge = [spec.name for spec in specs if spec.kind in JUDGED]
    if needs_judge and not judges:
        raise ConfigurationError(
            f"{', '.join(needs_judge)} need{'s' if len(needs_judge) == 1 else ''} a judge; name one "
            "with --judge provider:model or LLMFLOWLAB_JUDGE."
        )
    if any(spec.kind == PREFERENCE for spec in specs) and len(candidates) < 2:
        raise InputError(
            f"{PREFERENCE} compares the answers of two or more candidates; name another --model or "
            "column of --answers."
        )
    plan = EvaluationPlan(
        evaluation_id=new_evaluation_id(),
        dataset=dataset,
        candidates=tuple(candidates),
        scorers=tuple(spec.name for spec in specs),
        scorer_specs=described(specs),
        judge=judges[0] if needs_judge else None,
        panel=judges[1:] if needs_judge else (),
        judge_runs=request.judge_runs,
        judge_combine=request.judge_combine,
        trials=request.trials,
        fresh=request.fresh,
        until_decided=request.until_decided,
        order_seed=request.seed,
        margin=DEFAULT_MARGIN if request.margin is None else request.margin,
        margin_asked=request.margin is not None,
        cluster=None if request.cluster is None else cluster_column(dataset, request.cluster),
    )
    refuse_undecidable(plan, harness=request.harness)
    if (remark := cluster_remark(plan)) is not None:
        remarks.append(remark)
    return plan, [*dataset.warnings, *remarks]


def _loader(request: EvaluationRequest) -> Callable[..., Dataset]:
    """Return what reads the data: in pieces where a cluster may be given more than fits in memory."""
    data = request.data
    if data is None or request.ray is None:
        return load_dataset
    # Imported here: most evaluations run on this machine alone.
    from llmflowlab.cluster.storage import url_of
    from llmflowlab.data.streamed import STREAMED, load_streamed

    url = url_of(data)
    if url is not None:
        return lambda place, **options: load_streamed(url, **options)
    large = data.suffix.lower() in STREAMED and data.is_file() and data.stat().st_size > _LARGE
    return load_streamed if large else load_dataset


def _dataset(lab: Lab, request: EvaluationRequest) -> Dataset:
    load = _loader(request)
    dataset = load(
        question_file(lab.settings, request.data or default_data(lab.settings)),
        mapping=request.mapping,
        skip_bad=request.skip_bad,
        answers=request.answers,
    )
    if request.stratify is not None:
        if request.sample is None:
            raise InputError("--stratify is about a sample; say of how many rows with --sample N.")
        return stratified_sample(dataset, request.sample, request.seed, by=request.stratify)
    if request.sample is not None:
        return sample(dataset, request.sample, request.seed)
    return dataset
