"""The ways out of a question in a terminal: Esc goes back, Ctrl-D leaves, and a line says so."""

from __future__ import annotations

import questionary
from prompt_toolkit.application import get_app
from prompt_toolkit.filters import Always, Condition, is_done
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from prompt_toolkit.layout import ConditionalContainer, HSplit, Layout, Window
from prompt_toolkit.layout.controls import FormattedTextControl

from llmflowlab.cli.ui.screen import GoBack

__all__ = ["with_ways_out"]

_HINT = "Esc goes back · Ctrl-D leaves"
_ESCAPE_SECONDS = 0.1
"""A terminal sends Esc for arrow and Alt keys too, with the rest right behind it."""

_nothing_typed = Condition(lambda: not get_app().current_buffer.text)


def with_ways_out(question: questionary.Question) -> questionary.Question:
    """Let Esc raise `GoBack` and Ctrl-D `EOFError`, in a text that was begun only at its end."""
    application = question.application
    bindings = KeyBindings()

    @bindings.add("escape")
    def back(event: KeyPressEvent) -> None:
        event.app.exit(exception=GoBack)

    @bindings.add("c-d", filter=_nothing_typed)
    def leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    own = application.key_bindings
    application.key_bindings = merge_key_bindings([own, bindings] if own else [bindings])
    application.ttimeoutlen = application.timeoutlen = _ESCAPE_SECONDS
    before = application.layout
    for window in before.find_all_windows():
        # The line that says what is wrong with a text would be cut at the terminal's edge.
        if window.height == 1 and isinstance(window.content, FormattedTextControl):
            window.height, window.wrap_lines = None, Always()
            window.dont_extend_height = Always()
    hint = Window(FormattedTextControl([("class:hint", f"  {_HINT}")]), height=1)
    application.layout = Layout(
        HSplit([before.container, ConditionalContainer(hint, filter=~is_done)]),
        focused_element=before.current_window,
    )
    return question
