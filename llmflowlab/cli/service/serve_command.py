"""`main.py serve`: models behind an HTTP service, its keys, and what MLflow lacks of its answers."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.options import (
    add_json,
    add_parameters,
    add_values,
    port,
    seconds,
    share,
    usd,
    whole,
)
from llmflowlab.cli.output import give
from llmflowlab.cli.service import page_command
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.files import require_home
from llmflowlab.messages import Parameters

if TYPE_CHECKING:
    from llmflowlab.service.scoring.online_scorers import ScoringRequest

__all__ = ["declare_options", "run_command"]

_STARTING = (
    "serve --model local",
    "serve --model openai:gpt-4.1-mini --daily-budget 5",
    "serve --registered llm_gemini_chat@champion --port 8080",
)


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    _declare_start(
        add_command(
            actions,
            "start",
            "serve models; what is meant without an action",
            _STARTING,
        )
    )
    keys = add_command(actions, "keys", "make, list and revoke keys")
    keys.add_argument(
        "what",
        choices=("list", "make", "revoke"),
        nargs="?",
        default="list",
        metavar="WHAT",
        help="list (the default), make or revoke",
    )
    keys.add_argument("name", nargs="?", metavar="NAME", help="of the key; revoke takes its id too")
    keys.add_argument(
        "--per-minute", type=whole, metavar="N", help="requests it may make in a minute"
    )
    add_json(keys)
    add_json(add_command(actions, "deliver", "bring to MLflow what it lacks of the answers"))
    page_command.declare_alone(
        add_command(
            actions,
            "page",
            "the chat page alone, for a service that runs elsewhere",
            ("serve page --service http://10.0.0.5:8000 --host 0.0.0.0",),
        )
    )


def _declare_start(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("who answers").add_argument
    add(
        "--model",
        action="append",
        default=[],
        metavar="REF",
        help="provider:model; the first of several answers where a request names none",
    )
    add(
        "--registered",
        metavar="NAME@ALIAS",
        help="a registered version, as it was registered; its alias is followed",
    )
    add(
        "--every",
        type=seconds,
        default=10.0,
        metavar="S",
        help="seconds between two looks at the alias, of a prompt too (default 10)",
    )
    add("--system", metavar="TEXT", help="the system prompt")
    add(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME[@VERSION]",
        help="a prompt of MLflow's prompt registry instead; with several each model is offered with each",
    )
    add_values(parser)
    add(
        "--input",
        action="append",
        default=[],
        metavar="NAME",
        help="a variable of the prompt that every request fills, in its custom_inputs",
    )
    add("--guardrails", metavar="POLICY", help="on, off or a policy file (default: as in Settings)")
    add_parameters(parser, with_help=False)
    add = parser.add_argument_group("where").add_argument
    add("--host", default="127.0.0.1", metavar="HOST", help="default: 127.0.0.1")
    add("--port", type=port, default=8000, metavar="N", help="default: 8000")
    add("--workers", type=whole, default=1, metavar="N", help="processes (default 1)")
    add("--allow-host", action="append", default=[], metavar="NAME", help="a name in Host headers")
    add(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="pages of this origin may ask from a browser (default: none)",
    )
    add = parser.add_argument_group("limits").add_argument
    add("--daily-budget", type=usd, metavar="USD", help="what a day's answers (UTC) may cost")
    add("--allow-unknown-cost", action="store_true", help="with it: models without a known price")
    add("--per-minute", type=whole, metavar="N", help="requests a minute of each key (default 600)")
    add("--concurrent", type=whole, metavar="N", help="answers at once, a worker (default 256)")
    add("--queue", type=whole, metavar="N", help="requests that wait, a worker (default 512)")
    add("--deadline", type=seconds, metavar="S", help="seconds for an answer (default 300)")
    add("--max-turns", type=whole, metavar="N", help="turns of a session (default 200)")
    add("--max-body", type=whole, metavar="BYTES", help="of a request (default 4194304)")
    add("--drain", type=seconds, metavar="S", help="for answers under way at the end (default 30)")
    add = parser.add_argument_group("scores in the background").add_argument
    add(
        "--score",
        action="append",
        default=[],
        metavar="SCORER[@JUDGE]",
        help="score answers by this, or by a judge registered in MLflow as mlflow:NAME",
    )
    add("--score-share", type=share, metavar="X", help="of the answers, up to 1 (default 1)")
    add("--score-budget", type=usd, metavar="USD", help="what a day's judging (UTC) may cost")
    page_command.declare_beside(parser)
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry out one of the actions; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    require_home(app.lab.settings)
    actions = {
        "start": _start,
        "keys": _keys,
        "deliver": _deliver,
        "page": page_command.run_alone,
    }
    return actions[arguments.action](app, arguments)


def _start(app: App, arguments: argparse.Namespace) -> int:
    # Imported here: a web server takes its time to be loaded.
    from llmflowlab.lab.serve import servable
    from llmflowlab.service.offers import ServedModels
    from llmflowlab.service.service_app import ServiceSetup
    from llmflowlab.service.service_limits import ServiceLimits
    from llmflowlab.service.service_processes import serve

    if not arguments.model and not arguments.registered:
        raise InputError(
            "Say which model to serve: --model provider:model (try guide:docs), or --registered "
            "NAME@ALIAS."
        )
    version = None if arguments.registered is None else servable(app.lab, arguments.registered)
    if arguments.system and arguments.prompt:
        raise InputError("--system and --prompt exclude each other.")
    if arguments.value and not arguments.prompt:
        raise InputError("--value is for a variable of a --prompt; there is none.")
    if arguments.input and not (arguments.prompt or arguments.system):
        raise InputError("--input is for a variable of a --prompt; there is none.")
    from llmflowlab.lab.prompts_in_use import read_values

    wanted = ServedModels(
        models=tuple(dict.fromkeys(arguments.model)),
        system=arguments.system or None,
        prompts=tuple(dict.fromkeys(arguments.prompt)),
        values=read_values(arguments.value),
        inputs=tuple(dict.fromkeys(arguments.input)),
        parameters=Parameters(
            temperature=arguments.temperature,
            top_p=arguments.top_p,
            max_tokens=arguments.max_tokens,
            seed=arguments.seed,
        ),
        guardrails=arguments.guardrails,
        allow_unknown_cost=arguments.allow_unknown_cost,
    )
    named = {
        "daily_usd": arguments.daily_budget,
        "per_minute": arguments.per_minute,
        "concurrent": arguments.concurrent,
        "queue": arguments.queue,
        "deadline": arguments.deadline,
        "most_turns": arguments.max_turns,
        "body_bytes": arguments.max_body,
        "drain": arguments.drain,
    }
    limits = replace(
        ServiceLimits(), **{name: value for name, value in named.items() if value is not None}
    )
    setup = ServiceSetup(
        wanted=wanted,
        limits=limits,
        hosts=tuple(arguments.allow_host),
        origins=tuple(arguments.allow_origin),
        every=arguments.every,
    )

    scoring = _scoring(arguments)
    with page_command.PageBeside(app, arguments) as beside:

        def ready(address: str, models: list[str]) -> None:
            page = beside.start(_near(address))
            if beside.failed:
                return
            there = "" if page is None else f" The chat page is at {page}."
            give(
                arguments.json,
                lambda: {"address": address, "models": models} | ({"page": page} if page else {}),
                lambda: app.screen.say(
                    f"{', '.join(models)} at {address}; {address}/docs says how to ask.{there} "
                    "Ctrl-C ends it."
                ),
            )

        serve(
            app.lab,
            setup,
            host=arguments.host,
            port=arguments.port,
            workers=arguments.workers,
            ready=ready,
            version=version,
            every=arguments.every,
            scoring=scoring,
            tell=app.screen.note,
        )
    return ExitCode.DONE


def _scoring(arguments: argparse.Namespace) -> ScoringRequest | None:
    # Imported here: most services score nothing.
    from llmflowlab.service.scoring.online_scorers import ScoringRequest

    if arguments.score:
        return ScoringRequest(
            named=arguments.score,
            share=1.0 if arguments.score_share is None else arguments.score_share,
            daily_usd=arguments.score_budget,
            allow_unknown_cost=arguments.allow_unknown_cost,
        )
    if arguments.score_share is not None or arguments.score_budget is not None:
        raise InputError("--score-share and --score-budget are about scorers; name one by --score.")
    return None


def _near(address: str) -> str:
    """Return the address by which this machine itself reaches what listens there."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _keys(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.service import service_keys as keys

    if arguments.what != "list" and not arguments.name:
        raise InputError(f"Say which key: serve keys {arguments.what} NAME.")
    if arguments.what != "make" and arguments.per_minute is not None:
        raise InputError("--per-minute is for a key that is made, and neither listed nor revoked.")
    if arguments.what == "make":
        key, secret = keys.make(app.settings, arguments.name, arguments.per_minute)
        give(
            arguments.json,
            lambda: {"id": key.id, "name": key.name, "key": secret},
            lambda: keys.say_made(app.screen, key, secret),
        )
    elif arguments.what == "revoke":
        key = keys.revoke(app.settings, arguments.name)
        give(
            arguments.json,
            lambda: {"id": key.id, "name": key.name, "revoked": True},
            lambda: keys.say_revoked(app.screen, key),
        )
    else:
        found = keys.all_keys(app.settings)
        give(
            arguments.json,
            lambda: [
                {
                    "id": key.id,
                    "name": key.name,
                    "made_ms": key.made_ms,
                    "revoked_ms": key.revoked_ms,
                    "per_minute": key.per_minute,
                }
                for key in found
            ],
            lambda: keys.show(app.screen, found),
        )
    return ExitCode.DONE


def _deliver(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.service.courier import deliver_all

    begun = time.monotonic()
    done = deliver_all(app.lab.settings)
    give(
        arguments.json,
        lambda: {"delivered": done},
        lambda: app.screen.say(
            f"MLflow has all answers; {done} were delivered in {time.monotonic() - begun:.1f} s."
        ),
    )
    return ExitCode.DONE
