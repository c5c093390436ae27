"""Versions, aliases and files of prompts in MLflow's registry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.prompts.last_known import find_prompt
from llmflowlab.prompts.prompt_files import read_prompt_files, starting_set, sync
from llmflowlab.prompts.prompt_registry import (
    list_prompts,
    load_prompt,
    register_version,
    set_prompt_alias,
    versions_of,
)
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.tracking import store as stores
from llmflowlab.tracking.registry_file import count_registered
from tests.prompts.starting_files import FILES, POLICY, front_matter, messages

FILE = """---
name: {name}
description: Says {name}
demonstrates: zero-shot
tags:
  use: customer-support
commit_message: First
---
{body}
"""


def template(text: str) -> PromptTemplate:
    return PromptTemplate.from_text(text)


def write(folder, name: str, body: str) -> None:
    (folder / f"{name}.md").write_text(FILE.format(name=name, body=body), encoding="utf-8")


def test_a_version_comes_back_with_all_that_was_said_of_it(store):
    text = "[system]\nBe {{style}}.\n\n[user]\n{{question}}"
    assert (
        register_version(store, "desk", template(text), commit_message="one", tags={"k": "v"}) == 1
    )
    assert register_version(store, "desk", template("Two"), commit_message="two") == 2
    assert set_prompt_alias(store, "desk", "production", 1) is None
    assert set_prompt_alias(store, "desk", "production", 2) == 1
    assert set_prompt_alias(store, "desk", "production", 1) == 2
    found = load_prompt(store, "desk@production")
    assert found.reference == "desk@1"
    assert found.uri == "prompts:/desk/1"
    assert found.template.to_text() == text
    assert (found.commit_message, dict(found.tags), found.aliases) == (
        "one",
        {"k": "v"},
        ("production",),
    )
    assert load_prompt(store, "desk").version == 2
    assert [v.version for v in versions_of(store, "desk")] == [2, 1]
    (listed,) = list_prompts(store)
    assert (listed.name, listed.latest, dict(listed.aliases)) == ("desk", 2, {"production": 1})


@pytest.mark.parametrize("reference", ["nobody", "desk@7", "desk@nobody"])
def test_a_prompt_that_is_not_there_is_named(store, reference):
    register_version(store, "desk", template("x"))
    with pytest.raises(InputError, match=f"no {reference!r}"):
        load_prompt(store, reference)


def test_what_an_include_lacks_is_named_with_who_includes_it(store):
    register_version(store, "desk", template("{{> policy@live}}"))
    with pytest.raises(InputError, match="no 'policy@live', which desk@1 includes"):
        load_prompt(store, "desk")
    register_version(store, "policy", template("Be kind."))
    set_prompt_alias(store, "policy", "live", 1)
    found = load_prompt(store, "desk")
    assert (found.template.to_text(), found.included) == ("Be kind.", ("policy@1",))
    assert found.written.to_text() == "{{> policy@live}}"


@pytest.mark.parametrize("alias", ["latest", "v3", "3", "a b"])
def test_an_alias_is_a_word_of_its_own(store, alias):
    register_version(store, "desk", template("x"))
    with pytest.raises(InputError, match="cannot name an alias"):
        set_prompt_alias(store, "desk", alias, 1)


def test_a_name_that_mlflow_takes_is_asked_for(store):
    with pytest.raises(InputError, match="cannot name a prompt"):
        register_version(store, "a/b", template("x"))


def test_files_are_registered_once_and_what_changed_is_told(store, tmp_path):
    write(tmp_path, "one", "[system]\nA\n[user]\n{{question}}")
    write(tmp_path, "two", "B {{question}}")
    (tmp_path / "README.md").write_text("no prompt", encoding="utf-8")

    def states() -> list[tuple[str, str, int, int]]:
        done = sync(store, read_prompt_files(tmp_path))
        return [(d.name, d.state, d.version, d.latest) for d in done]

    assert states() == [("one", "new", 1, 1), ("two", "new", 1, 1)]
    assert states() == [("one", "unchanged", 1, 1), ("two", "unchanged", 1, 1)]
    # A person went on from the shipped version: theirs stays the latest.
    register_version(store, "one", template("Mine {{question}}"))
    write(tmp_path, "two", "C {{question}}")
    assert states() == [("one", "unchanged", 1, 2), ("two", "changed", 2, 2)]
    (one, _) = list_prompts(store)
    assert (one.description, one.demonstrates) == ("Says one", "zero-shot")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("Hello", "begins with a line ---", id="no front matter"),
        pytest.param("---\na: [\n---\nx", "cannot be read", id="no YAML"),
        pytest.param("---\nname: bad\n---\nx", "between the lines --- stand", id="keys"),
        pytest.param(FILE.format(name="bad", body=""), "is empty", id="empty"),
        pytest.param(FILE.format(name="other", body="x"), "the file's name", id="name"),
        pytest.param(
            FILE.format(name="bad", body="x").replace("First", "3"), "is a text", id="number"
        ),
    ],
)
def test_a_file_that_is_no_prompt_says_why(tmp_path, text, told):
    (tmp_path / "bad.md").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        read_prompt_files(tmp_path)


def test_with_the_registry_away_the_last_known_version_is_used_and_said(
    settings, store, monkeypatch
):
    register_version(store, "desk", template("Be kind to {{name}}."))
    set_prompt_alias(store, "desk", "live", 1)
    known, note = find_prompt(settings, "desk@live")
    assert note is None

    def away(_):
        raise TrackingError("MLflow does not answer.")

    monkeypatch.setattr("llmflowlab.prompts.last_known.open_store", away)
    found, note = find_prompt(settings, "desk@live")
    assert replace(found) == known
    assert note is not None
    assert "going on with desk@1, the version of desk@live that was known last" in note
    with pytest.raises(TrackingError, match="does not answer"):
        find_prompt(settings, "desk@2")
    monkeypatch.setattr("llmflowlab.prompts.last_known.open_store", stores.open_store)
    with pytest.raises(InputError, match="no 'desk@2'"):
        find_prompt(settings, "desk@2")


def test_the_starting_set_is_registered_as_its_files_say(store):
    done = sync(store, read_prompt_files(starting_set()))
    assert {one.name for one in done} == set(FILES)
    assert {one.state for one in done} == {"new"}
    for name in FILES:
        found = load_prompt(store, name)
        roles = {"text": "user"}
        written = [(roles.get(role, role), text) for role, text in found.written.parts]
        assert written == messages(name)
        assert found.tags["demonstrates"] == front_matter(name)["demonstrates"]
        whole = found.template.to_text()
        assert "{{>" not in whole
        if found.included:
            assert found.included == ("support_policy@1",)
            assert POLICY in whole


def test_prompts_are_not_counted_as_models(store, settings):
    # The menu said "9 registered models" of a home whose starting set was registered.
    sync(store, read_prompt_files(starting_set()))
    store.client.create_registered_model("llm_guide_chat")
    assert count_registered(settings) == 1
