"""Reading prompts: an editor with history and completion in a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import Protocol

from llmflowlab.cli.context import App
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.screen import EndOfInput

__all__ = ["LineReader", "PromptReader", "prompt_reader"]


class PromptReader(Protocol):
    """Where prompts come from."""

    def read(self) -> str | None:
        """Return the next prompt, stripped; None where the person leaves.

        Raises:
            EndOfInput: Standard input ended.
            KeyboardInterrupt: Ctrl-C at an empty prompt.
        """
        ...


def prompt_reader(app: App, *, leaving: str = "leaves the chat") -> PromptReader:
    """Return the reader that fits the app's screen; `leaving` says where its end leads."""
    if isinstance(app.screen, PlainScreen):
        return LineReader(app.screen, "You: ")
    from llmflowlab.cli.chat.editor import PromptEditor

    return PromptEditor(app.screen, app.settings, leaving=leaving)


class LineReader:
    """A prompt a line; a backslash at the end goes on to the next one."""

    def __init__(self, screen: PlainScreen, label: str) -> None:
        self._screen = screen
        self._label = label

    def read(self) -> str | None:
        lines: list[str] = []
        label = self._label
        while True:
            try:
                line = self._screen.read_line(label)
            except EndOfInput:
                if lines:
                    break
                raise
            if not line.endswith("\\"):
                lines.append(line)
                break
            lines.append(line[:-1])
            label = "...: " if self._label else ""
        return "\n".join(lines).strip()
