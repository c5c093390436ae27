"""Votes on two answers beside each other, as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, TypeAlias

from llmflowlab.candidate import Candidate
from llmflowlab.people.word_store import WordStore
from llmflowlab.people.words import Target, Word

__all__ = [
    "QUESTION",
    "SCORES",
    "ArenaVote",
    "Contestant",
    "Fighter",
    "Verdict",
    "contestant_of",
    "votes_of",
]

Verdict: TypeAlias = Literal["a", "b", "tie", "both_bad"]

SCORES: Mapping[Verdict, float] = {"a": 1.0, "b": 0.0, "tie": 0.5, "both_bad": 0.5}
"""What a vote is worth for the first one."""
QUESTION = "preference"
"""What a vote answers, as words and feedback name it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """Who fights: a candidate, over all arenas and evaluations of a home."""

    key: str
    """Digest of all that makes another answer, save how long one may be at most."""
    label: str
    model: str
    system: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fighter:
    """A contestant in one battle, with what the answer took."""

    contestant: Contestant
    trace_id: str | None
    style: tuple[float, ...]
    """As `style_of` measures it."""
    tokens: int | None = None
    cost_usd: str | None = None
    """Decimal as text; None where unknown."""
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        return {**values.pop("contestant"), **values, "style": list(self.style)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        who = Contestant(**{name: values[name] for name in ("key", "label", "model", "system")})
        rest = {name: values[name] for name in ("trace_id", "tokens", "cost_usd", "seconds")}
        return cls(contestant=who, style=tuple(values["style"]), **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaVote:
    """What one person said of one battle."""

    arena: str
    number: int
    person: str
    verdict: Verdict
    a: Fighter
    b: Fighter
    left: Literal["a", "b"]
    """Which one stood left, or first."""
    prompt: str
    category: str | None
    language: str | None
    pairing: str
    names_known: bool = False
    """Whether the vote was cast anew, after the names had been shown."""
    at_ms: int
    seconds: float | None = None

    def word(self) -> Word:
        """Return it as it is kept."""
        return Word(
            person=self.person,
            target=Target(kind="battle", within=self.arena, key=str(self.number)),
            question=QUESTION,
            said=self.verdict,
            at_ms=self.at_ms,
            seconds=self.seconds,
            details={
                "a": self.a.to_json(),
                "b": self.b.to_json(),
                "left": self.left,
                "prompt": self.prompt,
                "category": self.category,
                "language": self.language,
                "pairing": self.pairing,
                "names_known": self.names_known,
            },
        )

    @classmethod
    def of(cls, word: Word) -> Self:
        """Return what a word was made of."""
        said: Any = word.said
        details = word.details
        return cls(
            arena=word.target.within,
            number=int(word.target.key),
            person=word.person,
            verdict=said,
            a=Fighter.from_json(details["a"]),
            b=Fighter.from_json(details["b"]),
            left=details["left"],
            prompt=details["prompt"],
            category=details["category"],
            language=details["language"],
            pairing=details["pairing"],
            names_known=details["names_known"],
            at_ms=word.at_ms,
            seconds=word.seconds,
        )


def votes_of(store: WordStore, arena: str | None = None) -> list[ArenaVote]:
    """Return the votes that hold, in the order in which they were cast.

    Raises:
        TrackingError: The file cannot be read.
    """
    words = store.words("battle", arena)
    return [ArenaVote.of(word) for word in words if word.question == QUESTION]


def contestant_of(candidate: Candidate) -> Contestant:
    """Return who a candidate is wherever it fights."""
    unbounded = replace(candidate.parameters, max_tokens=None)
    return Contestant(
        key=replace(candidate, parameters=unbounded).digest,
        label=candidate.label,
        model=candidate.model,
        system=candidate.system,
    )
