"""What the model registry holds: models, versions, aliases, and the runs behind each version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.messages import Parameters
from llmflowlab.program import program_name
from llmflowlab.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

__all__ = [
    "AliasMove",
    "EvaluationRun",
    "RegisteredModel",
    "Version",
    "VersionName",
    "alias_history",
    "evaluations_of",
    "find_version",
    "list_models",
    "model_config_of",
    "parse_version_name",
    "registered_name",
    "stage_of",
]

EVIDENCE = "llmflowlab.evidence."
"""What the tags begin with that say why a version became champion."""
_HISTORY = "llmflowlab.history."
_EVALUATIONS = "LLMS_Evaluation"
_PAGE = 200
_MOST_RUNS = 1000


@dataclass(frozen=True, slots=True)
class VersionName:
    """What a person wrote for a version: `NAME/VERSION` or `NAME@ALIAS`."""

    name: str
    version: str | None = None
    alias: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.alias}" if self.alias else f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a registered model."""

    name: str
    version: str
    stage: str | None
    """None where it was never moved to one."""
    aliases: tuple[str, ...]
    created_ms: int
    run_id: str | None
    """The run that it came from."""
    model: str | None
    """Model reference of the candidate; None for what is no single candidate."""
    source: str
    description: str
    tags: Mapping[str, str] = field(repr=False)

    @property
    def reference(self) -> str:
        """Return `NAME/VERSION`."""
        return f"{self.name}/{self.version}"

    @property
    def uri(self) -> str:
        return f"models:/{self.name}/{self.version}"

    @property
    def evidence(self) -> dict[str, str]:
        """What its promotion was founded on; empty where it was never promoted."""
        return {
            name.removeprefix(EVIDENCE): value
            for name, value in sorted(self.tags.items())
            if name.startswith(EVIDENCE)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    """A registered model with its versions, the newest first."""

    name: str
    description: str
    aliases: Mapping[str, str]
    versions: Sequence[Version]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """An evaluation in which a version, or a candidate that equals it, took part."""

    run_id: str
    evaluation_id: str | None
    dataset: str | None
    started_ms: int
    status: str
    scores: Mapping[str, float]
    """Means by scorer."""
    metrics: Mapping[str, float] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMove:
    """One move of an alias."""

    before: str | None
    """The version it stood on; None where it did not exist."""
    after: str | None
    at: str
    """`YYYY-MM-DD HH:MM:SS`, local."""
    why: str


def registered_name(provider: str) -> str:
    """Return the registered model's name of a provider."""
    return f"llm_{provider}_chat"


def stage_of(version: ModelVersion) -> str | None:
    """Return a version's stage; None where it has none, or MLflow has done away with stages."""
    stage = version.current_stage
    return None if stage in {None, "None", ""} else str(stage)


def parse_version_name(text: str) -> VersionName:
    """Read `NAME/VERSION` or `NAME@ALIAS`; MLflow's `models:/` may stand before it.

    Raises:
        InputError: It is neither.
    """
    cleaned = text.strip().removeprefix("models:/")
    name, at, alias = cleaned.rpartition("@")
    if at and name and alias and "/" not in cleaned:
        return VersionName(name, alias=alias)
    name, slash, version = cleaned.rpartition("/")
    if slash and name and "/" not in name and version.isascii() and version.isdigit():
        return VersionName(name, version=str(int(version)))
    raise InputError(
        f"{text!r} names no model version: write NAME/VERSION or NAME@ALIAS, as in "
        "llm_gemini_chat/3 or llm_gemini_chat@staging."
    )


def list_models(store: Store, name: str | None = None) -> list[RegisteredModel]:
    """Return the registered models, or the one of this name.

    Raises:
        InputError: There is none of this name.
        TrackingError: The store failed.
    """
    with store.translated():
        found = _all(lambda token: store.client.search_registered_models(None, _PAGE, None, token))
        models = [model for model in found if name is None or model.name == name]
        if name is not None and not models:
            raise InputError(
                f"There is no registered model {name!r}; `{program_name()} registry list` shows all."
            )
        return [_model(store, model) for model in sorted(models, key=lambda m: str(m.name))]


def find_version(store: Store, wanted: VersionName) -> Version:
    """Return a version by number or alias.

    Raises:
        InputError: There is none.
        TrackingError: The store failed.
    """
    from mlflow.exceptions import MlflowException

    client = store.client
    with store.translated():
        try:
            if wanted.alias is not None:
                found = client.get_model_version_by_alias(wanted.name, wanted.alias)
            else:
                found = client.get_model_version(wanted.name, str(wanted.version))
            aliases = dict(client.get_registered_model(wanted.name).aliases)
        except MlflowException as exc:
            if exc.error_code not in {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}:
                raise
            raise InputError(
                f"There is no model version {wanted}; `{program_name()} registry list` shows those "
                "there are."
            ) from exc
    return _version(found, aliases)


def alias_history(store: Store, name: str, alias: str) -> list[AliasMove]:
    """Return the moves of an alias that the lab made, the oldest first."""
    with store.translated():
        text = store.client.get_registered_model(name).tags.get(_HISTORY + alias)
    return [] if text is None else read_history(text, name)


def read_history(text: str, name: str) -> list[AliasMove]:
    """Read the tag that keeps an alias's history.

    Raises:
        TrackingError: Somebody changed it into something else.
    """
    try:
        return [AliasMove(**entry) for entry in json.loads(text)]
    except (ValueError, TypeError) as exc:
        raise TrackingError(
            f"The history of {name}'s alias cannot be read; delete the model's tag that begins "
            f"with {_HISTORY}."
        ) from exc


def history_tag(alias: str) -> str:
    """Return the name of the tag that keeps an alias's history."""
    return _HISTORY + alias


def model_config_of(store: Store, version: Version) -> dict[str, Any]:
    """Return what a version's `MLmodel` says of it: `config`, `task`, `streams`, `example`.

    Raises:
        TrackingError: The files are not there.
    """
    from mlflow.models import Model

    with store.translated():
        model = Model.load(version.uri)
    flavor = model.flavors.get("python_function") or {}
    return {
        "config": dict(flavor.get("config") or {}),
        "task": (model.metadata or {}).get("task"),
        "streams": bool(flavor.get("streamable")),
        "example": model.saved_input_example_info is not None,
        "mlflow_version": model.mlflow_version,
    }


def evaluations_of(
    store: Store, version: Version, config: Mapping[str, Any] | None = None
) -> list[EvaluationRun]:
    """Return the evaluations behind a version, the newest first.

    Those are the evaluations of the version itself (`mlflow:NAME/VERSION`), and, where its
    configuration is handed in, those of the same candidate: model, system prompt and parameters.

    Raises:
        TrackingError: The store failed.
    """
    references = [f"mlflow:{version.reference}"]
    if config and config.get("provider") and config.get("model"):
        references.append(f"{config['provider']}:{config['model']}")
    client = store.client
    with store.translated():
        experiment = client.get_experiment_by_name(_EVALUATIONS)
        if experiment is None:
            return []
        found = {}
        for position, reference in enumerate(references):
            quoted = reference.replace("'", "")
            runs = client.search_runs(
                [experiment.experiment_id],
                f"tags.`llmflowlab.model` = '{quoted}'",
                max_results=_MOST_RUNS,
            )
            for run in runs:
                if position == 0 or _same_candidate(run, config or {}):
                    found[run.info.run_id] = _evaluation(run)
    return sorted(found.values(), key=lambda run: -run.started_ms)


def _same_candidate(run: Run, config: Mapping[str, Any]) -> bool:
    params = run.data.params
    wanted = {
        name: str(value)
        for name, value in (config.get("parameters") or {}).items()
        if value is not None
    }
    names = tuple(field.name for field in fields(Parameters))
    if {name: params[name] for name in names if name in params} != wanted:
        return False
    # MLflow keeps so much of a parameter.
    system = str(config.get("system_prompt") or "")[:6000]
    if str(params.get("system_prompt") or "") != system:
        return False
    said = {name: config[name] for name in ("messages", "values") if config.get(name)}
    text = json.dumps(said, ensure_ascii=False)[:6000] if said else ""
    return str(params.get("prompt_template") or "") == text


def _evaluation(run: Run) -> EvaluationRun:
    metrics = dict(run.data.metrics)
    return EvaluationRun(
        run_id=str(run.info.run_id),
        evaluation_id=run.data.tags.get("llmflowlab.evaluation_id"),
        dataset=run.data.tags.get("llmflowlab.dataset"),
        started_ms=int(run.info.start_time),
        status=str(run.info.status),
        scores={
            name.removesuffix("/mean"): value
            for name, value in sorted(metrics.items())
            # Latency has a mean too, and is no score.
            if name.endswith("/mean") and f"{name.removesuffix('/mean')}/coverage" in metrics
        },
        metrics=metrics,
    )


def _model(store: Store, model: Any) -> RegisteredModel:
    quoted = str(model.name).replace("'", "\\'")
    versions: list[Any] = _all(
        lambda token: store.client.search_model_versions(
            f"name = '{quoted}'", _PAGE, page_token=token
        )
    )
    aliases = {alias: str(number) for alias, number in dict(model.aliases).items()}
    return RegisteredModel(
        name=str(model.name),
        description=str(model.description or ""),
        aliases=aliases,
        versions=sorted(
            (_version(version, aliases) for version in versions),
            key=lambda version: -int(version.version),
        ),
    )


def _version(found: ModelVersion, aliases: Mapping[str, Any]) -> Version:
    number = str(found.version)
    tags = dict(found.tags or {})
    return Version(
        name=str(found.name),
        version=number,
        stage=stage_of(found),
        aliases=tuple(sorted(alias for alias, held in aliases.items() if str(held) == number)),
        created_ms=int(found.creation_timestamp or 0),
        run_id=str(found.run_id) if found.run_id else None,
        model=tags.get("llmflowlab.model"),
        source=str(found.source),
        description=str(found.description or ""),
        tags=tags,
    )


def _all(page: Any) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    while True:
        part = page(token)
        found += part
        token = part.token
        if not token:
            return found
