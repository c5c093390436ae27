"""Breaks lines between words, where a terminal would break them within."""

from __future__ import annotations

import shutil
import textwrap

__all__ = ["wrapped"]


def wrapped(text: str, width: int | None = None) -> str:
    """Break long lines between words, the rest of a line under its own beginning."""
    width = width or shutil.get_terminal_size().columns
    lines = []
    for line in text.split("\n"):
        indent = line[: len(line) - len(line.lstrip())]
        broken = textwrap.wrap(
            line,
            width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
            replace_whitespace=False,
            drop_whitespace=True,
        )
        lines += broken if len(line) > width else [line]
    return "\n".join(lines)
