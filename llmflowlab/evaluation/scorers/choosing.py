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

from llmflowlab.evaluation.scorers import choice_verdicts as verdicts
from llmflowlab.evaluation.scorers import choice_words as words
from llmflowlab.evaluation.scorers.choice_marks import BOXED, FAR, OPTION, SIGN, marked, plain
from llmflowlab.text.normalise import normalise

__all__ = ["LETTERS", "chosen_letter"]

LETTERS = "ABCDEFGHIJ"
_BEGINNING, _END = 4000, 8000
"""Characters of a long answer that are read; what stands between argues."""

# Joined letters are `⟦A⟧∧⟦B⟧`, so that a group is read in one way only, in linear time.
_GROUP = rf"{OPTION}(?:∧{OPTION})*"
_FENCED = re.compile(r"\s*```[\w-]*[ \t]*\n(.*?)\n?[ \t]*```\s*", re.DOTALL)
_TAGGED = re.compile(r"<(answer|choice|final_answer|option)>(.*?)</\1>", re.DOTALL | re.I)
_MISLABELLED = re.compile(r"(⟦[A-J]⟧)(?:\s*[).:(–—-]+\s*|\s)(⟪[A-J]⟫)(?=[\s.)*]*(?:$|\n))")
# "Paris (option A)" where Paris is B does, too.
_BESIDE = re.compile(
    rf"(⟪[A-J]⟫) ?[(\[,–—-]? ?(?:{words.NAMES} ?)?(⟦[A-J]⟧)(?=\s?[)\]]|\s?[.!]?\s*$|[.!]?\n)",
    re.I,
)
_AMONG = re.compile(
    rf"(^|[.!?\n]\s?)((?:of|among|amongst|between|from|out of)(?:\s(?:the|all|both|options?|choices?|answers?|letters)){{0,4}}\s?)"
    rf"({_GROUP})(?:[,:]?\s(?P<goes>[^.!?\n⟦⟪]{{0,40}})(?P<then>[⟦⟪][A-J][⟧⟫]))?",
    re.I,
)
_CROSSED = re.compile(r"[✗✘❌✖×✕]")
_ONLY_LETTERS = re.compile(r"[\s.,;:/&()*_-]*[A-J](?:[\s.,;:/&()*_-]+[A-J])*[\s.,;:/&()*_-]*")
_SIGNED = re.compile(r"(?m)^\W{0,4}([✓✔✅☑✗✘❌✖])\W{0,4}(?:option )?([⟦⟪][A-J][⟧⟫])", re.I)
_QUESTION = re.compile(r"[^.!?。！？؟\n]*[?？؟]")
_SENTENCE_END = re.compile(r"[.!?。！？；;।؟](?=\s|$|[^\x00-\x7f])|\n")


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
    for form, group in ((_TAGGED, 2), (BOXED, 1)):
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
    bare = re.fullmatch(r"[\W_]*([A-Ja-j])[\W_]*", plain(text))
    if bare and not _CROSSED.search(text) and bare[1].upper() in options:
        return bare[1].upper()
    # Letters that are compared as articles: "A: no" is not the text "No".
    if re.match(r"\W*[A-J]\s*[).:–—-](?:\s|$)", text):
        return None
    given = normalise(text, language=language)
    same = [
        letter
        for letter, one in options.items()
        if one and normalise(one, language=language) == given
    ]
    return same[0] if len(same) == 1 else None


def _of_prose(text: str, options: Mapping[str, str], language: str | None) -> str | None:
    only = _ONLY_LETTERS.fullmatch(text)
    if only and len({char for char in only[0] if char in options}) > 1:
        return None
    # "B) green" where green is C says two things.
    shown = _struck(_one_by_one(_AMONG.sub(_chosen_among, marked(plain(text), options)), options))
    shown = _BESIDE.sub(r"\1∧\2", _MISLABELLED.sub(r"\1∧\2", shown))
    stated = list(_statements(shown))
    certain = [one for one in stated if not one.hedged] or stated
    if certain:
        return _settled(certain, shown)
    lines = re.findall(rf"^[\W_]*{OPTION}", shown, re.M)
    listed = len(lines) > 2 and len(set(lines)) == len(lines) and len(lines) >= len(options) - 1
    if not listed and (leading := re.match(rf"[\s(\[\"'“«>-]*{_leading()}", shown)):
        letters = frozenset(re.findall(OPTION, leading[0]))
        return next(iter(letters)) if len(letters) == 1 else None
    if listed:
        return _emphasised(text, options)
    refuted = frozenset(re.findall(r"⟨([A-J])⟩", shown))
    shown = _QUESTION.sub("", shown)
    for form in (r"⟦([A-J])⟧", r"⟪([A-J])⟫"):
        if letters := frozenset(re.findall(form, shown)) - refuted:
            return next(iter(letters)) if len(letters) == 1 else None
    return None


def _emphasised(text: str, options: Mapping[str, str]) -> str | None:
    """Return the one option in bold where an answer repeats them all."""
    bold = {m[1] for m in re.finditer(r"\*\*[(\[]?([A-J])\b", text) if m[1] in options}
    return bold.pop() if len(bold) == 1 else None


