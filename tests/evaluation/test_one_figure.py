"""One set of outcomes through every door: the same mean, coverage, interval, kind, scorer and verdict."""

from __future__ import annotations

from decimal import Decimal

import pytest

from llmflowlab.cli.evaluate.boards import leaderboard_table
from llmflowlab.evaluation.conclude.baseline import (
    Baseline,
    Reference,
    check_baseline,
    earlier_baseline,
)
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.gates import check_thresholds, parse_threshold
from llmflowlab.evaluation.conclude.leaderboards import BEST_ASSUMES, chance
from llmflowlab.evaluation.conclude.promotion import PromotionTerms, decide
from llmflowlab.evaluation.conclude.standing import InterimScores
from llmflowlab.evaluation.reports.changes import Side, diff_sides
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.markdown import escaped, markdown_summary
from llmflowlab.evaluation.reports.page import report_page
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.verify import verify_run
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import NotScored, Score
from llmflowlab.history.overview import load_evaluations
from llmflowlab.history.summary import compare
from llmflowlab.people.answer_words import HumanVerdict
from llmflowlab.people.human import human_means
from llmflowlab.statistics.noninferiority import non_inferior
from llmflowlab.tracking.store import open_store
from tests.evaluation.helpers import TableModel, answer, bench, dataset, plan, spec
from tests.known import known

BEFORE = "20260101-000000-aaaa"
CHAMPION = [1.0] * 52 + [0.0] * 8
OWN = [1.0] * 50 + [0.0] * 6 + [1.0] * 4


def questions(count: int, *, again: bool = False) -> str:
    """A file of questions; with `again` the last asks what the first asks."""
    asked = [*range(count - again), *([0] if again else [])]
    return "question,answer,category\n" + "".join(
        f"Question {n}?,{n},{'ab'[place % 2]}\n" for place, n in enumerate(asked)
    )


def made(tmp_path, scorer, lists, *, again=False, evaluation_id="20260101-000000-abcd"):
    """An evaluation whose candidates have these values; None is a failed answer."""
    data = dataset(tmp_path, questions(len(lists[0]), again=again))
    planned = plan(
        data,
        candidates=[spec(f"table:{n}") for n in range(len(lists))],
        scorers=(scorer,),
        judge="table:judge" if scorer.startswith("support") else None,
        evaluation_id=evaluation_id,
        margin=0.3,
    )
    answers, scores = {}, {}
    for index, values in enumerate(lists):
        for row, value in enumerate(values):
            cell = Cell(index, row)
            answers[cell] = answer(cost_usd=("0.001", "0.01")[index])
            why: NotScored | None = "answer_failed" if value is None else None
            scores[cell] = {scorer: Score(scorer=scorer, value=value, not_scored=why)}
    return build_result(planned, answers, scores, reused=[0] * len(lists))


def earlier(tmp_path, found):
    ledger = Ledger(tmp_path / "earlier.db")
    ledger.begin(found.plan, "2026-01-01 00:00:00")
    for cell, record in found.answers.items():
        outcome = Outcome(cell, record, found.scores[cell])
        ledger.append("outcomes", found.plan.evaluation_id, outcome.key, outcome.to_json()).result()
    return ledger


@pytest.mark.parametrize(
    ("scorer", "again", "exact"),
    [
        pytest.param("contains", False, True, id="yes-no"),
        pytest.param("contains", True, False, id="a-question-asked-twice"),
        # Promotion once took grades that happened to be all 0 and 1 for yes and no, the gate did not.
        pytest.param("support_tone", False, False, id="grades-that-look-like-yes-no"),
    ],
)
def test_every_rule_tests_the_same_rows_by_the_same_test(tmp_path, scorer, again, exact):
    found = made(tmp_path, scorer, [CHAMPION, OWN], again=again)
    pairs = found.table.pairs(scorer, 0, 1)
    expected = non_inferior(pairs.a.tolist(), pairs.b.tolist(), 0.2, binary=exact)
    assert known(expected).n == 60 - again
    # Promotion.
    decision = decide(found, PromotionTerms(margin=0.2))
    assert known(decision.paired).lower == known(expected).lower_bound
    assert known(decision.paired).n == known(expected).n
    # A gate against a champion of the same evaluation, and against one of an earlier evaluation.
    champion = Reference(label="c", evaluation="e", run_id=None, index=0)
    baseline = Baseline(named="champion", scorer=scorer, references=[champion, champion])
    [gate] = check_baseline(found, baseline, margin=0.2, min_coverage=0.95, exempt={0})
    before = made(tmp_path, scorer, [CHAMPION], again=again, evaluation_id=BEFORE)
    ledger = earlier(tmp_path, before)
    alone = made(tmp_path, scorer, [OWN], again=again)
    [other] = check_baseline(
        alone, earlier_baseline(ledger, alone.plan, BEFORE), margin=0.2, min_coverage=0.95
    )
    ledger.close()
    for each in (gate, other):
        assert each.details["lower_bound"] == known(expected).lower_bound
        assert each.details["n"] == known(expected).n
        assert each.passed == decision.promoted == (known(expected).verdict == "non_inferior")
    # Recommendation: the cheaper one, held against the best by the same test.
    advice = found.recommendation
    swapped = found.table.pairs(scorer, 1, 0)
    assert (advice.best, advice.candidate, advice.scorer) == (1, 0, scorer)
    assert advice.evidence == non_inferior(
        swapped.a.tolist(), swapped.b.tolist(), found.plan.margin, binary=exact
    )
    # Comparison and diff.
    [comparison] = found.comparisons
    diff = diff_sides(Side(found, 0), Side(found, 1))
    assert (known(comparison.test).discordance is not None) == exact
    assert comparison.test == diff.test
    assert comparison.verdict == diff.verdict == "no_difference_shown"
    assert known(comparison.test).difference == pytest.approx(known(decision.paired).difference)


