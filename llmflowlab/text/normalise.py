"""Text normalisation shared by all deterministic scorers, so that they agree on what "the same" is.

Begun from SQuAD's answer normalisation (Rajpurkar et al. 2016, arXiv:1606.05250, evaluation script: lower
case, no punctuation, no articles, single spaces), which is kept to the letter by the scorer
`squad_exact`. Here Unicode is made uniform first, articles are those of the row's language, and signs
that carry meaning stay: 3.14 never equals 314, nor `C#` the letter C. Each of the four steps can be
switched off.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from llmflowlab.text.language_codes import base_language
from llmflowlab.text.punctuation import UNSPACED, Lexeme, lexemes

__all__ = ["Rules", "fold", "normalise", "pieces", "tokenise"]

_ARTICLES = {
    "en": {"a", "an", "the"},
    "de": {
        *("der", "die", "das", "den", "dem", "des"),
        *("ein", "eine", "einen", "einem", "einer", "eines"),
    },
    "fr": {"le", "la", "les", "l", "un", "une", "des", "du"},
    "es": {"el", "la", "los", "las", "un", "una", "unos", "unas"},
    "it": {"il", "lo", "la", "l", "i", "gli", "le", "un", "uno", "una"},
    "pt": {"o", "a", "os", "as", "um", "uma", "uns", "umas"},
    "nl": {"de", "het", "een"},
}
# What follows a name of one letter, never an article: "A and B", "A is right".
_NO_NOUN = frozenset({"and", "or", "is", "are", "was", "e", "o", "y", "et", "ou", "est", "è", "é"})

# How languages group thousands (CLDR); the others do it with a comma.
_BY_POINT = frozenset(
    re.findall(r"\w+", "bs ca da de el es eu gl hr id is it mk nl pt ro sl sr tr vi")
)
_BY_SPACE = frozenset(re.findall(r"\w+", "bg cs et fi fr hu lt lv nb nn no pl ru sk sv uk"))
_IN_HUNDREDS = frozenset(re.findall(r"\w+", "as bn gu hi kn ml mr ne or pa ta te ur"))
_COMMA_REGIONS = frozenset(re.findall(r"\w+", "DO GT HN MX NI PA PE PR SV US"))

_INVISIBLE = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_RAISED = re.compile(
    "[\u00b2\u00b3\u00b9\u2070-\u207f]+(?![\u1d2c-\u1d6a\u02b0-\u02b8\u02e0-\u02e4])"
)
_SQUARES = {ord("㎟"): "mm²", ord("㎠"): "cm²", ord("㎡"): "m²", ord("㎢"): "km²"} | {
    ord("㎣"): "mm³",
    ord("㎤"): "cm³",
    ord("㎥"): "m³",
    ord("㎦"): "km³",
}
_SIGNS = {ord("\u2044"): "/", ord("٫"): ".", ord("٬"): ",", ord("٪"): "%", ord("≠"): "!="} | {
    ord("≤"): "<=",
    ord("≥"): ">=",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which differences between two texts do not count."""

    unicode: bool = True
    """Forms of the same character (NFKC): full width, ligatures, composed and decomposed accents; and
    characters that nobody sees (category Cf, variation selectors)."""
    case: bool = True
    """Upper and lower case."""
    punctuation: bool = True
    """Punctuation, Markdown and the grouping of thousands, but no sign that carries meaning."""
    articles: bool = True
    """Articles of the row's language."""


_ALL = Rules()
_MOST_ROUNDS = 8


def normalise(text: str, *, language: str | None = None, rules: Rules = _ALL) -> str:
    """Return the text in the form in which answers are compared.

    Args:
        text: Any text.
        language: ISO 639-1 code whose articles are dropped and whose thousands are read; English
            where it is unknown or has none.
        rules: What is made uniform.

    Returns:
        Lower-case tokens joined by single spaces; an article's letter that is a name ("Vitamin A")
        stays a capital. A text of nothing but punctuation or articles keeps its characters, so that
        "?" and "the" stay answers.
    """
    return " ".join(tokenise(text, language=language, rules=rules))


def tokenise(text: str, *, language: str | None = None, rules: Rules = _ALL) -> list[str]:
    """Return the tokens of `normalise`; see there."""
    return list(_tokens(text, language, rules, True))


def pieces(text: str, *, language: str | None = None, rules: Rules = _ALL) -> list[str]:
    """Return the tokens of `normalise` with the runs of scripts without spaces left whole."""
    return list(_tokens(text, language, rules, False))


