"""A prompt of the registry behind the service: its alias is followed, and no variable of it stays empty."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.prompts.prompt_registry import register_version, set_prompt_alias
from llmflowlab.prompts.prompt_template import PromptTemplate
from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import Store, open_store
from tests.patience import PATIENCE
from tests.service.running import Running, in_database, key_of, revoke, running


@pytest.fixture
def desk(mlflow_home: Path, settings: Settings) -> Store:
    store = open_store(settings)
    for text in (
        "You are the first desk.",
        "You are the second desk.",
        "Serve {{client}} of {{shop}}.",
    ):
        register_version(store, "desk", PromptTemplate.from_text(text))
    set_prompt_alias(store, "desk", "live", 1)
    return store


def until(service: Running, seen: Callable[[], bool], ask: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < end
        ask()


def test_a_moved_alias_of_a_prompt_reaches_every_request_after_it(
    settings: Settings, desk: Store, caplog: pytest.LogCaptureFixture
) -> None:
    model = ScriptedProvider(default="Yes.")
    with running(settings, model, wanted={"prompts": ("desk@live",)}, every=0.02) as service:
        assert service.chat("Hi", "s").status_code == 200
        assert model.requests[-1].system == "You are the first desk."
        set_prompt_alias(desk, "desk", "live", 2)
        codes: Counter[int] = Counter()

        def ask() -> None:
            with ThreadPoolExecutor(8) as pool:
                codes.update(pool.map(lambda _: service.complete("Hi").status_code, range(8)))

        second = "You are the second desk."
        until(service, lambda: model.requests[-1].system == second, ask)
        assert service.chat("And now?", "s").json()["turn"] == 1
        assert set(codes) == {200}
        # One that nobody fills does not take over, and is told of once.
        set_prompt_alias(desk, "desk", "live", 3)
        until(service, lambda: "{{client}}" in caplog.text, lambda: service.complete("Hi"))
        assert model.requests[-1].system == second
        turns = service.turns()
    described = in_database(
        settings,
        lambda c: dict(c.exec_driver_sql("SELECT id, described FROM deployments").all()),
    )
    # Each answer is of the version that it was asked with.
    by_turn = [described[turn["deployment"]] for turn in turns]
    asked = [request.system for request in model.requests]
    assert Counter("second" in text for text in by_turn) == Counter(
        text == second for text in asked
    )
    assert any('"desk@2"' in text for text in by_turn)
    assert caplog.text.count("{{client}}") == 1


def test_a_variable_that_requests_fill_is_said_with_the_models(
    settings: Settings, desk: Store
) -> None:
    model = ScriptedProvider(default="Yes.")
    wanted = {"prompts": ("desk@3",), "inputs": ("client",), "values": {"shop": "Cox"}}
    with running(settings, model, wanted=wanted) as service:
        (listed,) = service.client.get("/v1/models").json()["data"]
        assert listed["custom_inputs"] == ["client"]
        assert service.complete("Hi", custom_inputs={"client": "Ann"}).status_code == 200
        assert model.requests[-1].system == "Serve Ann of Cox."
        refused = service.complete("Hi")
        assert refused.status_code == 400
        assert "{{client}}" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--prompt", "desk@3"),
            "desk@3 has no value for {{client}}, {{shop}}; give --value NAME=TEXT, or",
        ),
        (("--prompt", "desk@1", "--input", "client"), "desk@1 has no variable {{client}}"),
        (("--prompt", "desk@9"), "desk"),
        (("--system", "Serve {{client}}."), "The system prompt has no value for {{client}}"),
        (("--input", "client"), "--input is for a variable of a --prompt"),
        (("--value", "client=Ann"), "--value is for a variable of a --prompt"),
    ],
)
def test_a_prompt_that_nobody_fills_is_refused_at_the_start(
    desk: Store, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert main(["serve", "--model", "guide", *options]) == 2
    found = capsys.readouterr()
    assert said in found.err
    assert found.out == ""


def test_a_model_that_there_is_none_of_is_refused_at_the_start(
    mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", "--model", "guide:nothere"]) == 2
    assert "The guide has no model 'nothere'; use guide:docs." in capsys.readouterr().err


def test_it_is_said_that_a_key_is_needed_where_all_are_revoked(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    key_of(settings, "shop")
    assert main(["serve", "keys"]) == 0
    assert "No key holds" not in capsys.readouterr().out
    revoke(settings, "shop")
    assert main(["serve", "keys"]) == 0
    assert "No key holds, and every request needs one" in " ".join(capsys.readouterr().out.split())
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        assert service.complete("Hi").status_code == 401
