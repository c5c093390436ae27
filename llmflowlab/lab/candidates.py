"""The matrix of candidates: every model with every prompt and every set of parameters."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmflowlab.candidate import GIVEN, Candidate
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.answering import DEFAULT_MAX_TOKENS
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.guards import chosen_policy
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Parameters
from llmflowlab.providers.factory import default_model, provider_class
from llmflowlab.providers.redact import refuse_secrets

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
    lab: Lab, request: EvaluationRequest, given: Sequence[str] = ()
) -> list[Candidate]:
    """Return the candidates that were asked for, models first.

    Args:
        lab: The parts.
        request: What is wished for.
        given: Columns of the data file that hold answers.

    Raises:
        InputError: A model or prompt does not exist, or is wished for where no model is asked, or
            a prompt holds a key.
        NotConfigured: A provider lacks something.
        TrackingError: The prompt registry cannot be asked.
    """
    if given and not request.models and _for_models(request):
        raise InputError(
            "Prompts and generation parameters are for models, and none is asked; name one with --model "
            "or leave them out."
        )
    prompts = _prompts(lab, request)
    sets = [_bounded(request, given) for given in request.parameter_sets]
    policies = _policies(lab, request)
    found = []
    for _, system, _ in prompts:
        refuse_secrets(system, lab.settings, "A system prompt")
    for model in request.models:
        head, _, column = model.partition(":")
        if head.strip().lower() == GIVEN and column:
            raise InputError(
                f"{model} is no model: answers of the data file are named with --answers {column}."
            )
        provider = lab.provider(model)
        for prompt, system, said in prompts:
            for parameters, (guardrails, guarded) in itertools.product(sets, policies):
                words = [said, _differing(parameters, sets), guarded]
                found.append(
                    Candidate(
                        model=provider.reference,
                        display_name=provider.display_name,
                        supplier=provider.supplier,
                        system=system,
                        prompt=prompt,
                        weights=provider.weights,
                        guardrails=guardrails,
                        parameters=parameters,
                        variant=", ".join(word for word in words if word) or None,
                    )
                )
    found += map(Candidate.of_column, given)
    for spec in request.beside:
        bounded = replace(spec, parameters=_bounded(request, spec.parameters))
        if all(candidate.digest != bounded.digest for candidate in found):
            found.append(bounded)
    return found


def _for_models(request: EvaluationRequest) -> bool:
    return bool(request.systems or request.prompts) or any(
        parameters.given() for parameters in request.parameter_sets
    )


def _prompts(lab: Lab, request: EvaluationRequest) -> list[tuple[str | None, str | None, str]]:
    """Return registry name, text, and the word that tells one from the others."""
    found: list[tuple[str | None, str | None, str]] = []
    if request.prompts:
        # Imported here: it imports MLflow.
        from llmflowlab.prompts.prompt_registry import load_prompt

        store = lab.store()
        loaded = [load_prompt(store, reference) for reference in request.prompts]
        found += [(prompt.reference, prompt.text, "") for prompt in loaded]
    several = len(request.systems) > 1
    found += [
        (None, text or None, f"system {number}" if several else "")
        for number, text in enumerate(request.systems, 1)
    ]
    return found or [(None, None, "")]


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
