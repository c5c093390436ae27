"""Finds the passage that answers a question, by the words they share (BM25).

Okapi BM25 as in Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework: BM25 and
Beyond", with k1 = 1.2 and b = 0.75. A heading counts like several mentions in the text. Whether the
best passage is an answer at all is decided by how much of the question's information (the summed
inverse document frequency of its words, unknown words counting as the rarest) stands in it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from llmflowlab.loading import load
from llmflowlab.providers.guide.pages import Passage

__all__ = ["Hit", "Index", "words"]

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
        load("sklearn.feature_extraction.text", "numpy")
        import numpy as np
        from sklearn.feature_extraction.text import CountVectorizer

        self._passages = passages
        vectorizer = CountVectorizer(analyzer=_passage_words)
        counts: Any = vectorizer.fit_transform(passages).astype(np.float64)
        self._columns: dict[str, int] = vectorizer.vocabulary_
        n = len(passages)
        frequency = np.asarray((counts > 0).sum(axis=0)).ravel()
        self._idf: Any = np.log(1 + (n - frequency + 0.5) / (frequency + 0.5))
        self._unknown_idf = float(np.log(1 + (n + 0.5) / 0.5))
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        norm = _K1 * (1 - _B + _B * lengths / lengths.mean())
        coo = counts.tocoo()
        coo.data = coo.data * (_K1 + 1) / (coo.data + norm[coo.row]) * self._idf[coo.col]
        self._weights: Any = coo.tocsc()

    def search(self, question: Mapping[str, float], *, limit: int) -> list[Hit]:
        """Return the best passages for a question, best first; none where no word is known.

        Args:
            question: Its words and how much each counts, 1 for an ordinary one.
            limit: The most passages to return.
        """
        import numpy as np

        known = [word for word in question if word in self._columns]
        if not known:
            return []
        columns = [self._columns[word] for word in known]
        emphasis = np.array([question[word] for word in known])
        unknown = sum(weight for word, weight in question.items() if word not in self._columns)
        idf = self._idf[columns] * emphasis
        part = self._weights[:, columns]
        scores = np.asarray(part @ emphasis).ravel()
        held = np.asarray((part > 0) @ idf).ravel() / (idf.sum() + self._unknown_idf * unknown)
        # Stable, so that equal passages come in the order of the pages on every machine.
        best = np.argsort(-scores, kind="stable")[:limit]
        return [
            Hit(self._passages[i], float(scores[i]), float(held[i])) for i in best if scores[i] > 0
        ]

    def weight(self, word: str) -> float:
        """Return a word's inverse document frequency, 0 for words that no passage holds."""
        column = self._columns.get(word)
        return 0.0 if column is None else float(self._idf[column])


def _passage_words(passage: Passage) -> list[str]:
    aliases = [word for alias in passage.aliases for word in words(alias)]
    return _HEADING_WEIGHT * words(passage.heading) + _ALIAS_WEIGHT * aliases + words(passage.text)
