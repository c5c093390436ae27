"""Tables of figures as HTML, and how figures are written in a report."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from html import escape

from llmflowlab.text import amounts
from llmflowlab.text.money import dollars

__all__ = ["percent", "seconds", "table", "usd"]


def percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1%}"


def seconds(value: float | None) -> str:
    return amounts.seconds(value) or "unknown"


def usd(value: float | None) -> str:
    return "unknown" if value is None else dollars(Decimal(str(value)))


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    names: Collection[int] = (),
    looks: Mapping[str, str] | None = None,
) -> str:
    """Return a table whose every text is escaped; on a narrow screen each row of it is a card.

    It can be scrolled sideways, by keyboard too. Roles are named, as browsers forget what they lay out
    otherwise.

    Args:
        caption: What it shows.
        columns: Titles.
        rows: Finished texts.
        numbers: Columns set flush right.
        names: Columns whose texts may be long; a single one is the heading of cards.
        looks: Class of a cell by its text.
    """
    title = "name title" if len(names) == 1 else "name"

    def kind(column: int, text: str = "") -> str:
        classes = ["n"] if column in numbers else [title] if column in names else []
        if looks and text in looks:
            classes.append(looks[text])
        return f' class="{" ".join(classes)}"' if classes else ""

    def cell(column: int, text: str) -> str:
        label = escape(columns[column])
        return f'<td role="cell" data-label="{label}"{kind(column, text)}>{escape(text)}</td>'

    head = "".join(
        f'<th role="columnheader" scope="col"{kind(n)}>{escape(c)}</th>'
        for n, c in enumerate(columns)
    )
    body = "".join(
        f'<tr role="row">{"".join(cell(n, text) for n, text in enumerate(row))}</tr>'
        for row in rows
    )
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">'
        f'<table class="cards" role="table"><caption><span>{escape(caption)}</span></caption>'
        f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
        f'<tbody role="rowgroup">{body}</tbody></table></div>'
    )
