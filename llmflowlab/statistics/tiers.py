"""A leaderboard in tiers: candidates that cannot be told apart share a rank."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from string import ascii_lowercase

__all__ = ["letters", "ranks"]


def ranks(count: int, better: Collection[tuple[int, int]]) -> list[int]:
    """Return each candidate's rank: one more than the number of candidates shown to be better.

    Candidates of the same rank have as many betters; where A is better than C and B differs from
    neither, A and B share the first rank, and C, with one better, is second.

    Args:
        count: How many candidates there are.
        better: Pairs (winner, loser), after correction for all comparisons.
    """
    return [1 + sum(1 for _, loser in better if loser == index) for index in range(count)]


def letters(order: Sequence[int], different: Collection[tuple[int, int]]) -> dict[int, str]:
    """Return the compact letter display: candidates that share a letter cannot be told apart.

    The letters are the largest sets without a difference inside (Piepho 2004, J. Comput. Graph. Stat.
    13:456–466), named in the order of the leaderboard.

    Args:
        order: The candidates, best first.
        different: Pairs, in either order, that were told apart.
    """
    apart = {frozenset(pair) for pair in different}
    columns: list[frozenset[int]] = [frozenset(order)]
    for pair in sorted(apart, key=sorted):
        first, second = sorted(pair)
        split: list[frozenset[int]] = []
        for column in columns:
            if first in column and second in column:
                split += [column - {first}, column - {second}]
            else:
                split.append(column)
        # A set inside another says nothing that the other does not.
        columns = [
            column
            for place, column in enumerate(split)
            if not any(
                column < other or (column == other and place > at) for at, other in enumerate(split)
            )
        ]
    place = {candidate: at for at, candidate in enumerate(order)}
    columns.sort(key=lambda column: sorted(place[candidate] for candidate in column))
    names = itertools.chain(
        ascii_lowercase, map("".join, itertools.product(ascii_lowercase, repeat=2))
    )
    found: dict[int, list[str]] = {candidate: [] for candidate in order}
    for column, name in zip(columns, names, strict=False):
        for candidate in column:
            found[candidate].append(name)
    return {
        candidate: (" " if any(len(n) > 1 for n in given) else "").join(given)
        for candidate, given in found.items()
    }
