"""Tables of figures as HTML, and how figures are written in a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import escape

__all__ = ["percent", "seconds", "table", "usd"]


def percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def seconds(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.2f} s" if value >= 0.01 else f"{value * 1000:.2g} ms"


def usd(value: float | None) -> str:
    """Write an amount with as many digits as it takes to tell it from nothing."""
    if value is None:
        return "unknown"
    if value == 0:
        return "free"
    return (
        f"${value:,.2f}" if value >= 1 else f"${value:.3g}" if value >= 0.0001 else f"${value:.1e}"
    )


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    names: Collection[int] = (),
    looks: Mapping[str, str] | None = None,
) -> str:
    """Return a table that can be scrolled sideways, by keyboard too; every text is escaped.

    Args:
        caption: What it shows.
        columns: Titles.
        rows: Finished texts.
        numbers: Columns set flush right.
        names: Columns whose texts may be long.
        looks: Class of a cell by its text.
    """

    def kind(column: int, text: str = "") -> str:
        classes = ["n"] if column in numbers else ["name"] if column in names else []
        if looks and text in looks:
            classes.append(looks[text])
        return f' class="{" ".join(classes)}"' if classes else ""

    head = "".join(f'<th scope="col"{kind(n)}>{escape(c)}</th>' for n, c in enumerate(columns))
    body = "".join(
        "<tr>" + "".join(f"<td{kind(n, t)}>{escape(t)}</td>" for n, t in enumerate(row)) + "</tr>"
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}"><table>'
        f"<caption><span>{escape(caption)}</span></caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
