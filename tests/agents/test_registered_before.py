"""Versions that 0.1.0 registered, whose files name modules of the package as it was then."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import llmflowlab
from llmflowlab.agents.config import candidate_config, panel_config
from llmflowlab.agents.logged import log_agent
from llmflowlab.agents.package import AgentKind
from llmflowlab.settings import Settings, load_settings
from tests.warm import warm

OLD = Path(__file__).parent / "made_by_0_1_0"
KINDS: tuple[AgentKind, ...] = ("chat", "panel", "json", "responses")

# In a process of its own, as `registry` and `evaluate` load a version: nothing was imported before.
ANSWER = """
import json, sys
from pathlib import Path
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import TextDelta, allow_requests
from llmflowlab.providers.factory import build
from llmflowlab.providers.receiving import events_of
from llmflowlab.settings import load_settings
settings = load_settings(cwd=Path.cwd(), stdin_is_terminal=False)
asked = Request(messages=(Message("user", "What is a run?"),))
said = {}
for kind in sys.argv[1:]:
    provider = build(f"mlflow:old_{kind}/1", settings)
    events = list(events_of(provider, asked))
    said[kind] = "".join(event.text for event in events if isinstance(event, TextDelta))
print(json.dumps(said))
"""


@pytest.fixture
def registered(mlflow_home: Path) -> Settings:
    settings = load_settings(cwd=mlflow_home, stdin_is_terminal=False)
    for kind in KINDS:
        config = (
            panel_config("guide:docs", "guide:docs", tracing=False)
            if kind == "panel"
            else candidate_config("guide:docs", tracing=False)
        )
        log_agent(settings, kind, config, name=f"old_{kind}")
    files = [file for file in mlflow_home.rglob("*_agent.py") if file.parent.name != "agents"]
    assert {file.stem for file in files} == {f"{kind}_agent" for kind in KINDS}
    for file in files:
        shutil.copyfile(OLD / f"{file.stem}.txt", file)
    return settings


def test_they_load_and_answer_in_the_lab_of_today(registered: Settings, mlflow_home: Path):
    ran = subprocess.run(
        warm([sys.executable, "-W", "ignore", "-c", ANSWER, *KINDS]),
        cwd=mlflow_home,
        env={**os.environ, "PYTHONPATH": str(Path(llmflowlab.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    assert set(said) == set(KINDS)
    # The panel's second role, the guide too, is handed instructions that it knows nothing about.
    assert said.pop("panel").strip()
    assert all("record of one execution" in text for text in said.values()), said


def test_an_old_name_holds_what_stands_under_the_new_one():
    from llmflowlab.agents.old_names import install

    install()
    import llmflowlab.providers.conversations as old  # type: ignore[import-not-found]

    from llmflowlab import conversations as new

    assert {name: getattr(old, name) for name in new.__all__} == {
        name: getattr(new, name) for name in new.__all__
    }
