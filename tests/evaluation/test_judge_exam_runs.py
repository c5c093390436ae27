"""Whole evaluations with an examined judge: by either harness, and what later doors make of them."""

from __future__ import annotations

import json
import threading
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest

from llmflowlab.cli.evaluate.show_evaluation import result_tables
from llmflowlab.cli.info_command import show_info
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.baseline import check_baseline, earlier_baseline
from llmflowlab.evaluation.conclude.conclusions import conclude, headline
from llmflowlab.evaluation.reports.changes import Side, diff_sides
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.history.overview import load_evaluations
from llmflowlab.history.past_answers import past_rows
from llmflowlab.history.summary import compare
from llmflowlab.lab.early_decision import refuse_decided
from tests.cli.fakes import FakeApp
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.evaluation.test_engine import stored
from tests.evaluation.test_judge_exam import CAPITALS, CSV, Decides, sound
from tests.known import known
from tests.patience import PATIENCE

KNOWS = {land: f"{city}." for land, city in CAPITALS.items()}


def but_one(claim, shown):
    """Judge soundly, but call one right answer wrong that is not shown in the examination."""
    return "no" if shown == "Paris." else sound(claim, shown)


def evaluate(home, ledger, tmp_path, judge, *, harness="fast", models=None, **options):
    models = models or [TableModel("good", home, KNOWS), TableModel("bad", home, {})]
    made = plan(
        dataset(tmp_path, options.pop("csv", CSV)),
        candidates=[spec(model.reference) for model in models],
        scorers=options.pop("scorers", ("correctness", "exact_match")),
        judge=judge.reference,
        **options,
    )
    work = bench(home, models, ledger, tmp_path, judge=judge, exam=5, harness=harness)
    return run_evaluation(made, work)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        pytest.param("because", "good: correctness 100%", id="believed"),
        # Nothing is concluded from it, it said, and then what it came to.
        pytest.param("", "table:good: correctness says nothing of it, as the judge", id="not"),
    ],
)
def test_of_a_single_candidate_no_figure_is_praised_whose_judge_is_not_believed(
    home, ledger, tmp_path, reason, told
):
    models = [TableModel("good", home, KNOWS)]
    result = evaluate(home, ledger, tmp_path, Decides(home, sound, reason), models=models)
    assert told in headline(result)[0]
    assert conclude(result)[0] == headline(result)[0]


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


def test_what_a_judge_said_that_is_not_believed_stays_in_doubt_at_every_later_door(
    home, ledger, tmp_path, capsys
):
    """`info` named the best of an evaluation that concluded nothing, by the judge it did not believe."""
    believed, empty = Decides(home, sound), Decides(home, sound, "")
    sound_one = evaluate(home, ledger, tmp_path, believed, evaluation_id="sound", fresh=True)
    best = compare([], load_evaluations(home))
    assert best.best == ("table:good",)
    doubted = evaluate(home, ledger, tmp_path, empty, evaluation_id="empty", fresh=True)
    now = compare([], load_evaluations(home))
    assert [known(model.quality).mean for model in now.models] == [1.0, 0.0]
    why = "its judge did not pass its examination for correctness"
    assert [known(model.quality).doubt for model in now.models] == [why, why]
    assert now.best == ()
    app: Any = FakeApp(home)
    assert show_info(app, provider=None, as_json=True) == 0
    document = json.loads(capsys.readouterr().out)
    assert [model["quality"]["doubt"] for model in document["models"]] == [why, why]
    assert document["winners"]["quality"] == []
    # No star at the best mean.
    marks = [len(result_tables(result)[1].marked) for result in (sound_one, doubted)]
    assert marks == [2, 1]
    reason = "the judge table:judge did not pass its examination"
    for a, b in ((sound_one, doubted), (doubted, sound_one), (doubted, doubted)):
        # The second is far worse than the first, or far better.
        for one, two in ((0, 1), (1, 0)):
            found = diff_sides(Side(a, one), Side(b, two), "correctness")
            assert (found.verdict, found.caveat) == ("no_difference_shown", reason)
    assert diff_sides(Side(sound_one, 0), Side(sound_one, 1)).verdict == "a_better"
    for result, earlier in ((sound_one, "empty"), (doubted, "sound")):
        baseline = earlier_baseline(ledger, result.plan, earlier)
        gates = check_baseline(result, baseline, margin=0.02, min_coverage=0.9)
        assert [gate.passed for gate in gates] == [False, False]
        assert all(reason in gate.reason for gate in gates)
    same = replace(sound_one.plan, evaluation_id="again")
    baseline = earlier_baseline(ledger, same, "sound")
    gates = check_baseline(sound_one, baseline, margin=0.3, min_coverage=0.9)
    # So few questions let nobody pass, but for another reason.
    assert not any(reason in gate.reason for gate in gates)


