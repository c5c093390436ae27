"""Evaluation runs in MLflow: a run per candidate, under a parent where there are several.

Every write can be repeated: runs are found again by tag, traces have ids of ours, metrics carry one
timestamp. So a recording that was cut off is finished by doing it once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlflow.entities import (
    Assessment,
    AssessmentError,
    AssessmentSource,
    Dataset,
    DatasetInput,
    Expectation,
    Feedback,
    InputTag,
    LoggedModelInput,
    Metric,
    Param,
    RunTag,
    Span,
)

from llmflowlab.tracking.evaluation_books import (
    DIGEST_TAG,
    SOURCE_RUN,
    HeldTrace,
    held_traces,
    not_held,
)
from llmflowlab.tracking.spans import SpanSpec, TokenUse, TraceSpec, build_spans, build_trace_info
from llmflowlab.tracking.store import Store

__all__ = ["AssessmentValue", "EvaluationRuns", "RowTrace", "RunSpec", "end_runs"]

EXPERIMENT = "LLMS_Evaluation"
_BATCH = 200
"""Traces per transaction: the measured best between speed and what a crash repeats."""
_AT_ONCE = 4
"""Requests to a tracking server at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessmentValue:
    """A score as MLflow keeps it: a value, or an error that says why there is none."""

    name: str
    value: float | str | None
    error: str | None = None
    """Reason for not being scored; MLflow leaves such assessments out of its means."""
    rationale: str | None = None
    judge: str | None = None
    """Model reference of the judge; None for code."""
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTrace:
    """A row's answer as a trace: root span with the question, child spans with the calls."""

    trace_id: str
    run_id: str
    question: str
    answer: str
    start_ns: int
    end_ns: int
    ok: bool
    error: str | None
    tokens: TokenUse
    spans: Sequence[SpanSpec]
    expected: str | None
    digest: str
    """Of the answer and scores it is made from."""
    assessments: Sequence[AssessmentValue] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """What a run is called and tagged with."""

    name: str
    key: str
    """Tells the runs of one evaluation apart: `parent`, `candidate-0`, …"""
    params: Mapping[str, str]
    tags: Mapping[str, str]


