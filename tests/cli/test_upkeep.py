"""`cache`, `adjust`, `repair` and `verify`, on evaluations that were really recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import mlflow
import pytest

from llmflowlab.cli import main
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.steering import Adjustment, note
from llmflowlab.settings import load_settings
from tests.evaluation.helpers import TableModel, answer, bench, dataset, plan, rows_in, spec
from tests.known import known

GOOD = {"France": "Paris", "2 + 2": "The answer is 4.", "Österreich": "Wien", "colour": "Blue"}
FIRST, SECOND = "20260101-000000-aaaa", "20260102-000000-bbbb"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / ".llmflowlab" / "evaluations.db")
    yield opened
    opened.close()


Recorded = Callable[..., EvaluationResult]


@pytest.fixture
def recorded(mlflow_home: Path, ledger: Ledger) -> Recorded:
    """Runs an evaluation of two models and records it."""
    settings = load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)

    def run(models: int = 1, **options: Any) -> EvaluationResult:
        given = [TableModel(name, settings, GOOD) for name in ("one", "two")[:models]]
        made = plan(dataset(mlflow_home), candidates=[spec(m.reference) for m in given], **options)
        result = run_evaluation(made, bench(settings, given, ledger, mlflow_home))
        assert result.problems == ()
        return result

    return run


def store(home: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{(home / 'mlflow.db').as_posix()}")


def traces(home: Path, run_id: str) -> list[Any]:
    client = store(home)
    experiment = client.get_run(run_id).info.experiment_id
    return list(client.search_traces(locations=[experiment], run_id=run_id))


def test_every_figure_of_an_untouched_run_is_equal(
    recorded: Recorded, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = known(recorded().candidates[0].run_id)
    assert main(["verify", run_id]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == f"Run {run_id}"
    assert shown[1].split() == ["figure", "reported", "recomputed", "equal"]
    figures = {line.split()[0]: line.split()[1:] for line in shown[3:-1]}
    assert figures["contains/mean"] == ["1", "1", "yes"]
    assert shown[-1] == f"All {len(shown) - 4} figures agree with the traces."


def test_a_metric_that_was_tampered_with_is_found(
    recorded: Recorded, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id = known(recorded().candidates[0].run_id)
    store(mlflow_home).log_metric(run_id, "exact_match/mean", 0.9)
    assert main(["verify", run_id]) == 5
    captured = capsys.readouterr()
    (line,) = [line for line in captured.out.splitlines() if line.endswith("NO")]
    assert line.split() == ["exact_match/mean", "0.9", "0.666666667", "NO"]
    assert "1 of " in captured.err


@pytest.mark.parametrize("name", ["evaluation", "parent"])
def test_an_evaluation_is_verified_by_each_of_its_candidates(
    recorded: Recorded, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    result = recorded(2)
    named = result.plan.evaluation_id if name == "evaluation" else result.parent_run_id
    assert named is not None
    assert main(["verify", named, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["equal"] is True
    assert [run["run_id"] for run in document["runs"]] == [c.run_id for c in result.candidates]
    checks = {check["figure"]: check for check in document["runs"][0]["checks"]}
    assert checks["rows"] == {"figure": "rows", "reported": 4.0, "recomputed": 4.0, "equal": True}


def test_a_deleted_trace_is_noticed_and_delivered_again(
    recorded: Recorded, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = recorded()
    run_id = result.candidates[0].run_id
    assert run_id is not None
    experiment = store(mlflow_home).get_run(run_id).info.experiment_id
    victim = traces(mlflow_home, run_id)[0].info.trace_id
    store(mlflow_home).delete_traces(experiment_id=experiment, trace_ids=[victim])
    assert main(["verify", run_id]) == 5
    capsys.readouterr()
    assert main(["repair", run_id]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"{result.plan.evaluation_id}: delivered to MLflow again")
    assert shown[1] == f"table:one: 4 of 4 answers with their scores, run {run_id}"
    assert victim in {trace.info.trace_id for trace in traces(mlflow_home, run_id)}
    assert main(["verify", run_id]) == 0
    capsys.readouterr()
    assert main(["repair", run_id, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["delivered"], document["problems"]) == (True, [])
    assert document["candidates"][0] == {
        "model": "table:one",
        "run_id": run_id,
        "rows": 4,
        "recorded": 4,
    }


def test_what_cannot_be_delivered_is_partial_still(
    recorded: Recorded,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    evaluation = recorded().plan.evaluation_id
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert main(["repair", evaluation]) == 4
    assert "MLflow at http://127.0.0.1:9 does not answer." in capsys.readouterr().err


def test_an_adjustment_is_a_document_for_a_script(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, tmp_path, FIRST)
    with held(ledger, FIRST):
        assert main(["adjust", FIRST, "--concurrency", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "evaluation_id": FIRST,
        "concurrency": 3,
        "budget_usd": None,
    }


@pytest.mark.parametrize("command", ["repair", "verify"])
def test_an_unknown_run_is_told_in_one_sentence(
    recorded: Recorded, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded()
    assert main([command, "0123456789abcdef0123456789abcdef"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("'0123456789abcdef0123456789abcdef' is neither ")
    assert "Traceback" not in "".join(said)


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["repair", "x"], id="repair"),
        pytest.param(["adjust", "x", "--concurrency", "3"], id="adjust"),
        pytest.param(["cache", "--clear", "--yes"], id="clear"),
    ],
)
def test_where_nothing_was_evaluated_nothing_is_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 2
    assert capsys.readouterr().err == f"No evaluation was made in {tmp_path} yet.\n"
    assert list(tmp_path.iterdir()) == []


def keep(
    ledger: Ledger, home: Path, name: str, *, answers: int = 2, cost: str | None = "0.001"
) -> None:
    """Write an evaluation down as if its process had died."""
    ledger.begin(plan(dataset(home), evaluation_id=name), f"{name[:4]}-01-01 00:00:00")
    for number in range(answers):
        record = answer(cost_usd=cost).to_json()
        ledger.append("answers", name, f"key-{number}", record).result()
        ledger.append("outcomes", name, f"0:{number}:0", {}).result()
    note(ledger, name, Adjustment(budget=Decimal(1)))


def test_cache_lists_what_is_kept(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, tmp_path, FIRST)
    keep(ledger, tmp_path, SECOND, answers=3, cost=None)
    with held(ledger, SECOND):
        assert main(["cache"]) == 0
    shown = capsys.readouterr().out.splitlines()
    rows = {line.split()[0]: line.split()[1:] for line in shown if line.startswith("2026")}
    # A process that died without a word left "running" behind; an unknown cost is not 0.
    assert rows[FIRST] == ["small", "interrupted", "4", "1", "2", "0", "$0.002"]
    assert rows[SECOND] == ["small", "running", "4", "1", "3", "0", "unknown"]
    assert shown[-1].startswith("2 evaluations, 5 answers and 0 judgements in ")


def test_cache_as_json(ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep(ledger, tmp_path, FIRST, cost=None)
    assert main(["cache", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["bytes"] > 0
    (entry,) = document["evaluations"]
    assert entry["evaluation_id"] == FIRST
    assert (entry["state"], entry["answers"], entry["cost_usd"]) == ("interrupted", 2, None)
    assert entry["candidates"] == ["table:one"]


def test_an_empty_home_has_an_empty_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": None, "bytes": 0, "evaluations": []}
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == "No evaluation is kept here yet.\n"
    assert list(tmp_path.iterdir()) == []


def test_clearing_one_leaves_the_others_and_gives_the_room_back(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, tmp_path, FIRST, answers=1)
    keep(ledger, tmp_path, SECOND, answers=2000)
    rows_in(ledger, "PRAGMA wal_checkpoint(TRUNCATE)")
    before = ledger.path.stat().st_size
    assert main(["cache", "--clear", SECOND, "--yes", "--json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [entry["evaluation_id"] for entry in document["evaluations"]] == [FIRST]
    assert captured.err == "1 evaluation cleared; MLflow keeps what it has.\n"
    assert document["bytes"] < before / 2
    for table in ("answers", "outcomes", "adjustments"):
        assert rows_in(ledger, f"SELECT DISTINCT evaluation FROM {table}") == [(FIRST,)]
    # The first one's questions are still there, so it can be resumed.
    assert len(ledger.plan(FIRST).dataset.rows) == 4


def test_clearing_all_leaves_nothing(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(ledger, tmp_path, FIRST)
    keep(ledger, tmp_path, SECOND)
    # Vectors once stayed: the embedding scorer kept them in a table that the ledger knew nothing of.
    ledger.keep_vectors({"key": (1.0, 0.5)})
    assert main(["cache", "--clear", "--yes"]) == 0
    assert "0 evaluations, 0 answers" in capsys.readouterr().out
    for table in ("evaluations", "datasets", "answers", "outcomes", "adjustments", "vectors"):
        assert rows_in(ledger, f"SELECT COUNT(*) FROM {table}") == [(0,)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param([FIRST], "Clearing needs a yes: give --yes.", id="no --yes"),
        pytest.param([SECOND, "--yes"], f"{SECOND} is running; stop it or wait", id="running"),
        pytest.param(["all", "--yes"], f"{SECOND} is running; stop it or wait", id="one of all"),
        pytest.param(["other", "--yes"], "There is no evaluation 'other' here", id="unknown"),
    ],
)
def test_what_may_not_be_cleared_stays(
    ledger: Ledger,
    tmp_path: Path,
    options: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(ledger, tmp_path, FIRST)
    keep(ledger, tmp_path, SECOND)
    with held(ledger, SECOND):
        assert main(["cache", "--clear", *options]) == 2
    assert capsys.readouterr().err.startswith(reason)
    assert rows_in(ledger, "SELECT COUNT(*) FROM answers") == [(4,)]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param([], "Say what to change: --concurrency N, --budget USD, or both.", id="none"),
        pytest.param(["--concurrency", "0"], "argument --concurrency: '0' is no number", id="0"),
        pytest.param(["--concurrency", "5000"], "argument --concurrency: '5000'", id="absurd"),
        pytest.param(["--budget", "nan"], "argument --budget: 'nan' is no amount", id="nan"),
        pytest.param(["--budget", "1e30"], "argument --budget: '1e30' is no amount", id="too much"),
        pytest.param(["--budget", "1"], f"{FIRST} is not running; go on with it", id="not running"),
    ],
)
def test_an_adjustment_that_cannot_be_is_refused(
    ledger: Ledger,
    tmp_path: Path,
    options: list[str],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep(ledger, tmp_path, FIRST)
    assert main(["adjust", FIRST, *options]) == 2
    assert capsys.readouterr().err.startswith(reason)
