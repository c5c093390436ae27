"""What Weights & Biases is told of a session, how it gets there, and what happens where it does not."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmflowlab.errors import ConfigurationError, InputError, TrackingError
from llmflowlab.lab.lab import Lab
from llmflowlab.settings import Settings
from llmflowlab.tracking import wandb_run, wandb_writer
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.sinks import wandb as wandb_sink
from llmflowlab.tracking.sinks.sink_table import Wiring, make_sinks
from llmflowlab.tracking.sinks.wandb import WandbSink
from llmflowlab.tracking.store_errors import StoreUnreachable
from llmflowlab.tracking.wandb_run import WandbRun, require_wandb, wandb_folder, write_wandb_run
from tests.tracking.helpers import Stored, failed_turn, rating, record, settings_for, start, turn

BOTH = {"LLMFLOWLAB_TRACKERS": "mlflow,wandb", "WANDB_MODE": "offline"}
FOUND = {"category": "email", "direction": "in", "action": "mask", "rule": "email", "excerpt": "…"}


class Fake:
    """The package as far as it is used."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}
        self.begun: dict[str, Any] = {}
        self.logged: list[tuple[dict[str, Any], int | None]] = []
        self.summary: dict[str, Any] = {}
        self.code: int | None = None
        self.plot = SimpleNamespace(bar=lambda table, label, value, title: (label, value, title))

    def Settings(self, **given: Any) -> dict[str, Any]:
        self.settings = given
        return given

    class Table:
        MAX_ROWS = MAX_ARTIFACT_ROWS = 0

        def __init__(self, columns: list[str], data: list[list[Any]]) -> None:
            assert all(len(row) == len(columns) for row in data)
            assert len(data) <= min(self.MAX_ROWS, self.MAX_ARTIFACT_ROWS)
            self.columns, self.data = columns, data

    def init(self, **given: Any) -> Fake:
        self.begun = given
        return self

    def log(self, values: dict[str, Any], step: int | None = None) -> None:
        self.logged.append((values, step))

    def finish(self, exit_code: int) -> None:
        self.code = exit_code


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wandb_run, "wandb_installed", lambda: True)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, installed: None) -> list[WandbRun]:
    """Runs as they are handed to the process that writes them."""
    found: list[WandbRun] = []
    monkeypatch.setattr(wandb_sink, "write_wandb_run", lambda settings, run: found.append(run))
    return found


def test_a_session_is_one_run_with_mlflows_figures(
    mlflow_home: Path, written: list[WandbRun], notices: list[str]
) -> None:
    settings = settings_for(mlflow_home, **BOTH)
    delivery = Delivery(settings, on_notice=notices.append)
    one, other = turn(0, violations=[FOUND]), failed_turn(1)
    session = record(settings, delivery, one, other, ratings=(rating(one, value=True),))
    delivery.deliver_once()
    assert (delivery.pending(), notices) == (0, [])
    (run,), kept = written, Stored(settings).run()
    assert (run.id, run.name, run.kind) == (session.session_id, "Chat_Gemini", "chat")
    totals = {n: v for n, v in kept.data.metrics.items() if not n.startswith("turn_")}
    assert run.summary == totals
    assert dict(kept.data.params).items() <= dict(run.config).items()
    assert run.config["llmflowlab.mlflow_run"] == kept.info.run_id
    assert run.config["llmflowlab.cost"] == kept.data.tags["llmflowlab.cost"]
    for name in run.steps[0].metrics:
        history = Stored(settings).history(kept.info.run_id, name)
        assert history == [(s.step, s.metrics[name]) for s in run.steps if name in s.metrics]
    interactions, violations = run.tables
    rows = [dict(zip(interactions.columns, row, strict=True)) for row in interactions.rows]
    assert [row["trace_id"] for row in rows] == [one.trace_id, other.trace_id]
    assert (rows[0]["guardrails"], rows[0]["thumbs_up"], rows[0]["rating"]) == (
        "email_in 1",
        True,
        None,
    )
    assert (rows[0]["cost_usd"], rows[0]["prompt_tokens"], rows[0]["inference_time"]) == (
        0.0001,
        10,
        2.0,
    )
    # Unknown is not zero.
    assert (rows[1]["cost_usd"], rows[1]["inference_time"], rows[1]["state"]) == (
        None,
        None,
        "failed",
    )
    assert violations.rows[0][violations.columns.index("category")] == "email"


