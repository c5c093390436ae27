"""`kill -9` at the worst moments: the next start loses nothing, doubles nothing, pays nothing twice."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.e2e.program import Lab
from tests.e2e.stored import Everything
from tests.loopback import Fault, LoopbackServer


def test_a_chat_killed_in_the_middle_of_an_answer_keeps_every_turn_before(
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
    assert len(connected.journals()) == 1

    ended = connected.run("chat", "--model", "guide", "--message", "What is a token?")
    assert ended.code == 0
    assert connected.journals() == []
    stored = Everything(connected.settings)
    runs = {run.info.run_name: run for run in stored.runs()}
    assert sorted(runs) == ["Chat_Guide", "Chat_OpenAI"]
    killed = runs["Chat_OpenAI"]
    assert killed.info.status == "KILLED"
    assert killed.data.tags["llmflowlab.interrupted"] == "true"
    assert killed.data.metrics["turns"] == 2
    assert len(stored.traces_of(killed)) == 2
    assert [r["prompt"] for r in connected.records("openai")] == ["first", "second"]
    assert {r["run_id"] for r in connected.records("openai")} == {killed.info.run_id}


def test_a_chat_killed_between_turns_is_found_by_the_menu(
    connected: Lab, loopback: LoopbackServer
) -> None:
    with connected.start("chat", "--model", "ollama:llama3.2") as chat:
        chat.type("only")
        chat.wait_for("tokens/s")
        chat.kill()
    with connected.start() as menu:
        menu.wait_for("What would you like to do?")
        # Any screen gives the background work time to look.
        menu.type("1", "guide", "What is a token?", "What is a p-value?", "/exit")
        menu.wait_for("Found 1 session with 1 turn that did not end properly")
        ended = menu.end()
    assert ended.code == 0, ended.err
    assert connected.journals() == []
    assert [r["prompt"] for r in connected.records("ollama")] == ["only"]
    runs = {run.info.run_name: run.info.status for run in Everything(connected.settings).runs()}
    assert runs == {"Chat_Ollama": "KILLED", "Chat_Guide": "FINISHED"}


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
            assert self._stuck.acquire(timeout=60)

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

    evaluation = _unfinished(connected)
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

    again = connected.run("evaluate", "--resume", evaluation, "--json")
    assert again.code == 0, again.err
    assert len(loopback.chats()) == ROWS + AT_ONCE
    assert again.document["candidates"][0]["scores"] == candidate["scores"]
    assert len(Everything(connected.settings).traces_of(run)) == ROWS


def _unfinished(lab: Lab) -> str:
    """Return the id of the evaluation as the menu offers it."""
    ended = lab.run(typed="2\n")
    (line,) = [line for line in ended.out.splitlines() if "Go on with" in line]
    return line.split("Go on with ")[1].split(" ")[0]
