"""Rules over words, read from the text files beside this one, and matched within bounds.

A line is `NAME SEVERITY : PATTERN [ : unless PATTERN]`. A pattern is made of words one after the other:
`word`, `stem*`, `(a|b c|d*)`, `(a|b)?`, `~3` for up to three words between, `<name>` for a set that a
line `name = a | b` makes. A word's end of sentence is `.` and a quotation mark `"`. Lines that begin
with `@` are for scripts without spaces, and their patterns are about characters.

A rule is tried only where the beginnings of words that it cannot do without are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TypeAlias, cast

from llmflowlab.guardrails.folding import fold_pattern
from llmflowlab.guardrails.stretches import BEGINNING
from llmflowlab.guardrails.verdict import Category, Severity

__all__ = ["COMMON", "FOLDER", "OF_WORDS", "WordRule", "one_of", "rules_in"]

OF_WORDS: tuple[Category, ...] = ("injection", "malicious", "toxicity", "profanity")
"""Categories that have such rules."""

FOLDER = Path(__file__).parent / "rules"
_COMMON_WORDS = (
    "a an and are as at be by can do for from how i in is it me my of on one or so the to we you your all any this "
    "that was were have has had will with not no but if they he she his her them make made get give writ show tell "
    "crea buil use used what when wher who why new out up now only ever most must shou woul coul need want help "
    "der die das und ist ein eine un une le la les de du des el los las il gli lo e y et o os as que en es per con "
    "ich du wie como com para por pour dans je tu se si no te"
)
COMMON = frozenset(_COMMON_WORDS.split())
"""Beginnings that nearly every text has, so that no rule is looked up by them."""
_ELEMENT = re.compile(r"\([^)]*\)\??|~\d+|\S+")


@dataclass(frozen=True, eq=False)
class WordRule:
    """A pattern over the words of a text."""

    category: Category
    name: str
    severity: Severity
    source: str
    needs: tuple[frozenset[str], ...]
    """Of each, one beginning must be there."""
    last: frozenset[str]
    """How its last part may begin; empty where nobody knows."""
    unless: str | None = None
    """A pattern over the sentence that makes it harmless."""
    characters: bool = False
    """Whether it is about characters, in a script without spaces."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.source)

    @cached_property
    def excuse(self) -> re.Pattern[str] | None:
        return None if self.unless is None else re.compile(self.unless)


@cache
def rules_in(category: Category) -> Sequence[WordRule]:
    """Return the rules of a category, in the order of its file."""
    return tuple(_lines(category))


def _lines(category: Category) -> Iterator[WordRule]:
    sets: dict[str, str] = {}
    text = (FOLDER / f"{category}.txt").read_text("utf-8")
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if (made := re.fullmatch(r"(\w+) = (.+)", line)) is not None:
            sets[made[1]] = _filled(made[2], sets)
            continue
        name, severity, pattern, unless = _parts(line)
        characters = name.startswith("@")
        compiled = _characters if characters else _words
        source, needs, last = compiled(_filled(pattern, sets))
        yield WordRule(
            category=category,
            name=name.lstrip("@"),
            severity=cast("Severity", severity),
            source=source,
            needs=tuple(needs),
            last=last,
            unless=None if unless is None else compiled(_filled(unless, sets))[0],
            characters=characters,
        )


def _parts(line: str) -> tuple[str, str, str, str | None]:
    head, _, rest = line.partition(" : ")
    pattern, _, unless = rest.partition(" : unless ")
    name, severity = head.split()
    return name, severity, pattern, unless or None


def _filled(text: str, sets: Mapping[str, str]) -> str:
    return re.sub(r"<(\w+)>", lambda match: sets[match[1]], text)


_Compiled: TypeAlias = "tuple[str, list[frozenset[str]], frozenset[str]]"


def _words(pattern: str) -> _Compiled:
    """Return a regular expression over words joined by spaces, its needs and its last one.

    It begins with the space before the first word, which is quickly found.
    """
    source: list[str] = []
    needs: list[frozenset[str]] = []
    last: frozenset[str] = frozenset()
    for element in _ELEMENT.findall(pattern):
        if element[0] == "~":
            source.append(rf"(?:[^ .\"]+ ){{0,{int(element[1:])}}}")
            continue
        optional = element.endswith("?") and element[0] == "("
        choices = element.strip("()?").split("|") if element[0] == "(" else [element]
        choices = [choice.strip() for choice in choices]
        one = one_of([_choice(choice) for choice in choices])
        source.append(f"(?:{one})?" if optional else one)
        if optional:
            last = frozenset()
            continue
        if needed := _beginnings([_rarest(choice) for choice in choices]):
            needs.append(needed)
        last = _beginnings([word for choice in choices for word in choice.split()])
    return " " + "".join(source), needs, last


def _rarest(phrase: str) -> str:
    """Return the word of a phrase by which it is looked for: the longest that not every text has."""
    words = phrase.split()
    known = [word for word in words if not (word.endswith("*") and len(word) <= BEGINNING)]
    rare = [word for word in known if _plain(word)[:BEGINNING] not in COMMON]
    return max(rare or known or words, key=len)


def _beginnings(words: Sequence[str]) -> frozenset[str]:
    """Return how words begin; empty where one of them is a stem so short that nobody can tell."""
    found = [
        _plain(word)[:BEGINNING] + "*" if word.endswith("*") else _plain(word) for word in words
    ]
    short = [word for word in words if word.endswith("*") and len(word) <= BEGINNING]
    return frozenset() if short else frozenset(found)


def one_of(sources: Sequence[str]) -> str:
    """Return one regular expression for several, of which the first that fits is taken.

    Those that begin alike stand together, so that where none begins so, one comparison passes all.
    """
    if any(source[:1] in {"", "["} for source in sources):
        # Where one fits whatever follows, no two can change places.
        return f"(?:{'|'.join(sources)})"
    groups: dict[str, list[str]] = {}
    for source in dict.fromkeys(sources):
        first = source[: 2 if source.startswith("\\") else 1]
        groups.setdefault(first, []).append(source[len(first) :])
    parts = [first + (one_of(rests) if rests[1:] else rests[0]) for first, rests in groups.items()]
    return f"(?:{'|'.join(parts)})" if parts[1:] else parts[0]


def _choice(choice: str) -> str:
    return "".join(f"{_word(word)} " for word in choice.split())


def _word(word: str) -> str:
    folded = re.escape(fold_pattern(word.lower().replace("'", "")))
    return folded.replace(r"\*", "[^ .]*")


def _plain(word: str) -> str:
    return fold_pattern(word.lower().replace("'", "")).rstrip("*")


def _characters(pattern: str) -> _Compiled:
    """Return a regular expression over characters, and the texts of which it needs one each."""
    source: list[str] = []
    needs: list[frozenset[str]] = []
    for element in _ELEMENT.findall(pattern):
        if element[0] == "~":
            source.append(rf"[^.!?。！？\n]{{0,{int(element[1:])}}}")
            continue
        optional = element.endswith("?") and element[0] == "("
        choices = element.strip("()?").split("|") if element[0] == "(" else [element]
        choices = [fold_pattern(choice.strip().lower()) for choice in choices]
        source.append(f"(?:{'|'.join(map(re.escape, choices))}){'?' if optional else ' ?'}")
        if not optional:
            needs.append(frozenset(choices))
    return "".join(source), needs, frozenset()
