"""Several homes that register in one store at the same moment: no lock of ours reaches across them.

Numbers decide instead. A store gives each version a number above all that are visible, so of two that
were made at once the one with the higher number sees the other, and yields. Nobody else may touch one that
may yet yield: MLflow brings a deleted version back where its stage is set at the same moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmflowlab.tracking.aliases import STAGING, move_alias, versions_of
from llmflowlab.tracking.logged_models import one_that_stays
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["first_of_equals", "show_latest"]


def first_of_equals(client: MlflowClient, version: ModelVersion) -> ModelVersion:
    """Take back a version that was just made where another home made the same one before it.

    Args:
        client: Of the store.
        version: Made by the caller, and given to nobody yet.

    Returns:
        The version that stays.
    """
    below = [v for v in versions_of(client, version.name) if int(v.version) < int(version.version)]
    first = one_that_stays([version, *below])
    if first is not version:
        client.delete_model_version(version.name, str(version.version))
        if version.model_id:
            client.delete_logged_model(version.model_id)
    return first


def show_latest(store: Store, name: str) -> None:
    """Give the latest version that stays alias and stage `staging`, whoever made it.

    Its own home may have died over it, or another one that had looked before it was there.

    Args:
        store: The open store.
        name: The registered model's, of at least one version; what others make meanwhile is looked for.
    """
    shown = None
    latest = one_that_stays(versions_of(store.client, name))
    # What was shown may have undone what another home did for its version.
    while shown != (shown := str(latest.version)):
        move_alias(store, name, STAGING, shown, "registered")
        latest = one_that_stays(versions_of(store.client, name))
