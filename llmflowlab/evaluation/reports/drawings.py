"""Which plots there are: from the figures of an evaluation to drawings, for the page and the files."""

from __future__ import annotations

from typing import Any, Literal

from llmflowlab.evaluation.reports.svg import (
    Drawing,
    agreement_plot,
    front_plot,
    histogram_plot,
    interval_plot,
)
from llmflowlab.evaluation.reports.tables_html import seconds, usd

__all__ = [
    "Measure",
    "agreement_drawing",
    "front_drawing",
    "group_drawings",
    "latency_drawing",
    "prompt_drawings",
    "score_drawings",
    "write_measure",
]

Measure = Literal["cost", "seconds"]


def score_drawings(figures: dict[str, Any]) -> list[Drawing]:
    """Return every scorer's means, one drawing a scorer."""
    return [
        _intervals(scores["scorer"], scores["points"], figures["candidates"])
        for scores in figures["scores"]
    ]


def front_drawing(figures: dict[str, Any], measure: Measure) -> Drawing | None:
    """Return quality over cost or time; None where nobody has both, or all are free."""
    title = "Quality over cost" if measure == "cost" else "Quality over time"
    return _front(title, figures["front"], figures["candidates"], measure)


def prompt_drawings(entry: dict[str, Any]) -> list[Drawing]:
    """Return a model's prompts by score, by score over cost, and by score over time."""
    model, labels = entry["model"], entry["prompts"]
    means = [
        {"mean": p["quality"], "low": p["quality_low"], "high": p["quality_high"]}
        for p in entry["points"]
    ]
    fronts = [
        _front(f"Prompts on {model}: quality over cost", entry, labels, "cost"),
        _front(f"Prompts on {model}: quality over time", entry, labels, "seconds"),
    ]
    title = f"Prompts on {model}: {entry['scorer']}"
    return [interval_plot(title, means, labels), *filter(None, fronts)]


def _front(
    title: str, front: dict[str, Any], labels: list[str], measure: Measure
) -> Drawing | None:
    return front_plot(
        title,
        front,
        labels,
        measure,
        "$" if measure == "cost" else "s",
        lambda value: write_measure(measure, value),
    )


def write_measure(measure: Measure, value: float | None) -> str:
    """Write a cost (USD) or a time as the plots and their tables do."""
    return usd(value) if measure == "cost" else seconds(value)


def latency_drawing(figures: dict[str, Any]) -> Drawing | None:
    """Return how long answers took; None without any answer."""
    return histogram_plot(
        "How long answers took", figures["latency"], figures["candidates"], seconds
    )


def group_drawings(figures: dict[str, Any], group: dict[str, Any]) -> list[Drawing]:
    """Return one drawing for each value that a group's column has."""
    return [
        _intervals(
            entry["value"] + (" (few rows)" if any(p["small"] for p in entry["points"]) else ""),
            entry["points"],
            figures["candidates"],
        )
        for entry in group["values"]
    ]


def agreement_drawing(figures: dict[str, Any]) -> Drawing | None:
    """Return how far scorers agree; None where there is only one."""
    scorers = figures["agreement"]["scorers"]
    if len(scorers) < 2:
        return None
    return agreement_plot("Agreement between scorers", scorers, figures["agreement"]["cells"])


def _intervals(title: str, points: list[dict[str, Any]], candidates: list[str]) -> Drawing:
    labels = ["all" if p["candidate"] is None else candidates[p["candidate"]] for p in points]
    return interval_plot(title, points, labels)
