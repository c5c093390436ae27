import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa

from benchmarks.outside_people import drawn_ratings
from llmflowlab.statistics.kappa import (
    clustered_kappa,
    confusion,
    kappa,
    kappa_interval,
    weighted_kappa,
)
from llmflowlab.statistics.krippendorff import krippendorff_alpha, krippendorff_interval
from tests.known import known

TABLE = np.array([[0, 4, 1], [0, 8, 0], [0, 1, 5]])


def test_published_kappa_and_its_interval_come_out():
    interval = known(kappa_interval(TABLE))
    assert kappa(TABLE) == pytest.approx(0.4842, abs=5e-5)
    assert (interval.low, interval.high) == pytest.approx((0.2137, 0.7547), abs=5e-5)


@pytest.mark.parametrize(
    ("weights", "theirs"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_kappa_equals_statsmodels(weights, theirs):
    generator = np.random.default_rng(2)
    for _ in range(5):
        table = generator.integers(1, 20, (4, 4))
        expected = cohens_kappa(table, wt=theirs)
        interval = known(kappa_interval(table, weights))
        assert kappa(table, weights) == pytest.approx(expected.kappa)
        assert interval.low == pytest.approx(expected.kappa_low)
        assert interval.high == pytest.approx(expected.kappa_upp)


def test_confusion_counts_by_label():
    table = confusion(["a", "b", "b"], ["a", "a", "b"], ("a", "b"))
    assert table.tolist() == [[1, 0], [1, 1]]


def test_beside_who_says_always_the_same_there_is_no_kappa_and_no_interval():
    table = np.array([[9, 3], [0, 0]])
    assert (kappa(table), kappa(table.T), kappa_interval(table)) == (None, None, None)
    first, second = [1.0] * 12, [float(row % 2) for row in range(12)]
    assert clustered_kappa(first, second, list(range(12)), (0.0, 1.0)) == (None, None)
    grades = [(row, 0.75, row % 5 / 4) for row in range(12)]
    assert weighted_kappa(grades) == (None, None)


def test_who_says_always_one_and_the_same_has_no_kappa():
    assert kappa(np.array([[9, 0], [0, 0]])) is None
    assert kappa_interval(np.array([[9, 0], [0, 0]])) is None
    assert weighted_kappa([(row, 1.0, 1.0) for row in range(12)]) == (None, None)
    assert kappa(np.zeros((2, 2))) is None


def test_a_dozen_that_agree_throughout_are_not_certain_to_agree():
    table = np.array([[6, 0], [0, 6]])
    interval = known(kappa_interval(table))
    assert 0.4 < interval.low < 0.6
    assert interval.high == 1
    pairs = [(row, float(row % 2), float(row % 2)) for row in range(12)]
    value, weighted = weighted_kappa(pairs)
    assert value == 1
    assert known(weighted).low == pytest.approx(interval.low)
    # Five answers to each question say no more.
    five = [pair for pair in pairs for _ in range(5)]
    rows, first, second = zip(*five, strict=True)
    drawn = known(clustered_kappa(first, second, rows, (0.0, 1.0))[1])
    assert drawn.low == pytest.approx(interval.low)
    assert known(weighted_kappa(five)[1]).low == pytest.approx(interval.low)


def test_answers_to_one_question_are_drawn_as_one():
    generator = np.random.default_rng(3)
    first = generator.integers(0, 3, 60)
    second = np.where(generator.random(60) < 0.6, first, generator.integers(0, 3, 60))
    rows = np.arange(60)
    value, alone = clustered_kappa(first.tolist(), second.tolist(), rows.tolist(), (0, 1, 2))
    one, other, row = (np.repeat(part, 4).tolist() for part in (first, second, rows))
    repeated, drawn = clustered_kappa(one, other, row, (0, 1, 2))
    assert repeated == pytest.approx(value)
    assert known(drawn).low == pytest.approx(known(alone).low, abs=0.03)
    assert known(drawn).high == pytest.approx(known(alone).high, abs=0.03)
    assert clustered_kappa([0, 1] * 4, [0, 1] * 4, list(range(8)), (0, 1))[1] is None


def test_weighted_kappa_of_yes_and_no_is_kappa():
    generator = np.random.default_rng(4)
    pairs = [
        (i, float(generator.random() < 0.7), float(generator.random() < 0.6)) for i in range(40)
    ]
    table = confusion([a for _, a, _ in pairs], [b for _, _, b in pairs], (0.0, 1.0))
    assert weighted_kappa(pairs)[0] == pytest.approx(kappa(table))


# Hayes & Krippendorff 2007 (Krippendorff 2011, section C): four observers, twelve units, "." for none.
HAYES = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


@pytest.mark.parametrize(
    ("level", "expected"),
    [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)],
)
def test_published_alphas_come_out(level, expected):
    observers = [line.split() for line in HAYES.strip().splitlines()]
    units = [[float(v) for v in unit if v != "."] for unit in zip(*observers, strict=True)]
    assert krippendorff_alpha(units, level) == pytest.approx(expected, abs=5e-4)
    interval = known(krippendorff_interval(units, level))
    assert interval.low < expected < interval.high


def test_alpha_of_those_who_say_anything_holds_zero():
    generator = np.random.default_rng(5)
    units = [generator.integers(0, 3, 6).astype(float).tolist() for _ in range(200)]
    interval = known(krippendorff_interval(units, "nominal"))
    assert interval.low < 0 < interval.high < 0.1


def test_alpha_has_no_interval_where_nothing_can_be_drawn():
    assert krippendorff_interval([[1.0, 0.0]] * 9) is None
    assert krippendorff_interval([[1.0, 1.0], [0.0, 0.0]] * 9) is None
    assert krippendorff_alpha([[1.0, 1.0], [0.0, 0.0]] * 9) == 1


@pytest.mark.parametrize("size", [(350, 123), (990, 72)])
def test_many_raters_of_many_units_agree_as_fleiss_kappa_has_it(size):
    # As large as the sets of DICES; of a full table alpha follows from Fleiss' kappa.
    ratings = drawn_ratings(*size)
    fleiss = fleiss_kappa(aggregate_raters(np.array(ratings, dtype=int))[0])
    given = size[0] * size[1]
    expected = 1 - (1 - fleiss) * (given - 1) / given
    alpha = krippendorff_alpha(ratings, "nominal")
    assert alpha == pytest.approx(expected)
    interval = known(krippendorff_interval(ratings, "nominal"))
    assert interval.low < known(alpha) < interval.high
