"""The journal of an arena: every answer is on disk before a vote on it counts, until MLflow has it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from llmflowlab.candidate import Candidate
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.lab.arenas_left import arena_journal_path
from llmflowlab.settings import Settings
from llmflowlab.tracking.journal import Journal

__all__ = [
    "ArenaAnswer",
    "ArenaContents",
    "ArenaJournal",
    "ArenaStart",
    "read_arena",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaStart:
    """What an arena is; the first line of its journal."""

    arena: str
    """Its id."""
    candidates: tuple[Candidate, ...]
    person: str
    pairing: str
    data: str | None
    """Name of the file that prompts are drawn from; None where they are typed."""
    budget_usd: str | None
    started_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaAnswer:
    """One side of a battle."""

    battle: int
    """From 1."""
    candidate: int
    trace_id: str
    prompt: str
    category: str | None
    messages: Sequence[Mapping[str, Any]]
    """What was sent, as OpenAI writes it."""
    answer: AnswerRecord


@dataclass(slots=True, kw_only=True)
class ArenaContents:
    """What a journal holds, however its process ended."""

    start: ArenaStart
    answers: list[ArenaAnswer] = field(default_factory=list)
    ended: bool = False
    ended_ms: int

    @classmethod
    def of(cls, start: ArenaStart) -> Self:
        return cls(start=start, ended_ms=start.started_ms)


class ArenaJournal:
    """Writes the journal of one arena, which begins with its first answer.

    Args:
        settings: Names the home.
        start: The arena.
    """

    def __init__(self, settings: Settings, start: ArenaStart) -> None:
        self._start = start
        self._journal = Journal(arena_journal_path(settings, start.arena))
        self._begun = False

    def write(self, answer: ArenaAnswer) -> None:
        """Bring an answer to the disk before returning.

        Raises:
            TrackingError: The disk did not take it.
        """
        try:
            if not self._begun:
                self._begun = self._journal.acquire()
                self._journal.stage("start", asdict(self._start))
            self._journal.append("answer", {**asdict(answer), "answer": answer.answer.to_json()})
        except OSError as exc:
            raise TrackingError(
                f"The answers could not be written to {self._journal.path.parent} "
                f"({exc.strerror or exc}), so the battle does not count; make room there."
            ) from exc

    def close(self) -> bool:
        """End the arena; returns whether there is anything to deliver."""
        if self._begun:
            # Without its last line it ends with its last answer.
            with suppress(OSError):
                self._journal.append("end", {"ended_ms": int(time.time() * 1000)})
            self._journal.release()
        return self._begun


def read_arena(path: Path) -> ArenaContents | None:
    """Read a journal; a torn last line is passed over. None where it holds no arena.

    Raises:
        OSError: The file cannot be read.
    """
    contents: ArenaContents | None = None
    for line in path.read_bytes().split(b"\n")[:-1]:
        # What a disk damaged costs its own line.
        with suppress(ValueError, TypeError, KeyError):
            values = json.loads(line)
            if values["kind"] == "start":
                contents = ArenaContents.of(_start(values))
            elif contents is not None and values["kind"] == "answer":
                answer = AnswerRecord.from_json(values["answer"])
                contents.answers.append(
                    ArenaAnswer(**{**_known(ArenaAnswer, values), "answer": answer})
                )
                took = int(1000 * (answer.took or 0.0))
                contents.ended_ms = max(contents.ended_ms, answer.started_ms + took)
            elif contents is not None and values["kind"] == "end":
                contents.ended = True
                contents.ended_ms = max(contents.ended_ms, int(values["ended_ms"]))
    return contents


def _start(values: Mapping[str, Any]) -> ArenaStart:
    candidates = tuple(map(Candidate.from_json, values["candidates"]))
    return ArenaStart(**{**_known(ArenaStart, values), "candidates": candidates})


def _known(kind: type[ArenaStart | ArenaAnswer], values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a later version wrote beside it."""
    names = {each.name for each in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
