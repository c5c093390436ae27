"""Changes to the model registry: registration, aliases with their history, stages, deletion.

Alias `champion` moves by `move_champion` (evidence) and `roll_back` alone.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.files import exclusive
from llmflowlab.program import program_name
from llmflowlab.settings import Settings
from llmflowlab.tracking.aliases import (
    CHAMPION,
    STAGING,
    move_alias,
    set_stage,
    settle_stages,
    versions_of,
)
from llmflowlab.tracking.logged_models import (
    CANDIDATE,
    LAST_RUN,
    PATIENCE,
    REGISTRY_LOCK,
    SOURCE,
    model_of_version,
    one_that_stays,
    served_version,
)
from llmflowlab.tracking.model_files import write_model
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.page_links import candidate_note, note_of, prompt_tag
from llmflowlab.tracking.registry import (
    EVIDENCE,
    AliasMove,
    Version,
    VersionName,
    alias_history,
    find_version,
    registered_name,
)
from llmflowlab.tracking.registry_races import first_of_equals, show_latest
from llmflowlab.tracking.store import Store
from llmflowlab.tracking.store_errors import is_collision

if TYPE_CHECKING:
    from mlflow.entities import RunTag
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "CHAMPION",
    "ModelRegistry",
    "RegisteredAs",
    "archive",
    "champion_of",
    "confirm_champion",
    "delete",
    "mark_evaluated",
    "move_champion",
    "name_served_version",
    "register_logged",
    "roll_back",
    "set_alias",
]

_TRIES = 3
"""Registrations begun where other homes come in between: what was done of the last one stands."""


@dataclass(frozen=True, slots=True)
class RegisteredAs:
    """What a session's candidate is registered as."""

    version: str
    model_id: str
    """The logged model behind the version."""


class ModelRegistry:
    """Registers the models of sessions: one name a provider, a version for each candidate in a row.

    Args:
        settings: Names the home, whose lock keeps two processes from registering at once.
        store: The open store.
        package: The code of every chat model.
    """

    def __init__(self, settings: Settings, store: Store, package: ModelPackage) -> None:
        self._settings = settings
        self._store = store
        self._package = package

    def register(self, candidate: Candidate, *, run_id: str, experiment_id: str) -> RegisteredAs:
        """Give a session's run its model version; safe to repeat after a crash at any point.

        A new version is made only where the candidate differs from the latest version's.

        Raises:
            TrackingError: The store or the registry failed.
            OSError: The model's files could not be prepared.
        """
        with exclusive(self._settings, REGISTRY_LOCK, patience=PATIENCE):
            left = _TRIES
            while True:
                left -= 1
                try:
                    return self._register(candidate, run_id, experiment_id)
                except TrackingError as exc:
                    if not left or not is_collision(exc):
                        raise

    def _register(self, candidate: Candidate, run_id: str, experiment_id: str) -> RegisteredAs:
        name, client = registered_name(candidate.provider), self._store.client
        with self._store.translated():
            linked = self._linked(run_id)
            version = self._find(name, candidate, run_id, linked) or self._create(
                name, candidate, run_id, experiment_id
            )
            if version.run_id == run_id:
                version = first_of_equals(client, version)
            number = str(version.version)
            client.set_model_version_tag(name, number, LAST_RUN, run_id)
            show_latest(self._store, name)
            model_id = str(version.source).removeprefix(SOURCE)
            if model_id not in linked:
                self._link(run_id, model_id)
            client.log_batch(run_id, tags=_version_tags(name, number))
        return RegisteredAs(number, model_id)

    def _find(
        self, name: str, candidate: Candidate, run_id: str, linked: frozenset[str]
    ) -> ModelVersion | None:
        """Return the version this run belongs to; None where none is made yet."""
        versions = versions_of(self._store.client, name)
        equal = [v for v in versions if v.tags.get(CANDIDATE) == candidate.version_digest]
        # The run's own, from a delivery that was cut off, goes before the latest one.
        for version in equal:
            own = run_id in (version.run_id, version.tags.get(LAST_RUN))
            if own or str(version.source).removeprefix(SOURCE) in linked:
                return version
        latest = one_that_stays(versions) if versions else None
        return latest if latest in equal else None

    def _create(
        self, name: str, candidate: Candidate, run_id: str, experiment_id: str
    ) -> ModelVersion:
        words = f"Chats with {candidate.display_name}, as LLMFlowLab held them."
        model_id = self._logged_model(name, candidate, run_id, experiment_id)
        tags = {CANDIDATE: candidate.version_digest, "llmflowlab.model": candidate.model}
        return _version_of(self._store, name, model_id, run_id=run_id, tags=tags, words=words)

    def _logged_model(
        self, name: str, candidate: Candidate, run_id: str, experiment_id: str
    ) -> str:
        """Log the model's files and return its id; those of a delivery that was cut off are reused."""
        client = self._store.client
        found = client.search_logged_models(
            [experiment_id], filter_string=f"source_run_id = '{run_id}'"
        )
        for model in found:
            if str(model.status) == "READY":
                return str(model.model_id)
        model = (
            found[0]
            if found
            else client.create_logged_model(
                experiment_id,
                name=name,
                source_run_id=run_id,
                tags={
                    CANDIDATE: candidate.version_digest,
                    **note_of(candidate_note(candidate)),
                    **prompt_tag(candidate.prompt),
                },
                params={"model": candidate.model},
                model_type="chat",
            )
        )
        model_id = str(model.model_id)
        # A program that ends meanwhile empties the folder under this thread's hands.
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary) / "model"
            write_model(
                folder,
                self._package,
                candidate,
                model_id=model_id,
                run_id=run_id,
                artifact_location=model.artifact_location,
            )
            client.log_model_artifacts(model_id, str(folder))
        client.finalize_logged_model(model_id, "READY")
        return model_id

    def _linked(self, run_id: str) -> frozenset[str]:
        """Return the models that the run names as its outputs."""
        outputs = self._store.client.get_run(run_id).outputs
        return frozenset(m.model_id for m in outputs.model_outputs) if outputs else frozenset()

    def _link(self, run_id: str, model_id: str) -> None:
        """Name the model as the run's output; MLflow refuses to be told twice."""
        from mlflow.entities import LoggedModelOutput

        self._store.client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])


