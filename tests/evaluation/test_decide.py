"""No verdict for want of evidence: interrupted, thin or incomplete evaluations show nothing."""

from __future__ import annotations

import pytest

from llmflowlab.evaluation.conclude.baseline import Baseline, Reference, check_baseline
from llmflowlab.evaluation.conclude.conclusions import conclude
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.deciding import Decider
from llmflowlab.evaluation.conclude.gates import check_thresholds, parse_threshold
from llmflowlab.evaluation.conclude.promotion import PromotionTerms, decide
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from tests.evaluation.helpers import answer, dataset, plan, spec
from tests.known import known


def made(tmp_path, *lists, scorer="contains", **options):
    """An evaluation whose candidates have these values; a text is a reason for having none."""
    text = "question,answer\n" + "".join(f"Question {n}?,{n}\n" for n in range(len(lists[0])))
    candidates = [spec(f"table:{name}") for name in "abc"[: len(lists)]]
    planned = plan(dataset(tmp_path, text), candidates=candidates, scorers=(scorer,))
    scores = {}
    for index, values in enumerate(lists):
        for row, value in enumerate(values):
            given = {"not_scored": value} if isinstance(value, str) else {"value": float(value)}
            scores[Cell(index, row)] = {scorer: Score(scorer=scorer, **given)}
    answers = {cell: answer(cost_usd="0.001") for cell in scores}
    return build_result(planned, answers, scores, reused=[0] * len(lists), **options)


def baseline_gate(found, *, margin=0.1):
    champion = Reference(label="table:a", evaluation="e", run_id=None, index=0)
    baseline = Baseline(named="champion", scorer="contains", references=[champion, champion])
    [gate] = check_baseline(found, baseline, margin=margin, min_coverage=0.95, exempt={0})
    return gate


LOST = ["answer_failed"] * 5


def test_a_lead_that_the_missing_answers_could_undo_is_none(tmp_path):
    # B lost five of its hundred answers: right on 9 more of the rest, 4 more at worst.
    a = [1] * 80 + [0] * 20
    b = [1] * 80 + [1] * 9 + [0] * 6
    whole = made(tmp_path, a, [*b, *[0] * 5]).comparisons[0]
    assert whole.verdict == "b_better"
    found = made(tmp_path, a, [*b, *LOST])
    [comparison] = found.comparisons
    assert comparison.p_adjusted < 0.05
    assert comparison.verdict == "b_better"
    # The five count as wrong, and A has them wrong as well. Where A has them right, they count.
    turned = made(tmp_path, a[::-1], [*LOST, *([0] * 6 + [1] * 9 + [1] * 80)][:100])
    assert turned.comparisons[0].verdict == "b_better"
    right = made(tmp_path, [1] * 5 + [1] * 75 + [0] * 20, [*LOST, *([1] * 75 + [1] * 9 + [0] * 11)])
    [contradicted] = right.comparisons
    assert contradicted.p_adjusted < 0.05
    assert contradicted.verdict == "no_difference_shown"
    assert (
        "5 answers of table:b are missing; at worst the difference is +4.0 points"
        in (contradicted.to_json()["no_verdict_because"])
    )
    assert any("5 answers of table:b are missing" in said for said in conclude(right))
    assert {entry.rank for entry in right.leaderboard["contains"]} == {1}


def test_an_interval_beyond_zero_without_a_verdict_says_which_p_value_failed(tmp_path):
    # 7 to 0 of 60, and one answer of the better side missing: 7 to 1 at worst.
    found = made(tmp_path, [*[1] * 59, "answer_failed"], [*[0] * 7, *[1] * 53])
    said = found.comparisons[0].to_json()["no_verdict_because"]
    # Pins: an interval that leaves zero out, "no difference shown", and no word why.
    assert said.endswith("with a p-value of 0.07 above 0.05)")


@pytest.mark.parametrize("reason", ["no_expected_answer", "expected_unusable"])
def test_rows_that_the_benchmark_cannot_score_are_not_missing(tmp_path, reason):
    gaps = [reason] * 60
    found = made(tmp_path, [*[1] * 20, *[0] * 20, *gaps], [*[1] * 40, *gaps])
    [comparison] = found.comparisons
    assert comparison.verdict == "b_better"
    assert "no_verdict_because" not in comparison.to_json()


