"""`main.py evaluate`: for scripts and CI."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from llmflowlab.cli.arguments import (
    RANGES,
    concurrency_argument,
    number_argument,
    usd_argument,
)
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.deciding import margin_argument
from llmflowlab.cli.evaluate.gating import (
    add_gate_arguments,
    champions_asked,
    failure,
    gate_wishes,
    show_gates,
    with_gates,
    write_gate_files,
)
from llmflowlab.cli.evaluate.live import LiveView
from llmflowlab.cli.evaluate.planning import run_plan
from llmflowlab.cli.evaluate.preparing import Prepared, Wishes, prepare
from llmflowlab.cli.evaluate.scorers import list_scorers
from llmflowlab.cli.evaluate.sheets import add_sheet_arguments, run_sheet, wants_sheet
from llmflowlab.cli.evaluate.show import describe_plan, plan_document, show_result
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.evaluation.conclude.recommendation import DEFAULT_MARGIN
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.engine import run_evaluation, to_document
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.messages import Parameters

__all__ = ["add_arguments", "carry_out", "ledger_of", "plan_command", "run_command"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    add("--model", action="append", default=[], metavar="REF", help="a candidate; may be repeated")
    add(
        "--data",
        type=Path,
        metavar="FILE",
        help="CSV, JSON, Parquet or Excel; default: benchmark.csv",
    )
    add(
        "--map",
        action="append",
        default=[],
        metavar="ROLE=COLUMN",
        help="which column is the question, expected, context, ... (question=Frage)",
    )
    add("--skip-bad", action="store_true", help="go on without the rows that cannot be used")
    add(
        "--system",
        action="append",
        default=[],
        metavar="TEXT",
        help="system prompt; several make several candidates of each model",
    )
    add(
        "--prompt",
        action="append",
        default=[],
        metavar="NAME[@VERSION]",
        help="system prompt from MLflow's prompt registry; may be repeated",
    )
    for name in RANGES:
        add(
            f"--{name.replace('_', '-')}" if name != "seed" else "--model-seed",
            dest=f"param_{name}",
            action="append",
            default=[],
            type=number_argument(name),
            metavar="X" if name in {"temperature", "top_p"} else "N",
            help=f"{name}; several make several candidates of each model",
        )
    add(
        "--scorer",
        action="append",
        default=[],
        metavar="NAME",
        help="may be repeated; list shows all; KIND:option=value and NAME=KIND:... as well",
    )
    add(
        "--judge",
        action="append",
        default=[],
        metavar="REF",
        help="the model behind the judged scorers; several make a panel",
    )
    add("--judge-runs", type=_whole, default=1, metavar="N", help="ask each judge N times")
    add(
        "--judge-combine",
        choices=["majority", "mean"],
        help="how several verdicts become one (default: majority of yes/no, mean of grades)",
    )
    add("--sample", type=_whole, metavar="N", help="only N questions, drawn at random")
    add("--seed", type=int, default=0, metavar="N", help="of that draw (default 0)")
    add(
        "--stratify",
        choices=["category", "language"],
        help="with --sample: each category or language keeps its share",
    )
    add("--trials", type=_whole, default=1, metavar="N", help="ask every question N times")
    add(
        "--until-decided",
        type=margin_argument,
        metavar="MARGIN",
        help="of two candidates: stop once one is shown to be better, or both to be within MARGIN",
    )
    add("--budget", type=usd_argument, metavar="USD", help="never spend more, judges included")
    add(
        "--allow-unknown-cost",
        action="store_true",
        help="with --budget: ask models without a known price too",
    )
    add(
        "--concurrency",
        type=concurrency_argument,
        metavar="N",
        help="calls in flight per candidate (default 8)",
    )
    add("--resume", metavar="ID", help="go on with an evaluation; sends only what is missing")
    add("--fresh", action="store_true", help="reuse no earlier answers")
    add("--harness", choices=["fast", "mlflow"], default="fast", help="who writes the scores")
    add("--output", type=Path, metavar="DIR", help="folder for answers and report")
    add_gate_arguments(parser)
    add_sheet_arguments(parser)
    add("--dry-run", action="store_true", help="say what it would take, and stop")
    add("--json", action="store_true", help="print one JSON document, nothing else")


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number above 0")
    return value


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Evaluate as the command line says; returns the exit code.

    Raises:
        LabError: Something cannot be used or failed.
    """
    if wants_sheet(arguments):
        return run_sheet(app, arguments)
    gates = gate_wishes(arguments)
    if "list" in arguments.scorer:
        list_scorers(app, as_json=arguments.json)
        return ExitCode.DONE
    wishes = _wishes(arguments)
    with closing(ledger_of(app)) as ledger, ExitStack() as stack:
        recorder = None
        if wishes.harness == "fast" and not arguments.dry_run:
            recorder = RecorderProcess(app.settings, ledger.path)
            stack.callback(recorder.abandon)
        champions = champions_asked(app, gates, wishes.models, ledger, wishes.resume)
        prepared = prepare(app, replace(wishes, beside=champions), ledger, recorder=recorder)
        prepared = with_gates(gates, prepared, ledger, champions)
        for remark in prepared.remarks:
            app.screen.note(remark)
        if not arguments.json:
            for line in describe_plan(prepared.plan, prepared.estimate):
                app.screen.say(line)
        if arguments.dry_run:
            if arguments.json:
                document = plan_document(prepared.plan, prepared.estimate)
                sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
            return ExitCode.DONE
        result = carry_out(app, prepared)
    if arguments.json:
        sys.stdout.write(to_document(result) + "\n")
        for problem in result.problems:
            app.screen.warn(problem)
    else:
        show_result(app.screen, result)
        show_gates(app.screen, result)
    write_gate_files(gates, result)
    code = exit_code(result)
    if code == ExitCode.DONE and (unmet := failure(result)) is not None:
        raise unmet
    return code


