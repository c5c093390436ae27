"""Who meets whom next in an arena."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np

from llmflowlab.people.votes import SCORES, ArenaVote, Contestant
from llmflowlab.statistics.battles import Battle
from llmflowlab.statistics.bradley_terry import fit_strengths
from llmflowlab.statistics.pairing import next_pair

__all__ = ["next_opponents"]


def next_opponents(
    votes: Sequence[ArenaVote], contestants: Sequence[Contestant], chance: random.Random
) -> tuple[int, int]:
    """Return the two whose battle teaches most, by their places among the contestants."""
    place = {contestant.key: number for number, contestant in enumerate(contestants)}
    battles = [
        Battle(
            left=place[vote.a.contestant.key],
            right=place[vote.b.contestant.key],
            score=SCORES[vote.verdict],
        )
        for vote in votes
        if vote.a.contestant.key in place and vote.b.contestant.key in place
    ]
    generator = np.random.default_rng(chance.getrandbits(64))
    return next_pair(fit_strengths(battles, len(contestants)), generator)
