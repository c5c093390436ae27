"""Weights & Biases itself, without its server: the files it writes hold MLflow's figures, and nothing else is left."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import pytest

from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.store import child_environment
from llmflowlab.tracking.wandb_run import WandbRun, WandbTable, wandb_folder, write_wandb_run
from tests.doors.evaluated import GEMINI, GPT, SCORERS, evaluate
from tests.loopback import LoopbackServer
from tests.patience import PATIENCE
from tests.stack.wandb_file import run_files
from tests.tracking.helpers import Stored, failed_turn, rating, record, turn

pytest.importorskip("wandb", reason='run: pip install "llmflowlab[wandb]"')

KEY = "b" * 40
OFFLINE = {
    "LLMFLOWLAB_TRACKERS": "mlflow,wandb",
    "WANDB_MODE": "offline",
    "WANDB_API_KEY": KEY,
    # Nothing answers there, should anything be sent all the same.
    "WANDB_BASE_URL": "http://127.0.0.1:9",
}


@pytest.fixture
def offline(mlflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in OFFLINE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(mlflow_home))
    return load_settings(cwd=mlflow_home, stdin_is_terminal=False)


def helpers_of(home: Path) -> list[int]:
    """Return the processes of the package's own that work for a home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = f"LLMFLOWLAB_HOME={home}\0".encode() in (folder / "environ").read_bytes()
            if ours and b"wandb-core" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def test_a_session_is_a_run_file_with_mlflows_figures_and_nothing_of_the_machine(
    offline: Settings,
    mlflow_home: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    notices: list[str] = []
    delivery = Delivery(offline, on_notice=notices.append)
    found = {"category": "email", "direction": "in", "action": "mask", "rule": "email"}
    one, other = turn(0, violations=[found]), failed_turn(1)
    session = record(offline, delivery, one, other, ratings=(rating(one, value=True),))
    capfd.readouterr()
    delivery.deliver_once()
    assert (delivery.pending(), notices) == (0, [])
    (run,) = run_files(wandb_folder(offline)).values()
    assert (run.id, run.name, run.exit_code) == (session.session_id, "Chat_Gemini", 0)
    kept = Stored(offline).run()
    totals = {n: v for n, v in kept.data.metrics.items() if not n.startswith("turn_")}
    assert {name: run.summary.get(name) for name in totals} == totals
    assert dict(kept.data.params).items() <= run.config.items()
    costs = {each["_step"]: each["turn_cost"] for each in run.history if "turn_cost" in each}
    assert costs == dict(Stored(offline).history(kept.info.run_id, "turn_cost"))
    rows = run.table("interactions")
    assert [row["trace_id"] for row in rows] == [one.trace_id, other.trace_id]
    assert (rows[0]["prompt"], rows[0]["thumbs_up"]) == (one.prompt, True)
    assert run.table("guardrail_violations")[0]["category"] == "email"
    raw = (run.folder / f"run-{run.id}.wandb").read_bytes()
    captured = (socket.gethostname(), getpass.getuser(), KEY, str(elsewhere), sys.executable)
    # Where its tables lie is in there; a test's folder is named after the account.
    told = raw.replace(str(mlflow_home).encode(), b"")
    assert [word for word in captured if len(word) > 3 and word.encode() in told] == []
    in_files = [
        file
        for file in wandb_folder(offline).rglob("*")
        if file.is_file() and KEY.encode() in file.read_bytes()
    ]
    assert in_files == []
    assert list(elsewhere.iterdir()) == []
    assert capfd.readouterr() == ("", "")
    assert helpers_of(mlflow_home) == []


def test_a_writer_that_is_killed_leaves_nothing_that_the_next_one_does_not_mend(
    offline: Settings, mlflow_home: Path
) -> None:
    rows = [[number, "x" * 1000] for number in range(20_000)]
    table = WandbTable(name="interactions", columns=["n", "text"], rows=rows)
    run = WandbRun(
        id="s1",
        name="n",
        group="g",
        kind="chat",
        config={"a": "b"},
        summary={"turns": 2.0},
        tables=[table],
    )
    folder = wandb_folder(offline)
    folder.mkdir(parents=True)
    order = json.dumps({"folder": str(folder), "project": "p", "run": asdict(run)})
    writer = subprocess.Popen(
        [sys.executable, "-m", "llmflowlab.tracking.wandb_writer"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env=child_environment(offline, with_lab=True),
    )
    assert writer.stdin is not None
    writer.stdin.write(order)
    writer.stdin.close()
    while not list(folder.glob("offline-run-*-s1/*.wandb")):
        assert writer.poll() is None
        threading.Event().wait(0.01)
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait(PATIENCE)
    # What it started ends with it.
    while helpers_of(mlflow_home):
        threading.Event().wait(0.05)
    write_wandb_run(offline, run)
    (found,) = run_files(folder).values()
    assert (found.exit_code, found.summary["turns"]) == (0, 2.0)
    assert len(found.table("interactions")) == 20_000


@pytest.mark.skipif(shutil.which("unshare") is None, reason="only Linux takes a network away")
def test_offline_no_network_is_missed(offline: Settings) -> None:
    # In a network of its own that has no interface at all, loopback's included.
    alone = [*("unshare", "--net", "--map-root-user"), sys.executable]
    if subprocess.run([*alone, "-c", ""], check=False, capture_output=True).returncode:
        pytest.skip("a network of one's own is not allowed here")
    run = WandbRun(id="s2", name="n", group="g", kind="chat", config={}, summary={"turns": 3.0})
    folder = wandb_folder(offline)
    folder.mkdir(parents=True)
    order = json.dumps({"folder": str(folder), "project": "p", "run": asdict(run)})
    written = subprocess.run(
        [*alone, "-m", "llmflowlab.tracking.wandb_writer"],
        input=order,
        capture_output=True,
        text=True,
        env=child_environment(offline, with_lab=True),
        check=False,
    )
    assert (written.returncode, written.stderr) == (0, "")
    (found,) = run_files(folder).values()
    assert (found.exit_code, found.summary["turns"]) == (0, 3.0)


@pytest.mark.usefixtures("requests_allowed")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_an_evaluations_pinned_figures_are_in_the_run_files(
    offline: Settings,
    mlflow_home: Path,
    loopback: LoopbackServer,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(mlflow_home)
    monkeypatch.setenv("LLMFLOWLAB_JUDGE_EXAM", "0")
    for name, value in loopback.environment().items():
        monkeypatch.setenv(name, value)
    seen = evaluate(mlflow_home, loopback)
    runs = run_files(wandb_folder(offline))
    whole = runs.pop(f"{seen.id}-all")
    assert sorted(runs) == [f"{seen.id}-0", f"{seen.id}-1"]
    assert {run.group for run in (whole, *runs.values())} == {seen.id}
    for index, model in enumerate((GPT, GEMINI)):
        run, kept = runs[f"{seen.id}-{index}"], seen.run(model)
        candidate = seen.candidate(model)
        assert run.config["llmflowlab.model"] == model
        assert {name: run.summary.get(name) for name in kept.data.metrics} == kept.data.metrics
        rows = run.table("interactions")
        answered = [row for row in rows if row["state"] == "complete"]
        assert len(answered) == candidate["answered"]
        known = [Decimal(str(row["cost_usd"])) for row in rows if row["cost_usd"] is not None]
        if len(known) == len(rows) and candidate["cost_usd"] is not None:
            assert float(sum(known)) == pytest.approx(candidate["cost_usd"])
        tokens = sum(row["prompt_tokens"] or 0 for row in answered)
        assert tokens <= candidate["tokens"]["prompt"]
        for scorer in SCORERS:
            scores = [row[scorer] for row in rows if row[scorer] is not None]
            assert len(scores) == candidate["scores"][scorer]["scored"]
            if scores:
                mean = sum(scores) / len(scores)
                assert mean == pytest.approx(candidate["scores"][scorer]["mean"], abs=0.02)
    charts = [name for name in whole.config if name.startswith("_wandb/visualize/compared ")]
    assert "_wandb/visualize/compared contains/mean" in charts
    assert len(whole.table("candidates")) == 2
    assert helpers_of(mlflow_home) == []
