"""From what was asked for to an evaluation that can be run: data, candidates, scorers, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.candidate import Candidate
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.deciding import refuse_decided, refuse_undecidable
from llmflowlab.cli.evaluate.judges import judges_of, panel_for
from llmflowlab.cli.evaluate.matrix import candidates_of
from llmflowlab.cli.evaluate.scorers import complete, described, embedders_for, refuse_lacking
from llmflowlab.data.dataset import Dataset, load_dataset, sample
from llmflowlab.data.stratified import Stratum, stratified_sample
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.evaluation.answers import Metering
from llmflowlab.evaluation.conclude.recommendation import DEFAULT_MARGIN
from llmflowlab.evaluation.judging import JUDGED, PREFERENCE, Combine
from llmflowlab.evaluation.run.engine import Harness, Workbench, new_evaluation_id
from llmflowlab.evaluation.run.estimate import Estimate, estimate
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.reuse import reusable_answers
from llmflowlab.evaluation.run.scorer_choice import (
    DEFAULT_JUDGED,
    check_scorers,
    default_text_scorers,
)
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.steering import Steering, known_budget
from llmflowlab.messages import Parameters
from llmflowlab.text.money import dollars

__all__ = ["Prepared", "Wishes", "default_data", "prepare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a person or script asked for."""

    models: Sequence[str] = ()
    data: Path | None = None
    """None means the default benchmark."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    skip_bad: bool = False
    """Go on without the rows of the file that cannot be used."""
    system: str | None = None
    parameters: Parameters = Parameters()
    systems: Sequence[str] = ()
    """System prompts to be tried against each other, in place of `system`."""
    prompts: Sequence[str] = ()
    """Prompts of the registry to be tried, as `NAME[@VERSION]`."""
    parameter_sets: Sequence[Parameters] = ()
    """Generation parameters to be tried against each other, in place of `parameters`."""
    scorers: Sequence[str] = ()
    """Empty means all that can work."""
    judge: str | None = None
    judges: Sequence[str] = ()
    """Several judges, in place of `judge`."""
    judge_runs: int = 1
    judge_combine: Combine | None = None
    until_decided: float | None = None
    """End a comparison of two once it is decided; differences below this do not matter."""
    margin: float = DEFAULT_MARGIN
    """How much worse than the best a cheaper candidate may be."""
    beside: Sequence[Candidate] = ()
    """Candidates that the others are to be compared with."""
    sample: int | None = None
    stratify: Stratum | None = None
    """Draw the sample so that each of these keeps its share."""
    seed: int = 0
    concurrency: int | None = None
    fresh: bool = False
    resume: str | None = None
    trials: int = 1
    budget: Decimal | None = None
    """USD for candidates, trials and judges together; None limits nothing."""
    allow_unknown_cost: bool = False
    harness: Harness = "fast"
    output: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An evaluation ready to be run, and what is worth saying before."""

    plan: EvaluationPlan
    bench: Workbench
    estimate: Estimate
    remarks: Sequence[str]


def default_data(app: App) -> Path:
    """Return the benchmark to use where none is named: the home's, else the one shipped."""
    own = app.settings.home / "benchmark.csv"
    shipped = Path(__file__).parents[3] / "benchmark.csv"
    for file in (own, shipped):
        if file.is_file():
            return file
    raise InputError(
        f"There is no benchmark.csv in {app.settings.home}; name one with --data FILE."
    )


