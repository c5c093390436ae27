"""An estimate of how many tokens a text has, for where neither provider nor tokenizer can say.

The rules imitate how byte-pair encodings cut text up: into words, groups of up to three digits, runs
of punctuation and line breaks, and words again into pieces whose length depends on the script. The
factors are this project's own measurement against the encoding `o200k_base` on articles 1 and 2 of
the Universal Declaration of Human Rights in 19 languages, on Python source, JSON and Markdown; there
the estimate was within 25 % of the true count in every language. Other tokenizers differ from
`o200k_base` by more than that in scripts they were not trained on.
"""

from __future__ import annotations

import math
import re

__all__ = ["estimate_tokens"]

# Letters a token holds, beyond what the rules for Latin words say.
_LETTERS_PER_TOKEN = {
    "cyrillic": 3.4,
    "greek_arabic_hebrew": 2.4,
    "indic": 2.9,
    "southeast_asian": 2.0,
    "hangul": 1.5,
    "cjk": 1.2,
    "other": 0.75,
}

_PIECE = re.compile(
    r"""
      (?P<latin>[A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0300-\u036f\u1e00-\u1eff]+)
    | (?P<digits>[0-9]+)
    | (?P<newlines>\s*[\r\n]\s*)
    | (?P<spaces>\s+)
    | (?P<punctuation>[!-/:-@\[-`{-~]+)
    | (?P<cyrillic>[\u0400-\u052f]+)
    | (?P<greek_arabic_hebrew>[\u0370-\u03ff\u1f00-\u1fff\u0590-\u06ff\u0750-\u077f]+)
    | (?P<indic>[\u0900-\u0dff]+)
    | (?P<southeast_asian>[\u0e00-\u109f\u1780-\u17ff]+)
    | (?P<hangul>[\u1100-\u11ff\uac00-\ud7af]+)
    | (?P<cjk>[\u3000-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef]+)
    | (?P<symbols>[\u2000-\u2bff]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def estimate_tokens(text: str) -> int:
    """Return the estimated number of tokens; 0 only for an empty text."""
    if not text:
        return 0
    total = sum(
        _piece_tokens(match.lastgroup or "other", match[0]) for match in _PIECE.finditer(text)
    )
    return max(1, round(total))


def _piece_tokens(kind: str, piece: str) -> float:
    length = len(piece)
    if kind == "latin":
        accents = 0 if piece.isascii() else sum(char > "\x7f" for char in piece)
        # Up to 5 letters a word is mostly one token; accents and further letters cost extra.
        return 1.0 + max(0, length - 5) / 6 + 0.3 * accents
    if kind == "digits":
        return math.ceil(length / 3)
    if kind == "newlines":
        return 1.0
    if kind == "spaces":
        # A single space belongs to the word after it; indentation is one token.
        return 0.0 if length == 1 else 1.0
    if kind == "punctuation":
        return math.ceil(length / 3)
    if kind == "symbols":
        return float(length)
    return max(1.0, length / _LETTERS_PER_TOKEN[kind])
