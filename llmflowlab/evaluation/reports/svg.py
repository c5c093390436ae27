"""Plots as drawings in SVG: shown within the page, or stacked in a file of their own.

Every text is escaped here. A drawing takes its colours from `plots.css` and has a title and a
description for those who do not see it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, TypeAlias

__all__ = [
    "Drawing",
    "agreement_plot",
    "axis_numbers",
    "front_plot",
    "histogram_plot",
    "interval_plot",
    "nice_ticks",
    "stacked",
]

Unit: TypeAlias = Literal["%", "$", "s"]

_WIDTH = 520
_LEFT, _RIGHT = 14, 506
_LONGEST = 46
"""Characters of a label that fit above its bar."""
_LINE = 20
"""Height of a line of text."""
_UNPRINTABLE = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""What XML has no form for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A plot before it stands anywhere."""

    title: str
    words: str
    """Its figures, for who does not see it."""
    height: float
    body: str
    key: Sequence[str] = ()
    """Lines that explain it; a page says the same beside it."""

    def inline(self) -> str:
        """Return it as part of a page, which has the style sheet."""
        return (
            f'<svg class="plot" viewBox="0 0 {_WIDTH} {self.height:.0f}" role="img" '
            f'aria-label="{escape(self.title)}: {escape(self.words)}">{self.body}</svg>'
        )


def stacked(title: str, drawings: Sequence[Drawing], style: str) -> str:
    """Return drawings below each other as a whole SVG document, titles and keys included.

    Args:
        title: What the document shows.
        drawings: From top to bottom.
        style: The style sheet, with colours that need nothing from outside.
    """
    y = 6.0 + _LINE
    parts = [_text(_LEFT, y, title, "heading")]
    for drawing in drawings:
        if drawing.title != title:
            y += _LINE
            parts.append(_text(_LEFT, y, _short(drawing.title), "heading"))
        parts.append(
            f'<g transform="translate(0 {y + 6:.0f})" role="img" '
            f'aria-label="{escape(drawing.words)}">{drawing.body}</g>'
        )
        y += 6 + drawing.height
        for line in drawing.key:
            y += _LINE
            parts.append(_text(_LEFT, y, line, "tick"))
        y += _LINE / 2
    document = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" width="{_WIDTH}" height="{y:.0f}" '
        f'viewBox="0 0 {_WIDTH} {y:.0f}"><title>{escape(title)}</title><style>{escape(style)}'
        f'</style><rect class="paper" width="100%" height="100%"/>{"".join(parts)}</svg>\n'
    )
    return _UNPRINTABLE.sub("\ufffd", document)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round values from `low` to `high`, about as many as asked for."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, about)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def axis_numbers(ticks: Sequence[float], unit: Unit) -> list[str]:
    """Write the ticks of an axis as people do: in one unit, with no more digits than it takes.

    Args:
        ticks: Evenly spaced, rising; shares of 1, seconds or USD.
        unit: What they are; an axis of less than 0.1 s is in ms.
    """
    small = unit == "s" and ticks[-1] < 0.1
    scale = {"%": 100, "$": 1, "s": 1000 if small else 1}[unit]
    values = [tick * scale for tick in ticks]
    step = values[1] - values[0] if len(values) > 1 else abs(values[0]) or 1.0
    digits = next(n for n in range(16) if all(abs(round(v, n) - v) < step / 1e6 for v in values))
    before, after = (
        ("$", "") if unit == "$" else ("", "%" if unit == "%" else " ms" if small else " s")
    )
    return [f"{before}{value:,.{digits if value else 0}f}{after}" for value in values]


