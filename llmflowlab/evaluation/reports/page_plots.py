"""The plots of a page, each with the same figures as a table for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from llmflowlab.evaluation.reports.drawings import (
    Measure,
    front_drawing,
    group_drawings,
    latency_drawing,
    prompt_drawings,
    score_drawings,
    write_measure,
)
from llmflowlab.evaluation.reports.svg import Drawing
from llmflowlab.evaluation.reports.tables_html import percent, seconds, table

__all__ = ["front_figures", "plot_sections"]


def plot_sections(figures: dict[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """Return the sections, and (id, title) of those the navigation does not always name."""
    labels: list[str] = figures["candidates"]
    names: list[tuple[str, str]] = []
    parts = [
        _plots(
            _intervals(scores, drawing, labels)
            for scores, drawing in zip(figures["scores"], score_drawings(figures), strict=True)
        ),
        '<section id="effort" aria-labelledby="effort-title">'
        '<h2 id="effort-title">Cost and time</h2>',
        _plots(
            [
                _front(figures, "cost", "Quality over cost", "cost of an answer"),
                _front(figures, "seconds", "Quality over time", "seconds of an answer"),
                _latency(figures),
            ]
        ),
        "</section>",
    ]
    if figures["prompts"]:
        names.append(("prompts", "Prompts"))
        parts.append(
            '<section id="prompts" aria-labelledby="prompts-title">'
            '<h2 id="prompts-title">Prompts on each model</h2>'
        )
        parts += [_prompts(entry) for entry in figures["prompts"]]
        parts.append("</section>")
    if figures["groups"]:
        names.append(("groups", "Groups"))
        parts.append(
            '<section id="groups" aria-labelledby="groups-title">'
            f'<h2 id="groups-title">{escape(figures["main"])} by group</h2>'
        )
        parts += [_group(figures, group) for group in figures["groups"]]
        parts.append("</section>")
    if len(figures["agreement"]["scorers"]) > 1:
        names.append(("agreement", "Agreement"))
        parts.append(_agreement(figures["agreement"]))
    return "".join(parts), names


def front_figures(figures: dict[str, Any]) -> str:
    """Return quality over cost and over time alone."""
    return _plots(
        [
            _front(figures, "cost", "Quality over cost", "cost of an answer"),
            _front(figures, "seconds", "Quality over time", "seconds of an answer"),
        ]
    )


def _plots(figures: Any) -> str:
    return f'<div class="plots">{"".join(figure for figure in figures if figure)}</div>'


def _figure(title: str, drawing: Drawing | None, words: str, figures: str) -> str:
    shown = "" if drawing is None else drawing.inline()
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{shown}"
        + (f"<p>{escape(words)}</p>" if words else "")
        + f"<details><summary>The same as a table</summary>{figures}</details></figure>"
    )


def _intervals(scores: dict[str, Any], drawing: Drawing, labels: Sequence[str]) -> str:
    points = scores["points"]
    return _figure(
        scores["scorer"],
        drawing,
        "Means with their 95 % intervals.",
        table(
            f"{scores['scorer']}: means with their 95 % intervals",
            ("candidate", "mean", "from", "to", "scored"),
            [
                (
                    labels[p["candidate"]],
                    percent(p["mean"]),
                    percent(p["low"]),
                    percent(p["high"]),
                    f"{p['scored']}/{p['rows']}",
                )
                for p in points
            ],
            numbers={1, 2, 3, 4},
            names={0},
        ),
    )


def _front(figures: dict[str, Any], measure: Measure, title: str, unit: str) -> str:
    def write(value: float | None) -> str:
        return write_measure(measure, value)

    front, labels = figures["front"], figures["candidates"]
    points, drawing = front["points"], front_drawing(figures, measure)
    words = [f"{front['scorer']} over the mean {unit}; both with their 95 % intervals."]
    if len(points) > 1:
        numbers = (f"{p['candidate'] + 1} {labels[p['candidate']]}" for p in points)
        words.append(f"{', '.join(numbers)}.")
    unknown = [labels[p["candidate"]] for p in points if p[measure] is None]
    if unknown:
        words.append(f"Unknown for {', '.join(unknown)}.")
    if front["why_none"] is not None:
        words.append(f"Nobody is shown as beaten by none: {front['why_none']}.")
    elif len(points) > 1:
        words.append("The dashed line joins those that none beats in both.")
    if drawing is None:
        free = any(p[measure] == 0 for p in points)
        words = ["Those whose cost is known are free." if free else "Nothing is known to show."]
    return _figure(
        title,
        drawing,
        " ".join(words),
        table(
            f"{title}: {front['scorer']} and the mean {unit}",
            ("no.", "candidate", front["scorer"], unit, "95 % interval", "beaten by none"),
            [
                (
                    str(p["candidate"] + 1),
                    labels[p["candidate"]],
                    percent(p["quality"]),
                    write(p[measure]),
                    ""
                    if p[f"{measure}_low"] is None
                    else f"{write(p[f'{measure}_low'])} to {write(p[f'{measure}_high'])}",
                    "not concluded"
                    if front["why_none"] is not None
                    else {True: "yes", False: "no", None: "unknown"}[p[f"best_{measure}"]],
                )
                for p in points
            ],
            numbers={0, 2, 3, 4},
            names={1},
        ),
    )


def _latency(figures: dict[str, Any]) -> str:
    latency, labels = figures["latency"], figures["candidates"]
    words = "Seconds until the answer was whole; the line is the median, the dashed one 95 %."
    if latency["beyond"]:
        words += " The last bar holds all that took longer."
    return _figure(
        "How long answers took",
        latency_drawing(figures),
        words,
        table(
            "How long answers took",
            ("candidate", "answers", "mean", "median", "95 % within", "longest"),
            [
                (
                    labels[lane["candidate"]],
                    str(lane["n"]),
                    *(seconds(lane[name]) for name in ("mean", "p50", "p95", "max")),
                )
                for lane in latency["lanes"]
            ],
            numbers={1, 2, 3, 4, 5},
            names={0},
        ),
    )


def _prompts(entry: dict[str, Any]) -> str:
    rows = []
    for name, p in zip(entry["prompts"], entry["points"], strict=True):
        means = (percent(p["quality"]), percent(p["quality_low"]), percent(p["quality_high"]))
        rows.append((name, *means, write_measure("cost", p["cost"]), seconds(p["seconds"])))
    said = table(
        f"Prompts on {entry['model']}: {entry['scorer']} with its 95 % interval; cost and time of an answer",
        ("prompt", "mean", "from", "to", "cost", "seconds"),
        rows,
        numbers={1, 2, 3, 4, 5},
        names={0},
    )
    drawn = [
        f"<figure><figcaption>{escape(drawing.title)}</figcaption>{drawing.inline()}</figure>"
        for drawing in prompt_drawings(entry)
    ]
    return f"<p>{escape(entry['said'])}</p>{said}{_plots(drawn)}"


def _group(figures: dict[str, Any], group: dict[str, Any]) -> str:
    labels = figures["candidates"]
    drawn = [
        f"<figure><figcaption>{escape(drawing.title)}</figcaption>{drawing.inline()}</figure>"
        for drawing in group_drawings(figures, group)
    ]
    by, values = group["by"], group["values"]
    who = [p["candidate"] for p in values[0]["points"]]
    columns = ["all" if place is None else labels[place] for place in who]
    rows = []
    for entry in values:
        few = " (few rows)" if any(p["small"] for p in entry["points"]) else ""
        rows.append((f"{entry['value']}{few}", *(_share(p) for p in entry["points"])))
    said = table(
        f"{group['scorer']} by {by}: mean [95 % interval] (scored, where not all are); differences "
        "between groups of few rows are mostly chance",
        (by, *columns),
        rows,
        numbers=range(1, len(columns) + 1),
        names={0},
    )
    return (
        f"<h3>By {escape(by)}</h3>{said}"
        f"<details><summary>Plots by {escape(by)}</summary>{_plots(drawn)}</details>"
    )


def _share(point: dict[str, Any]) -> str:
    of = "" if point["scored"] == point["rows"] else f" ({point['scored']}/{point['rows']})"
    if point["low"] is None:
        return f"{percent(point['mean'])}{of}"
    low, high = 100 * point["low"], 100 * point["high"]
    return f"{percent(point['mean'])} [{low:.0f}–{high:.0f}]{of}"


def _agreement(agreement: dict[str, Any]) -> str:
    scorers: list[str] = agreement["scorers"]
    rows = [
        (first, *(_cell(cell) for cell in line))
        for first, line in zip(scorers, agreement["cells"], strict=True)
    ]
    caption = (
        "How far scorers say the same of the same answers: phi and Cohen's kappa (κ) of yes/no "
        "scores, else Spearman's rank correlation (ρ); 1 is always, 0 as chance would"
    )
    return (
        '<section id="agreement" aria-labelledby="agreement-title">'
        '<h2 id="agreement-title">Agreement between scorers</h2>'
        + table(caption, ("", *scorers), rows, numbers=set(range(1, len(scorers) + 1)))
        + "</section>"
    )


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "–"
    sign = "φ" if cell["kind"] == "phi" else "ρ"
    if cell["value"] is None:
        return f"unknown (n {cell['n']})"
    kappa = "" if cell["kappa"] is None else f", κ {cell['kappa']:.2f}"
    return f"{sign} {cell['value']:.2f}{kappa} (n {cell['n']})"
