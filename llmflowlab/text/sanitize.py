"""What a model or a file says must not control the terminal, or the spreadsheet, it is shown in.

Works character by character, so that it holds for every piece of a stream, wherever it is cut.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["escaped_in_json", "is_formula", "neutralise"]

# Controls (C0, DEL, C1), surrogates, line and paragraph separators, and the invisible characters
# that can reorder, hide or smuggle text: bidirectional embeddings, overrides and isolates, zero-width
# characters, fillers, tags and the supplementary variation selectors. Left in peace, because whole
# scripts and emoji need them and they hide nothing: joiners (U+200C, U+200D), directional marks
# (U+200E, U+200F, U+061C), the soft hyphen, Arabic number signs, variation selectors 1 to 16.
_SUSPECT = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2028-\u202e\u2060-\u206f"
    "\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffc\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)

_LINE_ENDS = re.compile("\r\n|[\r\u2028\u2029]")


def neutralise(text: str, *, keep: str = "\n\t") -> str:
    r"""Replace every character that could control a terminal or hide text by a visible one.

    C0 controls become their Unicode pictures (ESC is shown as `␛`), other controls and invisible
    characters their code, as in `⟨U+202E⟩`, lone surrogates `�`. `\r\n`, a lone `\r` and Unicode's
    line and paragraph separators become `\n`; a `\r\n` cut between two pieces becomes two.

    Args:
        text: Any text, also a piece of a stream.
        keep: Control characters that pass; with "" the result is a single line.
    """
    plain_ends = _LINE_ENDS.sub("\n", text)
    return _SUSPECT.sub(
        lambda match: match[0] if match[0] in keep else _visible(match[0]), plain_ends
    )


def escaped_in_json(text: str) -> str:
    """Escape within the strings of a JSON text what `neutralise` would show; the values stay the same."""
    # Imported here: the menu's first drawing needs none of it.
    import json

    # The layout's own line feeds stand outside of strings, where a string has none unescaped.
    return _SUSPECT.sub(lambda m: m[0] if m[0] in "\n\t" else json.dumps(m[0])[1:-1], text)


# Spreadsheets skip blanks, line breaks and what cannot be seen, and in East Asian editions they read
# full-width signs as the others.
_FORMULA = re.compile(
    r"[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]"
)


def is_formula(cell: str) -> bool:
    """Whether a spreadsheet may take a cell of text for a formula (OWASP, CSV Injection)."""
    return _FORMULA.match(cell) is not None


@lru_cache(maxsize=1024)
def _visible(char: str) -> str:
    code = ord(char)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if unicodedata.category(char) == "Cs":
        return "\ufffd"
    return f"⟨U+{code:04X}⟩"
