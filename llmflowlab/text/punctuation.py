"""Which signs of a text carry meaning and which are punctuation or Markdown.

`C#` is not `C`, `!=` is not `=` and `$5` is 5 of something; "Paris!" is Paris. What carries meaning is a
token of its own (`a`, `*`, `b`) or stays on its word (`c++`, `!x`, `-5`, `50%`); the rest is a space.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from llmflowlab.loading import load

__all__ = ["MINUS", "UNSPACED", "Lexeme", "lexemes"]

UNSPACED = re.compile(
    r"([\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f])"
)
"""Scripts written without spaces between words, in which each character is a token of its own."""

MINUS = "\u2212"
"""Subtraction as a token; a hyphen between words is none, and a sign stays on its number."""

_OPERATORS = (
    *("===", "!==", "<=>", "...", "**=", "<<=", ">>="),
    *("==", "!=", "<=", ">=", "=>", "->", "<-", ":=", "::", "&&", "||", "++", "--", "**", "//"),
    *("<<", ">>", "+=", "-=", "*=", "/=", "!!", "=~", "??", "?."),
)
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_GRADES = frozenset({*string.ascii_letters, "AB", "ab"})
"""What a minus behind belongs to: a grade, a blood group."""
_CALCULATES = frozenset({*"+*/=<>|&×÷⋅·%", MINUS, *(o for o in _OPERATORS if o != "...")})
# Signs that Unicode counts among punctuation and that no prose drops.
_KEPT_PUNCTUATION = frozenset("&@#%‰/*!\\§")
_LATEX_MATH = re.compile(r"(?<![A-Za-z0-9])\$(?=[^\s$])([^$\n]+?)(?<=\S)\$(?![A-Za-z0-9])")
_BOLD = re.compile(r"(?<![A-Za-z0-9*])(\*{1,3})(?=[^\s*])([^*\n]+?)(?<=\S)\1(?![A-Za-z0-9*])")
_UNDERLINED = re.compile(r"(?<![\w])(_{1,2})(?=[^\W_])([^_\n]+?)(?<=[^\W_])\1(?!\w)")
_LINE_MARK = re.compile(r"^[ \t]*(?:[-*•‣][ \t]+|#{1,6}[ \t]+)+(?=\S)", re.M)
_INITIALS = re.compile(r"(?<!\w)(?:[^\W\d_]\.)+[^\W\d_](?!\w)\.?")
# Bounded: of a long row of them each would else be read to the row's end.
_SPACED_INITIALS = re.compile(r"(?<!\w)[^\W\d_]\.(?:[ ]?[^\W\d_]\.){1,20}(?=\s+[^\W\d_]{2})")
_BARE_INITIALS = re.compile(r"(?<!\w)(?:[A-Z] ){2,5}(?=[A-Z][a-z])")
_DEGREE = re.compile(r"(?<!\w)(?:[A-Z][a-z]{0,2}\.){2,20}(?!\w)")
_AFTER_NUMBER = re.compile(r"(?<![\w.,])(\d[\d.,]{0,40})[ ]?([$€£¥₹₽₩₪₺₫฿₴])(?!\s?[\w$])")


@dataclass(frozen=True, slots=True)
class Lexeme:
    """A word, or a sign that carries meaning."""

    text: str
    is_word: bool
    begins: bool
    """Whether a sentence begins with it."""
    elided: bool
    """Whether an apostrophe follows, as after the article of `l'eau`."""


def lexemes(text: str) -> list[Lexeme]:
    """Return the words and meaningful signs of a text, in its own case."""
    plain = _without_markup(text)
    found = [
        _Raw(
            m[0],
            m.lastgroup == "word",
            plain[m.start() - 1 : m.start()],
            plain[m.end() : m.end() + 1],
        )
        for m in _pattern().finditer(plain)
    ]
    brackets = _meaningful_brackets(found)
    made: list[Lexeme] = []
    prefix, begins, joined = "", True, False
    for i, raw in enumerate(found):
        if raw.is_word:
            text = prefix + raw.text
            made.append(Lexeme(text, True, begins, raw.after in ("'", "’") and raw.after != ""))
            prefix, begins, joined = "", False, True
            continue
        kind = "token" if i in brackets else _decide(raw, found, i)
        if kind == "suffix" and joined and made and made[-1].is_word and not raw.spaced:
            last = made.pop()
            mark = "-" if _is_dash(raw.text) else raw.text
            made.append(Lexeme(last.text + mark, True, last.begins, False))
        elif kind == "prefix" and not UNSPACED.match(raw.after):
            prefix += "-" if raw.text == MINUS else raw.text
            continue
        elif kind in ("token", "suffix"):
            sign = MINUS if len(raw.text) == 1 and _is_dash(raw.text) else raw.text
            made.append(Lexeme(prefix + sign, False, begins, False))
        elif raw.text[0] in ".!?:;。！？：；।…\n":
            begins = True
        prefix, joined = "", False
    while len(made) > 1 and re.fullmatch(r"\*|#+", made[0].text):
        made.pop(0)
    return made


@dataclass(frozen=True, slots=True)
class _Raw:
    text: str
    is_word: bool
    before: str
    """The character before; empty at the beginning."""
    after: str

    @property
    def spaced(self) -> bool:
        return not self.before or self.before.isspace()

    @property
    def is_short(self) -> bool:
        """Whether it can be an operand of a formula: a number or a single letter."""
        return self.is_word and (len(self.text) == 1 or self.text[0].isdigit())


@cache
def _pattern() -> Any:
    regex = load("regex")

    word = r"(?:[\p{L}\p{M}\p{N}_^]|(?<=\d)[.,:/](?=\d)|(?<=\d)[%‰])+|°[\p{L}]*"
    operators = "|".join(map(re.escape, sorted(_OPERATORS, key=len, reverse=True)))
    return regex.compile(rf"(?P<word>{word})|(?P<sign>{operators}|\n|[^\s])")


def _without_markup(text: str) -> str:
    text = _LINE_MARK.sub("", re.sub(r"[^\S\n]|`", " ", text))
    text = _LATEX_MATH.sub(_math, text)
    text = _UNDERLINED.sub(r"\2", _BOLD.sub(r"\2", text))
    text = re.sub(r"(?<=\w)[ ]*\^[ ]*(?=[\w(+-])", "^", text)
    text = re.sub(r"(?<=\d)\s+(?=[%‰](?!\w))", "", text)
    text = re.sub(r"(?<=\d)[ ]+/[ ]+(?=\d)", "/", text)
    text = re.sub(r"(?<![\w.])\.(?=\d)", "0.", text)
    text = _AFTER_NUMBER.sub(r"\2\1", text)
    text = _BARE_INITIALS.sub(lambda m: m[0].replace(" ", "") + " ", text)
    text = _DEGREE.sub(lambda m: m[0].replace(".", ""), text)
    return _INITIALS.sub(_joined, _SPACED_INITIALS.sub(_joined, text))


def _math(match: re.Match[str]) -> str:
    inner = match[1]
    return inner if not re.search(r"\s", inner) or re.search(r"[\\^_{}=+*/<>]", inner) else match[0]


def _joined(match: re.Match[str]) -> str:
    """Return initials without points: `US` of `U.S.`, `pm` of `p.m.`, but `x.y` stays."""
    letters = re.sub(r"[\s.]", "", match[0])
    if letters.isupper() or (match[0].endswith(".") and " " not in match[0]):
        return letters
    return match[0]


def _decide(raw: _Raw, found: Sequence[_Raw], i: int) -> str:
    """Return whether a sign is a `token`, stays on a word (`prefix`, `suffix`), or goes (empty)."""
    sign = raw.text
    before = found[i - 1] if i else None
    after = found[i + 1] if i + 1 < len(found) else None
    word_before = before is not None and before.is_word and not raw.spaced
    stuck = before is not None and not raw.spaced and (before.is_word or before.text in ")]}%")
    word_after = after is not None and after.is_word and not after.spaced
    ends = not raw.after or raw.after in " \n.,;:)"
    if _is_dash(sign) and before is not None and before.text in _GRADES and not raw.spaced and ends:
        return "suffix"
    if _is_dash(sign[0]) and "=" not in sign and ">" not in sign:
        return (
            _dash(raw, before, after) if len(sign) == 1 else _double_dash(word_before, word_after)
        )
    if sign[0] == "!" and "=" not in sign:
        if word_after:
            return "token" if stuck else "prefix"
        operand = before is not None and (before.is_short or before.text == ")")
        return "token" if operand and len(sign) == 1 else ""
    if sign in ("...", "??", "?.", "::") and not (word_before and word_after):
        return ""
    if sign in ("+", "++", "#"):
        letter = word_before and before is not None and before.text[-1].isalpha()
        if letter and (not word_after or sign == "++"):
            return "suffix"
        return "prefix" if sign == "#" and word_after and not stuck else "token"
    if sign in ("*", "@", "&"):
        return "prefix" if word_after and not stuck and sign != "&" else "token"
    if sign == ".":
        named = after is not None and len(after.text) > 1 and after.text[0].isalpha()
        return "prefix" if raw.spaced and word_after and named else ""
    if sign == "\\":
        return "token" if raw.spaced and (not raw.after or raw.after.isspace()) else ""
    if sign == "·":
        short = before is not None and after is not None and before.is_short and after.is_short
        return "token" if short else ""
    kept = len(sign) > 1 or sign in _KEPT_PUNCTUATION or unicodedata.category(sign)[0] == "S"
    return "token" if kept else ""


def _is_dash(sign: str) -> bool:
    return sign == MINUS or (len(sign) == 1 and unicodedata.category(sign) == "Pd")


def _dash(raw: _Raw, before: _Raw | None, after: _Raw | None) -> str:
    if after is None or after.text == "\n":
        return ""
    stuck = before is not None and not raw.spaced and (before.is_word or before.text in ")]}%")
    if after.is_short and not after.spaced and not stuck:
        return "prefix" if after.text[0].isdigit() or raw.text != MINUS else "token"
    operands = [x for x in (before, after) if x is not None]
    short = len(operands) == 2 and all(x.is_short or x.text in "()[]" for x in operands)
    even = raw.spaced == after.spaced
    opens = after.text == "(" and not after.spaced and not stuck
    return "token" if raw.text == MINUS or opens or (short and even) else ""


def _double_dash(word_before: bool, word_after: bool) -> str:
    """`i--` and `--flag` are meant; `a -- b` and `a--b` are dashes."""
    if word_before == word_after:
        return ""
    return "suffix" if word_before else "prefix"


def _meaningful_brackets(found: Sequence[_Raw]) -> set[int]:
    """Return the places of brackets without which a formula would be another one: `(a+b)*c`."""
    open_at: list[int] = []
    kept: set[int] = set()
    for i, raw in enumerate(found):
        if raw.text in _BRACKETS:
            open_at.append(i)
        elif open_at and raw.text == _BRACKETS[found[open_at[-1]].text]:
            first = open_at.pop()
            inside = any(r.text in _CALCULATES or r.text == "-" for r in found[first + 1 : i])
            near = [found[j].text for j in (first - 1, i + 1) if 0 <= j < len(found)]
            if inside and any(text in _CALCULATES or text in "-^" for text in near):
                kept |= {first, i}
    return kept
