from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from llmflowlab.cli.chat.slash_commands import run_command
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.data.dataset import Dataset, load_dataset
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.lab.chat_session import Chat
from llmflowlab.providers.base import Finished, TextDelta
from llmflowlab.providers.scripted import Script, ScriptedProvider
from llmflowlab.settings import Settings, load_settings
from tests.cli.fakes import FakeApp


def talk_of(settings: Settings, *answers: Script) -> Talk:
    provider = ScriptedProvider(answers, settings=settings)
    app = FakeApp(settings, providers=[provider])
    return Talk(app, Chat(app.lab, provider))


def run(talk: Talk, *lines: str) -> None:
    for line in lines:
        run_command(talk, line) if line.startswith("/") else talk.answer(line)


def pinned(settings: Settings, name: str = "pinned.csv") -> Dataset:
    return load_dataset(settings.home / name)


def test_a_pinned_turn_is_a_row_that_an_evaluation_reads(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = talk_of(settings, "Hello!", "4")
    run(talk, "hi", "2 + 2?", "/pin")
    (row,) = pinned(settings).rows
    assert row.conversation is not None
    assert [(m.role, m.content) for m in row.conversation.messages] == [
        ("user", "hi"),
        ("assistant", "Hello!"),
        ("user", "2 + 2?"),
    ]
    assert (row.question, row.expected) == ("2 + 2?", "4")
    assert row.source["model"] == "scripted:model"
    assert row.source["trace_id"] == talk.chat.turns[1].trace_id
    assert row.language == talk.chat.turns[1].language
    said = capsys.readouterr().err
    file = settings.home / "pinned.csv"
    assert f"(turn 2 is row 1 of {file})" in said
    assert f'evaluate --data "{file}" --model REF' in said


@pytest.mark.parametrize(
    ("number", "why"),
    [
        pytest.param(errno.ENOSPC, "the disk is full; make room there", id="full"),
        pytest.param(errno.EROFS, "make the folder and its files writable", id="read-only"),
    ],
)
@pytest.mark.parametrize("at", ["lock", "file"])
def test_a_disk_that_takes_no_pin_is_said_in_a_sentence_and_the_file_stays(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, number: int, why: str, at: str
) -> None:
    talk = talk_of(settings, "4", "6")
    run(talk, "2 + 2?", "/pin")
    before = (settings.home / "pinned.csv").read_bytes()
    run(talk, "3 + 3?")

    def refused(*values: object, **named: object) -> int:
        raise OSError(number, os.strerror(number), "/somewhere")

    with monkeypatch.context() as patch:
        if at == "lock":
            patch.setattr("filelock.FileLock.acquire", refused)
        else:
            patch.setattr("os.fsync", refused)
        with pytest.raises(InputError, match=r"pinned\.csv") as caught:
            run(talk, "/pin")
    assert (
        why if at == "lock" else "make room there, or its folder writable"
    ) in caught.value.message
    assert (settings.home / "pinned.csv").read_bytes() == before
    run(talk, "/pin")
    assert len(pinned(settings).rows) == 2


@pytest.mark.parametrize("name", ["pinned.csv", "pinned.jsonl", "pinned.tsv"])
@pytest.mark.parametrize(
    "expected", ['=HYPERLINK("x")', "-5", "a, \"b\"\nand 'c'", "日本, 'x'", "3"]
)
def test_an_expected_answer_is_kept_exactly_and_no_cell_is_a_formula(
    settings: Settings, name: str, expected: str
) -> None:
    talk = talk_of(settings, "wrong")
    run(talk, "what?", f'/pin --to "{settings.home / name}" = {expected}')
    (row,) = pinned(settings, name).rows
    assert row.expected == expected
    first = (settings.home / name).read_text(encoding="utf-8").splitlines()[-1]
    assert first.lstrip('"{').startswith(('[{""role""', 'messages": ['))


def test_pinning_twice_replaces_and_says_so(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    talk = talk_of(settings, "one", "two")
    run(talk, "a", "b", "/pin first", "/pin 1", "/pin 2 second")
    rows = pinned(settings).rows
    assert [(row.question, row.expected) for row in rows] == [("b", "second"), ("a", "one")]
    assert "(turn 2 replaces row 1 of " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        pytest.param(["/pin"], "no answer yet", id="nothing"),
        pytest.param(["hi", "/pin 3"], "There is no turn 3", id="no-such-turn"),
        pytest.param(["hi", "/pin --to x.txt"], "name a .csv or .jsonl", id="kind"),
        pytest.param(["hi", "/pin --to own.csv"], "pin to another file", id="questions"),
        pytest.param(["hi", "/pin --to own.csv/x.csv"], "cannot be written", id="unwritable"),
    ],
)
def test_what_cannot_be_pinned_is_said_in_one_sentence(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, lines: list[str], message: str
) -> None:
    monkeypatch.chdir(settings.home)
    (settings.home / "own.csv").write_text("question,answer\nq,a\n", encoding="utf-8")
    with pytest.raises(InputError, match=message):
        run(talk_of(settings, "Hello!"), *lines)
    assert (settings.home / "own.csv").read_text(encoding="utf-8") == "question,answer\nq,a\n"


def test_an_answer_that_was_cut_short_is_pinned_only_with_what_is_expected(
    settings: Settings,
) -> None:
    talk = talk_of(settings, [TextDelta("half"), Finished("length")])
    with pytest.raises(InputError, match="not whole; say what is expected"):
        run(talk, "hi", "/pin")
    run(talk, "/pin all of it")
    assert pinned(settings).rows[0].expected == "all of it"


class Asked(PlainScreen):
    """Somebody is there, who is asked for one line."""

    plain = False

    agrees = True

    def text(self, message: str, *, default: str = "", check: object = None) -> str:
        return f"{message} was {default}"

    def confirm(self, message: str, *, default: bool = False) -> bool:
        return self.agrees


def test_without_an_editor_a_long_answer_is_taken_as_it_is_or_not_at_all(
    settings: Settings,
) -> None:
    talk = talk_of(settings)
    screen = Asked(settings)
    talk.app.screen = screen
    talk.chat.conversation.add("b", "two\nlines")
    run(talk, "/pin")
    assert pinned(settings).rows[0].expected == "two\nlines"
    screen.agrees = False
    with pytest.raises(ConfigurationError, match="set EDITOR, as in EDITOR=nano, or give"):
        run(talk, "/pin")


def test_who_is_there_corrects_a_line_in_place_and_more_in_an_editor(tmp_path: Path) -> None:
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\n"
        "file = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('wrong', 'right'))\n",
        encoding="utf-8",
    )
    editor = {"EDITOR": f"{sys.executable} {script}"}
    settings = load_settings(editor, cwd=tmp_path, stdin_is_terminal=False)
    talk = talk_of(settings)
    talk.app.screen = Asked(settings)
    talk.chat.conversation.add("a", "one line")
    run(talk, "/pin")
    talk.chat.conversation.add("b", "two\nwrong lines")
    run(talk, "/pin")
    expected = [row.expected for row in pinned(settings).rows]
    assert expected == ["Expected answer was one line", "two\nright lines"]
