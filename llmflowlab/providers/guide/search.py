"""Finds the passage that answers a question, by the words they share (BM25).

Okapi BM25 as in Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and
Beyond", with k1 = 1.2 and b = 0.75. A heading counts like several mentions in the text. Whether the
best passage is an answer at all is decided by how much of the question's information (the summed
inverse document frequency of its words, unknown words counting as the rarest) stands in it.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from llmflowlab.providers.guide.pages import Passage

__all__ = ["Hit", "Index", "passage_words", "words"]

_K1 = 1.2
_B = 0.75
_HEADING_WEIGHT = 3
_ALIAS_WEIGHT = 2

# Endings that are cut and how many letters must remain.
_ENDINGS = (("ization", 5), ("isation", 5), ("ing", 4), ("en", 5), ("ed", 4), ("es", 4), ("s", 3))


def words(text: str) -> list[str]:
    """Return what of a text is searched: words without accents, case and common endings.

    Identifiers such as `LLMFLOWLAB_HOME` stay whole and are given in parts as well.
    """
    folded = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(char for char in folded if not unicodedata.combining(char))
    found: list[str] = []
    for match in re.findall(r"[^\W_][\w.+-]*", plain):
        token = match.strip("._+-")
        parts = re.split(r"[_.+-]+", token)
        telling = [_stem(part) for part in parts if part not in _stop_words()]
        if not telling:
            continue
        found.append(_stem(token))
        if len(parts) > 1:
            found += telling
    return found


@lru_cache(maxsize=1)
def _stop_words() -> frozenset[str]:
    file = files("llmflowlab.providers.guide") / "data" / "stopwords.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _stem(word: str) -> str:
    """Cut common endings, so that "judges", "judged" and "judge" meet, and "beende" and "beenden"."""
    for ending, least in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= least and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage and how well it fits a question."""

    passage: Passage
    score: float
    """BM25; comparable within one question only."""
    coverage: float
    """Share of the question's information that the passage holds, from 0 to 1."""


class Index:
    """BM25 over passages; building it takes some tens of milliseconds."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        counts = [Counter(passage_words(passage)) for passage in passages]
        n = len(passages)
        frequency = Counter(word for count in counts for word in count)
        self._idf = {word: math.log(1 + (n - f + 0.5) / (f + 0.5)) for word, f in frequency.items()}
        self._unknown_idf = math.log(1 + (n + 0.5) / 0.5)
        lengths = [count.total() for count in counts]
        mean = sum(lengths) / n
        self._weights: dict[str, list[tuple[int, float]]] = {word: [] for word in frequency}
        """By word, the passages that hold it and what it adds to their score."""
        for place, (count, length) in enumerate(zip(counts, lengths, strict=True)):
            norm = _K1 * (1 - _B + _B * length / mean)
            for word, times in count.items():
                weight = self._idf[word] * times * (_K1 + 1) / (times + norm)
                self._weights[word].append((place, weight))

    def search(self, question: Mapping[str, float], *, limit: int) -> list[Hit]:
        """Return the best passages for a question, best first; none where no word is known.

        Args:
            question: Its words and how much each counts, 1 for an ordinary one.
            limit: The most passages to return.
        """
        scores: dict[int, float] = defaultdict(float)
        held: dict[int, float] = defaultdict(float)
        asked = 0.0
        for word, emphasis in question.items():
            information = self._idf.get(word, self._unknown_idf) * emphasis
            asked += information
            for place, weight in self._weights.get(word, ()):
                scores[place] += weight * emphasis
                held[place] += information
        # Equal passages come in the order of the pages on every machine.
        best = sorted(scores, key=lambda place: (-scores[place], place))[:limit]
        return [
            Hit(self._passages[place], scores[place], held[place] / asked)
            for place in best
            if scores[place] > 0
        ]

    def weight(self, word: str) -> float:
        """Return a word's inverse document frequency, 0 for words that no passage holds."""
        return self._idf.get(word, 0.0)


def passage_words(passage: Passage) -> list[str]:
    """Return what of a passage is searched, the words of its names repeated by their weight."""
    aliases = [word for alias in passage.aliases for word in words(alias)]
    return _HEADING_WEIGHT * words(passage.heading) + _ALIAS_WEIGHT * aliases + words(passage.text)
