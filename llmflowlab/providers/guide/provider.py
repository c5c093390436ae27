"""`guide:docs`: the offline help desk.

It searches the lab's own documentation and a glossary and answers with the passage it finds. It is
not a language model: it is there for people without key and network, and as a lexical baseline that
a real model must beat.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

from llmflowlab.errors import InputError, UnknownModel
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    Finished,
    ModelInfo,
    Provider,
    Readiness,
    StreamEvent,
    TextDelta,
)
from llmflowlab.providers.guide.introduction import (
    INTRODUCTIONS,
    introduction,
    without_greeting,
)
from llmflowlab.providers.guide.pages import Passage, corpus_digest, load_passages
from llmflowlab.providers.guide.search import Hit, Index, passage_words, words
from llmflowlab.settings import Settings

__all__ = ["DOES_NOT_KNOW", "GuideProvider"]

DOES_NOT_KNOW = (
    "I do not know: the lab's documentation has nothing on that. I am the offline guide, which "
    "searches it and a glossary; another model is chosen with /model. Ask me for example: "
    + " · ".join(INTRODUCTIONS["en"].examples)
)

_MODEL = "docs"

# A passage that holds less of the question's information than this is about something else; tried on
# the shipped benchmark, where it lets through what the documentation answers and little besides. One
# whose name is not in the question must hold more, and more than one word: any word stands somewhere.
_LEAST_COVERAGE = 0.55
_LEAST_COVERAGE_UNNAMED = 0.75
_LEAST_WORDS_UNNAMED = 2
_LONGEST_ANSWER = 3
_CONSIDERED = 50
# A question of so few words leans on the one before it: "and for Ollama?".
_SHORT_QUESTION = 2
_FOLLOW_UP_WEIGHT = 3.0
_LONGEST_QUESTION = 2_000

_OWN_PASSAGE = "lab, What the guide is"
_OWN_NAMES = frozenset({"llmflowlab", "lab"})

_building = threading.Lock()

_FOLLOW_UP = re.compile(
    r"^\W*(?:and|what about|how about|und|et|y|e|also|or|oder|ou|o)\b", re.IGNORECASE
)
_CONTEXT = re.compile(r"\AContext:\n.*\n\nQuestion: ", re.DOTALL)


class GuideProvider(Provider):
    """Answers from documentation; ignores the system prompt and all generation parameters."""

    name: ClassVar[str] = "guide"
    display_name: ClassVar[str] = "Guide"
    supplier: ClassVar[str] = "LLMFlowLab"
    default_model: ClassVar[str | None] = _MODEL
    free: ClassVar[bool] = True
    reports_usage: ClassVar[bool] = False
    is_language_model: ClassVar[bool] = False
    examples: ClassVar[tuple[str, str, str]] = INTRODUCTIONS["en"].examples

    @classmethod
    def readiness(cls, settings: Settings, timeout: float) -> Readiness:
        """Always ready: everything it needs ships with the lab."""
        return Readiness(True, "offline help desk, needs no key (a search, no language model)")

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        """Answer the last user message, word by word.

        Raises:
            UnknownModel: The guide has no other model than `docs`.
        """
        if self.model != _MODEL:
            raise UnknownModel(self._no_such_model, provider=self.name, model=self.model)
        for piece in re.findall(r"\s*\S+", _answer(request.messages)):
            yield TextDelta(piece)
        yield Finished("stop", model_version=_version())

    def list_models(self) -> list[ModelInfo]:
        """List the one model; reads no page yet."""
        return [ModelInfo(_MODEL, detail="help desk over the lab's documentation, offline")]

    def settle(self) -> None:
        """Look whether it is the model that there is.

        Raises:
            InputError: It is not.
        """
        if self.model != _MODEL:
            raise InputError(self._no_such_model)

    def prepare(self) -> None:
        """Build the index."""
        _index()

    @property
    def _no_such_model(self) -> str:
        return f"The guide has no model {self.model!r}; use guide:{_MODEL}."


@lru_cache(maxsize=1)
def _passages() -> tuple[Passage, ...]:
    return load_passages()


def _index() -> Index:
    # An evaluation asks from many threads at once; one of them is enough to build the index.
    with _building:
        return _built_index()


@lru_cache(maxsize=1)
def _built_index() -> Index:
    return Index(_passages())


@lru_cache(maxsize=1)
def _version() -> str:
    return f"{_MODEL}-{corpus_digest(_passages())}"


def _answer(messages: Sequence[Message]) -> str:
    said = [_text(message) for message in messages if message.role == "user"]
    if said and (about_itself := introduction(said[-1])) is not None:
        return f"{about_itself}\n\nFrom: {_OWN_PASSAGE}"
    asked = _question([without_greeting(text) for text in said])
    hits = [hit for hit in _index().search(asked, limit=_CONSIDERED) if _fits(hit, asked)]
    if not hits:
        return DOES_NOT_KNOW
    best = max(hits, key=lambda hit: _rank(hit, asked))
    return f"{_excerpt(best.passage, asked)}\n\nFrom: {best.passage.source}"


def _question(texts: Sequence[str]) -> dict[str, float]:
    """Return the words of the last question, and of the one before where it leans on that."""
    if not texts:
        return {}
    asked = dict.fromkeys(_telling(words(texts[-1])), 1.0)
    if len(asked) <= _SHORT_QUESTION and _FOLLOW_UP.match(texts[-1]) and len(texts) > 1:
        earlier = dict.fromkeys(_telling(words(texts[-2])), 1.0)
        return {**earlier, **dict.fromkeys(asked, _FOLLOW_UP_WEIGHT)}
    return asked


def _telling(asked: list[str]) -> list[str]:
    # Here everything is about the lab, so its name tells nothing beside other words.
    return [word for word in asked if word not in _OWN_NAMES] or asked


def _text(message: Message) -> str:
    # Documentation answers the question, not the text that came with it.
    return _CONTEXT.sub("", message.content)[-_LONGEST_QUESTION:]


def _fits(hit: Hit, asked: Mapping[str, float]) -> bool:
    """Tell whether a passage is about the question, not only sharing a word with it."""
    names = (set(words(name)) for name in (hit.passage.heading, *hit.passage.aliases))
    if any(name and name <= asked.keys() for name in names):
        return hit.coverage >= _LEAST_COVERAGE
    shared = asked.keys() & set(passage_words(hit.passage))
    return hit.coverage >= _LEAST_COVERAGE_UNNAMED and len(shared) >= _LEAST_WORDS_UNNAMED


def _rank(hit: Hit, asked: Mapping[str, float]) -> tuple[int, float]:
    """Put a passage whose very name is asked for before others that mention it more often."""
    wanted = set(asked)
    if set(words(hit.passage.heading)) == wanted:
        return (2, hit.score)
    return (int(any(set(words(name)) == wanted for name in hit.passage.aliases)), hit.score)


def _excerpt(passage: Passage, asked: Mapping[str, float]) -> str:
    """Return the few sentences of a passage that say most about the question, in their order."""
    sentences = _sentences(passage.text)
    if len(sentences) <= _LONGEST_ANSWER:
        return " ".join(sentences)

    def value(position: int) -> float:
        found = set(asked) & set(words(sentences[position]))
        return sum(_index().weight(word) * asked[word] for word in found)

    best = sorted(range(len(sentences)), key=lambda i: (-value(i), i))[:_LONGEST_ANSWER]
    return " ".join(sentences[i] for i in sorted(best))


def _sentences(text: str) -> list[str]:
    """Cut Markdown into sentences, list items, table rows and lines of code."""
    found: list[str] = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*+]\s|\||\d+\.\s))|```\w*\n?", text):
        line = " ".join(block.split())
        if line and not re.fullmatch(r"[\s|:-]+", line):
            found += re.split(r"(?<=[.!?])\s+(?=[\"'`(]?[A-Z0-9])", line)
    return found
