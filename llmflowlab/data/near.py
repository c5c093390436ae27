"""Pairs of questions that are nearly the same, found without comparing all with all.

Candidates come from MinHash signatures of character 4-grams (Broder 1997), 48 hashes in 12 bands of
4: two texts whose sets of 4-grams agree by 70 % meet with a probability of 96 %, by 80 % with 99.8 %.
Many questions made from one template would meet all at once; of such a crowd only neighbours in
alphabetical order, read forwards and backwards, are looked at.

datasketch's MinHashLSH with rapidfuzz (2.0.0, 3.14.6) was measured beside it on 20,000 questions: 2.6 s
of processor against 0.5 where questions are free; where all come from one template it has no answer to
the crowd and looks at 10^8 pairs, over a minute for half of them against 0.8 s.

What is found is then compared word by word, in order. Questions that differ in a number, a mathematical
sign, a word of logic (not, and, or, all, true), a letter that stands alone, the order of their words or a
word that is not a misspelling of the other are different questions, however long the part is that they
share. Nor is one of two words a misspelling that are about as common in the file, or both begin with a
capital letter: those are names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from llmflowlab.data.logic import FILLERS, decides
from llmflowlab.data.question_keys import same_text, words

__all__ = ["LEAST_SIMILARITY", "Pair", "near_pairs"]

LEAST_SIMILARITY = 0.85
"""Share of the characters that two near duplicates have in common, in order."""

_BRACKET = re.compile(r"([()\[\]{}])")
_GRAM = 4
_BANDS = 12
_CROWD = 8
_NEIGHBOURS = 2
_MOST_PAIRS = 60_000
_CHUNK = 20_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two texts by their positions, the lower one first."""

    first: int
    second: int
    similarity: float
    """0 to 1: characters in common, in order."""
    same_words: bool
    """Whether they differ in nothing but misspellings, fillers and marks."""


def near_pairs(
    texts: Sequence[str],
    *,
    least: float = LEAST_SIMILARITY,
    originals: Sequence[str] | None = None,
) -> list[Pair]:
    """Return the pairs of texts that ask nearly the same.

    Args:
        texts: Normalised by `same_text`, each one once.
        least: The least similarity.
        originals: The same texts as they are written, whose capital letters tell names; None where
            they are not at hand.
    """
    split: dict[int, tuple[str, ...]] = {}
    counts: Counter[str] = Counter()
    if len(texts) > 2:
        for text in texts:
            counts.update(set(words(text)))

    def of(i: int) -> tuple[str, ...]:
        found = split.get(i)
        if found is None:
            found = split[i] = words(texts[i])
        return found

    def misspelt(i: int, word: str, j: int, other: str) -> bool:
        rarer, commoner = sorted((counts[word], counts[other]))
        # A slip may be repeated, but the right word is then far commoner.
        if not _misspelt(word, other) or (rarer > 1 and 10 * rarer >= commoner):
            return False
        named = (
            originals is not None and _is_name(word, originals[i]) and _is_name(other, originals[j])
        )
        # Frnace is a slip of the hand; Iran and Iraq are two countries.
        return not named or sorted(word) == sorted(other)

    pairs = []
    for i, j in _candidates(texts):
        pair = _compare(i, j, texts, of, misspelt, least)
        if pair is not None:
            pairs.append(pair)
    return pairs


def _compare(
    i: int,
    j: int,
    texts: Sequence[str],
    of: Callable[[int], tuple[str, ...]],
    misspelt: Callable[[int, str, int, str], bool],
    least: float,
) -> Pair | None:
    a, b = of(i), of(j)
    left, right = set(a), set(b)
    # The cheapest question first: most candidates are two of a template.
    alone = (left ^ right) - FILLERS
    if len(alone) > 6 or any(decides(word) for word in alone):
        return None
    if _deciding(texts[i], a) != _deciding(texts[j], b):
        return None
    added = _added(
        [w for w in a if w not in FILLERS],
        [w for w in b if w not in FILLERS],
        lambda word, other: misspelt(i, word, j, other),
    )
    if added is None or 5 * added > len(left | right):
        return None
    matcher = SequenceMatcher(None, texts[i], texts[j], autojunk=False)
    if matcher.real_quick_ratio() < least or matcher.quick_ratio() < least:
        return None
    similarity = matcher.ratio()
    return Pair(i, j, round(similarity, 3), not added) if similarity >= least else None


def _deciding(text: str, split: Sequence[str]) -> list[str]:
    """Return what decides, in order: words and signs, and the brackets where there are some."""
    found = [word for word in split if decides(word)]
    if not found or not _BRACKET.search(text):
        return found
    parts = _BRACKET.split(text)
    return [
        w for part in parts for w in ([part] if _BRACKET.match(part) else words(part)) if decides(w)
    ]


def _added(a: Sequence[str], b: Sequence[str], misspelt: Callable[[str, str], bool]) -> int | None:
    """Count the words that one of two texts has more; None where they are different questions."""
    gone: list[str] = []
    come: list[str] = []
    for what, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        if what == "replace":
            pairs = zip(a[a0:a1], b[b0:b1], strict=False)
            if a1 - a0 != b1 - b0 or not all(misspelt(word, other) for word, other in pairs):
                return None
        gone += a[a0:a1] if what == "delete" else []
        come += b[b0:b1] if what == "insert" else []
    # A word that only stands elsewhere changes who does what; words on both sides are a replacement.
    return None if gone and come else len(gone) + len(come)


