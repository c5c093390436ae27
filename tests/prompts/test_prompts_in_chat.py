"""A chat that is given a prompt, and follows its alias."""

from __future__ import annotations

import json

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.lab.chat_events import PromptMoved, RequestChanged
from llmflowlab.lab.chat_session import Chat
from llmflowlab.lab.prompt_watch import PromptWatch
from llmflowlab.lab.prompts_in_use import prompt_in_use, read_values
from llmflowlab.prompts.prompt_registry import register_version, set_prompt_alias
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.providers.scripted import ScriptedProvider
from tests.cli.fakes import FakeLab
from tests.lab.test_chat import Heard

DESK = """[system]
You serve {{shop}}.

[user]
Hi

[assistant]
Hello!

[user]
Customer: {{question}}"""


@pytest.fixture
def desk(store):
    register_version(store, "desk", PromptTemplate.from_text(DESK))
    set_prompt_alias(store, "desk", "live", 1)
    return store


@pytest.fixture
def provider(settings):
    return ScriptedProvider(default="Yes", settings=settings)


def sent(provider, number=-1):
    return [m["content"] for m in provider.requests[number].openai_messages()]


def test_what_is_said_takes_the_questions_place_in_every_turn(desk, settings, provider):
    lab = FakeLab(settings, providers=[provider])
    used = prompt_in_use(lab, "desk@live", {"shop": "{{question}} & Co"})
    chat = Chat(lab, provider, prompt=used)
    chat.ask("One {{shop}}?", Heard())
    chat.ask("Two?", Heard())
    begin = ["You serve {{question}} & Co.", "Hi", "Hello!"]
    assert sent(provider, 0) == [*begin, "Customer: One {{shop}}?"]
    assert sent(provider) == [*begin, "Customer: One {{shop}}?", "Yes", "Customer: Two?"]
    # What the person said is what is remembered of it.
    assert [e.prompt for e in chat.conversation.exchanges] == ["One {{shop}}?", "Two?"]
    (recorder,) = lab.recorders
    candidate = recorder.start.candidate
    assert (candidate.prompt, candidate.values) == ("desk@1", {"shop": "{{question}} & Co"})
    assert candidate.model_config()["messages"][-1]["content"] == "Customer: {{question}}"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        pytest.param({}, r"no value for \{\{shop\}\}|nobody", id="missing"),
        pytest.param(
            {"shop": "F", "town": "B"}, r"no variable \{\{town\}\}; there are", id="unknown"
        ),
    ],
)
def test_values_that_do_not_fit_are_named(desk, settings, values, told):
    with pytest.raises(InputError, match=told):
        prompt_in_use(FakeLab(settings), "desk", values)


def test_a_value_is_read_as_it_is_typed():
    assert read_values(["a=1=2", "b="]) == {"a": "1=2", "b": ""}
    for wrong in (["a"], ["=x"], ["a=1", "a=2"]):
        with pytest.raises(InputError):
            read_values(wrong)


def test_a_system_prompt_with_an_unfilled_variable_is_refused(settings, provider):
    with pytest.raises(InputError, match=r"no value for \{\{name\}\}"):
        Chat(FakeLab(settings, providers=[provider]), provider, system="Call me {{name}}.")


def test_a_moved_alias_reaches_a_running_chat_in_a_new_session(desk, settings, provider):
    lab = FakeLab(settings, providers=[provider])

    def load():
        return prompt_in_use(lab, "desk@live", {"shop": "Fern"})

    watch = PromptWatch(load, load())
    chat = Chat(lab, provider, prompt=load(), watch=watch)
    chat.ask("One", Heard())
    register_version(desk, "desk", PromptTemplate.from_text("For {{shop}}: {{question}}"))
    watch.look()
    chat.ask("Two", Heard())
    assert sent(provider)[-1] == "Customer: Two"
    set_prompt_alias(desk, "desk", "live", 2)
    watch.look()
    heard = Heard()
    chat.ask("Three", heard)
    assert heard.notices[0] == PromptMoved("desk@live", "desk@2")
    assert sent(provider)[-1] == "For Fern: Three"
    assert [r.start.candidate.prompt for r in lab.recorders] == ["desk@1", "desk@2"]


