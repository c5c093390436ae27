"""The whole stack from processes, and a person in front of its page."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployment.postgres import server_programs
from deployment.stack import ROOT, Stack, running_stack
from tests.loopback import Fault, LoopbackServer
from tests.patience import PATIENCE
from tests.stack.stores import needs
from tests.stack.test_chat_page import ATTACK, Tab
from tests.warm import SITE


@pytest.fixture(autouse=True, scope="module")
def what_it_stands_on() -> None:
    needs("chainlit", "Chainlit")
    needs("psycopg", "a driver of PostgreSQL")
    if server_programs() is None:
        pytest.skip("PostgreSQL is not installed; run: apt-get install postgresql")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can go through."""
    made = Path(tempfile.mkdtemp(prefix="llmflowlab-stack-"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


def left_running(folder: Path) -> list[str]:
    """Return the commands of processes that have to do with a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
            if str(folder).encode() in words and int(process.name) != os.getpid():
                found.append((process / "cmdline").read_text().replace("\0", " ")[:200])
        except OSError:
            continue
    return found


def traces(stack: Stack) -> list[Any]:
    """Return what MLflow has of the answers, as its own client sees it."""
    from mlflow import MlflowClient

    client = MlflowClient(stack.mlflow)
    places = [each.experiment_id for each in client.search_experiments()]
    return list(client.search_traces(locations=places))


def test_ask_stream_stop_thumb_blocked_and_reload(
    browser: Any, folder: Path, loopback: LoopbackServer
) -> None:
    options = ("--model", "openai:gpt-4.1-mini", "--guardrails", "on")
    with running_stack(
        folder, *options, environment=loopback.environment("openai"), lasting=False
    ) as stack:
        tab = Tab(browser, stack.page)
        tab.ready()
        tab.say("What is a run?")
        assert tab.answer()
        assert "gpt-4.1-mini" in tab.figures()
        tab.thumb("positive", "short and right")

        loopback.fail(Fault("hang", after=1))
        tab.say("Tell me a long story.")
        with loopback.arrived:
            assert loopback.arrived.wait_for(lambda: len(loopback.chats()) >= 2, PATIENCE)
        tab.page.locator("#stop-button").click()
        assert loopback.chats()[1].disconnected.wait(PATIENCE)
        assert tab.figures(2).startswith("Stopped")

        tab.say(ATTACK)
        assert tab.state(3) == "blocked"
        before = [tab.figures(number) for number in (1, 3)]

        tab.page.reload()
        assert [tab.figures(number) for number in (1, 3)] == before
        tab.page.locator(".positive-feedback-on").first.wait_for()
        assert [tab.state(number) for number in (1, 2, 3)] == ["complete", "interrupted", "blocked"]
        assert tab.wrong == []
        tab.context.close()
        with httpx.Client(base_url=stack.service, trust_env=False, timeout=PATIENCE) as ask:
            (session,) = ask.get("/sessions").json()["sessions"]
            kept = ask.get(f"/sessions/{session['session_id']}").json()["turns"]
            assert [turn["thumb"] for turn in kept] == ["up", None, None]
    # What the service had told MLflow it told before it ended.
    assert left_running(folder) == []
    with running_stack(folder, *options, environment=loopback.environment("openai")) as stack:
        # The folder is gone on with: sessions are in PostgreSQL, traces in MLflow's.
        with httpx.Client(base_url=stack.service, trust_env=False, timeout=PATIENCE) as ask:
            again = ask.get(f"/sessions/{session['session_id']}").json()["turns"]
        assert again == kept
        assert {trace.info.trace_id for trace in traces(stack)} == {
            turn["trace_id"] for turn in kept
        }
    assert left_running(folder) == []


def test_ctrl_c_ends_all_of_it(folder: Path) -> None:
    ports = ("--service-port", "0", "--page-port", "0", "--mlflow-port", "0")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "deployment.stack", "--folder", str(folder), *ports],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{SITE}"},
    )
    assert process.stdout is not None
    with process.stdout:
        said = [process.stdout.readline() for _ in range(5)]
        assert said[4] == "Ctrl-C ends all of it.\n", said
        addresses = [line.split()[1] for line in said[1:4]]
        for address, path in zip(addresses, ("/health", "/ready", "/health"), strict=True):
            assert httpx.get(address + path, trust_env=False, timeout=PATIENCE).status_code == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 0
    assert left_running(folder) == []
