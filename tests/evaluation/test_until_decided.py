"""Comparisons that end when they are decided: what is asked, recorded, and said of them."""

from __future__ import annotations

import csv
from dataclasses import replace
from threading import Event
from typing import Any

import mlflow
import pytest

from llmflowlab.data.dataset import load_dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.conclusions import headline
from llmflowlab.evaluation.conclude.deciding import Decider, sequential_of
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.verify import verify_run
from llmflowlab.evaluation.scores import Score
from llmflowlab.lab.early_decision import refuse_decided, refuse_undecidable
from llmflowlab.providers.base import Finished, TextDelta, Usage, UsageReport
from llmflowlab.tracking.store import open_store
from tests.evaluation.helpers import TableModel, bench, plan, spec
from tests.evaluation.test_judges import verdict
from tests.known import known

ROWS = 300


@pytest.fixture
def data(tmp_path):
    file = tmp_path / "many.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["question", "answer"])
        writer.writerows([f"q{i:03}", f"a{i:03}"] for i in range(ROWS))
    return load_dataset(file)


def answers(wrong=()):
    return {f"q{i:03}": "no" if i in wrong else f"a{i:03}" for i in range(ROWS)}


def decided(home, ledger, tmp_path, data, good, bad, **options):
    models = [TableModel("good", home, good), TableModel("bad", home, bad)]
    made = plan(
        data,
        candidates=[spec(model.reference) for model in models],
        scorers=("contains",),
        until_decided=0.1,
        **options,
    )
    return made, models, run_evaluation(made, bench(home, models, ledger, tmp_path))


def test_a_clear_difference_ends_the_evaluation_early_and_whole(home, ledger, tmp_path, data):
    _, models, result = decided(home, ledger, tmp_path, data, answers(), answers(range(0, ROWS, 2)))
    asked = sum(len(model.requests) for model in models)
    assert asked < ROWS
    found = result.sequential
    assert found.verdict == "a_better"
    assert found.not_asked == 2 * ROWS - asked
    assert result.problems == ()
    [comparison] = result.comparisons
    assert comparison.verdict == "a_better"
    assert comparison.to_json()["p_value"] is None
    assert "decided after" in headline(result)[1]
    # Coverage speaks of what was asked, and the books balance on that.
    assert {candidate.scores["contains"].coverage for candidate in result.candidates} == {1.0}
    for candidate in result.candidates:
        run = mlflow.MlflowClient(home.tracking_uri).get_run(candidate.run_id)
        assert run.info.status == "FINISHED"
        assert run.data.tags["llmflowlab.partial"] == "false"
        assert run.data.tags["llmflowlab.decided_early"].startswith("a_better after")
        checks = verify_run(open_store(home), candidate.run_id)
        assert all(check.equal for check in checks)


def test_what_was_kept_gives_the_same_verdict_again(home, ledger, tmp_path, data):
    made, _, result = decided(home, ledger, tmp_path, data, answers(), answers(range(0, ROWS, 2)))
    again = stored_result(ledger, made.evaluation_id)
    assert again.sequential == result.sequential
    assert not again.interrupted
    with pytest.raises(InputError, match="was decided after"):
        refuse_decided(made, ledger)


def test_the_quicker_candidate_does_not_run_ahead(home, ledger, tmp_path, data):
    _, models, _ = decided(home, ledger, tmp_path, data, answers(), answers(range(ROWS)))
    counts = [len(model.requests) for model in models]
    assert abs(counts[0] - counts[1]) <= 16 + 2 * 4


class SlowJudge(TableModel):
    """Says yes to right answers, after the candidates had the time to run ahead."""

    def stream(self, request):
        Event().wait(0.01)
        yield TextDelta(verdict("no" if "wrong" in request.messages[-1].content else "yes"))
        yield UsageReport(Usage(prompt_tokens=10, completion_tokens=5))
        yield Finished("stop", "judge-001")


