"""What the runs of an evaluation are closed with: figures, tags and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.results import CandidateResult, EvaluationResult

__all__ = ["Closing", "closing_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    """What is written when all rows are there; JSON values only, as it crosses a process border."""

    metrics: Sequence[Mapping[str, float]]
    """One mapping per candidate; what is unknown is not in it."""
    tags: Sequence[Mapping[str, str]]
    files: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def closing_of(result: EvaluationResult, files: Sequence[Path]) -> Closing:
    """Return what the runs are closed with."""
    return Closing(
        metrics=[_metrics(candidate) for candidate in result.candidates],
        tags=[
            {
                "llmflowlab.cost": "unknown" if candidate.cost_usd is None else "known",
                "llmflowlab.tokens": "estimated" if candidate.tokens_estimated else "reported",
                "llmflowlab.interrupted": "true" if result.interrupted else "false",
            }
            for candidate in result.candidates
        ],
        files=[str(file) for file in files],
    )


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
