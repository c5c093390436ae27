"""The files of an evaluation, together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.lines import write_results_jsonl
from llmflowlab.evaluation.reports.page import write_report_html
from llmflowlab.evaluation.reports.plot_files import write_plots
from llmflowlab.evaluation.reports.spreadsheet import write_answers_csv
from llmflowlab.evaluation.reports.whole import write_document
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.tracking.violations import TABLE, table_of

__all__ = ["to_document", "write_files"]


def to_document(result: EvaluationResult) -> str:
    """Return the JSON document of a result; unknown is null, and NaN is an error."""
    return json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)


def write_files(result: EvaluationResult, folder: Path) -> tuple[EvaluationResult, list[Path]]:
    """Write the files of a result, plots included; returns it with their names, and them.

    Raises:
        TrackingError: One cannot be written.
    """
    spreadsheet = folder / "answers.csv"
    lines = folder / "results.jsonl"
    page = folder / "report.html"
    document = folder / "evaluation.json"
    result = replace(result, files={"answers_csv": str(spreadsheet), "report_html": str(page)})
    write_answers_csv(result, spreadsheet)
    write_results_jsonl(result, lines)
    figures = figures_of(result)
    write_report_html(result, figures, page)
    write_document(to_document(result), document)
    return result, [
        spreadsheet,
        lines,
        page,
        document,
        *_violations(result, folder),
        *write_plots(figures, folder / "plots"),
    ]


def _violations(result: EvaluationResult, folder: Path) -> list[Path]:
    """Write what guardrails found as a table, where they found anything."""
    rows = result.plan.dataset.rows
    found = [
        (f"{result.plan.candidates[cell.candidate].label}, row {rows[cell.row].id}", violation)
        for cell, answer in sorted(result.answers.items(), key=lambda item: _place(item[0]))
        for violation in answer.violations
    ]
    if not found:
        return []
    write_document(table_of(found), folder / TABLE)
    return [folder / TABLE]


def _place(cell: Cell) -> tuple[int, int, int]:
    return cell.candidate, cell.row, cell.trial
