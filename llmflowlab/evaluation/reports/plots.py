"""The plots of a report as PNG, for people who look at a run in MLflow.

Imports matplotlib, which takes a second; so it is itself imported only where nobody waits for it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import TrackingError
from llmflowlab.loading import load

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_plots"]

_COLOURS = ("#0b5fc4", "#b35900", "#11703a", "#8a2fb0", "#a3123b", "#0a6b7a")


def draw_plots(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Draw every plot there are figures for; returns the files.

    Args:
        figures: What `figures_of` returned.
        folder: Made where it is not there.

    Raises:
        TrackingError: A file cannot be written.
    """
    load("matplotlib", "matplotlib.backends.backend_agg")

    plots: dict[str, Callable[[Figure, dict[str, Any]], bool]] = {
        "scores.png": _scores,
        "quality_cost.png": lambda figure, values: _front(figure, values, "cost"),
        "quality_time.png": lambda figure, values: _front(figure, values, "seconds"),
        "latency.png": _latency,
        "groups.png": _groups,
        "agreement.png": _agreement,
    }
    # It tells of fonts it looks for, and of signs they lack; the page beside has the texts.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        return _draw(plots, figures, folder)


def _draw(
    plots: Mapping[str, Callable[[Figure, dict[str, Any]], bool]],
    figures: dict[str, Any],
    folder: Path,
) -> list[Path]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    written = []
    for name, draw in plots.items():
        figure = Figure(figsize=(8, 4.5), dpi=110, layout="constrained")
        FigureCanvasAgg(figure)
        if draw(figure, figures):
            written.append(_save(figure, folder / name))
    return written


def _save(figure: Figure, file: Path) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".part")
        try:
            with os.fdopen(handle, "wb") as out:
                figure.savefig(out, format="png", metadata={"Software": None})
                out.flush()
                os.fsync(out.fileno())
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as exc:
        raise TrackingError(f"{file} cannot be written ({exc.strerror}).") from exc
    return file


def _plain(text: str) -> str:
    """Return the text without what matplotlib would take for a formula."""
    return text.replace("$", r"\$")


def _colour(candidate: int) -> str:
    return _COLOURS[candidate % len(_COLOURS)]


def _dots(axes: Axes, points: list[dict[str, Any]], labels: list[str], title: str) -> None:
    for place, point in enumerate(points):
        if point["mean"] is None:
            continue
        low, high = point["low"], point["high"]
        spread = None
        if low is not None and high is not None:
            spread = [[max(0.0, point["mean"] - low)], [max(0.0, high - point["mean"])]]
        axes.errorbar(
            [point["mean"]],
            [place],
            xerr=spread,
            fmt="o",
            capsize=4,
            color=_colour(point["candidate"]),
        )
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(len(points) - 0.5, -0.5)
    axes.set_yticks(range(len(points)), [_plain(label) for label in labels])
    axes.set_title(_plain(title), fontsize=10)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(axis="x", alpha=0.3)


def _scores(figure: Figure, figures: dict[str, Any]) -> bool:
    scores, labels = figures["scores"], figures["candidates"]
    figure.set_size_inches(8, min(40, 0.8 + len(scores) * (0.7 + 0.35 * len(labels))))
    for axes, score in zip(
        figure.subplots(len(scores), 1, squeeze=False)[:, 0], scores, strict=True
    ):
        names = [labels[point["candidate"]] for point in score["points"]]
        _dots(axes, score["points"], names, f"{score['scorer']}: mean and 95 % interval")
    return True


