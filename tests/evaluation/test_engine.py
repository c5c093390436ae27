"""Whole evaluations against a real MLflow store."""

from __future__ import annotations

import csv
import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from llmflowlab.data.dataset import subset
from llmflowlab.errors import AuthenticationFailed, NotConfigured
from llmflowlab.evaluation.conclude.conclusions import conclude
from llmflowlab.evaluation.run.engine import run_evaluation, to_document
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.settings import load_settings
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.evaluation.test_judges import verdict
from tests.patience import PATIENCE

GOOD = {"France": "Paris", "2 + 2": "The answer is 4.", "Österreich": "Wien", "colour": "Blue"}
REFUSED = AuthenticationFailed("The key was refused.", provider="table", model="one", status=401)


def run(settings, ledger, tmp_path, models, *, harness="fast", judge=None, **options):
    specs = [spec(model.reference) for model in models]
    if judge is not None:
        options |= {
            "scorers": ("exact_match", "contains", "correctness", "safety", "guidelines"),
            "judge": judge.reference,
        }
    made = plan(dataset(tmp_path), candidates=specs, **options)
    work = bench(settings, models, ledger, tmp_path, judge=judge, harness=harness)
    return run_evaluation(made, work)


def stored(settings, run_id):
    client = MlflowClient(settings.tracking_uri)
    run_ = client.get_run(run_id)
    traces = mlflow.MlflowClient(settings.tracking_uri).search_traces(
        locations=[run_.info.experiment_id], run_id=run_id
    )
    return run_, traces


@pytest.mark.parametrize("harness", ["fast", "mlflow"])
def test_an_evaluation_stands_in_mlflow_as_promised(home, ledger, tmp_path, harness):
    model = TableModel("one", home, GOOD)
    result = run(home, ledger, tmp_path, [model], harness=harness)
    assert result.problems == ()
    assert len(model.requests) == 4
    run_, traces = stored(home, result.candidates[0].run_id)
    assert run_.info.run_name == "Eval_Table_small"
    assert run_.info.status == "FINISHED"
    assert run_.data.tags["mlflow.runType"] == "genai_evaluate"
    assert run_.data.metrics["contains/mean"] == 1.0
    assert run_.data.metrics["exact_match/mean"] == pytest.approx(2 / 3)
    assert run_.data.metrics["exact_match/coverage"] == 0.75
    assert run_.data.metrics["total_tokens"] == 4 * 10 + 7
    assert "total_cost_estimate" not in run_.data.metrics
    assert run_.data.tags["llmflowlab.cost"] == "unknown"
    assert any(i.dataset.name == "small" for i in run_.inputs.dataset_inputs)
    assert len(traces) == 4
    for trace in traces:
        names = sorted(a.name for a in trace.info.assessments if a.feedback is not None)
        assert names == ["contains", "exact_match", "token_f1"]
        assert (
            json.loads(trace.info.trace_metadata["mlflow.trace.tokenUsage"])["input_tokens"] == 10
        )


def test_both_harnesses_store_the_same_assessments_and_means(home, ledger, tmp_path):
    found = {}
    for harness in ("fast", "mlflow"):
        answers: dict[str, str | Exception] = {**GOOD, "2 + 2": REFUSED}
        judged = {"Paris": verdict("yes"), "Wien": verdict("no"), "": "no verdict at all"}
        result = run(
            home,
            ledger,
            tmp_path,
            [TableModel("one", home, answers)],
            harness=harness,
            judge=TableModel("judge", home, judged),
            evaluation_id=f"eval-{harness}",
            fresh=True,
        )
        run_, traces = stored(home, result.candidates[0].run_id)
        means = {k: v for k, v in run_.data.metrics.items() if k.endswith("/mean")}
        means.pop("latency/mean")
        found[harness] = (
            means,
            {
                (t.info.request_preview, a.name, value_of(a), a.rationale, a.source.source_type)
                for t in traces
                for a in t.info.assessments
            },
        )
    assert found["fast"] == found["mlflow"]
    assert found["fast"][0]["correctness/mean"] == 0.5


