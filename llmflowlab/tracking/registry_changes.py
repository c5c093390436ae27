"""Changes to the model registry: aliases with their history, stages, deletion.

Alias `champion` moves by `move_champion` (evidence) and `roll_back` alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.files import exclusive
from llmflowlab.settings import Settings
from llmflowlab.tracking.records import now_text
from llmflowlab.tracking.registry_queries import (
    EVIDENCE,
    AliasMove,
    Version,
    VersionName,
    alias_history,
    find_version,
    history_tag,
)
from llmflowlab.tracking.stages import set_stage
from llmflowlab.tracking.store import Store

__all__ = [
    "CHAMPION",
    "archive",
    "champion_of",
    "delete",
    "mark_evaluated",
    "move_champion",
    "roll_back",
    "set_alias",
]

CHAMPION = "champion"
_LOCK = "registry"
_PATIENCE = 60.0
_MOST_MOVES = 20
"""Moves kept of an alias: as many as fit into a tag."""


def champion_of(store: Store, name: str) -> Version | None:
    """Return the version that holds alias `champion`; None where none does.

    Raises:
        InputError: There is no such model.
        TrackingError: The store failed.
    """
    return _holder(store, name, CHAMPION)


def set_alias(settings: Settings, store: Store, version: Version, alias: str) -> AliasMove:
    """Move an alias, or give it for the first time.

    Raises:
        InputError: It is `champion`, or no name for an alias.
        TrackingError: The store failed.
    """
    if alias == CHAMPION:
        raise InputError(
            "Alias champion moves by evidence only: "
            f"registry promote {version.reference} --benchmark FILE, or registry rollback."
        )
    with exclusive(settings, _LOCK, patience=_PATIENCE):
        return _move(store, version.name, alias, version.version, "set by hand")


def archive(settings: Settings, store: Store, version: Version) -> None:
    """Move a version to stage Archived.

    Raises:
        InputError: It is the champion.
        TrackingError: The store failed.
    """
    _refuse_champion(store, version, "archive")
    with exclusive(settings, _LOCK, patience=_PATIENCE), store.translated():
        set_stage(store.client, version.name, version.version, "Archived")


def delete(settings: Settings, store: Store, version: Version) -> None:
    """Delete a version with its aliases; its run and its logged model stay.

    Raises:
        InputError: It is the champion.
        TrackingError: The store failed.
    """
    with exclusive(settings, _LOCK, patience=_PATIENCE):
        _refuse_champion(store, version, "delete")
        with store.translated():
            store.client.delete_model_version(version.name, version.version)


def move_champion(
    settings: Settings,
    store: Store,
    version: Version,
    *,
    instead_of: str | None,
    why: str,
    evidence: Mapping[str, str],
) -> AliasMove:
    """Make a version the champion and note on it what that is founded on.

    Args:
        settings: Names the home, whose lock keeps two processes from moving the alias at once.
        store: The open store.
        version: The new champion.
        instead_of: The version it was compared with; None where there was no champion.
        why: For the alias's history.
        evidence: Written as tags of the version.

    Raises:
        TrackingError: The champion is another one by now, or the store failed.
    """
    with exclusive(settings, _LOCK, patience=_PATIENCE):
        held = _holder(store, version.name, CHAMPION)
        if (None if held is None else held.version) != instead_of:
            raise TrackingError(
                f"The champion of {version.name} was moved to version "
                f"{'none' if held is None else held.version} meanwhile; compare again with it."
            )
        with store.translated():
            for name, value in evidence.items():
                store.client.set_model_version_tag(
                    version.name, version.version, EVIDENCE + name, value
                )
        return _move(store, version.name, CHAMPION, version.version, why)


def mark_evaluated(store: Store, run_id: str, version: Version, *, promoted: bool) -> None:
    """Lead from the run of a version's evaluation to the version, and say what came of it.

    Raises:
        TrackingError: The store failed.
    """
    with store.translated():
        store.client.set_tag(run_id, "llmflowlab.model_name", version.name)
        store.client.set_tag(run_id, "llmflowlab.model_version", version.version)
        store.client.set_tag(run_id, "llmflowlab.promoted", "true" if promoted else "false")


def roll_back(settings: Settings, store: Store, name: str, alias: str = CHAMPION) -> AliasMove:
    """Move an alias back to where it stood before its last move; a second time undoes that.

    Raises:
        InputError: It was never moved, was moved by another program since, or the version it stood
            on is gone.
        TrackingError: The store failed.
    """
    with exclusive(settings, _LOCK, patience=_PATIENCE):
        held = _holder(store, name, alias)
        moves = alias_history(store, name, alias)
        if not moves:
            raise InputError(f"Alias {alias} of {name} was never moved here; nothing to take back.")
        last, now = moves[-1], None if held is None else held.version
        if last.after != now:
            raise InputError(
                f"Alias {alias} of {name} stands on version {now or 'none'} and was last moved to "
                f"{last.after or 'none'} here: another program moved it. Set it by hand."
            )
        if last.before is not None:
            find_version(store, VersionName(name, version=last.before))
        return _move(store, name, alias, last.before, "rollback")


def _move(store: Store, name: str, alias: str, version: str | None, why: str) -> AliasMove:
    held = _holder(store, name, alias)
    before = None if held is None else held.version
    move = AliasMove(before=before, after=version, at=now_text(), why=why)
    client = store.client
    with store.translated():
        if version is None:
            client.delete_registered_model_alias(name, alias)
        else:
            client.set_registered_model_alias(name, alias, version)
    if before != version:
        kept = [*alias_history(store, name, alias), move][-_MOST_MOVES:]
        text = json.dumps([asdict(each) for each in kept], ensure_ascii=False)
        with store.translated():
            client.set_registered_model_tag(name, history_tag(alias), text)
    return move


def _holder(store: Store, name: str, alias: str) -> Version | None:
    from mlflow.exceptions import MlflowException

    with store.translated():
        try:
            aliases = dict(store.client.get_registered_model(name).aliases)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise InputError(
                f"There is no registered model {name!r}; `registry list` shows all."
            ) from exc
    if alias not in aliases:
        return None
    return find_version(store, VersionName(name, version=str(aliases[alias])))


def _refuse_champion(store: Store, version: Version, doing: str) -> None:
    held = _holder(store, version.name, CHAMPION)
    if held is not None and held.version == version.version:
        raise InputError(
            f"{version.reference} is the champion; promote another version or roll back before you "
            f"{doing} it."
        )
