from __future__ import annotations

import argparse
import io
import json
import signal

import pytest

from llmflowlab.cli.arguments import parse
from llmflowlab.cli.chat.chat_command import run_command
from llmflowlab.errors import AuthenticationFailed, InputError, NotConfigured, StreamInterrupted
from llmflowlab.providers.base import Finished, ReasoningDelta, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp, Typing


def lab(settings: Settings, *answers: Script) -> FakeApp:
    return FakeApp(settings, providers=[ScriptedProvider(answers, settings=settings)])


def arguments(*more: str) -> argparse.Namespace:
    return parse(["chat", "--model", "scripted:model", *more])


def test_messages_are_answered_in_one_conversation(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    app = lab(settings, "one", "two")
    code = run_command(
        app,
        arguments("--message", "a", "--message", "/b", "--system", "Be brief.", "--top-p", "0.5"),
    )
    assert code == 0
    seen = capsys.readouterr()
    assert seen.out == "one\ntwo\n"
    assert seen.err.count("tokens · free ·") == 2
    (recorder,) = app.recorders
    assert [turn.prompt for turn in recorder.turns] == ["a", "/b"]
    assert recorder.start.candidate.parameters.top_p == 0.5
    assert recorder.closed
    assert not recorder.interrupted


@pytest.mark.parametrize("name", [[], ["--model", ""]])
def test_a_script_that_names_no_model_is_told_so(settings: Settings, name: list[str]) -> None:
    # Pins: an empty one, as of a variable that is not set, opened the picker and ended with 0.
    app = lab(settings, "one")
    with pytest.raises(InputError, match="Say which model to talk with"):
        run_command(app, parse(["chat", *name, "--message", "a"]))


def test_a_script_is_told_of_options_and_not_of_commands_that_nobody_hears(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    cut: Script = [TextDelta("cut"), Finished("length")]
    app = lab(settings, cut, [Finished("stop")])
    run_command(app, arguments("--message", "a", "--message", "b"))
    said = capsys.readouterr().err
    assert "--max-tokens changes it" in said
    assert "the model sent an empty answer)" in said
    assert "/" not in said.replace("/s", "")


def test_lines_of_standard_input_are_prompts_and_slash_commands(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    app = lab(settings, "one", "two")
    typed("a\n\n/set seed 7\n//b\n/exit\nnever\n")
    assert run_command(app, arguments()) == 0
    assert capsys.readouterr().out == "one\ntwo\n"
    assert [turn.prompt for r in app.recorders for turn in r.turns] == ["a", "/b"]


def test_a_bad_command_in_a_script_ends_it(settings: Settings, typed: Typing) -> None:
    app = lab(settings, "one", "two")
    typed("a\n/nonsense\nb\n")
    with pytest.raises(InputError, match="is no command"):
        run_command(app, arguments())
    assert app.recorders[0].closed


def test_json_holds_everything_and_standard_output_nothing_else(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    app = lab(settings, "Grüße, \x1b[2J!")
    typed("/not a command here\n")
    assert run_command(app, arguments("--json")) == 0
    document = json.loads(capsys.readouterr().out)
    (turn,) = document["turns"]
    assert document["model"] == "scripted:model"
    assert document["session_id"] == app.recorders[0].start.session_id
    assert document["run_id"] == f"run-of-{document['session_id']}"
    assert turn["prompt"] == "/not a command here"
    assert turn["answer"] == "Grüße, \x1b[2J!"
    assert (turn["cost_usd"], turn["error"], turn["state"]) == (0, None, "complete")
    assert set(turn) == {
        "prompt",
        "answer",
        "reasoning",
        "state",
        "prompt_tokens",
        "completion_tokens",
        "tokens_estimated",
        "cost_usd",
        "inference_time",
        "time_to_first_token",
        "language",
        "language_confidence",
        "finish_reason",
        "error",
        "trace_id",
        "violations",
    }


def test_json_of_nothing_asked_has_no_run(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("")
    assert run_command(lab(settings), arguments("--json")) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["turns"], document["session_id"], document["run_id"]) == ([], None, None)


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        pytest.param(AuthenticationFailed("Key refused.", provider="scripted"), 4, id="provider"),
        pytest.param(NotConfigured("Install it.", provider="scripted"), 3, id="not-configured"),
    ],
)
def test_a_prompt_without_an_answer_ends_a_script(
    settings: Settings, capsys: pytest.CaptureFixture[str], failure: Exception, code: int
) -> None:
    app = lab(settings, "one", failure, "never")
    messages = ["--message", "a", "--message", "b", "--message", "c"]
    assert run_command(app, arguments(*messages)) == code
    seen = capsys.readouterr()
    assert seen.out == "one\n"
    assert seen.err.splitlines()[-1] == str(failure)
    assert [turn.state for turn in app.recorders[0].turns] == ["complete", "failed"]


def test_a_failure_is_in_the_json_too(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    app = lab(settings, [TextDelta("half"), StreamInterrupted("It broke.", provider="scripted")])
    assert run_command(app, arguments("--message", "a", "--json")) == 4
    (turn,) = json.loads(capsys.readouterr().out)["turns"]
    assert (turn["state"], turn["answer"], turn["error"]) == ("incomplete", "half", "It broke.")


def test_ctrl_c_ends_a_script_and_marks_its_session(settings: Settings) -> None:
    def script() -> list[object]:
        return [ReasoningDelta("hm"), lambda: signal.raise_signal(signal.SIGINT), TextDelta("x")]

    app = lab(settings, script())  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run_command(app, arguments("--message", "a", "--message", "b"))
    (recorder,) = app.recorders
    assert recorder.interrupted
    assert [turn.state for turn in recorder.turns] == ["interrupted"]


def test_a_script_must_name_its_model(settings: Settings, typed: Typing) -> None:
    typed("a\n")
    with pytest.raises(InputError, match="--model"):
        run_command(lab(settings), parse(["chat"]))


def test_an_empty_message_is_refused_before_anything_is_sent(settings: Settings) -> None:
    app = lab(settings, "one")
    with pytest.raises(InputError, match="empty"):
        run_command(app, arguments("--message", "a", "--message", "  "))
    assert app.recorders == []


def test_a_person_at_a_plain_terminal_talks_until_the_end_of_input(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    app = lab(settings, AuthenticationFailed("Key refused.", provider="scripted"), "one")
    monkeypatch.setattr("sys.stdin", Terminal("a\nb\n"))
    assert run_command(app, arguments()) == 0
    assert capsys.readouterr().out == "You: You: one\nYou: "
    assert app.recorders[0].closed


def prompts_of(app: FakeApp) -> list[str]:
    return [turn.prompt for recorder in app.recorders for turn in recorder.turns]


def test_a_piped_document_goes_before_the_first_message(settings: Settings, typed: Typing) -> None:
    # Until 0.2.0 it was dropped without a word.
    app = lab(settings, "one", "two")
    typed("First line.\n/second line\n")
    assert run_command(app, arguments("--message", "Sum it up.", "--message", "Shorter.")) == 0
    assert prompts_of(app) == ["First line.\n/second line\n\nSum it up.", "Shorter."]


def test_an_empty_pipe_adds_nothing_to_a_message(settings: Settings, typed: Typing) -> None:
    app = lab(settings, "one")
    typed(" \n")
    assert run_command(app, arguments("--message", "Why?")) == 0
    assert prompts_of(app) == ["Why?"]


def test_the_whole_input_is_one_prompt_where_that_is_asked(
    settings: Settings, typed: Typing
) -> None:
    app = lab(settings, "one")
    typed("/exit\nis the first line.\n\nexit\n")
    assert run_command(app, arguments("--whole")) == 0
    assert prompts_of(app) == ["/exit\nis the first line.\n\nexit"]


def test_no_input_to_take_whole_is_refused(settings: Settings, typed: Typing) -> None:
    typed("\n")
    with pytest.raises(InputError, match="Standard input is empty"):
        run_command(lab(settings, "one"), arguments("--whole"))


def test_a_line_that_says_exit_is_a_prompt_in_a_script(settings: Settings, typed: Typing) -> None:
    app = lab(settings, "one", "two")
    typed("exit\nquit\n")
    assert run_command(app, arguments()) == 0
    assert prompts_of(app) == ["exit", "quit"]
