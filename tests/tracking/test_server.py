"""A tracking server that is away, hangs, and comes back."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.history.overview import load_sessions
from llmflowlab.settings import Settings
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.store import open_store, sqlite_path
from llmflowlab.tracking.store_errors import StoreBusy, StoreUnreachable, safe_uri
from tests.loopback.server import closed_port
from tests.mlflow_server import mlflow_server
from tests.patience import PATIENCE
from tests.tracking.conftest import MakeDelivery
from tests.tracking.helpers import Stored, rating, record, settings_for, turn


def test_sessions_held_while_the_server_is_away_arrive_when_it_is_back(
    mlflow_home: Path,
    tmp_path: Path,
    deliver: MakeDelivery,
    notices: list[str],
    package: ModelPackage,
) -> None:
    port = closed_port()
    home = tmp_path / "lab"
    home.mkdir()
    settings = settings_for(
        home,
        MLFLOW_TRACKING_URI=f"http://127.0.0.1:{port}",
        # A loaded machine may take long over a server's first answers.
        MLFLOW_HTTP_REQUEST_TIMEOUT="60",
    )
    first = turn(0)
    away = deliver(settings, package=package)
    record(settings, away, first, turn(1), ratings=(rating(first),))
    record(settings, away, turn(0))
    assert not away.wait(PATIENCE)
    assert not away.wait(PATIENCE)
    assert away.pending() == 2
    assert notices == [
        f"MLflow at http://127.0.0.1:{port} does not answer; the session is kept in "
        f"{settings.journals_dir} and delivered later."
    ]
    records = json.loads((settings.artifacts_dir / "gemini_artifacts.json").read_text("utf-8"))
    assert [r["run_id"] for r in records] == [None, None, None]
    with pytest.raises(StoreUnreachable):
        load_sessions(settings)
    said: list[str] = []
    assert len(load_sessions(settings, on_notice=said.append)) == 2
    assert len(said) == 1
    away.stop()

    with mlflow_server(mlflow_home, port):
        delivery = deliver(settings, package=package)
        assert delivery.wait(PATIENCE)
        # These sessions were ended by their own process.
        assert delivery.recovered == []
        stored = Stored(settings)
        assert len(stored.runs()) == 2
        assert {run.info.status for run in stored.runs()} == {"FINISHED"}
        assert len(stored.traces()) == 3
        rated = [t for t in stored.traces() if t.info.assessments]
        assert [t.info.trace_id for t in rated] == [first.trace_id]
        assert [a.value for a in rated[0].info.assessments] == [4]
        assert rated[0].info.trace_metadata["mlflow.trace.session"]
        assert rated[0].data.spans[0].outputs["choices"][0]["message"]["content"] == "Antwort 0"
        (version,) = stored.versions()
        assert version.current_stage == "Staging"
        _seen_from_another_machine(tmp_path, settings)
    records = json.loads((settings.artifacts_dir / "gemini_artifacts.json").read_text("utf-8"))
    assert None not in [r["run_id"] for r in records]
    assert list(settings.journals_dir.iterdir()) == []
    assert len(notices) == 1


def _seen_from_another_machine(tmp_path: Path, settings: Settings) -> None:
    other = tmp_path / "other"
    other.mkdir()
    there = load_sessions(settings_for(other, **settings.environment))
    assert sorted(s.turns for s in there) == [1, 2]
    assert {s.source for s in there} == {"tracking"}
    here = {s.session_id: s.cost for s in load_sessions(settings)}
    assert {s.session_id: s.cost for s in there} == here


def test_a_server_that_hangs_is_given_up_and_said(
    settings: Settings, deliver: MakeDelivery, notices: list[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hanging = settings_for(
            settings.home,
            MLFLOW_TRACKING_URI=f"http://user:pass-word@127.0.0.1:{port}",
            MLFLOW_HTTP_REQUEST_TIMEOUT="1",
            MLFLOW_HTTP_REQUEST_MAX_RETRIES="0",
        )
        delivery = deliver(hanging)
        record(hanging, delivery, turn(0))
        assert not delivery.wait(PATIENCE)
    assert delivery.pending() == 1
    assert len(notices) == 1
    assert f"http://***@127.0.0.1:{port} does not answer" in notices[0]
    assert "pass-word" not in notices[0]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        pytest.param("http://a:b@host:1/x", "http://***@host:1/x", id="password"),
        pytest.param("postgresql://a:b@host/db", "postgresql://***@host/db", id="database"),
        pytest.param("http://host:1", "http://host:1", id="none"),
        pytest.param("sqlite:////home/x.db", "sqlite:////home/x.db", id="sqlite"),
    ],
)
def test_addresses_are_shown_without_their_password(uri: str, shown: str) -> None:
    assert safe_uri(uri) == shown


def test_a_sqlite_address_names_its_file() -> None:
    assert sqlite_path("sqlite:////home/x.db?timeout=5") == Path("/home/x.db")
    assert sqlite_path("http://host") is None


def test_an_address_with_an_impossible_port_is_one_clear_sentence(settings: Settings) -> None:
    broken = settings_for(settings.home, MLFLOW_TRACKING_URI="http://localhost:none")
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI"):
        open_store(broken)


def test_an_experiment_that_was_deleted_is_named_with_the_remedy(lab: Settings) -> None:
    store = open_store(lab)
    store.client.delete_experiment(store.experiment_id("LLMS_Text_Generation"))
    with pytest.raises(TrackingError, match="mlflow experiments restore"):
        open_store(lab).experiment_id("LLMS_Text_Generation")


def test_a_locked_database_is_told_from_other_failures(lab: Settings) -> None:
    from mlflow.exceptions import MlflowException

    store = open_store(lab)
    with pytest.raises(StoreBusy), store.translated():
        raise MlflowException("(sqlite3.OperationalError) database is locked")
    with pytest.raises(TrackingError, match="failed: something else"), store.translated():
        raise MlflowException("something else\nwith details")


def test_traces_are_found_by_id(lab: Settings, deliver: MakeDelivery) -> None:
    delivery = deliver()
    one = turn(0)
    record(lab, delivery, one)
    assert delivery.wait(PATIENCE)
    found = open_store(lab).traces([one.trace_id, "tr-" + "0" * 32])
    assert list(found) == [one.trace_id]
    assert len(found[one.trace_id].data.spans) == 1


def test_what_we_start_knows_the_home_and_store_and_keeps_what_the_person_set(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llmflowlab.tracking.store import child_environment

    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "7")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    from_file = settings_for(settings.home, MLFLOW_SQLALCHEMYSTORE_POOLCLASS="QueuePool", PATH="p")
    given = child_environment(from_file)
    assert given["LLMFLOWLAB_HOME"] == str(settings.home)
    assert given["MLFLOW_TRACKING_URI"] == settings.tracking_uri
    assert given["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "7"
    assert given["MLFLOW_SQLALCHEMYSTORE_POOLCLASS"] == "QueuePool"
    assert given["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert given["PATH"] == "p"
