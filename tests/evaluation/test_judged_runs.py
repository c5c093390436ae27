"""Whole evaluations with panels, pairs and judges of one's own."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from llmflowlab.errors import ConnectionFailed
from llmflowlab.evaluation.judging import Judge, Panel
from llmflowlab.evaluation.judging.judged_scorers import with_instructions
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.scorers.base import parse_scorer
from tests.evaluation.helpers import QUICK, TableModel, bench, dataset, metering, plan, spec
from tests.evaluation.test_judges import verdict
from tests.known import known

GOOD = {"France": "Paris", "2 + 2": "The answer is 4.", "Österreich": "Wien", "colour": "Blue"}
BAD = {"France": "Rome", "2 + 2": "The answer is 5.", "Österreich": "Graz", "colour": "Grey"}


class Prefers(TableModel):
    """Prefers the answer that matches a pattern, wherever it stands; the first place if both do."""

    def __init__(self, settings, pattern, name="prefers"):
        super().__init__(name, settings, {})
        self._pattern = re.compile(pattern)

    def stream(self, request):
        text = request.messages[-1].content
        first, second = (
            bool(
                self._pattern.search(
                    known(re.search(f"<{n}_answer>(.*?)</{n}_answer>", text, re.S))[1]
                )
            )
            for n in ("first", "second")
        )
        said = "first" if first else "second" if second else "tie"
        self.answers = {"": verdict(said)}
        yield from super().stream(request)


def run(
    home, ledger, tmp_path, models, judges, *, harness="fast", combine=None, tell=None, **options
):
    made = plan(
        dataset(tmp_path),
        candidates=[spec(model.reference) for model in models],
        judge=judges[0].reference,
        panel=tuple(judge.reference for judge in judges[1:]),
        judge_combine=combine,
        **options,
    )
    work = bench(home, models, ledger, tmp_path, harness=harness)
    asked = tuple(Judge(j, policy=QUICK, metering=metering(home)) for j in judges)
    work = replace(work, judge=Panel(judges=asked, combine=combine))
    return made, run_evaluation(made, work, on_progress=tell)


def test_what_judges_did_and_cost_is_told_meanwhile_as_it_is_at_the_end(home, ledger, tmp_path):
    rates = {"input_per_million": "1", "output_per_million": "4"}
    names = ("table:j", "table:good", "table:bad")
    (home.home / "prices.json").write_text(json.dumps(dict.fromkeys(names, rates)), "utf-8")
    models = [TableModel("good", home, GOOD), TableModel("bad", home, BAD)]
    judge = TableModel("j", home, {"": '{"rationale": "fits", "result": "yes"}'})
    told = []
    made, result = run(
        home,
        ledger,
        tmp_path,
        models,
        [judge],
        scorers=("correctness",),
        tell=lambda snapshot: told.append(snapshot.judging),
    )
    last = told[-1]
    assert (last.scorers, last.done) == (1, 2 * len(made.dataset.rows))
    assert not last.unpriced
    assert 0 < float(last.cost) == pytest.approx(result.judge_usage["cost_usd"])


@pytest.mark.parametrize("harness", ["fast", "mlflow"])
def test_the_better_answers_win_every_comparison(home, ledger, tmp_path, harness):
    models = [TableModel("good", home, GOOD), TableModel("bad", home, BAD)]
    judge = Prefers(home, "Paris|4|Wien|Blue")
    made, result = run(
        home, ledger, tmp_path, models, [judge], scorers=("preference",), harness=harness
    )
    means = [candidate.scores["preference"].mean for candidate in result.candidates]
    assert means == [1.0, 0.0]
    # Two orders a row, and both answers scored from the same two verdicts.
    assert len(judge.requests) == 2 * len(made.dataset.rows)
    assert result.judge_usage["calls"]["sent"] == len(judge.requests)
    assert result.problems == ()
    again = stored_result(ledger, made.evaluation_id)
    assert [c.scores["preference"].mean for c in again.candidates] == means


def test_a_judge_that_prefers_a_place_makes_nobody_better(home, ledger, tmp_path):
    models = [TableModel("good", home, GOOD), TableModel("bad", home, BAD)]
    judge = Prefers(home, "")
    _, result = run(home, ledger, tmp_path, models, [judge], scorers=("preference",))
    assert [c.scores["preference"].mean for c in result.candidates] == [0.5, 0.5]
    bias = result.to_json()["judging"]["preference"]
    assert (bias["order_flips"], bias["first_preferred"]) == (1.0, 1.0)


def test_an_answer_whose_only_opponent_failed_is_not_scored(home, ledger, tmp_path):
    down = ConnectionFailed("nothing answers", provider="table")
    models = [TableModel("good", home, GOOD), TableModel("bad", home, {**BAD, "France": down})]
    _, result = run(
        home, ledger, tmp_path, models, [Prefers(home, "Paris|4")], scorers=("preference",)
    )
    good, bad = (candidate.scores["preference"] for candidate in result.candidates)
    assert good.not_scored == {"no_opponent": 1}
    assert bad.not_scored == {"answer_failed": 1}


def test_three_candidates_are_compared_each_with_each(home, ledger, tmp_path):
    models = [TableModel(name, home, table) for name, table in (("a", GOOD), ("b", BAD), ("c", {}))]
    judge = Prefers(home, "Paris|4|Wien|Blue")
    made, result = run(home, ledger, tmp_path, models, [judge], scorers=("preference",))
    assert [c.scores["preference"].mean for c in result.candidates] == [1.0, 0.25, 0.25]
    assert len(judge.requests) == 2 * 3 * len(made.dataset.rows)


def test_a_panel_is_asked_once_for_each_verdict_and_a_second_run_asks_nobody(
    home, ledger, tmp_path
):
    models = [TableModel("good", home, GOOD)]
    judges = [
        TableModel(f"j{i}", home, {"": verdict(said)})
        for i, said in enumerate(["yes", "yes", "no"])
    ]
    _, first = run(home, ledger, tmp_path, models, judges, scorers=("correctness",))
    assert first.candidates[0].scores["correctness"].mean == 1.0
    asked = [len(judge.requests) for judge in judges]
    assert asked == [3, 3, 3]
    assert first.judge_usage["calls"] == {"sent": 9, "reused": 0}
    assert first.judging["correctness"].unanimous == 0.0
    _, second = run(
        home,
        ledger,
        tmp_path,
        models,
        judges,
        scorers=("correctness",),
        evaluation_id="20260101-000000-beef",
    )
    assert [len(judge.requests) for judge in judges] == asked
    assert second.judge_usage["calls"] == {"sent": 0, "reused": 9}


def test_a_panel_with_a_judge_that_is_down_scores_nothing_and_stops_asking(home, ledger, tmp_path):
    down = TableModel("down", home, {"": ConnectionFailed("nothing answers", provider="table")})
    other = TableModel("other", home, {"": verdict("yes")})
    models = [TableModel("good", home, GOOD)]
    _, result = run(home, ledger, tmp_path, models, [down, other], scorers=("correctness",))
    score = result.candidates[0].scores["correctness"]
    assert (score.mean, score.not_scored) == (None, {"judge_failed": 3, "no_expected_answer": 1})
    assert other.requests == []


def test_a_judge_of_ones_own_scores_and_is_kept_with_the_evaluation(home, ledger, tmp_path):
    file = tmp_path / "brief.txt"
    file.write_text("scale: 1-5\n\nIs it brief? <answer>{{answer}}</answer>\n", "utf-8")
    described = with_instructions(parse_scorer(f"brief=judge:file={file}"))
    file.unlink()
    judge = TableModel("j", home, {"": verdict(4)})
    models = [TableModel("good", home, GOOD)]
    made, result = run(
        home,
        ledger,
        tmp_path,
        models,
        [judge],
        scorers=("brief",),
        scorer_specs=(described,),
    )
    assert result.candidates[0].scores["brief"].mean == 0.75
    assert result.problems == ()
    again = ledger.plan(made.evaluation_id)
    assert again.spec("brief") == described


def test_the_same_answer_made_anew_gets_the_verdict_that_was_paid_for(home, ledger, tmp_path):
    # Of an answer that nobody could know of beforehand the earlier verdict was not looked up.
    judge = TableModel("j", home, {"": verdict("yes")})
    options = {"scorers": ("correctness",)}
    run(home, ledger, tmp_path, [TableModel("a", home, GOOD)], [judge], **options)
    asked = len(judge.requests)
    assert asked == 3
    models = [TableModel("b", home, GOOD)]
    _, again = run(
        home, ledger, tmp_path, models, [judge], evaluation_id="20260101-000000-beef", **options
    )
    assert len(models[0].requests) == 4
    assert len(judge.requests) == asked
    assert again.judge_usage["calls"] == {"sent": 0, "reused": 3}
