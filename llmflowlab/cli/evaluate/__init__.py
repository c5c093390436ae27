"""The evaluate mode: as a screen of the menu and as a command."""

from llmflowlab.cli.evaluate.command import add_arguments, run_command
from llmflowlab.cli.evaluate.screen import evaluate_screen

__all__ = ["add_arguments", "evaluate_screen", "run_command"]
