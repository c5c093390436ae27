"""The slash commands of a chat."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmflowlab.cli.chat.pin_command import pin_turn
from llmflowlab.cli.chat.replay_command import replay_chat
from llmflowlab.cli.chat.saved_chats import SavedChat, load, save
from llmflowlab.cli.chat.stats import cost_lines, stats_lines
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.formatting import plural, shortened
from llmflowlab.cli.model_choice import choose_model
from llmflowlab.cli.options import RANGES, read_parameter
from llmflowlab.errors import InputError

__all__ = ["COMMANDS", "SlashCommand", "run_command"]


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A slash command."""

    usage: str
    help: str
    run: Callable[[Talk, str], None]


def run_command(talk: Talk, line: str) -> None:
    """Carry out a line that begins with a slash.

    Raises:
        InputError: There is no such command, or its argument cannot be used.
    """
    name, _, argument = line.strip().partition(" ")
    name = _ALIASES.get(name.lower(), name.lower())
    command = COMMANDS.get(name)
    if command is None:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "/help lists them."
        raise InputError(f"{name} is no command; {hint} (// begins a prompt with a slash.)")
    command.run(talk, argument.strip())


def _help(talk: Talk, argument: str) -> None:
    width = max(len(command.usage) for command in COMMANDS.values())
    for command in COMMANDS.values():
        talk.screen.say(f"  {command.usage:<{width}}  {command.help}")
    if talk.screen.plain:
        talk.screen.say("A backslash at the end of a line goes on to the next line.", tone="quiet")
    else:
        talk.screen.say(
            "Alt-Enter (or Esc, then Enter) and a backslash before Enter begin a new line. "
            "Ctrl-C stops an answer, Ctrl-T shows its thinking, Esc or Ctrl-D leaves; arrow up brings "
            "earlier prompts back.",
            tone="quiet",
        )


def _model(talk: Talk, argument: str) -> None:
    provider = talk.app.lab.provider(argument) if argument else choose_model(talk.app)
    if provider.reference == talk.chat.provider.reference:
        provider.close()
        talk.screen.note(f"{talk.chat.provider.reference} is answering already.")
        return
    ended = talk.chat.change(provider=provider)
    _say_change(talk, ended, f"{provider.reference} answers from here on")


def _system(talk: Talk, argument: str) -> None:
    if not argument:
        talk.screen.say(talk.chat.system or "No system prompt is set.")
        return
    off = argument.lower() == "off"
    if (None if off else argument) == talk.chat.system:
        talk.screen.note("The system prompt is that already.")
        return
    ended = talk.chat.change(system=None if off else argument, clear_system=off)
    _say_change(talk, ended, "system prompt removed" if off else "system prompt set")


def _set(talk: Talk, argument: str) -> None:
    now = talk.chat.parameters
    if not argument:
        for name in RANGES:
            shown = getattr(now, name)
            talk.screen.say(f"  {name:<12} {'the provider decides' if shown is None else shown}")
        return
    name, _, text = argument.replace("=", " ").partition(" ")
    name, text = name.lower().replace("-", "_"), text.strip()
    if name not in RANGES:
        raise InputError(f"{name!r} cannot be set; choose from {', '.join(RANGES)}.")
    if not text:
        raise InputError(
            f"Give {name} a value, as in /set {name} {_EXAMPLES[name]}; off unsets it."
        )
    # One of the four fields, whose types the check keeps; replace() cannot see that.
    value: Any = None if text.lower() == "off" else read_parameter(name, text)
    if value == getattr(now, name):
        talk.screen.note(f"{name} is that already.")
        return
    ended = talk.chat.change(parameters=replace(now, **{name: value}))
    _say_change(
        talk, ended, f"{name} is left to the provider" if value is None else f"{name} = {value}"
    )


def _say_change(talk: Talk, ended: bool, what: str) -> None:
    more = "; a new session begins, the conversation goes on" if ended else ""
    talk.screen.note(f"({what}{more})")


def _retry(talk: Talk, argument: str) -> None:
    if talk.last_prompt is None:
        raise InputError("There is no prompt to send again yet.")
    exchanges = talk.chat.conversation.exchanges
    if exchanges and exchanges[-1].prompt == talk.last_prompt:
        talk.chat.conversation.undo()
    talk.answer(talk.last_prompt)


def _undo(talk: Talk, argument: str) -> None:
    taken = talk.chat.conversation.undo()
    if taken is None:
        raise InputError("There is nothing to take back.")
    talk.screen.note(
        f"(forgotten: {shortened(taken.prompt, 50)!r} and its answer; the record of the turn stays)"
    )


def _history(talk: Talk, argument: str) -> None:
    exchanges = talk.chat.conversation.exchanges
    if not exchanges:
        talk.screen.say("Nothing has been said yet.")
    for number, exchange in enumerate(exchanges, start=1):
        dropped = " (no longer sent)" if number <= talk.chat.conversation.dropped else ""
        turn = talk.chat.turn_of(exchange)
        cut = f" ({turn.state})" if turn is not None and turn.state != "complete" else ""
        talk.screen.say(f"{number}. {shortened(exchange.prompt, 70)}{dropped}{cut}")
        talk.screen.say(f"   {shortened(exchange.answer, 70)}", tone="quiet")


