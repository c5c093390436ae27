"""`main.py compare`: candidates of past evaluations on quality, cost and time."""

from __future__ import annotations

import argparse
from pathlib import Path

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import dollars, seconds
from llmflowlab.cli.options import add_json, margin, usd
from llmflowlab.cli.options import seconds as read_seconds
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.conclude.machine_words import machine_parts
from llmflowlab.evaluation.conclude.tradeoff import Option
from llmflowlab.files import write_atomically
from llmflowlab.lab.tradeoffs import (
    DEFAULT_MARGIN,
    Limits,
    TradeoffRequest,
    WeighedUp,
    weigh_runs,
)
from llmflowlab.text.amounts import FEW_EXPLAINED, marked_few

__all__ = ["declare_options", "run_command"]

_PLACES = {
    "front": "beaten by none",
    "not_shown": "not shown beaten",
    "beaten": "beaten",
    "unknown": "cannot be said",
    "left_out": "left out",
    "withheld": "not concluded",
}


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare what can be typed."""
    parser.add_argument(
        "runs",
        nargs="+",
        metavar="RUN_OR_EVALUATION",
        help="a run, an evaluation (all its candidates), or EVALUATION:2 for its second",
    )
    parser.add_argument(
        "--not-worse-than",
        metavar="CANDIDATE",
        help="name the cheapest that is not worse than this one: its label, model, run or number",
    )
    parser.add_argument(
        "--margin",
        type=margin,
        default=DEFAULT_MARGIN,
        metavar="D",
        help=f"how much worse it may be, in points of 1 (default: {DEFAULT_MARGIN:g})",
    )
    parser.add_argument(
        "--max-cost-per-1000",
        type=usd,
        metavar="USD",
        help="name the best whose 1,000 answers cost no more",
    )
    parser.add_argument(
        "--max-seconds",
        type=read_seconds,
        metavar="S",
        help="name the best of which 95 of 100 answers take no longer",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="write it as a page with plots")
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Compare; returns the exit code.

    Raises:
        InputError: The candidates cannot be compared, or the page cannot be written.
    """
    request = TradeoffRequest(
        names=arguments.runs,
        not_worse_than=arguments.not_worse_than,
        margin=arguments.margin,
        limits=Limits(cost_per_1000=arguments.max_cost_per_1000, seconds=arguments.max_seconds),
    )
    found = weigh_runs(app.lab, request)
    if arguments.html is not None:
        _write_page(found, arguments.html.expanduser())
    give(arguments.json, found.to_json, lambda: _show(app, found, arguments.html))
    return ExitCode.DONE


def _show(app: App, found: WeighedUp, page: Path | None) -> None:
    for table in _tables(found):
        app.screen.table(table)
    for sentence in found.sentences:
        app.screen.say(sentence)
    if page is not None:
        app.screen.say(f"Page with plots: {page}", tone="quiet")


def _tables(found: WeighedUp) -> list[Table]:
    options = found.tradeoff.options
    source = options[0].quality.source
    few = any(0 < option.result.latency.answers < 20 for option in options)
    tables = [
        Table(
            title=f"Quality ({found.tradeoff.scorer}, by {source}) against cost and time",
            columns=("candidate", "quality", "95 %", "$ per 1,000", "p95", "front"),
            rows=tuple(map(_row, options)),
            numbers=frozenset({1, 2, 3, 4}),
            notes=(FEW_EXPLAINED,) if few else (),
        )
    ]
    local = [option for option in options if option.result.system is not None]
    if local:
        tables.append(
            Table(
                title="What the models that run here took of this machine",
                columns=("candidate", *(name for name, _ in machine_parts(local[0].result))),
                rows=tuple(
                    (option.label, *(text for _, text in machine_parts(option.result)))
                    for option in local
                ),
                numbers=frozenset(range(1, 7)),
            )
        )
    return tables


def _row(option: Option) -> tuple[str | None, ...]:
    own, quality = option.result, option.quality
    interval = quality.interval
    return (
        option.label,
        None if quality.value is None else f"{quality.value:.1%}",
        None if interval is None else f"{interval.low:.0%}–{interval.high:.0%}",
        dollars(own.cost_per_1000),
        marked_few(seconds(own.latency.p95), own.latency.answers),
        _PLACES[option.place],
    )


def _write_page(found: WeighedUp, file: Path) -> None:
    from llmflowlab.evaluation.reports.tradeoff_page import tradeoff_page

    text = tradeoff_page(
        found.joined.result,
        found.tradeoff,
        tables=[(t.title, t.columns, t.rows, t.numbers) for t in _tables(found)],
        sentences=found.sentences,
    )
    try:
        write_atomically(file, text.encode("utf-8", errors="replace"), shared=True)
    except OSError as exc:
        raise InputError(
            f"--html {file} cannot be written ({exc.strerror or exc}); name another file."
        ) from exc
