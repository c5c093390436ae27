"""Scorers that were registered in MLflow for monitoring, as they are stored; none of them is run here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.settings import SERVING_EXPERIMENT
from llmflowlab.tracking.sinks.mlflow import EXPERIMENT as CHATS
from llmflowlab.tracking.store import Store

__all__ = ["RegisteredScorer", "registered_scorer"]

_EXPERIMENTS = (SERVING_EXPERIMENT, "LLMS_Evaluation", CHATS)
"""Where they are looked for; the first that has one of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredScorer:
    """A scorer of MLflow's that asks a judge."""

    name: str
    version: int
    model: str | None
    """The judge, as MLflow writes it; None where none was named."""
    builtin: str | None = None
    """The class of MLflow's own; None for one that somebody wrote the instructions of."""
    guidelines: tuple[str, ...] = ()
    instructions: str | None = None
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What the verdict must be, as a JSON schema."""


def registered_scorer(store: Store, name: str) -> RegisteredScorer:
    """Return the newest version of a registered scorer.

    Raises:
        InputError: There is none of that name, or MLflow alone can run it.
        TrackingError: The store failed.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.tracking._tracking_service.utils import _get_store

    with store.translated():
        # The store behind the client knows scorers; `get_scorer` would build what is stored.
        scorers: Any = _get_store(store.uri)  # type: ignore[no-untyped-call] # MLflow's own
        for experiment in _EXPERIMENTS:
            found = store.client.get_experiment_by_name(experiment)
            if found is None:
                continue
            try:
                version = scorers.get_scorer(found.experiment_id, name, None)
            except MlflowException as exc:
                if exc.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                continue
            return _read(name, version.scorer_version, json.loads(version._serialized_scorer))
    raise InputError(
        f"No scorer is registered as {name!r} in {', '.join(_EXPERIMENTS)}; register it there, as in "
        "make_judge(...).register(experiment_id=...)."
    )


def _read(name: str, version: int, stored: Mapping[str, Any]) -> RegisteredScorer:
    if stored.get("is_session_level_scorer"):
        raise InputError(
            f"mlflow:{name} scores whole sessions; here each answer is scored by itself."
        )
    written = stored.get("instructions_judge_pydantic_data")
    builtin = stored.get("builtin_scorer_pydantic_data")
    if written:
        return RegisteredScorer(
            name=name,
            version=version,
            model=written.get("model"),
            instructions=written.get("instructions") or "",
            answers=written.get("feedback_value_type") or {},
        )
    if builtin:
        rules = builtin.get("guidelines") or ()
        return RegisteredScorer(
            name=name,
            version=version,
            model=builtin.get("model"),
            builtin=stored["builtin_scorer_class"],
            guidelines=(rules,) if isinstance(rules, str) else tuple(rules),
        )
    what = "is a program" if stored.get("call_source") else "needs MLflow's own process to run"
    raise InputError(
        f"mlflow:{name} {what}, which the service does not carry out; register a judge with "
        "instructions, or use a scorer of the lab's."
    )
