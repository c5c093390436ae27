"""`registry batch`: a file of requests, answered with a version."""

from __future__ import annotations

import argparse

from llmflowlab.cli.context import App
from llmflowlab.cli.formatting import plural
from llmflowlab.cli.output import give
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.registry import Registry
from llmflowlab.serving.batch import journal_of, read_requests, run_batch
from llmflowlab.serving.served_model import load_version

__all__ = ["run_command"]


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Answer the file; returns the exit code."""
    output = arguments.output
    if output.suffix.lower() not in {".csv", ".jsonl", ".ndjson"}:
        raise InputError(f"{output} must end in .csv or .jsonl.")
    if output.exists() and not journal_of(output).exists() and not arguments.force:
        raise InputError(f"{output} exists; name another, or give --force to write over it.")
    requests = read_requests(arguments.input)
    version = Registry(app.lab).find(arguments.version)
    model = load_version(app.settings, version)
    with app.screen.progress(f"batch {version.reference}") as progress:

        def tick(done: int) -> None:
            progress.update(f"{done} of {plural(len(requests), 'row')}", done, len(requests))

        result = run_batch(
            model,
            requests,
            output,
            version=version.reference,
            concurrency=arguments.concurrency,
            tick=tick,
        )

    def words() -> None:
        before = f", {result.resumed} of them before" if result.resumed else ""
        app.screen.say(
            f"{result.answered} of {plural(result.rows, 'row')} answered{before}: {result.output}"
        )
        if result.failed:
            app.screen.warn(f"{plural(result.failed, 'row')} failed; the column error says why.")

    give(
        arguments.json,
        lambda: {
            "name": version.name,
            "version": version.version,
            "rows": result.rows,
            "answered": result.answered,
            "failed": result.failed,
            "resumed": result.resumed,
            "output": str(result.output),
        },
        words,
    )
    return ExitCode.DONE if result.answered else ExitCode.PROVIDER_FAILED