def interval_plot(title: str, points: Sequence[dict[str, Any]], labels: Sequence[str]) -> Drawing:
    """Return means with their 95 % intervals, one line a point, from 0 to 100 %.

    Args:
        title: What is measured.
        points: With `mean`, `low`, `high`; None where unknown.
        labels: One per point.
    """
    height = 30 + 38 * len(points)
    parts = []
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _across(share)
        parts.append(_line(x, 8, x, height - 22, "grid"))
        parts.append(_text(x, height - 6, f"{share:.0%}", "tick", _anchor(share)))
    for place, (point, label) in enumerate(zip(points, labels, strict=True)):
        y = 34 + 38 * place
        if point["mean"] is None:
            parts.append(_text(_LEFT, y - 12, f"{_short(label)}: not scored", "label"))
            continue
        parts.append(_text(_LEFT, y - 12, f"{_short(label)}  {point['mean']:.1%}", "label"))
        if point["low"] is not None and point["high"] is not None:
            low, high = _across(point["low"]), _across(point["high"])
            parts.append(_line(low, y, high, y, f"whisker c{place % 6}"))
            parts += [_line(x, y - 5, x, y + 5, f"whisker c{place % 6}") for x in (low, high)]
        parts.append(
            f'<circle class="dot c{place % 6}" cx="{_across(point["mean"]):.1f}" cy="{y}" r="5"/>'
        )
    means = "; ".join(
        f"{label}: " + ("not scored" if p["mean"] is None else f"{p['mean']:.1%}")
        for p, label in zip(points, labels, strict=True)
    )
    return Drawing(title=title, words=means, height=height, body="".join(parts))


