"""Leaderboards on the screen."""

from __future__ import annotations

from llmflowlab.cli.formatting import dollars, plural, seconds
from llmflowlab.cli.ui.screen import Screen, Table
from llmflowlab.lab.arena_boards import Boards
from llmflowlab.people.leaderboard import TIES, Leaderboard

__all__ = ["show_boards"]


def show_boards(screen: Screen, boards: Boards) -> None:
    """Show all leaderboards, and who beat whom."""
    if boards.people is not None:
        voters = f" of {plural(len(boards.voters), 'person', 'people')}"
        votes = plural(boards.people.battles, "vote")
        screen.table(_table(boards.people, f"Leaderboard by {votes}{voters}"))
        if len(boards.people.places) > 2:
            screen.table(_matrix(boards.people))
    for value, board in boards.groups:
        screen.table(_table(board, f"{boards.by} {value}: {plural(board.battles, 'vote')}"))
    for judged in boards.judges:
        board = judged.board
        verdicts = plural(board.battles, "comparison")
        screen.table(_table(board, f"Leaderboard by judge {board.source}: {verdicts}"))
        if judged.doubt is not None:
            screen.warn(f"This judge is not believed: {judged.doubt}")
        if judged.agreement is not None:
            screen.say(judged.agreement.sentence())
    screen.note(TIES)


def _table(board: Leaderboard, title: str) -> Table:
    return Table(
        title=title,
        columns=("ranks", "model", "points", "95 % interval", "won/tied/lost", "mean time", "cost"),
        rows=tuple(
            (
                place.ranks,
                place.contestant.label,
                f"{place.points:.0f}",
                f"{place.interval.low:.0f} to {place.interval.high:.0f}",
                f"{place.wins}/{place.ties}/{place.losses}",
                seconds(place.seconds),
                dollars(place.cost_usd),
            )
            for place in board.places
        ),
        numbers=frozenset({0, 2, 3, 4, 5, 6}),
        notes=tuple(board.notes()),
    )


def _matrix(board: Leaderboard) -> Table:
    places = [str(number) for number in range(1, len(board.places) + 1)]
    return Table(
        title="Who beat whom: points won by the line against the column",
        columns=("", "model", *places),
        rows=tuple(
            (
                place,
                entry.contestant.label,
                *("" if won is None else f"{won:g}" for won in line),
            )
            for place, entry, line in zip(places, board.places, board.matrix, strict=True)
        ),
        numbers=frozenset({0, *range(2, len(places) + 2)}),
    )
