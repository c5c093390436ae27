"""The model registry: `main.py registry` and its screen."""

from llmflowlab.cli.registry.arguments import add_arguments
from llmflowlab.cli.registry.command import run_command

__all__ = ["add_arguments", "run_command"]
