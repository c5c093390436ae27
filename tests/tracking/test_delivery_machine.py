"""Sessions on their way to two places, whatever fails, is killed or deleted: all arrives, and once."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llmflowlab.errors import TrackingError
from llmflowlab.tracking import cursors
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.journal import read_journal
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.sinks import local_files
from llmflowlab.tracking.sinks.local_files import FilesSink, artifacts_path
from llmflowlab.tracking.store_errors import StoreBusy, StoreUnreachable
from tests.tracking.helpers import BEGIN_MS, settings_for, start, turn
from tests.tracking.test_journal_machine import room_for


class Killed(BaseException):
    """Stands for `kill -9`: nothing after it happens, nothing is cleaned up."""


class Far:
    """A store elsewhere: it may be away, busy, fail or see its client die, at every step."""

    name, place, local = "far", "http://far", False

    def __init__(self) -> None:
        self.runs: dict[str, str] = {}
        """Run ids by session."""
        self.turns: Counter[str] = Counter()
        self.closed: set[str] = set()
        self.removed: set[str] = set()
        self.troubles: list[BaseException | None] = []
        """What becomes of the next steps."""

    def _step(self) -> None:
        if self.troubles and (trouble := self.troubles.pop(0)) is not None:
            raise trouble

    def prepare(self) -> None:
        """Nothing takes long."""

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor | None:
        self._step()
        id_ = session.start.session_id
        if id_ in self.removed:
            return None
        run = self.runs.setdefault(id_, f"run-{len(self.runs)}")
        self._step()
        return replace(at, run_id=run)

    def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        for one in session.turns[at.turns :]:
            self._step()
            # Traces are known by their ids.
            self.turns[one.trace_id] = 1
        return replace(at, turns=len(session.turns), ratings=len(session.ratings))

    def close(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        self._step()
        assert all(self.turns[one.trace_id] for one in session.turns)
        self.closed.add(session.start.session_id)
        self._step()
        return replace(at, closed=True)


TROUBLES = st.sampled_from(
    [
        None,
        StoreUnreachable("away"),
        StoreBusy("busy"),
        OSError("broken"),
        TrackingError("HTTP 500"),
        Killed(),
    ]
)


class DeliveryMachine(RuleBasedStateMachine):
    """One program after another talks and delivers; each may be killed anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.settings = settings_for(Path(self.folder.name))
        self.far = Far()
        self.acknowledged: dict[str, str] = {}
        """Turns that the disk was said to have, with their sessions."""
        self.sessions = 0
        self.delivery = self._delivery()
        self.recorder: ChatRecorder | None = None

    def _delivery(self) -> Delivery:
        files = FilesSink(self.settings, on_notice=lambda text: None)
        made = Delivery(self.settings, sinks=[files, self.far])
        made.look()
        return made

    def teardown(self) -> None:
        """Once everything is well again, everything arrives."""
        self.far.troubles.clear()
        self._die()
        for _ in range(3):
            self.delivery.deliver_once()
        assert self.delivery.pending() == 0
        assert not list(self.settings.journals_dir.glob("*"))
        self.nothing_acknowledged_is_nowhere()
        assert self.far.closed >= set(self.far.runs) - self.far.removed
        self.delivery.stop()
        self.folder.cleanup()

    def _in_files(self) -> Counter[str]:
        path = artifacts_path(self.settings, "gemini")
        records = json.loads(path.read_bytes()) if path.exists() else []
        return Counter(record["trace_id"] for record in records)

    # What a person does

    @rule(earlier=st.booleans(), room=st.none() | st.integers(0, 2500))
    def talk(self, earlier: bool, room: int | None) -> None:
        """Say something; the clock may have gone back since, and the disk be full."""
        if self.recorder is None:
            self.sessions += 1
            at = BEGIN_MS - self.sessions * 1000 if earlier else BEGIN_MS + self.sessions
            self.start = start(started_ms=at)
            self.recorder = ChatRecorder(self.settings, self.start, lambda: self.delivery)
            self.said: list[str] = []
        one = turn(len(self.said), started_ms=BEGIN_MS - 5000 if earlier else BEGIN_MS)
        self.said.append(one.trace_id)
        with suppress(TrackingError), nullcontext() if room is None else room_for(room):
            self.recorder.record_turn(one)
            # Lines come in their order: what could not be written before is on the disk as well.
            self.acknowledged |= dict.fromkeys(self.said, self.start.session_id)

    @precondition(lambda self: self.recorder is not None)
    @rule()
    def leave(self) -> None:
        assert self.recorder is not None
        # Nobody waits for threads here: there are none.
        with mock.patch.object(self.delivery, "wait_for_files"):
            self.recorder.close()
        self.recorder = None

    @rule()
    def somebody_removes_a_run(self) -> None:
        live = {self.start.session_id} if self.recorder else set()
        left = sorted(set(self.far.runs) - self.far.removed - live)
        if left:
            self.far.removed.add(left[0])

    # What programs do

    @rule(troubles=st.lists(TROUBLES, max_size=8))
    def deliver(self, troubles: list[BaseException | None]) -> None:
        self.far.troubles = list(troubles)
        try:
            self.delivery.deliver_once()
        except Killed:
            self._die()

    @rule()
    def deliver_on_a_full_disk(self) -> None:
        """Neither the files beside MLflow nor the cursors can be written."""
        self.far.troubles.clear()
        full = OSError(28, "No space left on device")
        with (
            mock.patch.object(local_files, "write_atomically", side_effect=full),
            mock.patch.object(cursors, "write_atomically", side_effect=full),
        ):
            self.delivery.deliver_once()

    @rule()
    def kill(self) -> None:
        self._die()

    def _die(self) -> None:
        """The system lets a dead process's locks go, and the next program looks for what it left."""
        for session in self.delivery._outbox.sessions():
            session.journal.release()
        if self.recorder is not None:
            self.recorder._session.journal.release()
            self.recorder = None
        self.delivery = self._delivery()

    @rule()
    def a_second_program_looks(self) -> None:
        """It gets nothing that somebody holds, and delivers nothing twice."""
        second = self._delivery()
        assert second.pending() == 0
        second.stop()

    @rule(torn=st.booleans())
    def the_cursors_are_lost(self, torn: bool) -> None:
        for path in self.settings.journals_dir.glob("*.cursors"):
            if torn:
                path.write_bytes(path.read_bytes()[:-7])
            else:
                path.unlink()

    @invariant()
    def nothing_acknowledged_is_nowhere(self) -> None:
        journals = self.settings.journals_dir.glob("chat-*.jsonl")
        on_disk = {one.trace_id for path in journals for one in read_journal(path).turns}
        files = self._in_files()
        assert max(files.values(), default=1) == 1
        for id_, session in self.acknowledged.items():
            if id_ not in on_disk:
                assert files[id_] == 1
                assert self.far.turns[id_] == 1 or session in self.far.removed


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
