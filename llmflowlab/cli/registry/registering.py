"""`registry register`: a version for the candidate of a run, or for one that is described."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.cli.registry.show import print_json
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.prompts.registry import load_prompt
from llmflowlab.tracking.candidates import candidate_of_run, run_for
from llmflowlab.tracking.records import Candidate
from llmflowlab.tracking.store import Store, open_store

__all__ = ["register"]

_DESCRIBED = ("system", "prompt", "temperature", "top_p", "max_tokens", "seed")


def register(app: App, arguments: argparse.Namespace) -> int:
    """Register; returns the exit code.

    Raises:
        InputError: Neither a run nor a model was named, or it cannot be registered.
        NotConfigured: The model's provider lacks something.
        TrackingError: The store failed.
    """
    from llmflowlab.agents.package import package
    from llmflowlab.tracking.registry import registered_name
    from llmflowlab.tracking.registry_changes import ModelRegistry

    if bool(arguments.runs) == (arguments.model is not None):
        raise InputError("Name runs (registry register RUN_ID), or a model with --model REF.")
    if arguments.runs and any(getattr(arguments, name) is not None for name in _DESCRIBED):
        raise InputError("A run says itself what its candidate is; leave the other options out.")
    if arguments.system is not None and arguments.prompt is not None:
        raise InputError("Give --system or --prompt, not both.")
    store = open_store(app.settings)
    if arguments.runs:
        found = [(run, *candidate_of_run(store, run)) for run in arguments.runs]
    else:
        candidate = _described(app, store, arguments)
        run_id, experiment_id = run_for(store, candidate)
        found = [(run_id, candidate, experiment_id)]
    registry = ModelRegistry(app.settings, store, package())
    made = []
    for run_id, candidate, experiment_id in found:
        version = registry.register(candidate, run_id=run_id, experiment_id=experiment_id)
        name = registered_name(candidate.provider)
        made.append(
            {"name": name, "version": version, "model": candidate.reference, "run_id": run_id}
        )
        if not arguments.json:
            app.screen.say(f"{candidate.reference} is {name}/{version}.")
    if arguments.json:
        print_json({"registered": made})
    return ExitCode.DONE


def _described(app: App, store: Store, arguments: argparse.Namespace) -> Candidate:
    provider = app.provider(arguments.model)
    if provider.name == "mlflow":
        raise InputError(f"{arguments.model} is registered already.")
    prompt = None if arguments.prompt is None else load_prompt(store, arguments.prompt)
    candidate = Candidate(
        provider=provider.name,
        model_name=provider.display_name,
        supplier=provider.supplier,
        model_id=provider.model,
        system_prompt=prompt.text if prompt else arguments.system or None,
        prompt_version=prompt.reference if prompt else None,
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        max_tokens=arguments.max_tokens,
        seed=arguments.seed,
    )
    provider.close()
    return candidate
