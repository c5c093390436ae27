from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.promotion import Decision, PromotionTerms, decide
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scores import NotScored, Score
from llmflowlab.statistics.noninferiority import NonInferiority, non_inferior
from tests.evaluation.helpers import answer, dataset, plan, spec


def decided(
    tmp_path: Path,
    champion: list[float | None] | None,
    own: list[float | None],
    terms: PromotionTerms | None = None,
    **answered: object,
) -> Decision:
    return decide(result(tmp_path, champion, own, **answered), terms or PromotionTerms())


def result(
    tmp_path: Path,
    champion: list[float | None] | None,
    own: list[float | None],
    **answered: object,
) -> EvaluationResult:
    lists = [values for values in (champion, own) if values is not None]
    text = "question,answer\n" + "".join(f"Question {n}?,{n}\n" for n in range(len(own)))
    candidates = [spec(f"table:{n}") for n in range(len(lists))]
    data = dataset(tmp_path, text)
    planned = plan(data, candidates=candidates, scorers=("contains",))
    scores = {}
    for index, values in enumerate(lists):
        for row, value in enumerate(values):
            why: NotScored | None = "answer_failed" if value is None else None
            scores[Cell(index, row)] = {
                "contains": Score(scorer="contains", value=value, not_scored=why)
            }
    given: dict[str, Any] = {"cost_usd": "0.001", **answered}
    return build_result(
        planned,
        {cell: answer(**given) for cell in scores},
        scores,
        reused=[0] * len(lists),
    )


def rows(right: int, of: int) -> list[float | None]:
    return [*[1.0] * right, *[0.0] * (of - right)]


def test_a_better_version_is_promoted(tmp_path: Path) -> None:
    found = decided(tmp_path, rows(100, 200), rows(150, 200))
    assert (found.promoted, found.verdict) == (True, "better")
    assert found.paired is not None
    assert found.paired.difference == pytest.approx(0.25)
    assert 0.15 < found.paired.lower < 0.25


def test_an_equal_version_is_promoted_where_the_rows_suffice(tmp_path: Path) -> None:
    found = decided(tmp_path, rows(120, 200), rows(120, 200))
    assert (found.promoted, found.verdict) == (True, "no_worse")
    assert found.paired is not None
    assert -0.02 < found.paired.lower < 0


def test_an_equal_version_is_not_superior(tmp_path: Path) -> None:
    found = decided(tmp_path, rows(120, 200), rows(120, 200), PromotionTerms(superior=True))
    assert not found.promoted
    assert "not shown to be better" in found.reasons[0]


def test_a_worse_version_is_refused(tmp_path: Path) -> None:
    found = decided(tmp_path, rows(150, 200), rows(100, 200))
    assert (found.promoted, found.verdict) == (False, "worse")


def test_too_few_rows_tell_nothing(tmp_path: Path) -> None:
    found = decided(tmp_path, rows(10, 20), rows(10, 20))
    assert (found.promoted, found.verdict) == (False, "not_shown")
    assert "too few rows" in found.reasons[0]
    assert "rows may be enough" in found.reasons[0]


def test_a_version_cannot_win_by_failing_on_hard_rows(tmp_path: Path) -> None:
    own: list[float | None] = [1.0] * 150 + [None] * 50
    found = decided(tmp_path, rows(150, 200), own)
    assert not found.promoted
    assert found.coverage == pytest.approx(0.75)
    assert any("rows" in reason and "75%" in reason for reason in found.reasons)


def test_a_champion_that_failed_on_many_rows_is_no_comparison(tmp_path: Path) -> None:
    champion: list[float | None] = [0.0] * 100 + [None] * 100
    found = decided(tmp_path, champion, rows(200, 200))
    assert (found.promoted, found.verdict) == (False, "not_compared")


def test_nothing_in_common_is_no_comparison(tmp_path: Path) -> None:
    found = decided(tmp_path, [None] * 50, rows(50, 50))
    assert (found.promoted, found.verdict, found.paired) == (False, "not_compared", None)


