"""Samples in which each category or language keeps its share."""

from __future__ import annotations

import random
from typing import Literal, TypeAlias

from llmflowlab.data.dataset import Dataset, subset
from llmflowlab.errors import InputError

__all__ = ["Stratum", "shares", "stratified_sample"]

Stratum: TypeAlias = Literal["category", "language"]


def shares(sizes: dict[str, int], n: int) -> dict[str, int]:
    """Return how many of `n` fall to each stratum, by the method of largest remainders (Hamilton).

    Args:
        sizes: Rows of each stratum; their sum is at least `n`.
        n: How many are drawn in all.
    """
    total = sum(sizes.values())
    quotas = {name: divmod(n * size, total) for name, size in sizes.items()}
    given = {name: whole for name, (whole, _) in quotas.items()}
    # Ties go to the larger stratum, then by name, so that nothing depends on the file's order.
    order = sorted(sizes, key=lambda name: (-quotas[name][1], -sizes[name], name))
    for name in order[: n - sum(given.values())]:
        given[name] += 1
    return given


def stratified_sample(dataset: Dataset, n: int, seed: int, *, by: Stratum) -> Dataset:
    """Draw without replacement so that each stratum keeps its share; rows stay in the file's order.

    Rows without a value are a stratum of their own.

    Args:
        dataset: What to draw from.
        n: How many rows; all of them where there are no more.
        seed: The same seed draws the same rows from the same file.
        by: What tells the strata apart.

    Raises:
        InputError: `n` is below 1, or no row has such a value.
    """
    if n < 1:
        raise InputError(f"A sample of {n} rows is none; ask for at least 1.")
    strata: dict[str, list[int]] = {}
    for row in dataset.rows:
        strata.setdefault(getattr(row, by) or "", []).append(row.index)
    if set(strata) == {""}:
        raise InputError(
            f"{dataset.name} has no {by} to stratify by; name its column with --map {by}=COLUMN."
        )
    if n >= len(dataset.rows):
        return dataset
    # Reproducible on purpose: nothing here needs to be unguessable.
    generator = random.Random(seed)  # noqa: S311
    quota = shares({name: len(places) for name, places in strata.items()}, n)
    drawn = [
        place for name in sorted(strata) for place in generator.sample(strata[name], quota[name])
    ]
    return subset(dataset, sorted(drawn))
