"""Which lettered option an answer chooses.

The answer is first made plain (Markdown, LaTeX, full width), then every letter that stands for an option
is marked, and so is every option whose whole text stands there; articles, pronouns and names ("A cat",
"I", "vitamin C") are left alone. What the answer refutes is struck off. Of what remains a stated choice
beats a mention, and two options are no choice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from llmflowlab.evaluation.normalise import Rules, fold, normalise
from llmflowlab.evaluation.scorers import choice_words as words

__all__ = ["LETTERS", "chosen_letter"]

LETTERS = "ABCDEFGHIJ"
_UNFOLDED = Rules(case=False)
_NEAR = 40
"""Characters on either side of a letter that say what it is."""
_BEGINNING, _END = 4000, 8000
"""Characters of a long answer that are read; what stands between argues."""

# ⟦B⟧ is the letter of an option, ⟪B⟫ its text, ⟨B⟩ one that the answer refutes.
_X = r"[⟦⟪]([A-J])[⟧⟫]"
# Joined letters are `⟦A⟧∧⟦B⟧`, so that a group is read in one way only, in linear time.
_GROUP = rf"{_X}(?:∧{_X})*"
_LIST = re.compile(r"((?:[⟦⟪].[⟧⟫]∧){4}[⟦⟪].[⟧⟫])(?:∧[⟦⟪].[⟧⟫])+")
_SIGN = r"(?:\s?[:：=>–—-]{1,3})?\s?"
_FAR = rf"[)\]】」』]{{0,2}}{_SIGN}[(\[\"'“«「『【]{{0,2}}"
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
    }
)
_DENSE = (
    r"\u0600-\u06ff\u0900-\u09ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u9fff\uac00-\ud7af"
)
_FENCED = re.compile(r"\s*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)
_TAGGED = re.compile(r"<(answer|choice|final_answer|option)>(.*?)</\1>", re.DOTALL | re.I)
_BOXED = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mathit|bf|rm)\s*\{([^{}]*)\}")
_A_MARK = re.compile(r"(?<!é )(?<!seria )(?<!marco )\ban?\s+$", re.IGNORECASE)
_MISLABELLED = re.compile(r"(⟦[A-J]⟧)\s*[).:(–—-]+\s*(⟪[A-J]⟫)(?=[\s.)*]*(?:$|\n))")
_SENTENCE_END = re.compile(r"[.!?。！？；;।؟](?=\s|$|[^\x00-\x7f])|\n")
# Words that follow a letter and no noun: "A is …", "A because …".
_VERBS = (
    r"(?:is|isn't|are|aren't|was|wasn't|would|will|can|cannot|can't|could|must|seems?|looks|and|or|nor|but|because|since|"
    r"as|for|fits|does|doesn't|did|has|states|refers|describes|means|says|matches|contradicts|fails|too|also|both|"
    r"ist|sind|wäre|und|oder|weil|denn|passt|stimmt|scheidet|trifft|beschreibt|nicht|aber|auch|"
    r"est|sont|et|ou|car|parce|n'est|ne|correspond|mais|aussi|es|son|está|y|o|porque|pues|no|pero|también|"
    r"é|são|e|pois|não|mas|também|è|sono|perché|non|ma|anche|adalah|dan|atau|karena|salah|benar|bukan|tidak|itu)\b"
)


@dataclass(frozen=True, slots=True)
class _Statement:
    place: int
    letters: frozenset[str]
    hedged: bool


def chosen_letter(text: str, options: Mapping[str, str], *, language: str | None) -> str | None:
    """Return the letter that an answer chooses; None where it chooses none, or two.

    Args:
        text: The answer.
        options: Letter → text of the option; empty texts where only the letters are known.
        language: The row's, for comparing texts.
    """
    said = text.strip()
    if len(said) > _BEGINNING + _END:
        said = f"{said[:_BEGINNING]}\n{said[-_END:]}"
    if (part := next(_formal(said), said)) != said:
        return chosen_letter(part, options, language=language)
    same = _named_alone(said, options, language)
    return same if same is not None else _of_prose(said, options, language)


def _formal(text: str) -> Iterator[str]:
    """Yield what a form says that leaves no doubt: JSON, a tag, a box."""
    fenced = _FENCED.fullmatch(text)
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict) and (under := _under_key(value)) is not None:
        yield under
    elif isinstance(value, list) and all(isinstance(one, str) for one in value):
        yield " and ".join(value)
    for form, group in ((_TAGGED, 2), (_BOXED, 1)):
        found = [match[group].strip() for match in form.finditer(text)]
        # A box with a number in it is a calculation's, and the choice stands elsewhere.
        if found and (form is _TAGGED or _NAMES_LETTER.search(found[-1])):
            yield found[-1]


_NAMES_LETTER = re.compile(r"^[^\w]*(?:\\\w+\{)?\(?[A-Ja-j]\b(?!\w)")


def _under_key(value: Mapping[str, Any]) -> str | None:
    keyed = {key.strip().casefold(): one for key, one in value.items()}
    for key in words.KEYS:
        if key in keyed:
            one = keyed[key]
            if isinstance(one, list) and all(isinstance(x, str) for x in one):
                return " and ".join(one)
            return str(one)
    return None


def _named_alone(text: str, options: Mapping[str, str], language: str | None) -> str | None:
    """Return the option that is all of an answer: its letter, or its text."""
    plain = _plain(text)
    bare = re.fullmatch(r"[\W_]*([A-Ja-j])[\W_]*", plain)
    if bare and bare[1].upper() in options:
        return bare[1].upper()
    given = normalise(text, language=language)
    same = [
        letter
        for letter, one in options.items()
        if one and normalise(one, language=language) == given
    ]
    return same[0] if len(same) == 1 else None


def _of_prose(text: str, options: Mapping[str, str], language: str | None) -> str | None:
    # "B) green" where green is C says two things.
    marked = _MISLABELLED.sub(r"\1∧\2", _struck(_marked(_plain(text), options)))
    stated = list(_statements(marked))
    certain = [one for one in stated if not one.hedged] or stated
    if certain:
        return _settled(certain, marked)
    lines = re.findall(rf"^[\W_]*{_X}", marked, re.M)
    listed = len(lines) > 2 and len(set(lines)) == len(lines) and len(lines) >= len(options) - 1
    if not listed and (leading := re.match(rf"[\s(\[\"'“«>-]*{_leading()}", marked)):
        letters = frozenset(re.findall(_X, leading[0]))
        return next(iter(letters)) if len(letters) == 1 else None
    if listed:
        return _emphasised(text, options)
    refuted = frozenset(re.findall(r"⟨([A-J])⟩", marked))
    for form in (r"⟦([A-J])⟧", r"⟪([A-J])⟫"):
        if letters := frozenset(re.findall(form, marked)) - refuted:
            return next(iter(letters)) if len(letters) == 1 else None
    return None


def _emphasised(text: str, options: Mapping[str, str]) -> str | None:
    """Return the one option in bold where an answer repeats them all."""
    bold = {m[1] for m in re.finditer(r"\*\*[(\[]?([A-J])\b", text) if m[1] in options}
    return bold.pop() if len(bold) == 1 else None


def _plain(text: str) -> str:
    """Return a text without Markdown, LaTeX, full width and what nobody sees."""
    text = fold(text, _UNFOLDED).translate(_NOT_IN_PROSE)
    text = _WRAPPED.sub(r"\1", _BOXED.sub(r" \1 ", text))
    text = re.sub(r"\\[()\[\]]|\$", " ", text)
    text = re.sub(r"\*+|~~|^[ \t]*#+[ \t]*|(?<!\w)_+|_+(?!\w)", "", text, flags=re.M)
    text = re.sub(rf"(?<=[{_DENSE}])(?=[A-Ja-j](?![A-Za-z]))", " ", text)
    text = re.sub(rf"(?<![A-Za-z])([A-Ja-j])(?=[{_DENSE}])", r"\1 ", text)
    return re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text)).strip()


def _marked(text: str, options: Mapping[str, str]) -> str:
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
    named = rf"({words.NAMES}\s*(?:[#:]\s*)?)({either})(?![\w'’]|-\w|\s+(?!{_VERBS})[a-zß-ÿ])"
    text = re.sub(named, lambda m: f"{m[1]}⟦{m[2].upper()}⟧", text, flags=re.I)
    stated = (
        rf"({words.ANSWER}(?:{_SIGN}{words.LINKS}){{0,6}}{_FAR})"
        rf"({either})(?![\w'’+#]|-\w|[.]\w|\s+(?!{_VERBS})[^\W\d_])"
    )
    text = re.sub(stated, lambda m: f"{m[1]}⟦{m[2].upper()}⟧", text, flags=re.I)
    lone = rf"(?<![\w'+#&@€£.⟦⟪])(?<!\w-)([{known}])(?![\w'+#&@]|-\w|\.\w)"
    text = re.sub(lone, _lone, text)
    # A letter beside its own text is one mention: "B) blue", "blue (B)".
    text = re.sub(rf"{_X}[\s).:(\]\[,\"'–—-]{{0,5}}[⟦⟪]\1[⟧⟫]\)?", r"⟦\1⟧", text)
    # A list of more letters than there are is cut: every place of it would be tried as a beginning.
    return _LIST.sub(r"\1", _joining().sub("∧", text))


@cache
def _joining() -> re.Pattern[str]:
    between = rf"[)\]\"'”»」』】]{{0,2}}{words.JOINS}(?:{words.NAMES} ?)?[(\[\"'“«「]{{0,2}}"
    return re.compile(rf"(?<=[⟧⟫]){between}(?=[⟦⟪])", re.IGNORECASE)


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
        plain = re.sub(
            r"^(?:the|an?|der|die|das|le|la|les|el|los|las|il|lo|gli|o|os|as)\s+",
            "",
            _plain(one),
            flags=re.I,
        )
        body = r"[\s]+".join(map(re.escape, (plain or one).strip().rstrip(".").split()))
        left = right = ""
        if re.match(r"\w", plain) and not _dense(plain[:1]):
            left = r"(?<![^\W_])(?<![\d][.,/])(?<!\w-)" + (
                r"(?<![-−^])" if plain[0].isdigit() else ""
            )
        if re.search(r"\w$", plain) and not _dense(plain[-1:]):
            right = r"(?![^\W_]|[.,/]\d|-\w|\s?%)"
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
    marked = f"⟦{letter}⟧"
    if letter in "AEIO" and re.match(rf"\s+(?!{_VERBS})[A-Za-zß-ÿÀ-Þ]", after):
        return letter
    if re.match(
        r"\s+(?:is|are|was|ist|est|es|é|è)\s+(?:an?|eine?|une?|uma?|una)\s+(?!(?:good|better|correct|right|valid)\b)",
        after,
    ):
        return letter
    initials = re.match(r"\.\s*[A-Z]\.", after) or re.search(r"\b[A-Z]\.\s*$", before)
    if initials and re.match(r"\.(?:\s*[A-Z]\.)*\s*[^\W\d_]", after):
        return letter
    if (
        re.match(r"\s+[^\W\d_]", after)
        and re.match(r"\s+[A-ZÀ-Þ]", after)
        and before.strip()
        and not _ends(before)
    ):
        return letter
    # "30 C" is a measure and "a B" a mark; Portuguese "é a B" chooses.
    if re.search(r"[\d°]\s+$", before) or _A_MARK.search(before):
        return letter
    last = before.rstrip()
    if not last or not (last[-1].isalpha() or _dense(last[-1])) or _ends(last):
        return marked
    return marked if _allowed().search(before) else letter


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
            words.REFUTES_BEFORE,
            words.BEFORE_LETTER,
            words.CORRECTS,
        )
    )
    return re.compile(rf"(?:{before})\s*$", re.IGNORECASE)


def _struck(text: str) -> str:
    """Return a text in which the options that it refutes are struck off."""
    before, after = _refutations()
    text = before.sub(_strike, text)
    return after.sub(_strike, text)


@cache
def _refutations() -> tuple[re.Pattern[str], re.Pattern[str]]:
    near = rf"{words.REFUTES_BEFORE}(?:\s{words.LINKS}){{0,4}}\s?[(\[\"'“«]{{0,2}}{_GROUP}"
    far = rf"{_GROUP}[)\]\"'”.:]{{0,2}}{words.REFUTED_AFTER}"
    return re.compile(near, re.IGNORECASE), re.compile(far, re.IGNORECASE)


def _strike(match: re.Match[str]) -> str:
    return re.sub(_X, r"⟨\1⟩", match[0])


def _statements(text: str) -> Iterator[_Statement]:
    """Yield what an answer states as its choice, in order."""
    found: dict[int, _Statement] = {}
    for form in _stating():
        for match in form.finditer(text):
            letters = frozenset(re.findall(_X, match[0]))
            last = match.start() + max(match[0].rfind("⟧"), match[0].rfind("⟫"))
            found.setdefault(
                last, _Statement(match.start(), letters, _is_hedged(text, match, last))
            )
            if len(found[last].letters) < len(letters):
                found[last] = _Statement(match.start(), letters, found[last].hedged)
    yield from (found[place] for place in sorted(found))


def _is_hedged(text: str, match: re.Match[str], last: int) -> bool:
    """Whether a statement is a question, a condition, or what somebody else says."""
    begin = max((m.end() for m in _SENTENCE_END.finditer(text, 0, match.start())), default=0)
    # What was said of an option before is about that one.
    begin = max(begin, *(text.rfind(close, 0, match.start()) + 1 for close in "⟧⟫⟩"))
    end = _SENTENCE_END.search(text, last)
    asks = end is not None and end[0] in "?？؟"
    return asks or _hedging().search(text, begin, match.start() + 1) is not None


@cache
def _hedging() -> re.Pattern[str]:
    return re.compile(words.HEDGES, re.IGNORECASE)


@cache
def _correcting() -> re.Pattern[str]:
    return re.compile(words.CORRECTS, re.IGNORECASE)


@cache
def _stating() -> tuple[re.Pattern[str], ...]:
    links = rf"(?:{_SIGN}{words.LINKS}){{0,7}}"
    few = rf"(?:\s?{words.LINKS}){{0,3}}"
    forms = (
        rf"{words.ANSWER}{links}{_FAR}{_GROUP}",
        rf"{words.NAMES}{few}\s?(?:{words.IS}|[:：=]){few}{_FAR}{_GROUP}",
        rf"{words.CHOOSES}{few}{_FAR}{_GROUP}",
        rf"{_GROUP}[)\]\"'”]{{0,2}}{words.RIGHT_AFTER}",
        rf"{words.TAKES_BACK}[\s,.:;!…]{{0,4}}(?:{words.LINKS}\s?){{0,4}}{_GROUP}(?=\s?(?:[.!。,]|$|\n))",
    )
    return tuple(re.compile(form, re.IGNORECASE) for form in forms)


@cache
def _leading() -> str:
    return rf"{_GROUP}[)\]\"'”]*(?=\s*(?:[.:,;!–—\n-]|$|\b(?:because|since|as|weil|denn|car|parce|porque|pois|perché|karena)\b|[⟪（(]))"


def _settled(stated: Sequence[_Statement], text: str) -> str | None:
    """Return the one option that statements amount to; None where they name two."""
    last = stated[-1]
    if len(last.letters) != 1:
        return None
    rest = text[_after(last, text) :]
    if re.match(rf"{_X}\s*[,(]?\s*{words.OR}", rest, re.I) and _names_another(rest):
        return None
    others = [one for one in stated if one.letters != last.letters]
    if others and not _correcting().search(text, others[-1].place, _after(last, text)):
        return None
    return next(iter(last.letters))


def _names_another(rest: str) -> bool:
    """Whether the sentence that goes on after a letter names a second one."""
    end = _SENTENCE_END.search(rest)
    return len(frozenset(re.findall(_X, rest[: end.start()] if end else rest))) > 1


def _after(last: _Statement, text: str) -> int:
    close = re.search(_X, text[last.place :])
    return last.place + (close.start() if close else 0)
