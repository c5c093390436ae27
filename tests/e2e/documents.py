"""The keys of `--json` documents that scripts rely on: all of them, and no others."""

from __future__ import annotations

from typing import Any

__all__ = ["TURN_KEYS", "assert_promised_keys"]

TURN_KEYS = sorted(
    [
        "prompt",
        "answer",
        "state",
        "reasoning",
        "prompt_tokens",
        "completion_tokens",
        "tokens_estimated",
        "cost_usd",
        "inference_time",
        "time_to_first_token",
        "language",
        "language_confidence",
        "finish_reason",
        "error",
        "trace_id",
        "violations",
    ]
)
"""Of a turn in `chat --json`."""


def _keys(value: dict[str, Any]) -> list[str]:
    return sorted(value)


def assert_promised_keys(document: dict[str, Any]) -> None:
    """Check a document of `evaluate --json`."""
    assert _keys(document) == sorted(
        [
            "evaluation_id",
            "parent_run_id",
            "dataset",
            "judge",
            "candidates",
            "comparisons",
            "judge_usage",
            "gates",
            "files",
            # Beside what was promised from the start:
            "judging",
            "leaderboard",
            "measures",
            "groups",
            "recommendation",
            "prompts",
            "sequential",
            "cluster",
            "people",
        ]
    )
    assert _keys(document["dataset"]) == ["digest", "name", "rows"]
    assert _keys(document["files"]) == ["answers_csv", "report_html", "rows"]
    for candidate in document["candidates"]:
        assert _keys(candidate) == sorted(
            [
                "model",
                "prompt",
                "run_id",
                "rows",
                "answered",
                "failed",
                "scores",
                "latency",
                "tokens",
                "cost_usd",
                "calls",
                "given",
                "why_failed",
                "label",
                "tokens_per_second",
                "system",
            ]
        )
        assert _keys(candidate["latency"]) == ["mean", "p50", "p95"]
        assert _keys(candidate["tokens"]) == ["completion", "prompt", "total"]
        for score in candidate["scores"].values():
            assert _keys(score) == sorted(
                ["mean", "scored", "coverage", "ci_low", "ci_high", "not_scored"]
            )
    for comparison in document["comparisons"]:
        assert sorted(set(comparison) - {"no_verdict_because"}) == sorted(
            [
                "a",
                "b",
                "scorer",
                "n",
                "difference",
                "ci_low",
                "ci_high",
                "p_value",
                "p_adjusted",
                "verdict",
                "smallest_visible",
                "equivalence",
                "effect_size",
                "said",
                "clusters",
            ]
        )
