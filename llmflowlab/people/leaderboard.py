"""Who wins: strengths of contestants from votes or from judges' verdicts, with ranks and their uncertainty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from llmflowlab.evaluation.run.closing import metric_labels
from llmflowlab.people.tally import tally_of
from llmflowlab.people.votes import SCORES, ArenaVote, Contestant, Fighter
from llmflowlab.statistics.battles import Battle, style_difference, win_matrix
from llmflowlab.statistics.bradley_terry import POINTS, RankedStrength, fit_strengths
from llmflowlab.statistics.intervals import Interval
from llmflowlab.text.amounts import plural
from llmflowlab.text.style import STYLE

__all__ = [
    "TIES",
    "Leaderboard",
    "Met",
    "Place",
    "board_metrics",
    "leaderboard",
    "met_in",
]

TIES = (
    "A tie, and both bad, is half a win for each (Bradley-Terry; 1000 points are the average, 400 more "
    "are odds of 10 to 1); 95 % intervals by resampling."
)
"""What must stand wherever a leaderboard is shown."""
_CLUSTERS = 10
"""Prompts from which on a prompt, and not a vote, is what is resampled."""
_FEWEST_A_PROPERTY = 10
"""Battles to each coefficient of style below which it says nothing (Peduzzi et al. 1996, J. Clin. Epidemiol.
49:1373-1379, for logistic regression)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """Two contestants' answers to one prompt, and who was preferred."""

    a: Fighter
    b: Fighter
    score: float
    """Of `a`: 1 it won, 0 it lost, ½ a tie; a judge's share between."""
    prompt: str
    both_bad: bool = False
    names_known: bool = False
    """Whether the one who voted had seen the names."""


