"""Which rules over words a text may break: those of whose parts each has a word that is there.

What a word can be of all rules is one number: bit by bit the parts that it meets, those of one place
in their rules side by side. So what is met by many words is found by "or", and by all parts by "and".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from llmflowlab.guardrails.rule_files import OF_WORDS, WordRule, rules_in
from llmflowlab.guardrails.stretches import BEGINNING
from llmflowlab.guardrails.verdict import Category

__all__ = ["character_rules", "met", "word_rules"]


@dataclass(frozen=True)
class _Index:
    rules: Sequence[WordRule]
    places: int
    """Parts that the longest of them has, and its last once more."""
    of_words: Mapping[str, int]
    of_stems: Mapping[str, int]
    """Of how words begin, as long as `BEGINNING`."""
    always: int
    """What is met by any text: parts that a rule has not, or for which an end of a sentence will do."""


@cache
def _index() -> _Index:
    rules = [rule for category in OF_WORDS for rule in rules_in(category) if not rule.characters]
    most = max(len(rule.needs) for rule in rules)
    of_words: dict[str, int] = {}
    of_stems: dict[str, int] = {}
    always = 0
    for number, rule in enumerate(rules):
        needs = [*rule.needs, *[frozenset[str]()] * (most - len(rule.needs)), rule.last]
        for place, need in enumerate(needs):
            bit = 1 << place * len(rules) + number
            if not need or "." in need:
                always |= bit
                continue
            for beginning in need:
                found = of_stems if beginning.endswith("*") else of_words
                key = beginning.rstrip("*")
                found[key] = found.get(key, 0) | bit
    return _Index(rules, most + 1, of_words, of_stems, always)


def met(words: Sequence[str]) -> int:
    """Return what words meet of all rules; of several texts it is each's together, by "or"."""
    index = _index()
    all_met = index.always
    for word in index.of_words.keys() & words:
        all_met |= index.of_words[word]
    for beginning in index.of_stems.keys() & [word[:BEGINNING] for word in words]:
        all_met |= index.of_stems[beginning]
    return all_met


def word_rules(there: int, here: int, categories: Iterable[Category]) -> Iterator[WordRule]:
    """Yield the rules that a text may break, in their order.

    Args:
        there: What its words meet.
        here: What those meet among which a match must end.
        categories: Whose rules.
    """
    index = _index()
    size = len(index.rules)
    all_met = here >> (index.places - 1) * size
    for place in range(index.places - 1):
        all_met &= there >> place * size
    while all_met:
        lowest = all_met & -all_met
        all_met ^= lowest
        rule = index.rules[lowest.bit_length() - 1]
        if rule.category in categories:
            yield rule


def character_rules(folded: str, categories: Iterable[Category]) -> Iterator[WordRule]:
    """Yield the rules about characters that a text may break."""
    texts = _texts()
    firsts = texts.keys() & set(folded)
    there = {
        text
        for first in firsts
        for beginning, listed in texts[first].items()
        if beginning in folded
        for text in listed
        if text in folded
    }
    for rule in _of_characters() if there else ():
        if rule.category in categories and not any(map(there.isdisjoint, rule.needs)):
            yield rule


@cache
def _of_characters() -> Sequence[WordRule]:
    return [rule for category in OF_WORDS for rule in rules_in(category) if rule.characters]


@cache
def _texts() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """Return what those need, each under its first character and under its first two."""
    texts: dict[str, dict[str, list[str]]] = {}
    for text in {text for rule in _of_characters() for need in rule.needs for text in need}:
        texts.setdefault(text[0], {}).setdefault(text[:2], []).append(text)
    return texts
