"""Evaluation runs in MLflow: a run per candidate, under a parent where there are several; and arenas'.

Every write can be repeated: runs are found again by tag, traces have ids of ours, metrics carry one
timestamp. So a recording that was cut off is finished by doing it once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelInput,
    Metric,
    Param,
    RunTag,
    Span,
    TraceInfo,
)

from llmflowlab.tracking.evaluation_books import SPANS_ARE_HELD, HeldTrace, held_traces, not_held
from llmflowlab.tracking.evaluation_rows import Links, RowTrace, row_trace_info
from llmflowlab.tracking.page_links import LINKS_TO_PROMPTS, linked_prompt
from llmflowlab.tracking.spans import build_spans
from llmflowlab.tracking.store import Store

__all__ = ["ARENA", "EvaluatedDataset", "EvaluationRuns", "Kept", "RunSpec", "end_runs"]

_BATCH = 200
"""Traces per transaction: the measured best between speed and what a crash repeats."""
_AT_ONCE = 4
"""Requests to a tracking server at a time."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Where runs are kept, and how they are found again."""

    experiment: str
    tag: str
    """Holds the id of what they are runs of."""


_EVALUATION = Kept("LLMS_Evaluation", "llmflowlab.evaluation_id")
ARENA = Kept("LLMS_Arena", "llmflowlab.arena_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedDataset:
    """The benchmark, as the input of a run."""

    name: str
    digest: str
    source: str
    """The file."""
    rows: int
    columns: Sequence[str]
    dataset_id: str | None
    """Of MLflow's evaluation dataset with the same rows; None where the store has none."""

    def to_mlflow(self) -> Dataset:
        kept = self.dataset_id
        return Dataset(
            name=self.name,
            # MLflow keeps 36 characters of a digest.
            digest=self.digest[:36],
            source_type="local" if kept is None else "mlflow_evaluation_dataset",
            source=json.dumps({"uri": self.source} if kept is None else {"dataset_id": kept}),
            profile=json.dumps({"num_rows": self.rows}),
            schema=json.dumps({"columns": list(self.columns)}),
        )


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
        kept: Where.
    """

    def __init__(
        self, store: Store, evaluation_id: str, *, created_ms: int, kept: Kept = _EVALUATION
    ) -> None:
        self._store = store
        self._kept = kept
        self._evaluation = evaluation_id
        self._created_ms = created_ms
        self._links: dict[str, Links] = {}
        self._dataset: Dataset | None = None
        self._earlier: set[str] = set()
        """Runs that may hold traces of which this does not know how they were written."""
        self._torn: set[str] = set()
        """Traces that a write was about when it failed."""
        self.experiment_id = store.experiment_id(kept.experiment)

    def open_run(self, spec: RunSpec, *, parent: str | None) -> str:
        """Return the run of this key, made now or found from an earlier attempt."""
        client = self._store.client
        with self._store.translated():
            found = client.search_runs(
                [self.experiment_id],
                f"tags.`{self._kept.tag}` = '{self._evaluation}' "
                f"and tags.`llmflowlab.run_key` = '{spec.key}'",
                max_results=1,
            )
            if found:
                earlier = str(found[0].info.run_id)
                client.update_run(earlier, status="RUNNING")
                self._earlier.add(earlier)
                return earlier
            tags = {
                **spec.tags,
                self._kept.tag: self._evaluation,
                "llmflowlab.run_key": spec.key,
                "mlflow.runType": "genai_evaluate",
            }
            if parent is not None:
                tags["mlflow.parentRunId"] = parent
            run = client.create_run(
                self.experiment_id,
                # The parent before its children: MLflow's lists take their first columns from the newest.
                start_time=self._created_ms + (parent is not None),
                tags=tags,
                run_name=spec.name,
            )
            run_id = str(run.info.run_id)
            params = [Param(name, value[:6000]) for name, value in spec.params.items()]
            client.log_batch(run_id, params=params)
            return run_id

    def log_inputs(self, run_id: str, dataset: EvaluatedDataset, links: Links) -> None:
        """Log the benchmark and the candidate's model as the run's inputs.

        From then on its traces and figures lead to the model and to the prompt.
        """
        self._links[run_id] = links
        self._dataset = dataset.to_mlflow()
        context = [InputTag("mlflow.data.context", "eval")]
        models = [] if links.model_id is None else [LoggedModelInput(links.model_id)]
        with self._store.translated():
            self._store.client.log_inputs(
                run_id,
                datasets=[DatasetInput(dataset=self._dataset, tags=context)],
                models=models,
            )

    def write_traces(self, rows: Sequence[RowTrace]) -> None:
        """Write traces with their assessments; safe to repeat, and what is there already is skipped.

        Raises:
            TrackingError: The store failed; some of the rows may have been written.
        """
        held = self._held(rows)
        new = [row for row in rows if row.trace_id not in held]
        again = [row for row in rows if held.get(row.trace_id, _wanted(row)) != _wanted(row)]
        for start in range(0, len(new), _BATCH):
            self._write(new[start : start + _BATCH], self._write_new)
        for start in range(0, len(again), _BATCH):
            self._write(again[start : start + _BATCH], partial(self._write_again, held=held))

    def _held(self, rows: Sequence[RowTrace]) -> dict[str, HeldTrace | None]:
        """Return what the store has of rows; None of one that must be written as if it were there."""
        found: dict[str, HeldTrace | None] = {}
        for run_id in self._earlier & {row.run_id for row in rows}:
            asked = [row.trace_id for row in rows if row.run_id == run_id]
            found |= held_traces(self._store, run_id, asked)
        # Who knows how far these came.
        for torn in self._torn & {row.trace_id for row in rows}:
            held = found.get(torn)
            found[torn] = replace(held, digest=None) if held else None
        return found

    def _write(self, rows: Sequence[RowTrace], how: Callable[[Sequence[RowTrace]], None]) -> None:
        ids = {row.trace_id for row in rows}
        try:
            how(rows)
        except BaseException:
            self._torn |= ids
            self._earlier |= {row.run_id for row in rows}
            raise
        self._torn -= ids

    def _write_new(self, rows: Sequence[RowTrace]) -> None:
        infos = [self._trace_info(row) for row in rows]
        with self._store.one_transaction() as store:
            if self._store.local:
                for info in infos:
                    # True once all is committed; MLflow would look each trace up to say so.
                    info.tags |= SPANS_ARE_HELD
                    store.start_trace(info)
            else:
                # A request each, of which a server can work on several.
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(store.start_trace, infos))
            self._link_prompts(store, rows)
            store.log_spans(self.experiment_id, self._spans(rows))

    def _write_again(
        self, rows: Sequence[RowTrace], *, held: Mapping[str, HeldTrace | None]
    ) -> None:
        # Not in one transaction: MLflow rolls back all of it when it finds that a trace exists. The
        # header, which carries the digest, comes last, so that it never vouches for older spans.
        store = self._store.tracing
        with self._store.translated():
            store.log_spans(self.experiment_id, self._spans(rows))
            self._link_prompts(store.store, rows)
            for row in rows:
                info = self._trace_info(row)
                kept = {a.assessment_id for a in info.assessments if a.assessment_id}
                self._retract(row.trace_id, held[row.trace_id], keep=kept)
                store.start_trace(info)

    def _link_prompts(self, store: Any, rows: Sequence[RowTrace]) -> None:
        """Lead from prompts to traces; before what says of a trace that it is whole."""
        prompts = [self._links.get(row.run_id, Links()).prompt for row in rows]
        with self._store.if_known(LINKS_TO_PROMPTS):
            for row, prompt in zip(rows, prompts, strict=True):
                if prompt is not None:
                    store.link_prompts_to_trace(row.trace_id, [linked_prompt(prompt)])

    def _retract(self, trace_id: str, held: HeldTrace | None, *, keep: Container[str]) -> None:
        """Delete what an earlier recording said of a row that is recorded anew."""
        for assessment in held.assessments if held else ():
            if assessment not in keep:
                self._store.tracing.delete_assessment(trace_id, assessment)

    def _spans(self, rows: Sequence[RowTrace]) -> list[Span]:
        return [
            span
            for row in rows
            for span in build_spans(row.trace_id, self.experiment_id, list(row.spans))
        ]

    def _trace_info(self, row: RowTrace) -> TraceInfo:
        return row_trace_info(
            row,
            self._links.get(row.run_id, Links()),
            experiment_id=self.experiment_id,
            created_ms=self._created_ms,
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
            end_ms: Milliseconds since the epoch, by a clock that may have been set back.
        """
        client = self._store.client
        with self._store.translated():
            # Of two values MLflow shows the later one, and these are to be shown.
            before = client.get_metric_history(run_id, next(iter(metrics))) if metrics else ()
            end_ms = max(end_ms, self._created_ms, *(each.timestamp + 1 for each in before), 0)
            values = [self._metric(run_id, *metric, end_ms) for metric in metrics.items()]
            for start in range(0, len(values), 500):
                client.log_batch(run_id, metrics=values[start : start + 500])
            client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
            for file, folder in files.items():
                client.log_artifact(run_id, str(file), folder or None)
            client.set_terminated(run_id, status=status, end_time=end_ms)

    def _metric(self, run_id: str, name: str, value: float, end_ms: int) -> Metric:
        """Return a metric of the run, and so of its model on that data."""
        return Metric(
            name,
            value,
            end_ms,
            0,
            model_id=self._links.get(run_id, Links()).model_id,
            dataset_name=self._dataset.name if self._dataset else None,
            dataset_digest=self._dataset.digest if self._dataset else None,
            run_id=run_id,
        )

    def missing(self, run_id: str, expected: Mapping[str, HeldTrace]) -> frozenset[str]:
        """Look traces of a run up; return the ids of those that are not there as expected.

        Raises:
            TrackingError: The store cannot be asked.
        """
        # What the store lacks is written again, should it be delivered once more.
        self._earlier.add(run_id)
        return not_held(held_traces(self._store, run_id, list(expected)), expected)


def end_runs(store: Store, evaluation_id: str) -> None:
    """End the runs that an evaluation left running, as killed."""
    experiment = store.experiment_id(_EVALUATION.experiment)
    with store.translated():
        for run in store.client.search_runs(
            [experiment],
            f"tags.`llmflowlab.evaluation_id` = '{evaluation_id}' and attributes.status = 'RUNNING'",
        ):
            store.client.set_tag(run.info.run_id, "llmflowlab.partial", "true")
            store.client.set_terminated(run.info.run_id, status="KILLED")


def _wanted(row: RowTrace) -> HeldTrace:
    return HeldTrace(row.digest, len(row.assessments))
