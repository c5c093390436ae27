"""What a service answered, in MLflow: a run for each model that it was started with, a trace for each answer.

Every step may be repeated: runs are found by their tag, traces have ids of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmflowlab.candidate import Candidate
from llmflowlab.settings import SERVING_EXPERIMENT, Settings
from llmflowlab.text.digests import digest_of
from llmflowlab.tracking.logged_models import logged_model_of
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.page_links import (
    LINKS_TO_PROMPTS,
    LOGGED_MODELS,
    candidate_note,
    linked_prompt,
    note_of,
    prompt_tag,
)
from llmflowlab.tracking.records import (
    RatingRecord,
    SessionStart,
    TurnRecord,
)
from llmflowlab.tracking.registered_candidates import candidate_tags
from llmflowlab.tracking.sinks.mlflow import run_parameters
from llmflowlab.tracking.store import Store, load_mlflow, open_store
from llmflowlab.tracking.summaries import session_metrics, summarise

if TYPE_CHECKING:
    from llmflowlab.tracking.evaluation_rows import AssessmentValue

__all__ = ["ServedTurn", "ServiceRuns"]

_TAG = "llmflowlab.deployment"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedTurn:
    """An answer on its way to MLflow."""

    session_id: str | None
    record: TurnRecord
    ratings: tuple[RatingRecord, ...]
    rater: str
    """Who rated it: the name of a key, or the person of this account."""
    tags: Mapping[str, str]
    scores: Sequence[tuple[AssessmentValue, int]] = ()
    """What scorers said of it, each with when, in milliseconds since the epoch."""
    again: bool = False
    """Whether the trace is there, and only what was said of it is new."""


class ServiceRuns:
    """Writes them.

    Args:
        settings: Names the store.
        package: What is registered of a model that answered.
    """

    def __init__(self, settings: Settings, package: ModelPackage) -> None:
        self._settings = settings
        self._package = package
        load_mlflow(settings)
        self._store: Store = open_store(settings)
        self._runs: dict[str, tuple[str, str | None]] = {}
        self._homes: dict[str, str] = {}

    def write(
        self, deployment: str, candidate: Candidate, begun_ms: int, turns: Sequence[ServedTurn]
    ) -> None:
        """Write answers of one deployment, in one transaction where the store has such.

        Raises:
            TrackingError: The store failed; writing them again does no harm.
        """
        # Imported here: they import MLflow.
        from llmflowlab.tracking.evaluation_rows import feedback_of
        from llmflowlab.tracking.traces import turn_spans, turn_trace

        experiment, tracing = self._home(candidate), self._store.tracing
        run_id, model_id = self._run(deployment, candidate, begun_ms)
        spans: list[Any] = []
        with self._store.translated():
            for turn in turns:
                start = _start(turn.session_id or turn.record.trace_id, candidate, begun_ms)
                info = turn_trace(
                    start,
                    turn.record,
                    turn.ratings,
                    experiment_id=experiment,
                    run_id=run_id,
                    model_id=model_id,
                    rater=turn.rater,
                )
                info.tags.update(turn.tags)
                for value, at_ms in turn.scores:
                    said = feedback_of(value, info.trace_id, run_id=run_id, at_ms=at_ms)
                    said.assessment_id = _assessment_id(info.trace_id, value.name)
                    info.assessments.append(said)
                tracing.start_trace(info)
                if not turn.again:
                    spans += turn_spans(start, turn.record, experiment_id=experiment)
            if spans:
                tracing.log_spans(experiment, spans)
            if candidate.prompt is not None:
                with self._store.if_known(LINKS_TO_PROMPTS):
                    for turn in turns:
                        tracing.store.link_prompts_to_trace(
                            turn.record.trace_id, [linked_prompt(candidate.prompt)]
                        )

    def total(
        self,
        deployment: str,
        candidate: Candidate,
        begun_ms: int,
        turns: Sequence[TurnRecord],
        *,
        scores: Mapping[str, float],
        ended_ms: int | None,
    ) -> None:
        """Write what all answers of a deployment come to.

        Args:
            deployment: Its id.
            candidate: Who answered.
            begun_ms: When it began, in milliseconds since the epoch.
            turns: All of them; their texts are not looked at.
            scores: What scorers said of them, as metrics.
            ended_ms: When the service ended; None where it goes on.

        Raises:
            TrackingError: The store failed.
        """
        from mlflow.entities import Metric

        run_id, _ = self._run(deployment, candidate, begun_ms)
        start = _start(deployment, candidate, begun_ms)
        found = {**session_metrics(summarise(start, turns, run_id=run_id)), **scores}
        at = ended_ms or max((turn.started_ms for turn in turns), default=begun_ms)
        with self._store.translated():
            self._store.client.log_batch(
                run_id,
                metrics=[Metric(name, value, at, len(turns)) for name, value in found.items()],
            )
            if ended_ms is None:
                # Another machine's courier, which delivered for this service too, may have ended it.
                self._store.client.update_run(run_id, status="RUNNING")
            else:
                self._store.client.set_terminated(run_id, status="FINISHED", end_time=ended_ms)

    def _run(self, deployment: str, candidate: Candidate, begun_ms: int) -> tuple[str, str | None]:
        if deployment not in self._runs:
            with self._store.translated():
                run_id = self._found(deployment, candidate) or self._made(
                    deployment, candidate, begun_ms
                )
            self._runs[deployment] = run_id, self._registered(run_id, candidate)
        return self._runs[deployment]

    def _home(self, candidate: Candidate) -> str:
        """Return the experiment that answers belong to: a registered version's own, where it has one."""
        if candidate.model not in self._homes:
            self._homes[candidate.model] = self._own_home(candidate) or self._store.experiment_id(
                SERVING_EXPERIMENT
            )
        return self._homes[candidate.model]

    def _own_home(self, candidate: Candidate) -> str | None:
        # Imported here: it imports MLflow.
        from llmflowlab.tracking.registry import find_version, parse_version_name

        if candidate.provider != "mlflow":
            return None
        version = find_version(self._store, parse_version_name(candidate.model_id))
        model_id = logged_model_of(version.source)
        if model_id is None:
            return None
        found: str | None = None
        with self._store.translated(), self._store.if_known(LOGGED_MODELS):
            found = str(self._store.client.get_logged_model(model_id).experiment_id)
        return found  # noqa: RET504 - None where the block was not done

    def _found(self, deployment: str, candidate: Candidate) -> str | None:
        found = self._store.client.search_runs(
            [self._home(candidate)],
            f"tags.`{_TAG}` = '{deployment}'",
            max_results=1,
        )
        return str(found[0].info.run_id) if found else None

    def _made(self, deployment: str, candidate: Candidate, begun_ms: int) -> str:
        from mlflow.entities import Param

        tags = {
            _TAG: deployment,
            "llmflowlab.provider": candidate.provider,
            "llmflowlab.model": candidate.model,
            "llmflowlab.candidate": candidate.version_digest,
            "mlflow.source.name": "llmflowlab serve",
            "mlflow.source.type": "LOCAL",
            **candidate_tags(candidate),
            **note_of(candidate_note(candidate)),
            **prompt_tag(candidate.prompt),
        }
        client = self._store.client
        run = client.create_run(
            self._home(candidate),
            start_time=begun_ms,
            tags=tags,
            run_name=f"Serve_{candidate.display_name}",
        )
        run_id = str(run.info.run_id)
        params = run_parameters(candidate).items()
        client.log_batch(run_id, params=[Param(name, value[:6000]) for name, value in params])
        return run_id

    def _registered(self, run_id: str, candidate: Candidate) -> str | None:
        """Give the run its model version; None where the store does not know its logged model."""
        # Imported here: it is needed once.
        from llmflowlab.tracking.registry_changes import ModelRegistry, name_served_version

        if candidate.provider == "mlflow":
            return name_served_version(self._store, candidate.model_id, run_id=run_id)
        registry = ModelRegistry(self._settings, self._store, self._package)
        experiment, model_id = self._home(candidate), None
        with self._store.if_known(LOGGED_MODELS):
            made = registry.register(candidate, run_id=run_id, experiment_id=experiment)
            model_id = made.model_id
        return model_id  # noqa: RET504 - None where the block was not done


def _start(session_id: str, candidate: Candidate, begun_ms: int) -> SessionStart:
    return SessionStart(session_id=session_id, candidate=candidate, started="", started_ms=begun_ms)


def _assessment_id(trace_id: str, scorer: str) -> str:
    """Return an id of ours, by which a repeated delivery overwrites; MLflow takes 50 characters."""
    return f"a-{trace_id.removeprefix('tr-')}-s{digest_of([scorer])[:12]}"
