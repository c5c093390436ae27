"""`main.py chat`: the same chat for scripts."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from llmflowlab.cli.chat.chat_screen import converse, say_farewell
from llmflowlab.cli.chat.prompt import LineReader, prompt_reader
from llmflowlab.cli.chat.slash_commands import run_command as run_slash_command
from llmflowlab.cli.chat.talk import Talk
from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import number_or_none
from llmflowlab.cli.model_choice import choose_model
from llmflowlab.cli.options import add_json, add_parameters, add_values
from llmflowlab.cli.output import print_json
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.chat_session import Chat
from llmflowlab.lab.guards import chosen_policy
from llmflowlab.lab.prompt_watch import PromptWatch
from llmflowlab.lab.prompts_in_use import PromptInUse, prompt_in_use, read_values
from llmflowlab.messages import Parameters
from llmflowlab.tracking.records import TurnRecord

__all__ = ["declare_options", "followed", "run_command"]

_STDIN_PATIENCE = 3.0
"""Seconds after which it is said that a pipe is being waited for."""


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument("--model", metavar="REF", help="the model, as provider:model")
    parser.add_argument("--system", metavar="TEXT", help="the system prompt")
    parser.add_argument(
        "--prompt",
        metavar="NAME[@VERSION]",
        help="a prompt of MLflow's prompt registry; what you say takes the question's place in it",
    )
    add_values(parser)
    parser.add_argument(
        "--guardrails",
        metavar="POLICY",
        help="on, off or a policy file (default: what Settings says)",
    )
    add_parameters(parser)
    parser.add_argument(
        "--message",
        action="append",
        default=[],
        metavar="TEXT",
        help="a prompt; may be given several times, the conversation goes on; what is piped in goes "
        "before the first",
    )
    parser.add_argument(
        "--whole", action="store_true", help="take all of standard input as one prompt"
    )
    parser.add_argument(
        "--thinking",
        action="store_true",
        help="show the model's thinking as it comes, on standard error",
    )
    parser.add_argument("--wait", action="store_true", help="end only when MLflow has the session")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Chat with the messages given, else with the lines of standard input, else with the person.

    A prompt that gets no whole answer ends a script's chat: what follows would build on it.

    Returns:
        The exit code.

    Raises:
        InputError: No model was named where nobody can be asked.
    """
    messages: list[str] = arguments.message
    if any(not message.strip() for message in messages):
        raise InputError("A --message is empty; give it some text.")
    interactive = sys.stdin.isatty() and not messages and not arguments.json and not arguments.whole
    # Of a script whose variable is empty, too.
    if not arguments.model and not interactive:
        raise InputError("Say which model to talk with: --model provider:model (try guide:docs).")
    # A person's chat is in MLflow while it goes on. A run that is waited for is delivered here, beside
    # the answers, unless lines are read: such a chat may be long, and stays small without MLflow.
    few = bool(messages) or arguments.whole
    app.lab.hands_over = not (interactive or arguments.json or (arguments.wait and few))
    if messages or arguments.whole:
        messages = _with_document(app, messages, whole=arguments.whole)
    provider = app.lab.provider(arguments.model) if arguments.model else choose_model(app)
    parameters = Parameters(
        temperature=arguments.temperature,
        top_p=arguments.top_p,
        max_tokens=arguments.max_tokens,
        seed=arguments.seed,
    )
    prompt = _prompt(app, arguments)
    chat = Chat(
        app.lab,
        provider,
        system=arguments.system or None,
        prompt=prompt,
        watch=followed(app, prompt) if interactive or arguments.message == [] else None,
        parameters=parameters,
        guardrails=chosen_policy(app.lab, arguments.guardrails),
    )
    literal = not interactive and (bool(messages) or arguments.json)
    talk = Talk(app, chat, silent=arguments.json, thinking=arguments.thinking, hears=not literal)
    interrupted = False
    code: int = ExitCode.DONE
    try:
        if interactive:
            _interactive(talk)
        else:
            code = _script(talk, messages or _lines(app), literal=literal)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        chat.close(interrupted=interrupted)
        provider.close()
        if interactive:
            say_farewell(app, chat)
    if arguments.json:
        _print_json(app, chat)
    return code