def met_in(votes: Sequence[ArenaVote]) -> list[Met]:
    """Return votes as battles."""
    return [
        Met(
            a=vote.a,
            b=vote.b,
            score=SCORES[vote.verdict],
            prompt=vote.prompt,
            both_bad=vote.verdict == "both_bad",
            names_known=vote.names_known,
        )
        for vote in votes
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A contestant's line of a leaderboard."""

    contestant: Contestant
    points: float
    interval: Interval
    best_rank: int
    worst_rank: int
    battles: int
    wins: int
    losses: int
    ties: int
    """Those that were both bad among them."""
    both_bad: int
    seconds: float | None
    """Mean of an answer's; None where unknown, as with the cost."""
    cost_usd: Decimal | None
    """Mean of an answer's."""

    @property
    def ranks(self) -> str:
        """Every rank that the intervals allow: `1`, or `1–3`."""
        same = self.best_rank == self.worst_rank
        return str(self.best_rank) if same else f"{self.best_rank}–{self.worst_rank}"

    def to_json(self) -> dict[str, Any]:
        who = self.contestant
        return {
            "model": who.model,
            "label": who.label,
            "system": who.system,
            "key": who.key,
            "points": self.points,
            "ci_low": self.interval.low,
            "ci_high": self.interval.high,
            "best_rank": self.best_rank,
            "worst_rank": self.worst_rank,
            "battles": self.battles,
            "wins": self.wins,
            "losses": self.losses,
            "ties": self.ties,
            "both_bad": self.both_bad,
            "mean_seconds": self.seconds,
            "mean_cost_usd": None if self.cost_usd is None else float(self.cost_usd),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """Contestants, best first."""

    source: str
    """`people`, or the judges' references."""
    places: Sequence[Place]
    battles: int
    prompts: int
    matrix: Sequence[Sequence[float | None]]
    """How often the line's contestant beat the column's, in the order of `places`; a tie is half a win,
    None who never met."""
    connected: bool
    style: Mapping[str, float] | None
    """Points that a typical difference in each property of style was worth; None where it was not looked at."""
    names_known: int = 0
    """Votes that were cast anew after the names had been shown; they count as all others."""

    def notes(self) -> list[str]:
        """Return what must be known beside the figures."""
        found = []
        if not self.connected:
            found.append(
                "Battles do not lead from everybody to everybody: between those groups the points "
                "say nothing."
            )
        if self.prompts < _CLUSTERS:
            found.append(
                f"Only {plural(self.prompts, 'different prompt')}: the intervals are as if each vote were about a "
                "prompt of its own."
            )
        if self.style is not None:
            worth = ", ".join(f"{name} {points:+.0f}" for name, points in self.style.items())
            found.append(f"At equal style. A typical difference was worth, in points: {worth}.")
            if self.battles < _FEWEST_A_PROPERTY * len(self.style):
                found.append(
                    f"{plural(self.battles, 'battle')} cannot tell style from strength: fewer than "
                    f"{_FEWEST_A_PROPERTY} to each of {len(self.style)} properties, so what style was worth, and "
                    "every rank here, may be chance; vote on or leave --style-control out."
                )
        if self.names_known:
            verb = "was" if self.names_known == 1 else "were"
            found.append(
                f"{self.names_known} of {plural(self.battles, 'vote')} {verb} cast with the names known."
            )
        return found

    def to_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "battles": self.battles,
            "prompts": self.prompts,
            "contestants": [place.to_json() for place in self.places],
            "win_matrix": [list(line) for line in self.matrix],
            "connected": self.connected,
            "style": None if self.style is None else dict(self.style),
            "names_known": self.names_known,
            "notes": self.notes(),
        }


def leaderboard(
    battles: Sequence[Met], *, source: str = "people", style_control: bool = False
) -> Leaderboard:
    """Return the leaderboard of battles, at least one.

    Args:
        battles: All of one kind.
        source: Who said who won.
        style_control: Take out of the strengths what length and Markdown explain (Li, Angelopoulos &
            Chiang 2024, "Does style matter?").
    """
    who = _contestants(battles)
    place = {contestant.key: number for number, contestant in enumerate(who)}
    prompts = {prompt: n for n, prompt in enumerate(dict.fromkeys(m.prompt for m in battles))}
    clustered = len(prompts) >= _CLUSTERS
    found = [
        Battle(
            left=place[met.a.contestant.key],
            right=place[met.b.contestant.key],
            score=met.score,
            style=style_difference(met.a.style, met.b.style) if style_control else (),
            cluster=prompts[met.prompt] if clustered else None,
        )
        for met in battles
    ]
    strengths = fit_strengths(found, len(who))
    standings = strengths.standings(strengths.bootstrap())
    places = [
        _place(contestant, battles, standing)
        for contestant, standing in zip(who, standings, strict=True)
    ]
    order = sorted(range(len(who)), key=lambda n: (-places[n].points, who[n].label))
    matrix = win_matrix(found, len(who))
    return Leaderboard(
        source=source,
        places=[places[n] for n in order],
        battles=len(found),
        prompts=len(prompts),
        matrix=[
            [float(matrix[n, m]) if matrix[n, m] + matrix[m, n] else None for m in order]
            for n in order
        ],
        connected=strengths.connected,
        style=dict(zip(STYLE, (POINTS * strengths.style).tolist(), strict=True))
        if style_control
        else None,
        names_known=sum(met.names_known for met in battles),
    )


def board_metrics(board: Leaderboard) -> dict[str, float]:
    """Return a leaderboard as metrics of a run: `leaderboard/{contestant}/points` and so on."""
    labels = metric_labels([place.contestant.label for place in board.places])
    return {
        f"leaderboard/{label}/{name}": float(value)
        for label, place in zip(labels, board.places, strict=True)
        for name, value in (
            ("points", place.points),
            ("ci_low", place.interval.low),
            ("ci_high", place.interval.high),
            ("best_rank", place.best_rank),
            ("worst_rank", place.worst_rank),
        )
    }


def _contestants(battles: Sequence[Met]) -> list[Contestant]:
    """Return everybody who fought, each under a label of its own."""
    found = {f.contestant.key: f.contestant for met in battles for f in (met.a, met.b)}
    labels = Counter(contestant.label for contestant in found.values())
    return [
        replace(one, label=f"{one.label} [{one.key[:6]}]") if labels[one.label] > 1 else one
        for _, one in sorted(found.items())
    ]


def _place(contestant: Contestant, battles: Sequence[Met], standing: RankedStrength) -> Place:
    own = [(met, met.a) for met in battles if met.a.contestant.key == contestant.key]
    theirs = [(met, met.b) for met in battles if met.b.contestant.key == contestant.key]
    sides = [(met.score, met.both_bad) for met, _ in own]
    tally = tally_of([*sides, *((1 - met.score, met.both_bad) for met, _ in theirs)])
    fighters = [fighter for _, fighter in (*own, *theirs)]
    took = [fighter.seconds for fighter in fighters if fighter.seconds is not None]
    paid = [Decimal(fighter.cost_usd) for fighter in fighters if fighter.cost_usd is not None]
    return Place(
        contestant=contestant,
        points=standing.points,
        interval=standing.interval,
        best_rank=standing.best_rank,
        worst_rank=standing.worst_rank,
        battles=tally.battles,
        wins=tally.wins,
        losses=tally.losses,
        ties=tally.ties,
        both_bad=tally.both_bad,
        seconds=sum(took) / len(took) if took else None,
        cost_usd=sum(paid, Decimal(0)) / len(paid) if len(paid) == len(fighters) else None,
    )
