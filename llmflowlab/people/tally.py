"""What battles came to, counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from llmflowlab.people.votes import SCORES, ArenaVote

__all__ = ["Tally", "tallies_by_model", "tally_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How often somebody won, lost, and neither."""

    battles: int
    wins: int
    losses: int
    ties: int
    """Those that were both bad among them."""
    both_bad: int

    def to_json(self) -> dict[str, int]:
        return asdict(self)


def tally_of(sides: Iterable[tuple[float, bool]]) -> Tally:
    """Count battles up, each given as what it was worth to this side, and whether both were bad."""
    scores, bad = zip(*sides, strict=True)
    wins, losses = sum(s > 0.5 for s in scores), sum(s < 0.5 for s in scores)
    return Tally(
        battles=len(scores),
        wins=wins,
        losses=losses,
        ties=len(scores) - wins - losses,
        both_bad=sum(bad),
    )


def tallies_by_model(votes: Iterable[ArenaVote]) -> dict[str, Tally]:
    """Return by model reference what people voted, whatever prompt and parameters it had.

    A model that met itself is counted on both sides.
    """
    sides: dict[str, list[tuple[float, bool]]] = {}
    for vote in votes:
        score, bad = SCORES[vote.verdict], vote.verdict == "both_bad"
        for fighter, worth in ((vote.a, score), (vote.b, 1 - score)):
            sides.setdefault(fighter.contestant.model, []).append((worth, bad))
    return {model: tally_of(own) for model, own in sides.items()}
