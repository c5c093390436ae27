"""The leaderboards of a home: from people's votes, and beside it from the verdicts of judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.people.board_agreement import BoardAgreement, agreement_of
from llmflowlab.people.judged_battles import Judged, judged_battles
from llmflowlab.people.leaderboard import (
    TIES,
    Leaderboard,
    leaderboard,
    met_in,
)
from llmflowlab.people.votes import ArenaVote, votes_of
from llmflowlab.people.word_store import WordStore
from llmflowlab.program import program_name
from llmflowlab.settings import Settings

__all__ = ["Boards", "GroupBy", "JudgedBoard", "boards"]

GroupBy: TypeAlias = Literal["category", "language", "voter"]
_PARTS: Mapping[GroupBy, str] = {"category": "category", "language": "language", "voter": "person"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBoard:
    """What a judge's verdicts make of the contestants."""

    board: Leaderboard
    agreement: BoardAgreement | None
    """With people; None where nobody voted."""
    doubt: str | None
    """Why the judge is not believed; None where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boards:
    """Everything that is known of who wins."""

    people: Leaderboard | None
    """None where nobody voted."""
    voters: Sequence[str]
    by: GroupBy | None
    groups: Sequence[tuple[str, Leaderboard]]
    """People's votes apart, by the value of `by`."""
    judges: Sequence[JudgedBoard]

    def to_json(self) -> dict[str, Any]:
        return {
            "people": None if self.people is None else self.people.to_json(),
            "voters": list(self.voters),
            "tie_model": TIES,
            "by": self.by,
            "groups": [{"value": value, **board.to_json()} for value, board in self.groups],
            "judges": [
                {
                    **judged.board.to_json(),
                    "doubt": judged.doubt,
                    "agreement": None if judged.agreement is None else judged.agreement.to_json(),
                }
                for judged in self.judges
            ],
        }


def boards(settings: Settings, *, by: GroupBy | None = None, style_control: bool = False) -> Boards:
    """Count up all votes and verdicts of the home.

    Args:
        settings: Name the home.
        by: Also part people's votes by this.
        style_control: Take out of the strengths what length and Markdown explain.

    Raises:
        InputError: There is no vote and no verdict.
        TrackingError: They cannot be read.
    """
    with closing(WordStore(settings.people_file)) as words:
        votes = votes_of(words)
    judged: list[Judged] = []
    if settings.ledger_file.exists():
        with closing(Ledger(settings.ledger_file)) as ledger:
            judged = judged_battles(ledger)
    if not votes and not judged:
        raise InputError(
            f"Nobody has voted in {settings.home} yet, and no judge has compared answers; begin with "
            f"{program_name()} arena --model provider:model --model provider:model."
        )
    people = leaderboard(met_in(votes), style_control=style_control) if votes else None

    def board(one: Judged) -> JudgedBoard:
        met = list(one.battles.values())
        made = leaderboard(met, source=one.judge, style_control=style_control)
        agreement = None if people is None else agreement_of(people, made)
        return JudgedBoard(board=made, agreement=agreement, doubt=one.doubt)

    parts: dict[str, list[ArenaVote]] = {}
    if by is not None:
        for vote in votes:
            parts.setdefault(getattr(vote, _PARTS[by]) or "unknown", []).append(vote)
    return Boards(
        people=people,
        voters=sorted({vote.person for vote in votes}),
        by=by,
        groups=[
            (value, leaderboard(met_in(part), style_control=style_control))
            for value, part in sorted(parts.items())
        ],
        judges=list(map(board, judged)),
    )
