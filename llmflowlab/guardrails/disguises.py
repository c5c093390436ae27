"""Texts as rules read them: disguises taken off, with the way back to the characters as they stand.

NFKC, case and accents folded, what is invisible removed, letters of other scripts read as the Latin
ones that they look like; spaced-out and leet spelling are further readings of the same words.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from string import ascii_lowercase
from typing import NamedTuple, Protocol

from llmflowlab.guardrails.confusables import LATIN

__all__ = ["BEGINNING", "Known", "Lexicon", "Stretch", "Words", "fold_pattern", "read"]

BEGINNING = 4
"""Letters by which rules are found that know how a word begins."""

# Of one kind to one sign, so that places stay: ends of sentences, quotation marks, apostrophes.
_SIGNS = str.maketrans(
    {**dict.fromkeys("!?。！？;\n", "."), **dict.fromkeys("“”„«»「」", '"'), "’": "'"}
)
_SIGN = re.compile(f"[{''.join(map(chr, _SIGNS))}]")
# Of signs in a row the last is a word; all other punctuation is none.
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|\.(?!\s*\.)|\"|[:<>|]")
_ASCII_WORD = re.compile(_WORD.pattern.replace(r"[^\W_]", "[a-z0-9]"))
"""The same of lower-case ASCII, which it takes half the time to search."""
_ASCII_SIGNS = bytes(_SIGNS.get(code, chr(code)).encode()[0] for code in range(128)).ljust(256)
_LEET = str.maketrans("01345789@$!|€", "oieastbgasiie")
# Cues begin with what is rare in a text, and look back from there: a search skips all else.
_LEET_CUE = re.compile(
    r"[013457@$!|€](?:(?<=[a-z].)[013457@$!|€]{0,2}[a-z]|(?<=\b[1345@$])[a-z]{3}|(?<=[a-z]{2}[013@$])\b)"
)
_SPACED_CUE = re.compile(r"[ \t._*·|/\\,-]\w[ \t._*·|/\\,-]\w[ \t._*·|/\\,-]\w(?!\w)")
_SPACED = re.compile(
    r"(?<!\w)(?:\w[ \t._*·|/\\,-]){3,}\w(?!\w)(?:(?:[ \t]{2,}| ?[/|] ?)(?:\w[ \t._*·|/\\,-])+\w(?!\w))*"
)
_MASKED = re.compile(r"[a-z]+\*+[a-z]*")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_THREE_OF_ONE = tuple(3 * letter for letter in ascii_lowercase)
_ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
_GAP = re.compile(r"[ \t]{2,}| ?[/|] ?")
_LOOKALIKE = re.compile(f"[{''.join(LATIN)}]")
_ACCENTS = re.compile("[\u0300-\u036f]")


class Known(NamedTuple):
    """How words begin that a rule is about."""

    words: frozenset[str]
    stems: frozenset[str]
    """As long as `BEGINNING`."""


@dataclass(frozen=True)
class Words:
    """The words of a stretch, one way to read them."""

    joined: str
    """The words with a space before and after each; an end of a sentence is the word `.`."""
    spell: Callable[[], Sequence[tuple[int, int]]]
    """Makes `spans`, which hardly any text needs."""
    known: Known
    """What rules know; of other words nobody need keep track."""

    @cached_property
    def spans(self) -> Sequence[tuple[int, int]]:
        """Of each word, in the text as it was given."""
        return self.spell()

    @cached_property
    def words(self) -> frozenset[str]:
        """Each once."""
        return frozenset(self.joined.split())

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """Those of its words, and of how they begin, with a star behind it, that rules know."""
        stems = self.known.stems.intersection([word[:BEGINNING] for word in self.words])
        return (self.known.words & self.words).union([f"{stem}*" for stem in stems])

    def __add__(self, other: Words) -> Words:
        joined = self.joined[:-1] + other.joined
        both = Words(joined, lambda: [*self.spans, *other.spans], self.known)
        # Known already, and found again by splitting the words.
        both.__dict__["beginnings"] = self.beginnings | other.beginnings
        return both


@dataclass(frozen=True)
class Stretch:
    """A piece of a text, normalised."""

    clean: str
    """Without what is invisible, in NFKC; case as it was."""
    folded: str
    """As `clean`, letter by letter without case and accents."""
    places: Sequence[int]
    """Where each character of both stands in the text as it was given, and the end."""
    readings: tuple[Words, ...]
    """The words as they stand; then, where something hints at it, as they may be meant."""

    def __add__(self, other: Stretch) -> Stretch:
        """Return both as one, `other` following at once."""
        mine, others = self.readings, other.readings
        # The last reading is also each further one.
        more = len(others) - len(mine)
        mine, others = mine + mine[-1:] * more, others + others[-1:] * -more
        return Stretch(
            self.clean + other.clean,
            self.folded + other.folded,
            _one_after_other(self.places, other.places),
            tuple(map(Words.__add__, mine, others)),
        )

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where characters of `clean` stand in the text as it was given."""
        return self.places[start], self.places[end - 1] + 1


def _one_after_other(places: Sequence[int], following: Sequence[int]) -> Sequence[int]:
    if isinstance(places, range) and isinstance(following, range):
        return range(places.start, following.stop)
    return [*places[:-1], *following]


class _Folds(dict[str, tuple[str, str]]):
    """For a character, what `clean` and `folded` have in its place; equally long."""

    def __missing__(self, char: str) -> tuple[str, str]:
        code = ord(char)
        plain = char
        if 0xE0020 <= code <= 0xE007E:
            # Tags: an invisible copy of ASCII that models read.
            plain = chr(code - 0xE0000)
        elif unicodedata.category(char) in {"Cf", "Co"} or 0xFE00 <= code <= 0xFE0F:
            plain = ""
        clean = _ACCENTS.sub("", unicodedata.normalize("NFKC", plain))
        self[char] = clean, "".join(map(_folded, clean))
        return self[char]