@pytest.mark.parametrize("again", [False, True], ids=["each-once", "one-asked-twice"])
def test_every_figure_of_a_candidate_is_the_tables(tmp_path, again):
    values = [*OWN[:-1], None]
    found = made(tmp_path, "contains", [values, values], again=again)
    table = found.table
    mean, interval = table.mean(0, "contains"), table.interval(0, "contains")
    coverage = table.coverage(0, "contains")
    assert coverage == 59 / 60
    score = found.to_json()["candidates"][0]["scores"]["contains"]
    assert (score["mean"], score["coverage"]) == (mean, coverage)
    assert (score["ci_low"], score["ci_high"]) == (interval.low, interval.high)
    metrics = closing_of(found, []).metrics[0]
    assert metrics["contains/mean"] == mean
    assert metrics["contains/coverage"] == coverage
    assert (metrics["contains/ci_low"], metrics["contains/ci_high"]) == (
        interval.low,
        interval.high,
    )
    [rank, _] = found.to_json()["leaderboard"]["contains"]
    assert (rank["mean"], rank["ci_low"]) == (mean, interval.low)
    for figure, value in (("mean", mean), ("ci_low", interval.low), ("coverage", coverage)):
        threshold = parse_threshold(f"contains.{figure}=0", side="at least")
        [gate, _] = check_thresholds(found, [threshold], min_coverage=0.95)
        assert gate.value == value
    # People who say what the scorer says.
    said = [
        HumanVerdict(cell=cell, person="reader", said="yes" if by["contains"].value else "no")
        for cell, by in found.scores.items()
        if cell.candidate == 0 and by["contains"].value is not None
    ]
    [human] = human_means(found, said)
    assert (human.mean, human.interval, human.n) == (mean, interval, 59)
    # The screen while it runs: the same mean, and for yes and no the same interval.
    standings = InterimScores(
        "contains",
        exact=table.exact("contains"),
        candidates=2,
        questions=found.plan.questions,
    )
    for cell, by in found.scores.items():
        standings.add(cell, by["contains"])
    standing = standings.of(0)
    assert standing.mean == pytest.approx(mean, abs=1e-12)
    if not again:
        assert standing.interval == interval
    else:
        assert known(standing.interval).low == pytest.approx(known(interval).low, abs=0.03)


def test_the_probability_of_being_the_best_is_the_same_wherever_it_is_shown(tmp_path):
    found = made(tmp_path, "contains", [CHAMPION, [*OWN[:-1], None]])
    board = {entry.candidate: entry for entry in found.leaderboard["contains"]}
    documented = {e["candidate"]: e for e in found.to_json()["leaderboard"]["contains"]}
    table = known(leaderboard_table(found))
    shown = {row[1]: row[table.columns.index("best")] for row in table.rows}
    metrics = closing_of(found, []).metrics
    summary, page = markdown_summary(found), report_page(found, figures_of(found))
    for index, entry in board.items():
        label = found.plan.candidates[index].label
        probability = known(entry.probability_best)
        assert documented[label]["probability_best"] == probability
        assert metrics[index]["contains/probability_best"] == probability
        assert shown[label] == chance(probability)
        assert f"| {escaped(label)} |" in summary
        assert f"| {chance(probability)} | {found.candidates[index].answered}/60 |" in summary
        assert f'data-label="best" class="n">{chance(probability)}</td>' in page
    assert BEST_ASSUMES in table.notes
    assert escaped(BEST_ASSUMES) in summary
    assert BEST_ASSUMES in page
    # Effect size and sameness stand in the page's table of comparisons.
    [comparison] = found.comparisons
    assert f'class="n">g = {known(comparison.effect).value:+.2f}</td>' in page
    assert known(known(comparison.equivalence).p_adjusted) < 1e-4
    assert "&lt;0.0001 (±30)</td>" in page