def test_a_crashed_session_is_a_failed_run(installed: None) -> None:
    settings = settings_for(Path.cwd())
    session = SimpleNamespace(
        start=start(),
        turns=[turn(0)],
        ratings=[],
        crashed=True,
        interrupted=False,
        unreadable=0,
        run_id=None,
    )
    assert wandb_sink.session_run(session).state == "failed"  # type: ignore[arg-type] # all it reads
    assert settings.trackers == ("mlflow",)


def test_it_is_away_for_a_while_and_gets_each_session_once(
    mlflow_home: Path, monkeypatch: pytest.MonkeyPatch, notices: list[str], installed: None
) -> None:
    settings = settings_for(mlflow_home, **BOTH)
    away, got = [True], []

    def write(settings: Settings, run: WandbRun) -> None:
        if away[0]:
            raise StoreUnreachable("Weights & Biases does not answer.")
        got.append(run.id)

    monkeypatch.setattr(wandb_sink, "write_wandb_run", write)
    delivery = Delivery(settings, on_notice=notices.append)
    session = record(settings, delivery, turn(0))
    delivery.deliver_once()
    assert delivery.pending() == 1
    assert len(Stored(settings).runs()) == 1
    assert "Weights & Biases does not answer; the session is kept" in notices[0]
    delivery.stop()
    away[0] = False
    later = Delivery(settings, on_notice=notices.append)
    later.look()
    later.deliver_once()
    assert (got, later.pending()) == ([session.session_id], 0)
    assert len(Stored(settings).runs()) == 1
    assert not list(settings.journals_dir.glob("chat-*.jsonl"))
    later.stop()


def test_a_run_is_written_whole_and_of_the_machine_nothing(tmp_path: Path) -> None:
    torn = tmp_path / "offline-run-20260101_000000-s1"
    torn.mkdir()
    (tmp_path / "offline-run-20260101_000000-s2").mkdir()
    session = SimpleNamespace(
        start=start(session_id="s1"),
        turns=[turn(0), turn(1)],
        ratings=[],
        crashed=False,
        interrupted=False,
        unreadable=0,
        run_id="r",
    )
    run = wandb_sink.session_run(session)  # type: ignore[arg-type] # all it reads
    fake = Fake()
    wandb_writer.write_run(fake, json.loads(json.dumps(asdict(run))), tmp_path, "mine")
    assert fake.begun["project"] == "mine"
    assert not torn.exists()
    assert (tmp_path / "offline-run-20260101_000000-s2").exists()
    assert (fake.begun["id"], fake.begun["resume"], fake.code) == ("s1", "allow", 0)
    assert [step for _, step in fake.logged] == [0, 1, 2]
    assert fake.logged[0][0]["turn_cost"] == 0.0001
    assert list(fake.logged[2][0]) == ["interactions"]
    assert fake.summary == dict(run.summary)
    off = ("disable_git", "disable_code", "x_disable_meta", "x_disable_stats")
    assert all(fake.settings[name] is True for name in (*off, "x_disable_machine_info"))
    assert (fake.settings["console"], fake.settings["silent"], fake.settings["save_code"]) == (
        "off",
        True,
        False,
    )


class UsageError(Exception):
    """As the package's own is called."""


class CommError(Exception):
    """As the package's own is called."""