def _prompt(app: App, arguments: argparse.Namespace) -> PromptInUse | None:
    if arguments.prompt is None:
        if arguments.value:
            raise InputError("--value fills a variable of a prompt; name the prompt with --prompt.")
        return None
    if arguments.system:
        raise InputError("--system and --prompt both set the system prompt; give one of them.")
    found = prompt_in_use(app.lab, arguments.prompt, read_values(arguments.value))
    if found.note is not None:
        app.screen.warn(found.note)
    return found


def followed(app: App, prompt: PromptInUse | None) -> PromptWatch | None:
    """Return what follows a prompt's alias while the chat goes on; None where it is one version."""
    if prompt is None or not prompt.follows:
        return None
    values = prompt.values or {}
    return PromptWatch(lambda: prompt_in_use(app.lab, prompt.asked, values), prompt).start()


def _interactive(talk: Talk) -> None:
    # A script's first answer would only be slowed down by it; its recorder loads what it needs.
    talk.app.warm_up()
    try:
        converse(talk, prompt_reader(talk.app))
    except EndOfInput:
        return


def _with_document(app: App, messages: list[str], *, whole: bool) -> list[str]:
    """Put what standard input holds before the first message, or let it be the only prompt.

    Raises:
        InputError: `--whole` was given and there is nothing.
    """
    document = "" if sys.stdin.isatty() and not whole else _everything(app)
    if whole and not document:
        raise InputError("Standard input is empty; pipe a text into --whole, or give --message.")
    if not document:
        return messages
    first, *others = messages or [""]
    return [f"{document}\n\n{first}".strip(), *others]


def _everything(app: App) -> str:
    """Return all of standard input, stripped; nothing where it is closed."""
    hint = threading.Timer(
        _STDIN_PATIENCE,
        lambda: app.screen.note("(reading standard input to its end; `< /dev/null` gives none)"),
    )
    hint.daemon = True
    hint.start()
    try:
        return sys.stdin.read().strip()
    except (OSError, ValueError):
        return ""
    finally:
        hint.cancel()


def _lines(app: App) -> Iterator[str]:
    reader = LineReader(PlainScreen(app.settings), "")
    while True:
        try:
            line = reader.read()
        except EndOfInput:
            return
        if line:
            yield line


def _script(talk: Talk, prompts: Iterable[str], *, literal: bool) -> int:
    """Answer the prompts in turn; unless they are literal, a slash begins a command."""
    for prompt in prompts:
        if prompt.startswith("/") and not literal and not prompt.startswith("//"):
            run_slash_command(talk, prompt)
            if talk.leaving:
                break
            continue
        escaped = prompt.startswith("//") and not literal
        outcome = talk.answer(prompt[1:] if escaped else prompt)
        if outcome.record.state == "interrupted":
            raise KeyboardInterrupt
        if outcome.error is not None:
            return outcome.error.exit_code
    return ExitCode.DONE


def _print_json(app: App, chat: Chat) -> None:
    run_id: str | None = None
    if chat.last_session_id is not None:
        app.wait_for_delivery()
        run_id = app.lab.delivery.run_id(chat.last_session_id)
    print_json(
        {
            "session_id": chat.last_session_id,
            "model": chat.provider.reference,
            "prompt": None if chat.prompt is None else chat.prompt.reference,
            "turns": [_turn(turn) for turn in chat.turns],
            "run_id": run_id,
        }
    )


def _turn(turn: TurnRecord) -> dict[str, Any]:
    return {
        "prompt": turn.prompt,
        "answer": turn.answer,
        "reasoning": turn.reasoning,
        "state": turn.state,
        "prompt_tokens": turn.prompt_tokens,
        "completion_tokens": turn.completion_tokens,
        "tokens_estimated": turn.tokens_estimated,
        "cost_usd": number_or_none(turn.cost),
        "inference_time": turn.inference_time,
        "time_to_first_token": turn.time_to_first_token,
        "language": turn.language,
        "language_confidence": turn.language_confidence,
        "finish_reason": turn.finish_reason,
        "error": turn.error,
        "trace_id": turn.trace_id,
        "violations": turn.violations,
    }
