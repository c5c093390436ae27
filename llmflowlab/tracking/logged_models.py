"""The logged models of candidates: that of their registered version, else one that only names them.

A logged model gathers what was said of a candidate: MLflow's pages show its figures and traces over
all evaluations and chats.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from llmflowlab.candidate import Candidate
from llmflowlab.files import exclusive
from llmflowlab.settings import Settings
from llmflowlab.tracking.aliases import versions_of
from llmflowlab.tracking.page_links import candidate_note, note_of, prompt_tag
from llmflowlab.tracking.registry import registered_name
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "CANDIDATE",
    "LAST_RUN",
    "PATIENCE",
    "REGISTRY_LOCK",
    "SOURCE",
    "logged_model_of",
    "model_of",
    "model_of_version",
    "one_that_stays",
    "served_version",
]

CANDIDATE = "llmflowlab.candidate"
"""Tag with the candidate's `version_digest`."""
LAST_RUN = "llmflowlab.last_run"
"""Tag of a version with the run that used it last; one without it may yet yield to an equal one."""
SOURCE = "models:/"
"""What stands before a logged model's id in a version's source."""
REGISTRY_LOCK = "registry"
PATIENCE = 60.0
"""Seconds to wait for another process that changes models."""


def model_of(
    settings: Settings, store: Store, candidate: Candidate, *, experiment_id: str
) -> str | None:
    """Return the id of the logged model of a candidate; one that is not registered gets one.

    Args:
        settings: Names the home, whose lock keeps two processes from making it twice.
        store: The open store.
        candidate: Who answers.
        experiment_id: Where a model that is made stands.

    Returns:
        None where nobody is asked, or the model is one that this store does not know.

    Raises:
        TrackingError: The store failed.
    """
    if candidate.column is not None:
        return None
    if candidate.provider == "mlflow":
        return model_of_version(store, candidate.model_id)
    digest = candidate.version_digest
    with exclusive(settings, REGISTRY_LOCK, patience=PATIENCE), store.translated():
        known = versions_of(store.client, registered_name(candidate.provider))
        equal = [version for version in known if version.tags.get(CANDIDATE) == digest]
        if equal:
            return logged_model_of(str(one_that_stays(equal).source))
        found = store.client.search_logged_models(
            [experiment_id], filter_string=f"tags.`{CANDIDATE}` = '{digest}'"
        )
        model = (
            found[0]
            if found
            else store.client.create_logged_model(
                experiment_id,
                # MLflow refuses signs that references are full of.
                name=re.sub(r"[^\w-]+", "-", candidate.model),
                tags={
                    CANDIDATE: digest,
                    "mlflow.model.isExternal": "true",
                    # The variant tells it from others of one evaluation only.
                    **note_of(candidate_note(replace(candidate, variant=None))),
                    **prompt_tag(candidate.prompt),
                },
                params={"model": candidate.model},
                model_type="chat",
            )
        )
        if str(model.status) != "READY":
            store.client.finalize_logged_model(model.model_id, "READY")
        return str(model.model_id)


def one_that_stays(versions: Sequence[ModelVersion]) -> ModelVersion:
    """Return the latest version that is not taken back in favour of an equal one before it.

    Args:
        versions: The newest first; at least one.
    """
    stays, *below = versions
    for other in below:
        if LAST_RUN in stays.tags or other.tags.get(CANDIDATE) != stays.tags.get(CANDIDATE):
            break
        stays = other
    return stays


def served_version(model_id: str) -> tuple[str, str] | None:
    """Return name and number of the version that the provider `mlflow` serves; None of anything else."""
    # Of a server, what it said it serves stands behind its address.
    name, _, number = model_id.rpartition("#")[2].rpartition("/")
    return None if not number.isdigit() or "/" in name else (name, number)


def model_of_version(store: Store, model_id: str) -> str | None:
    """Return the logged model behind what the provider `mlflow` serves; None where it is not known.

    Args:
        store: The open store.
        model_id: `NAME/VERSION`, behind an address of a server or not.

    Raises:
        TrackingError: The store failed.
    """
    from mlflow.exceptions import MlflowException

    if (version := served_version(model_id)) is None:
        return None
    with store.translated():
        try:
            return logged_model_of(str(store.client.get_model_version(*version).source))
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None


def logged_model_of(source: str) -> str | None:
    """Return the logged model that a version was made of; None where it was made of files."""
    return source.removeprefix(SOURCE) if source.startswith(SOURCE + "m-") else None
