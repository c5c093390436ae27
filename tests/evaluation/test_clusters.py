"""Questions that share a passage are one unit of intervals and tests; the mean stays over questions."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.clusters_in_words import cluster_remark, clusters_in_words
from llmflowlab.evaluation.conclude.comparing import compare
from llmflowlab.evaluation.conclude.comparison_words import describe_comparison
from llmflowlab.evaluation.conclude.costs import cost_interval, latency_interval
from llmflowlab.evaluation.conclude.deciding import Decider
from llmflowlab.evaluation.conclude.matching import match
from llmflowlab.evaluation.conclude.sameness import Margin
from llmflowlab.evaluation.conclude.standing import InterimScores
from llmflowlab.evaluation.conclude.table import ScoreTable, table_of
from llmflowlab.evaluation.run.clustering import cluster_column, cluster_numbers
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.traits import traits_of
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics import bootstrap_interval, mean_interval, paired_test
from llmflowlab.statistics.clusters import design_effect, totals
from llmflowlab.statistics.intervals import grade_interval
from llmflowlab.statistics.noninferiority import non_inferior
from tests.evaluation.helpers import dataset, plan, spec
from tests.known import known


def generator(*seed):
    return np.random.default_rng([20240607, *seed])


def passages(source, *, count=40, most=6, gap=0.0):
    """Two candidates' yes/no scores on passages: each passage is hard or easy for each of them."""
    sizes = source.integers(1, most, count)
    clusters = np.repeat(np.arange(count), sizes)
    chance = [source.beta(0.5, 0.5, count) for _ in "ab"]
    a, b = ((source.random(clusters.size) < c[clusters]).astype(float) for c in chance)
    return a, np.clip(b + gap, 0, 1), clusters


# Figures


def test_totals_do_not_depend_on_the_order_of_questions():
    values, clusters = np.array([0.1, 0.2, 0.3, 0.7]), np.array([4, 4, 4, 2])
    for order in map(list, itertools.permutations(range(4))):
        sums, sizes = totals(values[order], clusters[order])
        assert sums.tolist() == [0.7, 0.6]
        assert sizes is not None
        assert sizes.tolist() == [1.0, 3.0]


def test_questions_on_their_own_have_the_figures_of_questions_without_clusters():
    source = generator(1)
    a, b, own = source.random(60), source.random(60), np.arange(60)
    assert design_effect(b - a, own) == pytest.approx(1.0)
    one = known(paired_test(a.tolist(), b.tolist(), binary=False))
    two = known(paired_test(a.tolist(), b.tolist(), binary=False, clusters=own))
    assert two.p_value == one.p_value
    assert two.difference == one.difference
    assert two.interval.low == pytest.approx(one.interval.low, abs=0.01)


def test_the_design_effect_is_that_of_equal_clusters_by_their_correlation():
    # Kish: 1 + (m - 1)·rho; with m equal questions rho is 1.
    values = np.repeat(generator(2).random(500), 4)
    found = design_effect(values, np.repeat(np.arange(500), 4))
    assert found == pytest.approx(4.0, rel=0.01)


def test_the_bootstrap_of_clusters_has_the_linearised_standard_error():
    source = generator(3)
    a, _, clusters = passages(source, count=300)
    sums, sizes = totals(a, clusters)
    assert sizes is not None
    interval = bootstrap_interval(sums, sizes)
    away = sums - a.mean() * sizes
    error = np.sqrt(300 / 299 * (away**2).sum()) / a.size
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    # From thousands on its expansion.
    many = np.tile(sums, 10), np.tile(sizes, 10)
    wide = bootstrap_interval(*many)
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * error / 10**0.5, rel=0.05)


@pytest.mark.parametrize("count", [5, 12, 60])
def test_means_over_passages_are_covered_and_without_them_they_are_not(count):
    source, runs = generator(4, count), 100
    covered = alone = 0
    for _ in range(runs):
        a, _, clusters = passages(source, count=count)
        with_clusters = known(mean_interval(a.tolist(), binary=False, clusters=clusters))
        covered += with_clusters.low <= 0.5 <= with_clusters.high
        without = known(mean_interval(a.tolist(), binary=True))
        alone += without.low <= 0.5 <= without.high
    assert covered / runs >= 0.93 - 2.6 * (0.05 * 0.95 / runs) ** 0.5
    assert alone / runs < 0.88


