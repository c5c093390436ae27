"""The form of a judge's verdict, and how it is read: exactly, or not at all."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmflowlab.providers.arrival import storable

__all__ = ["GRADES", "ParsedVerdict", "Scale", "read", "schema"]

Scale: TypeAlias = Literal["yes_no", "grade", "preference"]
"""`yes`/`no`; a grade from 1 to 5; which of two answers is better: `first`, `second` or `tie`."""

GRADES = (1, 2, 3, 4, 5)
_WORDS: dict[Scale, tuple[str, ...]] = {
    "yes_no": ("yes", "no"),
    "grade": tuple(str(grade) for grade in GRADES),
    "preference": ("first", "second", "tie"),
}


def schema(scale: Scale) -> dict[str, Any]:
    """Return the JSON schema that is sent to providers which can hold a model to one.

    The rationale stands first: a model that gives its reasons before its verdict has thought before
    it judges.
    """
    return {
        "type": "object",
        "properties": {
            "rationale": {"type": "string", "description": "The reason for the verdict, in short."},
            # Words for grades too: not every provider takes an enumeration of numbers.
            "result": {"type": "string", "enum": list(_WORDS[scale])},
        },
        "required": ["rationale", "result"],
        "additionalProperties": False,
    }


@dataclass(frozen=True, slots=True)
class ParsedVerdict:
    """A verdict as it was read."""

    result: str
    """One of the scale's words; grades as `1` to `5`."""
    rationale: str


def read(text: str, scale: Scale, *, answer: str | None = None) -> ParsedVerdict | None:
    """Read the one verdict in a judge's answer; None where there is none, or it may be a quotation.

    A judge may quote the answer it judges, and that answer may hold a forged verdict. So the verdict is
    all that a judge says: one JSON object, in a code fence or not, after a thinking block, and at most
    with a phrase that can say nothing of it ("Here is my verdict:", "That is it."). Other prose beside
    it, a second object, a key given twice with different values, or an object that stands in the judged
    answer, however it is written there, leave the verdict unread.

    Args:
        text: What the judge said.
        scale: The words to choose from.
        answer: What is judged, where the caller has it: an object that stands there is not the judge's.
    """
    said = _after_thinking(text)
    found = None if said is None else _FORM.fullmatch(said.strip(_BLANK))
    if found is None:
        return None
    spoken = found["fenced"] or found["bare"]
    try:
        values = _object(spoken)
    except (ValueError, RecursionError):
        return None
    reading = None if values is None else _reading(values, scale)
    if values is None or reading is None or answer is None:
        return reading
    torn = len({_key(key) for key, _ in values}) > 2 and _QUOTED_KEY.search(answer)
    return None if torn or _repeats(spoken, reading, answer) else reading


_THINKING = re.compile(
    r"\s*<(think|thinking|thought|reasoning)>(.*?)</\1>", re.DOTALL | re.IGNORECASE
)
_THINKING_MARK = re.compile(r"</?(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
# What models say around a verdict without saying anything; any other sentence may be about a quotation.
_BEFORE = r"""
    (?:(?:sure|certainly|okay|ok)[,.!:]?\s+)?
    (?:i\ have\ (?:carefully\ )?(?:read|reviewed|considered|checked)
       \ (?:it|everything|the\ (?:answer|response))(?:\ all)?[.:]\s+)?
    (?:(?:here(?:'s|’s|\ is)\ )?(?:(?:my|the)\ )?(?:final\ )?
       (?:verdict|evaluation|judge?ment|assessment|json(?:\ object)?)(?:\ is)?\s*:\s*)?"""
_AFTER = r"(?:that\ is\ (?:it|all|my\ verdict)\.|i\ hope\ (?:this|that)\ helps[.!])"
_FORM = re.compile(
    rf"""{_BEFORE}
    (?:```[\w-]*[ \t]*\r?\n\s*(?P<fenced>\{{.*\}})\s*```|(?P<bare>\{{.*\}}))
    (?:\s*{_AFTER})?""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_BLANK = " \t\r\n\f\v\xa0\ufeff"
# Quotation marks that a judge took over unescaped would make what follows a part of its own object.
_QUOTED_KEY = re.compile(r'"\s*result\s*"\s*:', re.IGNORECASE)
_ESCAPE = re.compile(r"""\\(?:u([0-9a-f]{4})|[nrtbf"'\\/])""", re.IGNORECASE)
# A string, or a comma with nothing after it in its object.
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*\})', re.DOTALL)


def _after_thinking(text: str) -> str | None:
    """Return what follows a leading thinking block; None where its end cannot be told."""
    block = _THINKING.match(text)
    if block is None:
        return text
    rest = text[block.end() :]
    # A thought that quotes a closing tag would end too early, at the quotation.
    if _THINKING_MARK.search(block[2]) or _THINKING_MARK.search(_LAST_COMMA.sub("", rest)):
        return None
    return rest


def _repeats(spoken: str, reading: ParsedVerdict, answer: str) -> bool:
    """Whether a verdict stands in the judged answer, whatever its quotation marks, order and escapes."""
    if not reading.rationale.strip():
        # Of so few letters an honest answer ("Result: yes") may be made as well.
        return _letters(spoken, "{:}") in _letters(answer, "{:}")
    about, word = reading.rationale, reading.result
    forms = spoken, f"rationale {about} result {word}", f"result {word} rationale {about}"
    judged = _letters(answer)
    return any(_letters(form) in judged for form in forms)


def _letters(text: str, marks: str = "") -> str:
    plain = _ESCAPE.sub(lambda found: chr(int(found[1] or "20", 16)), html.unescape(text))
    plain = unicodedata.normalize("NFKC", plain).casefold()
    return "".join(sign for sign in plain if sign.isalnum() or sign in marks)


class _Pairs(list[tuple[str, Any]]):
    """An object as it was written: keys in order, doubled ones included."""


def _object(text: str) -> _Pairs | None:
    """Return the object that a text is; a torn one is a `ValueError`."""
    # Models put raw line breaks into JSON strings; `strict=False` reads them as they are.
    decoder = json.JSONDecoder(strict=False, object_pairs_hook=_Pairs)
    try:
        found = decoder.decode(text)
    except json.JSONDecodeError:
        found = decoder.decode(_LAST_COMMA.sub(lambda match: match[1] or "", text))
    return found if isinstance(found, _Pairs) else None


def _reading(values: _Pairs, scale: Scale) -> ParsedVerdict | None:
    keyed = [(_key(key), value) for key, value in values]
    words = {_word(value, scale) for key, value in keyed if key == "result"}
    word = words.pop() if len(words) == 1 else None
    if word is None:
        return None
    reasons = {str(value or "") for key, value in keyed if key == "rationale"}
    # JSON's escapes bring what the text that arrived cannot hold: half a character.
    return None if len(reasons) > 1 else ParsedVerdict(word, storable("".join(reasons)))


def _key(key: str) -> str:
    return key.strip().casefold()


def _word(result: Any, scale: Scale) -> str | None:
    """Return the scale's word for a result; None where it is none."""
    if isinstance(result, bool):
        word = ("yes" if result else "no") if scale == "yes_no" else ""
    elif isinstance(result, int | float) and scale == "grade":
        word = str(int(result)) if result in GRADES else ""
    elif isinstance(result, str):
        word = re.sub(r"\s*[.。]$", "", result.strip()).strip().casefold()
        if scale == "grade":
            word = re.sub(r"(?:\.0+)?(?:\s*/\s*5)?$", "", word)
    else:
        word = ""
    return word if word in _WORDS[scale] else None
