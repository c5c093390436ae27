"""A tracking server that goes wrong in the middle of a chat, and of what is brought there later.

It refuses, sends a byte now and then, does what it was asked and never says so, closes every line: nobody
who talks waits for it, and once it is well again everything is there once.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from llmflowlab.asking.calling import WaitNotice
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.lab.arena import Arena
from llmflowlab.lab.arena_request import ArenaRequest
from llmflowlab.lab.chat_events import ChatNotice
from llmflowlab.lab.chat_session import Chat
from llmflowlab.lab.deliverer import deliver, on_the_way
from llmflowlab.lab.lab import Lab
from llmflowlab.people.answer_words import HumanVerdict, keep_verdicts, open_words
from llmflowlab.providers.base import StreamEvent
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from llmflowlab.tracking.feedback import read_feedback
from llmflowlab.tracking.store import open_store
from tests.e2e.stored import Everything
from tests.evaluation.helpers import TableModel, bench, dataset, plan
from tests.faulty_gateway import FAULTS, Fault, Gateway, gateway
from tests.lab.test_arena import Seen
from tests.loopback import closed_port
from tests.mlflow_server import mlflow_server
from tests.patience import PATIENCE
from tests.tracking.helpers import settings_for


@pytest.fixture
def gate(mlflow_home: Path) -> Iterator[Gateway]:
    port = closed_port()
    with mlflow_server(mlflow_home, port), gateway(port) as found:
        yield found


@pytest.fixture
def settings(mlflow_home: Path, gate: Gateway) -> Settings:
    home = mlflow_home / "lab"
    home.mkdir()
    return settings_for(
        home,
        MLFLOW_TRACKING_URI=gate.address,
        # A loaded machine may take long; what goes wrong here ends when it is mended.
        MLFLOW_HTTP_REQUEST_TIMEOUT="60",
        MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR="0",
    )


class Quiet:
    """A view of a chat that shows nothing."""

    def event(self, event: StreamEvent) -> None: ...

    def wait(self, notice: WaitNotice) -> None: ...

    def notice(self, notice: ChatNotice) -> None: ...

    def close(self) -> None: ...


def delivered(settings: Settings) -> bool:
    return deliver(settings, linger=0, patience=0, sleep=lambda seconds: None)


def delivered_through(settings: Settings, gate: Gateway, fault: Fault, *, after: int) -> None:
    """Have all delivered while the server goes wrong, and then once more."""
    gate.break_down(fault, after=after)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(delivered, settings)
        assert gate.struck.wait(PATIENCE)
        if fault == "trickles":
            # Its deadline would end it as well, much later.
            gate.mend()
        first.result(PATIENCE)
    gate.mend()
    assert delivered(settings)
    assert on_the_way(settings) is None


def test_a_chat_goes_on_and_each_turn_arrives_once(settings: Settings, gate: Gateway) -> None:
    asked = []
    for after, fault in enumerate(FAULTS, 3):
        provider = ScriptedProvider(["one", "two", "three"], settings=settings)
        lab = Lab(settings, build=lambda reference: provider)  # noqa: B023 - of this round
        talk = Chat(lab, provider)
        gate.break_down(fault, after=after)
        asked += [f"{fault}, {number}" for number in (1, 2, 3)]
        assert talk.ask(asked[-3], Quiet()).error is None
        assert gate.struck.wait(PATIENCE)
        # Whatever MLflow does meanwhile.
        assert talk.ask(asked[-2], Quiet()).error is None
        gate.mend()
        assert talk.ask(asked[-1], Quiet()).error is None
        talk.close()
        # What failed when it was tried last is tried again.
        assert any(lab.delivery.wait(PATIENCE) for _ in range(5))
        assert len(lab.take_notices()) <= 1
        lab.delivery.stop()
    stored = Everything(settings)
    assert sorted(trace.info.request_preview for trace in stored.traces()) == sorted(asked)
    assert [run.info.status for run in stored.runs()] == ["FINISHED"] * len(FAULTS)
    assert on_the_way(settings) is None


def test_an_arena_arrives_once_with_its_votes(settings: Settings, gate: Gateway) -> None:
    for after, fault in enumerate(FAULTS, 2):
        models = [ScriptedProvider(default=m, model=m, settings=settings) for m in ("a", "b")]
        known = {model.reference: model for model in models}
        lab = Lab(settings, build=known.__getitem__)
        with closing(Arena(lab, ArenaRequest(models=[*known], person="Ann"))) as held:
            held.vote(held.fight(fault, Seen()), "left")
        delivered_through(settings, gate, fault, after=after)
    stored = Everything(settings)
    runs = stored.arenas()
    assert [run.info.status for run in runs] == ["FINISHED"] * len(FAULTS)
    for run in runs:
        assert run.data.metrics["votes"] == 1
        traces = stored.traces_of(run)
        assert sorted(a.value for t in traces for a in t.info.assessments) == ["lost", "won"]
        assert len(traces) == 2


def test_what_people_said_arrives_once(settings: Settings, gate: Gateway, tmp_path: Path) -> None:
    rows = dataset(tmp_path, "question,answer\nWhat?,this\n", "one.csv")
    asked = plan(rows, scorers=("exact_match",))
    lab = Lab(settings)
    with closing(lab.ledger()) as ledger:
        resources = bench(settings, [TableModel("m", settings, {})], ledger, tmp_path)
        assert run_evaluation(asked, resources).problems == ()
    trace = asked.trace_id(Cell(0, 0))
    for fault in FAULTS:
        verdict = HumanVerdict(cell=Cell(0, 0), person=fault, said="yes", comment="")
        with closing(open_words(settings)) as words:
            keep_verdicts(words, asked.evaluation_id, [verdict])
        delivered_through(settings, gate, fault, after=1)
    found = read_feedback(open_store(settings), [trace])
    assert sorted(each.person for each in found) == sorted(FAULTS)