def _is_name(word: str, original: str) -> bool:
    """Say whether a word begins with a capital letter where no sentence begins."""
    for found in re.finditer(r"\w+", original):
        if same_text(found[0]) == word:
            before = original[: found.start()].rstrip()
            return found[0][0].isupper() and bool(before) and before[-1] not in ".?!:"
    return False


def _misspelt(word: str, other: str) -> bool:
    """Say whether one letter more, less, changed or swapped makes one word the other."""
    if min(len(word), len(other)) < 4 or abs(len(word) - len(other)) > 1:
        return False
    while word and other and word[0] == other[0]:
        word, other = word[1:], other[1:]
    while word and other and word[-1] == other[-1]:
        word, other = word[:-1], other[:-1]
    return max(len(word), len(other)) <= 1 or (len(word) == 2 and word == other[::-1])


def _candidates(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    # Imported here: nothing else of the command line needs it at its start.
    import numpy as np

    if len(texts) < 2:
        return
    signatures = _signatures(texts)
    forwards = np.empty(len(texts), dtype=np.int64)
    forwards[sorted(range(len(texts)), key=texts.__getitem__)] = np.arange(len(texts))
    backwards = np.empty(len(texts), dtype=np.int64)
    backwards[sorted(range(len(texts)), key=lambda i: texts[i][::-1])] = np.arange(len(texts))
    found = [
        codes
        for band in range(_BANDS)
        for codes in _meetings(signatures[:, band], forwards, backwards)
    ]
    if not found:
        return
    # Sorting: numpy's own unique takes ten times as long on millions of codes.
    pairs = np.sort(np.concatenate(found))
    pairs = pairs[np.r_[True, pairs[1:] != pairs[:-1]]]
    first, second = pairs >> 32, pairs & 0xFFFFFFFF
    lanes = signatures.view(np.uint16).reshape(len(texts), -1)
    alike = np.concatenate(
        [
            (lanes[first[s : s + _CHUNK]] == lanes[second[s : s + _CHUNK]]).mean(axis=1)
            for s in range(0, len(pairs), _CHUNK)
        ]
    )
    # Half the hashes: below that the texts cannot reach the least similarity.
    kept = np.flatnonzero(alike >= 0.4)
    if len(kept) > _MOST_PAIRS:
        kept = kept[np.argsort(-alike[kept], kind="stable")[:_MOST_PAIRS]]
    yield from zip(first[kept].tolist(), second[kept].tolist(), strict=True)


def _meetings(keys: Any, forwards: Any, backwards: Any) -> Iterator[Any]:
    """Yield codes of pairs that agree in one band."""
    import numpy as np

    for ranking in (forwards, backwards):
        order = np.lexsort((ranking, keys))
        ordered = keys[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
        sizes = np.repeat(
            np.diff(np.r_[starts, len(ordered)]), np.diff(np.r_[starts, len(ordered)])
        )
        for step in range(1, _CROWD):
            same = ordered[step:] == ordered[:-step]
            if step > _NEIGHBOURS:
                same &= sizes[step:] <= _CROWD
            at = np.flatnonzero(same)
            if not len(at):
                break
            a, b = order[at], order[at + step]
            yield (np.minimum(a, b).astype(np.int64) << 32) | np.maximum(a, b)


def _signatures(texts: Sequence[str]) -> Any:
    """Return for each text 12 numbers, each made of four 16-bit MinHashes."""
    import numpy as np

    # Fixed: the same file gives the same findings.
    factors = np.random.default_rng(20).integers(1, 2**63, size=_BANDS, dtype=np.uint64) | 1
    out = np.empty((len(texts), _BANDS), dtype=np.uint64)
    for start in range(0, len(texts), _CHUNK):
        part = texts[start : start + _CHUNK]
        # The padding gives even a text of one letter a gram; no gram spans two texts.
        padded = [f"{text[:2000]}\x00\x00\x00" for text in part]
        points = np.frombuffer("".join(padded).encode("utf-32-le"), dtype=np.uint32)
        lengths = np.array([len(text) for text in padded])
        begins = np.r_[0, np.cumsum(lengths)[:-1]]
        grams = np.zeros(len(points), dtype=np.uint64)
        for k in range(_GRAM):
            shifted = np.r_[points[k:], np.zeros(k, dtype=np.uint32)].astype(np.uint64)
            grams = grams * np.uint64(1_000_003) + shifted
        # Behind the last whole gram stand those that reach into the padding or the next text.
        ends = np.cumsum(lengths)
        for back in range(1, _GRAM):
            whole = lengths > _GRAM + back - 1
            grams[ends[whole] - back] = grams[begins[whole]]
        grams ^= grams >> np.uint64(29)
        for band, factor in enumerate(factors):
            mixed = grams * factor
            mixed ^= mixed >> np.uint64(31)
            mixed *= np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(33)
            lanes = mixed.view(np.uint16).reshape(-1, 4)
            least = np.minimum.reduceat(lanes, begins, axis=0)
            out[start : start + len(part), band] = least.view(np.uint64).ravel()
    return out
