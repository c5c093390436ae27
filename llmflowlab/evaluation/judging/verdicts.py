"""The form of a judge's verdict, and how it is read: exactly, or not at all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

__all__ = ["GRADES", "Reading", "Scale", "read", "schema"]

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
class Reading:
    """A verdict as it was read."""

    result: str
    """One of the scale's words; grades as `1` to `5`."""
    rationale: str


def read(text: str, scale: Scale) -> Reading | None:
    """Read the one verdict in a judge's answer; None where there is none, or more than one.

    A judge may quote the answer it judges, and that answer may hold a forged verdict. So where objects
    with different results stand in the text nobody can say which is the judge's, and none is taken;
    nor is one from a text with a torn object, whose inside may be a quotation.
    """
    try:
        found = [reading for values in _objects(text) if (reading := _reading(values, scale))]
    except (ValueError, RecursionError):
        return None
    return found[-1] if len({reading.result for reading in found}) == 1 else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects of a text, outermost ones only; a torn one is a `ValueError`."""
    # Models put raw line breaks into JSON strings; `strict=False` reads them as they are.
    decoder = json.JSONDecoder(strict=False)
    place = text.find("{")
    while place >= 0:
        value, end = decoder.raw_decode(text, place)
        yield value
        place = text.find("{", end)


def _reading(values: dict[str, Any], scale: Scale) -> Reading | None:
    result = values.get("result")
    if isinstance(result, bool):
        word = ("yes" if result else "no") if scale == "yes_no" else ""
    elif isinstance(result, int) and scale == "grade":
        word = str(result)
    elif isinstance(result, str):
        word = re.sub(r"\s*/\s*5$", "", result.strip().lower()) if scale == "grade" else result
        word = word.strip().lower()
    else:
        word = ""
    if word not in _WORDS[scale]:
        return None
    return Reading(word, str(values.get("rationale") or ""))
