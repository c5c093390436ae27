"""LaTeX in prose, written plainly: fractions, powers, units in roman type, math delimiters, boxes."""

from __future__ import annotations

import re

__all__ = ["BOX_CLOSE", "BOX_OPEN", "without_latex"]

BOX_OPEN, BOX_CLOSE = "\ue001", "\ue002"
"""What stands in a box is marked as an answer; see `canonical`."""

_NESTED = 4
"""So deep may braces stand in one another; no answer needs more."""
_BRACED = r"\{([^{}\\]{0,80}(?:\\[,;:! ][^{}\\]{0,80}){0,8})\}"
_FRACTION = re.compile(r"\\[dtc]?frac\s?(?:" + _BRACED + r"|(\d))\s?(?:" + _BRACED + r"|(\d))")
_ROOT = re.compile(r"\\sqrt\s?(?:\[[^\]]{0,20}\])?\s?(?:\{[^{}]{0,80}\}|\d)")
_PLAIN = re.compile(
    r"\\(?:text|textrm|textbf|textit|mathrm|mathbf|mathit|mathsf|operatorname|mbox|rm|bf|unit|si)\s?\*?"
    + r"\{([^{}]{0,200})\}"
)
_SYMBOLS: tuple[tuple[str, str], ...] = (
    (r"\\(?:times|cdot)(?![a-zA-Z])\s?", "×"),
    (r"\\div(?![a-zA-Z])", "÷"),
    (r"\\(?:approx|simeq|sim)(?![a-zA-Z])", "≈"),
    (r"\\(?:leq?|leqslant)(?![a-zA-Z])", "≤"),
    (r"\\(?:geq?|geqslant)(?![a-zA-Z])", "≥"),
    (r"\\neq?(?![a-zA-Z])|\\not\s?=", "≠"),
    (r"\\lt(?![a-zA-Z])", "<"),
    (r"\\gt(?![a-zA-Z])", ">"),
    (r"\\pm(?![a-zA-Z])", "±"),
    (r"\\pi(?![a-zA-Z])", "π"),
    (r"\\(?:mu)(?![a-zA-Z])\s?", "μ"),
    (r"\\Omega(?![a-zA-Z])", "Ω"),
    (r"\\(?:euro|texteuro)(?![a-zA-Z])", "€"),
    (r"\\pounds(?![a-zA-Z])", "£"),
    (r"\^\s?\{?\s?\\circ\s?\}?\s?", "°"),
    (r"\\(?:degree|textdegree)(?![a-zA-Z])", "°"),
    (r"\\celsius(?![a-zA-Z])", "°C"),
    (r"\\%", "%"),
    (r"\\(?:left|right|displaystyle|limits|bigl?|bigr?|Bigl?|Bigr?)(?![a-zA-Z])", ""),
    (r"\\!|(?<=\d)\{,\}\\?!?(?=\d{3})", ","),
    (r"\\[,;:]|(?<=[\d{])~(?=[\d\\A-Za-z])", "\u00a0"),
    (r"\\(?:quad|qquad)(?![a-zA-Z])|\\ ", " "),
    (r"\\[()\[\]]|\\\\|\\(?:begin|end)\{[a-z*]{1,20}\}", " "),
    (r"\^\s?\{\s?([-+\u2212]?\s?\d{1,4})\s?\}", r"^\1"),
    (r"\\([#&_{}])", r"\1"),
)
_COMPILED = [(re.compile(pattern), plain) for pattern, plain in _SYMBOLS]
# Pandoc's rule: the first sign touches what follows, the last what precedes, and no digit follows it.
_MATH = re.compile(r"\$\$([^$]{1,400})\$\$|(?<![\w\\$])\$(?=\S)([^$\n]{1,300})(?<=\S)\$(?![\d$])")
_UNITS_APART = re.compile(
    r"(?<=[^\W\d_])[ \u00a0]{1,4}([/×·])[ \u00a0]{0,4}(?=[^\W\d_]|\()|(?<=[^\W\d_])([/×·])[ \u00a0]{1,4}(?=[^\W\d_]|\()"
    r"|(?<=\()[ \u00a0]{1,4}(?=[^\W\d_])|(?<=[^\W\d_])[ \u00a0]{1,4}(?=\))"
)
"""Spaces that commands leave in `\\text{J}/(\\text{kg}\\cdot\\text{K})`."""
_DOLLAR = "\ue00f"


def without_latex(text: str) -> str:
    """Return a text without LaTeX's commands; a box becomes marks around what stands in it."""
    if "$" in text:
        text = text.replace("\\$", _DOLLAR)
        text = _MATH.sub(_unmath, text)
    if "\\" in text or "{" in text:
        text = re.sub(r"(?<=\d)\\!,?(?=\d{3})|(?<=\d),\\!(?=\d{3})", ",", text)
        for pattern, plain in _COMPILED:
            text = pattern.sub(plain, text)
        for _ in range(_NESTED):
            text = _PLAIN.sub(
                lambda m: f" {m[1]}" + _space_before(m.string[m.end() : m.end() + 1]), text
            )
            text = _FRACTION.sub(_over, text)
            text = _ROOT.sub(_root, text)
        text = _boxes(_UNITS_APART.sub(lambda m: m[1] or m[2] or "", text))
    return text.replace(_DOLLAR, "$")


def _unmath(match: re.Match[str]) -> str:
    inner = match[1] or match[2]
    return f" {inner} "


def _root(match: re.Match[str]) -> str:
    whole = re.fullmatch(r"\\sqrt\s?\{?\s?(\d{1,100})\s?\}?", match[0])
    return f" √{whole[1]} " if whole else " √ "


def _space_before(rest: str) -> str:
    # The power in `\text{kg/m}^3` belongs to the unit.
    return "" if rest[:1] in ("^", "_") else " "


def _over(match: re.Match[str]) -> str:
    above, below = (match[1] or match[2] or "").strip(), (match[3] or match[4] or "").strip()
    signs = "-" if above.startswith(("-", "\u2212")) != below.startswith(("-", "\u2212")) else ""
    above, below = above.lstrip("-\u2212 "), below.lstrip("-\u2212 ")
    if re.fullmatch(r"\d{1,300}", above) and re.fullmatch(r"\d{1,300}", below):
        before = match.string[max(match.start() - 2, 0) : match.start()].rstrip()
        space = " " if before[-1:].isdigit() else ""
        return f"{space}{signs}{above}/{below} "
    if re.fullmatch(r"[\d.,]{1,300}", above) and re.fullmatch(r"[\d.,]{1,300}", below):
        return f"{signs}{above}/{below} "
    # A formula, or a unit over a unit.
    return f" {above}/{below} "


def _boxes(text: str) -> str:
    out: list[str] = []
    place = 0
    for match in re.finditer(r"\\(?:boxed|fbox)\s?\{", text):
        if match.start() < place:
            continue
        depth, end = 1, match.end()
        while end < len(text) and depth and end - match.end() < 500:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        out += [
            text[place : match.start()],
            BOX_OPEN,
            text[match.end() : end - (depth == 0)],
            BOX_CLOSE,
        ]
        place = end
    out.append(text[place:])
    return "".join(out)