def plan_command(app: App, arguments: argparse.Namespace) -> int:
    """Say how many questions, money and time it takes; returns the exit code.

    Raises:
        LabError: Something cannot be used.
    """
    wishes = _wishes(arguments)
    if wishes.resume is not None:
        raise InputError("A plan is of something new; leave --resume out.")
    return run_plan(app, wishes, arguments, ledger_of(app))


def carry_out(app: App, prepared: Prepared) -> EvaluationResult:
    """Run a prepared evaluation under a view of how far it is."""
    steering = prepared.bench.steering
    assert steering is not None, "an evaluation that was prepared can be steered"
    with app.screen.live() as display:
        view = LiveView(prepared.plan, steering, display)
        return run_evaluation(prepared.plan, prepared.bench, on_progress=view)


def exit_code(result: EvaluationResult) -> int:
    """Return what the command ends with: 130, 4 where nothing was answered or recorded, else 0."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.problems or not any(candidate.answered for candidate in result.candidates):
        return ExitCode.PROVIDER_FAILED
    return ExitCode.DONE


def ledger_of(app: App) -> Ledger:
    """Open the home's ledger."""
    return Ledger(app.settings.state_dir / "evaluations.db")


def _wishes(arguments: argparse.Namespace) -> Wishes:
    if not arguments.model and arguments.resume is None:
        raise InputError(
            "Name at least one model: evaluate --model provider:model "
            "(guide:docs works without a key)."
        )
    if arguments.model and arguments.resume is not None:
        raise InputError("--resume goes on with the evaluation's own models; leave --model out.")
    return Wishes(
        models=arguments.model,
        data=arguments.data,
        mapping=_mapping(arguments.map),
        skip_bad=arguments.skip_bad,
        systems=arguments.system,
        prompts=arguments.prompt,
        parameter_sets=_parameter_sets(arguments),
        scorers=arguments.scorer,
        judges=arguments.judge,
        judge_runs=arguments.judge_runs,
        judge_combine=arguments.judge_combine,
        until_decided=arguments.until_decided,
        # What does not matter while it runs does not matter at its end.
        margin=arguments.margin or arguments.until_decided or DEFAULT_MARGIN,
        sample=arguments.sample,
        stratify=arguments.stratify,
        seed=arguments.seed,
        concurrency=arguments.concurrency,
        trials=arguments.trials,
        budget=arguments.budget,
        allow_unknown_cost=arguments.allow_unknown_cost,
        fresh=arguments.fresh,
        resume=arguments.resume,
        harness=arguments.harness,
        output=arguments.output,
    )


def _parameter_sets(arguments: argparse.Namespace) -> list[Parameters]:
    """Return every combination of the values given."""
    values = [getattr(arguments, f"param_{name}") or [None] for name in RANGES]
    return [
        Parameters(**dict(zip(RANGES, chosen, strict=True)))
        for chosen in itertools.product(*values)
    ]


def _mapping(pairs: list[str]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        role, equals, column = pair.partition("=")
        if not equals or not role.strip() or not column:
            raise InputError(f"--map {pair!r} is not ROLE=COLUMN, as in question=Frage.")
        mapping[role.strip()] = column
    return mapping
