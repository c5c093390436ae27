"""Text normalisation shared by all deterministic scorers, so that they agree on what "the same" is.

Follows SQuAD's answer normalisation (Rajpurkar et al. 2016, arXiv:1606.05250, evaluation script:
lower case, no punctuation, no articles, single spaces) with three changes: Unicode is made uniform
first (NFKC), articles are those of the row's language, and punctuation between two digits stays, so
that 3.14 never equals 314. Each of the four steps can be switched off.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Rules", "base_language", "fold", "normalise", "tokenise"]

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

# Scripts written without spaces between words: each character is a token of its own.
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Which differences between two texts do not count."""

    unicode: bool = True
    """Forms of the same character (NFKC): full width, ligatures, composed and decomposed accents."""
    case: bool = True
    """Upper and lower case."""
    punctuation: bool = True
    """Punctuation, but not that inside numbers."""
    articles: bool = True
    """Articles of the row's language."""


_ALL = Rules()


def normalise(text: str, *, language: str | None = None, rules: Rules = _ALL) -> str:
    """Return the text in the form in which answers are compared.

    Args:
        text: Any text.
        language: ISO 639-1 code whose articles are dropped; English where it is unknown or has none.
        rules: What is made uniform.

    Returns:
        Lower-case tokens joined by single spaces. A text of nothing but punctuation or articles
        keeps its characters, so that "+" and "A" stay answers.
    """
    return " ".join(tokenise(text, language=language, rules=rules))


def tokenise(text: str, *, language: str | None = None, rules: Rules = _ALL) -> list[str]:
    """Return the tokens of `normalise`; see there."""
    folded = _UNSPACED.sub(r" \1 ", fold(text, rules))
    words = (_without_punctuation(folded) if rules.punctuation else folded).split()
    if not rules.articles:
        return words or folded.split()
    articles = _ARTICLES.get(base_language(language), _ARTICLES["en"])
    kept = [word for word in words if word.casefold() not in articles]
    return kept or words or folded.split()


def fold(text: str, rules: Rules = _ALL) -> str:
    """Return a text with characters and case made uniform, as far as the rules say."""
    if rules.unicode:
        text = unicodedata.normalize("NFKC", text)
    if not rules.case:
        return text
    folded = text.casefold()
    # Folding case may bring forth a character that has another uniform form.
    return unicodedata.normalize("NFKC", folded) if rules.unicode else folded


def base_language(language: str | None) -> str:
    """Return the first part of a language code: `pt` of `pt-BR`; `en` where there is none."""
    return (language or "en").replace("_", "-").split("-")[0].lower()


def _without_punctuation(text: str) -> str:
    out = []
    for i, char in enumerate(text):
        # The backtick is a symbol to Unicode, but in answers it is Markdown's quotation mark.
        is_punctuation = unicodedata.category(char).startswith("P") or char == "`"
        # A space, not nothing: "l'eau" is two words, and "red,green" must not become one.
        out.append(" " if is_punctuation and not _belongs_to_number(text, i) else char)
    return "".join(out)


def _belongs_to_number(text: str, i: int) -> bool:
    after = text[i + 1] if i + 1 < len(text) else ""
    before = text[i - 1] if i else ""
    if text[i] == "-" and after.isdigit():
        # A minus sign, not the hyphen of "covid-19" or of a range "3-5".
        return not (before.isalnum() or before == ")")
    if text[i] == "%":
        return before.isdigit()
    return text[i] in ".,:/" and before.isdigit() and after.isdigit()
