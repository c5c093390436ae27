"""`registry batch`: a file of requests, answered with a version."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.cluster_options import ray_request
from llmflowlab.cli.formatting import number_or_none, plural
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode
from llmflowlab.lab.batch import BatchRequest, BatchResult, prepare_batch, run_batch
from llmflowlab.lab.model_registry import Version

__all__ = ["run_command"]


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Answer the file; returns the exit code.

    Raises:
        InputError: A file cannot be used, or the journal belongs to another batch.
        TrackingError: The version cannot be loaded, or a file cannot be written.
    """
    prepared = prepare_batch(
        app.lab,
        BatchRequest(
            version=arguments.version,
            input=arguments.input,
            output=arguments.output,
            concurrency=arguments.concurrency,
            budget=arguments.budget,
            force=arguments.force,
            ray=ray_request(arguments),
        ),
    )
    for remark in prepared.remarks:
        app.screen.note(remark)
    total = len(prepared.rows)
    with app.screen.progress(f"batch {prepared.version.reference}") as progress:

        def tick(done: int) -> None:
            progress.update(f"{done} of {plural(total, 'row')}", done, total)

        try:
            result = run_batch(app.lab, prepared, tick)
        except KeyboardInterrupt:
            app.screen.warn(
                "Stopped; what was answered is kept, and the same command goes on there."
            )
            raise
    give(
        arguments.json,
        lambda: _document(prepared.version, result),
        lambda: _show(app, result),
    )
    return ExitCode.DONE if result.answered else ExitCode.PROVIDER_FAILED


def _document(version: Version, result: BatchResult) -> object:
    return {
        "name": version.name,
        "version": version.version,
        "rows": result.rows,
        "answered": result.answered,
        "failed": result.failed,
        "unreached": result.unreached,
        "resumed": result.resumed,
        "cost_usd": number_or_none(result.cost),
        "output": str(result.output),
    }


def _show(app: App, result: BatchResult) -> None:
    before = f", {result.resumed} of them before" if result.resumed else ""
    app.screen.say(
        f"{result.answered} of {plural(result.rows, 'row')} answered{before}: {result.output}"
    )
    if result.failed:
        app.screen.warn(f"{plural(result.failed, 'row')} failed; the column error says why.")
    if result.unreached:
        app.screen.warn(
            f"The budget did not reach {plural(result.unreached, 'row')}; the same command with a "
            "larger --budget asks them."
        )
