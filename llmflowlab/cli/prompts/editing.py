"""Writes a new version of a prompt in the person's editor."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.lab.prompts import PromptShelf, RegisteredPrompt

__all__ = ["edited"]

_FIRST = "[system]\nYou answer customers.\n\n[user]\n{{customer_query}}\n"
"""What the editor shows of a prompt that is not there yet."""


def edited(
    app: App,
    shelf: PromptShelf,
    name: str,
    *,
    text: str | None = None,
    message: str | None = None,
) -> RegisteredPrompt | None:
    """Write a new version; None where nothing changed.

    Args:
        app: The program's parts.
        shelf: Where prompts are.
        name: The prompt; one that is not there is made.
        text: What it is to say; asked for in the editor otherwise.
        message: What changed; asked for otherwise.

    Raises:
        ConfigurationError: There is no editor, or it failed.
        InputError: The text is no template.
    """
    before = shelf.latest(name)
    shown = _FIRST if before is None else before.written.to_text() + "\n"
    said = _in_editor(app, name, shown) if text is None else text
    if text is None and said == shown:
        return None
    template = shelf.checked(name, said)
    if before is not None and template == before.written:
        return None
    if message is None:
        message = app.screen.text("What changed?", check=_nothing) if _asks(app) else "Edited"
    return shelf.write(name, template, message.strip(), after=before)


def _nothing(text: str) -> str | None:
    return None if text.strip() else "Say in a few words what changed."


def _asks(app: App) -> bool:
    return sys.stdin.isatty() or not app.screen.plain


def _in_editor(app: App, name: str, text: str) -> str:
    command = app.settings.get("VISUAL") or app.settings.get("EDITOR")
    if not command:
        raise ConfigurationError(
            "There is no editor: set EDITOR, as in EDITOR=nano, or give the text with --file FILE."
        )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.md"
        file.write_text(text, encoding="utf-8")
        try:
            code = subprocess.run([*shlex.split(command), str(file)], check=False).returncode
            said = file.read_text(encoding="utf-8")
        except (OSError, ValueError) as exc:
            raise ConfigurationError(
                f"The editor {command!r} cannot be started or left no text; set EDITOR to another."
            ) from exc
    if code != 0:
        raise InputError(f"The editor ended with {code}; nothing was written.")
    return said
