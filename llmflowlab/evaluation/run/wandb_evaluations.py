"""Evaluations in Weights & Biases: a run for each candidate, and one that compares them.

Made from the ledger once an evaluation has ended, with the figures that MLflow's runs are closed with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.closing import RunSummary, closing_of
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.run_params import candidate_params, plan_params
from llmflowlab.evaluation.run.runs_left import runs_written
from llmflowlab.settings import Settings
from llmflowlab.tracking.violations import counts, in_words, table_of
from llmflowlab.tracking.wandb_run import (
    WandbChart,
    WandbRun,
    WandbTable,
    require_wandb,
    write_wandb_run,
)

__all__ = ["deliver_runs", "evaluation_runs"]


def deliver_runs(settings: Settings, evaluation: str) -> None:
    """Write an evaluation's runs; safe to repeat. One of which no row is finished has none.

    Raises:
        ConfigurationError: The package is not installed.
        TrackingError: A run could not be written; it is tried again.
    """
    with closing(Ledger(settings.ledger_file)) as ledger:
        if ledger.knows(evaluation) and ledger.outcomes(evaluation, limit=1):
            require_wandb(settings)
            created = datetime.strptime(  # noqa: DTZ007 - local
                ledger.evaluation(evaluation).created, "%Y-%m-%d %H:%M:%S"
            )
            result = stored_result(ledger, evaluation)
            for run in evaluation_runs(result, started_ms=int(created.timestamp() * 1000)):
                write_wandb_run(settings, run)
    runs_written(settings, evaluation)


def evaluation_runs(result: EvaluationResult, *, started_ms: int) -> Iterator[WandbRun]:
    """Yield the runs of an evaluation; the one that compares several candidates first.

    Args:
        result: The evaluation.
        started_ms: When it began, in milliseconds since the epoch.
    """
    plan, said = result.plan, closing_of(result, [])
    if len(plan.candidates) > 1:
        yield _whole(result, said, started_ms)
    for index, spec in enumerate(plan.candidates):
        yield WandbRun(
            id=f"{plan.evaluation_id}-{index}",
            name=f"Eval_{spec.display_name}_{plan.dataset.name}",
            group=plan.evaluation_id,
            kind="evaluation",
            config={
                **plan_params(plan),
                **candidate_params(spec),
                **_about(result),
                "llmflowlab.model": spec.model,
                "llmflowlab.candidate": spec.version_digest,
                **said.tags[index],
            },
            summary=said.metrics[index],
            tables=[_interactions(result, index), *_violations(result, index)],
            notes=said.conclusion,
            state="failed" if result.interrupted else "finished",
            started_ms=started_ms,
            tags=[spec.provider],
        )


def _whole(result: EvaluationResult, said: RunSummary, started_ms: int) -> WandbRun:
    plan = result.plan
    candidates = _candidates(result, said)
    shown = [name for name in candidates.columns if name.endswith("/mean")]
    shown += ["cost_per_answer", "latency/mean"]
    known = {
        name
        for place, name in enumerate(candidates.columns)
        if any(row[place] is not None for row in candidates.rows)
    }
    return WandbRun(
        id=f"{plan.evaluation_id}-all",
        name=f"Eval_{plan.dataset.name}",
        group=plan.evaluation_id,
        kind="evaluation",
        config={**plan_params(plan), **_about(result)},
        summary={"candidates": float(len(plan.candidates)), **said.means},
        tables=[candidates, *_comparisons(result)],
        charts=[
            WandbChart(
                name=f"compared {name}",
                table="candidates",
                label="candidate",
                value=name,
                title=f"{name} by candidate",
            )
            for name in shown
            if name in known
        ],
        notes="\n".join([said.conclusion, *(verdict.sentence() for verdict in result.prompts)]),
        state="failed" if result.interrupted else "finished",
        started_ms=started_ms,
    )


def _about(result: EvaluationResult) -> dict[str, str]:
    plan = result.plan
    return {
        "llmflowlab.evaluation_id": plan.evaluation_id,
        "llmflowlab.dataset_digest": plan.dataset.digest,
    }


def _candidates(result: EvaluationResult, said: RunSummary) -> WandbTable:
    """Return the candidates with the figures of their runs, prompt variants side by side."""
    names = list(dict.fromkeys(name for metrics in said.metrics for name in metrics))
    for name in ("cost_per_answer", "latency/mean"):
        names += [name] if name not in names else []
    rows = [
        [spec.label, spec.model, spec.prompt, spec.system, *(metrics.get(name) for name in names)]
        for spec, metrics in zip(result.plan.candidates, said.metrics, strict=True)
    ]
    return WandbTable(
        name="candidates",
        columns=["candidate", "model", "prompt", "system_prompt", *names],
        rows=rows,
    )


def _comparisons(result: EvaluationResult) -> list[WandbTable]:
    rows = [
        {key: value for key, value in each.items() if not isinstance(value, dict | list)}
        for each in result.to_json()["comparisons"]
    ]
    if not rows:
        return []
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [
        WandbTable(
            name="comparisons",
            columns=columns,
            rows=[[row.get(column) for column in columns] for row in rows],
        )
    ]


def _interactions(result: EvaluationResult, candidate: int) -> WandbTable:
    rows = [_row(result, cell) for cell in _cells(result, candidate)]
    return WandbTable(
        name="interactions",
        columns=list(rows[0]) if rows else ["question", "answer"],
        rows=[list(row.values()) for row in rows],
    )


def _cells(result: EvaluationResult, candidate: int) -> Iterator[Cell]:
    for trial in range(result.plan.trials):
        for row in result.plan.dataset.rows:
            if (cell := Cell(candidate, row.index, trial)) in result.answers:
                yield cell


def _row(result: EvaluationResult, cell: Cell) -> dict[str, Any]:
    plan, answer = result.plan, result.answers[cell]
    row, scores = plan.dataset.rows[cell.row], result.scores.get(cell, {})
    found: dict[str, Any] = {
        "row": row.id,
        "trial": cell.trial + 1,
        "question": row.question,
        "expected": row.accepted or None,
        "answer": answer.text,
        "state": answer.state,
        "error": answer.error,
        "finish_reason": answer.finish_reason,
        "guardrails": in_words(counts(answer.violations)) or None,
    }
    for name in plan.scorers:
        score = scores.get(name)
        found[name] = None if score is None else score.value
        found[f"{name}/not_scored"] = "not_reached" if score is None else score.not_scored
        found[f"{name}/rationale"] = None if score is None else score.rationale
    return {
        **found,
        "latency": answer.latency,
        "prompt_tokens": answer.prompt_tokens,
        "completion_tokens": answer.completion_tokens,
        "cost_usd": None if answer.spent is None else float(answer.spent),
        "trace_id": plan.trace_id(cell),
    }


def _violations(result: EvaluationResult, candidate: int) -> list[WandbTable]:
    found = [
        (result.plan.dataset.rows[cell.row].id, each)
        for cell in _cells(result, candidate)
        for each in result.answers[cell].violations
    ]
    if not found:
        return []
    table = json.loads(table_of(found))
    return [WandbTable(name="guardrail_violations", columns=table["columns"], rows=table["data"])]
