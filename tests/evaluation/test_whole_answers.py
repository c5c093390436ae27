"""Only whole answers are scored; the others are counted with their reason and what can be done."""

from __future__ import annotations

from dataclasses import replace

import pytest

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.gates import CUT, Threshold, check_thresholds
from llmflowlab.evaluation.conclude.remedies import not_scored, remedies
from llmflowlab.evaluation.judging import Judge, JudgeScorer
from llmflowlab.evaluation.judging.judged_scorers import build_judged_scorer, with_instructions
from llmflowlab.evaluation.judging.pairwise import PreferenceScorer
from llmflowlab.evaluation.judging.scorer import Panel
from llmflowlab.evaluation.reports.markdown import markdown_summary
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.base import parse_scorer
from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC
from llmflowlab.evaluation.scorers.kinds import build_text_scorer
from llmflowlab.messages import Parameters
from llmflowlab.providers.scripted import ScriptedProvider
from tests.evaluation.helpers import QUICK, answer, dataset, metering, plan, spec
from tests.known import known

NOT_WHOLE = [
    pytest.param({"finish_reason": "length"}, "answer_cut", id="cut"),
    pytest.param({"text": " \n", "finish_reason": "stop"}, "answer_empty", id="empty"),
    pytest.param({"text": "", "finish_reason": "length"}, "answer_empty", id="thinking-alone"),
    pytest.param({"finish_reason": "safety"}, "answer_filtered", id="filtered"),
    pytest.param({"prompt_cut": True, "finish_reason": "length"}, "prompt_cut", id="prompt-cut"),
    pytest.param({"text": "", "finish_reason": "tool_calls"}, "answer_tool_call", id="tool-call"),
]
KINDS = (
    "exact_match",
    "numeric_match",
    "length:max=40",
    "bleu",
    "refusal",
    "contains:extract=####",
)


@pytest.mark.parametrize(("values", "reason"), NOT_WHOLE)
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_is_not_whole_is_not_scored_by_any_text_scorer(
    tmp_path, kind, values, reason
):
    scorer = build_text_scorer(parse_scorer(kind))
    score = scorer.score(dataset(tmp_path).rows[1], answer(**{"text": "#### 4", **values}))
    assert (score.value, score.not_scored) == (None, reason)


@pytest.mark.parametrize(("values", "reason"), NOT_WHOLE)
def test_no_judge_is_asked_about_an_answer_that_is_not_whole(tmp_path, home, values, reason):
    provider = ScriptedProvider()
    judge = Judge(provider, policy=QUICK, metering=metering(home))
    broken, row = answer(**values), dataset(tmp_path).rows[0]
    correctness = build_judged_scorer(
        with_instructions(parse_scorer("correctness")), Panel(judges=(judge,))
    )
    assert isinstance(correctness, JudgeScorer)
    assert correctness.score(row, broken).not_scored == reason
    preference = PreferenceScorer(judge)
    assert known(preference.refuses(broken, {1: answer()})).not_scored == reason
    assert known(preference.refuses(answer(), {1: broken})).not_scored == "no_opponent"
    assert list(preference.judgements(row, answer(), {1: broken})) == []
    assert provider.requests == []


def test_an_answer_to_a_shortened_prompt_is_asked_for_again_and_others_are_not():
    assert not answer(prompt_cut=True).reusable
    assert answer("", finish_reason="length").reusable
    kept = AnswerRecord.from_json(answer(prompt_cut=True).to_json())
    assert kept.why_not_scored == "prompt_cut"


def test_a_record_without_the_new_facts_is_written_as_it_ever_was():
    assert not {"prompt_cut", "load_seconds", "timed_out"} & answer().to_json().keys()
    assert AnswerRecord.from_json(answer(load_seconds=2.5).to_json()).load_seconds == 2.5


def test_text_beside_a_call_of_a_tool_is_an_answer():
    assert answer("Paris", finish_reason="tool_calls").why_not_scored is None


