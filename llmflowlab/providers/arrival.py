"""What a provider sends becomes a typed, bounded value here, where it arrives; no other room looks again.

SDKs pass on whatever a server wrote: counts that are negative, fractions or words, a text as a list of
parts, half a character. What cannot be right is unknown (None), what can be mended is mended, and what
is neither raises a `ValueError`, which each family's mapping turns into `BadAnswer`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from llmflowlab.providers.base import ReasoningDelta, TextDelta, Usage

__all__ = [
    "UNREADABLE",
    "field",
    "name",
    "pieces",
    "storable",
    "the_answer",
    "token_chances",
    "tokens",
    "usage",
    "vectors",
    "whole",
    "with_counts",
]

UNREADABLE = -1
"""Stands for a count that was sent and is none, which is another thing than none sent."""
_MOST_TOKENS = 10**9
"""No window is as large; a count beyond it is a defect of the server's."""
_LONGEST_NAME = 200
_MOST_CHANCES = 100
_SURE = 1.0 + 1e-3
"""Chances add up to 1, but for rounding."""
_DEEPEST = 4
"""How far parts may hold parts; Mistral's thinking is a list inside a list."""

_THINKING = frozenset({"thinking", "reasoning", "thought", "reasoning_content", "summary_text"})
_TEXT = frozenset({"text", "output_text", "input_text", "message", "answer"})
_THOUGHTS = ("thinking", "reasoning", "text", "content", "summary")
"""Where a part that is thinking has its text."""
_HALF = re.compile("[\ud800-\udfff]")


def tokens(value: object) -> int | None:
    """Return a count of tokens; None for what is none: negative, a fraction, a text, beyond 10^9."""
    found = whole(value)
    return found if found is not None and 0 <= found <= _MOST_TOKENS else None