def test_rows_are_not_called_unanswerable_by_a_judge_that_is_not_believed(home, ledger, tmp_path):
    judge = Decides(home, lambda claim, shown: "no")
    evaluate(home, ledger, tmp_path, judge, scorers=("correctness",), evaluation_id="a", fresh=True)
    assert past_rows(ledger) == {}
    evaluate(home, ledger, tmp_path, Decides(home, sound), scorers=("correctness",), fresh=True)
    assert len(past_rows(ledger)) == len(CAPITALS)


@pytest.mark.parametrize("reason", ["because", ""], ids=["believed", "not-believed"])
def test_a_judge_that_is_not_believed_ends_no_comparison_early(home, ledger, tmp_path, reason):
    lands = {f"Land {number}": f"City {number}." for number in range(100, 220)}
    rows = "".join(f"The capital of {land}?,{city}\n" for land, city in lands.items())
    result = evaluate(
        home,
        ledger,
        tmp_path,
        Decides(home, sound, reason),
        models=[TableModel("good", home, lands), TableModel("bad", home, {})],
        csv="question,answer\n" + rows,
        scorers=("correctness",),
        until_decided=0.1,
    )
    early = bool(reason)
    state = known(result.sequential)
    assert (state.verdict, result.decided_early) == (("a_better", True) if early else (None, False))
    asked = sum(candidate.rows for candidate in result.candidates)
    assert (asked < 2 * len(lands)) is early
    assert result.comparisons[0].verdict == ("a_better" if early else "not_comparable")
    tags = stored(home, result.candidates[0].run_id)[0].data.tags
    assert ("llmflowlab.decided_early" in tags) is early
    said = next(line for line in conclude(result) if "decided" in line)
    assert ("table:good is better" in said) is early
    doubt = "not decided between table:good and table:bad: the judge table:judge did not pass"
    assert (doubt in said) is not early
    if early:
        with pytest.raises(InputError, match="was decided after"):
            refuse_decided(result.plan, ledger)
    else:
        refuse_decided(result.plan, ledger)


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


def test_the_examination_is_held_while_answers_are_under_way(settings, ledger, tmp_path):
    # Pins: it began with the first answer, and every evaluation took longer by one more verdict's time.
    asked = threading.Event()

    class Examined(Decides):
        def stream(self, request):
            asked.set()
            yield from super().stream(request)

    class Waits(TableModel):
        def stream(self, request):
            assert asked.wait(PATIENCE)
            yield from super().stream(request)

    judge = Examined(settings, sound)
    result = evaluate(settings, ledger, tmp_path, judge, models=[Waits("good", settings, KNOWS)])
    assert result.candidates[0].scores["correctness"].mean == 1.0
    assert len(result.exams) == 1


def test_nobody_is_examined_where_nothing_is_left_to_judge(settings, ledger, tmp_path):
    models = [TableModel("good", settings, KNOWS)]
    evaluate(settings, ledger, tmp_path, Decides(settings, sound), models=models)
    again = Decides(settings, sound)
    evaluate(settings, ledger, tmp_path, again, models=models)
    assert again.shown == []
