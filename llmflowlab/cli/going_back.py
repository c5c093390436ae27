"""Questions in a row, in which Esc goes back to the one before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llmflowlab.cli.context import App
from llmflowlab.cli.ui.screen import GoBack, Screen

__all__ = ["going_back"]

T = TypeVar("T")

_QUESTIONS = frozenset({"select", "checkbox", "text", "confirm"})


class _Remembering:
    """A screen that gives the answers it was given before and asks from there on."""

    def __init__(self, screen: Screen, answers: list[Any]) -> None:
        self._screen = screen
        self._answers = answers
        self._asked = 0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._screen, name)
        if name not in _QUESTIONS:
            return found

        def ask(*values: Any, **named: Any) -> Any:
            if self._asked == len(self._answers):
                self._answers.append(found(*values, **named))
            self._asked += 1
            return self._answers[self._asked - 1]

        return ask


def going_back(app: App, questions: Callable[[], T]) -> T:
    """Return what the questions lead to; whoever goes back is asked the one before again.

    Args:
        app: Its screen is asked.
        questions: Asks by `app.screen` and changes nothing; it is begun anew for each step back.

    Raises:
        GoBack: From the first question.
    """
    screen, answers = app.screen, list[Any]()
    try:
        while True:
            app.screen = cast("Screen", _Remembering(screen, answers))
            try:
                return questions()
            except GoBack:
                if not answers:
                    raise
                answers.pop()
    finally:
        app.screen = screen
