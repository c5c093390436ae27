"""Marks the options that an answer names: letters as `⟦B⟧`, whole texts as `⟪B⟫`.

Articles, pronouns and names ("A cat", "I", "vitamin C") are left alone; joined options, as in "A or B",
become `⟦A⟧∧⟦B⟧`, so that a group is read in one way only, in linear time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from llmflowlab.evaluation.scorers import choice_verdicts as verdicts
from llmflowlab.evaluation.scorers import choice_words as words
from llmflowlab.text.normalise import Rules, fold

__all__ = ["BOXED", "FAR", "OPTION", "SIGN", "marked", "plain"]

_UNFOLDED = Rules(case=False)
_NEAR = 40
"""Characters on either side of a letter that say what it is."""

# ⟦B⟧ is the letter of an option, ⟪B⟫ its text, ⟨B⟩ one that the answer refutes.
OPTION = r"[⟦⟪]([A-J])[⟧⟫]"
_LIST = re.compile(r"((?:[⟦⟪].[⟧⟫]∧){4}[⟦⟪].[⟧⟫])(?:∧[⟦⟪].[⟧⟫])+")
SIGN = r"(?:\s?[:：=>–—-]{1,3})?\s?"
FAR = rf"[)\]】」』]{{0,2}}{SIGN}[(\[\"'“«「『【]{{0,2}}"
_NOT_IN_PROSE = str.maketrans(
    {
        "’": "'",
        "‘": "'",
        "`": " ",
        "⟦": " ",
        "⟧": " ",
        "⟪": " ",
        "⟫": " ",
        "⟨": " ",
        "⟩": " ",
        "∧": " ",
        "´": "'",
        "\u2212": "-",
    }
)
_DENSE = (
    r"\u0600-\u06ff\u0900-\u09ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u9fff\uac00-\ud7af"
)
BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|bf|rm)\s*\{([^{}]*)\}")
_A_MARK = re.compile(r"(?<!é )(?<!seria )(?<!marco )\ban?\s+$", re.IGNORECASE)
# Words that follow a letter and no noun: "A is …", "A because …".
_VERBS = (
    r"(?:is|isn't|are|aren't|was|wasn't|would|will|can|cannot|can't|could|must|seems?|looks|and|or|nor|but|because|since|"
    r"as|for|fits|does|doesn't|did|has|states|refers|describes|means|says|matches|contradicts|fails|too|also|both|"
    r"ist|sind|wäre|und|oder|weil|denn|passt|stimmt|scheidet|trifft|beschreibt|nicht|aber|auch|"
    r"est|sont|et|ou|car|parce|n'est|ne|correspond|mais|aussi|es|son|está|y|o|porque|pues|no|pero|también|"
    r"é|são|e|pois|não|mas|também|è|sono|perché|non|ma|anche|adalah|dan|atau|karena|salah|benar|bukan|tidak|itu)\b"
)


def plain(text: str) -> str:
    """Return a text without Markdown, LaTeX, full width and what nobody sees."""
    text = fold(text, _UNFOLDED).translate(_NOT_IN_PROSE)
    text = _WRAPPED.sub(r"\1", BOXED.sub(r" \1 ", text))
    text = re.sub(r"\\[()\[\]]|\$", " ", text)
    # What is crossed out is taken back.
    text = re.sub(r"~~[^~\n]+~~", " ", text)
    text = re.sub(r"\*+|~~|^[ \t]*#+[ \t]*|(?<!\w)_+|_+(?!\w)", "", text, flags=re.M)
    text = re.sub(rf"(?<=[{_DENSE}])(?=[A-Ja-j](?![A-Za-z]))", " ", text)
    text = re.sub(rf"(?<![A-Za-z])([A-Ja-j])(?=[{_DENSE}])", r"\1 ", text)
    return re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


def marked(text: str, options: Mapping[str, str]) -> str:
    """Return a text in which options are marked, by letter and by text."""
    known = "".join(options)
    either = f"[{known}{known.lower()}]"
    text = _with_texts(text, options)
    # "A/B": two letters, not a name.
    text = re.sub(rf"(?<![\w'])([{known}])\s*/\s*(?=[{known}](?![\w']))", r"\1 / ", text)
    text = re.sub(rf"[(\[{{「『【]\s*({either})\s*[)\]}}」』】]", _mark, text)
    text = re.sub(rf"[\"“«<']\s*([{known}])\s*[\"”»>']", _mark, text)
    text = re.sub(rf"(?:(?<=^)|(?<=\n))[ \t>•-]*({either})(?=[).:](?!\w)|\s*[-–—:]\s)", _mark, text)
    text = re.sub(rf"(?<![\w'(])([{known}])(?=\))", _mark, text)
    named = rf"({words.NAMES}\s*(?:[#:]\s*)?)({either})(?![\w'’]|-\w|[^\S\n]+(?!{_VERBS})[a-zß-ÿ])"
    text = re.sub(named, lambda m: f"{m[1]}⟦{m[2].upper()}⟧", text, flags=re.I)
    stated = (
        rf"((?:{words.ANSWER}|{words.NAMES}(?=(?:{SIGN}{words.LINKS}){{0,3}}\s{words.IS}))"
        rf"(?:{SIGN}{words.LINKS}){{0,6}}{FAR})"
        rf"({either})(?![\w'’+#]|-\w|[.]\w|[^\S\n]+(?!{_VERBS})[^\W\d_])"
    )
    text = re.sub(stated, lambda m: f"{m[1]}⟦{m[2].upper()}⟧", text, flags=re.I)
    begins = rf"(?:(?<=^)|(?<=\n)|(?<=[.!?] ))([{''.join(c for c in known.lower() if c not in 'eio')}])(?={verdicts.RIGHT_AFTER})"
    text = re.sub(begins, _mark, text)
    # "going with b", where no noun follows.
    ends = rf"((?:{words.CHOOSES}|\b(?:it is|it's|that is|that's|must be|definitely))\s*)({either})(?=[.!]?\s*$|[.!]\n|(?<!a)\n)"
    text = re.sub(ends, lambda m: f"{m[1]}⟦{m[2].upper()}⟧", text, flags=re.I)
    # "a) and b)": the second of two small letters.
    second = rf"(?<=⟧)(\)?{words.JOINS})({either})(?=\))"
    text = re.sub(second, lambda m: f"{m[1]}⟦{m[2].upper()}⟧", text, flags=re.I)
    lone = rf"(?<![\w'+#&@€£.⟦⟪])(?<!\w-)([{known}])(?![\w'+#&@]|-\w|\.\w)"
    text = re.sub(lone, _lone, text)
    # A letter beside its own text is one mention: "B) blue", "blue (B)".
    text = re.sub(rf"{OPTION}(?!,\s?⟦)[\s).:(\]\[,\"'–—-]{{0,5}}[⟦⟪]\1[⟧⟫]\)?", r"⟦\1⟧", text)
    # "Unlike A, B fits": the comma joins nothing.
    several = rf"[⟦⟪].[⟧⟫](?:{words.JOINS}[⟦⟪].[⟧⟫]){{0,4}}?"
    text = re.sub(
        rf"\b(unlike\s(?:\w+\s)?{several})\s?,\s?(?=[⟦⟪].[⟧⟫]\s{_VERBS})",
        r"\1 | ",
        text,
        flags=re.I,
    )
    # A list of more letters than there are is cut: every place of it would be tried as a beginning.
    return _LIST.sub(r"\1", _joining().sub("∧", text))


@cache
def _joining() -> re.Pattern[str]:
    between = rf"[)\]\"'”»」』】]{{0,2}}(?: ?\()?{words.JOINS}(?:(?:(?<=\bor )|(?<=\band ))the )?(?:{words.NAMES} ?)?[(\[\"'“«「]{{0,2}}"
    # "Not A; B is right", "don't pick A, pick B": a sign before a verb or "choose" begins a sentence of its own.
    apart = r"(?!\s?[;；]\s?[⟦⟪].[⟧⟫]\s(?:is|must|ist|est|es|é|è)\b)"
    apart += rf"(?!\s?[;；,，]\s?{words.CHOOSES})"
    return re.compile(rf"(?<=[⟧⟫]){apart}{between}(?=[⟦⟪])", re.IGNORECASE)


def _mark(match: re.Match[str]) -> str:
    return f"⟦{match[1].upper()}⟧"


def _with_texts(text: str, options: Mapping[str, str]) -> str:
    texts = {
        letter: one.strip()
        for letter, one in options.items()
        if len(one.strip()) > 1 or one.strip().isdigit()
    }
    if not texts:
        return text
    forms = []
    for letter, one in sorted(texts.items(), key=lambda item: len(item[1]), reverse=True):
        bare = re.sub(
            r"^(?:the|an?|der|die|das|le|la|les|el|los|las|il|lo|gli|o|os|as)\s+",
            "",
            plain(one),
            flags=re.I,
        )
        body = r"[\s]+".join(map(re.escape, (bare or one).strip().rstrip(".").split()))
        left = right = ""
        if re.match(r"\w", bare) and not _dense(bare[:1]):
            left = r"(?<![^\W_])(?<![\d][.,/])(?<!\w-)" + (
                r"(?<![-−^])" if bare[0].isdigit() else ""
            )
        if re.search(r"\w$", bare) and not _dense(bare[-1:]):
            right = r"(?![^\W_]|[.,/]\d|-\w|\s?%)"
        if bare.lower() in ("no", "não", "нет"):
            right += words.AFTER_NO
        forms.append(f"(?P<{letter}>{left}{body}{right})")
    # The longest first: "carbon dioxide" names no "carbon".
    form = re.compile("|".join(forms), re.IGNORECASE)
    return form.sub(lambda match: f"⟪{match.lastgroup}⟫", text)


def _dense(char: str) -> bool:
    return re.match(rf"[{_DENSE}]", char) is not None


def _lone(match: re.Match[str]) -> str:
    """Mark a capital that stands alone, unless it is an article, a pronoun or part of a name."""
    letter, before, after = (
        match[1],
        match.string[max(match.start() - _NEAR, 0) : match.start()],
        match.string[match.end() : match.end() + _NEAR],
    )
    option = f"⟦{letter}⟧"
    if letter in "AEIO" and re.match(
        rf"[^\S\n]+(?:(?!{_VERBS})[A-Za-zß-ÿÀ-Þ]|⟪(?!{letter}).⟫\s+[a-zß-ÿ])", after
    ):
        return letter
    if re.match(
        r"\s+(?:(?:is|are|was)\s+an?|(?:ist|est|es|é|è)\s+(?:eine?|une?|uma?|una))\s+"
        r"(?!(?:good|better|correct|right|valid)\b)",
        after,
    ):
        return letter
    initials = re.match(r"\.\s*[A-Z]\.", after) or re.search(r"\b[A-Z]\.\s*$", before)
    if initials and re.match(r"\.(?:\s*[A-Z]\.)*\s*[^\W\d_]", after):
        return letter
    if (
        re.match(r"\s+[^\W\d_]", after)
        and re.match(r"\s+(?!I\b)[A-ZÀ-Þ]", after)
        and before.strip()
        and not _ends(before)
    ):
        return letter
    # "30 C" is a measure and "a B" a mark; Portuguese "é a B" chooses.
    if re.search(r"[\d°]\s+$", before) or _A_MARK.search(before):
        return letter
    last = before.rstrip()
    if not last or not (last[-1].isalpha() or _dense(last[-1])) or _ends(last):
        return option
    return option if _allowed().search(before) else letter


def _ends(before: str) -> bool:
    """Whether a sentence or clause has ended, so that what follows is no part of a name."""
    return (
        re.search(r"[.!?:;,，。：；、！？()（）【】「」『』\[\]\"'“”«»⟧⟫=>–—-]\s*$|\n\s*$", before)
        is not None
    )


@cache
def _allowed() -> re.Pattern[str]:
    before = "|".join(
        (
            words.LINKS,
            words.ANSWER,
            words.NAMES,
            words.CHOOSES,
            verdicts.REFUTES_BEFORE,
            words.BEFORE_LETTER,
            words.CORRECTS,
        )
    )
    return re.compile(rf"(?:{before})\s*$", re.IGNORECASE)