@lru_cache(maxsize=4096)
def _tokens(text: str, language: str | None, rules: Rules, split: bool) -> tuple[str, ...]:
    found = _once(text, language, rules, split)
    # What goes may bring others together: a form is one only if it stays what it is.
    for _ in range(_MOST_ROUNDS):
        again = _once(" ".join(found), language, rules, split)
        if again == found:
            break
        found = again
    return found


def _once(text: str, language: str | None, rules: Rules, split: bool) -> tuple[str, ...]:
    shown = _uniform(text) if rules.unicode else text
    if rules.punctuation:
        found = lexemes(_ungrouped(shown, language))
    else:
        found = [Lexeme(word, True, not i, False) for i, word in enumerate(shown.split())]
    if not found:
        found = [Lexeme(word, True, False, False) for word in fold(text, rules).split()]
    if split:
        found = [part for one in found for part in _characters(one)]
    kept = [(one, False) for one in found]
    if rules.articles:
        kept = _without_articles(found, base_language(language)) or kept
    return tuple(
        one.text.upper() if is_name and rules.case else fold(one.text, rules)
        for one, is_name in kept
    )


def fold(text: str, rules: Rules = _ALL) -> str:
    """Return a text with characters and case made uniform, as far as the rules say."""
    if rules.unicode:
        text = _uniform(text)
    if not rules.case:
        return text
    # Unicode folds the Turkish capital İ into an i with a second dot, which nobody writes.
    folded = text.casefold().replace("i\u0307", "i")
    # Folding case may bring forth a character that has another uniform form.
    return _uniform(folded) if rules.unicode else folded


def _uniform(text: str) -> str:
    text = _INVISIBLE.sub("", text)
    if not text.isascii():
        text = "".join(c for c in text if unicodedata.category(c) != "Cf").translate(_SQUARES)
        # 10² is 10^2, never 102; H₂O is H2O.
        text = _RAISED.sub(lambda match: "^" + match[0], text)
        text = re.sub("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])", " ", text)
        text = unicodedata.normalize("NFKC", text).translate(_SIGNS)
        text = "".join(c if c.isascii() or not c.isdecimal() else str(int(c)) for c in text)
    return text


def _characters(one: Lexeme) -> list[Lexeme]:
    """Return a word with each character of a script without spaces as a word."""
    parts = UNSPACED.sub(r" \1 ", one.text).split()
    return [replace(one, text=part) for part in parts] if len(parts) > 1 else [one]


def _ungrouped(text: str, language: str | None) -> str:
    """Return the text with numbers as they are without groups: 1000 of `1,000`."""
    base = base_language(language)
    region = (language or "").replace("_", "-").rpartition("-")[2].upper()
    marks = ["['’]"]
    if base in _BY_POINT and not (base == "es" and region in _COMMA_REGIONS):
        marks.append(r"\.")
    elif base in _BY_SPACE:
        marks.append("[ \u00a0\u202f\u2009]")
    else:
        marks.append(",")
    for mark in marks:
        hundreds = "{2,3}" if mark == "," and (base in _IN_HUNDREDS or region == "IN") else "{3}"
        other = r"\." if mark == "," else ","
        grouped = rf"(?<![\w.,])[1-9]\d{{0,2}}(?:{mark}\d{hundreds})*{mark}\d{{3}}(?!\d|{mark}\d)"
        text = re.sub(rf"{grouped}(?!{other}\d+{other}\d)", lambda m: re.sub(r"\D", "", m[0]), text)
    return text


def _without_articles(found: Sequence[Lexeme], language: str) -> list[tuple[Lexeme, bool]]:
    """Return what is no article, each with whether it is a name of one letter that could be one."""
    articles = _ARTICLES.get(language, _ARTICLES["en"])
    words = [one.text for one in found if one.is_word]
    # In capitals throughout a capital says nothing.
    shouted = any(len(word) > 1 for word in words) and not any(
        char.islower() for word in words for char in word
    )
    kept: list[tuple[Lexeme, bool]] = []
    for i, one in enumerate(found):
        if not one.is_word or one.text.casefold() not in articles:
            kept.append((one, False))
        elif len(one.text) == 1 and not one.elided:
            before, after = (found[j] if 0 <= j < len(found) else None for j in (i - 1, i + 1))
            named = one.text.isupper() and not shouted
            listed = after is not None and len(after.text.lstrip("-!*")) == 1
            inside = named and not one.begins and bool(kept)
            alone = after is None or (after.text.casefold() in _NO_NOUN and named)
            sign = any(x is not None and not x.is_word for x in (before, after))
            if inside or alone or sign or listed:
                kept.append((one, True))
    return kept
