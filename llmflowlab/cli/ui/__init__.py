"""How the lab asks and shows: one `Screen`, in a terminal with menus or line by line."""

from llmflowlab.cli.ui.screen import Choice, EndOfInput, Screen, StatusSource, Table

__all__ = ["Choice", "EndOfInput", "Screen", "StatusSource", "Table"]