def _front(figure: Figure, figures: dict[str, Any], measure: str) -> bool:
    front = figures["front"]
    points = [p for p in front["points"] if p["quality"] is not None and p[measure] is not None]
    if len(points) < 2:
        # One point has no front.
        return False
    axes = figure.subplots()
    for point in points:
        axes.errorbar(
            [point[measure]],
            [point["quality"]],
            xerr=_around(point, measure),
            yerr=_around(point, "quality"),
            fmt="o",
            capsize=3,
            color=_colour(point["candidate"]),
            label=_plain(figures["candidates"][point["candidate"]]),
        )
    best = sorted((p for p in points if p[f"best_{measure}"]), key=lambda p: p[measure])
    axes.plot(
        [p[measure] for p in best], [p["quality"] for p in best], "--", color="#57606a", zorder=0
    )
    axes.set_xlim(left=0)
    axes.set_xlabel("cost of an answer (USD)" if measure == "cost" else "seconds of an answer")
    axes.set_ylabel(_plain(front["scorer"]))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return True


def _around(point: dict[str, Any], name: str) -> list[list[float]] | None:
    low, high = point[f"{name}_low"], point[f"{name}_high"]
    if low is None or high is None:
        return None
    return [[max(0.0, point[name] - low)], [max(0.0, high - point[name])]]


def _latency(figure: Figure, figures: dict[str, Any]) -> bool:
    latency = figures["latency"]
    lanes = [lane for lane in latency["lanes"] if lane["n"]]
    if not lanes:
        return False
    figure.set_size_inches(8, min(40, 1 + 1.3 * len(lanes)))
    end = latency["end"] or 1.0
    grid = figure.subplots(len(lanes), 1, squeeze=False, sharex=True)[:, 0]
    for axes, lane in zip(grid, lanes, strict=True):
        width = end / len(lane["counts"])
        lefts = [slot * width for slot in range(len(lane["counts"]))]
        axes.bar(lefts, lane["counts"], width=width, align="edge", color=_colour(lane["candidate"]))
        axes.axvline(min(lane["p50"], end), color="black")
        axes.axvline(min(lane["p95"], end), color="black", linestyle="--")
        axes.set_title(_plain(figures["candidates"][lane["candidate"]]), fontsize=10, loc="left")
        axes.set_ylabel("answers", fontsize=8)
    beyond = "; the last bar holds all beyond" if latency["beyond"] else ""
    grid[-1].set_xlabel(f"seconds (line: median, dashed: 95 %{beyond})")
    return True


def _groups(figure: Figure, figures: dict[str, Any]) -> bool:
    groups = figures["groups"]
    if not groups:
        return False
    labels = figures["candidates"]
    tall = [sum(len(value["points"]) for value in group["values"]) for group in groups]
    figure.set_size_inches(8, min(60, 0.8 + sum(0.7 + 0.3 * lines for lines in tall)))
    grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[n + 1 for n in tall])
    for axes, group in zip(grid[:, 0], groups, strict=True):
        points = [point for value in group["values"] for point in value["points"]]
        names = [
            f"{value['value']}: {labels[point['candidate']]}" + (" (few)" if point["small"] else "")
            for value in group["values"]
            for point in value["points"]
        ]
        _dots(axes, points, names, f"{group['scorer']} by {group['by']}")
    return True


def _agreement(figure: Figure, figures: dict[str, Any]) -> bool:
    scorers, cells = figures["agreement"]["scorers"], figures["agreement"]["cells"]
    if len(scorers) < 2:
        return False
    axes = figure.subplots()
    shades = [
        [float("nan") if cell is None or cell["value"] is None else cell["value"] for cell in line]
        for line in cells
    ]
    image = axes.imshow(shades, vmin=-1, vmax=1, cmap="RdBu")
    for row, line in enumerate(cells):
        for column, cell in enumerate(line):
            if cell is not None:
                said = "unknown" if cell["value"] is None else f"{cell['value']:.2f}"
                strong = cell["value"] is not None and abs(cell["value"]) > 0.6
                axes.text(
                    column,
                    row,
                    f"{said}\nn {cell['n']}",
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if strong else "black",
                )
    names = [_plain(name) for name in scorers]
    axes.set_xticks(range(len(scorers)), names, rotation=30, ha="right")
    axes.set_yticks(range(len(scorers)), names)
    axes.set_title("Agreement: phi of yes/no scores, else Spearman's rho", fontsize=10)
    figure.colorbar(image)
    return True
