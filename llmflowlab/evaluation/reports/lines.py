"""`results.jsonl`: everything about every answer, one JSON object a line, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports.whole import whole_file
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score

__all__ = ["answer_lines", "write_results_jsonl"]


def write_results_jsonl(result: EvaluationResult, file: Path) -> None:
    """Write one JSON object per row, candidate and trial; unknown is null.

    Raises:
        TrackingError: The file cannot be written.
    """
    with whole_file(file) as out:
        for line in answer_lines(result):
            out.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")


def answer_lines(result: EvaluationResult) -> Iterator[dict[str, Any]]:
    """Yield every answer that was asked for, those not reached included."""
    plan = result.plan
    for cell in plan.cells():
        row = plan.dataset.rows[cell.row]
        candidate = result.candidates[cell.candidate]
        answer = result.answers.get(cell)
        reached = answer is not None
        spent = None if answer is None else answer.spent
        yield {
            "evaluation_id": plan.evaluation_id,
            "run_id": candidate.run_id,
            "trace_id": plan.trace_id(cell) if reached else None,
            "row": row.id,
            "line": row.line,
            "candidate": candidate.spec.label,
            "model": candidate.spec.model,
            "prompt": candidate.spec.prompt,
            "trial": cell.trial + 1,
            "category": row.category,
            "language": row.language,
            "question": row.question,
            "context": row.context,
            "expected": row.expected,
            "alternatives": list(row.alternatives),
            "answer": answer.text if answer else None,
            "state": answer.state if answer else "not_reached",
            "reason": answer.reason if answer else None,
            "error": answer.error if answer else None,
            "scores": {name: _score(result, cell, name) for name in plan.scorers},
            "tokens": {
                "prompt": answer.prompt_tokens if answer else None,
                "completion": answer.completion_tokens if answer else None,
                "estimated": answer.tokens_estimated if answer else None,
            },
            "cost_usd": None if spent is None else float(spent),
            "latency": answer.latency if answer else None,
            "load_seconds": (answer.load_seconds or None) if answer else None,
            "time_to_first_token": answer.time_to_first_token if answer else None,
            "finish_reason": answer.finish_reason if answer else None,
            "model_version": answer.model_version if answer else None,
        }


def _score(result: EvaluationResult, cell: Cell, scorer: str) -> dict[str, Any]:
    score = result.scores.get(cell, {}).get(scorer)
    if score is None:
        return {"value": None, "not_scored": "not_reached", "rationale": None, "judge": None}
    values = _verdict(score)
    if score.members:
        values["members"] = [_verdict(member) for member in score.members]
    return values


def _verdict(score: Score) -> dict[str, Any]:
    return {
        "value": score.value,
        "not_scored": score.not_scored,
        "rationale": score.rationale,
        "judge": score.judge,
    }
