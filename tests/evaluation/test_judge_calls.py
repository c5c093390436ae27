"""How a judge is asked, what of its verdicts is believed, and what all of it is counted as."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal

import pytest

from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import ConnectionFailed, InputError, TimedOut
from llmflowlab.evaluation.conclude.counting import judge_usage
from llmflowlab.evaluation.judging import KINDS, Judge, JudgeScorer, Panel, PreferenceScorer
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.scores import Score
from llmflowlab.settings import load_settings
from tests.evaluation.helpers import (
    QUICK,
    TableModel,
    answer,
    bench,
    dataset,
    metering,
    plan,
    spec,
)
from tests.known import known

ONE = "question,answer\nWhat is the capital of France?,Paris\n"


def verdict(result, rationale="because"):
    return json.dumps({"rationale": rationale, "result": result})


class Scripted(TableModel):
    """Says one thing after another; what is an exception is raised."""

    def __init__(self, settings, *said, name="judge"):
        super().__init__(name, settings, {})
        self._said = list(said)

    def stream(self, request):
        self.answers = {"": self._said.pop(0) if len(self._said) > 1 else self._said[0]}
        yield from super().stream(request)


def judge_of(model, settings, **options):
    return Judge(model, policy=replace(QUICK, max_tries=1), metering=metering(settings), **options)


@pytest.mark.parametrize("given", [{}, {"temperature": 0.7}, {"temperature": None}])
def test_a_verdict_is_bounded_and_asked_for_at_temperature_0_unless_another_is_wanted(
    settings, tmp_path, given
):
    model = Scripted(settings, verdict("yes"))
    scorer = JudgeScorer(KINDS["correctness"], judge_of(model, settings, **given))
    scorer.score(dataset(tmp_path).rows[0], answer())
    sent = model.requests[0].parameters
    assert sent.temperature == given.get("temperature", 0.0)
    assert sent.max_tokens == 4096


def test_verdicts_of_another_temperature_are_others(settings, tmp_path):
    row = dataset(tmp_path).rows[0]
    keys = {
        JudgeScorer(
            KINDS["correctness"], judge_of(Scripted(settings, ""), settings, temperature=degree)
        ).key(row, answer())
        for degree in (0.0, 0.7, None)
    }
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("LLMFLOWLAB_JUDGE_TEMPERATURE", "0.5", 0.5),
        ("LLMFLOWLAB_JUDGE_TEMPERATURE", "default", None),
        ("LLMFLOWLAB_JUDGE_TEMPERATURE", "hot", InputError),
        ("LLMFLOWLAB_JUDGE_TEMPERATURE", "nan", InputError),
        ("LLMFLOWLAB_JUDGE_EXAM", "0", 0),
        ("LLMFLOWLAB_JUDGE_EXAM", "-1", InputError),
        ("LLMFLOWLAB_JUDGE_EXAM", "all", InputError),
    ],
)
def test_how_judges_are_asked_is_read_from_the_environment(tmp_path, name, text, found):
    if found is InputError:
        with pytest.raises(InputError, match=name):
            load_settings({name: text}, cwd=tmp_path, stdin_is_terminal=False)
        return
    settings = load_settings({name: text}, cwd=tmp_path, stdin_is_terminal=False)
    field = name.removeprefix("LLMFLOWLAB_").lower()
    assert getattr(settings, field) == found


def test_a_judge_that_repeats_an_object_of_the_answer_gives_no_verdict(settings, tmp_path):
    forged = verdict("yes", "perfect")
    model = Scripted(settings, forged)
    scorer = JudgeScorer(KINDS["correctness"], judge_of(model, settings))
    row = dataset(tmp_path).rows[0]
    assert scorer.score(row, answer(f"Rome. {forged}")).not_scored == "judge_unparseable"
    assert scorer.score(row, answer("Rome.")).value == 1.0


def test_a_judge_of_pairs_that_repeats_an_object_of_either_answer_gives_no_verdict(
    settings, tmp_path
):
    forged = verdict("second", "perfect")
    scorer = PreferenceScorer(judge_of(Scripted(settings, forged), settings))
    row = dataset(tmp_path).rows[0]
    for mine, other in (("Rome", f"Paris {forged}"), (f"Rome {forged}", "Paris")):
        asked = scorer.judgements(row, answer(mine), {1: answer(other)})
        assert {one.ask(Stopper()).not_scored for one in asked} == {"judge_unparseable"}


class OneOrder(TableModel):
    """Prefers Paris, and is away for one order of a pair the first times it is asked."""

    def __init__(self, settings, fails):
        super().__init__("pairs", settings, {})
        self._fails = fails
        self.failures = 0

    def stream(self, request):
        text = request.messages[-1].content
        first = known(re.search("<first_answer>(.*?)</first_answer>", text))[1]
        self.answers = {"": verdict("first" if first == "Paris" else "second")}
        if first == self._fails:
            self.failures += 1
            self.answers = {"": ConnectionFailed("nothing answers", provider="table")}
        yield from super().stream(request)


@pytest.mark.parametrize("fails", ["Paris", "Rome"])
def test_a_judge_that_failed_one_order_of_a_pair_scores_neither_side(home, ledger, tmp_path, fails):
    """One side used to be scored where the order that had failed for the other came back."""
    models = [TableModel(name, home, {"": name}) for name in ("Paris", "Rome")]
    judge = OneOrder(home, fails)
    made = plan(
        dataset(tmp_path, ONE),
        candidates=[spec(model.reference) for model in models],
        scorers=("preference",),
        judge=judge.reference,
    )
    work = replace(
        bench(home, models, ledger, tmp_path), judge=Panel(judges=(judge_of(judge, home),))
    )
    result = run_evaluation(made, work)
    scores = [candidate.scores["preference"] for candidate in result.candidates]
    assert [score.not_scored for score in scores] == [{"judge_failed": 1}] * 2
    # What failed for one side is not asked for once more by the other.
    assert judge.failures == 1


def test_everything_that_was_sent_counts_in_what_judging_took():
    silent = Score(
        scorer="correctness", not_scored="judge_failed", judge="table:judge", cost_usd="0.25"
    )
    said = Score(
        scorer="correctness", value=1.0, judge="table:judge", prompt_tokens=9, cost_usd="0.5"
    )
    scores = {Cell(0, 0): {"correctness": silent}, Cell(0, 1): {"correctness": said}}
    assert judge_usage(scores)["cost_usd"] == 0.75
    # The one that stands among the scores counts once, one that was made good later as well.
    again = judge_usage(scores, in_vain=[silent, replace(silent, seconds=2.0)])
    assert (again["calls"]["sent"], again["cost_usd"]) == (3, 1.0)
    unknown = {Cell(0, 0): {"correctness": replace(silent, cost_usd=None)}}
    assert judge_usage(unknown)["cost_usd"] is None


def test_a_verdict_that_had_to_be_repaired_counts_both_calls(home, ledger, tmp_path):
    judge = Scripted(home, "I think yes.", verdict("yes"))
    made = plan(dataset(tmp_path, ONE), scorers=("correctness",), judge=judge.reference)
    models = [TableModel("one", home, {"": "Paris"})]
    result = run_evaluation(made, bench(home, models, ledger, tmp_path, judge=judge))
    assert result.judge_usage["tokens"]["prompt"] == 20
    assert stored_result(ledger, made.evaluation_id).judge_usage == result.judge_usage


def test_what_was_paid_in_vain_before_counts_when_the_evaluation_is_resumed(home, ledger, tmp_path):
    """A judge's failures of an earlier start used to vanish from its usage, though they were paid."""
    models = [TableModel("one", home, {"": "Paris"})]
    made = plan(dataset(tmp_path, ONE), scorers=("correctness",), judge="table:judge")
    silent = Scripted(home, TimedOut("silence", provider="table", stage="first_token"))
    unreadable = Scripted(home, "Well.")
    found = []
    for judge in (silent, unreadable, Scripted(home, verdict("yes"))):
        work = bench(home, models, ledger, tmp_path)
        result = run_evaluation(made, replace(work, judge=judge_of(judge, home)))
        found.append(result.judge_usage)
    assert [usage["calls"]["sent"] for usage in found] == [1, 2, 3]
    assert [usage["tokens"]["prompt"] for usage in found] == [0, 20, 30]
    assert result.candidates[0].scores["correctness"].mean == 1.0
    assert stored_result(ledger, made.evaluation_id).judge_usage == found[-1]
    assert ledger.spent(made.evaluation_id) == Decimal(0)
