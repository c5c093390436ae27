"""Stores that are busy, full, wrong or away: never a run that looks whole while something is missing."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from contextlib import ExitStack, closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.replay import repair
from llmflowlab.evaluation.run.verify import verify_run
from llmflowlab.files import exclusive
from llmflowlab.settings import load_settings
from llmflowlab.tracking.store import open_store
from llmflowlab.tracking.store_errors import StoreUnreachable
from tests.evaluation import faulty
from tests.evaluation.faulty import ID, CountedModel, Options
from tests.evaluation.helpers import bench
from tests.known import known
from tests.loopback.server import closed_port
from tests.mlflow_server import mlflow_server
from tests.patience import PATIENCE

ROWS = 30


@pytest.fixture
def home(mlflow_home):
    return mlflow_home


@pytest.fixture
def settings(home):
    return load_settings({}, cwd=home, stdin_is_terminal=False)


@pytest.fixture
def ledger(settings):
    opened = Ledger(settings.state_dir / "evaluations.db")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def quick_models(monkeypatch):
    monkeypatch.setattr(CountedModel, "latency", 0.0)


class InTwoParts(CountedModel):
    """Answers the later questions only once it may: rows that come after those stored already."""

    def __init__(self, settings):
        super().__init__("one", settings)
        self.go_on = threading.Event()

    def answer(self, text):
        if int(text.rpartition(" ")[2]) >= ROWS // 2:
            assert self.go_on.wait(PATIENCE)
        return super().answer(text)


def evaluate(settings, ledger, home, *, on_progress=None, recorder=None, model=None):
    options = Options(home=str(home), rows=ROWS, candidates=("one",), judge=False)
    plan = faulty.made(options)
    models = [model or CountedModel("one", settings)]
    work = bench(settings, models, ledger, home, recorder=recorder)
    return run_evaluation(plan, work, on_progress=on_progress)


def the_run(home):
    (run,) = faulty.stored_books(home).values()
    return run


def assert_whole(home, settings):
    run = the_run(home)
    assert run["status"] == "FINISHED"
    assert run["tags"]["llmflowlab.partial"] == "false"
    assert run["tags"]["llmflowlab.missing"] == ""
    assert len(run["traces"]) == ROWS
    client = open_store(settings).client
    experiment = known(client.get_experiment_by_name("LLMS_Evaluation")).experiment_id
    (found,) = client.search_runs([experiment])
    assert [c for c in verify_run(open_store(settings), found.info.run_id) if not c.equal] == []


def delivered(settings, ledger, home):
    """Repair asks no model and makes the books balance."""
    asked = len(faulty.requests(home))
    result = repair(ledger, settings, ID, tick=lambda: None)
    assert result.problems == ()
    assert ledger.evaluation(ID).state == "finished"
    assert len(faulty.requests(home)) == asked == ROWS
    assert_whole(home, settings)


def test_a_recorder_that_is_killed_loses_nothing_and_repair_delivers(home, settings, ledger):
    recorder = RecorderProcess(settings, ledger.path)
    model = InTwoParts(settings)

    def kill(snapshot):
        if snapshot.recorded and not model.go_on.is_set():
            os.kill(recorder.pid, signal.SIGKILL)
            model.go_on.set()

    result = evaluate(settings, ledger, home, on_progress=kill, recorder=recorder, model=model)
    assert len(result.problems) == 1
    assert "recorder ended unexpectedly" in result.problems[0]
    assert result.candidates[0].answered == ROWS
    assert ledger.evaluation(ID).state == "partial"
    assert the_run(home)["status"] == "RUNNING"
    assert 0 < len(the_run(home)["traces"]) < ROWS
    delivered(settings, ledger, home)


def test_a_recorder_that_is_ready_after_its_evaluation_was_killed_and_resumed_opens_no_run_again(
    home, settings, ledger
):
    # On a busy machine it once left the runs that its successor had finished as RUNNING.
    evaluate(settings, ledger, home)
    with exclusive(settings, f"recording-{ID}"):
        late = RecorderProcess(settings, ledger.path)
        late.begin(ID)
        assert late._process.stdin is not None
        late._process.stdin.close()
    with suppress(TrackingError):
        late.wait(lambda: None)
    assert_whole(home, settings)


def test_a_database_that_others_hold_for_a_while_is_waited_for(home, settings, ledger):
    other = sqlite3.connect(home / "mlflow.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    released = threading.Event()

    def release(snapshot):
        # All is answered, and nothing could be written so far.
        if snapshot.phase == "recording" and not released.is_set():
            assert snapshot.recorded == 0
            other.execute("ROLLBACK")
            released.set()

    with closing(other):
        result = evaluate(settings, ledger, home, on_progress=release)
    assert released.is_set()
    assert result.problems == ()
    assert_whole(home, settings)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit on a file's size")
def test_a_disk_that_is_full_leaves_no_run_that_looks_whole(home, settings, ledger):
    room = (home / "mlflow.db").stat().st_size + 40_000
    options = Options(home=str(home), rows=ROWS, candidates=("one",), judge=False, file_size=room)
    found = faulty.finish(options)
    assert len(found["problems"]) == 1
    assert ledger.evaluation(ID).state == "partial"
    assert the_run(home)["status"] != "FINISHED"
    delivered(settings, ledger, home)


# Faults of the store itself, as triggers in its database: it refuses a row, and loses the spans of some
# and a score of others without a word.
FAULTS = """
CREATE TRIGGER refuses BEFORE INSERT ON spans WHEN NEW.content LIKE '%Question number 13\\"%'
BEGIN SELECT RAISE(FAIL, 'out of order'); END;
CREATE TRIGGER loses_spans AFTER INSERT ON trace_tags WHEN NEW.key = 'mlflow.trace.spansLocation'
BEGIN DELETE FROM trace_tags WHERE key = NEW.key AND request_id = NEW.request_id
  AND request_id LIKE 'tr-a%'; END;
