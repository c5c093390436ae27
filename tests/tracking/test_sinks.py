"""Each sink is delivered to at its own speed, and goes on where it was."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.settings import Settings
from llmflowlab.tracking.chat_recorder import ChatRecorder
from llmflowlab.tracking.cursors import Cursor
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.journal import Journal, journal_path
from llmflowlab.tracking.session_index import SessionIndex
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.sinks.base import Sink
from llmflowlab.tracking.sinks.local_files import FilesSink
from llmflowlab.tracking.sinks.mlflow import MlflowSink
from llmflowlab.tracking.sinks.sink_table import SINKS, Wiring, make_sinks
from llmflowlab.tracking.store_errors import StoreUnreachable
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import Stored, rating, record, settings_for, start, turn

ROOT = Path(__file__).parents[2]


class ListSink:
    """A third sink, which keeps what it is given."""

    name = "list"
    place = "the list"
    local = False

    def __init__(self) -> None:
        self.down = False
        self.turns: list[str] = []
        self.ratings = 0
        self.closed: list[str] = []

    def prepare(self) -> None:
        pass

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        if self.down:
            raise StoreUnreachable("The list does not answer.")
        return at

    def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        self.turns += [one.trace_id for one in session.turns[at.turns :]]
        self.ratings += len(session.ratings[at.ratings :])
        return replace(at, turns=len(session.turns), ratings=len(session.ratings))

    def close(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        self.closed.append(session.start.session_id)
        return replace(at, closed=True)


class HeldSink(ListSink):
    """One that hangs in its first request until it is released."""

    name = "held"

    def __init__(self) -> None:
        super().__init__()
        self.release = threading.Event()

    def open(self, session: SessionSnapshot, at: Cursor) -> Cursor:
        self.release.wait(PATIENCE)
        return super().open(session, at)


@pytest.fixture
def held() -> Iterator[HeldSink]:
    sink = HeldSink()
    yield sink
    sink.release.set()


def files(settings: Settings) -> FilesSink:
    return FilesSink(settings, on_notice=lambda sentence: None)


def local_turns(settings: Settings) -> list[str]:
    text = (settings.artifacts_dir / "gemini_artifacts.json").read_text(encoding="utf-8")
    return [found["trace_id"] for found in json.loads(text)]


def info(settings: Settings) -> dict[str, int]:
    text = (settings.info_dir / "gemini_info.json").read_text(encoding="utf-8")
    values: dict[str, int] = json.loads(text)
    return values


def test_the_files_are_whole_when_a_session_is_closed_though_mlflow_hangs(
    settings: Settings, held: HeldSink
) -> None:
    delivery = Delivery(settings, sinks=[files(settings), held])
    delivery.start()
    turns = [turn(0), turn(1)]
    record(settings, delivery, *turns)
    assert local_turns(settings) == [one.trace_id for one in turns]
    assert info(settings)["sessions"] == 1
    assert len(SessionIndex(settings).load().sessions) == 1
    assert delivery.pending() == 1
    assert held.turns == []
    held.release.set()
    assert delivery.wait(PATIENCE)
    assert held.turns == [one.trace_id for one in turns]
    delivery.stop()


def test_the_files_are_whole_when_a_session_is_closed_though_mlflow_is_away(
    settings: Settings,
) -> None:
    away = settings_for(settings.home, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    delivery = Delivery(away)
    delivery.start()
    record(away, delivery, turn(0))
    assert len(local_turns(away)) == 1
    assert info(away)["sessions"] == 1
    assert not delivery.wait(PATIENCE)
    assert delivery.pending() == 1
    delivery.stop()


def test_a_sink_that_is_down_holds_no_other_up_and_says_so_for_itself(
    lab: Settings, notices: list[str]
) -> None:
    down = ListSink()
    down.down = True
    mlflow = MlflowSink(lab)
    delivery = Delivery(lab, on_notice=notices.append, sinks=[files(lab), down, mlflow])
    delivery.start()
    session = record(lab, delivery, turn(0))
    assert not delivery.wait(PATIENCE)
    assert Stored(lab).run().info.status == "FINISHED"
    run_id = Stored(lab).run().info.run_id
    (indexed,) = SessionIndex(lab).load().sessions
    assert indexed.run_id == run_id
    assert notices == [
        f"The list does not answer; the session is kept in {lab.journals_dir} and delivered later."
    ]
    assert delivery.pending() == 1
    down.down = False
    assert delivery.wait(PATIENCE)
    assert down.closed == [session.session_id]
    assert list(lab.journals_dir.iterdir()) == []
    delivery.stop()


def test_a_session_that_the_disk_did_not_take_is_not_said_to_be_kept(
    settings: Settings, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    down = ListSink()
    down.down = True
    delivery = Delivery(settings, on_notice=notices.append, sinks=[down])
    recorder = ChatRecorder(settings, start(), lambda: delivery)
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "flush", full)
        with pytest.raises(TrackingError, match="kept in memory"):
            recorder.record_turn(turn(0))
        delivery.deliver_once()
    assert notices == [
        f"The list does not answer; {settings.journals_dir} does not take the session either: it is in "
        "memory alone. Make room there before you leave the lab."
    ]
    assert delivery.unsaved() == 1
    recorder.record_turn(turn(1))
    assert delivery.unsaved() == 0
    delivery.stop()


def full(journal: Journal) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_after_a_kill_each_sink_goes_on_where_it_was(settings: Settings) -> None:
    one, other = ListSink(), HeldSink()
    other.down = True
    other.release.set()
    killed = Delivery(settings, sinks=[files(settings), one, other])
    turns = [turn(0), turn(1)]
    recorder = ChatRecorder(settings, start(), lambda: killed)
    recorder.record_turn(turns[0])
    recorder.record_rating(rating(turns[0]))
    killed.deliver_once()
    recorder.record_turn(turns[1])
    killed._outbox.sessions()[0].journal.release()
    assert (one.turns, other.turns) == ([turns[0].trace_id], [])

    other.down = False
    later = Delivery(settings, sinks=[files(settings), one, other])
    later.start()
    assert later.wait(PATIENCE)
    assert [found.turns for found in later.recovered] == [2]
    assert one.turns == other.turns == [each.trace_id for each in turns]
    assert (one.ratings, other.ratings) == (1, 1)
    assert len(one.closed) == len(other.closed) == 1
    assert local_turns(settings) == [each.trace_id for each in turns]
    assert list(settings.journals_dir.iterdir()) == []
    later.stop()


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b'{"list": {"turns": 1', id="torn"),
        pytest.param(b'{"list": {"turns": "x", "ratings": 0}}', id="no-count"),
        pytest.param(b"[1]", id="no-object"),
    ],
)
def test_cursors_that_cannot_be_read_cost_a_repetition_only(
    settings: Settings, kept: bytes
) -> None:
    session = start()
    journal = Journal(journal_path(settings.journals_dir, session.session_id))
    assert journal.acquire()
    journal.append("start", session)
    journal.append("turn", turn(0))
    journal.release()
    journal.path.with_name(journal.path.name + ".cursors").write_bytes(kept)
    sink = ListSink()
    delivery = Delivery(settings, sinks=[files(settings), sink])
    delivery.start()
    assert delivery.wait(PATIENCE)
    assert len(sink.turns) == len(local_turns(settings)) == 1
    delivery.stop()


_JOURNAL_OF_0_1_0 = (
    '{"kind": "start", "session_id": "5e55", "candidate": {"provider": "gemini", "model_name": '
    '"Gemini", "supplier": "Google", "model_id": "gemini-2.5-flash", "system_prompt": null, '
    '"prompt_version": null, "temperature": null, "top_p": null, "max_tokens": null, "seed": null}, '
    '"started": "2026-11-20 10:00:00", "started_ms": 1760000000000, "continues": null}\n'
    '{"kind": "turn", "trace_id": "tr-0123456789abcdef0123456789abcdef", "index": 0, "date": '
    '"2026-11-20 10:00:00", "started_ms": 1760000000000, "prompt": "Hi", "answer": "Hello", '
    '"messages": [{"role": "user", "content": "Hi"}], "state": "complete", "error": null, '
    '"error_reason": null, "reasoning": "", "model_version": null, "language": null, '
    '"language_confidence": null, "prompt_tokens": 1, "completion_tokens": 2, "cached_tokens": null, '
    '"reasoning_tokens": null, "tokens_estimated": false, "cost_usd": "0.1", "inference_time": 1.0, '
    '"time_to_first_token": 0.5, "tries": 1, "waited": 0.0, "finish_reason": "stop"}\n'
    '{"kind": "rating", "trace_id": "tr-0123456789abcdef0123456789abcdef", "value": true, '
    '"comment": null, "rated_ms": 1760000000000}\n'
    '{"kind": "end", "interrupted": false, "ended_ms": 1760000009000}\n'
)


def test_a_journal_of_0_1_0_is_delivered(lab: Settings, deliver: MakeDelivery) -> None:
    lab.journals_dir.mkdir(parents=True)
    (lab.journals_dir / "chat-5e55.jsonl").write_text(_JOURNAL_OF_0_1_0, encoding="utf-8")
    assert deliver().wait(PATIENCE)
    run = Stored(lab).run()
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1760000009000)
    assert run.data.metrics["total_tokens"] == 3
    (trace,) = Stored(lab).traces()
    assert [found.name for found in trace.info.assessments] == ["thumbs_up"]
    assert local_turns(lab) == ["tr-0123456789abcdef0123456789abcdef"]
    assert list(lab.journals_dir.iterdir()) == []


def test_cursors_whose_journal_0_1_0_delivered_are_cleared_away(settings: Settings) -> None:
    settings.journals_dir.mkdir(parents=True)
    (settings.journals_dir / "chat-a.jsonl.cursors").write_bytes(b"{}")
    delivery = Delivery(settings, sinks=[ListSink()])
    delivery.start()
    assert delivery.wait(60)
    assert list(settings.journals_dir.iterdir()) == []
    delivery.stop()


def test_a_disk_too_full_for_cursors_holds_nothing_up(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, data: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("llmflowlab.tracking.cursors.write_atomically", full)
    sink = ListSink()
    delivery = Delivery(settings, sinks=[sink])
    record(settings, delivery, turn(0))
    delivery.deliver_once()
    assert len(sink.closed) == 1
    assert delivery.pending() == 0


def test_one_session_that_a_sink_refuses_does_not_hold_up_the_next(
    settings: Settings, notices: list[str]
) -> None:
    class Choosy(ListSink):
        def write(self, session: SessionSnapshot, at: Cursor) -> Cursor:
            if session.turns[0].prompt == "bad":
                raise ValueError("not this one")
            return super().write(session, at)

    sink = Choosy()
    delivery = Delivery(settings, on_notice=notices.append, sinks=[sink])
    bad = record(settings, delivery, turn(0, prompt="bad"))
    good = record(settings, delivery, turn(0))
    delivery.deliver_once()
    assert sink.closed == [good.session_id]
    assert len(notices) == 1
    assert "ValueError" in notices[0]
    assert bad.session_id in notices[0]
    delivery.stop()


def test_every_sink_of_the_table_keeps_the_protocol(settings: Settings) -> None:
    every = replace(settings, trackers=("mlflow", "wandb"))
    wiring = Wiring(settings=every, package=None, on_notice=print)
    sinks: list[Sink] = make_sinks(wiring)
    assert [sink.name for sink in sinks] == list(SINKS)
    assert all(sink.place for sink in sinks)
    # The ends of session and program wait for what is local: the files first, never MLflow.
    local = {sink.name: sink.local for sink in sinks}
    assert (next(iter(local)), local["files"], local["mlflow"]) == ("files", True, False)


def test_the_files_alone_need_no_mlflow(settings: Settings) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from llmflowlab.tracking.delivery import Delivery\n"
        "from llmflowlab.tracking.sinks.local_files import FilesSink\n"
        "from tests.tracking.helpers import record, settings_for, turn\n"
        "settings = settings_for(Path(sys.argv[1]))\n"
        "delivery = Delivery(settings, sinks=[FilesSink(settings, on_notice=print)])\n"
        "delivery.start()\n"
        "record(settings, delivery, turn(0))\n"
        "delivery.stop()\n"
        "print('mlflow' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(settings.home)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"
    assert len(local_turns(settings)) == 1
    assert list(settings.journals_dir.iterdir()) == []