def _chosen_among(match: re.Match[str]) -> str:
    """Leave out the options that a sentence names to choose among: "Of A and B, B is right"."""
    letters = re.findall(OPTION, match[3])
    # A comma joined the choice to the list.
    if letters.count(letters[-1]) > 1:
        return f"{match[1]}⟦{letters[-1]}⟧{match[0][match.end(3) - match.start() :]}"
    chosen = match["then"]
    if chosen is None or chosen[1] not in letters or not _goes_on().fullmatch(match["goes"]):
        return match[0]
    return f"{match[1]}{match['goes']}{chosen}"


@cache
def _goes_on() -> re.Pattern[str]:
    i = r"(?:i|we)(?:'d|'ll)?\s(?:(?:would|will|do)\s)?(?:definitely\s|clearly\s)?"
    return re.compile(rf"(?:only\s|(?:{i})?{words.CHOOSES}\s(?:{words.LINKS}\s){{0,3}}|)", re.I)


def _one_by_one(text: str, options: Mapping[str, str]) -> str:
    """Return a text in which verdicts on several options ("A: no. B: yes.") are said of them outright."""
    text = _SIGNED.sub(lambda m: f"{m[2]} {'✓' if m[1] in '✓✔✅☑' else '✗'}", text)
    verdict = _verdict()
    found = list(verdict.finditer(text))
    # One alone may be an option's own text, of which the answer repeats a part; a question asks about one.
    if len(set(re.findall(OPTION, "".join(m[0] for m in found)))) < 2 and (
        any("?" in m[0] or "？" in m[0] for m in found)
        or any(re.match(rf"\W*(?:{words.YES}|{words.NO}|$)", one, re.I) for one in options.values())
    ):
        return text
    return verdict.sub(lambda m: f"{m[1]} is right" if m["yes"] else f"{m[1]} is wrong", text)


@cache
def _verdict() -> re.Pattern[str]:
    said = rf"(?:(?P<yes>{words.YES})|{words.NO})(?=\s*(?:[.,;。，；、)）|]|$|\n))"
    return re.compile(rf"([⟦⟪][A-J][⟧⟫])\)?\s*[:：=?？–—(（|-]\s*{said}", re.IGNORECASE)


def _struck(text: str) -> str:
    """Return a text in which the options that it refutes are struck off."""
    for refutes in _refutations():
        text = refutes.sub(_strike, text)
    # "Neither A nor B; C is right": what is struck off is in no group with what is not.
    return text.replace("⟩∧⟦", "⟩; ⟦")


@cache
def _refutations() -> tuple[re.Pattern[str], ...]:
    near = rf"{verdicts.REFUTES_BEFORE}(?:\s{words.LINKS}){{0,4}}\s?[(\[\"'“«]{{0,2}}{_GROUP}"
    far = rf"{verdicts.REFUTES_FAR}\s?[(\[\"'“«]{{0,2}}{_GROUP}"
    heading = rf"(?:^|[.;,!?(\n])\s?{verdicts.WRONG_BEFORE}\s?{_GROUP}(?=\s?(?:[.;,)\n]|$))"
    # "B. Incorrect: A" says nothing of B.
    after = rf"{_GROUP}(?!(?:[.;,]|\s?\n)\s*{verdicts.WRONG_BEFORE}\s?[⟦⟨])[)\]\"'”.:]{{0,2}}{verdicts.REFUTED_AFTER}"
    return tuple(re.compile(form, re.IGNORECASE) for form in (near, far, heading, after))


def _strike(match: re.Match[str]) -> str:
    return re.sub(OPTION, r"⟨\1⟩", match[0])


def _statements(text: str) -> Iterator[_Statement]:
    """Yield what an answer states as its choice, in order."""
    found: dict[int, _Statement] = {}
    for form in _stating():
        for match in form.finditer(text):
            letters = frozenset(re.findall(OPTION, match[0]))
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
    links = rf"(?:{SIGN}{words.LINKS}){{0,7}}"
    few = rf"(?:\s?{words.LINKS}){{0,3}}"
    forms = (
        rf"{words.ANSWER}{links}{FAR}{_GROUP}",
        rf"{words.NAMES}{few}\s?(?:{words.IS}|[:：=]){few}{FAR}{_GROUP}",
        rf"{words.CHOOSES}{few}{FAR}{_GROUP}",
        rf"{_GROUP}[)\]\"'”]{{0,2}}{verdicts.RIGHT_AFTER}",
        rf"(?:^|[.!?。！？\n,;，；])\s*{words.CONCLUDES}[\s,:：，]{{0,3}}(?:{words.LINKS}\s?){{0,4}}{FAR}{_GROUP}(?=[)\]]?\s?(?:[.!。:]|$|\n))",
        rf"(?:^|[.!?。！？\n;；])\s*{verdicts.RIGHT_BEFORE}{FAR}{_GROUP}(?=\s?(?:[.;,:()\n–—-]|$|because\b|since\b))",
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
    if re.match(rf"{OPTION}\s*[,(]?\s*{words.OR}", rest, re.I) and _names_another(rest):
        return None
    others = [one for one in stated if one.letters != last.letters]
    if others and not _correcting().search(text, others[-1].place, _after(last, text)):
        return None
    return next(iter(last.letters))


def _names_another(rest: str) -> bool:
    """Whether the sentence that goes on after a letter names a second one."""
    end = _SENTENCE_END.search(rest)
    return len(frozenset(re.findall(OPTION, rest[: end.start()] if end else rest))) > 1


def _after(last: _Statement, text: str) -> int:
    close = re.search(OPTION, text[last.place :])
    return last.place + (close.start() if close else 0)
