"""From the parsed command line to the screen or command that carries it out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from llmflowlab.cli.context import App, open_screen
from llmflowlab.errors import ExitCode
from llmflowlab.settings import Settings

if TYPE_CHECKING:
    import argparse

__all__ = ["dispatch", "open_menu"]


def open_menu(settings: Settings) -> int:
    """Run the menu; return the exit code."""

    def menu(app: App) -> int:
        from llmflowlab.cli.menu import run_menu

        run_menu(app)
        return ExitCode.DONE

    return _delivering(App(settings, open_screen(settings)), menu)


def dispatch(arguments: argparse.Namespace, settings: Settings) -> int:
    """Carry out a command, or open the menu where there is none; return the exit code.

    Raises:
        LabError: The command failed.
    """
    if arguments.command is None:
        return open_menu(settings)
    from llmflowlab.cli.commands import COMMANDS

    command = COMMANDS[arguments.command]
    module = command.load()
    app = App(settings, open_screen(settings))
    return _delivering(
        app,
        lambda app: module.run_command(app, arguments),
        command=arguments.command,
        wait=getattr(arguments, "wait", False),
    )


def _delivering(
    app: App, action: Callable[[App], int], *, command: str | None = None, wait: bool = False
) -> int:
    """Carry a mode out, and hand over whatever MLflow lacks after it, of others as well."""
    interrupted = False
    try:
        # Of these one changes nothing and says it better, and the other needs no store.
        if command not in {"doctor", "completion"}:
            app.prepare_store(warn=command in {None, "chat", "evaluate"})
        return action(app)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        app.finish(wait=wait and not interrupted)
