"""What the lab remembers of a session: plain values, written to the journal and read back from it.

They know nothing of MLflow or of files; `to_json` / `from_json` are the journal's line format.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypeVar

from llmflowlab.candidate import Candidate

__all__ = [
    "RatingRecord",
    "SessionStart",
    "TurnRecord",
    "last_ratings",
    "new_session_id",
    "new_trace_id",
    "now_text",
]

T = TypeVar("T")


def new_session_id() -> str:
    """Return a fresh session id (32 hex digits)."""
    return secrets.token_hex(16)


def new_trace_id() -> str:
    """Return a fresh MLflow trace id, chosen by us so that a delivery can be repeated safely."""
    return "tr-" + secrets.token_hex(16)


def now_text() -> str:
    """Return local time as `YYYY-MM-DD HH:MM:SS`, the form of every date in the lab's files."""
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStart:
    """First record of a chat journal."""

    session_id: str
    candidate: Candidate
    started: str
    """`YYYY-MM-DD HH:MM:SS`, local."""
    started_ms: int
    """Milliseconds since the epoch."""
    continues: str | None = None
    """Session whose conversation this one carries on after the model or a parameter was changed."""
    replays: str | None = None
    """Session whose prompts this one puts to another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """A prompt and what came of it; also written for turns that failed."""

    trace_id: str
    index: int
    """From 0, in the order of the session."""
    date: str
    started_ms: int
    prompt: str
    answer: str
    """Empty for a failed turn; what arrived for an interrupted or incomplete one."""
    messages: list[dict[str, str]] = field(default_factory=list)
    """What was sent and no earlier trace holds, system prompt first, as `{"role", "content"}`."""
    earlier_exchanges: int = 0
    """Exchanges that were sent before these messages and that stand in earlier traces."""
    previous_trace: str | None = None
    """The trace of the last of them; each leads to the one before."""
    state: Literal["complete", "interrupted", "incomplete", "failed", "blocked"] = "complete"
    """`blocked`: the guardrails let the prompt, or the answer, not pass."""
    error: str | None = None
    """Sentence shown to the person, without secrets."""
    error_reason: str | None = None
    """`ProviderError.reason`."""
    reasoning: str = ""
    model_version: str | None = None
    language: str | None = None
    language_confidence: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    tokens_estimated: bool = False
    """True where a count is ours (tiktoken or estimate), not the provider's."""
    cost_usd: str | None = None
    """All that was paid for the turn, failed tries included: Decimal as text; None means unknown."""
    wasted_usd: str | None = None
    """The part of it that failed tries cost; None where none did, or where it is unknown."""
    inference_time: float = 0.0
    """Seconds."""
    time_to_first_token: float | None = None
    """Seconds."""
    tries: int = 1
    waited: float = 0.0
    """Seconds spent waiting between tries."""
    finish_reason: str | None = None
    violations: list[dict[str, Any]] = field(default_factory=list)
    """What the guardrails found, masked."""

    @property
    def unanswered(self) -> bool:
        """Whether nothing of an answer is there by the call's own outcome."""
        return self.state in {"failed", "blocked"}

    @property
    def cost(self) -> Decimal | None:
        return None if self.cost_usd is None else Decimal(self.cost_usd)

    @property
    def wasted(self) -> Decimal:
        """The part of `cost` that is known to have gone to tries that brought nothing."""
        return Decimal(self.wasted_usd or 0)

    @property
    def total_tokens(self) -> int | None:
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        return (self.prompt_tokens or 0) + (self.completion_tokens or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingRecord:
    """A person's judgement of one turn."""

    trace_id: str
    value: int | bool
    """1 to 5, or True / False for `+` / `-`."""
    comment: str | None = None
    rated_ms: int = 0


def last_ratings(ratings: Iterable[RatingRecord], trace_id: str) -> dict[str, RatingRecord]:
    """Return the person's last word on a turn, one for each way of rating.

    A thumb and a grade have names of their own, because assessments are added up by name.
    """
    return {
        "thumbs_up" if isinstance(rating.value, bool) else "rating": rating
        for rating in ratings
        if rating.trace_id == trace_id
    }


def to_json(record: Any) -> dict[str, Any]:
    """Turn a record into JSON values."""
    values = asdict(record)
    if isinstance(record, SessionStart):
        values["candidate"] = record.candidate.to_record()
    return values


def from_json(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build a record from JSON values; unknown keys (of a later version) are left out."""
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    kept = {name: value for name, value in values.items() if name in known}
    if cls is SessionStart:
        kept["candidate"] = Candidate.from_record(kept["candidate"])
    return cls(**kept)
