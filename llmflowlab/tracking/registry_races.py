"""Several homes that register in one store at the same moment: no lock of ours reaches across them.

Numbers decide instead. A store gives each version a number above all that are visible, so of two that
were made at once the one with the higher number sees the other, and yields.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias

from llmflowlab.tracking.registry import stage_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["Stage", "first_of_equals", "set_stage", "show_latest"]

_KEPT_STAGES = frozenset({"Staging", "Production"})
"""Stages that a version already in them keeps: nothing is taken out of production by a chat."""
Stage: TypeAlias = Literal["None", "Staging", "Production", "Archived"]


def versions_of(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Return all versions of a model, the newest first."""
    found = client.search_model_versions(f"name = '{name}'")
    return sorted(found, key=lambda version: -int(version.version))


def first_of_equals(client: MlflowClient, version: ModelVersion, tag: str) -> ModelVersion:
    """Take back a version that was just made where another home made the same one before it.

    Args:
        client: Of the store.
        version: Made by the caller, and given to nobody yet.
        tag: Says what a version is of; equal where versions are.

    Returns:
        The version that stays: the first of those in a row that are equal.
    """
    number, first = int(version.version), version
    for other in versions_of(client, version.name):
        if int(other.version) < number:
            if other.tags.get(tag) != version.tags.get(tag):
                break
            first = other
    if first is not version:
        client.delete_model_version(version.name, str(version.version))
        if version.model_id:
            client.delete_logged_model(version.model_id)
    return first


def show_latest(client: MlflowClient, version: ModelVersion, tag: str) -> None:
    """Give the latest version stage and alias `staging`.

    Args:
        client: Of the store.
        version: The latest, as far as is known; what another home makes meanwhile is looked for.
        tag: Says what a version is of. A later one that is equal will be taken back by its home.
    """
    name = str(version.name)
    if stage_of(version) not in _KEPT_STAGES:
        set_stage(client, name, str(version.version), "Staging", archive_older=True)
    client.set_registered_model_alias(name, "staging", str(version.version))
    later = versions_of(client, name)[0]
    if int(later.version) > int(version.version) and later.tags.get(tag) != version.tags.get(tag):
        # What stands above may have undone what the other home did for its version.
        if stage_of(later) == "Staging":
            set_stage(client, name, str(later.version), "Staging", archive_older=True)
        show_latest(client, later, tag)


def set_stage(
    client: MlflowClient, name: str, version: str, stage: Stage, *, archive_older: bool = False
) -> None:
    """Move a version to a stage; `archive_older` then archives the older ones that are still in it.

    MLflow means to remove stages. When it does, this does nothing and `stage_of` returns None;
    everything else goes on by alias.
    """
    older = [
        str(each.version)
        for each in (versions_of(client, name) if archive_older else ())
        if int(each.version) < int(version) and stage_of(each) == stage
    ]
    with warnings.catch_warnings():
        # MLflow prefers aliases to stages; the lab promises both.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, version, stage)
        # MLflow would archive them itself, but compares a number with a text on the way, which
        # PostgreSQL refuses by psycopg 3.
        for number in older:
            client.transition_model_version_stage(name, number, "Archived")
