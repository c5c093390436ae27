"""A session on its way to MLflow: what was said, and how much of it has arrived."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from llmflowlab.tracking.journal import Contents, Journal
from llmflowlab.tracking.records import RatingRecord, SessionStart, TurnRecord

__all__ = ["RecoveredSession", "Session", "Snapshot"]


@dataclass(frozen=True, slots=True)
class RecoveredSession:
    """A session that an earlier process left without an end, for a line on the screen."""

    session_id: str
    turns: int
    candidate: str
    """Model reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a session held at one instant."""

    start: SessionStart
    turns: list[TurnRecord]
    ratings: list[RatingRecord]
    ended: bool
    interrupted: bool
    """The person pressed Ctrl-C."""
    crashed: bool
    """Its process died before it could end the session."""
    unreadable: int
    ended_ms: int | None

    @property
    def end_ms(self) -> int:
        """Milliseconds since the epoch: the recorded end, else that of the last turn."""
        if self.ended_ms is not None:
            return self.ended_ms
        ends = [turn.started_ms + int(turn.inference_time * 1000) for turn in self.turns]
        return max([self.start.started_ms, *ends])


@dataclass(slots=True, eq=False)
class Session:
    """One session; filled by the chat, emptied by the delivery's thread.

    Only the delivery's thread touches the fields about delivery.
    """

    start: SessionStart
    journal: Journal
    contents: Contents = field(default_factory=Contents)
    crashed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = 0
    """Grows with every change, under `lock`."""
    delivered_version: int = -1
    """The version that is fully in MLflow and the local files."""
    run_id: str | None = None
    may_have_run: bool = False
    """Whether an earlier attempt may have made the run."""
    run_checked: bool = False
    """Whether `run_id` is known to be there and not deleted."""
    described: bool = False
    turns_stored: int = 0
    ratings_stored: int = 0
    turns_filed: int = 0
    """Turns in the local artifact file."""
    run_filed: bool = False
    """Whether those turns carry the run id."""
    indexed: tuple[str | None] | None = None
    """The run id with which the session stands in the index; None before it does."""

    @property
    def outstanding(self) -> bool:
        """Whether something of it has not arrived."""
        return self.delivered_version < self.version

    def start_over(self) -> None:
        """Deliver everything again, whatever the failed attempt wrote; repeating it does no harm."""
        self.run_checked = self.described = False
        self.turns_stored = self.ratings_stored = 0

    def snapshot(self) -> tuple[int, Snapshot]:
        """Return the version and what the session holds now."""
        with self.lock:
            contents = self.contents
            return self.version, Snapshot(
                start=self.start,
                turns=list(contents.turns),
                ratings=list(contents.ratings),
                ended=contents.ended or self.crashed,
                interrupted=contents.interrupted,
                crashed=self.crashed,
                unreadable=contents.unreadable,
                ended_ms=contents.ended_ms,
            )
