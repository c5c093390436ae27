"""The screen of settings: what holds in this home until it is changed."""

from __future__ import annotations

from llmflowlab.cli.context import App
from llmflowlab.cli.ui.screen import Choice
from llmflowlab.lab.guards import VARIABLE, keep_choice, kept_choice

__all__ = ["settings_screen"]


def settings_screen(app: App) -> None:
    """Show the settings and change them.

    Raises:
        InputError: A policy file cannot be used; nothing was changed.
    """
    now = kept_choice(app.lab)
    if app.settings.get(VARIABLE) is not None:
        app.screen.note(f"{VARIABLE} says {now}, which goes before what is chosen here.")
    app.screen.say(
        f"Guardrails are {now if now in {'on', 'off'} else f'those of {now}'}. What is chosen here "
        "holds for new chats and evaluations, and travels with registered models."
    )
    chosen = app.screen.select(
        "Guardrails:",
        [
            Choice("On (the usual policy)", "on", names=("on",)),
            Choice("Off", "off", names=("off",)),
            Choice("A policy file of your own", "file", names=("file",)),
            Choice("Back", "back", names=("back",)),
        ],
    )
    if chosen == "back":
        return
    if chosen == "file":
        chosen = app.screen.text("Path of the policy file (YAML or JSON):")
    keep_choice(app.lab, chosen)
    app.screen.say(f"Guardrails: {chosen}.", tone="good")
