"""Prompts from MLflow's prompt registry, by `NAME`, `NAME@VERSION` or `NAME@ALIAS`."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.errors import InputError
from llmflowlab.program import program_name
from llmflowlab.tracking.store import Store

__all__ = ["RegisteredPrompt", "load_prompt"]


@dataclass(frozen=True, slots=True)
class RegisteredPrompt:
    """One version of a prompt."""

    reference: str
    """`NAME@VERSION`, the version as a number whatever was asked for."""
    text: str


def load_prompt(store: Store, reference: str) -> RegisteredPrompt:
    """Load a text prompt; a bare name means its latest version.

    Raises:
        InputError: There is no such prompt or version, or it is a chat of several messages.
        TrackingError: The store cannot be asked.
    """
    import mlflow.genai
    from mlflow.exceptions import MlflowException

    name, _, wanted = reference.partition("@")
    uri = (
        f"prompts:/{name}/{wanted}" if wanted.isdigit() else f"prompts:/{name}@{wanted or 'latest'}"
    )
    found = None
    with store.translated():
        try:
            found = mlflow.genai.load_prompt(uri, link_to_model=False, cache_ttl_seconds=0)
        except MlflowException as exc:
            if exc.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
    if found is None:
        raise InputError(
            f"The prompt registry has no {reference!r}; MLflow's page lists the prompts ({program_name()} ui)."
        )
    if not isinstance(found.template, str):
        raise InputError(
            f"{reference!r} is a chat of several messages; only a text can be tried here."
        )
    return RegisteredPrompt(f"{found.name}@{found.version}", found.template)
