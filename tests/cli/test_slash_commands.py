from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from llmflowlab.cli.chat.chat_screen import converse
from llmflowlab.cli.chat.prompt import LineReader
from llmflowlab.cli.chat.slash_commands import COMMANDS, SlashCommand, run_command
from llmflowlab.cli.chat.stats import farewell
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.errors import InputError, RateLimited
from llmflowlab.lab.chat_session import Chat
from llmflowlab.people.answer_words import open_words
from llmflowlab.providers.base import ReasoningDelta, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp, Typing


class Other(ScriptedProvider):
    name = "other"
    display_name = "Other"


class Lab:
    """A talk with two scripted models, driven by lines."""

    def __init__(self, settings: Settings, *answers: Script) -> None:
        self.provider = ScriptedProvider(answers, settings=settings)
        self.other = Other(default="other answer", settings=settings)
        self.app = FakeApp(settings, providers=[self.provider, self.other])
        self.chat = Chat(self.app.lab, self.provider)
        self.talk = Talk(self.app, self.chat)

    def run(self, *lines: str) -> None:
        for line in lines:
            if line.startswith("/"):
                run_command(self.talk, line)
            else:
                self.talk.answer(line)

    def read(self) -> None:
        screen = self.app.screen
        assert isinstance(screen, PlainScreen)
        converse(self.talk, LineReader(screen, "You: "))


