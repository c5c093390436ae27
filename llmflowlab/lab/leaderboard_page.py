"""Leaderboards as a page of their own."""

from __future__ import annotations

from html import escape
from pathlib import Path

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.reports.plain_page import plain_page, section
from llmflowlab.evaluation.reports.tables_html import seconds, table, usd
from llmflowlab.evaluation.reports.whole import whole_file
from llmflowlab.lab.arena_boards import Boards
from llmflowlab.people.leaderboard import TIES, Leaderboard
from llmflowlab.text.amounts import plural

__all__ = ["boards_page", "write_boards_html"]


def write_boards_html(boards: Boards, file: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        InputError: The file cannot be written.
    """
    try:
        with whole_file(file) as out:
            out.write(boards_page(boards))
    except TrackingError as exc:
        why = getattr(exc.__cause__, "strerror", None) or "it fails"
        raise InputError(f"{file} cannot be written ({why}); name another file.") from exc


def boards_page(boards: Boards) -> str:
    """Return the page: people's votes, the same in parts, and what judges say beside them."""
    sections = []
    if boards.people is not None:
        sections.append(section("people", "By people's votes", _parts(boards.people)))
    for number, (value, board) in enumerate(boards.groups, start=1):
        title = f"{boards.by} {value}: {plural(board.battles, 'vote')}"
        sections.append(section(f"group-{number}", title, _parts(board)))
    for number, judged in enumerate(boards.judges, start=1):
        doubt = judged.doubt and f"This judge is not believed: {judged.doubt}"
        agreed = judged.agreement and judged.agreement.sentence()
        said = [f"<p>{escape(sentence)}</p>" for sentence in (doubt, agreed) if sentence]
        title = f"By the judge {judged.board.source}"
        sections.append(section(f"judge-{number}", title, [*said, *_parts(judged.board)]))
    votes = 0 if boards.people is None else boards.people.battles
    voters = plural(len(boards.voters), "person", "people")
    return plain_page("Arena leaderboard", f"{plural(votes, 'vote')} of {voters}", sections, TIES)


def _parts(board: Leaderboard) -> list[str]:
    places = table(
        "Strengths with their 95 % intervals, and every rank that they allow",
        ("ranks", "model", "points", "from", "to", "won", "tied", "lost", "mean time", "mean cost"),
        [
            (
                place.ranks,
                place.contestant.label,
                f"{place.points:.0f}",
                f"{place.interval.low:.0f}",
                f"{place.interval.high:.0f}",
                str(place.wins),
                str(place.ties),
                str(place.losses),
                seconds(place.seconds),
                usd(None if place.cost_usd is None else float(place.cost_usd)),
            )
            for place in board.places
        ],
        numbers={0, *range(2, 10)},
        names={1},
    )
    labels = [place.contestant.label for place in board.places]
    matrix = table(
        "Points won by the line against the column",
        ("model", *labels),
        [
            (label, *("" if won is None else f"{won:g}" for won in line))
            for label, line in zip(labels, board.matrix, strict=True)
        ],
        numbers=set(range(1, len(labels) + 1)),
        names={0},
    )
    systems = [
        f"<p><strong>{escape(place.contestant.label)}</strong>: {escape(place.contestant.system)}</p>"
        for place in board.places
        if place.contestant.system
    ]
    told = (
        [f"<details><summary>System prompts</summary>{''.join(systems)}</details>"]
        if systems
        else []
    )
    return [places, *(f"<p>{escape(note)}</p>" for note in board.notes()), matrix, *told]
