"""Numbers written as words, put into digits: `twenty-five`, `vingt et un`, `einundzwanzig`, `二十五`.

The words are those of Unicode CLDR's spell-out rules. A run of number words is read as a whole or not at
all: nothing is taken out of the middle of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import regex

from llmflowlab.text.numbers.cldr import base_of

__all__ = ["has_words", "in_digits"]

_LARGE = (1_000, 10_000, 100_000, 1_000_000, 1_000_000_000)
_AND = frozenset(["and", "und", "et", "y", "e", "и", "en", "ve", "dan"])
"""Joins number words in some languages; read only between two of them."""
_AMBIGUOUS = frozenset(["neuf", "sei", "bin", "yüz", "kırk"])
"""Number words that are ordinary words of their language too (new, you are, face), as are all words for one."""
_WORD = regex.compile(r"[\p{L}\p{M}]+")
_JOINT = re.compile(r"[ \u00a0\u00ad-]{0,2}")
_PARTS = {
    "half": 2,
    "third": 3,
    "quarter": 4,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
    "hundredth": 100,
    "thousandth": 1000,
}
_PART = "|".join(_PARTS)
# "A third of them" is a part of something else, "a quarter past two" a time.
_NOT_OF = r"(?![ \u00a0](?:of|past|to|mile|hour|pound|time|party|person|world)\b)"
_ONE_PART = re.compile(rf"(?<!\w)(?:an?|one)[ \u00a0-]({_PART})(?!\w){_NOT_OF}", re.I)
_COUNT = "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty"
_AND_PART = re.compile(
    rf"(?<![\w.,/])(\d{{1,15}}|{_COUNT}) and (?:a|an|one)[ \u00a0-]({_PART})(?!\w){_NOT_OF}", re.I
)
_SEVERAL_PARTS = re.compile(rf"(?<![\w.,/])(\d{{1,15}})[ \u00a0-]({_PART})s(?!\w){_NOT_OF}", re.I)
_POINT = re.compile(r"(?<![\w.,/])(?:(\d{1,15})|one) point (\d(?: \d){0,14}(?![\w.,]))", re.I)
_DIGITS = dict(
    zip(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        "0123456789",
        strict=True,
    )
)
_SAID_POINT = re.compile(
    rf"(?<= point )(?:{'|'.join(_DIGITS)})(?: (?:{'|'.join(_DIGITS)}))*(?!\w)", re.I
)
_MEASURE = r"(?:hour|minute|second|day|week|year|mile|pound|lit(?:re|er)|kilo|inch|metre|meter)"
_HALF_A = re.compile(rf"(?<!\w)half an? (?={_MEASURE})", re.I)
_AND_A_HALF = re.compile(rf"(?<!\w)(?:an?|one) ({_MEASURE}) and a half(?!\w)", re.I)
_DOZEN = re.compile(r"(?<!\w)(?:(?P<half>half a)|an?|one) dozen(?!\w)", re.I)
_UNSPACED = {"zh", "ja"}
_CHARACTERS = str.maketrans("零两兩萬億", "〇二二万亿")
_NUMERAL = "〇零一二两兩三四五六七八九十百千万萬亿億"
_PER_CENT = re.compile(rf"百分之([{_NUMERAL}]+)")
_IN_A_HUNDRED = re.compile(
    r"(?<![^\W_])([^\W_]{1,40})[ \u00a0](?:pour[ \u00a0]cent|per[ \u00a0]cento|por[ \u00a0]cien(?:to)?|por[ \u00a0]cento)(?!\w)",
    re.I,
)
"""Shares whose last word is a number of its own: `vingt pour cent`."""
_ALONE = re.compile(
    rf"[\s\W]*(?:(?:正确|正確)?答案(?:是|为|為)?|答えは|正解は|答えが|是|等于|等於)?[：:\s]*([{_NUMERAL}]+)(?:[个個元円年月日人歳岁次回度分秒小时時間つ本枚只]{{0,2}})(?:です)?\W*"
)


def in_digits(
    text: str, language: str | None, *, also: Iterable[int] = (), loose: bool = False
) -> str:
    """Return a text with its number words as digits.

    Args:
        text: What was said.
        language: A tag such as `de-CH`; None is read as English. Without rules for it the text comes
            back as it is.
        also: Numbers beyond 999 and the round ones that are to be known.
        loose: Whether words that may mean something else (`one` of `no one`) are taken for numbers
            where they are not the whole of the text, too.
    """
    base = base_of(language) or "en"
    engine = _engine(base)
    if engine is None or not text.strip():
        return text
    if base == "en":
        text = _fractions(text)
    values, words = _lexicon(base)
    values = {**values, **{s: n for n in also for s in _spellings(engine, base, n)}}
    if base in _UNSPACED:
        return _unspaced(text, values)
    text = _IN_A_HUNDRED.sub(
        lambda m: f"{m[1]} %" if m[1].isdigit() or m[1].casefold() in words else m[0], text
    )
    out, last = [], 0
    for start, end in _runs(text, words):
        run = _plain(text[start:end])
        value = values.get(run)
        sure = value != 1 and run not in _AMBIGUOUS
        if value is not None and (sure or loose or not _WORD.search(text[:start] + text[end:])):
            out += [text[last:start], str(value)]
            last = end
    worded = "".join(out) + text[last:]
    return _parted(worded) if base == "en" else worded


def has_words(language: str | None) -> bool:
    """Whether number words of a language are known; English's stand for a language not named."""
    return _engine(base_of(language) or language or "en") is not None


