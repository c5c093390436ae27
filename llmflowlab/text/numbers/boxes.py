r"""What stands right behind a marked answer and still belongs to it: `\boxed{5} miles`, `\boxed{3} is wrong`."""

from __future__ import annotations

import re

from llmflowlab.text.numbers.canonical import CLOSE, OPEN
from llmflowlab.text.numbers.scales import scale_at
from llmflowlab.text.numbers.unit_text import unit_at
from llmflowlab.text.numbers.units import Unit

__all__ = ["behind_box", "measured_behind_box"]

_S = r"[ \u00a0]"
_BOX_ENDS = re.compile(rf"{_S}?{CLOSE}")
_SAYS_MORE = re.compile(rf"{_S}{{0,3}}\S")
_ENUMERATES = re.compile(rf"{OPEN}[^{CLOSE}\n]{{0,80}}[,;]")
_NEXT_SENTENCE = re.compile(rf"{_S}{{0,3}}[A-Z][a-z]?{_S}{{1,3}}[a-z]")
r"""`\boxed{5} A train ...`, which are no amperes."""


def behind_box(text: str, end: int) -> int | None:
    """Return the place behind a box that closes at the end of a number; None if none does."""
    closed = _BOX_ENDS.match(text, end)
    return closed.end() if closed else None


def measured_behind_box(text: str, start: int, end: int, language: str | None) -> int:
    """Return where the scale or unit of a number begins: at its end, or behind its box."""
    behind = behind_box(text, end)
    # Of "\boxed{3, 4} km" the unit would be that of the last alone.
    if (
        behind is None
        or not _SAYS_MORE.match(text, behind)
        or _NEXT_SENTENCE.match(text, behind)
        or _ENUMERATES.search(text[max(start - 82, 0) : start])
    ):
        return end
    if scale_at(text, behind, language):
        return behind
    unit = unit_at(text, behind, language)
    return behind if unit is not None and isinstance(unit.readings[0][0], Unit) else end