def test_answers_do_not_run_ahead_of_a_slow_judge(home, ledger, tmp_path, data):
    # It once had asked all rows before the judge had seen the first few, and saved nothing.
    good, bad = {"q": "right"}, {f"q{i:03}": "wrong" for i in range(0, ROWS, 2)} | {"q": "right"}
    models = [TableModel("good", home, good), TableModel("bad", home, bad)]
    judge = SlowJudge("judge", home, {})
    made = plan(
        data,
        candidates=[spec(model.reference) for model in models],
        scorers=("correctness",),
        judge=judge.reference,
        until_decided=0.1,
    )
    result = run_evaluation(made, bench(home, models, ledger, tmp_path, judge=judge))
    assert known(result.sequential).verdict == "a_better"
    asked = sum(len(model.requests) for model in models)
    assert asked <= 2 * known(result.sequential).looked_at + 16 + 2 * 4 + 2 * 4 + 2 * 4
    assert known(result.sequential).not_asked == 2 * ROWS - asked
    assert f"{2 * ROWS - asked} answers were not asked for" in headline(result)[1]


def test_what_was_decided_with_all_rows_asked_does_not_speak_of_savings(
    home, ledger, tmp_path, data
):
    made, _, result = decided(home, ledger, tmp_path, data, answers(), answers(range(0, ROWS, 2)))
    scores = {c: {"contains": score(1.0)} for c in made.cells()}
    answered = dict.fromkeys(made.cells(), next(iter(result.answers.values())))
    found = sequential_of(made, "contains", answered, scores)
    assert (known(found).verdict, known(found).not_asked) == ("equivalent", 0)
    assert headline(replace(result, sequential=found))[1].endswith(
        "All answers were there by then."
    )


def test_an_open_comparison_asks_every_row(home, ledger, tmp_path, data):
    wrong = set(range(0, ROWS, 3))
    made, models, result = decided(
        home, ledger, tmp_path, data, answers(wrong), answers({i + 1 for i in wrong})
    )
    assert [len(model.requests) for model in models] == [ROWS, ROWS]
    assert known(result.sequential).verdict is None
    assert "not decided" in headline(result)[1]
    refuse_decided(made, ledger)


def score(value):
    if value is None:
        return Score(scorer="contains", not_scored="answer_failed")
    return Score(scorer="contains", value=value)


def test_rows_are_looked_at_in_their_own_order_whatever_comes_in_first(data):
    made = plan(data, candidates=[spec("t:a"), spec("t:b")], until_decided=0.1)
    forwards, backwards = Decider(made, "contains"), Decider(made, "contains")
    values = {row: (1.0, float(row % 3 == 0)) for row in made.row_order}
    for decider, rows in ((forwards, made.row_order), (backwards, made.row_order[::-1])):
        for row in rows:
            for candidate in (0, 1):
                decider.add(Cell(candidate, row), score(values[row][candidate]))
    assert forwards.state() == backwards.state()
    # Nothing can be decided while the first row of the order is out.
    waiting = Decider(made, "contains")
    for row in made.row_order[1:]:
        for candidate in (0, 1):
            assert not waiting.add(Cell(candidate, row), score(values[row][candidate]))


def test_a_row_that_is_not_scored_tells_nothing(data):
    made = plan(data, candidates=[spec("t:a"), spec("t:b")], until_decided=0.1)
    decider = Decider(made, "contains")
    for row in made.row_order[:50]:
        decider.add(Cell(0, row), score(1.0))
        decider.add(Cell(1, row), score(None))
    assert decider.state().looked_at == 0
    assert decider.verdict is None


def test_the_order_has_nothing_to_do_with_the_file_and_is_the_same_each_time(data):
    options: dict[str, Any] = {"candidates": [spec("t:a"), spec("t:b")], "until_decided": 0.1}
    first = plan(data, **options)
    assert first.row_order == plan(data, **options).row_order
    assert list(first.row_order) != list(range(ROWS))
    assert first.row_order != plan(data, **options, order_seed=1).row_order
    assert list(plan(data).row_order) == list(range(ROWS))


def test_an_ordinary_evaluation_has_no_such_verdict(data):
    assert sequential_of(plan(data), "contains", {}, {}) is None


@pytest.mark.parametrize(
    ("options", "harness", "words"),
    [
        pytest.param({"candidates": [spec("t:a")]}, "fast", "two candidates, not 1", id="one"),
        pytest.param({"trials": 2}, "fast", "once", id="trials"),
        pytest.param({}, "mlflow", "while it runs", id="harness"),
        pytest.param({"scorers": ("bleu",)}, "fast", "whole dataset", id="corpus"),
    ],
)
def test_what_cannot_end_early_is_refused(data, options, harness, words):
    made = plan(data, **{"candidates": [spec("t:a"), spec("t:b")], "until_decided": 0.1, **options})
    with pytest.raises(InputError, match=words):
        refuse_undecidable(made, harness=harness)
