"""Whole evaluations with an examined judge: by either harness, and what later doors make of them."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.conclude.conclusions import conclude
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.evaluation.test_engine import stored
from tests.evaluation.test_judge_exam import CAPITALS, CSV, Decides, sound

KNOWS = {land: f"{city}." for land, city in CAPITALS.items()}


def but_one(claim, shown):
    """Judge soundly, but call one right answer wrong that is not shown in the examination."""
    return "no" if shown == "Paris." else sound(claim, shown)


def evaluate(home, ledger, tmp_path, judge, *, harness="fast", models=None, **options):
    models = models or [TableModel("good", home, KNOWS), TableModel("bad", home, {})]
    made = plan(
        dataset(tmp_path, CSV),
        candidates=[spec(model.reference) for model in models],
        scorers=("correctness", "exact_match"),
        judge=judge.reference,
        **options,
    )
    work = bench(home, models, ledger, tmp_path, judge=judge, exam=5, harness=harness)
    return run_evaluation(made, work)


@pytest.mark.parametrize("reason", ["because", ""], ids=["believed", "not-believed"])
def test_both_harnesses_examine_the_judge_and_say_the_same(home, ledger, tmp_path, reason):
    found = {}
    for harness in ("fast", "mlflow"):
        judge = Decides(home, but_one, reason)
        of = f"eval-{harness}"
        result = evaluate(
            home, ledger, tmp_path, judge, harness=harness, evaluation_id=of, fresh=True
        )
        assert result.problems == ()
        # Nothing of the candidates' was judged before the examination was over.
        assert all(shown in CAPITALS.values() for _, shown in judge.shown[:10])
        assert len(judge.shown) == 10 + 2 * len(CAPITALS)
        document = result.to_json()
        assert stored_result(ledger, of).to_json()["judging"] == document["judging"]
        runs = [stored(home, candidate.run_id)[0].data for candidate in result.candidates]
        found[harness] = {
            "judging": document["judging"],
            "comparisons": document["comparisons"],
            "ranks": [rank.rank for rank in result.leaderboard["correctness"]],
            "said": [line for line in conclude(result) if line.startswith("correctness")],
            "calls": document["judge_usage"]["calls"],
            "tags": [run.tags["llmflowlab.judge_exam"] for run in runs],
            "metrics": [
                {k: v for k, v in run.metrics.items() if k.startswith("correctness/")}
                for run in runs
            ],
        }
        again = Decides(home, but_one, reason)
        later = evaluate(
            home, ledger, tmp_path, again, harness=harness, evaluation_id=f"later-{harness}"
        )
        assert again.shown == []
        assert later.to_json()["judging"] == document["judging"]
    fast = found["fast"]
    assert fast == found["mlflow"]
    believed = bool(reason)
    assert fast["judging"]["correctness"]["exam"]["passed"] is believed
    assert fast["judging"]["correctness"]["contradicts"] == {
        "scorer": "exact_match",
        "rows": 1,
        "of": 12,
    }
    word = "passed" if believed else "failed"
    assert fast["tags"] == [f"correctness: {word}"] * 2
    assert fast["ranks"] == ([1, 2] if believed else [1, 1])
    assert any("no verdict between" in line for line in fast["said"]) is not believed


@pytest.mark.parametrize("harness", ["fast", "mlflow"])
def test_a_verdict_that_cannot_be_written_down_ends_the_evaluation(
    home, ledger, tmp_path, harness, monkeypatch
):
    """MLflow's harness took it for a row without a score and went on paying."""
    append = Ledger.append

    def full(self, table, *values):
        if table != "judgements":
            return append(self, table, *values)
        failed: Future[None] = Future()
        failed.set_exception(TrackingError("The disk is full."))
        return failed

    monkeypatch.setattr(Ledger, "append", full)
    with pytest.raises(TrackingError, match="disk is full"):
        evaluate(home, ledger, tmp_path, Decides(home, sound), harness=harness)
