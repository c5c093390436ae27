"""`main.py arena`: two models answer, a person votes; and the leaderboard of all votes."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from llmflowlab.cli.arena.fighting import fight_on
from llmflowlab.cli.arena.leaderboard_tables import show_boards
from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluation_options import add_matrix_options, parameter_sets
from llmflowlab.cli.options import add_json, read_mapping, usd, whole
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.arena import Arena
from llmflowlab.lab.arena_boards import boards
from llmflowlab.lab.arena_request import ArenaRequest
from llmflowlab.lab.evaluate import default_data
from llmflowlab.lab.leaderboard_page import write_boards_html
from llmflowlab.program import program_name

__all__ = ["arena_request", "declare_options", "run_command"]

_BENCHMARK = Path()
"""What `--data` without a file stands for."""


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", title="actions")
    _declare_leaderboard(
        add_command(commands, "leaderboard", "who wins, by all votes of this home")
    )
    add = parser.add_argument_group("who fights").add_argument
    add("--model", action="append", default=[], metavar="REF", help="two or more, in turn")
    add_matrix_options(add)
    add = parser.add_argument_group("what is asked").add_argument
    add(
        "--data",
        nargs="?",
        type=Path,
        const=_BENCHMARK,
        metavar="FILE",
        help="draw prompts from a file of questions (default: benchmark.csv) instead of typing them",
    )
    add("--map", action="append", default=[], metavar="ROLE=COLUMN", help="as evaluate's")
    add("--sample", type=whole, metavar="N", help="only N of its questions, drawn at random")
    add("--seed", type=int, metavar="N", help="repeats the draw, the pairs and the sides")
    add(
        "--pairing",
        choices=["teaching", "random"],
        default="teaching",
        help="of more than two: those whose battle teaches most (default), or any two",
    )
    add = parser.add_argument_group("who votes, and what it may cost").add_argument
    add("--as", dest="person", metavar="NAME", help="whose votes these are (default: your login)")
    add("--budget", type=usd, metavar="USD", help="never spend more")
    add(
        "--allow-unknown-cost",
        action="store_true",
        help="with --budget: ask models without a known price too",
    )


def _declare_leaderboard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--by", choices=["category", "language", "voter"], help="also part the votes by this"
    )
    parser.add_argument(
        "--style-control",
        action="store_true",
        help="strengths at equal length and Markdown, as the public arena has them",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write it as a page")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Hold an arena; returns the exit code.

    Raises:
        LabError: It cannot be held.
    """
    if arguments.action == "leaderboard":
        return _leaderboard(app, arguments)
    if not arguments.model:
        raise InputError(
            f"Name two models: {program_name()} arena --model provider:model --model provider:model, or "
            "one with two --system (local and guide work without a key)."
        )
    with closing(Arena(app.lab, arena_request(app, arguments))) as arena:
        fight_on(app, arena)
    return ExitCode.DONE


def _leaderboard(app: App, arguments: argparse.Namespace) -> int:
    found = boards(app.settings, by=arguments.by, style_control=arguments.style_control)
    if arguments.html is not None:
        file = arguments.html.expanduser()
        write_boards_html(found, file)
        app.screen.note(f"Written: {file}")
    give(arguments.json, found.to_json, lambda: show_boards(app.screen, found))
    return ExitCode.DONE


def arena_request(app: App, arguments: argparse.Namespace) -> ArenaRequest:
    """Read the options.

    Raises:
        InputError: They do not fit together.
    """
    data: Path | None = arguments.data
    if data is None and (arguments.sample is not None or arguments.map):
        raise InputError("--sample and --map are about a file of questions; name it with --data.")
    if arguments.person is not None and (
        not arguments.person.strip() or not arguments.person.isprintable()
    ):
        raise InputError("--as must be a name of one line: that of who votes.")
    return ArenaRequest(
        models=arguments.model,
        systems=arguments.system,
        prompts=arguments.prompt,
        guardrails=arguments.guardrails,
        parameter_sets=parameter_sets(arguments),
        data=default_data(app.settings) if data == _BENCHMARK else data,
        mapping=read_mapping(arguments.map),
        sample=arguments.sample,
        seed=arguments.seed,
        pairing=arguments.pairing,
        person=arguments.person,
        budget=arguments.budget,
        allow_unknown_cost=arguments.allow_unknown_cost,
    )
