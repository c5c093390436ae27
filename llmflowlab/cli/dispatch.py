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
    app = App(settings, open_screen(settings))
    if arguments.command == "info":
        from llmflowlab.cli.info import run_command as info

        return info(app, provider=arguments.provider, as_json=arguments.json)
    if arguments.command == "models":
        from llmflowlab.cli.models import run_command as models

        return models(app, as_json=arguments.json)
    if arguments.command == "doctor":
        from llmflowlab.cli.doctor import run_command as doctor

        return doctor(app, as_json=arguments.json)
    if arguments.command == "registry":
        from llmflowlab.cli.registry.command import run_command as registry

        return registry(app, arguments)
    if arguments.command == "plan":
        from llmflowlab.cli.evaluate.command import plan_command

        return plan_command(app, arguments)
    if arguments.command == "ui":
        from llmflowlab.cli.mlflow_ui import run_command as ui

        return ui(app, port=arguments.port)
    if arguments.command == "data":
        from llmflowlab.cli.data import run_command as data

        return data(app, arguments)
    if arguments.command in {"adjust", "cache", "repair", "verify"}:
        from llmflowlab.cli.evaluate.upkeep import run_command as upkeep

        return upkeep(app, arguments)
    if arguments.command in {"report", "diff"}:
        from llmflowlab.cli.evaluate.reporting import run_command as reporting

        return reporting(app, arguments)
    return _delivering(app, lambda app: _session(arguments, app))


def _session(arguments: argparse.Namespace, app: App) -> int:
    if arguments.command == "chat":
        from llmflowlab.cli.chat.command import run_command as chat

        return chat(app, arguments)
    from llmflowlab.cli.evaluate import run_command as evaluate

    return evaluate(app, arguments)


def _delivering(app: App, action: Callable[[App], int]) -> int:
    """Run a mode that leaves sessions behind, and see them delivered whatever happens."""
    interrupted = False
    try:
        return action(app)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        app.finish(wait=not interrupted)
