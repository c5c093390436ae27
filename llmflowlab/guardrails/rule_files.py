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
from typing import cast

from llmflowlab.guardrails.normalise import Reading, fold_pattern
from llmflowlab.guardrails.verdict import Category, Severity

__all__ = ["BEGINNING", "WordRule", "WordRules", "beginnings", "rules_of", "vocabulary"]

_FOLDER = Path(__file__).parent / "rules"
BEGINNING = 4
"""Letters of a word by which rules are found."""

_ELEMENT = re.compile(r"\([^)]*\)\??|~\d+|\S+")


@dataclass(frozen=True)
class WordRule:
    """A pattern over the words of a text."""

    category: Category
    name: str
    severity: Severity
    source: str
    needs: tuple[frozenset[str], ...]
    """Of each, one beginning must be there."""
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


@dataclass(frozen=True)
class WordRules:
    """The rules of a category."""

    by_beginning: Mapping[str, Sequence[WordRule]]
    """Each under the beginnings of its rarest element."""
    of_characters: Sequence[WordRule]

    def candidates(self, beginnings: frozenset[str]) -> Iterator[WordRule]:
        """Return the rules whose needs are met."""
        for beginning in beginnings & self.by_beginning.keys():
            for rule in self.by_beginning[beginning]:
                if all(need & beginnings for need in rule.needs):
                    yield rule


def beginnings(reading: Reading) -> frozenset[str]:
    """Return the beginnings of a reading's words."""
    return frozenset([word[:BEGINNING] for word in reading.words])


@cache
def rules_of(category: Category) -> WordRules:
    """Read the rules of a category."""
    by_beginning: dict[str, list[WordRule]] = {}
    of_characters: list[WordRule] = []
    for rule in _read(category):
        if rule.characters:
            of_characters.append(rule)
            continue
        # The element that is fewest ways to begin is the rarest to be met.
        for beginning in min(rule.needs, key=len):
            by_beginning.setdefault(beginning, []).append(rule)
    return WordRules(by_beginning, of_characters)


@cache
def _known_words() -> re.Pattern[str]:
    words: set[str] = set()
    for file in sorted(_FOLDER.glob("*.txt")):
        words.update(re.findall(r"[a-z]{2,}", fold_pattern(file.read_text("utf-8").lower())))
    common = "a i all the an and my me you your of to in is it for on how do make with"
    ordered = sorted({*words, *common.split()}, key=len, reverse=True)
    return re.compile("|".join(ordered) + "|.", re.DOTALL)


def vocabulary(letters: str) -> Iterator[tuple[int, int]]:
    """Find words of the rules in letters that no space parts; what is none is a word by letters."""
    for match in _known_words().finditer(letters):
        yield match.span()


def _read(category: Category) -> Iterator[WordRule]:
    sets: dict[str, str] = {}
    text = (_FOLDER / f"{category}.txt").read_text("utf-8")
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
        source, needs = compiled(_filled(pattern, sets))
        yield WordRule(
            category=category,
            name=name.lstrip("@"),
            severity=cast("Severity", severity),
            source=source,
            needs=needs,
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


def _words(pattern: str) -> tuple[str, tuple[frozenset[str], ...]]:
    """Return a regular expression over words joined by spaces, and what it needs."""
    source, needs = [], []
    for element in _ELEMENT.findall(pattern):
        if element[0] == "~":
            source.append(rf"(?:[^ .]+ ){{0,{int(element[1:])}}}")
            continue
        optional = element.endswith("?") and element[0] == "("
        choices = element.strip("()?").split("|") if element[0] == "(" else [element]
        choices = [choice.strip() for choice in choices]
        source.append(f"(?:{'|'.join(map(_choice, choices))}){'?' if optional else ''}")
        firsts = [choice.split()[0] for choice in choices]
        # A shorter stem's words begin in many ways.
        known = not any(each.endswith("*") and len(each) <= BEGINNING for each in firsts)
        if not optional and known:
            needs.append(frozenset(_plain(each)[:BEGINNING] for each in firsts))
    return r"(?<= )" + "".join(source), tuple(needs)


def _choice(choice: str) -> str:
    return "".join(f"{_word(word)} " for word in choice.split())


def _word(word: str) -> str:
    folded = re.escape(fold_pattern(word.lower().replace("'", "")))
    return folded.replace(r"\*", "[^ .]*")


def _plain(word: str) -> str:
    return fold_pattern(word.lower().replace("'", "")).rstrip("*")


def _characters(pattern: str) -> tuple[str, tuple[frozenset[str], ...]]:
    """Return a regular expression over characters, and the texts of which it needs one each."""
    source, needs = [], []
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
    return "".join(source), tuple(needs)
