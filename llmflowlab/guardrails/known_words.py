"""The words that rules know, and those that every text has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache

from llmflowlab.guardrails.folding import fold_pattern
from llmflowlab.guardrails.rule_files import COMMON, FOLDER, one_of
from llmflowlab.guardrails.stretches import BEGINNING

__all__ = ["foreign", "parted", "unmasked"]


def parted(letters: str) -> Iterator[tuple[int, int]]:
    """Find words in letters that no space parts, as (start, end)."""
    for match in _any_word().finditer(letters):
        yield match.span()


@lru_cache(maxsize=1024)
def unmasked(word: str) -> str | None:
    """Return the coarse word that a word with stars stands for."""
    begins = word[: word.index("*")]
    coarse = [each for each in _coarse_words().get(word[0], ()) if each.startswith(begins)]
    if not coarse:
        return None
    # One star stands for a letter or two, several may stand for more.
    form = re.compile(re.sub(r"\*+", lambda stars: f"[a-z]{{1,{min(2 * len(stars[0]), 4)}}}", word))
    return next((each for each in coarse if form.fullmatch(each)), None)


def foreign(words: Sequence[str]) -> bool:
    """Tell whether hardly any of the words are ones that every text has."""
    common = 14 * len(COMMON.intersection(words))
    if common >= 2 * len(words):
        return False
    count = len(set(words)) + len({word[:BEGINNING] for word in words})
    return count > 6 and common < count


@cache
def _any_word() -> re.Pattern[str]:
    words: set[str] = set()
    for file in sorted(FOLDER.glob("*.txt")):
        words.update(re.findall(r"[a-z]{2,}", fold_pattern(file.read_text("utf-8").lower())))
    common = "a i all the an and my me you your of to in is it for on how do make with"
    ordered = sorted({*words, *common.split()}, key=len, reverse=True)
    return re.compile(f"{one_of(ordered)}|.", re.DOTALL)


@cache
def _coarse_words() -> Mapping[str, Sequence[str]]:
    """Return them under their first letters."""
    text = fold_pattern((FOLDER / "profanity.txt").read_text("utf-8").lower())
    listed = [group.split("|") for group in re.findall(r"\(([^)]*)\)", text)]
    found: dict[str, list[str]] = {}
    for word in [word.rstrip("*") for words in listed for word in words if " " not in word]:
        found.setdefault(word[0], []).append(word)
    return found