def counted(tmp_path, *answers: AnswerRecord, limit: int | None = 60):
    data = dataset(tmp_path, "question,answer\n" + "".join(f"Q{n}?,4\n" for n in range(4)))
    candidate = replace(spec(), parameters=Parameters(max_tokens=limit))
    made = plan(data, candidates=[candidate], scorers=["contains"])
    cells = {Cell(0, n, 0): each for n, each in enumerate(answers)}
    scores = {
        cell: {"contains": DETERMINISTIC["contains"].score(data.rows[cell.row], each)}
        for cell, each in cells.items()
    }
    return build_result(made, cells, scores, reused=[0])


def test_what_is_not_scored_is_counted_everywhere_with_its_remedy(tmp_path):
    found = counted(
        tmp_path,
        answer("4", finish_reason="stop"),
        answer("4 and", finish_reason="length"),
        answer("", finish_reason="length"),
        answer("4 but", finish_reason="safety"),
    )
    label = found.candidates[0].spec.label
    reasons = {"answer_cut": 1, "answer_empty": 1, "answer_filtered": 1}
    score = found.to_json()["candidates"][0]["scores"]["contains"]
    assert (score["scored"], score["mean"], score["not_scored"]) == (1, 1.0, reasons)
    assert not_scored(found.candidates) == [
        f"{label} contains, not scored: 1 answer_cut, 1 answer_empty, 1 answer_filtered"
    ]
    said = remedies(found.candidates)
    assert said[0] == f"{label}: 1 answer was cut at max_tokens 60: raise --max-tokens."
    assert "thinking used up max_tokens 60: raise --max-tokens" in said[1]
    assert "filter" in said[2]
    assert "raise --max\\-tokens" in markdown_summary(found) or "raise --max-tokens" in (
        markdown_summary(found)
    )
    metrics = closing_of(found, []).metrics[0]
    assert metrics["contains/not_scored/answer_cut"] == 1.0


def test_the_remedy_of_a_limit_that_nobody_set_is_to_set_one(tmp_path):
    found = counted(tmp_path, *[answer("4 and", finish_reason="length")] * 4, limit=None)
    assert (
        "4 answers were cut at the server's own limit: ask for more"
        in remedies(found.candidates)[0]
    )


def test_rows_that_were_waited_for_in_vain_count_as_at_least_that_slow(tmp_path):
    late = answer("", state="failed", reason="timed_out", latency=None, timed_out=60.0)
    down = answer("", state="failed", reason="connection_failed", latency=None)
    found = counted(tmp_path, answer("4"), answer("4"), late, down).candidates[0].latency
    assert (found.mean, found.p50) == (pytest.approx(61 / 3), 0.5)
    assert found.p95 > 0.5
    assert AnswerRecord.from_json(late.to_json()).timed_out == 60.0


def test_money_spent_on_answers_that_are_not_whole_is_shared_out_among_the_whole_ones(tmp_path):
    cut = answer("4 and", finish_reason="length", cost_usd="0.01")
    whole = answer("4", finish_reason="stop", cost_usd="0.01")
    found = counted(tmp_path, whole, cut, cut, cut).candidates[0]
    assert float(found.cost_per_answer) == pytest.approx(0.04)
    assert counted(tmp_path, cut, cut, cut, cut).candidates[0].cost_per_answer is None


@pytest.mark.parametrize(("bound", "passed"), [(0.5, True), (0.49, False)])
def test_the_share_of_answers_that_were_cut_can_be_bounded(tmp_path, bound, passed):
    whole = answer("4", finish_reason="stop")
    # An answer that thinking alone used up is cut as well, though it is called empty.
    cut = [answer("4 and", finish_reason="length"), answer("", finish_reason="length")]
    gate = Threshold(subject=CUT, figure=None, bound=bound, side="at most")
    (found,) = check_thresholds(counted(tmp_path, whole, whole, *cut), [gate], min_coverage=0.95)
    assert (found.value, found.passed) == (0.5, passed)
    assert found.gate == f"cut<={bound:g}"


def test_the_share_of_nothing_is_unknown_and_meets_no_gate(tmp_path):
    gate = Threshold(subject=CUT, figure=None, bound=1.0, side="at most")
    (found,) = check_thresholds(
        counted(tmp_path, *[answer("", state="failed")] * 4), [gate], min_coverage=0.95
    )
    assert (found.value, found.passed) == (None, False)
