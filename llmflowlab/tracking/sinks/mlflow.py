"""Chat sessions in MLflow: a run each, a trace a turn; every step may be repeated after a crash.

Importing this module imports no MLflow; `prepare` and `open` do.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.candidate import Candidate
from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.page_links import (
    LINKS_TO_PROMPTS,
    LOGGED_MODELS,
    candidate_note,
    linked_prompt,
    note_of,
    prompt_tag,
)
from llmflowlab.tracking.records import SessionStart, TurnRecord
from llmflowlab.tracking.registered_candidates import candidate_tags
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.sinks.local_files import artifact_record
from llmflowlab.tracking.store import Store, load_mlflow, open_store
from llmflowlab.tracking.store_errors import StoreBusy
from llmflowlab.tracking.summaries import (
    SessionSummary,
    answered,
    closing_tags,
    session_metrics,
    summarise,
    turn_metrics,
)
from llmflowlab.tracking.violations import TABLE, TABLE_TAG, table_of

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

__all__ = ["EXPERIMENT", "MlflowSink", "run_parameters"]

EXPERIMENT = "LLMS_Text_Generation"
_TASK = "text-generation"
_PARAMETER_LIMIT = 6000
"""Characters MLflow keeps of a parameter."""
_BATCH = 200
"""Traces per transaction."""


def run_parameters(candidate: Candidate) -> dict[str, str]:
    """Return a candidate as run parameters; `temperature` says `default` where none was set."""
    known = {
        "model_name": candidate.display_name,
        "supplier": candidate.supplier,
        "task": _TASK,
        "temperature": "default",
        "model_id": candidate.model_id,
        "system_prompt": candidate.system or None,
        "prompt_version": candidate.prompt,
        **candidate.template_param,
        **candidate.parameters.given(),
    }
    return {name: str(value) for name, value in known.items() if value is not None}


class MlflowSink:
    """Writes chat sessions into MLflow's store.

    Args:
        settings: Names the home and the store.
        package: What is registered after a session; None registers nothing.
        on_notice: Told in one sentence what the server is too old for.
    """

    name = "mlflow"
    place = "MLflow"
    local = False

    def __init__(
        self,
        settings: Settings,
        *,
        package: ModelPackage | None = None,
        on_notice: Callable[[str], None] | None = None,
    ) -> None:
        self._settings = settings
        self._notify = on_notice or (lambda text: None)
        self._said: list[str] = []
        self._package = package
        self._opened: Store | None = None
        self._runs: dict[str, str] = {}
        """By session, the runs that are known to be there and described."""
        self._tried: set[str] = set()
        """Sessions whose run an earlier attempt of this process may have made."""

    def prepare(self) -> None:
        """Import MLflow, now rather than after the first turn, when the person wants the prompt back."""
        load_mlflow(self._settings)

    @property
    def _store(self) -> Store:
        if self._opened is None:
            self._opened = open_store(self._settings)
        return self._opened

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor | None:
        """Return the session with its run, found or made; None where somebody deleted it in MLflow.

        Raises:
            TrackingError: The store failed.
        """
        id_ = session.start.session_id
        if id_ not in self._runs and not at.closed:
            may_have_run = session.recovered or id_ in self._tried
            with self._store.translated():
                found = self._find_run(session.start) if may_have_run else None
                self._tried.add(id_)
                if found is not None and found.info.lifecycle_stage != "active":
                    return None
                run_id = str(found.info.run_id) if found else self._create_run(session.start)
                self._describe(run_id, session.start)
            self._runs[id_] = run_id
        return replace(at, run_id=self._runs.get(id_, at.run_id))

    def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Write turns, their metric steps and ratings that the store does not have yet.

        Raises:
            TrackingError: The store failed.
        """
        if at.closed:
            return at
        new = session.turns[at.turns :]
        rated = {rating.trace_id for rating in session.ratings[at.ratings :]}
        again = [turn for turn in session.turns[: at.turns] if turn.trace_id in rated]
        with self._doubting(session):
            run_id = self._runs[session.start.session_id]
            if new or again:
                self._write_traces(session, new, run_id, headers_only=again)
            if new:
                self._write_steps(new, run_id)
                self._write_served_model(session.turns, run_id)
        return replace(at, turns=len(session.turns), ratings=len(session.ratings))

    def close(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        """Write totals, files and model version, read back what arrived, and end the run.

        Raises:
            TrackingError: The store failed, or does not hold what was written to it.
            OSError: Temporary files could not be written.
        """
        with self._doubting(session):
            self._finish(session, self._runs[session.start.session_id])
        if self._store.too_old() != self._said:
            self._said = self._store.too_old()
            for sentence in self._said:
                self._notify(sentence)
        return replace(at, closed=True)

    @contextlib.contextmanager
    def _doubting(self, session: SessionSnapshot) -> Iterator[None]:
        """Look for the run once more after a failure: somebody may have deleted it."""
        try:
            yield
        except StoreBusy:
            raise
        except Exception:
            self._runs.pop(session.start.session_id, None)
            raise

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
            **candidate_tags(candidate),
            **note_of(candidate_note(candidate)),
            **prompt_tag(candidate.prompt),
        }
        if start.continues:
            tags["llmflowlab.continues"] = start.continues
        if start.replays:
            tags["llmflowlab.replays"] = start.replays
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

    def _write_traces(
        self,
        snapshot: SessionSnapshot,
        turns: Sequence[TurnRecord],
        run_id: str,
        *,
        headers_only: Sequence[TurnRecord] = (),
        model_id: str | None = None,
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
                        model_id=model_id,
                    )
                )
            prompt = snapshot.start.candidate.prompt
            if prompt is not None:
                with self._store.if_known(LINKS_TO_PROMPTS):
                    for turn in turns:
                        tracing.store.link_prompts_to_trace(turn.trace_id, [linked_prompt(prompt)])
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

    def _finish(self, session: SessionSnapshot, run_id: str) -> None:
        summary = summarise(session.start, session.turns, run_id=run_id)
        end_ms = session.end_ms
        self._log_records(session, run_id)
        model_id = self._register(session, run_id)
        self._write_totals(session, summary, run_id, end_ms, model_id)
        self._read_back(session, run_id, model_id)
        status = "KILLED" if session.crashed else "FINISHED"
        with self._store.translated():
            self._store.client.set_terminated(run_id, status=status, end_time=end_ms)

    def _register(self, session: SessionSnapshot, run_id: str) -> str | None:
        """Give the run its model version; returns its logged model.

        None for a session in which nothing was answered, which has none.
        """
        # Imported here: it is only needed at a session's end.
        from llmflowlab.tracking.registry_changes import ModelRegistry, name_served_version

        candidate = session.start.candidate
        if candidate.provider == "mlflow":
            return name_served_version(self._store, candidate.model_id, run_id=run_id)
        if self._package is None or not any(answered(turn) for turn in session.turns):
            return None
        registry = ModelRegistry(self._settings, self._store, self._package)
        experiment, model_id = self._store.experiment_id(EXPERIMENT), None
        with self._store.if_known(LOGGED_MODELS):
            made = registry.register(candidate, run_id=run_id, experiment_id=experiment)
            model_id = made.model_id
        return model_id  # noqa: RET504 - None where the block was not done

    def _write_totals(
        self,
        snapshot: SessionSnapshot,
        summary: SessionSummary,
        run_id: str,
        end_ms: int,
        model_id: str | None,
    ) -> None:
        from mlflow.entities import Metric, RunTag

        totals = session_metrics(summary)
        self._log_metrics(
            run_id,
            # Of the run, so also on the page of its model.
            [Metric(n, v, end_ms, 0, model_id=model_id, run_id=run_id) for n, v in totals.items()],
        )
        tags = [RunTag(name, value) for name, value in closing_tags(snapshot, summary).items()]
        with self._store.translated():
            self._store.client.log_batch(run_id, tags=tags)

    def _log_records(self, snapshot: SessionSnapshot, run_id: str) -> None:
        candidate = snapshot.start.candidate
        records = [artifact_record(candidate, turn, run_id=run_id) for turn in snapshot.turns]
        text = json.dumps(records, ensure_ascii=False, indent=2, allow_nan=False) + "\n"
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            file = Path(folder) / f"{candidate.provider}_artifacts.json"
            file.write_bytes(text.encode("utf-8", errors="replace"))
            files = [file]
            found = [(turn.trace_id, each) for turn in snapshot.turns for each in turn.violations]
            if found:
                files.append(Path(folder) / TABLE)
                files[-1].write_bytes(table_of(found).encode("utf-8", errors="replace"))
            with self._store.translated():
                for each in files:
                    self._store.client.log_artifact(run_id, str(each))
                for name, value in TABLE_TAG.items() if found else ():
                    self._store.client.set_tag(run_id, name, value)

    def _read_back(self, snapshot: SessionSnapshot, run_id: str, model_id: str | None) -> None:
        """Compare what the store holds with the journal, and write once more what is missing.

        The model is known at the end only, so a header that does not name it is written again.
        """
        held = self._held(run_id)
        missing = [turn for turn in snapshot.turns if turn.trace_id not in held]
        unlinked = [t for t in snapshot.turns if held.get(t.trace_id, model_id) != model_id]
        if missing or unlinked:
            self._write_traces(snapshot, missing, run_id, headers_only=unlinked, model_id=model_id)
        if missing:
            held = self._held(run_id)
            missing = [turn for turn in snapshot.turns if turn.trace_id not in held]
        if missing:
            raise TrackingError(
                f"MLflow took {len(snapshot.turns)} turns and holds "
                f"{len(snapshot.turns) - len(missing)} of them."
            )

    def _held(self, run_id: str) -> dict[str, str | None]:
        """Return a run's traces in the store, and the logged model that each names."""
        from mlflow.tracing.constant import TraceMetadataKey

        held: dict[str, str | None] = {}
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
                for trace in page:
                    named = trace.info.trace_metadata.get(TraceMetadataKey.MODEL_ID)
                    held[trace.info.trace_id] = named
                token = page.token
                if not token:
                    return held


def _cut(text: str) -> str:
    return text if len(text) <= _PARAMETER_LIMIT else text[: _PARAMETER_LIMIT - 1] + "…"
