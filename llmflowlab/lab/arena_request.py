"""What is asked of an arena, and the candidates, questions and doors that it means."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, TypeAlias

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, load_dataset, sample
from llmflowlab.errors import InputError
from llmflowlab.guardrails.guarded import asker_for, guard_of
from llmflowlab.lab.candidates import candidates_of
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.guards import detectors_of, refuse_unpriced, unpriced
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Parameters
from llmflowlab.people.votes import contestant_of
from llmflowlab.providers.base import Provider
from llmflowlab.tracking.dataset_files import question_file

__all__ = ["ArenaRequest", "Pairing", "askers_of", "drawn_from", "fighters_of"]

Pairing: TypeAlias = Literal["teaching", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaRequest:
    """An arena that is wished for; nothing of it is checked yet."""

    models: Sequence[str]
    systems: Sequence[str] = ()
    """System prompts; several make several candidates of each model."""
    prompts: Sequence[str] = ()
    guardrails: Sequence[str] = ()
    parameter_sets: Sequence[Parameters] = (Parameters(),)
    data: Path | None = None
    """What prompts are drawn from; None where they are typed."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    sample: int | None = None
    seed: int | None = None
    """Of the sample, its order, pairs and sides; None draws them anew each time."""
    pairing: Pairing = "teaching"
    person: str | None = None
    """Who votes; None: the account's name."""
    budget: Decimal | None = None
    allow_unknown_cost: bool = False


def drawn_from(lab: Lab, request: ArenaRequest) -> Dataset | None:
    """Return what prompts are drawn from; None where they are typed.

    Raises:
        InputError: The file cannot be used.
        TrackingError: MLflow, which was named instead, failed.
    """
    if request.data is None:
        return None
    dataset = load_dataset(question_file(lab.settings, request.data), mapping=request.mapping)
    if request.sample is None:
        return dataset
    seed = random.SystemRandom().randrange(2**31) if request.seed is None else request.seed
    return sample(dataset, request.sample, seed)


def fighters_of(
    lab: Lab, request: ArenaRequest, dataset: Dataset | None
) -> tuple[list[Candidate], list[str]]:
    """Return the candidates that were asked for, and what to say of them.

    Raises:
        InputError: One cannot be used or comes twice, or there are no two.
        NotConfigured: A provider lacks something.
    """
    wished = EvaluationRequest(
        models=request.models,
        systems=request.systems,
        prompts=request.prompts,
        guardrails=request.guardrails,
        parameter_sets=request.parameter_sets,
        budget=request.budget,
    )
    found, remarks = candidates_of(lab, wished, dataset)
    if len({contestant_of(candidate).key for candidate in found}) < len(found):
        raise InputError("The same candidate is named twice; name each one once.")
    if len(found) < 2:
        raise InputError(
            "An arena needs two candidates: name a second --model, or give a second --system."
        )
    return found, [*(dataset.warnings if dataset else ()), *remarks]


def askers_of(
    lab: Lab, request: ArenaRequest, candidates: Sequence[Candidate], providers: Sequence[Provider]
) -> list[Asker]:
    """Return the doors to the candidates' models, which share one budget.

    Raises:
        ConfigurationError: A budget was set, and a price is not known.
        NotConfigured: The guardrails' detector lacks something.
    """
    detectors = detectors_of(lab, candidates)
    if request.budget is not None and not request.allow_unknown_cost:
        asked = {provider.reference: provider for provider in providers}
        refuse_unpriced(unpriced(lab, {**asked, **detectors}))
    metering = Metering(lab.counter, lab.prices)
    policy, budget = policy_from(lab.settings), Budget(request.budget)
    return [
        asker_for(
            provider,
            guard_of(
                candidate.guardrails,
                detectors,
                policy=policy,
                metering=metering,
                budget=budget,
            ),
            policy=policy,
            metering=metering,
            budget=budget,
        )
        for candidate, provider in zip(candidates, providers, strict=True)
    ]
