"""Sizes that are planned from few rows reach the power that they promise, averaged over such rows."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from benchmarks.simulations.worlds import generator
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.sizing import rows_for, spread_of, visible
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.statistics.paired import paired_test
from llmflowlab.statistics.pilots import Pilot
from llmflowlab.statistics.planning import mcnemar_power, rows_for_yes_no
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.known import known


@pytest.mark.parametrize("rows", [20, 50, 200])
@pytest.mark.parametrize(("discordance", "difference"), [(0.04, 0.03), (0.1, 0.05), (0.3, 0.1)])
def test_sizes_for_yes_and_no_reach_their_power_over_all_pilots(rows, discordance, difference):
    # Without the chance of a simulation: every pilot with its probability.
    chances = binom.pmf(np.arange(rows + 1), rows, discordance)
    chances = np.where(chances > 1e-3, chances, 0) / chances[chances > 1e-3].sum()
    reached = naive = 0.0
    for differing in np.flatnonzero(chances):
        seen = [1.0] * int(differing) + [0.0] * (rows - int(differing))
        planned = Pilot(seen, yes_no=True).rows_for(difference)
        reached += chances[differing] * mcnemar_power(planned, discordance, difference)
        taken = max(float(differing) / rows, difference)
        planned = rows_for_yes_no(taken, difference)
        naive += chances[differing] * mcnemar_power(planned, discordance, difference)
    # The power of the exact test saws up and down by a point from one size to the next.
    assert reached >= 0.79
    assert naive < reached


RARE = {
    "seldom at all": ([0.0, 1.0], [0.96, 0.04]),
    "little, seldom much": ([0.05, 1.0], [0.98, 0.02]),
    "85 % equal": ([0.0, 0.25, 0.5, 1.0], [0.85, 0.1, 0.04, 0.01]),
}


@pytest.mark.parametrize("rows", [20, 50])
@pytest.mark.parametrize("shape", RARE)
def test_sizes_for_degrees_reach_their_power_where_large_differences_are_rare(shape, rows):
    # The sample's variance, as it stood with a small addition: 70 to 76 % were reached.
    values, chances = RARE[shape]
    true = math.sqrt(np.dot(np.square(values), chances))
    # Of so small a difference, at which so many questions are needed, the test is the normal one.
    difference, source = 0.02 * true, generator(rows)
    reached = []
    for _ in range(60):
        seen = source.choice(values, rows, p=chances) * source.choice([-1, 1], rows)
        planned = Pilot(seen, yes_no=False).rows_for(difference)
        reached.append(ndtr(difference * math.sqrt(planned) / true - 1.959964))
    error = np.std(reached) / math.sqrt(len(reached))
    assert np.mean(reached) >= 0.8 - 2.6 * error
    assert np.mean(reached) >= 0.78


def test_a_larger_pilot_of_the_same_differences_plans_fewer_questions():
    few, many = [0.0] * 17 + [0.25] * 3, ([0.0] * 17 + [0.25] * 3) * 20
    # So many rows that the test is the normal one.
    sizes = [Pilot(seen, yes_no=False).rows_for(0.005) for seen in (few, many)]
    assert sizes[1] < 0.6 * sizes[0]
    seen = [0.0] * 20 + [1.0] * 5
    assert Pilot(seen * 5, yes_no=True).rows_for(0.1) < Pilot(seen, yes_no=True).rows_for(0.1)


def test_a_size_at_which_the_interval_is_still_too_wide_is_not_enough():
    # Of 30 rows, of which the variance would do, four or five differ: no interval makes much of them.
    pilot = Pilot([0.0] * 340 + [0.25] * 60, yes_no=False)
    size, shown = pilot.rows_for(0.05), 0
    source = generator(9)
    for _ in range(60):
        apart = source.choice([0.0, 0.25, -0.25], size, p=[0.76, 0.22, 0.02])
        test = known(paired_test([0.0] * size, apart.tolist(), binary=False))
        shown += test.p_value < 0.05 and test.interval.low > 0
    assert shown / 60 >= 0.7


@pytest.mark.parametrize("yes_no", [True, False])
def test_more_power_a_stricter_level_and_a_smaller_difference_need_more(yes_no):
    pilot = Pilot([0.0] * 30 + [1.0] * 8, yes_no=yes_no)
    size = pilot.rows_for(0.5)
    assert size < pilot.rows_for(0.5, power=0.9)
    assert size < pilot.rows_for(0.5, alpha=0.05 / 6)
    assert size < pilot.rows_for(0.4)


@pytest.mark.parametrize("yes_no", [True, False])
def test_what_a_size_shows_is_about_what_it_was_planned_for(yes_no):
    pilot = Pilot([0.0] * 60 + [1.0] * 20, yes_no=yes_no)
    size = pilot.rows_for(0.2)
    assert known(pilot.visible(size)) == pytest.approx(0.2, rel=0.12)
    assert pilot.visible(3) is None


@pytest.mark.parametrize("yes_no", [True, False])
def test_neither_order_nor_who_was_ahead_changes_a_plan(yes_no):
    seen = [0.0] * 30 + [1.0] * 5
    turned = [-value for value in seen[::-1]]
    plans = [Pilot(values, yes_no=yes_no).rows_for(0.5) for values in (seen, turned)]
    assert plans[0] == plans[1]


def test_rows_that_agreed_throughout_still_leave_something_open():
    assert Pilot([0.0] * 40, yes_no=True).rows_for(0.03) > rows_for_yes_no(0.03, 0.03)
    assert Pilot([0.0] * 40, yes_no=False).rows_for(0.03) > 40
    assert Pilot([1.0] * 40, yes_no=True).rows_for(0.1) == pytest.approx(
        rows_for_yes_no(1.0, 0.1), rel=0.02
    )


# Of an evaluation


def evaluated(home, ledger, tmp_path, rows, *, wrong=lambda i: i % 4 == 0, **options):
    """Evaluate one who knows every answer beside one who gets some wrong, always the same."""
    lines = [f"q{i:03},a{i:03},{i // 4}" for i in range(rows)]
    data = dataset(tmp_path, "\n".join(["question,answer,passage", *lines]) + "\n")
    right = {f"q{i:03}": f"a{i:03}" for i in range(rows)}
    other = right | {f"q{i:03}": "no" for i in range(rows) if wrong(i)}
    models = [TableModel("good", home, right), TableModel("bad", home, other)]
    made = plan(
        data,
        candidates=[spec(model.reference) for model in models],
        scorers=("contains",),
        **options,
    )
    run_evaluation(made, bench(home, models, ledger, tmp_path))
    return made


def test_trials_that_always_say_the_same_are_worth_one(home, ledger, tmp_path):
    made = evaluated(home, ledger, tmp_path, 40, trials=3)
    found = spread_of(made, "contains", ledger, binary=False, source=made.evaluation_id)
    assert found.trials_effect == pytest.approx(3.0)
    assert found.rows == 40
    assert found.value == pytest.approx(math.sqrt(11 / 41))
    needed = rows_for(found, 0.2, power=0.8, comparisons=1)
    assert needed < rows_for(found, 0.2, power=0.8, comparisons=6)
    assert known(visible(found, needed, power=0.8, comparisons=1)) == pytest.approx(0.2, rel=0.15)
    assert "as on 40 earlier ones and one more" in found.words()


def test_questions_of_a_passage_that_go_wrong_together_are_worth_one(home, ledger, tmp_path):
    # Of ten passages three are wrong throughout.
    made = evaluated(
        home, ledger, tmp_path, 40, wrong=lambda i: i // 4 in {1, 4, 8}, cluster="passage"
    )
    found = spread_of(made, "contains", ledger, binary=False, source=made.evaluation_id)
    # Four, and the tenth by which ten passages say less of their own spread.
    assert known(found.clusters_effect) == pytest.approx(4 * 39 / 40 * 10 / 9)
    assert "4.3 questions of a cluster tell as much as one by itself" in found.words()
    alone = replace(found, clusters_effect=None)
    needed = [rows_for(spread, 0.3, power=0.8, comparisons=1) for spread in (alone, found)]
    assert needed[1] == math.ceil(needed[0] * known(found.clusters_effect))
    seen = [visible(spread, 200, power=0.8, comparisons=1) for spread in (alone, found)]
    assert known(seen[0]) < 0.6 * known(seen[1])


def test_a_pilot_of_too_few_questions_plans_nothing(home, ledger, tmp_path):
    made = evaluated(home, ledger, tmp_path, 19)
    with pytest.raises(InputError, match="on the same 20 questions: too few to plan from"):
        spread_of(made, "contains", ledger, binary=True, source=made.evaluation_id)
    # Nor is it taken where none was named.
    assert spread_of(made, "contains", ledger, binary=True).pilot is None
