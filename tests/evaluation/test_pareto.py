from __future__ import annotations

import itertools
import random

import pytest

from llmflowlab.statistics.pareto import dominates, standings


def never(one: int, other: int) -> bool:
    return False


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        pytest.param((1, 1), (2, 2), True, id="better in all"),
        pytest.param((1, 2), (2, 2), True, id="equal in one"),
        pytest.param((1, 3), (2, 2), False, id="worse in one"),
        pytest.param((2, 2), (2, 2), False, id="equal in all"),
        pytest.param((1, None), (2, 2), False, id="unknown of the better one"),
        pytest.param((1, 1), (2, None), False, id="unknown of the worse one"),
        pytest.param((0, 0), (0, 1), True, id="free is known"),
    ],
)
def test_one_dominates_another_where_it_is_nowhere_worse(
    one: tuple[float | None, ...], other: tuple[float | None, ...], found: bool
) -> None:
    assert dominates(one, other) is found


def test_the_front_its_ties_and_what_is_only_seen_and_not_shown() -> None:
    points = [(1.0, 9.0), (5.0, 5.0), (5.0, 5.0), (6.0, 6.0), (9.0, None)]
    found = standings(points, lambda one, other: (one, other) == (1, 3))
    assert [standing.beaten_by for standing in found] == [(), (), (), (1, 2), ()]
    assert [standing.shown for standing in found] == [(), (), (), (1,), ()]
    assert [standing.ties for standing in found] == [(), (2,), (1,), (), ()]
    assert [standing.known for standing in found] == [True, True, True, True, False]


def test_somebody_is_always_on_the_front_and_nobody_beaten_beats_the_front() -> None:
    dice = random.Random(5)
    for _ in range(300):
        points = [
            tuple(dice.choice([0.0, 1.0, 2.0]) for _ in range(3)) for _ in range(dice.randint(1, 7))
        ]
        found = standings(points, never)
        front = {place for place, standing in enumerate(found) if not standing.beaten_by}
        assert front
        for standing in found:
            # Whoever is beaten is beaten by somebody on the front, for dominance goes on.
            assert not standing.beaten_by or front & set(standing.beaten_by)
        assert not any(dominates(points[a], points[b]) for a, b in itertools.permutations(front, 2))
