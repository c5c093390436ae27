import numpy as np
import pytest

from llmflowlab.people.calibration import FEWEST, JudgedByBoth, calibrate
from tests.known import known

PAIRS = 1_000


def pairs(judge, *, agree=None, seed=0, n=PAIRS):
    """Pairs of answers of which people prefer the longer in 62.2 %, as in AlpacaEval's annotations."""
    generator = np.random.default_rng(seed)
    things = []
    for question in range(n):
        length = float(generator.normal())
        longer = question * 7 % 1_000 < 622
        people = float((length > 0) == longer)
        if agree is not None:
            said = people if generator.random() < agree else 1 - people
        else:
            said = judge(length, generator)
        things.append(JudgedByBoth(question=question, people=people, judge=said, length=length))
    return things


def calibrated(things, **more):
    return calibrate(things, scorer="preference", judge="a:judge", asked="preference", **more)


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        pytest.param(lambda length, generator: 1.0, "kappa", id="always the first, or always yes"),
        pytest.param(
            lambda length, generator: float(length > 0), "longer", id="always the longest"
        ),
        pytest.param(
            lambda length, generator: float(generator.random() < 0.5), "kappa", id="random"
        ),
    ],
)
def test_planted_judges_are_refused(judge, why):
    found = calibrated(pairs(judge))
    assert found.passed is False
    assert any(why in doubt for doubt in found.doubts)


def test_people_are_told_from_always_the_longest():
    # AlpacaEval's evaluators: another person agrees in 65.7 %, "longest" in 62.2 %.
    person = calibrated(pairs(None, agree=0.657))
    longest = calibrated(pairs(lambda length, generator: float(length > 0)))
    assert known(person.agreement).value == pytest.approx(0.657, abs=0.03)
    assert known(longest.agreement).value == pytest.approx(0.622, abs=0.03)
    assert (person.passed, longest.passed) == (True, False)
    assert person.doubts == ()


def test_a_small_model_on_adversarial_pairs_is_refused():
    # Recorded agreement of a small model with people on pairs made to mislead: kappa -.18.
    found = calibrated(pairs(None, agree=0.41))
    assert known(found.kappa) == pytest.approx(-0.18, abs=0.06)
    assert found.passed is False


def test_a_judge_whom_a_constant_answer_flatters_is_refused():
    # A null model scores 86.5 % in a public leaderboard: one text that the judge takes for the best.
    generator = np.random.default_rng(6)
    things = []
    for question in range(100):
        people = float(generator.random() < 0.7)
        things += [
            JudgedByBoth(question=question, people=people, judge=people, length=5.0),
            JudgedByBoth(question=question, people=0.0, judge=1.0, length=9.0),
        ]
    assert calibrated(things[::2]).passed is not False
    found = calibrated(things)
    assert found.passed is False
    assert any("kappa" in doubt for doubt in found.doubts)
    assert any("longer" in doubt for doubt in found.doubts)


def test_a_judge_that_changes_its_mind_is_refused():
    good = pairs(None, agree=0.95)
    assert calibrated(good).passed is True
    assert calibrated(good, flipped=0.5, first_preferred=0.9).doubts == (
        "50% of its comparisons change with the order",
    )
    assert calibrated(good, steady=0.7).passed is False
    assert calibrated(good, flipped=0.2, steady=0.95).passed is True


def test_a_judge_that_says_the_same_of_everything_has_no_kappa_and_is_refused():
    found = calibrated(pairs(lambda length, generator: 1.0))
    assert (found.kappa, found.kappa_interval, found.constant) == (None, None, "judge")
    assert "it says the same of every answer, so that kappa is undefined" in found.doubts


def test_people_who_say_the_same_of_everything_examine_nobody():
    things = [
        JudgedByBoth(question=at, people=1.0, judge=float(at % 9 > 0), length=0.0)
        for at in range(3 * FEWEST)
    ]
    found = calibrated(things)
    assert (found.constant, found.kappa, found.passed, found.doubts) == ("people", None, None, ())


def test_a_judge_of_something_else_is_not_examined():
    found = calibrated(pairs(lambda length, generator: 1.0), same_question=False)
    assert found.passed is None
    assert found.doubts == ()
    assert found.n == PAIRS


def test_too_few_questions_say_nothing():
    found = calibrated(pairs(lambda length, generator: 1.0, n=FEWEST - 1))
    assert found.passed is None
    assert calibrated([]).passed is None
    # Many answers to few questions are few.
    many = [
        JudgedByBoth(question=at % 10, people=at % 2, judge=at % 2, length=0.0) for at in range(90)
    ]
    assert calibrated(many).passed is None


def test_the_table_sensitivity_and_specificity_count_what_people_say():
    said = [(1, 1)] * 30 + [(1, 0)] * 10 + [(0, 0)] * 15 + [(0, 1)] * 5
    things = [
        JudgedByBoth(question=at, people=p, judge=j, length=0.0) for at, (p, j) in enumerate(said)
    ]
    found = calibrated(things)
    assert found.table == ((15, 5), (10, 30))
    assert known(found.sensitivity).value == 0.75
    assert known(found.specificity).value == 0.75
    assert known(found.sensitivity).interval.low == pytest.approx(0.598, abs=1e-3)
    assert found.length is None
    assert known(found.kappa) == pytest.approx(found.weighted)


def test_a_judge_that_is_kinder_to_its_own_family_and_to_a_language_shows_it():
    generator = np.random.default_rng(3)
    things = []
    for question in range(300):
        own, language = bool(question % 2), "de" if question % 3 else "en"
        people = float(generator.random() < 0.5)
        kind = own and generator.random() < 0.4
        judge = 1.0 if kind else people
        things.append(
            JudgedByBoth(
                question=question,
                people=people,
                judge=judge,
                length=float(generator.normal()),
                language=language,
                own_family=own,
            )
        )
    found = calibrated(things)
    assert known(known(found.own_family).interval).low > 0.05
    assert (
        known(found.languages["de"].interval).low < 0 < known(found.languages["de"].interval).high
    )
    assert found.passed is True
    unknown = [
        JudgedByBoth(question=t.question, people=t.people, judge=t.judge, length=t.length)
        for t in things
    ]
    assert calibrated(unknown).own_family is None


def test_degrees_are_weighted():
    generator = np.random.default_rng(4)
    grades = (0.0, 0.25, 0.5, 0.75, 1.0)
    things = []
    for question in range(200):
        people = float(generator.choice(grades))
        judge = min(1.0, max(0.0, people + float(generator.choice((-0.25, 0, 0.25)))))
        things.append(JudgedByBoth(question=question, people=people, judge=judge, length=0.0))
    found = calibrate(things, scorer="quality", judge="a:b", asked="quality", labels=grades)
    assert known(found.weighted) > known(found.kappa) + 0.2
    assert found.sensitivity is None
    assert len(found.table) == 5