@pytest.mark.parametrize(
    ("exc", "said", "unreachable"),
    [
        (UsageError("No API key configured."), "set WANDB_API_KEY, or WANDB_MODE=offline", True),
        (CommError("no"), "does not answer", True),
        (PermissionError(13, "Permission denied"), "cannot be written (Permission denied)", False),
        (ValueError("secret b40"), "could not take a run (ValueError)", False),
        (ImportError("wandb"), 'pip install "llmflowlab[wandb]"', True),
    ],
)
def test_what_fails_is_said_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    exc: Exception,
    said: str,
    unreachable: bool,
) -> None:
    def fails(*_: Any) -> None:
        raise exc

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace())
    monkeypatch.setattr(wandb_writer, "write_run", fails)
    order = json.dumps({"folder": str(tmp_path), "project": "p", "run": {}})
    monkeypatch.setattr(sys, "stdin", io.StringIO(order))
    assert wandb_writer.main() == 1
    told = json.loads(capsys.readouterr().out)
    assert said in told["error"]
    assert told["unreachable"] is unreachable
    assert "b40" not in told["error"]


def test_the_writer_without_the_package_says_so(settings: Settings) -> None:
    if wandb_run.wandb_installed():
        pytest.skip("here it is installed")
    run = WandbRun(id="x", name="x", group="x", kind="chat", config={}, summary={})
    with pytest.raises(StoreUnreachable, match="not installed"):
        write_wandb_run(settings, run)
    assert wandb_folder(settings) == settings.state_dir / "wandb"


def test_a_writer_that_dies_without_a_word_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        wandb_run, "interpreted", lambda *_: [sys.executable, "-c", "raise SystemExit(9)"]
    )
    run = WandbRun(id="x", name="x", group="x", kind="chat", config={}, summary={})
    with pytest.raises(TrackingError, match="without a word"):
        write_wandb_run(settings, run)


@pytest.mark.parametrize(
    ("named", "said"), [("mlflow,mlfow", "names 'mlfow'"), ("wandb", "lacks mlflow")]
)
def test_trackers_that_there_are_not_are_refused(tmp_path: Path, named: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        settings_for(tmp_path, LLMFLOWLAB_TRACKERS=named)


def test_a_tracker_that_is_not_installed_is_said_before_anything_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_run, "wandb_installed", lambda: False)
    require_wandb(settings_for(tmp_path))
    with pytest.raises(ConfigurationError, match="pip install") as caught:
        Lab(settings_for(tmp_path, **BOTH)).require_trackers()
    assert caught.value.exit_code == 3


def test_a_mode_that_there_is_not_is_refused(tmp_path: Path, installed: None) -> None:
    with pytest.raises(InputError, match="WANDB_MODE is 'ofline'; set it to online, offline"):
        require_wandb(settings_for(tmp_path, **{**BOTH, "WANDB_MODE": "ofline"}))


def test_the_sink_is_used_where_it_is_chosen(tmp_path: Path) -> None:
    def names(settings: Settings) -> list[str]:
        wiring = Wiring(settings=settings, package=None, on_notice=print)
        return [sink.name for sink in make_sinks(wiring)]

    assert names(settings_for(tmp_path)) == ["files", "mlflow"]
    assert names(settings_for(tmp_path, **BOTH)) == ["files", "mlflow", "wandb"]
    assert WandbSink(settings_for(tmp_path)).local is False


@pytest.mark.parametrize(
    ("there", "variables", "state", "said"),
    [
        (False, {}, "missing", "not installed"),
        (True, {"WANDB_MODE": "ofline"}, "missing", "WANDB_MODE is 'ofline'"),
        (True, {}, "ok", "offline in"),
        (True, {"WANDB_MODE": "online"}, "note", "wandb login"),
        (True, {"WANDB_MODE": "online", "WANDB_API_KEY": "b" * 40}, "ok", "online"),
    ],
)
def test_doctor_looks_at_it_where_it_is_chosen(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
    variables: dict[str, str],
    state: str,
    said: str,
) -> None:
    from llmflowlab.lab import doctor

    monkeypatch.setattr(wandb_run, "wandb_installed", lambda: there)
    found = doctor._safely(doctor._wandb, Lab(settings_for(tmp_path, **{**BOTH, **variables})))
    assert (found.name, found.state) == ("Weights & Biases", state)
    assert said in found.text
    assert "b" * 40 not in f"{found.text}{found.remedy}"