def test_what_cannot_be_used_or_asked_is_said_once_and_the_version_stays(
    desk, settings, provider, monkeypatch
):
    lab = FakeLab(settings, providers=[provider])

    def load():
        return prompt_in_use(lab, "desk@live", {"shop": "Fern"})

    watch = PromptWatch(load, load())

    def away(_):
        raise TrackingError("MLflow does not answer.")

    with monkeypatch.context() as registry:
        registry.setattr("llmflowlab.prompts.last_known.open_store", away)
        watch.look()
        watch.look()
    chat = Chat(lab, provider, prompt=load(), watch=watch)
    heard = Heard()
    chat.ask("One", heard)
    (notice,) = heard.notices
    assert isinstance(notice, RequestChanged)
    assert "cannot be asked; going on with desk@1" in notice.sentence
    register_version(desk, "desk", PromptTemplate.from_text("No such place: {{a}} {{b}}"))
    set_prompt_alias(desk, "desk", "live", 2)
    watch.look()
    watch.look()
    (said,) = watch.told()
    assert said.startswith("desk@1 stays in use: There is no variable {{shop}}")
    assert watch.moved() is None


@pytest.fixture
def console(mlflow_home, monkeypatch, desk, capfd):
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(mlflow_home))

    def run(*arguments, code=0):
        assert main(["prompts", *arguments]) == code
        return capfd.readouterr()

    return run


def test_the_command_lists_shows_renders_writes_compares_and_points(console, tmp_path):
    def document(*arguments):
        return json.loads(console(*arguments, "--json").out)

    (listed,) = document("list")["prompts"]
    assert (listed["name"], listed["aliases"]) == ("desk", {"live": 1})
    assert document("show", "desk@live")["variables"] == ["shop", "question"]
    rendered = document("render", "desk", "--value", "shop=F", "--value", "question=Q")
    assert rendered["rendered"][0] == {"role": "system", "content": "You serve F."}
    assert (
        "{{question}}, {{shop}}" not in console("render", "desk", "--value", "shop=F", code=2).out
    )
    file = tmp_path / "new.md"
    file.write_text(DESK.replace("You serve", "You help"), encoding="utf-8")
    written = document("edit", "desk", "--file", str(file), "--message", "kinder")["written"]
    assert (written["version"], written["commit_message"]) == (2, "kinder")
    assert document("edit", "desk", "--file", str(file), "--message", "again") == {"written": None}
    assert "-You serve {{shop}}." in document("diff", "desk", "1", "2")["diff"].splitlines()
    moved = document("alias", "desk", "live", "2")
    assert (moved["before"], moved["after"]) == (1, 2)
    tried = document("try", "desk@live", "--model", "guide:docs", "--value", "shop=Fern", "--message", "What is a token?")  # fmt: skip
    assert tried["turns"][0]["prompt"] == "What is a token?"


def test_an_editor_writes_a_version_and_nothing_where_nothing_changed(
    console, tmp_path, monkeypatch
):
    editor = tmp_path / "editor.sh"
    editor.write_text('#!/bin/sh\nsed -i "s/You serve/You greet/" "$1"\n', encoding="utf-8")
    editor.chmod(0o755)
    assert "set EDITOR" in console("edit", "desk", code=3).err
    monkeypatch.setenv("EDITOR", str(editor))
    assert "desk@2 is written." in console("edit", "desk", "--message", "greets").out
    assert "Nothing changed." in console("edit", "desk", "--message", "greets").out
    monkeypatch.setenv("EDITOR", "false")
    assert "ended with 1" in console("edit", "desk", code=2).err


def test_a_prompt_that_would_include_itself_or_nobody_is_not_written(console, tmp_path):
    file = tmp_path / "new.md"
    for text, told in (("{{> desk}}", "in a circle"), ("{{> nobody}}", "no 'nobody'")):
        file.write_text(text, encoding="utf-8")
        assert told in console("edit", "desk", "--file", str(file), code=2).err
