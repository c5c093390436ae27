"""Moves aliases, the one way there is: with their history, and the stages after them.

A version's stage says in MLflow's older word what its aliases say: `champion` is Production, `staging` is
Staging, and what neither holds any more is Archived. A stage that a person set on MLflow's pages stays,
as long as it does not speak against an alias.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal, TypeAlias

from llmflowlab.tracking.records import now_text
from llmflowlab.tracking.registry import AliasMove, alias_history, history_tag, stage_of
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["CHAMPION", "STAGING", "move_alias", "set_stage", "settle_stages", "versions_of"]

CHAMPION = "champion"
STAGING = "staging"
Stage: TypeAlias = Literal["None", "Staging", "Production", "Archived"]
_MOST_MOVES = 20
"""Moves kept of an alias: as many as fit into a tag."""


def versions_of(client: MlflowClient, name: str) -> list[ModelVersion]:
    """Return all versions of a model, the newest first.

    MLflow reads versions first and their tags after them. One that another home takes back in between
    comes without any, and would pass for somebody's own.
    """
    found = list(client.search_model_versions(f"name = '{name}'"))
    if not all(version.tags for version in found):
        there = {each.version for each in client.search_model_versions(f"name = '{name}'")}
        found = [version for version in found if version.tags or version.version in there]
    return sorted(found, key=lambda version: -int(version.version))


def move_alias(store: Store, name: str, alias: str, version: str | None, why: str) -> AliasMove:
    """Give an alias to a version, or to none, and bring the stages after it.

    Args:
        store: The open store; the caller holds the registry's lock.
        name: The registered model's.
        alias: Which.
        version: None takes it away.
        why: For its history.

    Raises:
        TrackingError: The store failed.
    """
    client = store.client
    with store.translated():
        held = client.get_registered_model(name).aliases.get(alias)
        move = AliasMove(
            before=None if held is None else str(held), after=version, at=now_text(), why=why
        )
        if version is None:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, version)
        if move.before != version:
            kept = [*alias_history(store, name, alias), move][-_MOST_MOVES:]
            text = json.dumps([asdict(each) for each in kept], ensure_ascii=False)
            client.set_registered_model_tag(name, history_tag(alias), text)
        deposed = move.before if alias == CHAMPION and move.before != version else None
        settle_stages(client, name, deposed=deposed)
    return move


def settle_stages(client: MlflowClient, name: str, *, deposed: str | None = None) -> None:
    """Give each version of a model the stage that its aliases say.

    Args:
        client: Of the store.
        name: The registered model's.
        deposed: The version that was champion until now.
    """
    aliases = client.get_registered_model(name).aliases
    champion, staging = (str(aliases.get(alias)) for alias in (CHAMPION, STAGING))
    for version in versions_of(client, name):
        number, stage = str(version.version), stage_of(version)
        wanted: Stage | None = None
        if number == champion:
            wanted = "Production"
        elif number == staging and (stage != "Production" or number == deposed):
            wanted = "Staging"
        elif number != staging and (stage == "Staging" or number == deposed):
            wanted = "Archived"
        if wanted is not None and wanted != stage:
            set_stage(client, name, number, wanted)


def set_stage(client: MlflowClient, name: str, version: str, stage: Stage) -> None:
    """Move a version to a stage; no other is touched.

    MLflow would archive others itself, but compares a number with a text on the way, which PostgreSQL
    refuses by psycopg 3.
    """
    with warnings.catch_warnings():
        # MLflow prefers aliases to stages; the lab promises both.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(name, version, stage)
