from __future__ import annotations

import json
from decimal import Decimal

import pytest

from llmflowlab.tracking.summaries import (
    summarise,
    summary_from_json,
    summary_to_json,
    unpriced_turns,
)
from tests.tracking.helpers import failed_turn, start, turn


def test_totals_add_up_and_failed_turns_stay_out_of_the_times() -> None:
    summary = summarise(start(), [turn(0), failed_turn(1), turn(2)], run_id="r")
    assert (summary.turns, summary.failed_turns) == (3, 1)
    assert (summary.prompt_tokens, summary.completion_tokens, summary.total_tokens) == (20, 40, 60)
    assert summary.cost == Decimal("0.0002")
    assert summary.avg_inference_time == pytest.approx(3.0)
    assert summary.p50_inference_time == pytest.approx(3.0)
    assert summary.p95_inference_time == pytest.approx(3.9)
    assert summary.tokens_per_second == pytest.approx(40 / 6)


def test_one_unpriced_answer_makes_the_cost_unknown() -> None:
    turns = [turn(0), turn(1, cost_usd=None)]
    assert summarise(start(), turns, run_id=None).cost is None
    assert unpriced_turns(turns) == 1


def test_a_failure_that_used_no_tokens_leaves_the_cost_known() -> None:
    assert summarise(start(), [turn(0), failed_turn(1)], run_id=None).cost == Decimal("0.0001")


def test_a_turn_that_was_stopped_before_any_word_is_no_answered_one() -> None:
    # Pins: what it cost was divided by it, and it was the cheapest answer of all.
    stopped = turn(1, state="interrupted", answer="", completion_tokens=0)
    summary = summarise(start(), [turn(0), stopped, failed_turn(2)], run_id=None)
    assert (summary.turns, summary.failed_turns, summary.answered) == (3, 1, 1)
    older = summary_from_json({**summary_to_json(summary), "answered_turns": None})
    assert older.answered == 2


def test_a_cost_of_nothing_is_known() -> None:
    assert summarise(start(), [turn(0, cost_usd="0")], run_id=None).cost == Decimal(0)


def test_a_session_of_failures_has_no_numbers_but_its_counts() -> None:
    summary = summarise(start(), [failed_turn(0)], run_id=None)
    assert (summary.turns, summary.failed_turns) == (1, 1)
    assert summary.cost is None
    assert summary.total_tokens is None
    assert summary.avg_inference_time is None
    assert summary.tokens_per_second is None


def test_an_answer_interrupted_before_its_first_word_has_no_latency() -> None:
    stopped = turn(1, state="interrupted", answer="", inference_time=0.1)
    assert summarise(start(), [turn(0), stopped], run_id=None).avg_inference_time == 2.0


def test_a_summary_survives_json_to_the_last_digit() -> None:
    summary = summarise(start(), [turn(0, cost_usd="0.000000000123")], run_id=None)
    again = summary_from_json({**json.loads(json.dumps(summary_to_json(summary))), "later": 1})
    assert again == summary
