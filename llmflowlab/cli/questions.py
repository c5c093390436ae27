"""Questions that a command must have answered before it does what cannot be undone."""

from __future__ import annotations

from llmflowlab.cli.context import App
from llmflowlab.errors import InputError

__all__ = ["said_yes"]


def said_yes(app: App, question: str, *, as_json: bool, refusal: str) -> bool:
    """Ask for a yes; where nobody can be asked, say which option stands for it.

    Raises:
        InputError: Nobody can be asked.
    """
    if app.screen.plain or as_json:
        raise InputError(refusal)
    return app.screen.confirm(question)
