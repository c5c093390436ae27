"""`main.py plan`: how many questions, how much money and time it takes to see a difference."""

from __future__ import annotations

import argparse
import json
import math
import sys
from contextlib import closing
from dataclasses import replace
from typing import Any

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.deciding import margin_argument
from llmflowlab.cli.evaluate.preparing import Wishes, prepare
from llmflowlab.cli.formatting import dollars
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.conclude.sizing import (
    Duration,
    Spread,
    comparisons_of,
    duration_of,
    rows_for,
    spread_of,
    visible,
)
from llmflowlab.evaluation.conclude.table import plan_traits
from llmflowlab.evaluation.run.estimate import Estimate
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.replay import evaluation_behind
from llmflowlab.evaluation.scorers.ranking import main_scorer

__all__ = ["add_plan_arguments", "run_plan"]


def add_plan_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `plan` knows beyond the options of `evaluate`."""
    add = parser.add_argument
    add(
        "--difference",
        type=margin_argument,
        default=0.03,
        metavar="X",
        help="what is to be seen, in points of 1 (default 0.03: 3 points)",
    )
    add(
        "--power",
        type=_power,
        default=0.8,
        metavar="P",
        help="chance of seeing it if it is there (default 0.8)",
    )
    add(
        "--paired-from",
        metavar="RUN_OR_EVALUATION",
        help="take from it how far two candidates differ from row to row",
    )


def _power(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.5 <= value <= 0.99:
        raise argparse.ArgumentTypeError(f"{text!r} is no power from 0.5 to 0.99")
    return value


def run_plan(app: App, wishes: Wishes, arguments: argparse.Namespace, ledger: Ledger) -> int:
    """Say what an evaluation of these candidates would take.

    Raises:
        InputError: Fewer than two candidates are named, or something cannot be used.
    """
    with closing(ledger):
        prepared = prepare(app, replace(wishes, fresh=True), ledger)
        plan = prepared.plan
        if len(plan.candidates) < 2:
            raise InputError(
                "A plan is about telling candidates apart; name two or more with --model."
            )
        scorer = main_scorer(plan.scorers)
        traits = plan_traits(plan)[scorer]
        if traits.figure is not None:
            raise InputError(f"{scorer} is of the whole dataset; plan with a scorer of each row.")
        source = arguments.paired_from
        spread = spread_of(
            plan,
            scorer,
            ledger,
            binary=traits.exact(repeated=plan.repeated),
            source=None if source is None else evaluation_behind(ledger, source),
        )
        rows = rows_for(
            spread,
            arguments.difference,
            power=arguments.power,
            comparisons=comparisons_of(plan),
        )
        figures = prepared.estimate
        duration = duration_of(
            plan,
            ledger,
            rows=rows,
            judge_calls=math.ceil(figures.judge_calls / len(plan.dataset.rows) * rows),
            concurrency=prepared.bench.concurrency,
        )
    document = _document(
        plan,
        figures,
        spread,
        duration,
        scorer=scorer,
        rows=rows,
        difference=arguments.difference,
        power=arguments.power,
    )
    if arguments.json:
        sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        return ExitCode.DONE
    for remark in prepared.remarks:
        app.screen.note(remark)
    for line in _lines(document):
        app.screen.say(line)
    return ExitCode.DONE


def _document(
    plan: EvaluationPlan,
    figures: Estimate,
    spread: Spread,
    duration: Duration,
    *,
    scorer: str,
    rows: int,
    difference: float,
    power: float,
) -> dict[str, Any]:
    comparisons = comparisons_of(plan)
    there = len(plan.dataset.rows)
    cost = None if figures.cost is None else [float(c) / there * rows for c in figures.cost]
    return {
        "scorer": scorer,
        "candidates": [candidate.label for candidate in plan.candidates],
        "difference": difference,
        "power": power,
        "comparisons": comparisons,
        "spread": {"yes_no": spread.binary, "value": spread.value, "seen_on": spread.rows},
        "assumption": spread.words(),
        "rows_needed": rows,
        "rows_there": there,
        "smallest_visible": visible(spread, there, power=power, comparisons=comparisons),
        "cost_usd": None if cost is None else {"low": cost[0], "high": cost[1]},
        "unpriced": list(figures.unpriced),
        "minutes": {"low": duration.low / 60, "high": duration.high / 60},
        "speed_assumed": duration.assumed,
    }


def _lines(document: dict[str, Any]) -> list[str]:
    rows, there = document["rows_needed"], document["rows_there"]
    cost = document["cost_usd"]
    if cost is None:
        price = f"cost unknown (no price for {', '.join(document['unpriced'])})"
    elif cost["high"] == 0:
        price = "free"
    elif dollars(cost["low"]) == dollars(cost["high"]):
        price = dollars(cost["high"]) or ""
    else:
        price = f"{dollars(cost['low'])} to {dollars(cost['high'])}"
    lines = [
        f"To see {_points(document['difference'])} of {document['scorer']} in "
        f"{document['power']:.0%} of cases you need about {rows:,} questions: {price}, "
        f"{_minutes(**document['minutes'])}{' (assumed speed)' if document['speed_assumed'] else ''}.",
        f"Reckoned with: {document['assumption']}; "
        f"{document['comparisons']} comparison{'s' if document['comparisons'] > 1 else ''}.",
    ]
    smallest = document["smallest_visible"]
    if rows <= there:
        lines.append(f"The file has {there:,}: that is enough (--sample {rows} draws them).")
    elif smallest is None:
        lines.append(f"The file has {there:,}: too few to show any difference.")
    else:
        lines.append(
            f"The file has {there:,}: they show differences from about {_points(smallest)}."
        )
    return lines


def _points(difference: float) -> str:
    value = 100 * difference
    text = f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
    return f"{text} point{'' if text == '1' else 's'}"


def _minutes(low: float, high: float) -> str:
    if high < 2:
        first, second, unit = round(60 * low), max(1, round(60 * high)), "s"
    elif high < 120:
        first, second, unit = round(low), round(high), "minutes"
    else:
        first, second, unit = round(low / 60), round(high / 60), "hours"
    if first == second:
        return f"{second:,} {unit}"
    return f"{first:,} to {second:,} {unit}" if first else f"up to {second:,} {unit}"