def test_a_group_has_the_figures_of_an_evaluation_of_its_rows_alone(tmp_path):
    found = made(tmp_path, "contains", [OWN])
    alone = made(tmp_path, "contains", [OWN[::2]])
    [group] = [g for g in found.groups if g.value == "a"]
    score = alone.candidates[0].scores["contains"]
    assert (group.mean, group.interval, group.scored) == (score.mean, score.interval, 30)


def test_what_was_run_reads_the_same_in_mlflow_info_diff_and_document(home, ledger, tmp_path):
    # `info` once ranked by another scorer than `evaluate`, and counted repeated questions twice.
    rows = [*range(24), 0]
    text = "question,answer\n" + "".join(f"What is q{n:02}?,a{n:02}\n" for n in rows)
    data = dataset(tmp_path, text)
    right = {f"q{n:02}": f"It is a{n:02}." for n in range(24)}
    models = [
        TableModel("good", home, right),
        TableModel("half", home, {k: v for k, v in right.items() if int(k[1:]) % 2}),
    ]
    made = plan(
        data,
        candidates=[spec(model.reference) for model in models],
        scorers=("exact_match", "contains", "token_f1"),
    )
    result = run_evaluation(made, bench(home, models, ledger, tmp_path))
    assert result.problems == ()
    main = main_scorer(made.scorers)
    assert main == "contains"
    store = open_store(home)
    for candidate in result.candidates:
        checks = verify_run(store, known(candidate.run_id))
        assert checks
        assert [check for check in checks if not check.equal] == []
    info = compare([], load_evaluations(home))
    for model, candidate in zip(
        sorted(info.models, key=lambda m: m.reference), result.candidates, strict=True
    ):
        score = candidate.scores[main]
        assert known(model.quality).scorer == main
        assert known(model.quality).mean == pytest.approx(score.mean)
        assert known(model.quality).coverage == pytest.approx(score.coverage)
        assert known(model.quality).ci_low == pytest.approx(known(score.interval).low)
        assert known(model.quality).scored == score.scored
    [compared] = [c for c in result.comparisons if c.scorer == main]
    diff = diff_sides(Side(result, 0), Side(result, 1))
    assert (diff.scorer, known(diff.test).n) == (main, known(compared.test).n) == ("contains", 24)
    assert known(diff.test).difference == known(compared.test).difference
    assert diff.verdict == compared.verdict == "a_better"
    assert known(result.recommendation).scorer == main
    assert known(result.recommendation).candidate == 0


def test_what_failed_on_the_way_is_in_every_cost(tmp_path):
    # One answer cost 0.005 after a failed try of 1.00, and another row failed for 0.5: the document,
    # the metric, the gate and promotion once said 0.005.
    data = dataset(tmp_path, questions(2))
    made = plan(data, scorers=("contains",))
    answers = {
        Cell(0, 0): answer(cost_usd="0.005", wasted_usd="1.00"),
        Cell(0, 1): answer("", state="failed", reason="timeout", wasted_usd="0.5", latency=None),
    }
    scores = {
        Cell(0, 0): {"contains": Score(scorer="contains", value=1.0)},
        Cell(0, 1): {"contains": Score(scorer="contains", not_scored="answer_failed")},
    }
    found = build_result(made, answers, scores, reused=[0])
    assert found.candidates[0].cost_usd == Decimal("1.505")
    assert found.to_json()["candidates"][0]["cost_usd"] == 1.505
    assert closing_of(found, []).metrics[0]["total_cost_estimate"] == 1.505
    [gate] = check_thresholds(
        found, [parse_threshold("cost_usd=9", side="at most")], min_coverage=0
    )
    assert gate.value == 1.505
    # Shared out among the answers that were had.
    assert decide(found, PromotionTerms(max_cost=Decimal(2))).cost_per_answer == Decimal("1.505")
    unknown = {**answers, Cell(0, 1): answer("half", state="incomplete", cost_usd=None)}
    assert build_result(made, unknown, scores, reused=[0]).candidates[0].cost_usd is None
