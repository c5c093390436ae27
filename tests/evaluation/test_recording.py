"""What is written into MLflow, by whichever harness and however often: the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmflowlab.errors import AuthenticationFailed, Overloaded, TrackingError
from llmflowlab.evaluation.run.engine import run_evaluation, to_document
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import repair
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.evaluation.run.verify import verify_run
from llmflowlab.settings import load_settings
from llmflowlab.tracking.store import open_store
from tests.evaluation import faulty
from tests.evaluation.faulty import ID
from tests.evaluation.helpers import TableModel, answer, bench, dataset, plan, spec
from tests.evaluation.test_judges import verdict
from tests.patience import PATIENCE

MIXED = """question,answer,category,guidelines
What is the capital of France?,Paris,facts,
What is 2 + 2?,4,arithmetic,Answer with a number.
Was ist die Hauptstadt von Österreich?,Wien,facts,Answer in German.
Name a colour of the sky.,,facts,
Who wrote Faust?,Goethe,facts,Be short.
What is 2 + 2?,4,arithmetic,Answer with a number.
"""
REFUSED = AuthenticationFailed("The key was refused.", provider="table", model="one", status=401)
DOWN = Overloaded("The judge is busy.", provider="table", model="judge", status=503)
SCORERS = ("exact_match", "contains", "token_f1", "correctness", "safety", "guidelines")


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


def evaluate(settings, ledger, tmp_path, harness, *, well=False, on_progress=None, trials=2):
    """Two candidates, of which one fails on a row, and a judge that is not always to be had."""
    good = {"France": "Paris", "2 + 2": "It is 4.", "Österreich": "Wien", "sky": "Blue"}
    models = [
        TableModel("good", settings, {**good, "Faust": "=Goethe"}),
        TableModel("bad", settings, good if well else {**good, "France": REFUSED}),
    ]
    said: dict[str, Any] = (
        {"Faust": verdict("yes")} if well else {"Faust": DOWN, "sky": "no verdict at all"}
    )
    judge = TableModel("judge", settings, {**said, "Paris": verdict("no"), "": verdict("yes")})
    asked = plan(
        dataset(tmp_path, MIXED, "mixed.csv"),
        candidates=[spec(model.reference) for model in models],
        scorers=SCORERS,
        judge=judge.reference,
        trials=trials,
        evaluation_id=ID,
        fresh=True,
    )
    work = bench(settings, models, ledger, tmp_path, judge=judge, harness=harness)
    return run_evaluation(asked, work, on_progress=on_progress)


def books(home):
    """Return what MLflow holds, but for what only one of the harnesses writes.

    MLflow's writes no judge spans and no tokens of judging, logs the rows as a second dataset, and
    takes the user of the machine for the source of the expected answers.
    """
    found = faulty.stored_books(home)
    for run in found.values():
        del run["datasets"]
        traces = [json.loads(trace) for trace in run["traces"]]
        for trace in traces:
            trace["spans"] = [s for s in trace["spans"] if not s[0].startswith("judge ")]
            trace["assessments"] = sorted(
                [*said[:4], said[4] if said[0] != "expected_response" else None]
                for said in trace["assessments"]
            )
        run["traces"] = sorted(json.dumps(trace) for trace in traces)
    return found


def test_both_harnesses_write_the_same_of_a_mixed_evaluation(settings, ledger, home, tmp_path):
    found = {}
    documents = {}
    for harness in ("fast", "mlflow"):
        result = evaluate(settings, ledger, tmp_path, harness)
        assert result.problems == ()
        documents[harness] = json.loads(to_document(result))
        found[harness] = books(home)
        for candidate in result.candidates:
            checks = verify_run(open_store(settings), candidate.run_id)
            assert [check for check in checks if not check.equal] == []
            documents[harness]["candidates"][result.candidates.index(candidate)]["latency"] = {}
        # Measured seconds differ from run to run, and with them who is called the fastest.
        del documents[harness]["measures"], documents[harness]["recommendation"]
        # Done again by the other one in the same runs: each trace carries each score once.
    assert found["fast"] == found["mlflow"]
    fast, mlflow = (documents[harness].pop("judge_usage") for harness in ("fast", "mlflow"))
    # The second asked again for the verdicts that had failed, and what they took counts as well.
    assert mlflow["calls"]["reused"] == fast["calls"]["reused"]
    assert mlflow["calls"]["sent"] > fast["calls"]["sent"]
    assert documents["fast"] == documents["mlflow"]
    reasons = [
        candidate["scores"]["correctness"]["not_scored"]
        for candidate in documents["fast"]["candidates"]
    ]
    assert reasons == [
        {"judge_failed": 2, "no_expected_answer": 2},
        {"answer_failed": 2, "judge_failed": 2, "no_expected_answer": 2},
    ]
    assert found["fast"]["candidate-1"]["status"] == "FINISHED"
    assert len(found["fast"]["candidate-1"]["traces"]) == 12


def test_what_mlflows_harness_recorded_can_be_resumed_and_repaired(
    settings, ledger, home, tmp_path
):
    evaluate(settings, ledger, tmp_path, "mlflow", trials=1)
    result = evaluate(settings, ledger, tmp_path, "mlflow", well=True, trials=1)
    assert result.problems == ()
    resumed = books(home)
    assert repair(ledger, settings, ID, tick=lambda: None).problems == ()
    assert books(home) == resumed
    assert resumed["candidate-1"]["metrics"]["answered"] == 6
    assert resumed["candidate-1"]["metrics"]["correctness/coverage"] == pytest.approx(5 / 6)


@pytest.mark.parametrize("phase", ["scoring", "recording"])
def test_ctrl_c_after_the_last_answer_still_records(settings, ledger, home, tmp_path, phase):
    pressed: list[bool] = []

    def press(snapshot):
        if snapshot.phase == phase and not pressed:
            pressed.append(True)
            raise KeyboardInterrupt

    result = evaluate(settings, ledger, tmp_path, "fast", well=True, on_progress=press, trials=1)
    assert pressed
    assert result.interrupted
    assert result.problems == ()
    stored = faulty.stored_books(home)["candidate-0"]
    whole = phase == "recording" or stored["tags"]["llmflowlab.missing"] == ""
    assert stored["status"] == ("FINISHED" if whole else "KILLED")
    assert len(stored["traces"]) == 6


def test_a_second_ctrl_c_while_recording_leaves_the_rows_to_a_repair(
    settings, ledger, home, tmp_path
):
    def press(snapshot):
        if snapshot.phase == "recording":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate(settings, ledger, tmp_path, "fast", well=True, on_progress=press, trials=1)
    assert ledger.evaluation(ID).state == "interrupted"
    assert repair(ledger, settings, ID, tick=lambda: None).problems == ()
    assert faulty.stored_books(home)["candidate-1"]["status"] == "FINISHED"
    assert ledger.evaluation(ID).state == "finished"


def test_a_question_that_stands_in_the_file_twice_is_two_rows(ledger, tmp_path):
    asked = plan(dataset(tmp_path, MIXED, "mixed.csv"), evaluation_id=ID)
    keys = [asked.answer_key(cell) for cell in asked.cells()]
    assert len(set(keys)) == 6
    for number, key in enumerate(keys):
        ledger.append("answers", ID, key, answer(str(number)).to_json()).result()
    # A resumed evaluation once asked one of the two again, and gave both the same answer.
    found = find_reusable(asked, ledger)
    assert [found.answers[cell].text for cell in asked.cells()] == ["0", "1", "2", "3", "4", "5"]


def test_an_evaluations_own_answers_come_before_those_of_later_ones(ledger, tmp_path):
    asked = plan(dataset(tmp_path, MIXED, "mixed.csv"), evaluation_id=ID)
    first, second = asked.cells()[:2]
    for owner, text in ((ID, "own"), ("later", "other")):
        record = answer(text).to_json()
        ledger.append("answers", owner, asked.answer_key(first), record).result()
    borrowed = answer("borrowed").to_json()
    ledger.append("answers", "later", asked.answer_key(second), borrowed).result()
    found = find_reusable(asked, ledger)
    assert {cell: record.text for cell, record in found.answers.items()} == {
        first: "own",
        second: "borrowed",
    }
    assert found.borrowed == {second}


def test_a_thread_that_outlives_its_ledger_is_told_so_and_does_not_hang(settings):
    ledger = Ledger(settings.state_dir / "evaluations.db")
    ledger.close()
    with pytest.raises(TrackingError, match="is closed"):
        ledger.append("answers", ID, "key", {}).result(timeout=PATIENCE)
