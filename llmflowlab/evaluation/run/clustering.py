"""Which questions belong together because they share a passage, a document or whatever a column names."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

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


def cluster_values(dataset: Dataset, column: str) -> list[str | None]:
    """Return each row's value; None where the cell is empty, which is a cluster of its own."""
    return [row.source.get(column, "").strip() or None for row in dataset.rows]


def cluster_numbers(questions: Sequence[int], values: Sequence[str | None]) -> tuple[int, ...]:
    """Return the number of each row's cluster.

    A question is never divided: one that stands with two values makes one cluster of both.

    Args:
        questions: For each row the number of the question it asks.
        values: For each row what it shares with others; None: nothing.
    """
    parents: dict[Hashable, Hashable] = {}

    def root(node: Hashable) -> Hashable:
        parents.setdefault(node, node)
        while parents[node] != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for question, value in zip(questions, values, strict=True):
        if value is not None:
            parents[root(("question", question))] = root(("value", value))
    numbers: dict[Hashable, int] = {}
    return tuple(
        numbers.setdefault(root(("question", question)), len(numbers)) for question in questions
    )
