"""What `main.py evaluate` does once its command line is read."""

from __future__ import annotations

import argparse
from contextlib import closing

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.config_file import save_config
from llmflowlab.cli.evaluate.evaluation_options import evaluation_request
from llmflowlab.cli.evaluate.gate_options import gate_request
from llmflowlab.cli.evaluate.live_view import watched
from llmflowlab.cli.evaluate.show_evaluation import (
    describe_plan,
    plan_document,
    show_gates,
    show_result,
)
from llmflowlab.cli.output import give, print_json
from llmflowlab.errors import ExitCode
from llmflowlab.evaluation.conclude.remedies import remedies
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.lab.candidates import first_compared
from llmflowlab.lab.evaluate import prepare
from llmflowlab.lab.gate_checks import failure, write_gate_files
from llmflowlab.lab.scorers import known_scorers

__all__ = ["evaluate", "exit_code"]


_FIRST_SAMPLE = 20
"""Questions of a first evaluation for which nothing was chosen."""


def evaluate(app: App, arguments: argparse.Namespace, recorder: RecorderProcess | None) -> int:
    """Evaluate as the command line says; returns the exit code.

    Args:
        app: The program.
        arguments: The command line.
        recorder: As in `prepare`.

    Raises:
        LabError: Something cannot be used or failed.
    """
    # Gates are read before anything else: a job that misspells one must not pass for listing.
    gates = gate_request(arguments)
    if "list" in arguments.scorer:
        _list_scorers(app, as_json=arguments.json)
        return ExitCode.DONE
    request = evaluation_request(arguments, gates, lacking=_take_first(app, arguments))
    if arguments.save_config is not None:
        app.screen.note(save_config(arguments.parser, arguments, arguments.save_config))
    with closing(prepare(app.lab, request, recorder=recorder)) as prepared:
        for remark in prepared.remarks:
            app.screen.note(remark)
        if not arguments.json:
            for line in describe_plan(prepared.plan, prepared.estimate):
                app.screen.say(line)
        if arguments.dry_run:
            if arguments.json:
                print_json(plan_document(prepared.plan, prepared.estimate))
            return ExitCode.DONE
        result = watched(app.screen, prepared)

    def words() -> None:
        show_result(app.screen, result, details=arguments.details, recorded=request.waits)
        show_gates(app.screen, result)

    give(arguments.json, result.to_json, words)
    if arguments.json:
        # Who keeps the document alone must hear of what it lacks.
        left_out = remedies(result.candidates) if result.unfinished is not None else []
        for sentence in (*left_out, *result.problems, *result.notes):
            app.screen.warn(sentence)
    write_gate_files(gates, result)
    code = exit_code(result)
    if code == ExitCode.DONE and (unmet := failure(result)) is not None:
        raise unmet
    return code


def _take_first(app: App, arguments: argparse.Namespace) -> str | None:
    """Fill in what a home's first evaluation compares where nothing was chosen; return what it lacks."""
    if arguments.model or arguments.answers or arguments.resume is not None:
        return None
    first = first_compared(app.lab)
    if first.models:
        arguments.model = list(first.models)
        few = ""
        if arguments.sample is None:
            # The model inside takes some seconds a question.
            arguments.sample = _FIRST_SAMPLE
            few = f" on {_FIRST_SAMPLE} questions (--sample N takes more)"
        app.screen.note(
            f"No --model: the first evaluation of a home compares {' with '.join(first.models)}{few}."
        )
    return first.lacking


def exit_code(result: EvaluationResult) -> int:
    """Return what the command ends with: 130, 4 where nothing was answered or recorded, else 0."""
    if result.interrupted:
        return ExitCode.INTERRUPTED
    if result.problems or not any(candidate.answered for candidate in result.candidates):
        return ExitCode.PROVIDER_FAILED
    return ExitCode.DONE


def _list_scorers(app: App, *, as_json: bool) -> None:
    """Show every scorer with what it says."""
    scorers = known_scorers()
    width = max(len(scorer.name) for scorer in scorers)

    def words() -> None:
        for scorer in scorers:
            app.screen.say(f"{scorer.name:<{width}}  {scorer.kind:<5}  {scorer.says}")

    give(
        as_json,
        lambda: [{"name": s.name, "kind": s.kind, "says": s.says} for s in scorers],
        words,
    )
