"""Texts that a person writes in their own editor."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.errors import ConfigurationError, InputError

__all__ = ["asks", "has_editor", "in_editor"]


def asks(app: App) -> bool:
    """Whether somebody is there who can be asked."""
    return sys.stdin.isatty() or not app.screen.plain


def has_editor(app: App) -> bool:
    """Whether the person named an editor."""
    return _editor(app) is not None


def _editor(app: App) -> str | None:
    return app.settings.get("VISUAL") or app.settings.get("EDITOR") or None


def in_editor(app: App, name: str, text: str, *, otherwise: str) -> str:
    """Have the person change a text in their editor.

    Args:
        app: The program's parts.
        name: What it is, as a file name.
        text: What the editor shows.
        otherwise: What can be done without an editor, as the end of a sentence.

    Raises:
        ConfigurationError: There is no editor, or it failed.
        InputError: It ended with an error.
    """
    command = _editor(app)
    if not command:
        raise ConfigurationError(f"There is no editor: set EDITOR, as in EDITOR=nano, {otherwise}.")
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