def value_of(assessment):
    if assessment.expectation is not None:
        return assessment.expectation.value
    error = assessment.feedback.error
    return assessment.feedback.value if error is None else error.error_code


def test_a_failed_answer_is_neither_right_nor_wrong(home, ledger, tmp_path):
    model = TableModel("one", home, {**GOOD, "France": REFUSED})
    result = run(home, ledger, tmp_path, [model])
    candidate = result.candidates[0]
    assert (candidate.answered, candidate.failed) == (3, {"authentication": 1})
    score = candidate.scores["contains"]
    assert (score.mean, score.scored, score.coverage) == (1.0, 2, 0.5)
    assert score.not_scored == {"answer_failed": 1, "no_expected_answer": 1}
    assert any("not every answer" in sentence for sentence in conclude(result))


def test_a_second_run_asks_nothing_and_says_so(home, ledger, tmp_path):
    first, second = TableModel("one", home, GOOD), TableModel("one", home, GOOD)
    before = run(home, ledger, tmp_path, [first])
    after = run(home, ledger, tmp_path, [second], evaluation_id="again")
    assert second.requests == []
    assert (after.candidates[0].sent, after.candidates[0].reused) == (0, 4)
    assert after.candidates[0].scores == before.candidates[0].scores


def test_answers_stay_with_whoever_used_them_again_where_who_paid_for_them_is_forgotten(
    home, ledger, tmp_path
):
    first, second = TableModel("one", home, GOOD), TableModel("one", home, GOOD)
    before = run(home, ledger, tmp_path, [first])
    run(home, ledger, tmp_path, [first], evaluation_id="again")
    ledger.forget(before.plan.evaluation_id)
    # Pins: going on asked them, and paid for them, once more.
    after = run(home, ledger, tmp_path, [second], evaluation_id="again")
    assert second.requests == []
    assert (after.candidates[0].sent, after.candidates[0].reused) == (0, 4)
    assert after.candidates[0].scores == before.candidates[0].scores
    # Of a part, the first row is another row of the whole.
    part = replace(after.plan, dataset=subset(after.plan.dataset, [3]))
    assert not find_reusable(part, ledger, part=True).answers
    run(home, ledger, tmp_path, [second], evaluation_id="another")
    assert len(second.requests) == 4


def test_a_fresh_run_asks_again(home, ledger, tmp_path):
    run(home, ledger, tmp_path, [TableModel("one", home, GOOD)])
    again = TableModel("one", home, GOOD)
    run(home, ledger, tmp_path, [again], evaluation_id="again", fresh=True)
    assert len(again.requests) == 4


def test_only_what_failed_is_asked_again(home, ledger, tmp_path):
    run(home, ledger, tmp_path, [TableModel("one", home, {**GOOD, "France": REFUSED})])
    again = TableModel("one", home, GOOD)
    result = run(home, ledger, tmp_path, [again])
    assert [r.messages[0].content for r in again.requests] == ["What is the capital of France?"]
    assert result.candidates[0].answered == 4


def test_several_candidates_are_compared_under_one_parent(home, ledger, tmp_path):
    good = TableModel("good", home, GOOD)
    bad = TableModel("bad", home, {})
    result = run(home, ledger, tmp_path, [good, bad])
    assert result.parent_run_id is not None
    child, _ = stored(home, result.candidates[0].run_id)
    assert child.data.tags["mlflow.parentRunId"] == result.parent_run_id
    contains = next(c for c in result.comparisons if c.scorer == "contains")
    assert contains.test is not None
    assert (contains.test.n, contains.test.difference) == (3, -1.0)
    # Three rows cannot show anything: p = 0.25 before Holm.
    assert contains.verdict == "no_difference_shown"
    assert contains.test.p_value == 0.25


