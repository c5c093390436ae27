from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.conclude.comparison_words import describe_comparison
from llmflowlab.evaluation.conclude.conclusions import conclude
from llmflowlab.evaluation.conclude.results import (
    CandidateResult,
    Comparison,
    EvaluationResult,
    Latency,
    ScoreSummary,
)
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.statistics import paired_test
from llmflowlab.statistics.planning import rows_for_yes_no
from tests.evaluation.helpers import dataset


def candidate(model: str, seconds: float | None, cost: str | None) -> CandidateResult:
    return CandidateResult(
        spec=Candidate(model=model, display_name=model, supplier="Somebody"),
        run_id=None,
        rows=3,
        answered=3,
        failed={},
        not_whole={},
        at_limit=0,
        scores={
            "contains": ScoreSummary(
                scorer="contains", mean=0.5, scored=3, coverage=1.0, interval=None, not_scored={}
            )
        },
        latency=Latency(seconds, seconds, seconds),
        prompt_tokens=None,
        completion_tokens=None,
        tokens_estimated=False,
        cost_usd=None if cost is None else Decimal(cost),
        sent=3,
        reused=0,
    )


@pytest.fixture
def result(tmp_path) -> EvaluationResult:
    found = [candidate("guide:docs", 0.0041, "0"), candidate("gemini:flash", 0.22, "0.000624")]
    plan = EvaluationPlan(
        evaluation_id="20260131-235959-a1b2",
        dataset=dataset(tmp_path),
        candidates=tuple(c.spec for c in found),
        scorers=("contains",),
        judge=None,
    )
    return EvaluationResult(
        plan=plan,
        parent_run_id=None,
        candidates=found,
        comparisons=[],
        judge_usage={},
        answers={},
        scores={},
    )


def test_a_quick_model_is_not_said_to_take_no_time(result: EvaluationResult) -> None:
    # It once read "0.00 s an answer".
    assert "Fastest: guide:docs, 4.1 ms an answer on average." in conclude(result)


def test_seconds_are_told_as_seconds(result: EvaluationResult) -> None:
    slow = [replace(result.candidates[0], latency=Latency(1.5, 1.5, 1.5)), result.candidates[1]]
    said = conclude(replace(result, candidates=slow))
    assert "Fastest: gemini:flash, 220 ms an answer on average." in said


def test_without_all_prices_nothing_is_called_cheapest(result: EvaluationResult) -> None:
    unpriced = [result.candidates[0], replace(result.candidates[1], cost_usd=None)]
    said = conclude(replace(result, candidates=unpriced))
    assert "Cheapest: cannot be said; no price is known for gemini:flash." in said


def test_the_rows_still_needed_fit_the_difference_that_could_have_been_seen() -> None:
    # It once said "could have shown 5 points; about 300 more rows would be needed to see 5 points".
    test = paired_test(
        [1.0] * 60 + [0.0] * 40, [1.0] * 55 + [0.0] * 5 + [1.0] * 6 + [0.0] * 34, binary=True
    )
    assert test is not None
    found = Comparison(
        a="a",
        b="b",
        scorer="contains",
        test=test,
        p_adjusted=1.0,
        smallest_visible=0.12,
        level=0.01,
    )
    needed = rows_for_yes_no(test.discordance or 0.0, 0.03, alpha=0.01)
    assert f"about {needed - 100:,} more rows would be needed to see 3 points" in (
        describe_comparison(found)
    )
    assert needed > rows_for_yes_no(test.discordance or 0.0, 0.03)