def _fractions(text: str) -> str:
    """Put English fractions and dozens with `a` or `one` into digits: `one third`, `3 and a half`."""
    text = _AND_PART.sub(lambda m: f"{_counted(m[1])} 1/{_PARTS[m[2].casefold()]}", text)
    text = re.sub(r"^(\W*)half(\W*)$", r"\g<1>1/2\2", text, flags=re.I)
    text = _HALF_A.sub("1/2 ", _AND_A_HALF.sub(r"1 1/2 \1", text))
    text = _SAID_POINT.sub(lambda m: " ".join(_DIGITS[w] for w in m[0].lower().split()), text)
    text = _ONE_PART.sub(lambda m: f"1/{_PARTS[m[1].casefold()]}", text)
    return _DOZEN.sub(lambda m: "6" if m["half"] else "12", text)


def _counted(word: str) -> str:
    # "One" is left a word elsewhere, as it may be another.
    return "1" if word.casefold() == "one" else word


def _parted(text: str) -> str:
    """Put together what is left of them and of decimals: `3 quarters`, `1 point 5`."""
    text = _SEVERAL_PARTS.sub(lambda m: f"{m[1]}/{_PARTS[m[2].casefold()]}", text)
    return _POINT.sub(lambda m: f"{m[1] or 1}.{''.join(m[2].split())}", text)


def _runs(text: str, words: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield where number words stand one after another."""
    found = [(m.start(), m.end(), m.group().casefold()) for m in _WORD.finditer(text)]
    at = 0
    while at < len(found):
        if not _begins(found, at, words):
            at += 1
            continue
        last = at
        for next_ in range(at + 1, len(found)):
            if not _JOINT.fullmatch(text[found[next_ - 1][1] : found[next_][0]]):
                break
            if found[next_][2] in words:
                last = next_
            elif found[next_][2] not in _AND:
                break
        yield found[at][0], found[last][1]
        at = last + 1


def _begins(found: list[tuple[int, int, str]], at: int, words: frozenset[str]) -> bool:
    word = found[at][2]
    if word == "a":
        # "a hundred", never "a four".
        return at + 1 < len(found) and found[at + 1][2] in {"hundred", "thousand", "million"}
    return word in words and word not in _AND


def _unspaced(text: str, values: dict[str, int]) -> str:
    """Read the numerals of an answer that is nothing else: elsewhere 十分 is "very" and 一般 "general"."""
    text = _PER_CENT.sub(lambda m: f"{values[n]}%" if (n := _plain(m[1])) in values else m[0], text)
    said = _ALONE.fullmatch(text.strip())
    if said is None or (value := values.get(_plain(said.group(1)))) is None:
        return text
    return text.replace(said.group(1), str(value), 1)


def _plain(text: str) -> str:
    """Return a spelling without what is written or left out at will: hyphens, "and", case."""
    words = text.casefold().replace("\u00ad", "").replace("-", " ").split()
    return " ".join(word for word in words if word != "and").translate(_CHARACTERS)


@lru_cache(maxsize=32)
def _lexicon(base: str) -> tuple[dict[str, int], frozenset[str]]:
    """Return spellings in plain form with their numbers, and the words that they are made of."""
    engine = _engine(base)
    values: dict[str, int] = {}
    thousands = [n * 1_000 for n in range(1, 100)]
    for number in sorted({*range(1_000), *thousands, *_LARGE}, reverse=True):
        for spelling in _spellings(engine, base, number):
            # Downwards, so that of two readings the smaller number stays.
            values[spelling] = number
    if base == "en":
        # "Fifteen hundred".
        teens = [(s, n) for s, n in values.items() if 10 < n < 100 and n % 10]
        values.update((f"{spelling} hundred", number * 100) for spelling, number in teens)
    return values, frozenset(w for spelling in values for w in spelling.split()) - _AND


def _spellings(engine: Any, base: str, number: int) -> set[str]:
    said = engine.format_number(number).text_by_ruleset
    found = {_plain(text) for rule, text in said.items() if "financial" not in rule}
    if number in {100, 1_000, 1_000_000}:
        found |= {f"a {s.removeprefix('one ')}" for s in found if s.startswith("one ")}
        found |= {s.removeprefix("ein") for s in found if base == "de" and number < 1_000_000}
        found |= {s.partition(" ")[2] for s in found if base == "ru" and " " in s}
    if base == "zh" and (10 <= number < 20 or number in {100, 1_000, 10_000, 1_000_000}):
        found |= {s.removeprefix("一") for s in found}
    return found


@lru_cache(maxsize=32)
def _engine(base: str) -> Any:
    # Imported when words are read: answers with digits alone need none of it.
    from unicode_rbnf import RbnfEngine

    try:
        return RbnfEngine.for_language("no" if base == "nb" else base)
    except ValueError:
        return None
