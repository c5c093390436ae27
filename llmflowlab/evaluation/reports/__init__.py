"""Files an evaluation leaves for people and programs."""

from __future__ import annotations

from llmflowlab.evaluation.reports.evaluation_files import to_document, write_files
from llmflowlab.evaluation.reports.figures import figures_of
from llmflowlab.evaluation.reports.lines import write_results_jsonl
from llmflowlab.evaluation.reports.page import write_report_html
from llmflowlab.evaluation.reports.spreadsheet import safe_cell, write_answers_csv
from llmflowlab.evaluation.reports.whole import write_document

__all__ = [
    "figures_of",
    "safe_cell",
    "to_document",
    "write_answers_csv",
    "write_document",
    "write_files",
    "write_report_html",
    "write_results_jsonl",
]