def with_counts(sent: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """Return an object with every count in it that is none replaced by `UNREADABLE`.

    SDKs make 7 of "7" and 1 of true; what a server wrote can be told before them only.
    """
    found = dict(sent)
    for first, *rest in paths:
        inner = found.get(first)
        if rest and isinstance(inner, Mapping):
            found[first] = with_counts(inner, [tuple(rest)])
        elif inner is not None and tokens(inner) is None:
            found[first] = None if rest else UNREADABLE
    return found


def whole(value: object) -> int | None:
    """Return a whole number, 5.0 included; None for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value.is_integer()):
        return None
    return int(value)


def usage(
    prompt: object, completion: object, cached: object = None, reasoning: object = None
) -> Usage:
    """Return what a provider says it counted, each number that cannot be right left out.

    A part that is larger than its whole shows that one of the two means something else than its name
    says: then neither is known.
    """
    sent, cached_part = _with_part(tokens(prompt), tokens(cached))
    written, reasoning_part = _with_part(tokens(completion), tokens(reasoning))
    return Usage(
        prompt_tokens=sent,
        completion_tokens=written,
        cached_tokens=cached_part,
        reasoning_tokens=reasoning_part,
    )


def _with_part(total: int | None, part: int | None) -> tuple[int | None, int | None]:
    return (
        (None, None) if total is not None and part is not None and part > total else (total, part)
    )


def storable(text: str) -> str:
    """Return a text that every file and database takes.

    The two halves of a character are put together; half a character, and NUL, which PostgreSQL's texts
    cannot hold, become U+FFFD.
    """
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if not text.isascii() and _HALF.search(text):
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def name(value: object) -> str | None:
    """Return a name or a short word: one line, bounded; None where there is none."""
    if not isinstance(value, str):
        return None
    line = " ".join(storable(value[: _LONGEST_NAME * 2]).split())
    return line[:_LONGEST_NAME] or None


def field(value: object, *path: str) -> Any:
    """Return what stands at the end of a path of attributes or keys; None where it leads nowhere."""
    for step in path:
        # First what comes of JSON: to ask whether something is a Mapping costs more than all else here.
        if type(value) is dict:
            value = value.get(step)
            continue
        if value is None or isinstance(value, str | int | float | list):
            # These have attributes too, none of which was sent.
            return None
        value = value.get(step) if isinstance(value, Mapping) else getattr(value, step, None)
    return value


def the_answer(choices: object) -> Any:
    """Return the answer among the choices or candidates, the one with the index 0; None where it is not there.

    The index may be left out where it is 0; Azure's first message and the one with the usage have no
    choices, and some servers write null.
    """
    found = choices if isinstance(choices, list) else []
    return next((each for each in found if not tokens(field(each, "index"))), None)


def pieces(content: object, *, thinking: bool = False) -> Iterator[TextDelta | ReasoningDelta]:
    """Yield the text of an answer, or of a part of one, and apart from it the thinking.

    Args:
        content: A text, or a list of texts and of parts such as `{"type": "text", "text": …}`. Parts
            of other kinds (images, tool calls) hold no text and are left out.
        thinking: Whether all of it is thinking; what cannot be read of that is left out as well.

    Raises:
        ValueError: Something stands where a text has to stand: a piece of the answer is lost.
    """
    yield from _pieces(content, thinking, _DEEPEST)


def _pieces(content: object, thinking: bool, depth: int) -> Iterator[TextDelta | ReasoningDelta]:
    if isinstance(content, str):
        if content:
            yield ReasoningDelta(content) if thinking else TextDelta(content)
    elif isinstance(content, list | tuple):
        if depth == 0:
            yield from _lost(thinking)
        for part in content:
            yield from _pieces(part, thinking, depth - 1)
    elif isinstance(content, bool | int | float | bytes):
        yield from _lost(thinking)
    elif content is not None and depth > 0:
        yield from _part(content, thinking, depth - 1)


def _part(part: object, thinking: bool, depth: int) -> Iterator[TextDelta | ReasoningDelta]:
    kind = field(part, "type")
    # OpenRouter's are called reasoning.text and reasoning.summary.
    if isinstance(kind, str) and kind.partition(".")[0] in _THINKING:
        inner = (field(part, key) for key in _THOUGHTS)
        yield from _pieces(next((each for each in inner if each is not None), None), True, depth)
    elif (kind is None or (isinstance(kind, str) and kind in _TEXT)) and not isinstance(
        inner := field(part, "text"), Mapping
    ):
        yield from _pieces(inner, thinking, depth)


def _lost(thinking: bool) -> Iterator[TextDelta]:
    if not thinking:
        raise ValueError("something that is no text stands where a text has to stand")
    return iter(())


def token_chances(told: object) -> tuple[tuple[str, float], ...]:
    """Return how likely each first token was, of log-probabilities in OpenAI's form; none where they are none.

    Args:
        told: One entry for each token, with its `top_logprobs`.
    """
    first = told[0] if isinstance(told, list) and told else None
    listed = field(first, "top_logprobs")
    found = []
    for each in listed[:_MOST_CHANCES] if isinstance(listed, list) else ():
        token, value = field(each, "token"), field(each, "logprob")
        if isinstance(token, str) and isinstance(value, int | float) and value <= 0:
            found.append((storable(token[:_LONGEST_NAME]), math.exp(value)))
    return tuple(found) if sum(chance for _, chance in found) <= _SURE else ()


def vectors(rows: Iterable[object], count: int) -> tuple[tuple[float, ...], ...]:
    """Return embeddings as they may be reckoned with.

    Args:
        rows: One sequence of numbers for each text.
        count: How many texts were sent.

    Raises:
        ValueError: There are more or fewer, they are not of one length, or not all numbers are finite.
    """
    found = tuple(_vector(row) for row in rows)
    if len(found) != count:
        raise ValueError(f"{len(found)} vectors for {count} texts")
    if len({len(vector) for vector in found}) > 1:
        raise ValueError("vectors of different lengths")
    return found


def _vector(row: object) -> tuple[float, ...]:
    if not isinstance(row, Sequence) or isinstance(row, str | bytes) or not row:
        raise ValueError("a vector that is no list of numbers")
    vector = tuple(float(number) for number in row)
    if not all(map(math.isfinite, vector)):
        raise ValueError("a vector with a number that is not finite")
    return vector
