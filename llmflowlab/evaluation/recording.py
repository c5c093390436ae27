"""Writes an evaluation into MLflow: runs, traces, scores, metrics, files; and counts what arrived.

Imports MLflow, so it is itself imported only where recording happens: in the recorder process, or
where `mlflow.genai.evaluate` does the scoring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.closing import Closing
from llmflowlab.evaluation.harness import ScoredRow, evaluate_with_mlflow, prepare_environment
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.outcomes import Outcome
from llmflowlab.evaluation.plan import CandidateSpec, Cell, EvaluationPlan
from llmflowlab.evaluation.row_traces import row_inputs, row_trace, set_parameters
from llmflowlab.evaluation.scoring import Scoring
from llmflowlab.settings import Settings
from llmflowlab.tracking.evaluation_runs import EvaluationRuns, RunSpec
from llmflowlab.tracking.store import open_store

__all__ = ["Recording"]


class Recording:
    """One evaluation's way into MLflow; every step may be repeated after a crash.

    Raises:
        TrackingError: From every method, where the store fails.
    """

    def __init__(self, plan: EvaluationPlan, settings: Settings, ledger: Ledger) -> None:
        self._plan = plan
        self._store = open_store(settings)
        self._ledger = ledger
        stored = ledger.evaluation(plan.evaluation_id)
        created = datetime.strptime(stored.created, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - local
        self._mlflow = EvaluationRuns(
            self._store, plan.evaluation_id, created_ms=int(created.timestamp() * 1000)
        )
        self.parent: str | None = None
        self.runs: list[str] = []

    def open(self) -> None:
        """Make the runs, or find those of an earlier attempt."""
        plan = self._plan
        if len(plan.candidates) > 1:
            self.parent = self._mlflow.open_run(
                RunSpec(
                    name=f"Eval_{plan.dataset.name}",
                    key="parent",
                    params=self._plan_params(),
                    tags={"llmflowlab.dataset": plan.dataset.name},
                ),
                parent=None,
            )
        for index, spec in enumerate(plan.candidates):
            run_id = self._mlflow.open_run(
                RunSpec(
                    name=f"Eval_{spec.display_name}_{plan.dataset.name}",
                    key=f"candidate-{index}",
                    params={**self._plan_params(), **_candidate_params(spec)},
                    tags={
                        "llmflowlab.model": spec.model,
                        "llmflowlab.prompt": spec.prompt or "",
                        "llmflowlab.dataset": plan.dataset.name,
                        "llmflowlab.dataset_digest": plan.dataset.digest,
                    },
                ),
                parent=self.parent,
            )
            self._mlflow.log_dataset(
                run_id,
                name=plan.dataset.name,
                digest=plan.dataset.digest,
                source=str(plan.dataset.path),
                rows=len(plan.dataset.rows),
                columns=plan.dataset.columns,
            )
            self.runs.append(run_id)
        self._ledger.set_runs(plan.evaluation_id, self.run_ids())

    def run_ids(self) -> dict[str, Any]:
        """Return `{"parent": run id or None, "candidates": [run id, …]}`."""
        return {"parent": self.parent, "candidates": list(self.runs)}

    def _plan_params(self) -> dict[str, str]:
        plan = self._plan
        return {
            "dataset": plan.dataset.name,
            "rows": str(len(plan.dataset.rows)),
            "scorers": ", ".join(plan.scorers),
            "judge": plan.judge or "none",
            "trials": str(plan.trials),
        }

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write finished rows with their scores."""
        traces = [
            row_trace(self._plan, outcome, self.runs[outcome.cell.candidate], with_scores=True)
            for outcome in outcomes
        ]
        self._mlflow.write_traces(traces)

    def score_with_mlflow(
        self,
        answers: Mapping[Cell, AnswerRecord],
        scoring: Scoring,
        *,
        concurrency: int,
        tick: Callable[[], None],
    ) -> None:
        """Write the answers as traces and have `mlflow.genai.evaluate` score them."""
        prepare_environment(concurrency)
        for index, run_id in enumerate(self.runs):
            cells = sorted(
                (cell for cell in answers if cell.candidate == index),
                key=lambda cell: (cell.trial, cell.row),
            )
            if not cells:
                continue
            outcomes = [Outcome(cell, answers[cell], {}) for cell in cells]
            self._mlflow.write_traces(
                [row_trace(self._plan, o, run_id, with_scores=False) for o in outcomes]
            )
            tick()
            stored = self._store.traces([self._plan.trace_id(cell) for cell in cells])
            rows = [
                ScoredRow(
                    cell=cell,
                    answer=answers[cell],
                    inputs=row_inputs(self._plan, cell),
                    expected=self._plan.dataset.rows[cell.row].expected,
                    trace=stored[self._plan.trace_id(cell)],
                )
                for cell in cells
            ]
            evaluate_with_mlflow(self._store.uri, run_id, rows, scoring, tick=tick)
            tick()

    def close(self, closing: Closing, outcomes: Sequence[Outcome]) -> list[str]:
        """Write figures and files, read the books back, end the runs.

        Args:
            closing: The figures.
            outcomes: Every finished row; the store must hold a trace and all scores of each.

        Returns:
            What is missing in the store, in words; empty when the books balance.
        """
        problems: list[str] = []
        end_ms = int(time.time() * 1000)
        files = [Path(file) for file in closing.files]
        for index, run_id in enumerate(self.runs):
            own = [outcome for outcome in outcomes if outcome.cell.candidate == index]
            missing = self._mlflow.missing(
                run_id, {self._plan.trace_id(o.cell): len(o.scores) for o in own}
            )
            if missing:
                problems.append(
                    f"{self._plan.candidates[index].label}: {len(missing)} of {len(own)} answers "
                    "are not whole in MLflow."
                )
            self._mlflow.finish(
                run_id,
                metrics=closing.metrics[index],
                tags={
                    **closing.tags[index],
                    "llmflowlab.partial": "true" if missing else "false",
                    "llmflowlab.missing": ", ".join(missing[:50]),
                },
                files=files,
                # A run that lacks a row is not "finished" for those who search by status.
                status="FAILED" if missing else "FINISHED",
                end_ms=end_ms,
            )
        if self.parent is not None:
            self._mlflow.finish(
                self.parent,
                metrics={"candidates": float(len(self.runs))},
                tags={"llmflowlab.partial": "true" if problems else "false"},
                files=files,
                status="FAILED" if problems else "FINISHED",
                end_ms=end_ms,
            )
        return problems


def _candidate_params(spec: CandidateSpec) -> dict[str, str]:
    params = {
        "model_name": spec.display_name,
        "supplier": spec.supplier,
        "model_id": spec.model_id,
        **{name: str(value) for name, value in set_parameters(spec).items()},
    }
    if spec.system:
        params["system_prompt"] = spec.system
    if spec.prompt:
        params["prompt"] = spec.prompt
    return params