def test_a_whole_talk_line_by_line(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(settings, "Hello!", "Two\nlines.")
    typed("hi\n/hlep\n//not a command\nfirst \\\nsecond\n/exit\n")
    lab.provider.queue("Joined.")
    lab.read()
    seen = capsys.readouterr()
    assert seen.out == ("You: \nHello!\nYou: \nYou: \nTwo\nlines.\nYou: \n...: \nJoined.\nYou: \n")
    errors = seen.err.splitlines()
    assert (
        errors[0] == "Talking with scripted:model. /help lists the commands; exit or Ctrl-D leaves."
    )
    assert errors[1] == "Ask for example: " + " · ".join(ScriptedProvider.examples)
    assert errors[2].startswith("1 + 1 tokens · free · ")
    assert errors[3] == (
        "/hlep is no command; did you mean /help? (// begins a prompt with a slash.)"
    )
    assert [r.messages[-1].content for r in lab.provider.requests] == [
        "hi",
        "/not a command",
        "first \nsecond",
    ]


@pytest.mark.parametrize("word", ["exit", "quit", "Exit"])
def test_a_bare_word_leaves_the_chat(settings: Settings, typed: Typing, word: str) -> None:
    lab = Lab(settings, "Hello!")
    typed(f"hi\n{word}\nnever\n")
    lab.read()
    assert [turn.prompt for turn in lab.chat.turns] == ["hi"]


def test_leaving_says_turns_cost_and_where_they_are_kept(settings: Settings) -> None:
    lab = Lab(settings, "one", "two")
    assert farewell(lab.chat.turns, settings) is None
    lab.run("a", "b")
    assert farewell(lab.chat.turns, settings) == (
        f"2 turns · cost: free · kept in {settings.artifacts_dir} and in MLflow's experiment "
        "LLMS_Text_Generation"
    )


def test_the_end_of_input_ends_a_talk(settings: Settings, typed: Typing) -> None:
    typed("hi\n")
    with pytest.raises(EndOfInput):
        Lab(settings, "Hello!").read()


def test_an_error_is_one_sentence_and_the_talk_goes_on(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = RateLimited("Too many requests; try later.", provider="scripted", retry_after=900)
    lab = Lab(settings, refused, "Hello!")
    typed("hi\n/retry\n/exit\n")
    lab.read()
    seen = capsys.readouterr()
    assert "Too many requests; try later." in seen.err
    assert seen.out.endswith("Hello!\nYou: \n")
    assert [turn.state for turn in lab.app.recorders[0].turns] == ["failed", "complete"]


def test_a_surprise_in_a_command_does_not_end_the_talk(
    settings: Settings,
    typed: Typing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def surprise(talk: Talk, argument: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(COMMANDS, "/stats", SlashCommand("/stats", "", surprise))
    typed("/stats\nhi\n/exit\n")
    Lab(settings, "Hello!").read()
    seen = capsys.readouterr()
    assert "(ZeroDivisionError); the chat goes on." in seen.err
    assert "Hello!" in seen.out


def test_help_names_every_command(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    Lab(settings).run("/help")
    out = capsys.readouterr().out
    assert all(command.usage in out for command in COMMANDS.values())
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("/nonsense", "/nonsense is no command; /help lists them.", id="unknown"),
        pytest.param("/rat 5", "did you mean /rate?", id="nearest"),
        pytest.param("/set temperature 3", "give a number from 0 to 2", id="out-of-range"),
        pytest.param("/set temperature nan", "give a number from 0 to 2", id="nan"),
        pytest.param("/set max_tokens 1.5", "give a whole number from 1", id="not-whole"),
        pytest.param("/set colour red", "'colour' cannot be set; choose from", id="no-such-knob"),
        pytest.param("/set seed", "as in /set seed 42", id="no-value"),
        pytest.param("/retry", "no prompt to send again", id="nothing-to-retry"),
        pytest.param("/undo", "nothing to take back", id="nothing-to-undo"),
        pytest.param("/save", "Name a file", id="no-file"),
        pytest.param("/save x.json", "nothing to save yet", id="nothing-to-save"),
        pytest.param("/load x.json", "'x.json' cannot be read", id="no-such-file"),
        pytest.param("/rate 5", "no answer in this session", id="nothing-to-rate"),
        pytest.param("/rate 6", "Rate the last answer with /rate 1 to 5", id="bad-rating"),
        pytest.param("/model nobody:x", "names no model", id="unknown-model"),
    ],
)
def test_a_command_that_cannot_be_carried_out_says_why(
    settings: Settings, line: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Lab(settings).run(line)
    assert message in caught.value.message


def test_set_begins_a_new_session_once_something_was_said(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(settings, "one", "two")
    lab.run("/set temperature 0.2", "hi", "/set top-p=0.5", "/set top_p 0.5", "again")
    said = [line for line in capsys.readouterr().err.splitlines() if "tokens" not in line]
    assert said == [
        "(temperature = 0.2)",
        "(top_p = 0.5; a new session begins, the conversation goes on)",
        "top_p is that already.",
    ]
    first, second = lab.app.recorders
    assert (
        first.start.candidate.parameters.temperature,
        first.start.candidate.parameters.top_p,
    ) == (0.2, None)
    assert (
        second.start.candidate.parameters.temperature,
        second.start.candidate.parameters.top_p,
    ) == (0.2, 0.5)
    lab.run("/set temperature off")
    assert lab.chat.parameters.temperature is None


def test_model_carries_the_conversation_to_another_one(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(settings, "one")
    lab.run("hi", "/model other:model", "go on", "/model other:model")
    assert [m.content for m in lab.other.requests[0].messages] == ["hi", "one", "go on"]
    assert lab.app.recorders[1].start.continues == lab.app.recorders[0].start.session_id
    said = capsys.readouterr().err
    assert "(other:model answers from here on; a new session begins, the conversation" in said
    assert "other:model is answering already." in said


def test_system_is_shown_set_and_removed(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(settings, "one")
    lab.run("/system", "/system Be brief.", "/system", "hi", "/system off")
    assert capsys.readouterr().out.splitlines()[:2] == ["No system prompt is set.", "Be brief."]
    assert lab.provider.requests[0].system == "Be brief."
    assert lab.chat.system is None


def test_retry_replaces_the_last_exchange(settings: Settings) -> None:
    lab = Lab(settings, "one", "better")
    lab.run("hi", "/retry")
    assert [m.content for m in lab.provider.requests[1].messages] == ["hi"]
    assert [e.answer for e in lab.chat.conversation.exchanges] == ["better"]
    assert len(lab.app.recorders[0].turns) == 2


def test_undo_forgets_in_the_conversation_and_keeps_the_record(settings: Settings) -> None:
    lab = Lab(settings, "one", "two")
    lab.run("hi", "/undo", "again")
    assert [m.content for m in lab.provider.requests[1].messages] == ["again"]
    assert len(lab.app.recorders[0].turns) == 2


def test_history_stats_and_cost_are_shown(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Lab(settings, "one\x1b[2J answer")
    lab.run("/history", "/stats", "/cost", "hi there")
    capsys.readouterr()
    lab.run("/history", "/stats", "/cost")
    out = capsys.readouterr().out
    assert "1. hi there\n" in out
    assert "\x1b" not in out
    assert "  turns      1\n  tokens     2 sent, 2 generated\n" in out
    assert out.count("  cost       free\n") == 2


@pytest.mark.parametrize(
    ("argument", "value", "comment"),
    [("5", 5, None), ("+", True, None), ("- too long, and wrong", False, "too long, and wrong")],
)
def test_a_rating_is_recorded_for_the_last_turn(
    settings: Settings, argument: str, value: int | bool, comment: str | None
) -> None:
    lab = Lab(settings, "one", "two")
    lab.run("hi", "again", f"/rate {argument}")
    (recorder,) = lab.app.recorders
    (rating,) = recorder.ratings
    assert rating.trace_id == recorder.turns[1].trace_id
    assert rating.value is value or rating.value == value
    assert type(rating.value) is type(value)
    assert rating.comment == comment
    with closing(open_words(settings)) as words:
        (word,) = words.words("turn")
    said = {5: ("rating", "5"), True: ("thumbs_up", "yes"), False: ("thumbs_up", "no")}[value]
    assert (word.question, word.said, word.comment) == (*said, comment or "")
    assert word.target.key == rating.trace_id
    assert word.target.within == f"run-of-{recorder.start.session_id}"


def test_thinking_is_shown_when_asked_for(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    thought: Script = [ReasoningDelta("2\x1b[2J and 2"), TextDelta("4")]
    lab = Lab(settings, thought, thought, "plain")
    with pytest.raises(InputError, match="no answer yet"):
        lab.run("/thinking")
    lab.run("sum?")
    seen = capsys.readouterr()
    assert seen.out == "4\n"
    assert "/thinking shows its thinking" in seen.err
    assert "2 and 2" not in seen.err
    lab.run("/thinking")
    assert capsys.readouterr().out == "2␛[2J and 2\n"
    lab.run("/thinking on", "sum?")
    seen = capsys.readouterr()
    assert seen.out == "4\n"
    assert "[thinking] 2" in seen.err
    assert "shows its thinking" not in seen.err
    lab.run("/thinking off", "again?", "/thinking")
    assert "came without thinking" in capsys.readouterr().err
    with pytest.raises(InputError, match="takes on, off or nothing"):
        lab.run("/thinking loud")


def test_a_failed_turn_cannot_be_rated(settings: Settings) -> None:
    lab = Lab(settings, RateLimited("no", provider="scripted", retry_after=900))
    lab.run("hi")
    with pytest.raises(InputError, match="no answer that could be rated"):
        lab.run("/rate 1")


def test_a_saved_conversation_is_carried_on(settings: Settings, tmp_path: Path) -> None:
    lab = Lab(settings, "one")
    lab.run("/system Be brief.", "hi — schön", f"/save {tmp_path}/talk.json")
    fresh = Lab(settings, "two")
    fresh.run(f"/load {tmp_path}/talk.json", "go on")
    assert fresh.provider.requests[0].system == "Be brief."
    sent = [m.content for m in fresh.provider.requests[0].messages]
    assert sent == ["hi — schön", "one", "go on"]


def test_markdown_is_written_to_be_read(settings: Settings, tmp_path: Path) -> None:
    lab = Lab(settings, "one")
    lab.run("hi", f"/save {tmp_path}/talk.md")
    text = (tmp_path / "talk.md").read_text(encoding="utf-8")
    assert text.startswith("# Chat with scripted:model\n")
    assert "## Prompt\n\nhi\n\n## Answer\n\none\n" in text
    with pytest.raises(InputError, match="only saved JSON can be loaded"):
        lab.run(f"/load {tmp_path}/talk.md")


@pytest.mark.parametrize(("answer", "kept"), [("n", True), ("y", False)])
def test_a_file_is_overwritten_only_after_a_yes(
    settings: Settings, tmp_path: Path, typed: Typing, answer: str, kept: bool
) -> None:
    file = tmp_path / "talk.json"
    file.write_text("mine", encoding="utf-8")
    typed(answer + "\n")
    lab = Lab(settings, "one")
    lab.run("hi", f"/save {file}")
    assert (file.read_text(encoding="utf-8") == "mine") is kept
    assert not list(tmp_path.glob(".saving*"))


def test_a_folder_that_is_not_there_is_said(settings: Settings, tmp_path: Path) -> None:
    lab = Lab(settings, "one")
    lab.run("hi")
    with pytest.raises(InputError, match="cannot be written"):
        lab.run(f"/save {tmp_path}/nowhere/talk.json")
    with pytest.raises(InputError, match="is a folder"):
        lab.run(f"/save {tmp_path}")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("{", "is not JSON", id="cut-off"),
        pytest.param("[]", "lacks the mark", id="other-json"),
        pytest.param({"llmflowlab_chat": 9}, "its format is 9", id="later-format"),
        pytest.param({"llmflowlab_chat": 1}, "lacks a list of exchanges", id="no-exchanges"),
        pytest.param(
            {"llmflowlab_chat": 1, "exchanges": [{"prompt": "a"}]},
            "exchange 1 lacks a prompt or an answer",
            id="half-an-exchange",
        ),
        pytest.param(
            {"llmflowlab_chat": 1, "system": 5, "exchanges": []},
            "system prompt is not text",
            id="bad-system",
        ),
        pytest.param(b"\xff\xfe\x00", "is not JSON", id="binary"),
        pytest.param("[" * 100_000, "is not JSON", id="too-deep"),
    ],
)
def test_a_file_that_is_no_conversation_is_refused_in_one_sentence(
    settings: Settings, tmp_path: Path, content: object, reason: str
) -> None:
    file = tmp_path / "bad.json"
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_text(text, encoding="utf-8")
    lab = Lab(settings, "one")
    lab.run("hi")
    with pytest.raises(InputError) as caught:
        lab.run(f"/load {file}")
    assert reason in caught.value.message
    assert len(lab.chat.conversation.exchanges) == 1
