"""`main.py monitor canary`: begin a canary, have its rounds asked, see what they say."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json, argument, margin, read_whole, usd, whole
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode, ProviderError
from llmflowlab.files import require_home
from llmflowlab.monitoring.window import read_window, span
from llmflowlab.program import program_name

if TYPE_CHECKING:
    from llmflowlab.monitoring.canary_plan import Canary

__all__ = ["declare_canary", "run_canary"]


def declare_canary(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="step", metavar="STEP", title="steps", required=True)
    init = add_command(
        actions,
        "init",
        "look for border prompts, and begin a canary",
        (
            "monitor canary init --model openai:gpt-4.1-mini --every 1h --budget 1",
            "monitor canary init --model local --name desk --suite questions.csv",
        ),
    )
    _declare_init(init)
    run = add_command(
        actions,
        "run",
        "ask a round, or rounds on a schedule; ends with 5 where the model has changed",
        ("monitor canary run local", "monitor canary run local --every 1h --budget 2"),
    )
    run.add_argument(
        "name", metavar="NAME", help="the canary's: its model unless --name said another"
    )
    run.add_argument("--rounds", type=whole, metavar="N", help="how many (default 1)")
    run.add_argument(
        "--every",
        type=argument(read_window),
        metavar="TIME",
        help="keep asking, a round every 30m, 1h, 1d, until it says that the model has changed",
    )
    run.add_argument("--budget", type=usd, metavar="USD", help="what the rounds may cost together")
    add_json(run)
    status = add_command(
        actions, "status", "what a canary says; ends with 5 where the model has changed"
    )
    status.add_argument("name", nargs="?", metavar="NAME", help="the canary's (default: list them)")
    add_json(status)


def _declare_init(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", required=True, metavar="REF", help="provider:model, the name that is watched")
    add("--name", metavar="NAME", help="what the canary is called (default: the model)")
    add("--system", metavar="TEXT", help="the system prompt that it is asked under")
    add(
        "--suite",
        type=Path,
        metavar="FILE",
        help="questions with known answers (default: the lab's)",
    )
    add(
        "--questions",
        type=argument(_any_number),
        default=10,
        metavar="N",
        help="of them (default 10)",
    )
    add(
        "--prompts",
        type=argument(_any_number),
        default=32,
        metavar="N",
        help="border prompts that are enough (default 32)",
    )
    add(
        "--every",
        type=argument(read_window),
        default=3_600.0,
        metavar="TIME",
        help="how often rounds are to be asked (default 1h)",
    )
    add(
        "--tolerance",
        type=margin,
        default=0.05,
        metavar="X",
        help="by how much the chance of a word may wander unnoticed (default 0.05)",
    )
    add(
        "--alpha",
        type=margin,
        default=0.01,
        metavar="X",
        help="chance of any false alarm in 30 days (default 0.01)",
    )
    add("--budget", type=usd, metavar="USD", help="what the search may cost")
    add("--again", action="store_true", help="set the canary of that name aside")
    add_json(parser)


def _any_number(text: str) -> int:
    return 0 if text.strip() == "0" else read_whole(text)


def run_canary(
    app: App, arguments: argparse.Namespace, *, wait: Callable[[float], None] = time.sleep
) -> int:
    """Carry out one of the steps; returns the exit code.

    Raises:
        LabError: It cannot be done.
    """
    require_home(app.settings)
    if arguments.step == "run":
        return _run(app, arguments, wait)
    return {"init": _init, "status": _status}[arguments.step](app, arguments)


def _init(app: App, arguments: argparse.Namespace) -> int:
    # Imported here, as below: statistics and scorers take their time to be loaded.
    from llmflowlab.cli.monitor.canary_words import begun_json, show_begun
    from llmflowlab.monitoring.canary import CanaryRequest, begin_canary
    from llmflowlab.monitoring.canary_search import MOST_CALLS
    from llmflowlab.providers.factory import is_free

    request = CanaryRequest(
        name=arguments.name or arguments.model,
        model=arguments.model,
        system=arguments.system,
        suite=arguments.suite,
        questions=arguments.questions,
        prompts=arguments.prompts,
        every=arguments.every,
        tolerance=arguments.tolerance,
        alpha=arguments.alpha,
        budget=arguments.budget,
        again=arguments.again,
    )
    free = is_free(request.model.partition(":")[0])
    if request.prompts and request.budget is None and not free:
        app.screen.note(
            f"Looking for border prompts takes up to {MOST_CALLS:,} short calls, fewer where "
            f"{request.prompts} are found early; --budget USD bounds what they cost."
        )
    with app.screen.progress("border prompts") as bar:
        begun = begin_canary(
            app.lab,
            request,
            tick=lambda found: bar.update("border prompts", found, request.prompts),
        )
    give(
        arguments.json,
        lambda: begun_json(request.name, begun),
        lambda: show_begun(app.screen, request.name, begun, program_name()),
    )
    return ExitCode.DONE


def _run(app: App, arguments: argparse.Namespace, wait: Callable[[float], None]) -> int:
    from llmflowlab.cli.monitor.canary_words import round_line, run_json, show_changed
    from llmflowlab.monitoring.canary import run_rounds
    from llmflowlab.monitoring.canary_store import CanaryFolder

    canary = CanaryFolder(app.settings, arguments.name).canary()
    _note_pace(app, canary, arguments.every)
    most = arguments.rounds or (None if arguments.every else 1)
    asked, failed, latest = 0, 0, None
    trouble: ProviderError | None = None
    with (
        app.screen.progress(arguments.name) as bar,
        closing(
            run_rounds(
                app.lab,
                arguments.name,
                budget=arguments.budget,
                tick=lambda done, of: bar.update("calls", done, of),
            )
        ) as steps,
    ):
        for one in steps:
            asked += 1
            if isinstance(one, ProviderError):
                failed, trouble = failed + 1, one
                if arguments.every is None:
                    raise one
                app.screen.warn(
                    f"{one.message} The next round is asked in {span(arguments.every)}."
                )
            else:
                latest = one
                _say(app, arguments, round_line(canary, one))
            if (latest is not None and latest.verdict.changed) or asked == most:
                break
            if arguments.every is not None:
                wait(arguments.every)
        else:
            app.screen.warn("The budget does not allow another round; give more with --budget.")
    if latest is None and trouble is not None:
        raise trouble
    give(
        arguments.json,
        lambda: run_json(arguments.name, canary, latest, rounds=asked - failed),
        lambda: show_changed(app.screen, latest),
    )
    changed = latest is not None and latest.verdict.changed
    return ExitCode.GATE_NOT_MET if changed else ExitCode.DONE


def _say(app: App, arguments: argparse.Namespace, line: str) -> None:
    (app.screen.note if arguments.json else app.screen.say)(line)


def _note_pace(app: App, canary: Canary, every: float | None) -> None:
    if every is not None and every < canary.every:
        app.screen.note(
            f"The chance of a false alarm is stated for {canary.horizon:,} rounds, which are 30 days at "
            f"one every {span(canary.every)}; at one every {span(every)} they are "
            f"{canary.horizon * every / 86_400:.3g} days."
        )


def _status(app: App, arguments: argparse.Namespace) -> int:
    from llmflowlab.cli.monitor.canary_words import show_list, show_status, status_json
    from llmflowlab.monitoring.canary_store import CanaryFolder, all_canaries
    from llmflowlab.monitoring.canary_verdict import verdict

    if arguments.name is None:
        folders = all_canaries(app.settings)
    else:
        folders = [CanaryFolder(app.settings, arguments.name)]
    found = []
    for folder in folders:
        canary, rounds = folder.canary(), folder.rounds()
        found.append((folder.name, canary, verdict(canary, rounds)))
    if arguments.name is None:
        give(
            arguments.json,
            lambda: [status_json(*each) for each in found],
            lambda: show_list(app.screen, found),
        )
    else:
        give(
            arguments.json,
            lambda: status_json(*found[0]),
            lambda: show_status(app.screen, *found[0]),
        )
    changed = any(said.changed for _, _, said in found)
    return ExitCode.GATE_NOT_MET if changed else ExitCode.DONE
