import numpy as np
import pytest

from benchmarks.simulations.people import JUDGES, asked, compared
from llmflowlab.statistics.intervals import wilson_interval
from llmflowlab.statistics.prediction_powered import combined_difference, combined_mean
from tests.known import known


def world(rows, right, yes, no, seed):
    """Return people's words on all rows, and a judge's that is right with those chances."""
    generator = np.random.default_rng(seed)
    said = (generator.random(rows) < right).astype(float)
    judged = (generator.random(rows) < np.where(said == 1, yes, 1 - no)).astype(float)
    return said.tolist(), judged.tolist()


def of_first(words, labelled):
    return [*words[:labelled], *[None] * (len(words) - labelled)]


def test_a_judge_of_two_values_gives_the_tuned_estimate_of_ppi():
    said, judged = world(400, 0.7, 0.9, 0.85, 1)
    found = known(combined_mean(of_first(said, 60), judged, binary=True))
    # PPI++: λ = cov / ((1 + n/N) var), N rows without people's words.
    y, f = np.array(said[:60]), np.array(judged[:60])
    slope = np.cov(y, f)[0, 1] / f.var(ddof=1)
    expected = y.mean() + slope * (np.mean(judged) - f.mean())
    assert found.value == pytest.approx(expected)
    assert found.people == pytest.approx(y.mean())
    assert found.effective > 80


def test_a_useless_judge_leaves_the_interval_of_people_alone():
    # As ppi_py's forest_badmodel: 200 words, and a model that knows nothing.
    generator = np.random.default_rng(2)
    said = [1.0] * 34 + [0.0] * 166
    judged = generator.random(1_396).round(2).tolist()
    found = known(combined_mean([*said, *[None] * 1_196], judged, binary=True))
    assert found.power == 0
    assert found.interval == wilson_interval(34, 200)
    assert found.effective == 200
    constant = known(combined_mean([*said, *[None] * 50], [1.0] * 250, binary=True))
    assert (constant.value, constant.interval) == (0.17, wilson_interval(34, 200))


def test_a_judge_with_whom_nobody_differed_yet_is_not_taken_to_be_always_right():
    said, judged = world(1_000, 0.8, 1.0, 1.0, 3)
    found = known(combined_mean(of_first(said, 20), judged, binary=True))
    assert found.interval.high - found.interval.low > 0.06
    assert found.interval.low < 0.8 < found.interval.high


@pytest.mark.parametrize("labelled", [20, 50, 200])
@pytest.mark.parametrize("judge", list(JUDGES))
def test_the_interval_holds_what_people_would_say(judge, labelled):
    held = [
        look(judge, 0.7, np.random.default_rng([seed, labelled]), labelled)
        for seed in range(150)
        for look in (asked, compared)
    ]
    assert np.mean(held) >= 0.925


def test_fewer_than_ten_words_estimate_nothing():
    said, judged = world(100, 0.5, 0.9, 0.9, 4)
    assert combined_mean(of_first(said, 9), judged, binary=True) is None
    # Ten answers on five passages are five words.
    passages = np.arange(100) // 2
    assert combined_mean(of_first(said, 10), judged, binary=True, clusters=passages) is None
    assert combined_mean(of_first(said, 10), judged, binary=True) is not None


def test_what_more_words_would_give_is_what_they_give():
    said, judged = world(2_000, 0.7, 0.85, 0.8, 5)
    few = known(combined_mean(of_first(said, 100), judged, binary=True))
    many = known(combined_mean(of_first(said, 400), judged, binary=True))
    assert few.half_width(300) == pytest.approx(many.half_width(), rel=0.15)
    more = known(few.more_for(0.05))
    assert few.half_width(more) <= 0.05 < few.half_width(more - 1)
    assert few.more_for(few.half_width()) == 0
    assert few.more_for(1e-4) is None
    assert few.half_width(10_000) == few.half_width(1_900)


def test_neither_the_order_of_questions_nor_missing_scores_break_it():
    said, judged = world(300, 0.6, 0.9, 0.9, 6)
    words = of_first(said, 80)
    found = known(combined_mean(words, judged, binary=True))
    turned = known(combined_mean(words[::-1], judged[::-1], binary=True))
    assert turned == found
    gaps = [None if at % 7 == 0 else score for at, score in enumerate(judged)]
    assert known(combined_mean(words, gaps, binary=True)).interval.low < 0.6
    assert known(combined_mean(words, [None] * 300, binary=True)).power == 0


def test_questions_on_one_passage_are_drawn_as_one():
    said, judged = world(300, 0.7, 0.9, 0.9, 7)
    alone = known(combined_mean(of_first(said, 50), judged, binary=True))
    five = [np.repeat(np.array(v, dtype=float), 5).tolist() for v in (of_first(said, 50), judged)]
    words = [None if np.isnan(value) else value for value in five[0]]
    passages = np.repeat(np.arange(300), 5)
    repeated = known(combined_mean(words, five[1], binary=True, clusters=passages))
    assert repeated.value == pytest.approx(alone.value)
    width = alone.interval.high - alone.interval.low
    # A little narrower: the unseen word is one to five times as many.
    assert 0.8 * width < repeated.interval.high - repeated.interval.low < 1.05 * width


def test_a_difference_is_that_of_the_same_questions():
    first, seen = world(500, 0.6, 0.95, 0.9, 8)
    second, also = world(500, 0.8, 0.95, 0.9, 9)
    words = [b - a for a, b in zip(first, second, strict=True)]
    scores = [b - a for a, b in zip(seen, also, strict=True)]
    found = known(combined_difference(of_first(words, 60), scores, binary=True))
    assert found.interval.low < 0.2 < found.interval.high
    assert found.effective > 90


def test_grades_are_estimated_too():
    generator = np.random.default_rng(10)
    worth = generator.normal(size=600)
    said = np.clip(np.round(2 + 1.2 * worth), 0, 4) / 4
    judged = np.clip(np.round(2 + 1.2 * worth + generator.normal(0, 0.5, 600)), 0, 4) / 4
    found = known(combined_mean(of_first(said.tolist(), 60), judged.tolist(), binary=False))
    assert found.interval.low < said.mean() < found.interval.high
    assert found.power > 0.5
    assert found.effective > 65


def test_an_estimate_lies_within_its_interval_also_where_everybody_says_yes() -> None:
    said = [1.0] * 10 + [None] * 30
    strata = np.arange(40) % 2
    found = combined_mean(said, [None] * 40, binary=True, strata=strata)
    assert found is not None
    assert found.value == found.interval.high == 1.0
    assert found.interval.low < 0.9


def test_groups_that_explain_nothing_narrow_nothing() -> None:
    # Drawn by what a judge said, the words of one grade alone made an interval half as wide.
    grades = [0.5] * 12 + [None] * 18
    strata = np.arange(30) % 3
    found = known(combined_mean(grades, [None] * 30, binary=False, strata=strata))
    alone = known(combined_mean(grades, [None] * 30, binary=False))
    assert found.power == 0
    assert found.effective == found.labelled
    assert found.interval.low <= alone.interval.low + 1e-12
    assert found.interval.high >= alone.interval.high - 1e-12


def test_what_is_judged_altogether_needs_no_judge() -> None:
    said, judged = world(60, 0.6, 0.95, 0.95, 4)
    found = known(combined_mean(said, judged, binary=True))
    assert (found.labelled, found.effective, found.power) == (60, 60, 0)
    assert found.value == pytest.approx(np.mean(said))
