"""What the engine works with, built the same way on one machine and on each worker of a cluster."""

from __future__ import annotations

from pathlib import Path

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.evaluation.run.workbench import EngineResources
from llmflowlab.lab.guards import detectors_of
from llmflowlab.lab.judges import panel_for
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.scorers import embedders_for
from llmflowlab.settings import Settings

__all__ = ["bench_of", "patient_policy"]


def patient_policy(settings: Settings) -> CallPolicy:
    """Return how long a row may be tried: nobody sits waiting for one.

    Patience costs little here, a lost row more.
    """
    return CallPolicy(
        first_token_timeout=settings.first_token_timeout,
        token_timeout=settings.token_timeout,
        max_tries=max(settings.max_tries, 8),
        max_retry_seconds=max(settings.max_retry_seconds, 600.0),
    )


def bench_of(
    lab: Lab,
    plan: EvaluationPlan,
    ledger: Ledger,
    *,
    budget: Budget,
    concurrency: int,
    output: Path,
    allow_unknown_cost: bool = True,
) -> EngineResources:
    """Build what the engine works with.

    Raises:
        InputError: A model cannot be used.
        NotConfigured: A provider lacks its key, address or package.
        ConfigurationError: There is a budget, and a model has no known price.
    """
    metering, policy = Metering(lab.counter, lab.prices), patient_policy(lab.settings)
    steering = Steering(concurrency, budget)
    judge = panel_for(lab, plan, policy=policy, metering=metering, budget=budget, steering=steering)
    return EngineResources(
        settings=lab.settings,
        providers=[
            None if candidate.column is not None else lab.provider(candidate.model)
            for candidate in plan.candidates
        ],
        judge=judge,
        ledger=ledger,
        metering=metering,
        policy=policy,
        concurrency=concurrency,
        output=output,
        embedders=embedders_for(
            lab,
            plan,
            ledger,
            policy=policy,
            metering=metering,
            budget=budget,
            steering=steering,
            allow_unknown_cost=allow_unknown_cost,
        ),
        detectors=detectors_of(lab, plan.candidates),
        budget=budget,
        steering=steering,
        limiter=lab.limiter,
    )