def test_below_the_coverage_floor_there_is_no_verdict_and_no_recommendation(tmp_path):
    lost = ["answer_failed"] * 18
    found = made(tmp_path, [0] * 40, [*[1] * 22, *lost])
    [comparison] = found.comparisons
    assert comparison.verdict == "not_comparable"
    assert "only 22 of 40 questions have a score of both" in comparison.withheld
    assert "no verdict between table:a and table:b" in " ".join(conclude(found))
    assert found.recommendation is None


def test_an_interrupted_evaluation_gives_no_verdict_through_any_door(tmp_path):
    found = made(tmp_path, [0] * 60, [1] * 60, interrupted=True)
    [comparison] = found.comparisons
    assert comparison.verdict == "not_comparable"
    assert {c.verdict for c in found.measures} == {"not_comparable"}
    assert {entry.rank for entry in found.leaderboard["contains"]} == {1}
    assert found.recommendation is None
    gate = baseline_gate(found)
    assert not gate.passed
    assert "interrupted" in gate.reason
    [under] = check_thresholds(
        made(tmp_path, [1] * 60, interrupted=True),
        [parse_threshold("contains=0.5", side="at least")],
        min_coverage=0.95,
    )
    assert not under.passed
    decision = decide(found, PromotionTerms())
    assert not decision.promoted


def test_one_that_does_not_answer_the_hard_rows_is_neither_promoted_nor_let_through(tmp_path):
    a = [1] * 195 + [0] * 5
    b = [*["answer_failed"] * 8, *[1] * 187, *[0] * 5]
    found = made(tmp_path, a, b)
    decision = decide(found, PromotionTerms(margin=0.03))
    assert (decision.promoted, decision.verdict) == (False, "not_shown")
    assert known(decision.paired).lower > -0.03
    assert "8 answers of the version are missing" in decision.reasons[0]
    gate = baseline_gate(found, margin=0.03)
    assert not gate.passed
    assert gate.details["lower_bound"] == known(decision.paired).lower
    assert "8 answers of table:b are missing; at worst the bound is" in gate.reason
    # Nor is it the best, although its mean is the highest.
    assert found.candidates[1].scores["contains"].mean > 187 / 200
    assert found.recommendation.candidate == 0


def test_a_threshold_must_hold_at_worst(tmp_path):
    found = made(tmp_path, [*[1] * 97, "judge_failed", "judge_failed", 0])
    threshold = parse_threshold("contains=0.98", side="at least")
    [gate] = check_thresholds(found, [threshold], min_coverage=0.95)
    assert gate.value == pytest.approx(97 / 98)
    assert not gate.passed
    assert "2 answers are missing; at worst it is 0.97" in gate.reason
    lower = parse_threshold("contains=0.97", side="at least")
    assert check_thresholds(found, [lower], min_coverage=0.95)[0].passed


def test_equal_means_are_never_told_apart(tmp_path):
    found = made(tmp_path, [1, 0] * 40, [0, 1] * 40)
    [comparison] = found.comparisons
    assert comparison.test.difference == 0
    assert comparison.verdict == "no_difference_shown"


def test_a_comparison_is_not_ended_early_by_answers_that_fail(tmp_path):
    # Of two equals one failed wherever it would have been wrong.
    text = "question,answer\n" + "".join(f"Question {n}?,{n}\n" for n in range(300))
    planned = plan(
        dataset(tmp_path, text),
        candidates=[spec("table:a"), spec("table:b")],
        scorers=("contains",),
        until_decided=0.1,
    )

    def outcome(fails):
        decider = Decider(planned, "contains")
        for place, row in enumerate(planned.row_order):
            right = Score(scorer="contains", value=float(place % 2))
            failed = Score(scorer="contains", not_scored="answer_failed")
            decider.add(Cell(0, row), right)
            decider.add(Cell(1, row), failed if fails and not place % 2 else right)
        return decider.state()

    assert outcome(fails=False).verdict == "equivalent"
    assert outcome(fails=True).verdict is None


def test_intervals_beside_corrected_verdicts_are_corrected_alike(tmp_path):
    alone = made(tmp_path, [1] * 40 + [0] * 40, [1] * 50 + [0] * 30).comparisons[0]
    values = [1] * 40 + [0] * 40, [1] * 50 + [0] * 30, [1] * 40 + [0] * 40
    several = made(tmp_path, *values).comparisons
    same = next(c for c in several if c.pair == (0, 1))
    assert same.test.difference == alone.test.difference
    assert same.test.interval.low < alone.test.interval.low
    for comparison in several:
        shown = comparison.p_adjusted < 0.05
        interval = comparison.test.interval
        assert shown == (not interval.low <= 0 <= interval.high)
