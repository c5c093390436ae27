from __future__ import annotations

from dataclasses import replace

import pytest

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.matching import content_keys
from llmflowlab.evaluation.reports.changes import Side, diff_sides
from llmflowlab.statistics import paired_test
from tests.evaluation.report_data import made_result
from tests.known import known


def moved(result, order, *, extra=()):
    """The same evaluation over its rows in another order, some left out, some new."""
    rows = [result.plan.dataset.rows[n] for n in order]
    rows += [replace(rows[0], question=text, id=text) for text in extra]
    numbered = tuple(replace(row, index=n) for n, row in enumerate(rows))
    plan = replace(result.plan, dataset=replace(result.plan.dataset, rows=numbered))
    places = dict(enumerate(order))
    return replace(
        result,
        plan=plan,
        answers={
            cell: result.answers[replace(cell, row=places[cell.row])]
            for cell in plan.cells()
            if cell.row in places and replace(cell, row=places[cell.row]) in result.answers
        },
        scores={
            cell: result.scores[replace(cell, row=places[cell.row])]
            for cell in plan.cells()
            if cell.row in places and replace(cell, row=places[cell.row]) in result.scores
        },
    )


def test_rows_are_matched_by_content_wherever_they_stand() -> None:
    first = made_result(40, candidates=1)
    order = [*reversed(range(2, 40))]
    found = diff_sides(Side(first, 0), Side(moved(first, order, extra=["new", "newer"]), 0))
    assert (found.count("better"), found.count("worse")) == (0, 0)
    assert (found.only_in_a, found.only_in_b) == (2, 2)
    assert found.count("same") + found.count("not_scored") == 38


def test_counts_and_test_are_those_of_the_paired_rows() -> None:
    result = made_result(80, candidates=2)
    a, b = Side(result, 0), Side(result, 1)
    found = diff_sides(a, b, "correctness")
    pairs = [(a.value(n, "correctness"), b.value(n, "correctness")) for n in range(80)]
    whole = [(x, y) for x, y in pairs if x is not None and y is not None]
    assert found.count("better") == sum(y > x for x, y in whole)
    assert found.count("worse") == sum(y < x for x, y in whole)
    assert found.count("same") == sum(y == x for x, y in whole)
    assert found.count("not_scored") == 80 - len(whole) == 3
    assert found.test == paired_test([x for x, _ in whole], [y for _, y in whole], binary=True)


def test_the_rows_that_lost_most_come_first_and_those_not_scored_last() -> None:
    found = diff_sides(Side(both := made_result(60, candidates=2), 0), Side(both, 1), "token_f1")
    values = [row.difference for row in found.rows]
    scored = [value for value in values if value is not None]
    assert scored == sorted(scored)
    assert scored[0] < 0 < scored[-1]
    assert values[: len(scored)] == scored


def test_swapping_the_sides_swaps_better_and_worse() -> None:
    result = made_result(60, candidates=2)
    one, other = (
        diff_sides(Side(result, 0), Side(result, 1)),
        diff_sides(Side(result, 1), Side(result, 0)),
    )
    assert (one.count("better"), one.count("worse")) == (
        other.count("worse"),
        other.count("better"),
    )
    assert known(one.test).difference == pytest.approx(-known(other.test).difference)
    assert known(one.test).p_value == pytest.approx(known(other.test).p_value)


def test_repetitions_of_a_row_count_once_with_their_mean() -> None:
    result = made_result(30, candidates=2, trials=3)
    found = diff_sides(Side(result, 0), Side(result, 1), "contains")
    assert len(found.rows) == 30
    assert known(found.test).n <= 30
    assert any(row.value_a not in {0.0, 1.0, None} for row in found.rows)


def test_a_changed_expectation_makes_it_another_row() -> None:
    rows = made_result(2).plan.dataset.rows
    corrected = replace(rows[0], expected="something better")
    assert set(content_keys([rows[0]])) != set(content_keys([corrected]))
    renamed = replace(rows[0], id="other", line=99, category="elsewhere")
    assert set(content_keys([rows[0]])) == set(content_keys([renamed]))


def test_a_row_that_stands_twice_is_matched_twice() -> None:
    row = made_result(1).plan.dataset.rows[0]
    assert len(content_keys([row, replace(row, index=1)])) == 2


def test_json_lists_every_row_that_changed_with_both_answers() -> None:
    found = diff_sides(Side(both := made_result(30, candidates=2), 0), Side(both, 1))
    document = found.to_json()
    counts = document["counts"]
    assert len(document["rows"]) == counts["better"] + counts["worse"] + counts["not_scored"]
    changes = {row["change"] for row in document["rows"]}
    assert changes == {"better", "worse", "not_scored"}
    worst = document["rows"][0]
    assert (worst["a"]["score"], worst["b"]["score"], worst["difference"]) == (1.0, 0.0, -1.0)
    assert worst["a"]["answer"] != worst["b"]["answer"]
    lost = next(row for row in document["rows"] if row["change"] == "not_scored")
    assert (lost["a"]["score"], lost["a"]["not_scored"]) == (None, "answer_failed")


def test_nothing_in_common_is_said() -> None:
    result = made_result(10, candidates=1)
    other = moved(result, [1], extra=[])
    strange = replace(other.plan.dataset.rows[0], question="quite another question")
    plan = replace(other.plan, dataset=replace(other.plan.dataset, rows=(strange,)))
    with pytest.raises(InputError, match="no question in common"):
        diff_sides(Side(result, 0), Side(replace(other, plan=plan), 0))
    with pytest.raises(InputError, match="no scorer 'tone' in common; both have correctness"):
        diff_sides(Side(result, 0), Side(result, 0), "tone")
