"""What can be typed after `evaluate` and `plan`, and the request that it means."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from llmflowlab.cli.evaluate.cluster_options import add_cluster_options, ray_request
from llmflowlab.cli.evaluate.gate_options import add_gate_options
from llmflowlab.cli.evaluate.sheet_command import add_sheet_options
from llmflowlab.cli.options import (
    RANGES,
    add_json,
    concurrency,
    margin,
    metavar,
    parameter,
    read_mapping,
    usd,
    whole,
)
from llmflowlab.errors import InputError
from llmflowlab.messages import Parameters
from llmflowlab.program import program_name

if TYPE_CHECKING:
    from llmflowlab.lab.evaluation_request import EvaluationRequest
    from llmflowlab.lab.gate_checks import GateRequest

__all__ = [
    "add_evaluation_options",
    "add_matrix_options",
    "add_planned_options",
    "evaluation_request",
    "parameter_sets",
    "planned_request",
]


def add_planned_options(parser: argparse.ArgumentParser) -> argparse._ActionsContainer:
    """Declare what a plan reads, which `evaluate` and `plan` have alike; returns "what is asked"."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="an evaluation file (YAML): these options, one a line; what is typed beside it wins",
    )
    add = parser.add_argument_group("who answers").add_argument
    add("--model", action="append", default=[], metavar="REF", help="a candidate; may be repeated")
    add(
        "--answers",
        action="extend",
        nargs="+",
        default=[],
        metavar="COLUMN",
        help="score the answers in this column of the data file, without asking; may be repeated",
    )
    add_matrix_options(add)
    asked = parser.add_argument_group("what is asked")
    add = asked.add_argument
    add(
        "--data",
        type=Path,
        metavar="FILE",
        help="CSV, JSON, Parquet or Excel, support_desk, or mlflow:DATASET; default: benchmark.csv",
    )
    add(
        "--map",
        action="append",
        default=[],
        metavar="ROLE=COLUMN",
        help="which column is the question, expected, context, ... (question=Frage)",
    )
    add("--skip-bad", action="store_true", help="go on without the rows that cannot be used")
    add("--sample", type=whole, metavar="N", help="only N questions, drawn at random")
    add("--seed", type=int, default=0, metavar="N", help="of that draw (default 0)")
    add(
        "--stratify",
        choices=["category", "language"],
        help="with --sample: each category or language keeps its share",
    )
    add(
        "--cluster",
        metavar="COLUMN",
        help="questions with the same value there (a passage, a document) are one unit of intervals "
        "and tests",
    )
    add("--trials", type=whole, default=1, metavar="N", help="ask every question N times")
    add = parser.add_argument_group("how it is scored").add_argument
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
    add("--judge-runs", type=whole, default=1, metavar="N", help="ask each judge N times")
    add(
        "--judge-combine",
        choices=["majority", "mean"],
        help="how several verdicts become one (default: majority of yes/no, mean of grades)",
    )
    add = parser.add_argument_group("money and pace").add_argument
    add("--budget", type=usd, metavar="USD", help="never spend more, judges included")
    add(
        "--allow-unknown-cost",
        action="store_true",
        help="with --budget: ask models without a known price too",
    )
    add(
        "--concurrency",
        type=concurrency,
        metavar="N",
        help="calls in flight per candidate (default 8)",
    )
    return asked


def add_matrix_options(add: Callable[..., object]) -> None:
    """Declare what makes several candidates of a model."""
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
    add(
        "--guardrails",
        action="append",
        default=[],
        metavar="POLICY",
        help="on, off or a policy file; several make several candidates of each model "
        "(default: what Settings says)",
    )
    for name in RANGES:
        add(
            f"--{name.replace('_', '-')}" if name != "seed" else "--model-seed",
            dest=f"param_{name}",
            action="append",
            default=[],
            type=parameter(name),
            metavar=metavar(name),
            help=f"{name}; several make several candidates of each model",
        )


def add_evaluation_options(parser: argparse.ArgumentParser) -> None:
    """Declare what describes an evaluation and how it is carried out."""
    add = add_planned_options(parser).add_argument
    add(
        "--until-decided",
        type=margin,
        metavar="MARGIN",
        help="of two candidates: stop once one is shown to be better, or both to be within MARGIN",
    )
    add = parser.add_argument_group("what is kept").add_argument
    add("--resume", metavar="ID", help="go on with an evaluation; sends only what is missing")
    add("--wait", action="store_true", help="end only when MLflow has the evaluation")
    add("--fresh", action="store_true", help="reuse no earlier answers")
    add("--harness", choices=["fast", "mlflow"], default="fast", help="who writes the scores")
    add("--output", type=Path, metavar="DIR", help="folder for answers and report")
    add_cluster_options(parser)
    add_gate_options(parser.add_argument_group("gates, and files for CI"))
    add_sheet_options(parser.add_argument_group("sheets for people"))
    parser.add_argument("--details", action="store_true", help="show all tables and comparisons")
    parser.add_argument("--dry-run", action="store_true", help="say what it would take, and stop")
    add_json(parser)


def evaluation_request(
    arguments: argparse.Namespace, gates: GateRequest | None = None, *, lacking: str | None = None
) -> EvaluationRequest:
    """Read the options; `lacking` says why nothing could be taken where no model is named.

    Raises:
        InputError: They do not fit together.
    """
    named = arguments.model or arguments.answers
    if not named and arguments.resume is None:
        raise InputError(
            f"Name at least one model: {program_name()} evaluate --model provider:model "
            "(local and guide work without a key), or a column of given answers with --answers."
            + (f" {lacking}" if lacking else "")
        )
    if named and arguments.resume is not None:
        option = "--model" if arguments.model else "--answers"
        raise InputError(
            f"--resume goes on with the evaluation's own candidates; leave {option} out."
        )
    planned = planned_request(arguments)
    return replace(
        planned,
        until_decided=arguments.until_decided,
        # What does not matter while it runs does not matter at its end.
        margin=arguments.margin or arguments.until_decided,
        fresh=arguments.fresh,
        waits=arguments.wait or arguments.json,
        resume=arguments.resume,
        harness=arguments.harness,
        output=arguments.output,
        gates=gates or planned.gates,
        ray=ray_request(arguments),
    )


def planned_request(arguments: argparse.Namespace) -> EvaluationRequest:
    """Read the options that a plan has as well.

    Raises:
        InputError: One cannot be read.
    """
    # Imported here: reading the command line must not wait for what is done then.
    from llmflowlab.lab.evaluation_request import EvaluationRequest

    return EvaluationRequest(
        models=arguments.model,
        answers=arguments.answers,
        data=arguments.data,
        mapping=read_mapping(arguments.map),
        skip_bad=arguments.skip_bad,
        systems=arguments.system,
        prompts=arguments.prompt,
        guardrails=arguments.guardrails,
        parameter_sets=parameter_sets(arguments),
        scorers=arguments.scorer,
        judges=arguments.judge,
        judge_runs=arguments.judge_runs,
        judge_combine=arguments.judge_combine,
        sample=arguments.sample,
        stratify=arguments.stratify,
        cluster=arguments.cluster,
        seed=arguments.seed,
        concurrency=arguments.concurrency,
        trials=arguments.trials,
        budget=arguments.budget,
        allow_unknown_cost=arguments.allow_unknown_cost,
    )


def parameter_sets(arguments: argparse.Namespace) -> list[Parameters]:
    """Return every combination of the values given."""
    values = [getattr(arguments, f"param_{name}") or [None] for name in RANGES]
    return [
        Parameters(**dict(zip(RANGES, chosen, strict=True)))
        for chosen in itertools.product(*values)
    ]
