"""Everything that can go wrong on the wire, met in one chat, and how commands end where it does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, cast

import pytest

from tests.e2e.program import Ended, Lab, Running
from tests.e2e.stored import Everything
from tests.loopback import Fault, LoopbackServer, WireName

State = Literal["complete", "incomplete", "failed"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A fault, what is said of it, and what becomes of the answer."""

    model: str
    fault: Fault
    said: str
    state: State


TROUBLES = (
    Trouble(
        "gemini:gemini-2.5-flash",
        Fault("rate_limited", wait=0.2),
        "Gemini allows no more requests for the moment (429); trying again in 0.",
        "complete",
    ),
    Trouble(
        "gemini:gemini-2.5-flash",
        Fault("blocked_prompt"),
        "Gemini's filter refused the prompt (PROHIBITED_CONTENT); put it differently.",
        "failed",
    ),
    Trouble(
        "ollama:llama3.2",
        Fault("reset"),
        "Ollama cannot be reached; trying again in 0.",
        "complete",
    ),
    Trouble(
        "ollama:llama3.2",
        Fault("unknown_model"),
        "Ollama has no model 'llama3.2'; run `ollama pull llama3.2`.",
        "failed",
    ),
    Trouble(
        "anthropic:claude-haiku-4-5",
        Fault("hang"),
        "Claude did not answer in time; trying again in 0.",
        "complete",
    ),
    Trouble(
        "azure:gpt-4.1-mini",
        Fault("drop", after=2),
        "The line to Azure broke in the middle of the answer.",
        "incomplete",
    ),
    Trouble(
        "openai:gpt-4.1-mini",
        Fault("overloaded"),
        "OpenAI is busy (503); trying again in 0.",
        "complete",
    ),
    Trouble(
        "openai:gpt-4.1-mini",
        Fault("hang", after=2),
        "The answer broke off: OpenAI sent nothing more for 3 s",
        "incomplete",
    ),
    Trouble(
        "openai:gpt-4.1-mini",
        Fault("malformed"),
        "OpenAI sent something that cannot be read as an answer",
        "failed",
    ),
    Trouble("openai:gpt-4.1-mini", Fault("wrong_key"), "OpenAI refused the key", "failed"),
)


class Chat:
    """A chat that meets one trouble after the other; begun with the guide, whom nothing befalls."""

    def __init__(self, menu: Running, loopback: LoopbackServer) -> None:
        self.menu, self.loopback = menu, loopback
        self.model, self.prompts = "guide", 1
        menu.type("1", self.model)

    def ask(self, number: int, trouble: Trouble) -> None:
        if trouble.model != self.model:
            self.model = trouble.model
            self.menu.type(f"/model {self.model}")
            self.prompts += 1
        wire = cast("WireName", self.model.partition(":")[0])
        self.loopback.fail(replace(trouble.fault, wire=wire))
        self.menu.type(f"Prompt {number}")

    def wait(self, trouble: Trouble) -> None:
        self.menu.wait_for(trouble.said)
        self.prompts += 1
        self.menu.wait_for("You: ", times=self.prompts)

    def end(self) -> Ended:
        self.menu.type("/exit", "exit")
        ended = self.menu.end()
        assert ended.code == 0
        assert "Traceback" not in ended.said
        assert "went wrong" not in ended.said
        return ended


def test_every_fault_on_the_wire_is_said_once_and_the_chat_goes_on(
    connected: Lab, loopback: LoopbackServer
) -> None:
    loopback.scenario.answer = lambda question: f"Whole answer to {question.lower()}"
    patience = {
        # A first token of a loaded machine may take long; only what hangs waits for all of it.
        "LLMFLOWLAB_FIRST_TOKEN_TIMEOUT": "8",
        "LLMFLOWLAB_TOKEN_TIMEOUT": "3",
        "LLMFLOWLAB_MAX_TRIES": "2",
    }
    silent, numbered = 5, dict(enumerate(TROUBLES, start=1))
    with connected.start(**patience) as one, connected.start(**patience) as other:
        # In a chat of its own, for which the others do not wait.
        waiting, chat = Chat(one, loopback), Chat(other, loopback)
        waiting.ask(silent, numbered[silent])
        for number, trouble in numbered.items():
            if number != silent:
                chat.ask(number, trouble)
                chat.wait(trouble)
        waiting.wait(numbered[silent])
        ended = (waiting.end(), chat.end())
    err = "".join(each.err for each in ended)
    for trouble in TROUBLES:
        assert err.count(trouble.said) == 1, trouble
    kept = "(what came is kept and marked incomplete; /retry asks again)"
    assert err.count(kept) == sum(t.state == "incomplete" for t in TROUBLES)
    connected.assert_no_secret(*(each.said for each in ended))
    _assert_recorded(connected)