CREATE TRIGGER loses_a_score AFTER INSERT ON assessments WHEN NEW.name = 'token_f1'
BEGIN DELETE FROM assessments WHERE assessment_id = NEW.assessment_id AND trace_id IN
  (SELECT request_id FROM trace_info WHERE request_preview LIKE '%number 7'); END;
"""
MENDED = "DROP TRIGGER refuses; DROP TRIGGER loses_spans; DROP TRIGGER loses_a_score;"


def test_what_the_store_lacks_is_found_named_and_delivered_later(home, settings, ledger):
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.executescript(FAULTS)
    result = evaluate(settings, ledger, home)
    ids = [result.plan.trace_id(cell) for cell in result.plan.cells()]
    spanless = {row for row, trace in enumerate(ids) if trace.startswith("tr-a")}
    assert spanless
    lacking = sorted({7, 13} | spanless)
    assert result.problems == (f"table:one: {len(lacking)} of 30 answers are not whole in MLflow.",)
    assert result.candidates[0].answered == ROWS
    assert ledger.evaluation(ID).state == "partial"
    run = the_run(home)
    assert run["status"] == "FAILED"
    assert run["tags"]["llmflowlab.partial"] == "true"
    named = [str(row + 1) for row in lacking]
    assert run["tags"]["llmflowlab.missing"].split(", ") == named
    with closing(sqlite3.connect(home / "mlflow.db")) as database:
        database.executescript(MENDED)
    delivered(settings, ledger, home)


class OutOfOrder(BaseHTTPRequestHandler):
    """A server whose database is away."""

    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_server_that_is_out_of_order_is_one_to_wait_for(home):
    # MLflow's client gives up with "too many 503 error responses", which was once taken for a
    # failure that no waiting helps.
    with ThreadingHTTPServer(("127.0.0.1", 0), OutOfOrder) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}).start()
        try:
            environment = {
                "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{server.server_port}",
                "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
            }
            store = open_store(load_settings(environment, cwd=home, stdin_is_terminal=False))
            with pytest.raises(StoreUnreachable, match=r"out of order \(HTTP 503\)"):
                store.experiment_id("LLMS_Evaluation")
        finally:
            server.shutdown()


def test_a_server_that_is_killed_and_comes_back_gets_every_row(home, ledger, tmp_path):
    port = closed_port()
    settings = load_settings(
        {
            "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}",
            # A loaded machine may take long over a server's first answers.
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "60",
        },
        cwd=home,
        stdin_is_terminal=False,
    )
    servers = ExitStack()
    servers.enter_context(mlflow_server(home, port))
    model = InTwoParts(settings)

    def restart(snapshot):
        if snapshot.recorded and not model.go_on.is_set():
            servers.close()
            # The recorder finds nobody there until the new one has started.
            model.go_on.set()
            servers.enter_context(mlflow_server(home, port))

    with servers:
        result = evaluate(settings, ledger, home, on_progress=restart, model=model)
        assert model.go_on.is_set()
        assert result.problems == ()
        (run,) = faulty.stored_books(home, settings.tracking_uri).values()
        assert run["status"] == "FINISHED"
        assert len(run["traces"]) == ROWS
