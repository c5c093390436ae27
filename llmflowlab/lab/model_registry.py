"""The model registry: looking at versions, and changing what stands there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError
from llmflowlab.lab.guards import chosen_policy, detectors_of
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message, Parameters
from llmflowlab.prompts.prompt_registry import load_prompt
from llmflowlab.serving.version_check import CheckStep, check_version
from llmflowlab.tracking.registered_candidates import candidate_of_run, run_for
from llmflowlab.tracking.registry import (
    AliasMove,
    EvaluationRun,
    RegisteredModel,
    Version,
    alias_history,
    evaluations_of,
    find_version,
    list_models,
    model_config_of,
    parse_version_name,
)
from llmflowlab.tracking.registry_changes import (
    CHAMPION,
    archive,
    delete,
    roll_back,
    set_alias,
)
from llmflowlab.tracking.store import Store

__all__ = [
    "CHAMPION",
    "AliasMove",
    "CheckStep",
    "EvaluationRun",
    "RegisterRequest",
    "Registered",
    "RegisteredModel",
    "Registry",
    "Version",
    "VersionDetail",
]


@dataclass(frozen=True, slots=True)
class VersionDetail:
    """A version with what is known of it."""

    version: Version
    described: Mapping[str, Any]
    """What its MLmodel file says: `config`, `task`, `streams`, `example`, `mlflow_version`."""
    evaluations: Sequence[EvaluationRun]
    """Those behind it, the newest first."""

    @property
    def configuration(self) -> dict[str, str]:
        """The configuration as names and texts, one level deep."""
        config = dict(self.described["config"])
        parameters = config.pop("parameters", None) or {}
        flat = {**config, **parameters}
        return {
            name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for name, value in flat.items()
            if value is not None
        }

    def latest(self, scorer: str) -> float | None:
        """Return the newest mean of a scorer; None where none is known."""
        return next((e.scores[scorer] for e in self.evaluations if scorer in e.scores), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRequest:
    """What is to be registered: the candidates of runs, or one that is described."""

    runs: Sequence[str] = ()
    model: str | None = None
    """Model reference of a candidate of its own; None where runs are named."""
    system: str | None = None
    prompt: str | None = None
    """`NAME[@VERSION]` of the prompt registry, in place of `system`."""
    guardrails: str | None = None
    """`on`, `off` or a policy file; None means what holds in the home."""
    parameters: Parameters = Parameters()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A version that a candidate has now."""

    name: str
    version: str
    model: str
    run_id: str


class Registry:
    """The home's registry, open.

    Raises:
        TrackingError: The store cannot be opened. Every method raises it where the store fails.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._store: Store = lab.store()

    def models(self, name: str | None = None) -> list[RegisteredModel]:
        """Return all models with their versions, or the one of a name.

        Raises:
            InputError: There is none of that name.
        """
        return list_models(self._store, name)

    def find(self, text: str) -> Version:
        """Return the version that `NAME/VERSION` or `NAME@ALIAS` means.

        Raises:
            InputError: It names none.
        """
        return find_version(self._store, parse_version_name(text))

    def describe(self, version: Version) -> VersionDetail:
        """Look up what is known of a version."""
        described = model_config_of(self._store, version)
        return VersionDetail(
            version, described, evaluations_of(self._store, version, described["config"])
        )

    def evaluations(self, models: Sequence[RegisteredModel]) -> dict[str, Sequence[EvaluationRun]]:
        """Return the evaluations behind each version of the models, by its reference."""
        return {
            version.reference: self.describe(version).evaluations
            for model in models
            for version in model.versions
        }

    def champion_history(self, version: Version) -> list[AliasMove]:
        """Return how alias `champion` of its model moved, the oldest move first."""
        return list(alias_history(self._store, version.name, CHAMPION))

    def archive(self, version: Version) -> None:
        """Move a version to stage Archived.

        Raises:
            InputError: It is the champion.
        """
        archive(self._lab.settings, self._store, version)

    def set_alias(self, version: Version, alias: str) -> AliasMove:
        """Give a version an alias, or move it there.

        Raises:
            InputError: It is `champion`, or no name for an alias.
        """
        return set_alias(self._lab.settings, self._store, version, alias)

    def delete(self, version: Version) -> None:
        """Delete a version with its aliases; its run stays.

        Raises:
            InputError: It is the champion.
        """
        delete(self._lab.settings, self._store, version)

    def roll_back(self, name: str, alias: str = CHAMPION) -> AliasMove:
        """Move an alias back to where it was; once more undoes that.

        Raises:
            InputError: It never moved.
        """
        return roll_back(self._lab.settings, self._store, name, alias)

    def check(self, version: Version, *, clean_env: bool = False) -> Iterator[CheckStep]:
        """Load and ask a version as it would be served, step by step.

        Args:
            version: Which.
            clean_env: In a fresh environment with its own requirements, which takes minutes.
        """
        return check_version(self._lab.settings, self._store, version, clean_env=clean_env)

    def register(self, request: RegisterRequest) -> Iterator[Registered]:
        """Register candidates, one after the other; what is there already stays the same version.

        Raises:
            InputError: A run does not exist or has no candidate, the model is registered already, or
                what was said of guardrails is no policy.
            NotConfigured: The model's provider lacks something, or that of the guardrails' detector.
        """
        from llmflowlab.agents.package import package
        from llmflowlab.tracking.registry import registered_name
        from llmflowlab.tracking.registry_changes import ModelRegistry

        if request.model is None:
            found = [(run, *candidate_of_run(self._store, run)) for run in request.runs]
        else:
            candidate = self._described(request, request.model)
            run_id, experiment_id = run_for(self._store, candidate)
            found = [(run_id, candidate, experiment_id)]
        registry = ModelRegistry(self._lab.settings, self._store, package())
        for run_id, candidate, experiment_id in found:
            made = registry.register(candidate, run_id=run_id, experiment_id=experiment_id)
            yield Registered(
                name=registered_name(candidate.provider),
                version=made.version,
                model=candidate.model,
                run_id=run_id,
            )

    def _described(self, request: RegisterRequest, model: str) -> Candidate:
        provider = self._lab.provider(model)
        if provider.name == "mlflow":
            raise InputError(f"{model} is registered already.")
        policy = chosen_policy(self._lab, request.guardrails)
        prompt, system = None, request.system or None
        messages: tuple[Message, ...] = ()
        if request.prompt is not None:
            found = load_prompt(self._store, request.prompt)
            prompt = found.reference
            system, messages = found.template.framed((), lone=False)
        candidate = Candidate(
            model=f"{provider.name}:{provider.model}",
            display_name=provider.display_name,
            supplier=provider.supplier,
            system=system,
            messages=messages,
            prompt=prompt,
            weights=provider.weights,
            guardrails=None if policy is None else policy.to_json(),
            parameters=request.parameters,
        )
        for used in (provider, *detectors_of(self._lab, [candidate]).values()):
            used.close()
        return candidate
