"""Texts as rules read them: disguises taken off, with the way back to the characters as they stand.

NFKC, case and accents folded, what is invisible removed, letters of other scripts read as the Latin
ones that they look like; spaced-out and leet spelling are further readings of the same words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from llmflowlab.guardrails.confusables import LATIN

__all__ = ["Reading", "Stretch", "fold_pattern", "read"]

# Quotes and ends of sentences are words of their own; all other punctuation is none.
_WORD = re.compile(r"(?:[^\W_]|(?<=[^\W_])['’](?=[^\W_]))+|[.!?。！？;\n]+|[\"“”„«»「」]|[:<>|\[\]#]")
_LEET = str.maketrans("01345789@$!|€", "oieastbgasiie")
_LEET_CUE = re.compile(r"[a-z][013457@$!|€]{1,3}[a-z]|\b[1345@$][a-z]{3}|[a-z]{2}[013@$]\b")
_SPACED = re.compile(r"(?<!\w)(?:\w(?:[ \t]|[._*·|/\\,-])){3,}\w(?!\w)(?:(?:[ \t]{2,}| ?[/|] ?)(?:\w[ \t._*·|/\\,-]){1,}\w(?!\w))*")
_GAP = re.compile(r"[ \t]{2,}| ?[/|] ?")
_END = frozenset(".!?。！？;\n")
_QUOTES = frozenset("\"“”„«»「」")


@dataclass(frozen=True, slots=True)
class Reading:
    """The words of a stretch, one way to read them."""

    words: Sequence[str]
    spans: Sequence[tuple[int, int]]
    """Of each word, in the text as it was given."""
    disguised: bool = False


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of a text, normalised."""

    clean: str
    """Without what is invisible, in NFKC; case as it was."""
    folded: str
    """As `clean`, letter by letter without case and accents."""
    places: Sequence[int]
    """Where each character of both stands in the text as it was given, and the end."""
    readings: tuple[Reading, ...]
    """The words as they stand; then, where something hints at it, as they may be meant."""

    def __add__(self, other: Stretch) -> Stretch:
        """Return both as one, `other` following at once."""
        count = max(len(self.readings), len(other.readings))
        return Stretch(
            self.clean + other.clean,
            self.folded + other.folded,
            [*self.places[:-1], *other.places],
            tuple(_joined(self, other, number) for number in range(count)),
        )


def _joined(one: Stretch, other: Stretch, number: int) -> Reading:
    first = one.readings[min(number, len(one.readings) - 1)]
    second = other.readings[min(number, len(other.readings) - 1)]
    return Reading(
        [*first.words, *second.words],
        [*first.spans, *second.spans],
        first.disguised or second.disguised,
    )


class _Folds(dict[str, tuple[str, str]]):
    """For a character, what `clean` and `folded` have in its place; equally long."""

    def __missing__(self, char: str) -> tuple[str, str]:
        code = ord(char)
        if 0xE0020 <= code <= 0xE007E:
            # Tags: an invisible copy of ASCII that models read.
            char = chr(code - 0xE0000)
        elif unicodedata.category(char) in {"Cf", "Co"} or 0xFE00 <= code <= 0xFE0F:
            char = ""
        clean = unicodedata.normalize("NFKC", char) if char else ""
        clean = "".join(each for each in clean if not "\u0300" <= each <= "\u036f")
        self[chr(code)] = clean, "".join(map(_folded, clean))
        return self[chr(code)]


def _folded(char: str) -> str:
    if char < "\u02b0" and char in LATIN:
        # A letter of Latin alphabets with a stroke or without a dot.
        char = LATIN[char]
    plain = unicodedata.normalize("NFD", char.casefold())
    kept = "".join(each for each in plain if not "\u0300" <= each <= "\u036f")
    return (unicodedata.normalize("NFC", kept) or char)[0]


_FOLDS = _Folds()


def fold_pattern(pattern: str) -> str:
    """Return a pattern whose letters beyond ASCII are folded as texts are; its syntax stays."""
    return "".join(char if char.isascii() else _FOLDS[char][1] for char in pattern)


