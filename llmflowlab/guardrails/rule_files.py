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

from llmflowlab.guardrails.disguises import BEGINNING, Known, fold_pattern
from llmflowlab.guardrails.verdict import Category, Severity

__all__ = ["LEXICON", "OF_WORDS", "WordRule", "WordRules", "rules_of"]

OF_WORDS: tuple[Category, ...] = ("injection", "malicious", "toxicity", "profanity")
"""Categories that have such rules."""

_FOLDER = Path(__file__).parent / "rules"
_COMMON_WORDS = (
    "a an and are as at be by can do for from how i in is it me my of on one or so the to we you your all any this "
    "that was were have has had will with not no but if they he she his her them make made get give writ show tell "
    "crea buil use used what when wher who why new out up now only ever most must shou woul coul need want help "
    "der die das und ist ein eine un une le la les de du des el los las il gli lo e y et o os as que en es per con "
    "ich du wie como com para por pour dans je tu se si no te"
)
_COMMON = frozenset(_COMMON_WORDS.split())
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
    """Of each, one beginning must be there, the rarest first."""
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


@dataclass(frozen=True)
class WordRules:
    """The rules of some categories."""

    beginnings: frozenset[str]
    by_beginning: Mapping[str, Sequence[tuple[WordRule, frozenset[str], Sequence[frozenset[str]]]]]
    """Each under the beginnings of its rarest element, with its last one and the needs besides.

    An end of a sentence is no need: each text ends with one.
    """
    of_characters: Sequence[WordRule]
    texts: Mapping[str, Sequence[str]]
    """What those need, each under its first character."""

    def candidates(self, there: frozenset[str], here: frozenset[str]) -> set[WordRule]:
        """Return the rules whose needs are met.

        Args:
            there: How all words begin.
            here: How those begin among which a match must end, or at the end of a sentence.
        """
        found = set()
        for beginning in self.beginnings & there:
            for rule, last, needs in self.by_beginning[beginning]:
                if last and last.isdisjoint(here):
                    continue
                for need in needs:
                    if need.isdisjoint(there):
                        break
                else:
                    found.add(rule)
        return found

    def texts_in(self, folded: str) -> set[str]:
        """Return what of the rules about characters is in a text."""
        firsts = self.texts.keys() & set(folded)
        return {text for first in firsts for text in self.texts[first] if text in folded}


@cache
def rules_of(categories: tuple[Category, ...]) -> WordRules:
    """Read the rules of some categories."""
    by_beginning: dict[str, list[tuple[WordRule, frozenset[str], Sequence[frozenset[str]]]]] = {}
    of_characters: list[WordRule] = []
    for rule in (rule for category in categories for rule in _read(category)):
        if rule.characters:
            of_characters.append(rule)
            continue
        rarest, *others = [need for need in rule.needs if "." not in need]
        last = frozenset[str]() if "." in rule.last else rule.last
        for beginning in rarest:
            by_beginning.setdefault(beginning, []).append((rule, last, others))
    texts: dict[str, list[str]] = {}
    for text in {text for rule in of_characters for need in rule.needs for text in need}:
        texts.setdefault(text[0], []).append(text)
    return WordRules(frozenset(by_beginning), by_beginning, of_characters, texts)


def _commonness(need: frozenset[str]) -> tuple[int, int]:
    return sum(key[:BEGINNING].rstrip("*") in _COMMON for key in need), len(need)


@cache
def _known_words() -> re.Pattern[str]:
    words: set[str] = set()
    for file in sorted(_FOLDER.glob("*.txt")):
        words.update(re.findall(r"[a-z]{2,}", fold_pattern(file.read_text("utf-8").lower())))
    common = "a i all the an and my me you your of to in is it for on how do make with"
    ordered = sorted({*words, *common.split()}, key=len, reverse=True)
    return re.compile("|".join(ordered) + "|.", re.DOTALL)


@cache
def _known_beginnings() -> Known:
    rules = [rule for category in OF_WORDS for rule in _read(category) if not rule.characters]
    known = {each for rule in rules for part in (*rule.needs, rule.last) for each in part}
    stems = {each for each in known if each.endswith("*")}
    return Known(frozenset(known - stems), frozenset(stem[:-1] for stem in stems))


class _RuleLexicon:
    """The words of all rules, and those that every text has."""

    def known(self) -> Known:
        return _known_beginnings()

    def parted(self, letters: str) -> Iterator[tuple[int, int]]:
        for match in _known_words().finditer(letters):
            yield match.span()

    def unmasked(self, word: str) -> str | None:
        form = re.compile(re.sub(r"\*+", "[a-z]{1,4}", word))
        return next((coarse for coarse in _coarse_words() if form.fullmatch(coarse)), None)

    def foreign(self, words: frozenset[str]) -> bool:
        common = 14 * len(words & _COMMON)
        if common >= 2 * len(words):
            return False
        count = len(words) + len({word[:BEGINNING] for word in words})
        return count > 6 and common < count


LEXICON = _RuleLexicon()


@cache
def _coarse_words() -> tuple[str, ...]:
    text = fold_pattern((_FOLDER / "profanity.txt").read_text("utf-8").lower())
    listed = [group.split("|") for group in re.findall(r"\(([^)]*)\)", text)]
    return tuple(word.rstrip("*") for words in listed for word in words if " " not in word)


@cache
def _read(category: Category) -> tuple[WordRule, ...]:
    return tuple(_lines(category))


def _lines(category: Category) -> Iterator[WordRule]:
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
        source, needs, last = compiled(_filled(pattern, sets))
        yield WordRule(
            category=category,
            name=name.lstrip("@"),
            severity=cast("Severity", severity),
            source=source,
            needs=tuple(sorted(needs, key=_commonness)),
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
        source.append(f"(?:{'|'.join(map(_choice, choices))}){'?' if optional else ''}")
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
    rare = [word for word in known if _plain(word)[:BEGINNING] not in _COMMON]
    return max(rare or known or words, key=len)


def _beginnings(words: Sequence[str]) -> frozenset[str]:
    """Return how words begin; empty where one of them is a stem so short that nobody can tell."""
    found = [
        _plain(word)[:BEGINNING] + "*" if word.endswith("*") else _plain(word) for word in words
    ]
    short = [word for word in words if word.endswith("*") and len(word) <= BEGINNING]
    return frozenset() if short else frozenset(found)


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
