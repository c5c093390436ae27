"""Samples of a benchmark: seeded, fair, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.data.dataset import Dataset, sample
from llmflowlab.errors import InputError
from tests.evaluation.test_dataset import load


@pytest.fixture
def hundred(tmp_path: Path) -> Dataset:
    return load(tmp_path, "question,answer\n" + "".join(f"q{i},{i}\n" for i in range(100)))


def test_a_sample_is_seeded_and_keeps_the_order(hundred: Dataset) -> None:
    first, again, other = (sample(hundred, 10, seed) for seed in (1, 1, 2))
    assert [row.id for row in first.rows] == [row.id for row in again.rows]
    assert [row.id for row in first.rows] != [row.id for row in other.rows]
    assert [row.line for row in first.rows] == sorted(row.line or 0 for row in first.rows)
    assert [row.index for row in first.rows] == list(range(10))
    assert first.digest == again.digest != hundred.digest


def test_every_row_is_drawn_equally_often(hundred: Dataset) -> None:
    from collections import Counter

    draws = Counter(row.id for seed in range(500) for row in sample(hundred, 20, seed).rows)
    # Binomial(500, 0.2): mean 100, standard deviation 9; five of them on either side.
    assert len(draws) == 100
    assert all(55 < count < 145 for count in draws.values())


def test_a_sample_of_everything_is_everything(hundred: Dataset) -> None:
    assert sample(hundred, 100, 1) is hundred
    assert sample(hundred, 1000, 1) is hundred


@pytest.mark.parametrize("n", [0, -1])
def test_a_sample_of_nothing_is_refused(hundred: Dataset, n: int) -> None:
    with pytest.raises(InputError, match="at least 1"):
        sample(hundred, n, 1)
