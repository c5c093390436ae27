"""Texts as rules read them: disguises taken off, of characters and of words.

Spaced-out, leet, masked, drawn-out, turned and shifted spelling are further readings of the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice

from llmflowlab.guardrails.folding import as_latin, fold
from llmflowlab.guardrails.known_words import foreign, parted, unmasked
from llmflowlab.guardrails.rule_index import met
from llmflowlab.guardrails.stretches import Stretch, Words

__all__ = ["read"]

# Of one kind to one sign, so that places stay: ends of sentences, quotation marks, apostrophes.
_SIGNS = str.maketrans(
    {**dict.fromkeys("!?。！？;\n", "."), **dict.fromkeys("“”„«»「」", '"'), "’": "'"}
)
_SIGN = re.compile(f"[{''.join(map(chr, _SIGNS))}]")
# Of signs in a row the last is a word; all other punctuation is none.
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*|\.(?!\s*\.)|\"|[:<>|]")
_SIGNS_THAT_ARE_WORDS = '.":<>|'
_ASCII = frozenset(map(chr, range(128)))


def _plain(char: str) -> str:
    """Return what stands for a character of ASCII where words are told apart: itself or a gap."""
    sign = _SIGNS.get(ord(char), char)
    if sign.islower() or sign.isdigit() or sign in "'" + _SIGNS_THAT_ARE_WORDS:
        return sign
    # Another sign parts ends of sentences too, a space does not.
    return " " if sign.isspace() else "\t"


_PLAIN = "".join(map(_plain, map(chr, range(128)))).encode().ljust(256)
_EARLIER_SIGN = re.compile(r"\.(?= *\.)")
_WITHIN_WORD = re.compile(r"(?<=[a-z0-9])'(?=[a-z0-9])")
_LEET = str.maketrans("01345789@$!|€", "oieastbgasiie")
# Cues begin with what is rare in a text, and look back from there: a search skips all else.
_LEET_CUE = re.compile(
    r"[013457@$!|€](?:(?<=[a-z].)[013457@$!|€]{0,2}[a-z]|(?<=\b[1345@$])[a-z]{3}|(?<=[a-z]{2}[013@$])\b)"
)
_SPACED_CUE = re.compile(r"[ \t._*·|/\\,-]\w[ \t._*·|/\\,-]\w[ \t._*·|/\\,-]\w(?!\w)")
_SPACED = re.compile(
    r"(?<!\w)(?:\w[ \t._*·|/\\,-]){3,}\w(?!\w)(?:(?:[ \t]{2,}| ?[/|] ?)(?:\w[ \t._*·|/\\,-])+\w(?!\w))*"
)
# Between two stars a word is emphasised.
_MASKED = re.compile(r"(?<![a-z*])[a-z]+\*+[a-z]*|(?<=\*)[a-z]+\*+[a-z]+")
_REPEATED = re.compile(r"([a-z])\1{2,}")
_ROT13 = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
_GAP = re.compile(r"[ \t]{2,}| ?[/|] ?")


def read(text: str, start: int) -> Stretch:
    """Normalise a piece of a text.

    Args:
        text: The piece.
        start: Where it begins in the whole.
    """
    clean, folded, places = fold(text, start)
    latin = as_latin(clean, folded)
    words = _words(latin)
    readings = [_reading(latin, places, words)]
    spelled = folded
    if _LEET_CUE.search(folded):
        spelled = folded.translate(_LEET)
        readings.append(_reading(spelled, places))
    if _SPACED_CUE.search(folded) and _SPACED.search(folded):
        readings.append(_closed_up(spelled, places))
    if "*" in folded and (masked := _replacements(_MASKED, folded, unmasked)):
        readings.append(_replaced(folded, places, masked))
    if _may_repeat(readings[0].joined) and (
        runs := _replacements(_REPEATED, folded, lambda run: run[0])
    ):
        readings.append(_replaced(folded, places, runs))
    if folded.isascii() and foreign(words):
        readings.append(_reading(folded.translate(_ROT13), places))
        readings.append(_reading(folded[::-1], places[-2::-1]))
    return Stretch(clean, folded, places, tuple(readings))


def _may_repeat(text: str) -> bool:
    """Tell whether some character may stand three times in a row, looked at all at once."""
    letters = text.encode("ascii", "ignore")
    number = int.from_bytes(letters, "big")
    # Each byte with the one before it: 0 where they are alike.
    steps = number ^ number >> 8
    return b"\0" in (steps | steps >> 8).to_bytes(len(letters), "big")


def _replacements(
    pattern: re.Pattern[str], folded: str, by: Callable[[str], str | None]
) -> list[tuple[int, int, str]]:
    """Return what is to be read otherwise, as (start, end, how)."""
    found = [(match.start(), match.end(), by(match[0])) for match in pattern.finditer(folded)]
    return [(start, end, said) for start, end, said in found if said is not None]


def _replaced(
    folded: str, places: Sequence[int], replacements: Sequence[tuple[int, int, str]]
) -> Words:
    """Return the words of a text with some places read otherwise."""
    letters: list[str] = []
    at: list[int] = []
    done = 0
    for start, end, said in replacements:
        letters += [folded[done:start], said]
        at += places[done:start]
        at += [places[start]] * (len(said) - 1) + [places[end - 1]]
        done = end
    letters.append(folded[done:])
    return _reading("".join(letters), [*at, *places[done:]])


def _reading(folded: str, places: Sequence[int], words: Sequence[str] | None = None) -> Words:
    """Return the words of a text; who knows them gives them."""
    words = _words(folded) if words is None else words

    def place(first: int, last: int) -> tuple[int, int]:
        found = list(islice(_WORD.finditer(_signed(folded)), first, last + 1))
        ends = places[found[0].start()], places[found[-1].end() - 1]
        # In a text that was turned round the last character stands first.
        return min(ends), max(ends) + 1

    return Words(f" {' '.join(words)} ", met(words), place)


def _words(folded: str) -> list[str]:
    """Return what `_WORD` finds, without apostrophes; of ASCII in a third of the time."""
    for char in () if folded.isascii() else set(folded) - _ASCII:
        if char.isalnum():
            return [word.replace("'", "") for word in _WORD.findall(_signed(folded))]
        folded = folded.replace(char, _SIGNS.get(ord(char), " " if char.isspace() else "-"))
    text = folded.encode().translate(_PLAIN).decode()
    if "'" in text:
        text = _WITHIN_WORD.sub("", text).replace("'", "\t")
    if text.count(".") > 1:
        text = _EARLIER_SIGN.sub(" ", text)
    for sign in _SIGNS_THAT_ARE_WORDS:
        if sign in text:
            text = text.replace(sign, f" {sign} ")
    return text.split()


def _signed(folded: str) -> str:
    return _SIGN.sub(lambda match: _SIGNS[ord(match[0])], folded)


def _closed_up(folded: str, places: Sequence[int]) -> Words:
    """Return the words of a text with s p a c e d ones closed up."""
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    text, done = _signed(folded), 0
    for run in [*_SPACED.finditer(folded), None]:
        for match in _WORD.finditer(text, done, len(text) if run is None else run.start()):
            words.append(match[0].replace("'", ""))
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
            for begin, end in parted(blob) if len(blob) > 9 else [(0, len(blob))] * bool(blob):
                words.append(blob[begin:end])
                spans.append((places[letters[begin]], places[letters[end - 1]] + 1))
    return Words(
        f" {' '.join(words)} ", met(words), lambda first, last: (spans[first][0], spans[last][1])
    )
