"""Several homes that register in one store at the same moment: no lock of ours reaches across them.

Numbers decide instead. A store gives each version a number above all that are visible, so of two that
were made at once the one with the higher number sees the other, and yields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmflowlab.tracking.aliases import STAGING, move_alias, versions_of
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["first_of_equals", "show_latest"]


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


def show_latest(store: Store, version: ModelVersion, tag: str) -> None:
    """Give the latest version alias and stage `staging`.

    Args:
        store: The open store.
        version: The latest, as far as is known; what another home makes meanwhile is looked for.
        tag: Says what a version is of. A later one that is equal will be taken back by its home.
    """
    name = str(version.name)
    move_alias(store, name, STAGING, str(version.version), "registered")
    later = versions_of(store.client, name)[0]
    if int(later.version) > int(version.version) and later.tags.get(tag) != version.tags.get(tag):
        # What stands above may have undone what the other home did for its version.
        show_latest(store, later, tag)
