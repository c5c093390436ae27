"""prompt_toolkit's line editor for prompts: history, completion, several lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from llmflowlab.cli.chat.slash_commands import COMMANDS
from llmflowlab.cli.ui.screen import EndOfInput, Screen
from llmflowlab.settings import Settings

__all__ = ["PromptEditor", "SlashCompleter"]


class SlashCompleter(Completer):
    """Completes the names of slash commands."""

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield the commands that begin with what stands before the cursor."""
        typed = document.text_before_cursor
        if not typed.startswith("/") or " " in typed or "\n" in typed:
            return
        for name, command in COMMANDS.items():
            if name.startswith(typed.lower()):
                yield Completion(name, start_position=-len(typed), display_meta=command.help)


class PromptEditor:
    """Reads a prompt.

    Enter sends; Alt-Enter, or a backslash before Enter, begins a new line; Ctrl-C empties the line;
    Esc or Ctrl-D at an empty one leaves, Ctrl-T shows the last answer's thinking. A line at the
    foot of the screen says so.

    Args:
        screen: Where it is told that prompts cannot be remembered.
        settings: The configuration.
        leaving: What Esc and Ctrl-D do at an empty prompt, in words.
    """

    def __init__(
        self, screen: Screen, settings: Settings, *, leaving: str = "leaves the chat"
    ) -> None:
        self._session: PromptSession[str] = PromptSession(
            [("class:label", "You › ")],
            multiline=True,
            prompt_continuation=lambda width, number, wrapped: " " * width,
            key_bindings=_keys(),
            completer=SlashCompleter(),
            complete_while_typing=True,
            history=_history(screen, settings),
            style=Style.from_dict(
                {
                    "label": "fg:ansicyan bold",
                    "bottom-toolbar": "noreverse fg:ansibrightblack",
                }
            ),
            reserve_space_for_menu=6,
            bottom_toolbar=lambda: _hint(leaving),
        )

    def read(self) -> str | None:
        """Return the next prompt, stripped; None where the person leaves.

        Raises:
            EndOfInput: Standard input ended.
            KeyboardInterrupt: Ctrl-C at an empty prompt.
        """
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            return self._session.prompt().strip()
        except EOFError as exc:
            if sys.stdin.isatty():
                return None
            raise EndOfInput from exc


def _hint(leaving: str) -> str:
    """Say what the keys do at this moment, within 80 columns."""
    if get_app().current_buffer.text:
        return "  Enter sends · Alt-Enter begins a new line · Ctrl-C empties the line"
    return f"  Esc or Ctrl-D {leaving} · Ctrl-C stops an answer · /help"


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    nothing_typed = Condition(lambda: not get_app().current_buffer.text)

    @keys.add("c-t", filter=nothing_typed)
    def _thinking(event: KeyPressEvent) -> None:
        event.app.exit(result="/thinking")

    @keys.add("escape", filter=nothing_typed)
    def _leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    @keys.add("c-c")
    def _empty(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt)

    return keys


def _history(screen: Screen, settings: Settings) -> History:
    """Return the history on disk, readable by its owner only; in memory where that cannot be."""
    file = settings.state_dir / "prompt_history"
    try:
        _make_private(file)
    except OSError as exc:
        screen.note(f"(prompts are not remembered: {file} cannot be written, {exc.strerror})")
        return InMemoryHistory()
    return FileHistory(str(file))


def _make_private(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
    file.chmod(0o600)
