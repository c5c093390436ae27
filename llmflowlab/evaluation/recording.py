"""Writes an evaluation into MLflow: runs, traces, scores, metrics, files; and counts what arrived."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.harness import ScoredRow, evaluate_with_mlflow, prepare_environment
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.plan import CandidateSpec, Cell, EvaluationPlan, request_for
from llmflowlab.evaluation.results import CandidateResult, EvaluationResult
from llmflowlab.evaluation.scores import Score
from llmflowlab.evaluation.scoring import Scoring
from llmflowlab.settings import Settings

__all__ = ["Harness", "Recording"]

Harness: TypeAlias = Literal["fast", "mlflow"]
"""Who scores and writes assessments: the lab itself, or `mlflow.genai.evaluate`."""


class Recording:
    """One evaluation's way into MLflow; every step may be repeated after a crash."""

    def __init__(
        self, plan: EvaluationPlan, settings: Settings, ledger: Ledger, *, harness: Harness
    ) -> None:
        self._harness = harness
        self._plan = plan
        self._settings = settings
        self._ledger = ledger
        self._runs: dict[str, Any] = {}
        self._evaluation_runs: Any = None
        self._expected_traces: list[list[str]] = []

    def run(
        self,
        answers: Mapping[Cell, AnswerRecord],
        scoring: Scoring,
        *,
        concurrency: int,
        tick: Callable[[], None],
    ) -> Mapping[str, Any]:
        """Open the runs, write the traces and have MLflow score them.

        Returns:
            `{"parent": run id or None, "candidates": [run id, …]}`.

        Raises:
            TrackingError: The store failed.
        """
        prepare_environment(concurrency)
        # Imported here: these modules import MLflow.
        from llmflowlab.tracking.evaluation_runs import EvaluationRuns
        from llmflowlab.tracking.store import open_store

        store = open_store(self._settings)
        stored = self._ledger.evaluation(self._plan.evaluation_id)
        created = datetime.strptime(stored.created, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - local
        created_ms = int(created.timestamp() * 1000)
        self._evaluation_runs = EvaluationRuns(
            store, self._plan.evaluation_id, created_ms=created_ms
        )
        self._open_runs()
        for index in range(len(self._plan.candidates)):
            cells = [cell for cell in answers if cell.candidate == index]
            cells.sort(key=lambda cell: (cell.trial, cell.row))
            self._record_candidate(store, index, cells, answers, scoring, concurrency, tick)
        return self._runs

    def _open_runs(self) -> None:
        from llmflowlab.tracking.evaluation_runs import RunSpec

        runs = self._evaluation_runs
        plan = self._plan
        parent: str | None = None
        if len(plan.candidates) > 1:
            parent = runs.open_run(
                RunSpec(
                    name=f"Eval_{plan.dataset.name}",
                    key="parent",
                    params=self._plan_params(),
                    tags={"llmflowlab.dataset": plan.dataset.name},
                ),
                parent=None,
            )
        ids = []
        for index, spec in enumerate(plan.candidates):
            run_id = runs.open_run(
                RunSpec(
                    name=f"Eval_{spec.display_name}_{plan.dataset.name}",
                    key=f"candidate-{index}",
                    params={**self._plan_params(), **_candidate_params(spec)},
                    tags=self._tags(spec),
                ),
                parent=parent,
            )
            runs.log_dataset(
                run_id,
                name=plan.dataset.name,
                digest=plan.dataset.digest,
                source=str(plan.dataset.path),
                rows=len(plan.dataset.rows),
                columns=plan.dataset.columns,
            )
            ids.append(run_id)
        self._runs = {"parent": parent, "candidates": ids}
        self._ledger.set_runs(plan.evaluation_id, self._runs)

    def _plan_params(self) -> dict[str, str]:
        plan = self._plan
        return {
            "dataset": plan.dataset.name,
            "rows": str(len(plan.dataset.rows)),
            "scorers": ", ".join(plan.scorers),
            "judge": plan.judge or "none",
            "trials": str(plan.trials),
        }

    def _tags(self, spec: CandidateSpec) -> dict[str, str]:
        return {
            "llmflowlab.model": spec.model,
            "llmflowlab.prompt": spec.prompt or "",
            "llmflowlab.dataset": self._plan.dataset.name,
            "llmflowlab.dataset_digest": self._plan.dataset.digest,
        }

    def _record_candidate(
        self,
        store: Any,
        index: int,
        cells: Sequence[Cell],
        answers: Mapping[Cell, AnswerRecord],
        scoring: Scoring,
        concurrency: int,
        tick: Callable[[], None],
    ) -> None:
        run_id = self._runs["candidates"][index]
        self._expected_traces.append([self._plan.trace_id(cell) for cell in cells])
        if self._harness == "fast":
            scoring.score_all(
                {cell: answers[cell] for cell in cells},
                concurrency=concurrency,
                tick=lambda done, total: tick(),
            )
            tick()
        traces = [self._trace(cell, answers[cell], run_id, scoring) for cell in cells]
        self._evaluation_runs.write_traces(traces)
        if self._harness == "mlflow" and cells:
            stored = store.traces([self._plan.trace_id(cell) for cell in cells])
            rows = [
                ScoredRow(
                    cell=cell,
                    answer=answers[cell],
                    inputs=_inputs(self._plan, cell),
                    expected=self._plan.dataset.rows[cell.row].expected,
                    trace=stored[self._plan.trace_id(cell)],
                )
                for cell in cells
            ]
            evaluate_with_mlflow(self._settings.tracking_uri, run_id, rows, scoring, tick=tick)
        tick()

    def _trace(self, cell: Cell, answer: AnswerRecord, run_id: str, scoring: Scoring) -> Any:
        from llmflowlab.tracking.evaluation_runs import RowTrace
        from llmflowlab.tracking.spans import SpanSpec, TokenUse

        plan = self._plan
        row = plan.dataset.rows[cell.row]
        spec = plan.candidates[cell.candidate]
        request = request_for(spec, row)
        messages = [{"role": "system", "content": spec.system}] if spec.system else []
        messages += [{"role": m.role, "content": m.content} for m in request.messages]
        start = answer.started_ms * 1_000_000
        end = start + int((answer.latency or 0.0) * 1e9)
        tokens = TokenUse(
            prompt=answer.prompt_tokens,
            completion=answer.completion_tokens,
            cached=answer.cached_tokens,
            cost_usd=None if answer.cost is None else float(answer.cost),
        )
        outputs = answer.text if answer.answered else (answer.text or answer.error)
        root = SpanSpec(
            name="evaluate_row",
            kind="CHAIN",
            inputs=_inputs(plan, cell),
            outputs=outputs,
            start_ns=start,
            end_ns=end,
            ok=answer.answered,
            error=answer.error,
        )
        call = SpanSpec(
            name=spec.model,
            kind="CHAT_MODEL",
            inputs={"messages": messages, **_set_parameters(spec)},
            outputs={"choices": [{"message": {"role": "assistant", "content": answer.text}}]},
            start_ns=start,
            end_ns=end,
            ok=answer.answered,
            error=answer.error,
            tokens=tokens,
            model=answer.model_version or spec.model_id,
            provider=spec.provider,
            attributes={"tries": answer.tries, "waited_seconds": answer.waited},
        )
        return RowTrace(
            trace_id=plan.trace_id(cell),
            run_id=run_id,
            question=row.question,
            answer=answer.text,
            start_ns=start,
            end_ns=end,
            ok=answer.answered,
            error=answer.error,
            tokens=tokens,
            spans=[root, call],
            expected=row.expected if self._harness == "fast" else None,
            assessments=[_assessment(score) for score in scoring.scores.get(cell, {}).values()],
            tags={
                "llmflowlab.row": row.id,
                "llmflowlab.trial": str(cell.trial),
                **({"llmflowlab.category": row.category} if row.category else {}),
            },
        )

    def close(self, result: EvaluationResult, csv_file: Path) -> list[str]:
        """Write figures and files, read the books back, end the runs.

        Returns:
            What is missing in the store, in words; empty when the books balance.
        """
        problems: list[str] = []
        end_ms = int(time.time() * 1000)
        # A partial run is not "finished" for those who search by status.
        with tempfile.TemporaryDirectory() as folder:
            document = Path(folder) / "evaluation.json"
            text = json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
            document.write_text(text, encoding="utf-8")
            for index, candidate in enumerate(result.candidates):
                run_id = self._runs["candidates"][index]
                missing = self._missing(index, run_id)
                if missing:
                    problems.append(
                        f"{candidate.spec.label}: {len(missing)} of "
                        f"{len(self._expected_traces[index])} answers are not in MLflow yet."
                    )
                self._evaluation_runs.finish(
                    run_id,
                    metrics=_metrics(candidate),
                    tags=self._closing_tags(candidate, result, missing),
                    files=[csv_file, document],
                    status="FAILED" if missing else "FINISHED",
                    end_ms=end_ms,
                )
            if self._runs["parent"] is not None:
                self._evaluation_runs.finish(
                    self._runs["parent"],
                    metrics={"candidates": float(len(result.candidates))},
                    tags={"llmflowlab.partial": "true" if problems else "false"},
                    files=[csv_file, document],
                    status="FAILED" if problems else "FINISHED",
                    end_ms=end_ms,
                )
        return problems

    def _missing(self, index: int, run_id: str) -> list[str]:
        found: list[str] = self._evaluation_runs.missing(run_id, self._expected_traces[index])
        return found

    @staticmethod
    def _closing_tags(
        candidate: CandidateResult, result: EvaluationResult, missing: Sequence[str]
    ) -> dict[str, str]:
        return {
            "llmflowlab.cost": "unknown" if candidate.cost_usd is None else "known",
            "llmflowlab.tokens": "estimated" if candidate.tokens_estimated else "reported",
            "llmflowlab.interrupted": "true" if result.interrupted else "false",
            "llmflowlab.partial": "true" if missing else "false",
            "llmflowlab.missing": ", ".join(missing[:50]),
        }


def _assessment(score: Score) -> Any:
    from llmflowlab.tracking.evaluation_runs import AssessmentValue

    metadata: dict[str, str] = {}
    if score.cost_usd is not None and not score.reused:
        metadata["mlflow.assessment.judgeCost"] = score.cost_usd
    if score.prompt_tokens is not None and score.completion_tokens is not None:
        metadata["mlflow.assessment.judgeInputTokens"] = str(score.prompt_tokens)
        metadata["mlflow.assessment.judgeOutputTokens"] = str(score.completion_tokens)
    return AssessmentValue(
        name=score.scorer,
        value=score.value,
        error=score.not_scored,
        rationale=score.rationale,
        judge=score.judge,
        metadata=metadata,
    )


def _inputs(plan: EvaluationPlan, cell: Cell) -> dict[str, Any]:
    row = plan.dataset.rows[cell.row]
    inputs: dict[str, Any] = {"question": row.question}
    if row.context:
        inputs["context"] = row.context
    return inputs


def _set_parameters(spec: CandidateSpec) -> dict[str, Any]:
    parameters = spec.parameters
    values = {
        "temperature": parameters.temperature,
        "top_p": parameters.top_p,
        "max_tokens": parameters.max_tokens,
        "seed": parameters.seed,
    }
    return {name: value for name, value in values.items() if value is not None}


def _candidate_params(spec: CandidateSpec) -> dict[str, str]:
    params = {
        "model_name": spec.display_name,
        "supplier": spec.supplier,
        "model_id": spec.model_id,
        **{name: str(value) for name, value in _set_parameters(spec).items()},
    }
    if spec.system:
        params["system_prompt"] = spec.system
    if spec.prompt:
        params["prompt"] = spec.prompt
    return params


def _metrics(candidate: CandidateResult) -> dict[str, float]:
    """Return the run's metrics; what is unknown has none."""
    metrics: dict[str, float | None] = {
        "rows": candidate.rows,
        "answered": candidate.answered,
        "failed": sum(candidate.failed.values()),
        "latency/mean": candidate.latency.mean,
        "latency/p50": candidate.latency.p50,
        "latency/p95": candidate.latency.p95,
        "prompt_tokens": candidate.prompt_tokens,
        "completion_tokens": candidate.completion_tokens,
        "total_cost_estimate": None if candidate.cost_usd is None else float(candidate.cost_usd),
    }
    if candidate.prompt_tokens is not None and candidate.completion_tokens is not None:
        metrics["total_tokens"] = candidate.prompt_tokens + candidate.completion_tokens
    for name, score in candidate.scores.items():
        metrics[f"{name}/mean"] = score.mean
        metrics[f"{name}/coverage"] = score.coverage
        metrics[f"{name}/ci_low"] = score.interval.low if score.interval else None
        metrics[f"{name}/ci_high"] = score.interval.high if score.interval else None
    return {name: float(value) for name, value in metrics.items() if value is not None}