def read(text: str, start: int, vocabulary: Callable[[str], Iterable[tuple[int, int]]]) -> Stretch:
    """Normalise a piece of a text.

    Args:
        text: The piece.
        start: Where it begins in the whole.
        vocabulary: Finds known words in letters that no space parts, as (start, end).
    """
    places: Sequence[int]
    if text.isascii():
        clean, folded = text, text.lower()
        places = range(start, start + len(text) + 1)
    else:
        parts = [_FOLDS[char] for char in text]
        clean = "".join(part[0] for part in parts)
        folded = "".join(part[1] for part in parts)
        if len(clean) == len(text) and all(len(part[0]) == 1 for part in parts):
            places = range(start, start + len(text) + 1)
        else:
            found = [start + at for at, part in enumerate(parts) for _ in part[0]]
            places = [*found, start + len(text)]
    plain = _reading(clean, folded, places)
    readings = [plain]
    if _LEET_CUE.search(folded):
        readings.append(_reading(clean, folded.translate(_LEET), places, disguised=True))
    if _SPACED.search(folded):
        spelled = folded.translate(_LEET) if len(readings) > 1 else folded
        readings.append(_closed_up(spelled, places, vocabulary))
    return Stretch(clean, folded, places, tuple(readings))


def _reading(
    clean: str, folded: str, places: Sequence[int], *, disguised: bool = False
) -> Reading:
    words, spans = [], []
    latin = None
    for match in _WORD.finditer(folded):
        word, at, end = match[0], match.start(), match.end()
        if word[0] in _END:
            word = "."
        elif word[0] in _QUOTES:
            word = '"'
        elif not word.isascii():
            if "’" in word:
                word = word.replace("’", "")
            if latin is None:
                latin = 2 * sum(char.isascii() for char in folded) > len(folded)
            word = _as_latin(clean[at:end], word, mostly_latin=latin)
        elif "'" in word:
            word = word.replace("'", "")
        words.append(word)
        spans.append((places[at], places[end - 1] + 1))
    return Reading(words, spans, disguised)


def _as_latin(clean: str, word: str, *, mostly_latin: bool) -> str:
    """Return a word with its lookalikes as Latin letters, where it mixes scripts or stands alone."""
    others = [char for char in clean if not char.isascii() and char.isalpha()]
    alike = [char for char in others if char in LATIN]
    mixed = len(alike) < len(clean) and any(char.isascii() and char.isalpha() for char in clean)
    if not alike or not (mixed or (mostly_latin and len(alike) == len(others) and len(word) > 2)):
        return word
    return "".join(LATIN.get(own, char) for own, char in zip(clean, word, strict=False)).lower()


def _closed_up(
    folded: str, places: Sequence[int], vocabulary: Callable[[str], Iterable[tuple[int, int]]]
) -> Reading:
    """Return the words of a text with s p a c e d ones closed up."""
    words: list[str] = []
    spans: list[tuple[int, int]] = []

    def take(letters: list[int]) -> None:
        blob = "".join(folded[at] for at in letters)
        for start, end in vocabulary(blob) if len(blob) > 9 else [(0, len(blob))]:
            words.append(blob[start:end])
            spans.append((places[letters[start]], places[letters[end - 1]] + 1))

    done = 0
    for run in [*_SPACED.finditer(folded), None]:
        until = len(folded) if run is None else run.start()
        for match in _WORD.finditer(folded, done, until):
            words.append("." if match[0][0] in _END else match[0])
            spans.append((places[match.start()], places[match.end() - 1] + 1))
        if run is not None:
            at = run.start()
            for part in _GAP.split(run[0]):
                begin = folded.index(part, at) if part else at
                at = begin + len(part)
                letters = [i for i in range(begin, at) if folded[i].isalnum()]
                if letters:
                    take(letters)
            done = run.end()
    return Reading(words, spans, disguised=True)