def _folded(char: str) -> str:
    if char < "\u02b0" and char in LATIN:
        # A letter of Latin alphabets with a stroke or without a dot.
        char = LATIN[char]
    plain = _ACCENTS.sub("", unicodedata.normalize("NFD", char.casefold()))
    return (unicodedata.normalize("NFC", plain) or char)[0]


_FOLDS = _Folds()


def fold_pattern(pattern: str) -> str:
    """Return a pattern whose letters beyond ASCII are folded as texts are; its syntax stays."""
    return "".join(char if char.isascii() else _FOLDS[char][1] for char in pattern)


class Lexicon(Protocol):
    """The words that rules know."""

    def known(self) -> Known:
        """Return the words that rules are about."""
        ...

    def parted(self, letters: str) -> Iterable[tuple[int, int]]:
        """Find words in letters that no space parts, as (start, end)."""
        ...

    def unmasked(self, word: str) -> str | None:
        """Return the coarse word that a word with stars stands for."""
        ...

    def foreign(self, words: frozenset[str]) -> bool:
        """Tell whether hardly any of the words are ones that every text has."""
        ...


def read(text: str, start: int, lexicon: Lexicon) -> Stretch:
    """Normalise a piece of a text.

    Args:
        text: The piece.
        start: Where it begins in the whole.
        lexicon: The words that rules know.
    """
    places: Sequence[int] = range(start, start + len(text) + 1)
    if text.isascii():
        clean, folded = text, text.lower()
    else:
        cleaned, plain = zip(*map(_FOLDS.__getitem__, text), strict=True)
        clean, folded = "".join(cleaned), "".join(plain)
        if len(clean) != len(text) or "" in cleaned:
            found = [start + at for at, part in enumerate(cleaned) for _ in part]
            places = [*found, start + len(text)]
    known = lexicon.known()
    readings = [_reading(_as_latin(clean, folded), places, known)]
    spelled = folded
    if _LEET_CUE.search(folded):
        spelled = folded.translate(_LEET)
        readings.append(_reading(spelled, places, known))
    if _SPACED_CUE.search(folded) and _SPACED.search(folded):
        readings.append(_closed_up(spelled, places, lexicon))
    if "*" in folded and (masked := list(_MASKED.finditer(folded))):
        readings.append(_replaced(folded, places, masked, lexicon.unmasked, known))
    if [run for run in _THREE_OF_ONE if run in folded]:
        runs = list(_REPEATED.finditer(folded))
        readings.append(_replaced(folded, places, runs, lambda run: run[0], known))
    if folded.isascii() and lexicon.foreign(readings[0].words):
        readings.append(_reading(folded.translate(_ROT13), places, known))
        readings.append(_reading(folded[::-1], places[-2::-1], known))
    return Stretch(clean, folded, places, tuple(readings))


def _replaced(
    folded: str,
    places: Sequence[int],
    matches: Sequence[re.Match[str]],
    by: Callable[[str], str | None],
    known: Known,
) -> Words:
    """Return the words of a text with some places read otherwise."""
    letters: list[str] = []
    at: list[int] = []
    done = 0
    for match in matches:
        letters += folded[done : match.start()]
        at += places[done : match.start()]
        said = by(match[0]) or match[0]
        letters += said
        at += [places[match.start()]] * (len(said) - 1) + [places[match.end() - 1]]
        done = match.end()
    letters += folded[done:]
    return _reading("".join(letters), [*at, *places[done:]], known)


def _reading(folded: str, places: Sequence[int], known: Known) -> Words:
    if folded.isascii():
        text, word = folded.encode().translate(_ASCII_SIGNS).decode(), _ASCII_WORD
    else:
        text, word = _signed(folded), _WORD
    joined = f" {' '.join(word.findall(text))} "

    def spell() -> Sequence[tuple[int, int]]:
        found = [(places[m.start()], places[m.end() - 1]) for m in _WORD.finditer(text)]
        return [(min(pair), max(pair) + 1) for pair in found]

    return Words(joined.replace("'", ""), spell, known)


def _signed(folded: str) -> str:
    return _SIGN.sub(lambda match: _SIGNS[ord(match[0])], folded)


def _as_latin(clean: str, folded: str) -> str:
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


def _closed_up(folded: str, places: Sequence[int], lexicon: Lexicon) -> Words:
    """Return the words of a text with s p a c e d ones closed up."""
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    text, done = _signed(folded), 0
    for run in [*_SPACED.finditer(folded), None]:
        for match in _WORD.finditer(text, done, len(text) if run is None else run.start()):
            words.append(match[0])
            spans.append((places[match.start()], places[match.end() - 1] + 1))
        if run is None:
            break
        done = run.end()
        at = run.start()
        for part in _GAP.split(run[0]):
            at = folded.index(part, at)
            letters = [at + i for i, char in enumerate(part) if char.isalnum()]
            at += len(part)
            blob = "".join([folded[i] for i in letters])
            for begin, end in (
                lexicon.parted(blob) if len(blob) > 9 else [(0, len(blob))] * bool(blob)
            ):
                words.append(blob[begin:end])
                spans.append((places[letters[begin]], places[letters[end - 1]] + 1))
    return Words(f" {' '.join(words)} ".replace("'", ""), lambda: spans, lexicon.known())
