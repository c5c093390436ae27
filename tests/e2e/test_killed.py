"""`kill -9` at the worst moments: the next start loses nothing, doubles nothing, pays nothing twice."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import pytest

from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE


def test_chats_killed_in_an_answer_and_between_turns_are_found_by_the_menu(
    connected: Lab, loopback: LoopbackServer
) -> None:
    loopback.scenario.answer = lambda question: f"Yes: {question}"
    with connected.start("chat", "--model", "openai:gpt-4.1-mini") as chat:
        chat.type("first", "second")
        chat.wait_for("tokens/s", times=2)
        loopback.fail(Fault("hang", after=1))
        chat.type("third")
        chat.wait_for("Yes:", times=3)
        chat.kill()
    with connected.start("chat", "--model", "ollama:llama3.2") as chat:
        chat.type("only")
        chat.wait_for("tokens/s")
        chat.kill()
    assert connected.journals() != []

    with connected.start() as menu:
        menu.wait_for("What would you like to do?")
        # What is found is said at the next prompt; the menu need not wait for it.
        menu.type("1", "guide")
        menu.wait_for("Talking with guide:docs")
        for number in range(1, 100):
            menu.type("What is a token?")
            menu.wait_for("From: ", times=number)
            menu.wait_for("tokens/s", times=number)
            if "did not end properly" in menu.err:
                break
        ended = menu.end()
    assert ended.code == 0, ended.err
    connected.wait_for_delivery()
    stored = Everything(connected.settings)
    for name, provider, prompts in (
        ("Chat_OpenAI", "openai", ["first", "second"]),
        ("Chat_Ollama", "ollama", ["only"]),
    ):
        (run,) = [run for run in stored.runs() if run.info.run_name == name]
        assert run.info.status == "KILLED"
        assert run.data.tags["llmflowlab.interrupted"] == "true"
        assert run.data.metrics["turns"] == len(prompts)
        assert len(stored.traces_of(run)) == len(prompts)
        records = connected.records(provider)
        assert [record["prompt"] for record in records] == prompts
        assert {record["run_id"] for record in records} == {run.info.run_id}
    assert len(stored.runs()) == 3


ROWS = 12
AT_ONCE = 2


@pytest.fixture
def twelve(connected: Lab) -> Path:
    file = connected.home / "twelve.csv"
    rows = "".join(f"Question number {n}?,answer {n}\n" for n in range(ROWS))
    file.write_text("question,expected\n" + rows, encoding="utf-8")
    return file


class Answers:
    """Knows the answers, and keeps whoever asks for more than a few of them waiting."""

    def __init__(self, few: int) -> None:
        self._left = few
        self._guard = threading.Lock()
        self._stuck = threading.Semaphore(0)
        self._released = threading.Event()

    def __call__(self, question: str) -> str:
        with self._guard:
            self._left -= 1
            wait = self._left < 0
        if wait and not self._released.is_set():
            self._stuck.release()
            self._released.wait()
        return question.removeprefix("Question number ").removesuffix("?").join(("answer ", ""))

    def wait_until_stuck(self) -> None:
        for _ in range(AT_ONCE):
            assert self._stuck.acquire(timeout=PATIENCE)

    def release(self) -> None:
        self._released.set()


def test_an_evaluation_killed_in_the_middle_is_resumed_without_paying_twice(
    connected: Lab, loopback: LoopbackServer, twelve: Path
) -> None:
    answers = Answers(few=5)
    loopback.scenario.answer = answers
    with connected.start(
        *("evaluate", "--model", "openai:gpt-4.1-mini", "--data", str(twelve)),
        *("--concurrency", str(AT_ONCE)),
    ) as running:
        answers.wait_until_stuck()
        running.kill()
    answers.release()
    assert len(loopback.chats()) == 5 + AT_ONCE

    evaluation = connected.unfinished()
    ended = connected.run("evaluate", "--resume", evaluation, "--json")
    assert ended.code == 0, ended.err
    (candidate,) = ended.document["candidates"]
    assert candidate["answered"] == ROWS
    assert candidate["scores"]["exact_match"]["mean"] == 1.0
    # What was in flight when it died had to be asked again; nothing else was.
    assert len(loopback.chats()) == ROWS + AT_ONCE
    asked = {request.body["messages"][-1]["content"] for request in loopback.chats()}
    assert len(asked) == ROWS

    stored = Everything(connected.settings)
    (run,) = stored.evaluations()
    assert run.info.status == "FINISHED"
    assert run.info.run_id == candidate["run_id"]
    assert len(stored.traces_of(run)) == ROWS


def test_ctrl_c_finishes_what_is_in_flight_and_records_it(
    connected: Lab, loopback: LoopbackServer, twelve: Path
) -> None:
    answers = Answers(few=5)
    loopback.scenario.answer = answers
    with connected.start(
        *("evaluate", "--model", "openai:gpt-4.1-mini", "--data", str(twelve), "--json"),
        *("--concurrency", str(AT_ONCE)),
    ) as running:
        answers.wait_until_stuck()
        running.process.send_signal(signal.SIGINT)
        running.wait_for("stopping: waiting for answers in flight")
        answers.release()
        ended = running.end()
    assert ended.code == 130
    (candidate,) = ended.document["candidates"]
    asked = [request.body["messages"][-1]["content"] for request in loopback.chats()]
    assert candidate["answered"] == len(asked) == 5 + AT_ONCE, (asked, candidate, ended.err)
    assert candidate["failed"] == {"not_reached": ROWS - 5 - AT_ONCE}
    stored = Everything(connected.settings)
    (run,) = stored.evaluations()
    assert run.data.tags["llmflowlab.interrupted"] == "true"
    assert len(stored.traces_of(run)) == 5 + AT_ONCE
