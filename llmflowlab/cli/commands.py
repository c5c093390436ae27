"""The commands of the program, in the order in which help lists them.

A command is a module with two functions: `declare_options(parser)` and `run_command(app, arguments)`,
which returns the exit code. It is imported when it was named, and not before: starting must not wait
for what another command needs.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import argparse

    from llmflowlab.cli.context import App

__all__ = ["COMMANDS", "Command", "CommandModule"]


class CommandModule(Protocol):
    """What a command's module has."""

    def declare_options(self, parser: argparse.ArgumentParser) -> None:
        """Declare what can be typed after the command's name."""
        ...

    def run_command(self, app: App, arguments: argparse.Namespace) -> int:
        """Carry the command out; returns the exit code.

        Raises:
            LabError: It cannot be done.
        """
        ...


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    name: str
    help: str
    path: str
    """Dotted name of its module, below `llmflowlab.cli`."""

    def load(self) -> CommandModule:
        """Import its module."""
        module = importlib.import_module(f"llmflowlab.cli.{self.path}")
        return cast("CommandModule", module)


COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command(
            "chat",
            "talk with a model; without --message, one prompt per line",
            "chat.chat_command",
        ),
        Command(
            "evaluate",
            "ask models questions with known answers and compare",
            "evaluate.evaluate_command",
        ),
        Command(
            "plan",
            "how many questions it takes to see a difference, and the cost",
            "evaluate.plan_command",
        ),
        Command("info", "what past sessions and evaluations say about each model", "info_command"),
        Command(
            "models", "list the models that can be reached, with their prices", "models_command"
        ),
        Command(
            "doctor", "check everything the lab stands on; say what is missing", "doctor_command"
        ),
        Command(
            "cache",
            "what is kept of evaluations; --clear forgets it",
            "evaluate.cache_command",
        ),
        Command(
            "adjust",
            "change an evaluation that is running elsewhere",
            "evaluate.adjust_command",
        ),
        Command(
            "repair",
            "deliver an evaluation to MLflow again; asks no model",
            "evaluate.repair_command",
        ),
        Command(
            "report",
            "write an evaluation's files again, plots included",
            "evaluate.report_command",
        ),
        Command(
            "diff",
            "which rows got better or worse between two evaluations",
            "evaluate.diff_command",
        ),
        Command(
            "verify",
            "recompute every figure of a run from MLflow's traces",
            "evaluate.verify_command",
        ),
        Command(
            "data",
            "check, sample, split, convert and register benchmark files",
            "data_command",
        ),
        Command(
            "registry",
            "model versions: compare, check, promote, serve",
            "registry.registry_command",
        ),
        Command("ui", "open MLflow's pages on the lab's store", "mlflow_ui"),
    )
}