class EvaluationRuns:
    """Writes one evaluation into MLflow.

    Args:
        store: The open store.
        evaluation_id: Tag by which all its runs are found.
        created_ms: The evaluation's beginning, used as the timestamp of its runs.
    """

    def __init__(self, store: Store, evaluation_id: str, *, created_ms: int) -> None:
        self._store = store
        self._evaluation = evaluation_id
        self._created_ms = created_ms
        self._held: dict[str, HeldTrace | None] = {}
        """Traces that are in the store; None where a write failed in the middle."""
        self.experiment_id = store.experiment_id(EXPERIMENT)

    def open_run(self, spec: RunSpec, *, parent: str | None) -> str:
        """Return the run of this key, made now or found from an earlier attempt."""
        client = self._store.client
        with self._store.translated():
            found = client.search_runs(
                [self.experiment_id],
                f"tags.`llmflowlab.evaluation_id` = '{self._evaluation}' "
                f"and tags.`llmflowlab.run_key` = '{spec.key}'",
                max_results=1,
            )
            if found:
                earlier = str(found[0].info.run_id)
                client.update_run(earlier, status="RUNNING")
                self._held |= held_traces(self._store, self.experiment_id, earlier)
                return earlier
            tags = {
                **spec.tags,
                "llmflowlab.evaluation_id": self._evaluation,
                "llmflowlab.run_key": spec.key,
                "mlflow.runType": "genai_evaluate",
            }
            if parent is not None:
                tags["mlflow.parentRunId"] = parent
            run = client.create_run(
                self.experiment_id,
                start_time=self._created_ms,
                tags=tags,
                run_name=spec.name,
            )
            run_id = str(run.info.run_id)
            params = [Param(name, value[:6000]) for name, value in spec.params.items()]
            client.log_batch(run_id, params=params)
            return run_id

    def log_dataset(
        self, run_id: str, *, name: str, digest: str, source: str, rows: int, columns: Sequence[str]
    ) -> None:
        """Log the benchmark as the run's input."""
        dataset = Dataset(
            name=name,
            # MLflow keeps 36 characters of a digest.
            digest=digest[:36],
            source_type="local",
            source=json.dumps({"uri": source}),
            profile=json.dumps({"num_rows": rows}),
            schema=json.dumps({"columns": list(columns)}),
        )
        inputs = [DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "eval")])]
        no_models: list[LoggedModelInput] = []
        with self._store.translated():
            self._store.client.log_inputs(run_id, datasets=inputs, models=no_models)

    def write_traces(self, rows: Sequence[RowTrace]) -> None:
        """Write traces with their assessments; safe to repeat, and what is there already is skipped.

        Raises:
            TrackingError: The store failed; some of the rows may have been written.
        """
        new = [row for row in rows if row.trace_id not in self._held]
        again = [row for row in rows if self._held.get(row.trace_id, _wanted(row)) != _wanted(row)]
        for start in range(0, len(new), _BATCH):
            self._write(new[start : start + _BATCH], self._write_new)
        for start in range(0, len(again), _BATCH):
            self._write(again[start : start + _BATCH], self._write_again)

    def _write(self, rows: Sequence[RowTrace], how: Callable[[Sequence[RowTrace]], None]) -> None:
        try:
            how(rows)
        except BaseException:
            # Who knows how far it came: these are written as existing ones next time.
            for row in rows:
                held = self._held.get(row.trace_id)
                self._held[row.trace_id] = replace(held, digest=None) if held else None
            raise
        self._held |= {row.trace_id: _wanted(row) for row in rows}

    def _write_new(self, rows: Sequence[RowTrace]) -> None:
        infos = [self._trace_info(row) for row in rows]
        with self._store.one_transaction() as store:
            if self._store.local:
                for info in infos:
                    store.start_trace(info)
            else:
                # A request each, of which a server can work on several.
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(store.start_trace, infos))
            store.log_spans(self.experiment_id, self._spans(rows))

    def _write_again(self, rows: Sequence[RowTrace]) -> None:
        # Not in one transaction: MLflow rolls back all of it when it finds that a trace exists. The
        # header, which carries the digest, comes last, so that it never vouches for older spans.
        store = self._store.tracing
        with self._store.translated():
            store.log_spans(self.experiment_id, self._spans(rows))
            for row in rows:
                info = self._trace_info(row)
                self._retract(row.trace_id, keep={a.assessment_id for a in info.assessments})
                store.start_trace(info)

    def _retract(self, trace_id: str, *, keep: Container[str]) -> None:
        """Delete what an earlier recording said of a row that is recorded anew."""
        held = self._held.get(trace_id)
        for assessment in held.assessments if held else ():
            if assessment not in keep:
                self._store.tracing.delete_assessment(trace_id, assessment)

    def _spans(self, rows: Sequence[RowTrace]) -> list[Span]:
        return [
            span
            for row in rows
            for span in build_spans(row.trace_id, self.experiment_id, list(row.spans))
        ]

    def _trace_info(self, row: RowTrace) -> Any:
        info = build_trace_info(
            TraceSpec(
                trace_id=row.trace_id,
                experiment_id=self.experiment_id,
                name="evaluate_row",
                run_id=row.run_id,
                start_ns=row.start_ns,
                end_ns=row.end_ns,
                ok=row.ok,
                request=row.question,
                response=row.answer if row.ok else (row.error or ""),
                tokens=row.tokens,
                tags={**row.tags, DIGEST_TAG: row.digest},
            )
        )
        info.assessments = self._assessments(row)
        return info

    def _assessments(self, row: RowTrace) -> list[Assessment]:
        metadata = {SOURCE_RUN: row.run_id}
        found: list[Assessment] = [
            self._feedback(row, value, {**metadata, **value.metadata}) for value in row.assessments
        ]
        if row.expected is not None:
            found.append(
                Expectation(
                    name="expected_response",
                    value=row.expected,
                    source=AssessmentSource(source_type="HUMAN", source_id="benchmark"),
                    trace_id=row.trace_id,
                    metadata=metadata,
                    create_time_ms=self._created_ms,
                    last_update_time_ms=self._created_ms,
                )
            )
        for position, assessment in enumerate(found):
            # A fixed id makes a second delivery overwrite the first instead of joining it.
            assessment.assessment_id = f"a-{row.trace_id[3:]}-{position}"
        return found

    def _feedback(
        self, row: RowTrace, value: AssessmentValue, metadata: dict[str, str]
    ) -> Feedback:
        source = (
            AssessmentSource(source_type="CODE", source_id=value.name)
            if value.judge is None
            else AssessmentSource(source_type="LLM_JUDGE", source_id=value.judge)
        )
        error = None
        if value.error is not None:
            error = AssessmentError(error_code=value.error, error_message=value.rationale or "")
        return Feedback(
            name=value.name,
            value=None if error else value.value,
            error=error,
            source=source,
            trace_id=row.trace_id,
            metadata=metadata,
            rationale=None if error else value.rationale,
            create_time_ms=self._created_ms,
            last_update_time_ms=self._created_ms,
        )

    def finish(
        self,
        run_id: str,
        *,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        files: Mapping[Path, str],
        status: str = "FINISHED",
        end_ms: int,
    ) -> None:
        """Write a run's metrics, tags and artifacts and end it.

        Args:
            run_id: The run.
            metrics: By name.
            tags: By name.
            files: Each with its folder among the run's artifacts; empty for the top one.
            status: As MLflow calls it.
            end_ms: Milliseconds since the epoch.
        """
        client = self._store.client
        with self._store.translated():
            values = [Metric(name, value, end_ms, 0) for name, value in metrics.items()]
            for start in range(0, len(values), 500):
                client.log_batch(run_id, metrics=values[start : start + 500])
            client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
            for file, folder in files.items():
                client.log_artifact(run_id, str(file), folder or None)
            client.set_terminated(run_id, status=status, end_time=end_ms)

    def missing(self, run_id: str, expected: Mapping[str, HeldTrace]) -> frozenset[str]:
        """Read a run back; return the ids of the traces that are not there as expected.

        Raises:
            TrackingError: The store cannot be asked.
        """
        held = held_traces(self._store, self.experiment_id, run_id)
        # What the store lacks is written again, should it be delivered once more.
        self._held |= {**dict.fromkeys(expected, None), **held}
        return not_held(held, expected)


def end_runs(store: Store, evaluation_id: str) -> None:
    """End the runs that an evaluation left running, as killed."""
    experiment = store.experiment_id(EXPERIMENT)
    with store.translated():
        for run in store.client.search_runs(
            [experiment],
            f"tags.`llmflowlab.evaluation_id` = '{evaluation_id}' and attributes.status = 'RUNNING'",
        ):
            store.client.set_tag(run.info.run_id, "llmflowlab.partial", "true")
            store.client.set_terminated(run.info.run_id, status="KILLED")


def _wanted(row: RowTrace) -> HeldTrace:
    return HeldTrace(row.digest, len(row.assessments))
