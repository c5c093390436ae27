"""The pages the guide answers from: documentation cut into passages.

A page is Markdown; each heading begins a passage. A paragraph that begins with `Also:` under a
heading names other words for it, in any language; it is searched and not shown.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

__all__ = ["Passage", "corpus_digest", "load_passages", "parse_page"]

_HEADING = re.compile(r"^(#{1,4})\s+(.+?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")


@dataclass(frozen=True, slots=True)
class Passage:
    """One section of a page."""

    page: str
    """The page's file name without ending."""
    heading: str
    aliases: tuple[str, ...]
    text: str

    @property
    def source(self) -> str:
        """How an answer names where it comes from."""
        return f"{self.page}, {self.heading}"


def load_passages(docs: Path | None = None) -> tuple[Passage, ...]:
    """Load the packaged pages, and those of the checkout's `docs/` where there is one.

    Args:
        docs: A folder of further pages; the checkout's by default.
    """
    packaged = files("llmflowlab.providers.guide") / "data"
    pages = {
        Path(entry.name).stem: entry.read_text(encoding="utf-8")
        for entry in packaged.iterdir()
        if entry.name.endswith(".md")
    }
    folder = _checkout_docs() if docs is None else docs
    if folder is not None and folder.is_dir():
        for file in folder.glob("*.md"):
            pages.setdefault(file.stem, file.read_text(encoding="utf-8", errors="replace"))
    return tuple(passage for name in sorted(pages) for passage in parse_page(name, pages[name]))


def _checkout_docs() -> Path | None:
    root = Path(__file__).resolve().parents[3]
    # In an installation this is site-packages, whose `docs` would be somebody else's.
    return root / "docs" if (root / "pyproject.toml").is_file() else None


def parse_page(name: str, text: str) -> list[Passage]:
    """Cut a page into passages; headings inside code fences are code."""
    passages: list[Passage] = []
    title = ""
    heading = ""
    lines: list[str] = []
    fenced = False

    def finish() -> None:
        made = _passage(name, heading or title or name, lines)
        if made is not None:
            passages.append(made)
        lines.clear()

    for line in text.splitlines():
        if _FENCE.match(line):
            fenced = not fenced
        match = None if fenced else _HEADING.match(line)
        if match is None:
            lines.append(line)
            continue
        finish()
        if len(match[1]) == 1:
            title, heading = match[2].replace("`", ""), ""
        else:
            heading = match[2].replace("`", "")
    finish()
    return passages


def _passage(page: str, heading: str, lines: Iterable[str]) -> Passage | None:
    aliases: tuple[str, ...] = ()
    kept: list[str] = []
    for line in lines:
        if line.startswith("Also: ") and not "".join(kept).strip():
            names = line.removeprefix("Also: ").split(",")
            aliases = tuple(name.strip() for name in names if name.strip())
        else:
            kept.append(line)
    text = "\n".join(kept).strip()
    return Passage(page, heading, aliases, text) if text else None


def corpus_digest(passages: Iterable[Passage]) -> str:
    """Return eight hexadecimal digits that change with any of the passages."""
    total = hashlib.sha256()
    for passage in passages:
        parts = (passage.page, passage.heading, ",".join(passage.aliases), passage.text)
        total.update("\x1f".join(parts).encode("utf-8", "replace") + b"\x1e")
    return total.hexdigest()[:8]
