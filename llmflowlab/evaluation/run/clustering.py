"""Which questions belong together because they share a passage, a document or whatever a column names."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from llmflowlab.data.dataset import Dataset
from llmflowlab.data.names import fold
from llmflowlab.errors import InputError

__all__ = [
    "cluster_column",
    "cluster_numbers",
    "cluster_values",
]


def cluster_column(dataset: Dataset, named: str) -> str:
    """Return the column that was named, without regard to case where none is written just so.

    Raises:
        InputError: The file has no such column.
    """
    alike = [column for column in dataset.columns if fold(column) == fold(named)]
    if named in dataset.columns:
        return named
    if len(alike) == 1:
        return alike[0]
    raise InputError(
        f"--cluster: {dataset.path.name} has no column {named!r}; there are "
        f"{', '.join(dataset.columns)}."
    )


def cluster_values(dataset: Dataset, column: str) -> Iterator[str | None]:
    """Yield each row's value; None where the cell is empty, which is a cluster of its own."""
    return (row.source.get(column, "").strip() or None for row in dataset.rows)


def cluster_numbers(questions: Sequence[int], values: Iterable[str | None]) -> Sequence[int]:
    """Return the number of each row's cluster, from 0 on as they come.

    A question is never divided: one that stands with two values makes one cluster of both.

    Args:
        questions: For each row the number of the question it asks, from 0 on.
        values: For each row what it shares with others; None: nothing.
    """
    several = max(questions, default=-1) + 1
    # Of questions, and behind them of values.
    parents = array("q", range(several))
    places: dict[str, int] = {}

    def root(node: int) -> int:
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for question, value in zip(questions, values, strict=True):
        if value is not None:
            place = places.setdefault(value, len(parents))
            if place == len(parents):
                parents.append(place)
            parents[root(question)] = root(place)
    numbers = array("q", [-1]) * len(parents)
    found, count = array("q"), 0
    for question in questions:
        own = root(question)
        if numbers[own] < 0:
            numbers[own], count = count, count + 1
        found.append(numbers[own])
    return found
