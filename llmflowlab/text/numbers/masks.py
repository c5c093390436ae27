"""What looks like a number and is none: addresses, dates, times, versions, telephone numbers."""

from __future__ import annotations

import re

__all__ = ["masked"]

_MASKS = re.compile(
    r"""
      https?://\S{1,500} | www\.\S{1,200} | [\w.+-]{1,64}@[\w-]{1,63}\.\S{1,60}
    | (?<![\d.,/-])\d{4}-\d{1,2}-\d{1,2}(?:T[\d:.Z+-]{1,30})?(?!\d)
    | (?<![\d.,/])\d{1,4}(?:\.[ ]?\d{1,2}\.[ ]?|/\d{1,2}/)\d{2,4}(?![\d/]|[.,]\d)
    | (?<![\d:.,])\d{1,4}:\d{1,4}(?::\d{2})?(?:[.,]\d{1,6})?(?![\d:])(?:[ ]?[ap]\.?m\.?\b)?
    | \+\d{1,3}[ ().-]{1,2}\d[\d ().-]{5,20}\d | \(\d{3}\)[ ]?\d{3}[- ]\d{4}(?!\d)
    | (?<![\d.,-])(?:\d{3}-)?\d{3}-\d{4}(?![\d-]) | (?<![\d.,-])\d{1,13}(?:-\d{1,13}){2,5}(?!\d)
    | (?<![^\W\d_])[vV]\.?\d{1,4}(?:\.\d{1,6}){0,4} | (?<![\d.,])(?!\d{1,3}(?:\.\d{3}){3,5}(?!\d))\d{1,4}(?:\.\d{1,4}){3,5}(?![\d.])
    | (?<![\d.,])\d{1,3}\.\d{1,2}\.\d{1,4}(?![\d]|[.,]\d)
    | \d{1,2}(?:[.,]\d{1,2})?[ \u00a0]?%[ \u00a0-](?:CI|KI|IC|confidence[ \u00a0]interval|Konfidenzintervall)\b[^)\]\n;]{0,60}
    | (?<![\w.])(?:1\d|20|')\d0s\b | (?<![\d/])24/7(?![\d/])
    """,
    re.VERBOSE | re.ASCII,
)


def masked(text: str) -> list[tuple[int, int]]:
    """Return where such things stand, in order."""
    return [match.span() for match in _MASKS.finditer(text)]
