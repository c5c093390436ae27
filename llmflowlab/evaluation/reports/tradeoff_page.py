"""Quality against cost and time as a page of its own, with the report's plots; asks the network for nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Sequence
from html import escape
from pathlib import Path
from typing import TypeAlias

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.tradeoff import Tradeoff
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.page_plots import front_figures
from llmflowlab.evaluation.reports.plot_files import plot_style
from llmflowlab.evaluation.reports.tables_html import table

__all__ = ["PageTable", "tradeoff_page"]

PageTable: TypeAlias = "tuple[str, Sequence[str], Sequence[Sequence[str | None]], Collection[int]]"
"""Title, columns, rows of finished texts (None is unknown), and the columns set flush right."""


def tradeoff_page(
    result: EvaluationResult,
    found: Tradeoff,
    *,
    tables: Sequence[PageTable],
    sentences: Sequence[str],
) -> str:
    """Return the page.

    Args:
        result: What it speaks of.
        found: The candidates on quality, cost and time.
        tables: As the screen shows them.
        sentences: What is concluded, and what to bear in mind.
    """
    style = f"{plot_style()}\n{Path(__file__).with_name('page.css').read_text('utf-8').strip()}"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    title = f"Quality against cost: {', '.join(option.label for option in found.options)}"
    first, *others = sentences
    shown = [
        table(
            caption,
            columns,
            [["unknown" if cell is None else cell for cell in row] for row in rows],
            numbers=numbers,
            names={0},
        )
        for caption, columns, rows, numbers in tables
    ]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
            f"style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>",
            f'<header><h1>{escape(title)}</h1></header>\n<main><p class="lead">{escape(first)}</p>',
            *(f"<p>{escape(sentence)}</p>" for sentence in others),
            *shown,
            front_figures(figures_of(result)),
            "</main>\n</body>\n</html>\n",
        ]
    )
