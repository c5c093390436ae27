"""Cutting streamed Markdown into blocks that will not change any more."""

from __future__ import annotations

import re

__all__ = ["BlockSplitter", "PieceCleaner"]

_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_LIST_ITEM = re.compile(r"^([-*+]|\d{1,9}[.)])(\s|$)")


class BlockSplitter:
    """Takes text piece by piece and gives back whole top-level blocks, in order.

    A block ends where the next one begins, because a blank line inside a list or a fence ends
    nothing. Everything fed comes out again exactly, as blocks and `tail`, except for blank lines
    between blocks.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._partial: list[str] = []
        self._fence: str | None = None
        self._fence_ends_block = False
        self._gap = False

    @property
    def tail(self) -> str:
        """The unfinished end."""
        return "".join(self._lines) + "".join(self._partial)

    def feed(self, text: str) -> list[str]:
        """Add a piece and return the blocks that it completed."""
        done: list[str] = []
        *lines, rest = text.split("\n")
        for line in lines:
            self._partial.append(line)
            done += self._take("".join(self._partial))
            self._partial.clear()
        if rest:
            self._partial.append(rest)
        return done

    def close(self) -> str:
        """Return what is left and begin anew."""
        left = self.tail
        self._lines.clear()
        self._partial.clear()
        self._fence = None
        self._gap = False
        return left

    def _take(self, line: str) -> list[str]:
        if self._fence is not None:
            return self._inside_fence(line)
        if not line.strip():
            self._gap = bool(self._lines)
            if self._lines:
                self._lines.append("\n")
            return []
        done = self._flush() if self._begins_block(line) else []
        self._gap = False
        self._lines.append(line + "\n")
        fence = _FENCE.match(line)
        if fence:
            self._fence = fence.group(1)
            # A fence within a list belongs to the list.
            self._fence_ends_block = len(self._lines) == 1
        return done

    def _inside_fence(self, line: str) -> list[str]:
        assert self._fence is not None
        self._lines.append(line + "\n")
        mark = line.strip()
        closes = len(mark) >= len(self._fence) and set(mark) == {self._fence[0]}
        if not closes:
            return []
        self._fence = None
        return self._flush() if self._fence_ends_block else []

    def _begins_block(self, line: str) -> bool:
        if not self._lines:
            return False
        in_list = bool(_LIST_ITEM.match(self._lines[0]))
        if _FENCE.match(line) and not line[0].isspace():
            return True
        if not self._gap:
            return False
        return not (in_list and (line[0].isspace() or _LIST_ITEM.match(line)))

    def _flush(self) -> list[str]:
        block = "".join(self._lines).strip("\n")
        self._lines.clear()
        self._gap = False
        return [block] if block else []


class PieceCleaner:
    """Neutralises streamed pieces; holds a final CR back until it is known what follows it."""

    def __init__(self) -> None:
        self._held = ""

    def clean(self, piece: str) -> str:
        """Return the piece in a form that cannot control the terminal."""
        from llmflowlab.text.sanitize import neutralise

        text = self._held + piece
        self._held = "\r" if text.endswith("\r") else ""
        return neutralise(text[: len(text) - len(self._held)])