@pytest.mark.parametrize("count", [12, 60])
def test_equals_are_told_apart_rarely_where_questions_share_passages(count):
    source, runs = generator(5, count), 200
    wrong = alone = no_worse = 0
    for _ in range(runs):
        a, b, clusters = passages(source, count=count)
        test = known(paired_test(a.tolist(), b.tolist(), binary=False, clusters=clusters))
        wrong += test.p_value < 0.05 and not test.interval.low <= 0 <= test.interval.high
        alone += known(paired_test(a.tolist(), b.tolist(), binary=True)).p_value < 0.05
        held = known(non_inferior(a.tolist(), b.tolist(), 0.0, binary=False, clusters=clusters))
        no_worse += held.lower_bound > 0
    most = 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5
    assert wrong / runs <= most
    assert no_worse / runs <= most
    assert alone / runs > 0.1


def test_few_clusters_claim_little():
    a, _, clusters = passages(generator(6), count=4, most=60)
    sums, sizes = totals(a, clusters)
    interval = grade_interval(sums, sizes)
    assert interval.high - interval.low > 0.6


# Which questions belong together


@pytest.mark.parametrize(
    ("questions", "values", "numbers"),
    [
        pytest.param([0, 1, 2], ["x", "y", "x"], (0, 1, 0), id="a-value-shared"),
        pytest.param([0, 1, 2], [None, None, "x"], (0, 1, 2), id="empty-cells-share-nothing"),
        pytest.param([0, 1, 0], [None, None, None], (0, 1, 0), id="a-question-asked-again"),
        pytest.param([0, 1, 0, 2], ["x", "x", "y", "y"], (0, 0, 0, 0), id="a-question-joins-two"),
    ],
)
def test_questions_that_share_a_value_or_a_row_are_one_cluster(questions, values, numbers):
    assert tuple(cluster_numbers(questions, values)) == numbers


def planned(tmp_path, per_passage=3, passages=12, **options):
    text = "question,answer,passage\n" + "".join(
        f"What is {p} of {q}?,x,text {p}\n" for p in range(passages) for q in range(per_passage)
    )
    return plan(dataset(tmp_path, text), **{"scorers": ("contains",), **options})


def test_a_plan_remembers_its_clusters(tmp_path):
    made = planned(tmp_path, cluster="passage")
    again = EvaluationPlan.from_json(made.describe(), made.dataset)
    assert again.clusters == made.clusters
    assert made.cluster_json() == {"column": "passage", "clusters": 12}
    assert made.repeated
    before = {name: value for name, value in made.describe().items() if name != "cluster"}
    old = EvaluationPlan.from_json(before, made.dataset)
    assert (old.cluster_json(), old.repeated) == (None, False)


def test_columns_are_found_without_regard_to_case_and_others_refused(tmp_path):
    data = planned(tmp_path).dataset
    assert cluster_column(data, "Passage") == "passage"
    with pytest.raises(InputError, match="no column 'page'; there are question, answer, passage"):
        cluster_column(data, "page")


def test_what_clusters_do_is_said_before_anything_is_asked(tmp_path):
    made = planned(tmp_path)
    assert cluster_remark(made) == "36 rows share 12 passages: consider --cluster passage."
    assert cluster_remark(replace(made, cluster="passage")) is None
    said = clusters_in_words(replace(made, cluster="passage"))
    assert said == "Intervals and tests over 12 clusters (column passage)."
    assert "changes nothing" in known(cluster_remark(replace(made, cluster="question")))
    with pytest.raises(InputError, match="all rows are one cluster"):
        cluster_remark(replace(made, cluster="answer"))
    few = planned(tmp_path, passages=4, cluster="passage")
    assert "only 4 clusters" in known(clusters_in_words(few))
    assert clusters_in_words(made) is None


# Through the owners of figures


