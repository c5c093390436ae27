from __future__ import annotations

import random

import pytest

from llmflowlab.cli.evaluate.live_view import standing_text
from llmflowlab.evaluation.conclude.standing import InterimScores
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics import mean_interval
from tests.known import known


def filled(values, *, binary, trials=1):
    standings = InterimScores("contains", exact=binary and trials == 1, candidates=2)
    for number, value in enumerate(values):
        cell = Cell(1, number // trials, number % trials)
        standings.add(cell, Score(scorer="contains", value=value))
    return standings.of(1)


def test_nothing_scored_has_no_mean():
    standings = InterimScores("contains", exact=True, candidates=2)
    standings.add(Cell(0, 0), None)
    standings.add(Cell(0, 1), Score(scorer="contains", not_scored="answer_failed"))
    assert standings.of(0).mean is None
    assert standings.of(0).interval is None
    assert standings.of(0).scored == 0


def test_a_mean_of_too_few_answers_says_of_how_many():
    # Who failed on what it did not know once stood at 100 % beside one that answered all.
    standings = InterimScores("contains", exact=True, candidates=2)
    for row in range(20):
        known_to_it = Score(scorer="contains", value=1.0) if row % 5 else None
        standings.add(Cell(0, row), known_to_it)
        standings.add(Cell(1, row), Score(scorer="contains", value=float(row % 5 > 0)))
    standings.add(Cell(1, 20), Score(scorer="contains", not_scored="no_expected_answer"))
    assert standing_text(standings.of(0)) == "100% (81–100) of 80% scored"
    assert standing_text(standings.of(1)) == "80% (58–92)"
    assert standings.of(0).partial
    assert not standings.of(1).partial


def test_yes_and_no_have_the_same_mean_and_interval_as_the_report():
    values = [1.0, 0.0, 1.0, 1.0]
    standing = filled(values, binary=True)
    assert standing.mean == 0.75
    assert standing.interval == mean_interval(values, binary=True)


@pytest.mark.parametrize("trials", [pytest.param(1, id="once"), pytest.param(3, id="repeated")])
def test_the_interval_of_degrees_is_near_the_reports(trials):
    generator = random.Random(7)
    values = [generator.choice([0.0, 0.2, 0.5, 0.9, 1.0]) for _ in range(300)]
    standing = filled(values, binary=False, trials=trials)
    by_row: dict[int, list[float]] = {}
    for number, value in enumerate(values):
        by_row.setdefault(number // trials, []).append(value)
    reported = mean_interval([sum(v) / len(v) for v in by_row.values()], binary=False)
    assert standing.mean == pytest.approx(sum(values) / len(values))
    assert standing.interval.low == pytest.approx(known(reported).low, abs=0.01)
    assert standing.interval.high == pytest.approx(known(reported).high, abs=0.01)


def test_repetitions_of_one_question_do_not_narrow_the_interval():
    once = filled([1.0, 0.0] * 6, binary=False)
    often = filled([v for value in [1.0, 0.0] * 6 for v in [value] * 5], binary=False, trials=5)
    assert often.scored == 60
    assert often.interval.low == pytest.approx(once.interval.low)
    assert often.interval.high == pytest.approx(once.interval.high)
