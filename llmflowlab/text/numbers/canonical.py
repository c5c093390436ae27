"""One way of writing: digits, signs and spaces of every script, LaTeX and Markdown made plain."""

from __future__ import annotations

import re
import unicodedata

from llmflowlab.text.numbers.latex import without_latex

__all__ = ["CLOSE", "LONGEST", "OPEN", "OPEN_MACHINE", "canonical"]

LONGEST = 24_000
"""Of a longer text, only the beginning and the end are read, together so many characters."""

OPEN, CLOSE, OPEN_MACHINE = "\ue001", "\ue002", "\ue003"
"""Stand around an answer that the text itself marks as one; the last before a number of JSON."""

_FRACTIONS = {
    char: f"{parts[0]}/{parts[1]}"
    for char in "¼½¾⅐⅑⅒⅓⅔⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞↉"
    for parts in [unicodedata.normalize("NFKC", char).split("\u2044")]
}
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉", "0123456789", strict=True))
_CHARS = {
    **dict.fromkeys("\u202f\u2007\u2008\u2009\u200a\u2006\u2005\u2004\u205f", "\u00a0"),
    **dict.fromkeys("\u3000\u2003\u2002\t", " "),
    **dict.fromkeys("\u2010\u2011\ufe63\uff0d", "-"),
    **dict.fromkeys("’‘ʼ′ʹ＇", "'"),
    **dict.fromkeys("\u2044\u2215／", "/"),
    **dict.fromkeys("⋅∙・", "·"),
    "✕": "×",
    "✖": "×",
    "╳": "×",
    "∗": "*",
    "٪": "%",
    "﹪": "%",
    "؉": "‰",
    "،": ", ",
    "µ": "μ",
    "ℓ": "l",
    "℃": "°C",
    "℉": "°F",
    "，": ", ",
    "；": "; ",
    "～": "~",
    "〜": "~",
    "￥": "¥",
    "￡": "£",
    "￦": "₩",
    "￠": "¢",
    "〇": "0",
    "″": '"',
    "”": '"',
    "“": '"',
    "„": '"',
}
_DROPPED = re.compile(
    r"[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufe0f]"
)
_WIDE = re.compile(r"[\uff01-\uff5e]")
_SQUARED = re.compile(r"[\u3371-\u33df]")
_EMPHASIS = re.compile(
    r"(?<!\d)\*\*|\*\*(?!\d)|__|(?<![\w*])\*(?=\S)|(?<=[\w.,;:!?%)])\*(?![\w*])|`+|</?(?:b|i|em|strong|sub|span|u|p|br|code)\b[^<>]{0,80}>"
)
_RAISED_TAG = re.compile(r"<sup>\s*([-+\u2212]?\d{1,4})\s*</sup>")

_EITHER_SIGN = re.compile(r"(?:\+/[-−–]|(?<!\w)plus(?: or |/|-)minus(?!\w))[ \u00a0]?")
_WIDE_GAP = re.compile(r"(?<=\w)[ \u00a0]{2,8}(?=[^\W\d_])")
"""Before a word; commands of LaTeX leave spaces behind: `5 \\text{ million}`."""
_GROUPED = re.compile(r"(?<![\w.])\d{1,3}(?:_\d{3})+(?!\w)")
"""As programs write thousands."""
_BEFORE_CHRIST = re.compile(
    r"(?<=\d)[ \u00a0](?:B\.[ \u00a0]?C\.(?:[ \u00a0]?E\.)?|BCE|v\.[ \u00a0]?(?:Chr|u\.[ \u00a0]?Z)\.|av\.[ \u00a0]?J\.[ \u00a0]?-?C\.?"
    r"|a\.[ \u00a0]?C\.|до[ \u00a0]н\.[ \u00a0]?э\.)(?!\w)"
)
_BEFORE_IN_ASIA = re.compile(r"(?:公元前|紀元前|西元前|기원전)[ \u00a0]?(\d{1,4})[ \u00a0]?[年년]?")
_AFTER_CHRIST = re.compile(
    r"(?<=\d)[ \u00a0](?:A\.[ \u00a0]?D\.|C\.[ \u00a0]?E\.|CE|n\.[ \u00a0]?(?:Chr|u\.[ \u00a0]?Z)\.|ap\.[ \u00a0]?J\.[ \u00a0]?-?C\.?"
    r"|d\.[ \u00a0]?C\.|н\.[ \u00a0]?э\.)(?!\w)"
)


def canonical(text: str) -> str:
    """Return a text in which each number has one way of being written; never longer than bounded.

    Exponents stand after `^`, fractions after `/`, decimal digits are ASCII's, every space that does
    not break a line is U+00A0.
    """
    if len(text) > LONGEST:
        text = text[: LONGEST // 4] + "\n\n" + text[-3 * LONGEST // 4 :]
    text = _DROPPED.sub("", unicodedata.normalize("NFC", text)).replace("\r", "\n")
    text = _RAISED_TAG.sub(r"^\1", text)
    # The comma of full width groups digits only in threes.
    text = re.sub(r"(?<=\d)，(?=\d{3}(?!\d))", ",", text)
    text = "".join(map(_plain, _WIDE.sub(_narrow, _SQUARED.sub(_uniform, text))))
    text = re.sub(f"[{''.join(_RAISED)}]+", _raised, text)
    text = re.sub(f"[{''.join(_LOWERED)}]+", _lowered, text)
    text = re.sub(f"(\\d[ \u00a0]{{0,2}})?([{''.join(_FRACTIONS)}])", _fraction, text)
    text = _WIDE_GAP.sub(" ", without_latex(text))
    text = _EITHER_SIGN.sub("±", text)
    text = re.sub(r"(?<=\d) and (?:a|one)[ -]half(?!\w)", " 1/2", text)
    text = _GROUPED.sub(lambda m: m[0].replace("_", ""), text)
    text = re.sub(r"(?<!\w)A\.?D\.?[ \u00a0](\d{1,4})(?![\d.,]*\d)", r"\1 AD", text)
    text = _BEFORE_IN_ASIA.sub(r" \1 BC ", text)
    text = _AFTER_CHRIST.sub(" AD", _BEFORE_CHRIST.sub(" BC", text))
    # A dash before bold text is a bullet, no minus.
    text = re.sub(r"(?m)^([ \u00a0]{0,8})-(?= {1,3}\*\*)", r"\1•", text)
    text = re.sub(r"º(?=\s?[CFK]\b)", "°", text)
    return _EMPHASIS.sub("", text)


def _plain(char: str) -> str:
    if char in _CHARS:
        return _CHARS[char]
    if char > "\x7f" and char.isdecimal():
        return str(unicodedata.decimal(char))
    return char


def _narrow(match: re.Match[str]) -> str:
    return match[0] if match[0] in _CHARS else chr(ord(match[0]) - 0xFEE0)


def _uniform(match: re.Match[str]) -> str:
    return unicodedata.normalize("NFKC", match[0])


def _raised(match: re.Match[str]) -> str:
    return "^" + "".join(_RAISED[char] for char in match[0])


def _lowered(match: re.Match[str]) -> str:
    return "_" + "".join(_LOWERED[char] for char in match[0])


def _fraction(match: re.Match[str]) -> str:
    before = match[1].rstrip() + " " if match[1] else ""
    return before + _FRACTIONS[match[2]]