def filled(made, values):
    """The table of values by candidate and row."""
    name = made.scorers[0]
    return table_of(
        made,
        {
            Cell(candidate, row): {name: Score(scorer=name, value=float(value))}
            for candidate, column in enumerate(values)
            for row, value in enumerate(column)
        },
    )


def test_the_table_keeps_the_mean_over_questions_and_draws_clusters(tmp_path):
    made = planned(tmp_path, cluster="passage", candidates=[spec("table:0"), spec("table:1")])
    source = generator(7)
    values = [np.repeat(source.random(12) < 0.6, 3).astype(float) for _ in "ab"]
    table = filled(made, values)
    clusters = np.repeat(np.arange(12), 3)
    assert table.mean(0, "contains") == pytest.approx(values[0].mean())
    assert not table.exact("contains")
    assert table.interval(0, "contains") == grade_interval(*totals(values[0], clusters))
    pairs = table.pairs("contains", 0, 1)
    assert pairs.clusters is not None
    assert pairs.clusters.tolist() == clusters.tolist()
    # An answer that is missing leaves its question out of the pairs and in the worst case.
    table._why["contains"][1, 4, 0] = 1
    short = table.pairs("contains", 0, 1)
    assert short.clusters is not None
    assert short.worst_clusters is not None
    assert short.clusters.tolist() == np.delete(clusters, 4).tolist()
    assert short.worst_clusters.tolist() == clusters.tolist()


def test_a_column_that_divides_every_question_leaves_the_tests_of_yes_and_no(tmp_path):
    table = filled(planned(tmp_path, cluster="question"), [np.ones(36)])
    assert table.exact("contains")
    assert table.clusters is None


