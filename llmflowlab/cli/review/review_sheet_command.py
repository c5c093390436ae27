"""`main.py review export` and `import`: answers judged in a spreadsheet, or on MLflow's pages."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from llmflowlab.cli.arguments import add_command
from llmflowlab.cli.context import App
from llmflowlab.cli.options import add_json, whole
from llmflowlab.cli.output import give
from llmflowlab.cli.review.review_options import add_person, add_rubric
from llmflowlab.cli.review.show_review import show_exported, show_imported
from llmflowlab.errors import ExitCode, InputError
from llmflowlab.lab.review import STRATA, rubric_of, who_sits_here
from llmflowlab.lab.review_sheets import (
    SheetRequest,
    export_sheet,
    import_from_mlflow,
    import_sheet,
)

__all__ = ["declare_action", "run_command"]


def declare_action(commands: argparse._SubParsersAction[Any], name: str) -> None:
    """Declare `export` or `import`."""
    if name == "export":
        parser = add_command(commands, name, "write answers as a spreadsheet to be judged, blind")
        parser.add_argument("run", metavar="RUN_OR_ID")
        parser.add_argument("--output", type=Path, metavar="FILE")
        parser.add_argument("--sample", type=whole, metavar="N", help="answers to N questions")
        parser.add_argument("--seed", type=int, default=0, metavar="N", help="another draw")
        parser.add_argument("--stratify", choices=STRATA, help="each keeps its share")
        parser.add_argument("--show-models", action="store_true", help="say who answered")
    else:
        parser = add_command(commands, name, "take in a judged spreadsheet, or MLflow's reviews")
        parser.add_argument("file", nargs="?", type=Path, metavar="FILE")
        parser.add_argument(
            "--mlflow", metavar="RUN_OR_ID", help="what people said on MLflow's pages instead"
        )
        add_person(parser)
    add_rubric(parser)
    add_json(parser)


def run_command(app: App, arguments: argparse.Namespace) -> int:
    """Write or read; returns the exit code.

    Raises:
        LabError: It cannot be done; nothing was taken in then.
    """
    rubric = rubric_of(arguments.rubric)
    if arguments.action == "export":
        written = export_sheet(
            app.lab,
            SheetRequest(
                name=arguments.run,
                output=arguments.output,
                sample=arguments.sample,
                seed=arguments.seed,
                stratify=arguments.stratify,
                show_models=arguments.show_models,
                rubric=rubric,
            ),
        )
        back = f"review import {written.file} --as NAME"
        if arguments.rubric is not None:
            back += f" --rubric {arguments.rubric}"
        asked = "; ".join(f"{q.name}: {q.choice}" for q in rubric.questions)
        give(
            arguments.json, written.to_json, lambda: show_exported(app.screen, written, asked, back)
        )
        return ExitCode.DONE
    if (arguments.file is None) == (arguments.mlflow is None):
        raise InputError("Give a judged spreadsheet, or --mlflow RUN_OR_ID; one of them.")
    if arguments.mlflow is not None:
        if arguments.person is not None:
            raise InputError("--as belongs to a spreadsheet; MLflow knows who said what.")
        found = import_from_mlflow(app.lab, arguments.mlflow)
    else:
        person = (arguments.person or who_sits_here()).strip()
        found = import_sheet(app.lab, arguments.file, person, rubric=rubric)
        for sentence in found.warnings:
            app.screen.warn(sentence)
    give(arguments.json, found.to_json, lambda: show_imported(app.screen, found))
    return ExitCode.DONE
