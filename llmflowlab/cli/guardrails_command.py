"""`main.py guardrails`: what the guardrails see in a text, how good they are, and what they do."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural, shortened
from llmflowlab.cli.options import add_json
from llmflowlab.cli.output import give
from llmflowlab.cli.ui.screen import Table
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.guardrails.checking import check
from llmflowlab.guardrails.policy import DEFAULT, Policy
from llmflowlab.guardrails.verdict import CATEGORIES, DIRECTIONS, Verdict
from llmflowlab.lab.guardrail_trials import (
    FALSE_BLOCKS,
    Figure,
    GuardrailReport,
    Looked,
    harmless_cases,
    red_team,
    try_guardrails,
)
from llmflowlab.lab.guards import chosen_policy
from llmflowlab.statistics import Interval

__all__ = ["declare_options", "run_command"]

_WIDTH = 100
_SHOWN = 10


def declare_options(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    test = add_command(actions, "test", "precision and recall on the shipped red-team set")
    test.add_argument("--detector", metavar="REF", help="try this model as the second layer too")
    test.add_argument(
        "--benchmark",
        type=Path,
        metavar="FILE",
        help="how often your own harmless questions would be flagged, instead of the red-team set",
    )
    test.add_argument("--misses", action="store_true", help="list every miss and false alarm")
    one = add_command(actions, "check", "explain the verdict on one text")
    one.add_argument("text", metavar="TEXT")
    one.add_argument("--direction", choices=DIRECTIONS, default="in", help="a prompt, or an answer")
    listed = add_command(actions, "list", "the categories, and what is done about each")
    for action in (test, one, listed):
        action.add_argument(
            "--guardrails",
            metavar="POLICY",
            help="on or a policy file (default: what Settings says, else the usual policy)",
        )
        add_json(action)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Carry out one of the actions; return the exit code.

    Raises:
        InputError: A file or the policy cannot be used.
        NotConfigured: The detector lacks something.
    """
    policy = chosen_policy(app.lab, arguments.guardrails)
    if policy is None and arguments.guardrails is not None:
        raise InputError("Guardrails that are off see nothing; leave --guardrails out.")
    action = {"test": _test, "check": _check, "list": _list}[arguments.action]
    return action(app, arguments, policy or DEFAULT)


def _check(app: App, arguments: argparse.Namespace, policy: Policy) -> int:
    verdict = check(arguments.text, policy, arguments.direction)
    give(
        arguments.json,
        lambda: {
            "action": verdict.action,
            "violations": [
                {**violation.to_json(), "start": finding.start, "end": finding.end}
                for finding, violation in zip(verdict.findings, verdict.violations, strict=True)
            ],
            "text": verdict.text,
        },
        lambda: _explain(app, verdict),
    )
    return ExitCode.DONE


def _explain(app: App, verdict: Verdict) -> None:
    if not verdict.violations:
        app.screen.say("Nothing was found; it passes.", tone="good")
        return
    for finding, found in zip(verdict.findings, verdict.violations, strict=True):
        app.screen.say(
            f"{found.action}: {found.category}, rule {found.rule} ({found.severity}), characters "
            f"{finding.start} to {finding.end}: {shortened(found.excerpt, _WIDTH)}"
        )
    if verdict.blocked_by is None:
        app.screen.say(f"It passes as: {verdict.text}")
    else:
        app.screen.say("It does not pass.", tone="warning")


def _list(app: App, arguments: argparse.Namespace, policy: Policy) -> int:
    def show() -> None:
        rows = tuple(
            (name, *(policy.action(name, direction) for direction in DIRECTIONS))
            for name in CATEGORIES
        )
        app.screen.table(Table(title="Guardrails", columns=("category", "in", "out"), rows=rows))
        app.screen.say(f"detector: {policy.detector or 'none, rules alone'}")
        for direction in DIRECTIONS if policy.detector else ():
            here, there = (
                policy.when_failing(direction, served=served) for served in (False, True)
            )
            elsewhere = "" if here == there else f", in a service {there}"
            app.screen.say(f"where it gives no verdict, {direction}: {here}{elsewhere}")
        for rule, texts in policy.allow.items():
            app.screen.say(f"let pass by {rule}: {', '.join(texts)}")
        for line in policy.own:
            app.screen.say(f"own rule: {line}")

    give(arguments.json, policy.to_json, show)
    return ExitCode.DONE


def _test(app: App, arguments: argparse.Namespace, policy: Policy) -> int:
    file: Path | None = arguments.benchmark
    cases = red_team() if file is None else harmless_cases(file)
    with app.screen.progress("guardrails") as bar:
        report = try_guardrails(
            app.lab,
            cases,
            policy=policy,
            detector=arguments.detector,
            tick=lambda done: bar.update("texts", done, len(cases)),
        )
    give(arguments.json, report.to_json, lambda: _show(app, report, everything=arguments.misses))
    return ExitCode.DONE


def _show(app: App, report: GuardrailReport, *, everything: bool) -> None:
    screen = app.screen
    if report.figures:
        screen.table(
            Table(
                title="Found among harmful texts",
                columns=(
                    "layer",
                    "category",
                    "cases",
                    "recall",
                    "precision",
                    f"recall at {FALSE_BLOCKS:.0%} false",
                ),
                rows=tuple(_row(figure) for figure in report.figures),
                notes=("In brackets: 95 % intervals (Wilson).",),
            )
        )
    for who in report.layers:
        flagged = report.false_blocks(who)
        screen.say(
            f"{who}: {len(flagged)} of {plural(len(report.harmless), 'harmless text')} flagged"
        )
        _lines(app, flagged, who, "flagged", everything=everything)
        if report.figures:
            _lines(app, report.misses(who), who, "missed", everything=everything)
    for layer in ("rules", "detector"):
        delay = report.delay(layer)
        if delay is not None:
            screen.say(
                f"{layer}: {delay[0] * 1000:.2f} ms a text at the median, {delay[1] * 1000:.2f} ms at "
                "the 95th percentile"
            )
    if report.detector is not None:
        silent = sum(each.detector is None for each in report.looked)
        cost = "unknown" if report.cost is None else f"{report.cost:.4f} USD"
        screen.say(
            f"detector {report.detector}: no verdict on {silent} of {len(report.looked)}, cost {cost}"
        )


def _lines(app: App, looked: Sequence[Looked], who: str, what: str, *, everything: bool) -> None:
    shown = looked if everything else looked[:_SHOWN]
    for each in shown:
        kind = each.case.category or "harmless"
        rules = ", ".join(sorted({finding.rule for finding in each.rules})) or "-"
        text = shortened(" ".join(each.case.text.split()), _WIDTH)
        app.screen.say(f"  {what} ({kind}; {rules}): {text}", tone="quiet")
    if len(looked) > len(shown):
        app.screen.say(
            f"  ... and {len(looked) - len(shown)} more {what} by the {who} (--misses lists them)",
            tone="quiet",
        )


def _row(figure: Figure) -> tuple[str | None, ...]:
    at_bound = figure.recall_at_bound
    return (
        figure.layer,
        figure.category.replace("_", " "),
        str(figure.harmful),
        _share(figure.caught, figure.harmful, figure.recall),
        _share(figure.caught, figure.flagged, figure.precision),
        None if at_bound is None else f"{at_bound:.0%}",
    )


def _share(part: int, whole: int, interval: Interval | None) -> str | None:
    if interval is None:
        return None
    return f"{part / whole:.0%} ({interval.low:.0%} to {interval.high:.0%})"
