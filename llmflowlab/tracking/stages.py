"""Stages of model versions: the one place that knows them, for MLflow means to remove them.

When it does, `set_stage` does nothing and `stage_of` returns None; everything else goes on by alias.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

__all__ = ["KEPT_STAGES", "Stage", "set_stage", "stage_of"]

Stage: TypeAlias = Literal["None", "Staging", "Production", "Archived"]

KEPT_STAGES = frozenset({"Staging", "Production"})
"""Stages that a version already in them keeps: nothing is taken out of production by a chat."""


def set_stage(
    client: MlflowClient, name: str, version: str, stage: Stage, *, archive_others: bool = False
) -> None:
    """Move a version to a stage; `archive_others` takes the versions that hold it out of it."""
    with warnings.catch_warnings():
        # MLflow prefers aliases to stages; the lab promises both.
        warnings.simplefilter("ignore", FutureWarning)
        client.transition_model_version_stage(
            name, version, stage, archive_existing_versions=archive_others
        )


def stage_of(version: ModelVersion) -> str | None:
    """Return a version's stage; None where it has none."""
    stage = version.current_stage
    return None if stage in {None, "None", ""} else str(stage)