def _assert_recorded(lab: Lab) -> None:
    lab.wait_for_delivery()
    stored = Everything(lab.settings)
    runs = {run.data.tags["llmflowlab.model"]: run for run in stored.runs()}
    for model in {trouble.model for trouble in TROUBLES}:
        met = [t for t in enumerate(TROUBLES, start=1) if t[1].model == model]
        run = runs[model]
        assert run.info.status == "FINISHED"
        assert run.data.metrics["turns"] == len(met)
        assert run.data.metrics["failed_turns"] == sum(t.state == "failed" for _, t in met)
        traces = stored.traces_of(run)
        assert [trace.info.tags["llmflowlab.state"] for trace in traces] == [
            t.state for _, t in met
        ]
        assert [trace.info.state.value for trace in traces] == [
            "ERROR" if t.state == "failed" else "OK" for _, t in met
        ]
        records = lab.records(model.partition(":")[0])
        assert len(records) == len(met)
        for (number, trouble), record in zip(met, records, strict=True):
            assert record["prompt"] == f"Prompt {number}"
            if trouble.state == "complete":
                assert record["answer"] == f"Whole answer to prompt {number}"
            else:
                assert record["finish_reason"] == trouble.state
                assert record["answer"] == ("Whole answer" if trouble.state == "incomplete" else "")


@pytest.mark.parametrize(
    ("model", "variables", "code", "words"),
    [
        pytest.param(
            "openai:gpt-4.1-mini",
            {"OPENAI_API_KEY": "sk-proj-not-the-key-0123456789"},
            4,
            "OpenAI refused the key",
            id="wrong-key",
        ),
        pytest.param("gemini:gemini-0.1", {}, 4, "has no model 'gemini-0.1'", id="unknown-model"),
        pytest.param("gemini", {"GEMINI_API_KEY": ""}, 3, "set GEMINI_API_KEY", id="no-key"),
        pytest.param("azure:x", {"AZURE_OPENAI_ENDPOINT": ""}, 3, "AZURE_OPENAI_", id="no-address"),
        pytest.param("nothing:x", {}, 2, "nothing:x", id="no-provider"),
    ],
)
def test_a_command_that_fails_says_why_in_one_line_and_by_its_code(
    connected: Lab, model: str, variables: dict[str, str], code: int, words: str
) -> None:
    lab = Lab(connected.home, {**connected.environment, **variables})
    ended = lab.run("chat", "--model", model, "--message", "Hello")
    assert ended.code == code
    assert ended.out == ""
    said = ended.err.splitlines()
    assert len(said) == 1
    assert words in said[0]
    lab.assert_no_secret(ended.said)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        pytest.param(("evaluate",), 2, id="no-candidate"),
        pytest.param(("evaluate", "--model", "guide", "--data", "missing.csv"), 2, id="no-file"),
        pytest.param(("evaluate", "--model", "guide", "--scorer", "nice"), 2, id="no-scorer"),
        pytest.param(("evaluate", "--model", "guide", "--judge", "guide"), 2, id="guide-judges"),
        pytest.param(("evaluate", "--model", "guide", "--scorer", "safety"), 3, id="no-judge"),
        pytest.param(("evaluate", "--model", "gemini"), 3, id="candidate-without-key"),
        pytest.param(("evaluate", "--resume", "20260101-000000-aaaa"), 2, id="no-evaluation"),
        pytest.param(("chat", "--message", "Hello"), 2, id="no-model"),
        pytest.param(("info", "--provider", "nobody"), 2, id="nobody"),
        pytest.param(("sing",), 2, id="no-command"),
    ],
)
def test_bad_usage_is_one_line_and_touches_nothing(
    lab: Lab, arguments: tuple[str, ...], code: int
) -> None:
    ended = lab.run(*arguments, "--json") if arguments[0] == "info" else lab.run(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert ended.err.count("\n") == 1
    assert ended.err.endswith(".\n")
    assert not (lab.home / "artifacts").exists()
