"""Prompts whose one-word answer is open: at the border between two words a small change of a model shows."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["CANDIDATES", "chance_of", "first_word"]

_PAIRS = (
    "heads or tails",
    "cat or dog",
    "tea or coffee",
    "summer or winter",
    "red or blue",
    "left or right",
    "odd or even",
    "mountain or sea",
    "apple or pear",
    "piano or guitar",
    "north or south",
    "gold or silver",
    "circle or square",
    "rain or snow",
    "bread or rice",
    "lion or tiger",
    "sun or moon",
    "oak or pine",
    "train or plane",
    "violin or cello",
    "morning or evening",
    "book or film",
    "salt or pepper",
    "river or lake",
    "rose or tulip",
    "chess or cards",
    "iron or copper",
    "spring or autumn",
    "eagle or owl",
    "paper or stone",
)
_OPEN = (
    "a hot dog a sandwich",
    "a tomato a vegetable",
    "it better to be early than late",
    "mathematics invented",
    "a whale smarter than a dog",
    "silence a kind of music",
    "it going to rain tomorrow",
    "cereal a soup",
    "chess a sport",
    "time travel possible",
    "there life on other planets",
    "free will an illusion",
    "money important",
    "a virus alive",
    "water wet",
    "purple a warm colour",
    "thirteen an unlucky number",
    "pineapple good on pizza",
    "history repeating itself",
    "a straw a thing with two holes",
    "luck real",
    "art useful",
    "the glass half full",
    "lying ever right",
    "a cave a building",
    "fire alive",
    "zero a natural number",
    "poetry harder than prose",
    "the number 7 lucky",
    "a bee an animal you would keep",
)

CANDIDATES: tuple[str, ...] = (
    *(f"Is {what}? Answer with yes or no only." for what in _OPEN),
    *(f"{pair.capitalize()}? Answer with one word." for pair in _PAIRS),
    *(f"Choose one: {pair}. Say only the word." for pair in _PAIRS),
    *(f"Yes or no, in one word: is {what}?" for what in _OPEN),
    *(
        f"Would you say that {what.partition(' or ')[0]} beats {what.partition(' or ')[2]}? Yes or no?"
        for what in _PAIRS
    ),
)
"""All of them short, so that a round of them costs next to nothing."""

_WORD = re.compile(r"\w+(?:['’]\w+)?")


def first_word(text: str) -> str:
    """Return the first word of an answer without regard to case; empty where it has none."""
    found = _WORD.search(text)
    return "" if found is None else found[0].casefold()


def chance_of(word: str, chances: Iterable[tuple[str, float]]) -> float:
    """Return how likely an answer begins with a word, by the chances of first tokens, which may be parts of it."""
    total = sum(
        chance
        for token, chance in chances
        if (part := token.strip().casefold()) and word.startswith(part)
    )
    return min(total, 1.0)