def front_plot(
    title: str,
    front: dict[str, Any],
    labels: Sequence[str],
    measure: str,
    unit: Unit,
    write: Callable[[float], str],
) -> Drawing | None:
    """Return quality over cost or time with both intervals; None where no point has both, or all are 0.

    Args:
        title: What is shown.
        front: Points with `quality` and `measure`, and the intervals of both.
        labels: Of all candidates; the plot shows their numbers, from 1.
        measure: `cost` or `seconds`.
        unit: Of the measure.
        write: Writes a value of it.
    """
    points = [p for p in front["points"] if p["quality"] is not None and p[measure] is not None]
    most: float = max((p[f"{measure}_high"] or p[measure] for p in points), default=0.0) * 1.08
    if most == 0:
        return None
    tops = [p["quality_high"] or p["quality"] for p in points]
    feet = [p["quality_low"] if p["quality_low"] is not None else p["quality"] for p in points]
    low: float = max(0.0, math.floor((min(feet) - 0.02) * 10) / 10)
    high: float = min(1.0, math.ceil((max(tops) + 0.02) * 10) / 10)
    left, right, top, bottom = 56, 500, 14, 262

    def across(value: float) -> float:
        return left + (right - left) * min(value / most, 1.0)

    def up(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    parts = []
    ticks = nice_ticks(low, high)
    for tick, said in zip(ticks, axis_numbers(ticks, "%"), strict=True):
        parts.append(_line(left, up(tick), right, up(tick), "grid"))
        parts.append(_text(left - 6, up(tick) + 4, said, "tick", "end"))
    ticks = nice_ticks(0, most, 4)
    for tick, said in zip(ticks, axis_numbers(ticks, unit), strict=True):
        parts.append(_line(across(tick), bottom, across(tick), bottom + 4, "axis"))
        parts.append(_text(across(tick), bottom + 18, said, "tick", "middle"))
    parts.append(_line(left, bottom, right, bottom, "axis"))
    best = sorted((p for p in points if p[f"best_{measure}"]), key=lambda p: p[measure])
    if len(best) > 1:
        path = " ".join(f"{across(p[measure]):.1f},{up(p['quality']):.1f}" for p in best)
        parts.append(f'<polyline class="front" points="{path}"/>')
    for point in points:
        x, y, colour = across(point[measure]), up(point["quality"]), point["candidate"] % 6
        if point["quality_low"] is not None:
            foot, head = up(point["quality_low"]), up(point["quality_high"])
            parts.append(_line(x, foot, x, head, f"whisker c{colour}"))
        if point[f"{measure}_low"] is not None:
            near, far = across(point[f"{measure}_low"]), across(point[f"{measure}_high"])
            parts.append(_line(near, y, far, y, f"whisker c{colour}"))
        parts.append(f'<circle class="dot c{colour}" cx="{x:.1f}" cy="{y:.1f}" r="9"/>')
        parts.append(_text(x, y + 4, str(point["candidate"] + 1), "number", "middle"))
    words = "; ".join(
        f"{p['candidate'] + 1} {labels[p['candidate']]}: {p['quality']:.1%} at {write(p[measure])}"
        for p in points
    )
    return Drawing(
        title=title,
        words=words,
        height=290,
        body="".join(parts),
        key=[
            *(f"{p['candidate'] + 1}  {_short(labels[p['candidate']])}" for p in points),
            f"{front['scorer']}; both with their 95 % intervals",
        ],
    )


def histogram_plot(
    title: str,
    latency: dict[str, Any],
    labels: Sequence[str],
    write: Callable[[float], str],
) -> Drawing | None:
    """Return one histogram of seconds per candidate on a common scale; None without any answer.

    Args:
        title: What is shown.
        latency: The lanes, by candidate, and where the scale ends.
        labels: Of all candidates.
        write: Writes a number of seconds.
    """
    lanes = [lane for lane in latency["lanes"] if lane["n"]]
    if not lanes:
        return None
    end = latency["end"] or 1.0
    height = 26 + 84 * len(lanes)
    parts = []
    ticks = nice_ticks(0, end, 5)
    for tick, said in zip(ticks, axis_numbers(ticks, "s"), strict=True):
        x = _across(tick / end)
        parts.append(_line(x, 4, x, height - 22, "grid"))
        parts.append(_text(x, height - 6, said, "tick", _anchor(tick / end)))
    for place, lane in enumerate(lanes):
        foot, colour = 80 + 84 * place, lane["candidate"] % 6
        parts.append(_text(_LEFT, foot - 62, _short(labels[lane["candidate"]]), "label"))
        most, step = max(lane["counts"]), (_RIGHT - _LEFT) / len(lane["counts"])
        for slot, number in enumerate(lane["counts"]):
            if number:
                tall = max(1.5, 52 * number / most)
                parts.append(
                    f'<rect class="bar c{colour}" x="{_LEFT + slot * step + 0.5:.1f}" '
                    f'y="{foot - tall:.1f}" width="{step - 1:.1f}" height="{tall:.1f}"/>'
                )
        for name in ("p50", "p95"):
            x = _across(min(1.0, lane[name] / end))
            parts.append(_line(x, foot - 54, x, foot, f"mark {name}"))
        parts.append(_line(_LEFT, foot, _RIGHT, foot, "axis"))
    words = "; ".join(
        f"{labels[lane['candidate']]}: median {write(lane['p50'])}, 95 % within {write(lane['p95'])}"
        for lane in lanes
    )
    key = "Line: median; dashed: 95 %" + (
        "; the last bar holds all that took longer" if latency["beyond"] else ""
    )
    return Drawing(title=title, words=words, height=height, body="".join(parts), key=[key])


def agreement_plot(title: str, scorers: Sequence[str], cells: Sequence[Sequence[Any]]) -> Drawing:
    """Return how far scorers agree as a grid; the darker, the further from chance.

    Args:
        title: What is shown.
        scorers: One a line and column.
        cells: By line and column, with `value` (-1 to 1 or None) and `n`; None on the diagonal.
    """
    names = 150
    side = min(72.0, (_RIGHT - names) / len(scorers))
    parts, said = [], []
    for row, line in enumerate(cells):
        y = row * side
        parts.append(
            _text(
                names - 8, y + side / 2 + 4, f"{row + 1}  {_short(scorers[row], 17)}", "tick", "end"
            )
        )
        for column, cell in enumerate(line):
            if cell is None:
                continue
            x, value = names + column * side, cell["value"]
            strength = 0.0 if value is None else 0.6 * abs(value)
            colour = "c4" if value is not None and value < 0 else "c0"
            parts.append(
                f'<rect class="bar {colour}" x="{x + 1:.1f}" y="{y + 1:.1f}" width="{side - 2:.1f}" '
                f'height="{side - 2:.1f}" fill-opacity="{strength:.2f}"/>'
            )
            shown = "?" if value is None else f"{value:.2f}"
            parts.append(_text(x + side / 2, y + side / 2 + 4, shown, "tick", "middle"))
            if row < column:
                said.append(f"{scorers[row]} and {scorers[column]}: {shown} (n {cell['n']})")
    foot = len(scorers) * side
    parts += [
        _text(names + (column + 0.5) * side, foot + 16, str(column + 1), "tick", "middle")
        for column in range(len(scorers))
    ]
    return Drawing(
        title=title,
        words="; ".join(said),
        height=foot + 22,
        body="".join(parts),
        key=["Phi of yes/no scores, else Spearman's rank correlation; ? is unknown"],
    )


def _across(share: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * share


def _anchor(share: float) -> str:
    return "start" if share < 0.05 else "end" if share > 0.95 else "middle"


def _short(label: str, longest: int = _LONGEST) -> str:
    return label if len(label) <= longest else label[: longest - 1] + "…"


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
