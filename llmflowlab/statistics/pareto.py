"""Who is beaten by nobody in several things at once: the Pareto front, and how sure its border is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Point", "Standing", "dominates", "standings"]

Point: TypeAlias = Sequence[float | None]
"""What somebody has of each thing, less being better in all of them; None where it is unknown."""


def dominates(one: Point, other: Point) -> bool:
    """Whether one is nowhere worse than the other, and better somewhere.

    What is unknown can be shown to be neither: where a coordinate of either is None, nobody is beaten.
    """
    pairs = list(zip(one, other, strict=True))
    known = all(a is not None and b is not None for a, b in pairs)
    return (
        known
        and all((a or 0.0) <= (b or 0.0) for a, b in pairs)
        and any((a or 0.0) < (b or 0.0) for a, b in pairs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one of several points stands, by the places of the others."""

    known: bool
    """Whether all of it is known; else it can neither beat nor be beaten."""
    beaten_by: tuple[int, ...]
    """Those that beat it by their figures; nobody: it is on the front."""
    shown: tuple[int, ...]
    """Those of them that were shown to be better somewhere, beyond chance."""
    ties: tuple[int, ...]
    """Those that are equal to it in everything."""


def standings(points: Sequence[Point], shown: Callable[[int, int], bool]) -> list[Standing]:
    """Return how each point stands among the others.

    Args:
        points: By place.
        shown: Whether the first of two places was shown to be better than the second in something.
    """
    found = []
    for place, own in enumerate(points):
        others = [other for other in range(len(points)) if other != place]
        beaten_by = tuple(other for other in others if dominates(points[other], own))
        known = None not in own
        found.append(
            Standing(
                known=known,
                beaten_by=beaten_by,
                shown=tuple(other for other in beaten_by if shown(other, place)),
                ties=tuple(o for o in others if known and list(points[o]) == list(own)),
            )
        )
    return found
