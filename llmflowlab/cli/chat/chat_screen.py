"""The chat screen: choose a model, then talk until the person leaves."""

from __future__ import annotations

from llmflowlab.cli.chat.prompt import PromptReader, prompt_reader
from llmflowlab.cli.chat.slash_commands import run_command
from llmflowlab.cli.chat.stats import farewell
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.context import App
from llmflowlab.cli.model_choice import choose_model
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.errors import LabError
from llmflowlab.lab.chat_session import Chat, TurnOutcome
from llmflowlab.lab.guards import chosen_policy

__all__ = ["chat_screen", "converse", "say_farewell"]

_LEAVING = frozenset({"exit", "quit"})
"""Words that leave the chat, as in most other prompts; `/exit` does too."""


def chat_screen(app: App) -> None:
    """Chat from the menu.

    Raises:
        EndOfInput: Standard input ended; the session is closed.
    """
    guardrails = chosen_policy(app.lab)
    chat = Chat(app.lab, choose_model(app), guardrails=guardrails)
    try:
        converse(Talk(app, chat), prompt_reader(app, leaving="goes back to the menu"))
    finally:
        chat.close()
        chat.provider.close()
        say_farewell(app, chat)


def say_farewell(app: App, chat: Chat) -> None:
    """Say what the chat took and where it is kept."""
    if (said := farewell(chat.turns, app.settings)) is not None:
        app.screen.note(said)


def converse(talk: Talk, reader: PromptReader, *, greet: bool = True) -> TurnOutcome | None:
    """Read prompts and answer them until the person leaves; return the last outcome.

    Raises:
        EndOfInput: Standard input ended.
    """
    if greet:
        provider = talk.chat.provider
        talk.screen.note(
            f"Talking with {provider.reference}. /help lists the commands; exit or Ctrl-D leaves."
        )
        if talk.chat.guarded:
            talk.screen.note("Guardrails are on: answers come by sentences, once they were read.")
        talk.screen.note("Ask for example: " + " · ".join(provider.examples))
    outcome: TurnOutcome | None = None
    while not talk.leaving:
        talk.app.show_recovered()
        talk.app.show_notices()
        try:
            line = reader.read()
        except KeyboardInterrupt:
            talk.screen.note("(exit or Ctrl-D leaves the chat)")
            continue
        if line is None or line.lower() in _LEAVING:
            break
        if line:
            outcome = _take(talk, line) or outcome
    return outcome


def _take(talk: Talk, line: str) -> TurnOutcome | None:
    try:
        if line.startswith("/") and not line.startswith("//"):
            run_command(talk, line)
            return None
        return talk.answer(line[1:] if line.startswith("//") else line)
    except KeyboardInterrupt:
        # Ctrl-C in a question that a command asked: back to the prompt.
        talk.screen.note("(nothing changed)")
    except LabError as exc:
        talk.screen.warn(exc.message)
    except EndOfInput:
        raise
    except Exception as exc:
        # The chat loop: no command and no record may take the conversation with it.
        if talk.app.settings.debug:
            raise
        talk.screen.warn(
            f"Something unexpected went wrong ({type(exc).__name__}); the chat goes on. "
            "LLMFLOWLAB_DEBUG=1 shows where."
        )
    return None
