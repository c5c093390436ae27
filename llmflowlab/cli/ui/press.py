"""One key instead of a line: each means the same wherever it is offered, and all stand on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from llmflowlab.cli.ui.screen import Choice, EndOfInput, GoBack, Screen

__all__ = ["Key", "press"]

T = TypeVar("T")

_ESCAPE_SECONDS = 0.1
"""A terminal sends Esc for arrow keys too, with the rest right behind it."""


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """What can be pressed, or typed line by line."""

    keys: tuple[str, ...]
    """As prompt_toolkit names them: `left`, `t`."""
    shown: str
    """As they stand on the screen: `←`."""
    title: str
    value: T
    names: tuple[str, ...] = ()


def press(screen: Screen, message: str, keys: Sequence[Key[T]]) -> T:
    """Ask for one of the keys.

    Raises:
        GoBack: Esc was pressed.
        EndOfInput: Ctrl-D was pressed, or standard input has ended.
    """
    if screen.plain:
        choices = [Choice(key.title, key.value, key.names) for key in keys]
        return screen.select(message, choices)
    # Imported here: what is asked line by line needs none of it.
    from prompt_toolkit.application import Application
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.layout import Layout, Window
    from prompt_toolkit.layout.controls import FormattedTextControl

    from llmflowlab.cli.ui.wrapping import wrapped

    bindings = KeyBindings()

    def bind(name: str, value: T) -> None:
        @bindings.add(name)
        def take(event: KeyPressEvent) -> None:
            event.app.exit(result=(value,))

    def leave(name: str, how: type[BaseException]) -> None:
        @bindings.add(name)
        def away(event: KeyPressEvent) -> None:
            event.app.exit(exception=how)

    for key in keys:
        for name in key.keys:
            bind(name, key.value)
    leave("escape", GoBack)
    leave("c-c", KeyboardInterrupt)
    leave("c-d", EndOfInput)
    line = " · ".join([f"{key.shown} {key.title}" for key in keys] + ["Esc leaves"])
    text = FormattedTextControl([("bold", f"{message}\n"), ("", wrapped(line))])
    asking: Application[tuple[T]] = Application(
        layout=Layout(Window(text, wrap_lines=True, dont_extend_height=True)),
        key_bindings=bindings,
        erase_when_done=True,
    )
    asking.ttimeoutlen = asking.timeoutlen = _ESCAPE_SECONDS
    (value,) = asking.run()
    return value
