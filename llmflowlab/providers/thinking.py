"""Keeps a model's thinking apart from its answer where the server left both in one text.

Models write `<think>…</think>` and its kin in front of their answers. What a template put into the
prompt is missing in the answer: of some models only the closing tag arrives, after thinking that was
already passed on as text; that is said with `Rethought`. A tag is one at the very start of an answer
(or right after another thought) only, and a lone closing tag only where it is not quoted, stands in no
code and closes nothing that the text itself opened: elsewhere it is something that is talked about.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Generator, Iterator
from typing import TypeAlias

from llmflowlab.providers.base import ReasoningDelta, Rethought, TextDelta

__all__ = ["Apart", "ThinkingFilter", "without_thinking"]

Apart: TypeAlias = TextDelta | ReasoningDelta | Rethought

_PAIRS = {
    **{
        f"<{name}>": f"</{name}>"
        for name in ("think", "thinking", "thought", "thoughts", "reasoning", "seed:think")
    },
    "[think]": "[/think]",  # Magistral
    "◁think▷": "◁/think▷",  # Kimi
    "<|start_thinking|>": "<|end_thinking|>",  # Command A
    "<|begin_of_thought|>": "<|end_of_thought|>",  # Sky-T1
    "<|channel|>analysis<|message|>": "<|channel|>final<|message|>",  # gpt-oss without its parser
}
"""Opening and closing tags, in small letters; they are matched in any."""
_CLOSING = tuple(_PAIRS.values())
_TAGS = (*_PAIRS, *_CLOSING)
_TAG = re.compile("|".join(map(re.escape, _TAGS)), re.IGNORECASE)
_LONGEST = max(map(len, _TAGS))
_FIRST = re.compile(r"[<\[◁]")
_FENCES = ("```", "~~~")
_QUOTES = {'"': '"', "'": "'", "`": "`", "“": "”", "„": "“", "‘": "’", "«": "»"}


class ThinkingFilter:
    """Takes a text as it streams in and tells what of it is thinking.

    Holds back only what could become a tag, and white space before the first word.
    """

    def __init__(self) -> None:
        self._held = ""
        self._close: str | None = None
        """The tag that ends the thought being read; None outside of one."""
        self._at_start = True
        self._after_thought = False
        self._thought_begun = False
        self._text_came = False
        self._last = ""
        """The character before what is held."""
        self._open: Counter[str] = Counter()
        """Closing tags that the answer's own opening ones wait for."""
        self._code = _Code()

    def feed(self, text: str) -> Iterator[Apart]:
        """Yield what a further piece of text makes certain."""
        self._held += text
        yield from self._read(last=False)

    def end(self) -> Iterator[Apart]:
        """Yield what was held back: no more is to come."""
        yield from self._read(last=True)

    def _read(self, *, last: bool) -> Iterator[Apart]:
        while self._held:
            if self._close is not None:
                done = yield from self._in_thought(self._close, last)
            elif self._at_start:
                done = self._before_answer(last)
            else:
                done = yield from self._in_answer(last)
            if done:
                return

    def _before_answer(self, last: bool) -> bool:
        """Look for a tag at the start; return whether more text is needed to tell."""
        body = self._held.lstrip()
        low = body[:_LONGEST].lower()
        if not body and not last:
            return True
        for tag in _TAGS:
            if body and low.startswith(tag):
                # A closing tag as the first word ends a thought of which nothing arrived.
                self._close, self._held = _PAIRS.get(tag), body[len(tag) :]
                self._after_thought, self._thought_begun, self._last = True, False, ""
                return False
        if not last and any(tag.startswith(low) for tag in _TAGS):
            return True
        self._at_start = False
        if self._after_thought:
            self._held = body
        return False

    def _in_thought(self, close: str, last: bool) -> Generator[Apart, None, bool]:
        if not self._thought_begun:
            self._held = self._held.lstrip()
        text, at = self._held, 0
        low = text.lower() if len(text.lower()) == len(text) else text
        while (at := low.find(close, at)) >= 0:
            end = at + len(close)
            before = text[at - 1] if at else self._last
            if before in _QUOTES and end == len(text) and not last:
                # The next character tells whether it is quoted.
                yield from self._thought(at)
                return True
            if not _enclosed(before, text[end : end + 1]):
                yield from self._thought(at)
                self._held = self._held[len(close) :]
                self._close, self._at_start = None, True
                return False
            at = end
        yield from self._thought(len(text) - (0 if last else _could_begin(text, (close,))))
        return True

    def _thought(self, until: int) -> Iterator[Apart]:
        text, self._held = self._held[:until], self._held[until:]
        if text:
            self._thought_begun, self._last = True, text[-1]
            yield ReasoningDelta(text)

    def _in_answer(self, last: bool) -> Generator[Apart, None, bool]:
        text, start, said = self._held, 0, 0
        for found in _TAG.finditer(text):
            at, end = found.span()
            self._code.read(text[start:at])
            start = at
            before = text[at - 1] if at else self._last
            if before in _QUOTES and end == len(text) and not last:
                break
            tag = found[0].lower()
            quoted = self._code.open or _enclosed(before, text[end : end + 1])
            if not quoted and tag in _CLOSING and not self._open[tag]:
                yield from self._text(text[said:at])
                yield from self._start_again(found[0])
                self._held = text[end:]
                return False
            if not quoted:
                self._open[_PAIRS.get(tag, tag)] += 1 if tag in _PAIRS else -1
            self._code.read(text[at:end])
            start = end
        else:
            held = 0 if last else _could_begin(text[start:], _TAGS)
            self._code.read(text[start : len(text) - held])
            start = len(text) - held
        self._held = text[start:]
        yield from self._text(text[said:start])
        return True

    def _text(self, text: str) -> Iterator[Apart]:
        if text:
            self._text_came, self._last = True, text[-1]
            yield TextDelta(text)

    def _start_again(self, mark: str) -> Iterator[Apart]:
        if self._text_came:
            yield Rethought(mark)
        self._at_start, self._after_thought, self._text_came = True, True, False
        self._last, self._code = "", _Code()
        self._open.clear()


def without_thinking(text: str) -> str:
    """Return what of a text that is there as a whole is the answer."""
    said: list[str] = []
    apart = ThinkingFilter()
    for event in (*apart.feed(text), *apart.end()):
        if isinstance(event, TextDelta):
            said.append(event.text)
        elif isinstance(event, Rethought):
            said.clear()
    return "".join(said)


class _Code:
    """Whether the end of a Markdown text stands inside a block of code or between backticks."""

    def __init__(self) -> None:
        self._fenced = False
        self._head = ""
        """The first three characters of the line, white space before them left out."""
        self._ticks = 0

    def read(self, text: str) -> None:
        first, *lines = text.split("\n")
        self._go_on(first)
        for line in lines:
            self._fenced ^= self._head in _FENCES
            self._head, self._ticks = "", 0
            self._go_on(line)

    def _go_on(self, text: str) -> None:
        if len(self._head) < 3:
            self._head = (self._head + text).lstrip()[:3]
        self._ticks += text.count("`")

    @property
    def open(self) -> bool:
        return self._fenced or self._head in _FENCES or self._ticks % 2 == 1


def _enclosed(before: str, after: str) -> bool:
    return bool(after) and _QUOTES.get(before) == after


def _could_begin(text: str, tags: tuple[str, ...]) -> int:
    """Return the length of the text's end that further text could make a tag."""
    tail = text[-_LONGEST:].lower()
    for found in _FIRST.finditer(tail):
        end = tail[found.start() :]
        if any(tag.startswith(end) for tag in tags):
            return len(end)
    return 0
