"""A chat session as an MLflow run; every step may be repeated after a crash at any instant."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.chat_metrics import closing_tags, session_metrics, turn_metrics
from llmflowlab.tracking.local_records import artifact_record, run_parameters
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.records import SessionStart, TurnRecord
from llmflowlab.tracking.sessions import Session, Snapshot
from llmflowlab.tracking.store import Store
from llmflowlab.tracking.summaries import SessionSummary, answered, summarise

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

__all__ = ["EXPERIMENT", "ChatRuns"]

EXPERIMENT = "LLMS_Text_Generation"
_PARAMETER_LIMIT = 6000
"""Characters MLflow keeps of a parameter."""
_BATCH = 200
"""Traces per transaction."""


class ChatRuns:
    """Writes chat sessions into a store.

    Args:
        settings: Names the home.
        store: The open store.
        package: What is registered after a session; None registers nothing.
    """

    def __init__(self, settings: Settings, store: Store, package: ModelPackage | None) -> None:
        self._settings = settings
        self._store = store
        self._package = package

    def ensure_run(self, session: Session, snapshot: Snapshot) -> str | None:
        """Return the session's run, found or made; None where somebody deleted it in MLflow.

        Raises:
            TrackingError: The store failed.
        """
        if not session.run_checked:
            with self._store.translated():
                found = self._find_run(snapshot.start) if session.may_have_run else None
                session.may_have_run = True
                if found is not None and found.info.lifecycle_stage != "active":
                    return None
                session.run_id = found.info.run_id if found else self._create_run(snapshot.start)
            session.run_checked = True
        assert session.run_id is not None
        if not session.described:
            with self._store.translated():
                self._describe(session.run_id, snapshot.start)
            session.described = True
        return session.run_id

    def _find_run(self, start: SessionStart) -> Run | None:
        from mlflow.entities import ViewType

        found = self._store.client.search_runs(
            [self._store.experiment_id(EXPERIMENT)],
            f"tags.`llmflowlab.session_id` = '{start.session_id}'",
            run_view_type=ViewType.ALL,
            max_results=1,
        )
        return found[0] if found else None

    def _create_run(self, start: SessionStart) -> str:
        candidate = start.candidate
        tags = {
            "llmflowlab.session_id": start.session_id,
            "llmflowlab.provider": candidate.provider,
            "llmflowlab.model": candidate.model,
            "llmflowlab.candidate": candidate.version_digest,
            "mlflow.source.name": "llmflowlab chat",
            "mlflow.source.type": "LOCAL",
        }
        if start.continues:
            tags["llmflowlab.continues"] = start.continues
        run = self._store.client.create_run(
            self._store.experiment_id(EXPERIMENT),
            start_time=start.started_ms,
            tags=tags,
            run_name=f"Chat_{candidate.display_name}",
        )
        return str(run.info.run_id)

    def _describe(self, run_id: str, start: SessionStart) -> None:
        from mlflow.entities import Param

        client, prompt = self._store.client, start.candidate.system
        params = run_parameters(start.candidate)
        client.log_batch(run_id, params=[Param(name, _cut(v)) for name, v in params.items()])
        if prompt and len(prompt) > _PARAMETER_LIMIT:
            client.log_text(run_id, prompt, "system_prompt.txt")

    def write_turns(self, session: Session, snapshot: Snapshot, run_id: str) -> None:
        """Write turns, their metric steps and ratings that the store does not have yet.

        Raises:
            TrackingError: The store failed.
        """
        new = snapshot.turns[session.turns_stored :]
        rated = {rating.trace_id for rating in snapshot.ratings[session.ratings_stored :]}
        again = [t for t in snapshot.turns[: session.turns_stored] if t.trace_id in rated]
        if new or again:
            self._write_traces(snapshot, new, run_id, headers_only=again)
        if new:
            self._write_steps(new, run_id)
            self._write_served_model(snapshot.turns, run_id)
        session.turns_stored = len(snapshot.turns)
        session.ratings_stored = len(snapshot.ratings)

    def _write_traces(
        self,
        snapshot: Snapshot,
        turns: Sequence[TurnRecord],
        run_id: str,
        *,
        headers_only: Sequence[TurnRecord] = (),
    ) -> None:
        # Imported here: it imports MLflow.
        from llmflowlab.tracking.traces import turn_spans, turn_trace

        experiment, tracing = self._store.experiment_id(EXPERIMENT), self._store.tracing
        with self._store.translated():
            for turn in [*headers_only, *turns]:
                # The header goes first: a store that meets spans before their trace works longer.
                tracing.start_trace(
                    turn_trace(
                        snapshot.start,
                        turn,
                        snapshot.ratings,
                        experiment_id=experiment,
                        run_id=run_id,
                    )
                )
            for begin in range(0, len(turns), _BATCH):
                batch = turns[begin : begin + _BATCH]
                spans = [
                    span
                    for turn in batch
                    for span in turn_spans(snapshot.start, turn, experiment_id=experiment)
                ]
                tracing.log_spans(experiment, spans)

    def _write_steps(self, turns: Sequence[TurnRecord], run_id: str) -> None:
        from mlflow.entities import Metric

        # The journal's own times: a repeated delivery writes the same rows again.
        steps = [
            Metric(name, value, turn.started_ms + int(turn.inference_time * 1000), turn.index)
            for turn in turns
            for name, value in turn_metrics(turn).items()
        ]
        self._log_metrics(run_id, steps)

    def _log_metrics(self, run_id: str, metrics: Sequence[Metric]) -> None:
        with self._store.translated():
            for begin in range(0, len(metrics), 500):
                self._store.client.log_batch(run_id, metrics=metrics[begin : begin + 500])

    def _write_served_model(self, turns: Sequence[TurnRecord], run_id: str) -> None:
        """Log what the provider says it served; the first is the parameter, all are a tag."""
        from mlflow.entities import Param, RunTag

        served = list(dict.fromkeys(t.model_version for t in turns if t.model_version))
        if not served:
            return
        tags = [RunTag("llmflowlab.served_models", ", ".join(served)[:4000])] if served[1:] else []
        with self._store.translated():
            self._store.client.log_batch(
                run_id, params=[Param("model_version", _cut(served[0]))], tags=tags
            )

    def finish(self, snapshot: Snapshot, run_id: str) -> None:
        """Write totals, files and model version, read back what arrived, and end the run.

        Raises:
            TrackingError: The store failed, or does not hold what was written to it.
            OSError: Temporary files could not be written.
        """
        summary = summarise(snapshot.start, snapshot.turns, run_id=run_id)
        end_ms = snapshot.end_ms
        self._write_totals(snapshot, summary, run_id, end_ms)
        self._log_records(snapshot, run_id)
        candidate = snapshot.start.candidate
        if candidate.provider == "mlflow":
            self._name_version(candidate.model_id, run_id)
        elif self._package is not None and any(answered(turn) for turn in snapshot.turns):
            # Imported here: it is only needed at a session's end.
            from llmflowlab.tracking.registry import ModelRegistry

            ModelRegistry(self._settings, self._store, self._package).register(
                candidate,
                run_id=run_id,
                experiment_id=self._store.experiment_id(EXPERIMENT),
            )
        self._read_back(snapshot, run_id)
        status = "KILLED" if snapshot.crashed else "FINISHED"
        with self._store.translated():
            self._store.client.set_terminated(run_id, status=status, end_time=end_ms)

    def _name_version(self, model_id: str, run_id: str) -> None:
        """Name the version that a served model is of; registering it once more would lead in circles."""
        from mlflow.entities import RunTag

        # Of a server, what it said it serves stands behind its address.
        name, _, version = model_id.rpartition("#")[2].rpartition("/")
        if not version.isdigit() or "/" in name:
            return
        tags = [
            RunTag("llmflowlab.model_name", name),
            RunTag("llmflowlab.model_version", version),
        ]
        with self._store.translated():
            self._store.client.log_batch(run_id, tags=tags)

    def _write_totals(
        self, snapshot: Snapshot, summary: SessionSummary, run_id: str, end_ms: int
    ) -> None:
        from mlflow.entities import Metric, RunTag

        totals = session_metrics(summary)
        self._log_metrics(run_id, [Metric(n, value, end_ms, 0) for n, value in totals.items()])
        tags = [RunTag(name, value) for name, value in closing_tags(snapshot, summary).items()]
        with self._store.translated():
            self._store.client.log_batch(run_id, tags=tags)

    def _log_records(self, snapshot: Snapshot, run_id: str) -> None:
        candidate = snapshot.start.candidate
        records = [artifact_record(candidate, turn, run_id=run_id) for turn in snapshot.turns]
        text = json.dumps(records, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{candidate.provider}_artifacts.json"
            file.write_bytes(text.encode("utf-8", errors="replace"))
            with self._store.translated():
                self._store.client.log_artifact(run_id, str(file))

    def _read_back(self, snapshot: Snapshot, run_id: str) -> None:
        """Compare what the store holds with the journal, and write once more what is missing."""
        missing = self._missing(snapshot, run_id)
        if missing:
            self._write_traces(snapshot, missing, run_id)
            missing = self._missing(snapshot, run_id)
        if missing:
            raise TrackingError(
                f"MLflow took {len(snapshot.turns)} turns and holds "
                f"{len(snapshot.turns) - len(missing)} of them."
            )

    def _missing(self, snapshot: Snapshot, run_id: str) -> list[TurnRecord]:
        held: set[str] = set()
        token: str | None = None
        with self._store.translated():
            while True:
                page: Any = self._store.tracing.search_traces(
                    locations=[self._store.experiment_id(EXPERIMENT)],
                    run_id=run_id,
                    max_results=500,
                    page_token=token,
                    include_spans=False,
                )
                held |= {trace.info.trace_id for trace in page}
                token = page.token
                if not token:
                    break
        return [turn for turn in snapshot.turns if turn.trace_id not in held]


def _cut(text: str) -> str:
    return text if len(text) <= _PARAMETER_LIMIT else text[: _PARAMETER_LIMIT - 1] + "…"
