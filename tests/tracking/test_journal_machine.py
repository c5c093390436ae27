"""A chat's journal in any order of turns, full disks, deletions and kills: what was acknowledged is there."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from llmflowlab.tracking.journal import Journal, read_journal
from llmflowlab.tracking.records import TurnRecord
from tests.tracking.helpers import rating, start, turn


@contextmanager
def room_for(count: int, sync: bool = True) -> Iterator[None]:
    """Have the disk take so many bytes more, and fail as a full one does."""
    real, left = os.write, count

    def write(descriptor: int, data: bytes) -> int:
        nonlocal left
        if left <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = real(descriptor, bytes(data)[:left])
        left -= written
        return written

    def fsync(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with mock.patch.object(os, "write", write):
        if sync:
            yield
        else:
            with mock.patch.object(os, "fsync", fsync):
                yield


class JournalMachine(RuleBasedStateMachine):
    """One journal after another, each until its process is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.number = 0
        self.begin()

    def begin(self) -> None:
        self.number += 1
        self.journal = Journal(Path(self.folder.name) / "journals" / f"chat-{self.number}.jsonl")
        assert self.journal.acquire()
        self.given: list[TurnRecord] = []
        """Turns in the order they were written."""
        self.kept = 0
        """How many of them the disk is known to have."""
        self.rated = 0
        self.there = False
        self.journal.stage("start", start())

    def teardown(self) -> None:
        self.journal.release()
        self.folder.cleanup()

    def _new_turn(self) -> TurnRecord:
        self.given.append(turn(len(self.given), answer="Zürich 日本\n" * (len(self.given) % 3)))
        return self.given[-1]

    def _all_kept(self) -> None:
        self.kept, self.there = len(self.given), True

    @rule(measured=st.booleans())
    def talk(self, measured: bool) -> None:
        one = self._new_turn()
        self.journal.append("answered", one)
        if measured:
            self.journal.append("turn", one)
        self._all_kept()

    @rule()
    def rate(self) -> None:
        if self.given:
            self.rated += 1
            self.journal.append("rating", rating(self.given[-1]))
            self._all_kept()

    @rule(room=st.integers(0, 2000), sync=st.booleans())
    def talk_on_a_full_disk(self, room: int, sync: bool) -> None:
        one = self._new_turn()
        with room_for(room, sync):
            try:
                self.journal.append("turn", one)
            except OSError:
                self.there = self.there or self.journal.path.exists()
            else:
                self._all_kept()

    @rule()
    def somebody_removes_it(self) -> None:
        """What memory still holds is written again with the next turn."""
        self.journal.path.unlink(missing_ok=True)
        self.kept, self.there = 0, False

    @rule()
    def a_second_program_looks(self) -> None:
        assert not Journal(self.journal.path).acquire()

    @rule(room=st.integers(0, 3000))
    def kill(self, room: int) -> None:
        """In the middle of a write: of what is under way, so many bytes are on the disk."""
        one = self._new_turn()
        with room_for(room):
            try:
                self.journal.append("turn", one)
            except OSError:
                self.there = self.there or self.journal.path.exists()
            else:
                self._all_kept()
        # The system lets a dead process's locks go.
        self.journal.release()
        found = Journal(self.journal.path)
        assert found.acquire()
        self.what_was_acknowledged_is_there_once()
        found.delete()
        assert not list(self.journal.path.parent.iterdir())
        self.begin()

    @invariant()
    def what_was_acknowledged_is_there_once(self) -> None:
        if not self.there:
            return
        contents = read_journal(self.journal.path)
        assert contents.unreadable == 0
        assert len(contents.turns) >= self.kept
        assert contents.turns == self.given[: len(contents.turns)]
        assert not contents.turns or contents.start is not None
        assert self.journal.unsaved or len(contents.ratings) == self.rated


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
