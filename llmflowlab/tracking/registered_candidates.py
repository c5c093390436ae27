"""Candidates that are registered without a chat: read from a run, or given a run of their own."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from llmflowlab.candidate import GIVEN, Candidate
from llmflowlab.errors import InputError
from llmflowlab.messages import Parameters
from llmflowlab.tracking.store import Store

__all__ = ["EXPERIMENT", "candidate_of_run", "candidate_tags", "run_for"]

EXPERIMENT = "LLMS_Agents"
"""Where the runs of candidates stand that were registered without a chat."""

_WEIGHTS = "llmflowlab.weights"
_GUARDRAILS = "llmflowlab.guardrails"


def candidate_tags(candidate: Candidate) -> dict[str, str]:
    """Return what a run must say of its candidate beside its parameters, so that it can be registered.

    Which file a model is, where its reference does not tell, and the policy of its guardrails.
    """
    more = {_WEIGHTS: candidate.weights, _GUARDRAILS: candidate.guardrails}
    return {name: json.dumps(dict(said)) for name, said in more.items() if said is not None}


def candidate_of_run(store: Store, run_id: str) -> tuple[Candidate, str]:
    """Return the candidate of a chat or of an evaluation, and the id of its experiment.

    Raises:
        InputError: There is no such run, or it has no candidate that could be registered.
        TrackingError: The store failed.
    """
    from mlflow.exceptions import MlflowException

    with store.translated():
        try:
            run = store.client.get_run(run_id)
        except MlflowException as exc:
            if exc.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
            raise InputError(f"There is no run {run_id!r}.") from exc
    params, tags = run.data.params, run.data.tags
    reference = tags.get("llmflowlab.model", "")
    provider = tags.get("llmflowlab.provider") or reference.partition(":")[0]
    model = params.get("model_id") or reference.partition(":")[2]
    if not provider or not model:
        raise InputError(f"Run {run_id} is neither a chat nor a candidate of an evaluation.")
    if provider == "mlflow":
        raise InputError(f"Run {run_id} is of a model that is registered already: {model}.")
    if provider == GIVEN:
        raise InputError(
            f"Run {run_id} scored answers that the data file gave (column {model}): there is no model "
            "to register or to promote."
        )
    candidate = Candidate(
        model=f"{provider}:{model}",
        display_name=params.get("model_name") or provider,
        supplier=params.get("supplier") or provider,
        system=params.get("system_prompt") or None,
        **Candidate.said_in(_template(params.get("prompt_template"), run_id)),
        weights=json.loads(tags[_WEIGHTS]) if _WEIGHTS in tags else None,
        guardrails=json.loads(tags[_GUARDRAILS]) if _GUARDRAILS in tags else None,
        prompt=params.get("prompt")
        or params.get("prompt_version")
        or tags.get("llmflowlab.prompt")
        or None,
        parameters=Parameters(
            temperature=_number(params.get("temperature"), float),
            top_p=_number(params.get("top_p"), float),
            max_tokens=_number(params.get("max_tokens"), int),
            seed=_number(params.get("seed"), int),
        ),
    )
    return candidate, str(run.info.experiment_id)


def _template(text: str | None, run_id: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(text or "{}")
        return found
    except ValueError as exc:
        raise InputError(
            f"The prompt of run {run_id} is longer than a run's parameter holds; register it with "
            "--model and --prompt."
        ) from exc


def run_for(store: Store, candidate: Candidate) -> tuple[str, str]:
    """Make a run for a candidate nobody talked with; returns its id and its experiment's."""
    from mlflow.entities import Param

    experiment_id = store.experiment_id(EXPERIMENT)
    values = {
        "model_name": candidate.display_name,
        "supplier": candidate.supplier,
        "model_id": candidate.model_id,
        "system_prompt": candidate.system,
        "prompt": candidate.prompt,
        **candidate.template_param,
        **candidate.parameters.given(),
    }
    params = [Param(name, str(v)[:6000]) for name, v in values.items() if v is not None]
    with store.translated():
        run = store.client.create_run(
            experiment_id,
            run_name=f"Register_{candidate.display_name}",
            tags={
                "llmflowlab.provider": candidate.provider,
                "llmflowlab.model": candidate.model,
                **candidate_tags(candidate),
            },
        )
        run_id = str(run.info.run_id)
        store.client.log_batch(run_id, params=params)
        store.client.set_terminated(run_id)
    return run_id, experiment_id


def _number(text: str | None, kind: Callable[[str], Any]) -> Any:
    if text in {None, "", "None", "default"}:
        return None
    try:
        return kind(str(text))
    except ValueError:
        return None
