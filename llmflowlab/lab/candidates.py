"""The matrix of candidates: every model with every prompt and every set of parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmflowlab.candidate import GIVEN, Candidate
from llmflowlab.data.dataset import Dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.answering import DEFAULT_MAX_TOKENS
from llmflowlab.evaluation.run.plan import refuse_unfilled_rows
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.guards import chosen_policy
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message, Parameters
from llmflowlab.providers.factory import default_model, provider_class
from llmflowlab.providers.redact import refuse_secrets
from llmflowlab.template import refuse_unfilled

__all__ = ["FirstComparison", "candidates_of", "first_compared"]

_PATIENCE = 1.0
"""Seconds to look whether the small model is ready, which asks no network."""


@dataclass(frozen=True, slots=True)
class FirstComparison:
    """What a home's first evaluation compares where nobody chose."""

    models: tuple[str, ...] = ()
    """None where the home has evaluations, or the small model is not ready."""
    lacking: str | None = None
    """What the small model lacks, and what to do."""


def first_compared(lab: Lab) -> FirstComparison:
    """Return the models that a home's first evaluation compares unless others are chosen.

    The small model inside and the guide need no key, so that the first result is a comparison.
    """
    if lab.has_evaluations:
        return FirstComparison()
    local, guide = provider_class("local"), provider_class("guide")
    state = local.readiness(lab.settings, _PATIENCE)
    if not state.ready:
        return FirstComparison(
            lacking=f"The model inside is not ready to be compared with the guide: {state.text}."
        )
    usual = local(default_model(local, lab.settings) or "", lab.settings)
    there = [info.name for info in usual.list_models()]
    model = usual.model if usual.model in there else there[0]
    return FirstComparison((f"local:{model}", f"guide:{default_model(guide, lab.settings)}"))


def candidates_of(
    lab: Lab, request: EvaluationRequest, dataset: Dataset | None
) -> tuple[list[Candidate], list[str]]:
    """Return the candidates that were asked for, models first, and what to say of their prompts.

    Args:
        lab: The parts.
        request: What is wished for.
        dataset: Its columns fill the variables of prompts, and some may hold answers; None where
            questions are typed.

    Raises:
        InputError: A model or prompt does not exist, or is wished for where no model is asked, or
            a prompt holds a key, or a variable that no row fills.
        NotConfigured: A provider lacks something.
        TrackingError: The prompt registry cannot be asked.
    """
    given = () if dataset is None else dataset.given
    if given and not request.models and _for_models(request):
        raise InputError(
            "Prompts and generation parameters are for models, and none is asked; name one with --model "
            "or leave them out."
        )
    prompts, notes = _prompts(lab, request, dataset)
    sets = [_bounded(request, given) for given in request.parameter_sets]
    policies = _policies(lab, request)
    found = []
    for prompt in prompts:
        texts = [prompt.system, *(message.content for message in prompt.messages)]
        refuse_secrets("\n".join(filter(None, texts)), lab.settings, "A system prompt")
    for model in request.models:
        head, _, column = model.partition(":")
        if head.strip().lower() == GIVEN and column:
            raise InputError(
                f"{model} is no model: answers of the data file are named with --answers {column}."
            )
        provider = lab.provider(model)
        for prompt in prompts:
            for parameters, (guardrails, guarded) in itertools.product(sets, policies):
                words = [prompt.said, _differing(parameters, sets), guarded]
                found.append(
                    Candidate(
                        model=provider.reference,
                        display_name=provider.display_name,
                        supplier=provider.supplier,
                        system=prompt.system,
                        messages=prompt.messages,
                        prompt=prompt.reference,
                        weights=provider.weights,
                        guardrails=guardrails,
                        parameters=parameters,
                        variant=", ".join(word for word in words if word) or None,
                    )
                )
    for candidate in found:
        if dataset is not None:
            refuse_unfilled_rows(candidate, dataset.rows)
        elif candidate.prompt is None:
            remedy = "write what is meant in its place"
            refuse_unfilled(candidate.system, (), (), what="The system prompt", remedy=remedy)
    found += map(Candidate.of_column, given)
    for spec in request.beside:
        bounded = replace(spec, parameters=_bounded(request, spec.parameters))
        if all(candidate.digest != bounded.digest for candidate in found):
            found.append(bounded)
    return found, notes


def _for_models(request: EvaluationRequest) -> bool:
    return bool(request.systems or request.prompts) or any(
        parameters.given() for parameters in request.parameter_sets
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prompt:
    """A prompt of the matrix."""

    reference: str | None = None
    system: str | None = None
    messages: tuple[Message, ...] = ()
    said: str = ""
    """The word that tells it from others."""


def _prompts(
    lab: Lab, request: EvaluationRequest, dataset: Dataset | None
) -> tuple[list[_Prompt], list[str]]:
    found: list[_Prompt] = []
    notes: list[str] = []
    if request.prompts:
        # Imported here: it imports MLflow.
        from llmflowlab.lab.prompts_in_use import prompt_in_use

        columns = None if dataset is None else dataset.rows[0].values
        for asked in request.prompts:
            one = prompt_in_use(lab, asked, {}, columns=columns)
            found.append(_Prompt(reference=one.reference, system=one.system, messages=one.messages))
            notes += [one.note] if one.note else []
    several = len(request.systems) > 1
    found += [
        _Prompt(system=text or None, said=f"system {number}" if several else "")
        for number, text in enumerate(request.systems, 1)
    ]
    return found or [_Prompt()], notes


def _policies(lab: Lab, request: EvaluationRequest) -> list[tuple[Mapping[str, Any] | None, str]]:
    """Return each policy as JSON values, and the word that tells one from the others."""
    if not request.models:
        return [(None, "")]
    chosen = request.guardrails or (None,)
    found: list[tuple[Mapping[str, Any] | None, str]] = []
    for said in chosen:
        policy = chosen_policy(lab, said)
        named = said is not None and said.lower() not in {"on", "off"} and len(chosen) > 1
        word = Path(said).stem if named and said is not None else ""
        found.append((None if policy is None else policy.to_json(), word))
    return found


def _bounded(request: EvaluationRequest, parameters: Parameters) -> Parameters:
    """Return the parameters; under a budget every answer has a greatest length."""
    if request.budget is None or parameters.max_tokens is not None:
        return parameters
    return replace(parameters, max_tokens=DEFAULT_MAX_TOKENS)


def _differing(parameters: Parameters, sets: list[Parameters]) -> str:
    """Name the values in which a set differs from the others."""
    own = asdict(parameters)
    names = [name for name in own if len({asdict(other)[name] for other in sets}) > 1]
    return ", ".join(f"{name} {'default' if own[name] is None else own[name]}" for name in names)