def _file(argument: str, command: str) -> Path:
    if not argument:
        raise InputError(f"Name a file, as in {command} talk.json.")
    try:
        return Path(argument.strip("\"'")).expanduser()
    except RuntimeError as exc:
        raise InputError(f"{argument!r} names no home folder; give another path.") from exc


def _save(talk: Talk, argument: str) -> None:
    file = _file(argument, "/save")
    exchanges = talk.chat.conversation.exchanges
    if not exchanges:
        raise InputError("There is nothing to save yet.")
    if file.is_dir():
        raise InputError(f"{str(file)!r} is a folder; name a file.")
    if file.exists() and not talk.screen.confirm(f"{file} is there already. Overwrite it?"):
        talk.screen.note("Not saved.")
        return
    chat = SavedChat(
        model=talk.chat.provider.reference,
        system=talk.chat.system,
        parameters=talk.chat.parameters,
        exchanges=tuple(exchanges),
    )
    save(chat, file)
    talk.screen.note(f"Saved {plural(len(exchanges), 'exchange')} to {file}.")


def _load(talk: Talk, argument: str) -> None:
    file = _file(argument, "/load")
    loaded = load(file)
    ended = False
    if loaded.system != talk.chat.system:
        ended = talk.chat.change(system=loaded.system, clear_system=loaded.system is None)
    talk.chat.conversation.replace(list(loaded.exchanges))
    talk.last_prompt = loaded.exchanges[-1].prompt if loaded.exchanges else None
    _say_change(
        talk,
        ended,
        f"loaded {plural(len(loaded.exchanges), 'exchange')} with {loaded.model}",
    )


def _stats(talk: Talk, argument: str) -> None:
    chat = talk.chat
    for line in stats_lines(chat.turns, chat.provider.reference, chat.answered_by):
        talk.screen.say(line)


def _cost(talk: Talk, argument: str) -> None:
    for line in cost_lines(talk.chat.turns):
        talk.screen.say(line)


def _thinking(talk: Talk, argument: str) -> None:
    wish = argument.lower()
    if wish in ("on", "off"):
        talk.thinking = wish == "on"
        told = "shown while it comes" if talk.thinking else "kept apart; /thinking shows the last"
        talk.screen.note(f"(thinking is {told})")
    elif wish:
        raise InputError(f"/thinking takes on, off or nothing, not {shortened(argument, 20)!r}.")
    elif not talk.chat.turns:
        raise InputError("There is no answer yet whose thinking could be shown.")
    elif not talk.chat.turns[-1].reasoning:
        talk.screen.note("The last answer came without thinking, or its provider keeps it.")
    else:
        talk.screen.say(talk.chat.turns[-1].reasoning, tone="quiet")


def _rate(talk: Talk, argument: str) -> None:
    value, _, comment = argument.partition(" ")
    values: Mapping[str, int | bool] = {"+": True, "-": False, **{str(n): n for n in range(1, 6)}}
    if value not in values:
        raise InputError(
            "Rate the last answer with /rate 1 to 5, + or -, then a comment if you like."
        )
    if not talk.chat.can_rate:
        raise InputError("There is no answer in this session to rate yet.")
    if not talk.chat.turns[-1].answer:
        raise InputError("The last prompt got no answer that could be rated.")
    talk.chat.rate(values[value], comment.strip() or None)
    talk.screen.note("Noted.")


def _exit(talk: Talk, argument: str) -> None:
    talk.leaving = True


_EXAMPLES = {"temperature": "0.2", "top_p": "0.9", "max_tokens": "500", "seed": "42"}
_ALIASES = {"/quit": "/exit", "/?": "/help"}

COMMANDS: dict[str, SlashCommand] = {
    "/help": SlashCommand("/help", "this list", _help),
    "/model": SlashCommand("/model [REF]", "talk with another model", _model),
    "/system": SlashCommand(
        "/system [TEXT]", "show or set the system prompt; off removes it", _system
    ),
    "/set": SlashCommand("/set [NAME VALUE]", f"{', '.join(RANGES)}; off unsets", _set),
    "/retry": SlashCommand("/retry", "ask the last prompt again", _retry),
    "/undo": SlashCommand("/undo", "forget the last prompt and answer", _undo),
    "/history": SlashCommand("/history", "what was said", _history),
    "/save": SlashCommand("/save FILE", "write the conversation, as JSON or Markdown (.md)", _save),
    "/load": SlashCommand("/load FILE", "carry on a conversation that was saved as JSON", _load),
    "/stats": SlashCommand("/stats", "turns, tokens and speed of this chat", _stats),
    "/cost": SlashCommand("/cost", "what this chat has cost", _cost),
    "/thinking": SlashCommand(
        "/thinking [on|off]", "show the last answer's thinking; on: while it comes", _thinking
    ),
    "/rate": SlashCommand("/rate 1..5|+|- [comment]", "judge the last answer", _rate),
    "/pin": SlashCommand(
        "/pin [N] [ANSWER]", "make a turn a benchmark row, --to FILE or here", pin_turn
    ),
    "/replay": SlashCommand("/replay REF", "put all prompts to another model as well", replay_chat),
    "/exit": SlashCommand("/exit", "leave the chat", _exit),
}
