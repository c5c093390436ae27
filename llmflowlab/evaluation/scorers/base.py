"""What a scorer is asked for, and what every scorer that needs no judge can do.

A person names a scorer as `KIND`, `KIND:option=value,option=value` or `NAME=KIND:option=value`; that
becomes a `ScorerSpec`, which stands in the plan and from which the scorer is built again at any time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.scores import Score

__all__ = [
    "CorpusScorer",
    "OptionValue",
    "ScorerSpec",
    "TextScorer",
    "parse_scorer",
]

OptionValue: TypeAlias = "str | int | float | bool | None"

# MLflow would take more, but a name is also part of `{scorer}/mean` and of gates (`name.ci_low=0.7`).
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_SYNONYMS = {"accuracy": "exact_match"}
"""What others call a kind; the figures stand under the name that was typed."""
_KIND = re.compile(r"[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_OPTION = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*(=?)", re.ASCII)
_TAKEN = frozenset(
    {
        *(
            "answered",
            "completion_tokens",
            "cost",
            "cut",
            "failed",
            "latency",
            "prompt_tokens",
            "rows",
        ),
        *("tokens", "total_cost_estimate", "total_tokens"),
    }
)
"""Names of a run's other metrics."""


@dataclass(frozen=True, slots=True)
class ScorerSpec:
    """A scorer as a plan names it."""

    name: str
    """What tables, metrics and assessments call it."""
    kind: str
    """What it does: a key of `TEXT_KINDS`, or a judged kind."""
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    @classmethod
    def plain(cls, kind: str) -> ScorerSpec:
        """Return a scorer without options, called as its kind."""
        return cls(kind, kind)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "options": dict(self.options)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> ScorerSpec:
        return cls(values["name"], values["kind"], dict(values.get("options", {})))


@runtime_checkable
class TextScorer(Protocol):
    """A scorer that is computed here, from the row and the answer alone."""

    @property
    def name(self) -> str: ...
    @property
    def binary(self) -> bool:
        """Whether it says yes (1) or no (0); others give a degree."""

    @property
    def needs_judge(self) -> bool: ...
    @property
    def version(self) -> str:
        """Changes whenever the same answer could get another score."""

    def score(self, row: Row, answer: AnswerRecord) -> Score:
        """Score one answer; never raises on any text."""

    def lacks(self, dataset: Dataset) -> str | None:
        """Return a sentence that names what the dataset lacks for this scorer; None if nothing."""


@runtime_checkable
class CorpusScorer(TextScorer, Protocol):
    """A scorer whose figure over many rows is not the mean of theirs.

    Each row has statistics that add up; the figure is a function of their sums. `Score.parts` holds
    the statistics; `Score.value` is the figure of the row alone, for reading.
    """

    def statistics(self, row: Row, answer: AnswerRecord) -> tuple[float, ...]:
        """Return what an answered row adds to the sums; always as many numbers."""

    def value(self, summed: Sequence[float]) -> float:
        """Return the figure, 0 to 1, of the sums of several rows' statistics."""


def parse_scorer(text: str) -> ScorerSpec:
    """Read `KIND`, `KIND:option=value,option=value` or `NAME=KIND:option=value`.

    A value with a comma stands in quotes ("..." or '...'), in which the quote itself is doubled.
    Values stay text; a word without `=` is an option that is on. Whether kind and options exist is
    not looked at here.

    Raises:
        InputError: It is not of that form, or its name cannot be a metric's.
    """
    head, colon, rest = text.strip().partition(":")
    name, equals, kind = (part.strip() for part in head.rpartition("="))
    if not _KIND.fullmatch(kind) or (equals and not name):
        raise InputError(
            f"{text!r} names no scorer; write KIND, KIND:option=value or NAME=KIND:option=value."
        )
    if equals and (not _NAME.fullmatch(name) or name.lower() in _TAKEN):
        raise InputError(
            f"A scorer cannot be called {name!r}; take a letter and then letters, digits, - and _ "
            f"(64 at most), and none of {', '.join(sorted(_TAKEN))}."
        )
    options: dict[str, OptionValue] = {}
    for option, value in _options(rest, text) if colon else ():
        if option in options:
            raise InputError(f"{text!r} gives {option} twice.")
        options[option] = value
    return ScorerSpec(name or kind, _SYNONYMS.get(kind, kind), options)


def _options(rest: str, whole: str) -> Iterator[tuple[str, OptionValue]]:
    place = 0
    while place < len(rest):
        match = _OPTION.match(rest, place)
        if match is None:
            raise InputError(
                f"{whole!r}: {rest[place:]!r} is no option=value; put a value with a comma into quotes."
            )
        place = match.end()
        value: OptionValue = True
        if match.group(2):
            value, place = _value(rest, place, whole)
        elif rest[place:].lstrip()[:1] not in ("", ","):
            raise InputError(f"{whole!r}: write option=value after the colon.")
        yield match.group(1), value
        comma = rest.find(",", place)
        place = len(rest) if comma < 0 else comma + 1


def _value(rest: str, place: int, whole: str) -> tuple[str, int]:
    """Return the value that begins at `place`, and where it ends."""
    quote = rest[place : place + 1]
    if quote not in ('"', "'"):
        comma = rest.find(",", place)
        end = len(rest) if comma < 0 else comma
        return rest[place:end].strip(), end
    match = re.compile(f"{quote}((?:[^{quote}]|{quote}{quote})*){quote}\\s*(?=,|$)").match(
        rest, place
    )
    if match is None:
        raise InputError(f"{whole!r}: the value that begins with {quote} does not end with it.")
    return match.group(1).replace(quote * 2, quote), match.end()
