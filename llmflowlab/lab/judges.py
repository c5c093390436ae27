"""Who judges: from the references a person gave to the panel that an evaluation asks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Gate
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging import Judge, Panel
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.factory import parse_reference

__all__ = ["judge_for", "judges_of", "panel_for"]


def judges_of(
    lab: Lab, named: Sequence[str], models: Collection[str]
) -> tuple[tuple[str, ...], list[str]]:
    """Return the judges' references, and what to say of them; none where none is to be had.

    Args:
        lab: The parts.
        named: By the person; none: the one of the settings.
        models: References of those whose answers are judged.

    Raises:
        InputError: A judge is named twice or is no language model.
    """
    if not named:
        if lab.settings.judge is None:
            return (), []
        reference = _reference(lab, lab.settings.judge)
        if set(models) == {reference}:
            return (), [
                f"LLMFLOWLAB_JUDGE is {reference}, which is the only candidate: it would judge nothing "
                f"but its own answers. Pass --judge {reference} if that is what you want."
            ]
        return (reference,), _own_judges((reference,), models)
    references = tuple(_reference(lab, name) for name in named)
    for reference in references:
        if references.count(reference) > 1:
            raise InputError(
                f"{reference} is named twice as a judge; --judge-runs N asks it several times."
            )
    return references, _own_judges(references, models)


def _own_judges(references: Sequence[str], models: Collection[str]) -> list[str]:
    return [
        f"Careful: {reference} judges its own answers here, and models favour what they wrote "
        "themselves; a judge from outside is safer."
        for reference in references
        if reference in models
    ]


def _reference(lab: Lab, named: str) -> str:
    provider = lab.provider(named)
    if not provider.is_language_model:
        raise InputError(
            f"{provider.reference} cannot judge: it is no language model. Name another with --judge."
        )
    return provider.reference


def panel_for(
    lab: Lab,
    plan: EvaluationPlan,
    *,
    policy: CallPolicy,
    metering: Metering,
    budget: Budget,
    steering: Steering,
) -> Panel | None:
    """Return the judges of a plan, ready to be asked; None where it has none."""
    judges = []
    for reference in plan.judges:
        gate = lab.limiter(parse_reference(reference).provider, lab.settings, steering.concurrency)
        steering.attach(gate.set_concurrency)
        judges.append(
            judge_for(lab, reference, policy=policy, metering=metering, budget=budget, gate=gate)
        )
    if not judges:
        return None
    return Panel(judges=tuple(judges), runs=plan.judge_runs, combine=plan.judge_combine)


def judge_for(
    lab: Lab,
    reference: str,
    *,
    policy: CallPolicy,
    metering: Metering,
    budget: Budget | None,
    gate: Gate,
) -> Judge:
    """Return one judge, ready to be asked at the settings' temperature."""
    return Judge(
        lab.provider(reference),
        policy=policy,
        metering=metering,
        budget=budget,
        gate=gate,
        temperature=lab.settings.judge_temperature,
    )
