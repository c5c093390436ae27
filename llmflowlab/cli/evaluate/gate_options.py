"""What can be typed of gates and of the files that CI systems read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.cli.options import margin, share
from llmflowlab.errors import InputError
from llmflowlab.evaluation.scores import COVERAGE_FLOOR, DEFAULT_MARGIN

if TYPE_CHECKING:
    from llmflowlab.lab.gate_checks import GateRequest

__all__ = ["add_gate_options", "gate_request"]


def add_gate_options(parser: argparse._ActionsContainer) -> None:
    """Declare the options of gates and of the files that CI systems read."""
    add = parser.add_argument
    add(
        "--fail-under",
        action="append",
        default=[],
        metavar="SCORER=VALUE",
        help="exit with 5 unless every candidate's mean reaches it; SCORER.ci_low=VALUE, .ci_high "
        "and .coverage too; may be repeated",
    )
    add(
        "--fail-over",
        action="append",
        default=[],
        metavar="FIGURE=VALUE",
        help="exit with 5 where a figure is above it: latency.p95=2.0 (seconds; .mean, .p50), "
        "cost_usd=0.50, tokens=N, failed=N",
    )
    add(
        "--max-cut",
        type=share,
        metavar="X",
        help="exit with 5 where a larger share of a candidate's answers ended at their token limit",
    )
    add(
        "--min-coverage",
        type=share,
        metavar="X",
        help=f"share of answers that must be scored for a gate to be met (default "
        f"{COVERAGE_FLOOR:g})",
    )
    add(
        "--compare-to",
        metavar="champion|RUN|ID",
        help="exit with 5 unless every candidate is shown to be no worse than that earlier one, by "
        f"--margin (default {DEFAULT_MARGIN:g})",
    )
    add(
        "--margin",
        type=margin,
        metavar="X",
        help="how much worse may still count as no worse, and how far apart two candidates may be to "
        "be called the same, in points of 1",
    )
    add("--junit", type=Path, metavar="FILE", help="write gates and rows as JUnit XML")
    add("--summary", type=Path, metavar="FILE", help="write a Markdown summary for a CI comment")


def gate_request(arguments: argparse.Namespace) -> GateRequest:
    """Read the options.

    Raises:
        InputError: A gate is malformed, or stands without what it needs.
    """
    # Imported here: reading the command line must not wait for what is done then.
    from llmflowlab.evaluation.conclude.gates import CUT, Threshold, parse_threshold
    from llmflowlab.lab.gate_checks import GateRequest

    thresholds = [
        *(parse_threshold(text, side="at least") for text in arguments.fail_under),
        *(parse_threshold(text, side="at most") for text in arguments.fail_over),
    ]
    if arguments.max_cut is not None:
        bound = arguments.max_cut
        thresholds.append(Threshold(subject=CUT, figure=None, bound=bound, side="at most"))
    if arguments.min_coverage is not None and not thresholds and arguments.compare_to is None:
        raise InputError(
            "--min-coverage is a condition of gates; name one with --fail-under, --fail-over or "
            "--compare-to."
        )
    for option, file in (("--junit", arguments.junit), ("--summary", arguments.summary)):
        if file is not None and file.is_dir():
            raise InputError(f"{option} {file} is a folder; name a file.")
    return GateRequest(
        thresholds=tuple(thresholds),
        min_coverage=COVERAGE_FLOOR if arguments.min_coverage is None else arguments.min_coverage,
        compare_to=arguments.compare_to,
        margin=DEFAULT_MARGIN if arguments.margin is None else arguments.margin,
        junit=arguments.junit,
        summary=arguments.summary,
    )
