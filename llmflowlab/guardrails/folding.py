"""Characters as rules read them: NFKC, case and accents folded, the invisible removed, lookalikes read as Latin."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from llmflowlab.guardrails.confusables import LATIN

__all__ = ["as_latin", "fold", "fold_pattern"]

_LOOKALIKE = re.compile(f"[{''.join(LATIN)}]")
_ACCENTS = re.compile("[\u0300-\u036f]")
_ASCII = frozenset(map(chr, range(128)))
_FEW = 12
"""Characters to be changed up to which it is quicker to replace each than to look all up."""


class _Folds(dict[str, tuple[str, str, bool]]):
    """For a character, what `clean` and `folded` have in its place, equally long.

    And whether it can be replaced wherever it stands, before case is folded.
    """

    def __missing__(self, char: str) -> tuple[str, str, bool]:
        code = ord(char)
        plain = char
        if 0xE0020 <= code <= 0xE007E:
            # Tags: an invisible copy of ASCII that models read.
            plain = chr(code - 0xE0000)
        elif unicodedata.category(char) in {"Cf", "Co"} or 0xFE00 <= code <= 0xFE0F:
            plain = ""
        clean = _ACCENTS.sub("", unicodedata.normalize("NFKC", plain))
        folded = "".join(map(_folded, clean))
        alone = len(clean) == 1 and (folded.isascii() or folded == char == char.lower())
        self[char] = clean, folded, alone
        return self[char]


def _folded(char: str) -> str:
    if char < "\u02b0" and char in LATIN:
        # A letter of Latin alphabets with a stroke or without a dot.
        char = LATIN[char]
    plain = _ACCENTS.sub("", unicodedata.normalize("NFD", char.casefold()))
    return (unicodedata.normalize("NFC", plain) or char)[0]


_FOLDS = _Folds()


def fold(text: str, start: int) -> tuple[str, str, Sequence[int]]:
    """Return a text's `clean`, its `folded` and its `places`, as a `Stretch` has them."""
    places: Sequence[int] = range(start, start + len(text) + 1)
    if text.isascii():
        return text, text.lower(), places
    odd = [(char, *_FOLDS[char]) for char in set(text) - _ASCII]
    changed = [each for each in odd if each[2] != each[0]]
    if len(changed) <= _FEW and all(alone for *_, alone in odd):
        clean = folded = text
        for char, cleaned, plain, _ in changed:
            clean, folded = clean.replace(char, cleaned), folded.replace(char, plain)
        return clean, folded.lower(), places
    cleans, folds, _ = zip(*map(_FOLDS.__getitem__, text), strict=True)
    clean, folded = "".join(cleans), "".join(folds)
    if len(clean) != len(text) or "" in cleans:
        found = [start + at for at, part in enumerate(cleans) for _ in part]
        places = [*found, start + len(text)]
    return clean, folded, places


def fold_pattern(pattern: str) -> str:
    """Return a pattern whose letters beyond ASCII are folded as texts are; its syntax stays."""
    return "".join(char if char.isascii() else _FOLDS[char][1] for char in pattern)


def as_latin(clean: str, folded: str) -> str:
    """Return a text with lookalikes as Latin letters, in words that mix scripts or stand alone."""
    if clean.isascii() or not _LOOKALIKE.search(clean):
        return folded
    mostly_latin = 2 * len(clean.encode("ascii", "ignore")) > len(clean)
    letters = list(folded)
    for word in re.finditer(r"[^\W_]+", folded):
        own = clean[word.start() : word.end()]
        if not _LOOKALIKE.search(own):
            continue
        others = [char for char in own if not char.isascii()]
        alike = [char for char in others if char in LATIN]
        mixed = len(others) < len(own)
        alone = mostly_latin and len(own) > 2 and len(alike) == len(others)
        if mixed or alone:
            for at, char in enumerate(own, word.start()):
                letters[at] = LATIN.get(char, letters[at])
    return "".join(letters)