def register_logged(
    settings: Settings,
    store: Store,
    name: str,
    model_id: str,
    *,
    run_id: str,
    tags: Mapping[str, str],
) -> str:
    """Make a version of a logged model, give it alias and stage `staging`, and return its number.

    Raises:
        TrackingError: The store failed.
    """
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE), store.translated():
        # Each is a version of its own, whatever it equals.
        own = {**tags, LAST_RUN: run_id}
        version = _version_of(store, name, model_id, run_id=run_id, tags=own)
        show_latest(store, name)
        number = str(version.version)
        store.client.log_batch(run_id, tags=_version_tags(name, number))
    return number


def _version_of(
    store: Store,
    name: str,
    model_id: str,
    *,
    run_id: str,
    tags: Mapping[str, str],
    words: str | None = None,
) -> ModelVersion:
    from mlflow.exceptions import MlflowException

    client = store.client
    try:
        client.create_registered_model(name, description=words)
    except MlflowException as exc:
        if exc.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    version = client.create_model_version(
        name, source=SOURCE + model_id, run_id=run_id, model_id=model_id, tags=dict(tags)
    )
    # A server does this itself; it is how MLflow's pages lead from a model to its versions.
    versions = json.dumps([{"name": name, "version": int(version.version)}])
    client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
    return version


def name_served_version(store: Store, model_id: str, *, run_id: str) -> str | None:
    """Name in a run the version that a served model is of; to register it again would be a circle.

    Returns:
        Its logged model; None where the store does not know it.

    Raises:
        TrackingError: The store failed.
    """
    from mlflow.entities import LoggedModelInput

    if (version := served_version(model_id)) is None:
        return None
    with store.translated():
        store.client.log_batch(run_id, tags=_version_tags(*version))
        logged = model_of_version(store, model_id)
        if logged is not None:
            store.client.log_inputs(run_id, models=[LoggedModelInput(logged)])
        return logged


def _version_tags(name: str, number: str) -> list[RunTag]:
    from mlflow.entities import RunTag

    return [
        RunTag("llmflowlab.model_name", name),
        RunTag("llmflowlab.model_version", number),
    ]


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
            f"{program_name()} registry promote {version.reference} --benchmark FILE, or "
            f"{program_name()} registry rollback {version.name}."
        )
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE):
        return move_alias(store, version.name, alias, version.version, "set by hand")


def archive(settings: Settings, store: Store, version: Version) -> None:
    """Move a version to stage Archived; alias `staging`, where it holds it, is taken away.

    Raises:
        InputError: It is the champion.
        TrackingError: The store failed.
    """
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE), store.translated():
        _refuse_champion(store, version, "archive")
        held = _holder(store, version.name, STAGING)
        if held is not None and held.version == version.version:
            move_alias(store, version.name, STAGING, None, "archived")
        set_stage(store.client, version.name, version.version, "Archived")


def delete(settings: Settings, store: Store, version: Version) -> None:
    """Delete a version with its aliases; its run and its logged model stay.

    Raises:
        InputError: It is the champion.
        TrackingError: The store failed.
    """
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE):
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
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE):
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
        return move_alias(store, version.name, CHAMPION, version.version, why)


def confirm_champion(settings: Settings, store: Store, version: Version) -> None:
    """See that the champion has the stage of one; homes of earlier versions archived theirs.

    Raises:
        TrackingError: The store failed.
    """
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE), store.translated():
        settle_stages(store.client, version.name)


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
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE):
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
        return move_alias(store, name, alias, last.before, "rollback")


def _holder(store: Store, name: str, alias: str) -> Version | None:
    from mlflow.exceptions import MlflowException

    with store.translated():
        try:
            aliases = dict(store.client.get_registered_model(name).aliases)
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise InputError(
                f"There is no registered model {name!r}; `{program_name()} registry list` shows all."
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
