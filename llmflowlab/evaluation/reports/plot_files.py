"""The plots of an evaluation as SVG files, for people who look at a run in MLflow."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.reports.drawings import (
    agreement_drawing,
    front_drawing,
    group_drawings,
    latency_drawing,
    prompt_drawings,
    score_drawings,
)
from llmflowlab.evaluation.reports.svg import Drawing, stacked
from llmflowlab.evaluation.reports.whole import whole_file

__all__ = ["plot_style", "write_plots"]


def write_plots(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Write every plot there are figures for; returns the files.

    Args:
        figures: What `figures_of` returned.
        folder: Made where it is not there.

    Raises:
        TrackingError: A file cannot be written.
    """
    groups = [
        (f"{group['scorer']} by {group['by']}", group_drawings(figures, group))
        for group in figures["groups"]
    ]
    plots: dict[str, tuple[str, Sequence[Drawing | None]]] = {
        "scores.svg": ("Means with their 95 % intervals", score_drawings(figures)),
        "quality_cost.svg": ("Quality over cost", [front_drawing(figures, "cost")]),
        "quality_time.svg": ("Quality over time", [front_drawing(figures, "seconds")]),
        "latency.svg": ("How long answers took", [latency_drawing(figures)]),
        "prompts.svg": (
            "Prompts on each model",
            [drawing for entry in figures["prompts"] for drawing in prompt_drawings(entry)],
        ),
        "groups.svg": (
            "; ".join(title for title, _ in groups),
            [drawing for _, drawings in groups for drawing in drawings],
        ),
        "agreement.svg": ("Agreement between scorers", [agreement_drawing(figures)]),
    }
    written = []
    for name, (title, drawings) in plots.items():
        shown = [drawing for drawing in drawings if drawing is not None]
        if shown:
            with whole_file(folder / name) as out:
                out.write(stacked(title, shown, _whole_style()))
            written.append(folder / name)
    return written


@cache
def plot_style() -> str:
    """Return the style sheet of plots within a page."""
    return Path(__file__).with_name("plots.css").read_text(encoding="utf-8").strip()


@cache
def _whole_style() -> str:
    """Return the style sheet of a plot by itself, light or dark as the reader's system is.

    Its colours stand in the rules: viewers that are no browsers know no variables.
    """
    light, dark, _, *rules = plot_style().splitlines()
    text = "\n".join(rules)
    text += "\n.plot .heading{font-weight:600}\n.plot .paper{fill:var(--back)}"

    def coloured(palette: str) -> str:
        colours = dict(re.findall(r"(--\w+):([^;}]+)", palette))
        return re.sub(r"var\((--\w+)\)", lambda found: colours[found[1]], text)

    return f"{coloured(light)}\n@media (prefers-color-scheme:dark){{{coloured(dark)}}}"