def test_corpus_figures_draw_clusters(tmp_path):
    parts = [[float(n % 7), 7.0] for n in range(24)]
    found = {}
    for name, clusters in (("alone", None), ("passages", [n // 6 for n in range(24)])):
        table = ScoreTable(
            {"bleu": traits_of(ScorerSpec.plain("bleu"))},
            candidates=1,
            questions=range(24),
            trials=1,
            clusters=clusters,
        )
        for row, part in enumerate(parts):
            table.put(Cell(0, row), "bleu", 0.5, parts=[*part, *([1.0] * 8)])
        found[name] = table.parts_by_cluster(0, "bleu")
    assert len(found["alone"]) == 24
    assert len(found["passages"]) == 4
    assert np.sum(found["alone"], axis=0).tolist() == np.sum(found["passages"], axis=0).tolist()


@pytest.mark.parametrize("passages", [None, 6])
def test_comparisons_count_rows_and_clusters_apart_also_by_a_corpus_figure(passages):
    table = ScoreTable(
        {name: traits_of(ScorerSpec.plain(name)) for name in ("bleu", "token_f1")},
        candidates=2,
        questions=range(24),
        trials=1,
        clusters=None if passages is None else [n % passages for n in range(24)],
    )
    for candidate, row in itertools.product(range(2), range(23)):
        parts = [float((row * (candidate + 2)) % 7), 7.0, *([1.0] * 8)]
        table.put(Cell(candidate, row), "bleu", 0.5, parts=parts)
        table.put(Cell(candidate, row), "token_f1", (row % (candidate + 2)) / 3)
    found = compare(table, ["a", "b"], margin=Margin(0.02, asked=False))
    for document in (comparison.to_json() for comparison in found):
        assert (document["n"], document["clusters"]) == (23, passages)
    said = {describe_comparison(comparison).count(" in 6 clusters") for comparison in found}
    # Twenty-three of 24 questions are enough for a verdict; its sentence says both numbers.
    assert said == {0 if passages is None else 1}


def test_what_an_answer_costs_and_takes_is_drawn_by_clusters():
    answers = {
        Cell(0, row): AnswerRecord(
            text="x", state="complete", latency=1.0 + row // 12, cost_usd=str(1 + row // 12)
        )
        for row in range(240)
    }
    own, shared = list(range(240)), [row // 12 for row in range(240)]
    for interval in (cost_interval, latency_interval):
        alone, passages = known(interval(answers, own)), known(interval(answers, shared))
        # Twelve equal answers say as much as one: the standard error is √12 times that of 240 rows.
        wider = (passages.high - passages.low) / (alone.high - alone.low)
        assert wider == pytest.approx(12**0.5, rel=0.1)
    # Passages of different size: the mean is still that of an answer.
    uneven = known(latency_interval(answers, [min(row // 12, 15) for row in range(240)]))
    assert uneven.low < 10.5 < uneven.high


def test_another_evaluation_is_compared_by_the_clusters_of_the_newer(tmp_path):
    old, new = planned(tmp_path), planned(tmp_path, cluster="passage")
    values = (generator(8).random(36) < 0.5).astype(float)
    common = match(old.dataset.rows, new.dataset.rows)
    tables = filled(old, [values]), filled(new, [1 - values])
    found = common.pairs("contains", (tables[0], 0), (tables[1], 0))
    assert found.clusters is not None
    assert not found.exact
    back = common.pairs("contains", (tables[1], 0), (tables[0], 0))
    assert back.clusters is None


def test_the_live_interval_is_near_the_reported_one(tmp_path):
    made = planned(tmp_path, cluster="passage", passages=60)
    values = np.repeat(generator(9).random(60) < 0.6, 3).astype(float)
    live = InterimScores(
        "contains", exact=False, candidates=1, questions=made.questions, clusters=made.clusters
    )
    for row, value in enumerate(values):
        live.add(Cell(0, row), Score(scorer="contains", value=value))
    standing, reported = live.of(0), known(filled(made, [values]).interval(0, "contains"))
    assert standing.mean == pytest.approx(values.mean())
    assert known(standing.interval).low == pytest.approx(reported.low, abs=0.02)
    assert known(standing.interval).high == pytest.approx(reported.high, abs=0.02)


# A comparison that may end early


def decider(made, difference):
    """Whether a comparison in which B is better in whole passages is decided, and after how many rows."""
    found = Decider(made, "contains")
    for row in made.row_order:
        better = difference(made.clusters[row])
        for candidate in (0, 1):
            found.add(
                Cell(candidate, row), Score(scorer="contains", value=float(better[candidate]))
            )
    return found.state()


def test_rows_of_a_cluster_are_asked_and_looked_at_together(tmp_path):
    pair = [spec("table:0"), spec("table:1")]
    made = planned(tmp_path, passages=60, cluster="passage", candidates=pair, until_decided=0.1)
    order = [made.clusters[row] for row in made.row_order]
    assert [number for number, _ in itertools.groupby(order)] == list(dict.fromkeys(order))
    assert order != sorted(order)
    state = decider(made, lambda cluster: (0, 1))
    assert state.verdict == "b_better"
    assert state.looked_at % 3 == 0
    # The same rows one by one say it three times as early: more than they know.
    alone = decider(replace(made, cluster=None), lambda cluster: (0, 1))
    assert state.looked_at == pytest.approx(3 * alone.looked_at, abs=3)


def test_equals_on_passages_are_rarely_told_apart_early(tmp_path):
    pair = [spec("table:0"), spec("table:1")]
    made = planned(tmp_path, passages=60, cluster="passage", candidates=pair, until_decided=0.05)
    source, runs, wrong = generator(10), 40, 0
    for _ in range(runs):
        says = [(int(x), int(y)) for x, y in source.random((60, 2)) < 0.5]
        wrong += decider(made, lambda cluster, says=says: says[cluster]).verdict in {
            "a_better",
            "b_better",
        }
    assert wrong / runs <= 0.05 + 2.6 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.parametrize("count", [1, 2, 50, 700])
def test_questions_are_numbered_as_they_come_and_repeats_counted(tmp_path, count):
    asked = [f"q{n * n % max(1, count // 3)}" for n in range(count)]
    made = plan(dataset(tmp_path, "question,answer\n" + "".join(f"{q},a\n" for q in asked)))
    assert list(made.questions) == [list(dict.fromkeys(asked)).index(q) for q in asked]
    assert list(made.repeats) == [asked[:place].count(q) for place, q in enumerate(asked)]