def test_the_document_has_null_for_unknown_and_no_nan(home, ledger, tmp_path):
    result = run(home, ledger, tmp_path, [TableModel("one", home, {"": REFUSED})])
    document = json.loads(to_document(result))
    candidate = document["candidates"][0]
    assert candidate["scores"]["contains"]["mean"] is None
    assert candidate["scores"]["contains"]["ci_low"] is None
    assert candidate["cost_usd"] is None
    assert candidate["latency"] == {"mean": None, "p50": None, "p95": None}
    assert candidate["tokens"] == {"prompt": None, "completion": None, "total": None}
    assert candidate["failed"] == {"authentication": 4}


def test_the_spreadsheet_has_the_benchmarks_columns_and_no_formula(home, ledger, tmp_path):
    model = TableModel("one", home, {**GOOD, "France": "=HYPERLINK(1)"})
    result = run(home, ledger, tmp_path, [model])
    with Path(result.files["answers_csv"]).open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[:5] == ["question", "answer", "category", "language", "guidelines"]
    assert rows[0]["table:one answer"] == "'=HYPERLINK(1)"
    assert rows[3]["table:one contains"] == "not scored: no_expected_answer"


def test_a_recording_that_was_cut_off_is_finished_without_doubling_anything(home, ledger, tmp_path):
    model = TableModel("one", home, GOOD)
    first = run(home, ledger, tmp_path, [model])
    second = run(home, ledger, tmp_path, [model])
    assert first.candidates[0].run_id == second.candidates[0].run_id
    _, traces = stored(home, second.candidates[0].run_id)
    assert len(traces) == 4
    assert all(len(t.data.spans) == 2 for t in traces)
    counts = {len([a for a in t.info.assessments if a.feedback]) for t in traces}
    assert counts == {3}


def test_a_store_that_is_down_loses_no_figure(home, ledger, tmp_path):
    settings = load_settings(
        {
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        },
        cwd=tmp_path,
        stdin_is_terminal=False,
    )
    result = run(settings, ledger, tmp_path, [TableModel("one", home, GOOD)])
    assert result.problems
    assert result.candidates[0].scores["contains"].mean == 1.0
    assert ledger.evaluation(result.plan.evaluation_id).state == "partial"
    later = run(home, ledger, tmp_path, [TableModel("one", home, {})])
    assert later.problems == ()
    assert later.candidates[0].answered == 4


def test_ctrl_c_that_comes_where_python_can_only_print_it_stops_all_the_same(
    home, ledger, tmp_path
):
    class Dropped:
        def __del__(self):
            signal.raise_signal(signal.SIGINT)

    stopping = threading.Event()

    class Held(TableModel):
        # However slow the machine is, the stop comes while the first row is in flight.
        def stream(self, request):
            assert stopping.wait(PATIENCE)
            return super().stream(request)

    model = Held("one", home, GOOD)
    seen: list[str] = []

    def tell(snapshot):
        if not seen:
            Dropped()
        seen.append(snapshot.phase)
        if snapshot.detail.startswith("stopping"):
            stopping.set()

    made = plan(dataset(tmp_path), candidates=[spec(model.reference)])
    work = replace(bench(home, [model], ledger, tmp_path), concurrency=1)
    result = run_evaluation(made, work, on_progress=tell)
    assert result.interrupted
    assert ledger.evaluation(made.evaluation_id).state == "interrupted"


def test_a_client_that_cannot_be_built_fails_its_candidate_alone(home, ledger, tmp_path):
    # A certificate file that was not there ended the whole evaluation.
    class Unbuildable(TableModel):
        def prepare(self):
            raise NotConfigured("SSL_CERT_FILE names x.pem, which is not there.", provider="table")

    models = [Unbuildable("one", home, GOOD), TableModel("two", home, GOOD)]
    result = run(home, ledger, tmp_path, models)
    assert [dict(candidate.failed) for candidate in result.candidates] == [
        {"not_configured": 4},
        {},
    ]
    assert [candidate.answered for candidate in result.candidates] == [0, 4]
    assert models[0].requests == []
    why = "SSL_CERT_FILE names x.pem, which is not there."
    assert json.loads(to_document(result))["candidates"][0]["why_failed"] == why
    assert any(why in sentence for sentence in conclude(result))
