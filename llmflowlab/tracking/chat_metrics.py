"""A session's metrics and closing tags by their names in MLflow; what is unknown has no metric."""

from __future__ import annotations

from llmflowlab.tracking.records import TurnRecord
from llmflowlab.tracking.sessions import Snapshot
from llmflowlab.tracking.summaries import SessionSummary, answered, unpriced_turns

__all__ = ["closing_tags", "session_metrics", "turn_metrics"]


def turn_metrics(turn: TurnRecord) -> dict[str, float]:
    """Return one step of the per-turn metrics; times in seconds, cost in USD."""
    values: dict[str, float | None] = {
        "turn_cost": None if turn.cost is None else float(turn.cost),
        "turn_prompt_tokens": turn.prompt_tokens,
        "turn_completion_tokens": turn.completion_tokens,
    }
    if answered(turn):
        values["turn_inference_time"] = turn.inference_time
        values["turn_time_to_first_token"] = turn.time_to_first_token
    return _known(values)


def session_metrics(summary: SessionSummary) -> dict[str, float]:
    """Return a session's totals; times in seconds, cost in USD."""
    return _known(
        {
            "avg_inference_time": summary.avg_inference_time,
            "p50_inference_time": summary.p50_inference_time,
            "p95_inference_time": summary.p95_inference_time,
            "avg_time_to_first_token": summary.avg_time_to_first_token,
            "tokens_per_second": summary.tokens_per_second,
            "prompt_tokens": summary.prompt_tokens,
            "completion_tokens": summary.completion_tokens,
            "total_tokens": summary.total_tokens,
            "total_cost_estimate": None if summary.cost is None else float(summary.cost),
            "turns": summary.turns,
            "failed_turns": summary.failed_turns,
        }
    )


def _known(values: dict[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None}


def closing_tags(snapshot: Snapshot, summary: SessionSummary) -> dict[str, str]:
    """Return what a session's numbers must be read with: cost known or not, tokens counted by whom."""
    unpriced = unpriced_turns(snapshot.turns)
    tags = {"llmflowlab.cost": "unknown" if summary.cost is None else "known"}
    if unpriced:
        tags["llmflowlab.unpriced_turns"] = f"{unpriced} of {len(snapshot.turns)}"
    sources = {turn.tokens_estimated for turn in snapshot.turns if turn.total_tokens is not None}
    if sources:
        reported, counted = False in sources, True in sources
        source = "mixed" if reported and counted else "counted" if counted else "reported"
        tags["llmflowlab.tokens"] = source
    if snapshot.interrupted or snapshot.crashed:
        tags["llmflowlab.interrupted"] = "true"
    if snapshot.unreadable:
        tags["llmflowlab.unreadable_lines"] = str(snapshot.unreadable)
    return tags
