"""Pages that ask the network for nothing: what they have in common, and those without a script."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path

from llmflowlab.evaluation.reports.plot_files import plot_style

__all__ = ["hash_of", "page_part", "page_style", "plain_page", "section"]

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-{hash}'; \
base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><div><h1>{title}</h1><p class="quiet">{subtitle}</p></div></header>
<main id="main">
{sections}
</main>
<footer class="quiet">{footer}</footer>
</body>
</html>
"""


@cache
def page_part(name: str) -> str:
    """Return a file of this room's, as it goes into a page."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8").strip()


def page_style() -> str:
    """Return the style sheet of all pages."""
    return f"{plot_style()}\n{page_part('page.css')}"


def hash_of(text: str) -> str:
    """Return what a page's policy knows its style or script by."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def section(id_: str, title: str, parts: Iterable[str]) -> str:
    """Return a section of finished parts under its title."""
    return (
        f'<section id="{id_}" aria-labelledby="{id_}-title"><h2 id="{id_}-title">'
        f"{escape(title)}</h2>{''.join(parts)}</section>"
    )


def plain_page(title: str, subtitle: str, sections: Sequence[str], footer: str) -> str:
    """Return a page without a script; its policy forbids every request.

    Args:
        title: Of the page.
        subtitle: The line under it.
        sections: Finished.
        footer: The last line.
    """
    style = page_style()
    return _PAGE.format(
        hash=hash_of(style),
        style=style,
        title=escape(title),
        subtitle=escape(subtitle),
        sections="\n".join(sections),
        footer=escape(footer),
    )