def prepare(
    app: App, wishes: Wishes, ledger: Ledger, *, recorder: RecorderProcess | None = None
) -> Prepared:
    """Check everything that can be checked before the first call.

    Raises:
        InputError: A file, model, scorer or number cannot be used.
        NotConfigured: A provider lacks its key, address or package.
    """
    if wishes.resume is not None:
        plan = ledger.plan(wishes.resume)
        remarks = list(plan.dataset.warnings)
        refuse_decided(plan, ledger)
    else:
        plan, remarks = _new_plan(app, wishes)
    providers = [app.provider(candidate.model) for candidate in plan.candidates]
    metering = Metering(app.counter, app.prices)
    policy = CallPolicy(
        first_token_timeout=app.settings.first_token_timeout,
        token_timeout=app.settings.token_timeout,
        # Nobody sits waiting for one row: patience costs little here, a lost row more.
        max_tries=max(app.settings.max_tries, 8),
        max_retry_seconds=max(app.settings.max_retry_seconds, 600.0),
    )
    concurrency = wishes.concurrency or app.settings.concurrency
    cap = wishes.budget
    if wishes.resume is not None:
        before = known_budget(ledger, plan.evaluation_id)
        if cap is None and before is not None:
            cap = before
            remarks.append(f"The budget is {dollars(cap)} as before; --budget USD changes it.")
        elif cap is not None and any(c.parameters.max_tokens is None for c in plan.candidates):
            raise InputError(
                f"{plan.evaluation_id} was begun without a budget, so its answers may have any "
                "length and none can be held; begin a new evaluation with --budget."
            )
    budget = Budget(cap, spent=ledger.spent(plan.evaluation_id))
    steering = Steering(concurrency, budget)
    judge = panel_for(app, plan, policy=policy, metering=metering, budget=budget, steering=steering)
    embedders = embedders_for(
        app,
        plan,
        ledger,
        policy=policy,
        metering=metering,
        budget=budget,
        steering=steering,
        allow_unknown_cost=wishes.allow_unknown_cost,
    )
    output = wishes.output or app.settings.state_dir / "evaluations" / plan.evaluation_id
    bench = Workbench(
        settings=app.settings,
        providers=providers,
        judge=judge,
        ledger=ledger,
        metering=metering,
        policy=policy,
        concurrency=concurrency,
        output=output,
        plots=True,
        embedders=embedders,
        harness=wishes.harness,
        budget=budget,
        recorder=recorder,
        steering=steering,
    )
    for provider in providers:
        app.counter.preload(provider.model)
    reused = reusable_answers(plan, ledger)
    figures = estimate(
        plan,
        providers,
        metering=metering,
        prices=app.prices,
        reused=reused,
        panel=judge,
        ledger=ledger,
        judged=Scoring(plan, judge, ledger, embedders).recall(reused),
    )
    if cap is not None and figures.unpriced and not wishes.allow_unknown_cost:
        raise ConfigurationError(
            f"A budget needs prices, and none is known for {', '.join(figures.unpriced)}; add them "
            "to prices.json, or pass --allow-unknown-cost."
        )
    return Prepared(plan=plan, bench=bench, estimate=figures, remarks=remarks)


def _new_plan(app: App, wishes: Wishes) -> tuple[EvaluationPlan, list[str]]:
    dataset = _dataset(app, wishes)
    candidates = candidates_of(app, wishes)
    named = wishes.judges or ([wishes.judge] if wishes.judge else [])
    judges, remarks = judges_of(app, named, candidates)
    if wishes.scorers:
        specs = tuple(map(complete, check_scorers(wishes.scorers)))
        refuse_lacking(specs, dataset)
    else:
        specs = check_scorers([*default_text_scorers(dataset), *(DEFAULT_JUDGED if judges else ())])
        if not any(row.guidelines for row in dataset.rows):
            specs = tuple(spec for spec in specs if spec.kind != "guidelines")
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
            f"{PREFERENCE} compares the answers of two or more candidates; name another --model."
        )
    plan = EvaluationPlan(
        evaluation_id=new_evaluation_id(),
        dataset=dataset,
        candidates=tuple(candidates),
        scorers=tuple(spec.name for spec in specs),
        scorer_specs=described(specs),
        judge=judges[0] if needs_judge else None,
        panel=judges[1:] if needs_judge else (),
        judge_runs=wishes.judge_runs,
        judge_combine=wishes.judge_combine,
        trials=wishes.trials,
        fresh=wishes.fresh,
        until_decided=wishes.until_decided,
        order_seed=wishes.seed,
        margin=wishes.margin,
    )
    refuse_undecidable(plan, harness=wishes.harness)
    return plan, [*dataset.warnings, *remarks]


def _dataset(app: App, wishes: Wishes) -> Dataset:
    dataset = load_dataset(
        wishes.data or default_data(app), mapping=wishes.mapping, skip_bad=wishes.skip_bad
    )
    if wishes.stratify is not None:
        if wishes.sample is None:
            raise InputError("--stratify is about a sample; say of how many rows with --sample N.")
        return stratified_sample(dataset, wishes.sample, wishes.seed, by=wishes.stratify)
    if wishes.sample is not None:
        return sample(dataset, wishes.sample, wishes.seed)
    return dataset
