"""A piece of a text as rules read it, with the way back to the characters as they were given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["BEGINNING", "Stretch", "Words"]

BEGINNING = 4
"""Letters by which rules are found that know how a word begins."""


@dataclass(frozen=True)
class Words:
    """The words of a stretch, one way to read them."""

    joined: str
    """The words with a space before and after each; an end of a sentence is the word `.`."""
    met: int
    """What rules need that is among them, as `rule_index` counts it."""
    place: Callable[[int, int], tuple[int, int]]
    """Finds words, from one number to another, in the text as it was given; few texts need it."""

    def __len__(self) -> int:
        return self.joined.count(" ") - 1

    def __add__(self, other: Words) -> Words:
        def place(first: int, last: int) -> tuple[int, int]:
            mine = len(self)
            if last < mine:
                return self.place(first, last)
            if first >= mine:
                return other.place(first - mine, last - mine)
            begun, ended = self.place(first, mine - 1), other.place(0, last - mine)
            return min(begun[0], ended[0]), max(begun[1], ended[1])

        return Words(self.joined[:-1] + other.joined, self.met | other.met, place)


@dataclass(frozen=True)
class Stretch:
    """A piece of a text, normalised."""

    clean: str
    """Without what is invisible, in NFKC; case as it was."""
    folded: str
    """As `clean`, letter by letter without case and accents."""
    places: Sequence[int]
    """Where each character of both stands in the text as it was given, and the end."""
    readings: tuple[Words, ...]
    """The words as they stand; then, where something hints at it, as they may be meant."""

    def __add__(self, other: Stretch) -> Stretch:
        """Return both as one, `other` following at once."""
        mine, others = self.readings, other.readings
        # The last reading is also each further one.
        more = len(others) - len(mine)
        mine, others = mine + mine[-1:] * more, others + others[-1:] * -more
        return Stretch(
            self.clean + other.clean,
            self.folded + other.folded,
            _one_after_other(self.places, other.places),
            tuple(map(Words.__add__, mine, others)),
        )

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return where characters of `clean` stand in the text as it was given."""
        return self.places[start], self.places[end - 1] + 1


def _one_after_other(places: Sequence[int], following: Sequence[int]) -> Sequence[int]:
    if isinstance(places, range) and isinstance(following, range):
        return range(places.start, following.stop)
    return [*places[:-1], *following]
