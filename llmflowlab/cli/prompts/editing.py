"""Writes a new version of a prompt in the person's editor."""

from __future__ import annotations

from llmflowlab.cli.context import App
from llmflowlab.cli.text_editor import asks, in_editor
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
    otherwise = "or give the text with --file FILE"
    said = in_editor(app, name, shown, otherwise=otherwise) if text is None else text
    if text is None and said == shown:
        return None
    template = shelf.checked(name, said)
    if before is not None and template == before.written:
        return None
    if message is None:
        message = app.screen.text("What changed?", check=_nothing) if asks(app) else "Edited"
    return shelf.write(name, template, message.strip(), after=before)


def _nothing(text: str) -> str | None:
    return None if text.strip() else "Say in a few words what changed."
