"""What people said of models in chats and in the arena, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llmflowlab.cli.formatting import percent
from llmflowlab.cli.ui.screen import Table
from llmflowlab.program import program_name

if TYPE_CHECKING:
    from llmflowlab.people.ratings import RatingMean
    from llmflowlab.people.tally import Tally

__all__ = ["said_table"]


def said_table(
    models: Sequence[str],
    ratings: Mapping[str, Sequence[RatingMean]],
    votes: Mapping[str, Tally],
) -> Table | None:
    """Set side by side what people said of models in chats and in the arena; None where they said nothing."""
    rows = []
    for model in models:
        rated = [
            f"{mean.question.replace('_', ' ')} {percent(mean.mean)} ({mean.n})"
            for mean in ratings.get(model, ())
        ]
        tally = votes.get(model)
        if rated or tally is not None:
            won = "no votes" if tally is None else f"{tally.wins}/{tally.ties}/{tally.losses}"
            rows.append((model, ", ".join(rated) or "not rated", won))
    if not rows:
        return None
    return Table(
        title="Said by people in chats and in the arena",
        columns=("model", "ratings", "won/tied/lost"),
        rows=tuple(rows),
        numbers=frozenset({2}),
        notes=(
            "Ratings (/rate): of how many turns in brackets; a grade g is (g − 1) / 4, + is 100 %, - is 0 %.",
            *(
                (
                    "Votes: a model that met itself, under two prompts, counts on both sides; "
                    f"`{program_name()} arena leaderboard` ranks by them.",
                )
                if votes
                else ()
            ),
        ),
    )
