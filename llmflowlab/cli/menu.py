"""The main menu: one loop that opens the screens and takes their errors and interruptions."""

from __future__ import annotations

from collections.abc import Callable

from llmflowlab import __version__
from llmflowlab.cli.context import App
from llmflowlab.cli.status import ProviderStatus
from llmflowlab.cli.ui.screen import Choice, EndOfInput, GoBack
from llmflowlab.errors import LabError

__all__ = ["run_menu"]

Open = Callable[[App], None]


def _chat(app: App) -> None:
    from llmflowlab.cli.chat.chat_screen import chat_screen

    chat_screen(app)


def _evaluate(app: App) -> None:
    from llmflowlab.cli.evaluate.evaluate_screen import evaluate_screen

    evaluate_screen(app)


def _info(app: App) -> None:
    from llmflowlab.cli.info_command import info_screen

    info_screen(app)


def _arena(app: App) -> None:
    from llmflowlab.cli.arena.arena_screen import arena_screen

    arena_screen(app)


def _prompts(app: App) -> None:
    from llmflowlab.cli.prompts.prompts_screen import prompts_screen

    prompts_screen(app)


def _review(app: App) -> None:
    from llmflowlab.cli.review.review_screen import review_screen

    review_screen(app)


def _registry(app: App) -> None:
    from llmflowlab.cli.registry.registry_screen import registry_screen

    registry_screen(app)


def _service(app: App) -> None:
    from llmflowlab.cli.service.service_screen import service_screen

    service_screen(app)


def _pages(app: App) -> None:
    from llmflowlab.cli.mlflow_ui import open_pages

    open_pages(app)


def _settings(app: App) -> None:
    from llmflowlab.cli.settings_screen import settings_screen

    settings_screen(app)


_CHOICES: tuple[Choice[Open | None], ...] = (
    Choice("Chat (with MLflow tracking)", _chat, names=("chat",)),
    Choice("Evaluate (GenAI MLflow)", _evaluate, names=("evaluate",)),
    Choice("Show info (model comparison)", _info, names=("info",)),
    Choice("Arena (vote on two answers)", _arena, names=("arena",)),
    Choice("Review (judge answers)", _review, names=("review",)),
    Choice("Prompts (versions, compare styles)", _prompts, names=("prompts",)),
    Choice("Registry (versions, champion)", _registry, names=("registry",)),
    Choice("Service (models over HTTP)", _service, names=("service", "serve")),
    Choice("MLflow's pages (in the browser)", _pages, names=("pages", "ui")),
    Choice("Settings (guardrails)", _settings, names=("settings",)),
    Choice("Exit", None, names=("exit", "quit", "q")),
)


def run_menu(app: App) -> None:
    """Show the menu until the person leaves or the input ends.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed in the menu itself.
    """
    app.screen.say(f"LLMFlowLab {__version__}", tone="heading")
    if app.settings.home_note is not None:
        app.screen.note(app.settings.home_note)
    status = ProviderStatus(app.lab.checks)
    app.warm_up()
    while True:
        app.show_recovered()
        app.show_notices()
        try:
            chosen = _choose(app, status)
            if chosen is None:
                return
            _run(app, chosen)
        except EndOfInput:
            return


def _choose(app: App, status: ProviderStatus) -> Open | None:
    try:
        return app.screen.select(
            "What would you like to do?", _CHOICES, status=status, numbered=True
        )
    except GoBack:
        # Before the menu was the shell.
        return None


def _run(app: App, screen: Open) -> None:
    try:
        screen(app)
    except KeyboardInterrupt:
        # Ctrl-C inside a screen, or Esc in its first question, goes back one level: here.
        app.screen.say()
    except LabError as exc:
        app.screen.warn(exc.message)
