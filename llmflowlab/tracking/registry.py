"""Registered chat models: one name per provider, one version per candidate in a row.

Alias `champion` is never touched here; it moves by evidence only.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.candidate import Candidate
from llmflowlab.files import exclusive
from llmflowlab.settings import Settings
from llmflowlab.tracking.model_files import write_model
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.stages import KEPT_STAGES, set_stage, stage_of
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["ModelRegistry", "registered_name"]

_CANDIDATE = "llmflowlab.candidate"
_SOURCE = "models:/"
"""What stands before a logged model's id in a version's source."""


def registered_name(provider: str) -> str:
    """Return the registered model's name of a provider."""
    return f"llm_{provider}_chat"


class ModelRegistry:
    """Registers the models of sessions.

    Args:
        settings: Names the home, whose lock keeps two processes from registering at once.
        store: The open store.
        package: The code of every chat model.
    """

    def __init__(self, settings: Settings, store: Store, package: ModelPackage) -> None:
        self._settings = settings
        self._store = store
        self._package = package

    def register(self, candidate: Candidate, *, run_id: str, experiment_id: str) -> str:
        """Give a session's run its model version; safe to repeat after a crash at any point.

        A new version is made only where the candidate differs from the latest version's.

        Returns:
            The version.

        Raises:
            TrackingError: The store or the registry failed.
            OSError: The model's files could not be prepared.
        """
        from mlflow.entities import RunTag

        name, client = registered_name(candidate.provider), self._store.client
        with exclusive(self._settings, "registry", patience=60.0), self._store.translated():
            version, latest = self._find(name, candidate, run_id)
            if version is None:
                version = latest = self._create(name, candidate, run_id, experiment_id)
            number = str(version.version)
            if version is latest:
                if stage_of(version) not in KEPT_STAGES:
                    set_stage(client, name, number, "Staging", archive_others=True)
                client.set_registered_model_alias(name, "staging", number)
            client.set_model_version_tag(name, number, "llmflowlab.last_run", run_id)
            self._link(run_id, str(version.source).removeprefix(_SOURCE))
            tags = [
                RunTag("llmflowlab.model_name", name),
                RunTag("llmflowlab.model_version", number),
            ]
            client.log_batch(run_id, tags=tags)
        return number

    def _find(
        self, name: str, candidate: Candidate, run_id: str
    ) -> tuple[ModelVersion | None, ModelVersion | None]:
        """Return the version this run belongs to, and the latest one; None where there is none."""
        client = self._store.client
        digest = candidate.version_digest
        versions = list(client.search_model_versions(f"name = '{name}'"))
        latest = max(versions, key=lambda v: int(v.version), default=None)
        # The run's own, from a delivery that was cut off, goes before the latest one.
        own = [v for v in versions if v.run_id == run_id and v.tags.get(_CANDIDATE) == digest]
        if own:
            mine = max(own, key=lambda v: int(v.version))
            return (latest if latest and mine.version == latest.version else mine), latest
        if latest is not None and latest.tags.get(_CANDIDATE) == digest:
            return latest, latest
        return None, latest

    def _create(
        self, name: str, candidate: Candidate, run_id: str, experiment_id: str
    ) -> ModelVersion:
        from mlflow.exceptions import MlflowException

        client = self._store.client
        try:
            client.create_registered_model(
                name, description=f"Chats with {candidate.display_name}, as LLMFlowLab held them."
            )
        except MlflowException as exc:
            if exc.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        model_id = self._logged_model(name, candidate, run_id, experiment_id)
        version = client.create_model_version(
            name,
            source=_SOURCE + model_id,
            run_id=run_id,
            model_id=model_id,
            tags={_CANDIDATE: candidate.version_digest, "llmflowlab.model": candidate.model},
        )
        # A server does this itself; it is how MLflow's pages lead from a model to its versions.
        versions = json.dumps([{"name": name, "version": int(version.version)}])
        client.set_logged_model_tags(model_id, {"mlflow.modelVersions": versions})
        return version

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
                tags={_CANDIDATE: candidate.version_digest},
                params={"model": candidate.model},
                model_type="chat",
            )
        )
        model_id = str(model.model_id)
        with tempfile.TemporaryDirectory() as temporary:
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

    def _link(self, run_id: str, model_id: str) -> None:
        """Name the model as the run's output; MLflow refuses to be told twice."""
        from mlflow.entities import LoggedModelOutput

        client = self._store.client
        outputs = client.get_run(run_id).outputs
        if outputs is None or all(m.model_id != model_id for m in outputs.model_outputs):
            client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