@pytest.mark.parametrize(
    ("terms", "answered", "promoted", "word"),
    [
        pytest.param(PromotionTerms(max_latency=0.4), {}, False, "0.4 s", id="slow"),
        pytest.param(PromotionTerms(max_latency=0.6), {}, True, "", id="fast-enough"),
        pytest.param(
            PromotionTerms(max_latency=9), {"latency": None}, False, "unknown", id="no-latency"
        ),
        pytest.param(PromotionTerms(max_cost=Decimal("0.0001")), {}, False, "cost", id="dear"),
        pytest.param(PromotionTerms(max_cost=Decimal("0.01")), {}, True, "", id="cheap-enough"),
        pytest.param(
            PromotionTerms(max_cost=Decimal(9)), {"cost_usd": None}, False, "unknown", id="no-price"
        ),
    ],
)
def test_limits_on_latency_and_cost_count(
    tmp_path: Path, terms: PromotionTerms, answered: dict[str, object], promoted: bool, word: str
) -> None:
    found = decided(tmp_path, rows(100, 200), rows(150, 200), terms, **answered)
    assert found.promoted is promoted
    assert list(found.limits.values()) == [promoted]
    assert word in found.reasons[0]


def test_without_a_champion_only_coverage_and_limits_count(tmp_path: Path) -> None:
    found = decided(tmp_path, None, rows(0, 20))
    assert (found.promoted, found.verdict, found.paired) == (True, "no_champion", None)
    assert not decided(tmp_path, None, [1.0] * 10 + [None] * 10).promoted
    assert not decided(tmp_path, None, rows(20, 20), PromotionTerms(max_latency=0.1)).promoted


def test_unknown_is_null_in_the_document(tmp_path: Path) -> None:
    document = decided(tmp_path, None, rows(5, 5), cost_usd=None).to_json()
    assert (document["lower_bound"], document["cost_per_answer_usd"]) == (None, None)


def test_rows_without_an_expected_answer_are_no_gap(tmp_path: Path) -> None:
    whole = result(tmp_path, None, rows(10, 10))
    scores = dict(whole.scores)
    scores[Cell(0, 9)] = {
        "contains": Score(scorer="contains", value=None, not_scored="no_expected_answer")
    }
    assert decide(replace(whole, scores=scores), PromotionTerms()).coverage == 1.0


def bound(a: list[float], b: list[float], *, binary: bool = True) -> NonInferiority:
    found = non_inferior(a, b, 0.0, binary=binary)
    assert found is not None
    return found


def test_the_bound_of_yes_and_no_is_tangos() -> None:
    # Tango 1998, table II: 1 and 1 discordant of 54 gives −0.061 to 0.061 at 90 % (two-sided).
    a = [1.0] + [0.0] + [1.0] * 52
    b = [0.0] + [1.0] + [1.0] * 52
    found = bound(a, b)
    assert found.lower_bound == pytest.approx(-found.upper_bound)
    assert -0.08 < found.lower_bound < -0.04
    # Where all pairs agree: nδ − 1/4 = z·√(nδ(1 − δ)), with the correction for continuity.
    worse = -bound([1.0] * 100, [1.0] * 100).lower_bound
    assert 100 * worse - 0.25 == pytest.approx(1.6448536 * (100 * worse * (1 - worse)) ** 0.5)


def test_the_bound_of_grades_is_students_at_the_least() -> None:
    found = bound([0.5, 0.5, 0.5, 0.5], [0.6, 0.7, 0.6, 0.7], binary=False)
    assert found.difference == pytest.approx(0.15)
    # t(0.95, 3) = 2.3534, s = 0.057735.
    assert found.lower_bound <= 0.15 - 2.3534 * 0.057735 / 2 + 1e-4
    assert found.lower_bound > -1


def test_a_worse_version_passes_the_margin_in_at_most_one_of_twenty_trials() -> None:
    import random

    draw = random.Random(11)
    passed = 0
    for _ in range(600):
        # At the margin exactly: 5 points worse, a fifth of the rows discordant.
        pairs = [draw.random() for _ in range(150)]
        champion = [1.0 if p < 0.625 else 0.0 for p in pairs]
        own = [1.0 if 0.125 <= p < 0.7 else 0.0 for p in pairs]
        passed += bound(champion, own).lower_bound > -0.05
    assert passed / 600 < 0.08
