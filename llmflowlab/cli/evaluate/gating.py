"""Gates on the command line: what must be reached, checked before the first call, told at the end."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.deciding import margin_argument
from llmflowlab.cli.evaluate.preparing import Prepared
from llmflowlab.cli.ui.screen import Screen
from llmflowlab.errors import GateNotMet, InputError, LabError
from llmflowlab.evaluation.conclude.gates import (
    DEFAULT_MIN_COVERAGE,
    Threshold,
    check_known,
    check_thresholds,
    parse_threshold,
    reason_line,
)
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.files import write_atomically
from llmflowlab.providers.factory import parse_reference

__all__ = [
    "DEFAULT_MARGIN",
    "GateWishes",
    "add_gate_arguments",
    "champions_asked",
    "failure",
    "gate_wishes",
    "show_gates",
    "with_gates",
    "write_gate_files",
]

DEFAULT_MARGIN = 0.02
"""Points of 1 by which a candidate may be worse than its baseline."""
CHAMPION = "champion"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateWishes:
    """What a person or script asked to be held against."""

    thresholds: Sequence[Threshold] = ()
    min_coverage: float = DEFAULT_MIN_COVERAGE
    compare_to: str | None = None
    margin: float = DEFAULT_MARGIN
    junit: Path | None = None
    summary: Path | None = None


def add_gate_arguments(parser: argparse.ArgumentParser) -> None:
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
        "--min-coverage",
        type=_share,
        metavar="X",
        help=f"share of answers that must be scored for a gate to be met (default "
        f"{DEFAULT_MIN_COVERAGE:g})",
    )
    add(
        "--compare-to",
        metavar="champion|RUN|ID",
        help="exit with 5 unless every candidate is shown to be no worse than that earlier one, by "
        f"--margin (default {DEFAULT_MARGIN:g})",
    )
    add(
        "--margin",
        type=margin_argument,
        metavar="X",
        help="how much worse may still count as no worse, in points of 1",
    )
    add("--junit", type=Path, metavar="FILE", help="write gates and rows as JUnit XML")
    add("--summary", type=Path, metavar="FILE", help="write a Markdown summary for a CI comment")


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1; 95 % is 0.95")
    return value


def gate_wishes(arguments: argparse.Namespace) -> GateWishes:
    """Read the options.

    Raises:
        InputError: A gate is malformed, or stands without what it needs.
    """
    thresholds = [
        *(parse_threshold(text, side="at least") for text in arguments.fail_under),
        *(parse_threshold(text, side="at most") for text in arguments.fail_over),
    ]
    if arguments.min_coverage is not None and not thresholds and arguments.compare_to is None:
        raise InputError(
            "--min-coverage is a condition of gates; name one with --fail-under, --fail-over or "
            "--compare-to."
        )
    for option, file in (("--junit", arguments.junit), ("--summary", arguments.summary)):
        if file is not None and file.is_dir():
            raise InputError(f"{option} {file} is a folder; name a file.")
    margin = arguments.margin
    coverage = arguments.min_coverage
    return GateWishes(
        thresholds=tuple(thresholds),
        min_coverage=DEFAULT_MIN_COVERAGE if coverage is None else coverage,
        compare_to=arguments.compare_to,
        margin=DEFAULT_MARGIN if margin is None else margin,
        junit=arguments.junit,
        summary=arguments.summary,
    )


def champions_asked(
    app: App, wishes: GateWishes, models: Sequence[str], ledger: Ledger, resume: str | None
) -> list[Candidate]:
    """Return the champions that candidates are to be compared with; none where not asked for.

    Raises:
        InputError: There is no champion.
        TrackingError: The registry cannot be asked.
    """
    if wishes.compare_to != CHAMPION:
        return []
    # Imported here: it imports MLflow.
    from llmflowlab.evaluation.conclude.champion import champions
    from llmflowlab.tracking.store import open_store

    if resume is not None:
        models = [candidate.model for candidate in ledger.plan(resume).candidates]
    providers = [parse_reference(model).provider for model in models]
    return champions(open_store(app.settings), providers)


def with_gates(
    wishes: GateWishes, prepared: Prepared, ledger: Ledger, champions: Sequence[Candidate]
) -> Prepared:
    """Return the evaluation with its gates, which are looked up and checked now.

    Args:
        wishes: What was asked for.
        prepared: The evaluation.
        ledger: Of earlier ones.
        champions: From `champions_asked`.

    Raises:
        InputError: A gate is about something this evaluation does not measure or cannot compare with.
    """
    plan = prepared.plan
    check_known(wishes.thresholds, plan.scorers)
    compare: Callable[[EvaluationResult], Sequence[Any]] | None = None
    exempt: frozenset[int] = frozenset()
    if wishes.compare_to is not None:
        # Imported here: only a comparison needs it.
        from llmflowlab.evaluation.conclude.baseline import check_baseline, earlier_baseline

        if wishes.compare_to == CHAMPION:
            from llmflowlab.evaluation.conclude.champion import champion_baseline

            baseline, exempt = champion_baseline(plan, champions)
        else:
            baseline = earlier_baseline(ledger, plan, wishes.compare_to)

        def compare(result: EvaluationResult) -> Sequence[Any]:
            return check_baseline(
                result,
                baseline,
                margin=wishes.margin,
                min_coverage=wishes.min_coverage,
                exempt=exempt,
            )

    if not wishes.thresholds and compare is None:
        return prepared

    def check(result: EvaluationResult) -> list[Mapping[str, Any]]:
        found = check_thresholds(
            result, wishes.thresholds, min_coverage=wishes.min_coverage, exempt=exempt
        )
        compared = compare(result) if compare is not None else ()
        return [gate.to_json() for gate in (*found, *compared)]

    return replace(prepared, bench=replace(prepared.bench, gates=check))


def write_gate_files(wishes: GateWishes, result: EvaluationResult) -> None:
    """Write the files that CI systems read, each whole or not at all.

    Raises:
        InputError: One cannot be written where it was asked for.
    """
    if wishes.junit is not None:
        from llmflowlab.evaluation.reports.junit import junit_xml

        stamp = datetime.now().strftime("%Y-%m-%dT%H:%M:%S")
        _write("--junit", wishes.junit, junit_xml(result, timestamp=stamp))
    if wishes.summary is not None:
        from llmflowlab.evaluation.reports.markdown import markdown_summary

        _write("--summary", wishes.summary, markdown_summary(result))


def _write(option: str, file: Path, text: str) -> None:
    try:
        write_atomically(file.expanduser(), text.encode("utf-8", errors="replace"))
    except OSError as exc:
        raise InputError(
            f"{option} {file} cannot be written ({exc.strerror}); the evaluation itself is recorded."
        ) from exc


def show_gates(screen: Screen, result: EvaluationResult) -> None:
    """Print what each gate says."""
    if not result.gates:
        return
    screen.say("Gates", tone="heading")
    for gate in result.gates:
        screen.say(f"{'met' if gate['passed'] else 'NOT MET'}  {gate['gate']}: {gate['reason']}.")


def failure(result: EvaluationResult) -> LabError | None:
    """Return the error to end with where a gate is not met."""
    line = reason_line(result.gates)
    return None if line is None else GateNotMet(line)
