"""The menu's arena: choose the models and where prompts come from, then vote; or see who leads."""

from __future__ import annotations

from contextlib import closing

from llmflowlab.cli.arena.fighting import fight_on
from llmflowlab.cli.arena.leaderboard_tables import show_boards
from llmflowlab.cli.context import App
from llmflowlab.cli.going_back import going_back
from llmflowlab.cli.model_choice import choose_models
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.lab.arena import Arena
from llmflowlab.lab.arena_boards import boards
from llmflowlab.lab.arena_request import ArenaRequest
from llmflowlab.lab.deliverer import hand_over
from llmflowlab.lab.evaluate import default_data

__all__ = ["arena_screen"]

_CHOICES = (
    Choice("Vote on two models' answers", True, ("vote", "fight")),
    Choice("Show the leaderboard", False, ("leaderboard",)),
)


def arena_screen(app: App) -> None:
    """Lead through one arena; Esc leads back a question, Ctrl-C to the menu.

    Raises:
        EndOfInput: Standard input ended; what was voted is kept.
    """
    request = going_back(app, lambda: _ask(app))
    if request is None:
        show_boards(app.screen, boards(app.settings))
        return
    arena = Arena(app.lab, request)
    try:
        with closing(arena):
            fight_on(app, arena)
    finally:
        # The menu goes on, perhaps for hours; MLflow need not wait for its end.
        hand_over(app.settings)


def _ask(app: App) -> ArenaRequest | None:
    """Ask for an arena; None where the leaderboard was asked for."""
    if not app.screen.select("What would you like to do?", _CHOICES, default=True):
        return None
    models = choose_models(app, "Which models? (one alone fights itself under two system prompts)")
    systems: list[str] = []
    if len(models) == 1:
        app.screen.note("One model needs two system prompts.")
        systems = [app.screen.text(f"System prompt {number}", check=_needed) for number in (1, 2)]
    file = default_data(app.settings)
    drawn = app.screen.select(
        "Which prompts?",
        [
            Choice("those that I type", False, ("typed", "type")),
            Choice(f"questions of {file.name}", True, ("benchmark", "questions")),
        ],
        default=False,
    )
    return ArenaRequest(models=models, systems=systems, data=file if drawn else None)


def _needed(typed: str) -> str | None:
    return None if typed else "Type what the model is to be told."
