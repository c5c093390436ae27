"""The answers as a spreadsheet."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports.whole import whole_file
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.text.sanitize import is_formula

__all__ = ["safe_cell", "write_answers_csv", "write_cells"]


def safe_cell(text: str) -> str:
    """Return the text so that no spreadsheet runs it as a formula: with an apostrophe in front."""
    return "'" + text if is_formula(text) else text


def write_answers_csv(result: EvaluationResult, file: Path) -> None:
    """Write the benchmark's own columns, then per candidate its answer, scores and what it took.

    UTF-8 with a byte order mark, without which Excel misreads every accent. Written whole or not
    at all.
    """
    write_cells(_rows(result), file)


def write_cells(rows: Iterable[Sequence[str]], file: Path) -> None:
    """Write lines of cells as CSV that is safe to open: UTF-8 with a byte order mark, no formulas.

    Written whole or not at all.

    Raises:
        TrackingError: It cannot be written.
    """
    with whole_file(file, "utf-8-sig") as out:
        writer = csv.writer(out)
        for row in rows:
            writer.writerow([safe_cell(cell) for cell in row])


def _rows(result: EvaluationResult) -> Iterator[list[str]]:
    plan = result.plan
    own = list(plan.dataset.columns)
    header = [*own]
    explained = {
        name
        for by_name in result.scores.values()
        for name, score in by_name.items()
        if score.rationale
    }
    for candidate in plan.candidates:
        label = candidate.label
        header.append(f"{label} answer")
        for scorer in plan.scorers:
            header.append(f"{label} {scorer}")
            if scorer in explained:
                header.append(f"{label} {scorer} rationale")
        header += [f"{label} error", f"{label} seconds", f"{label} tokens", f"{label} cost_usd"]
    if plan.trials > 1:
        header.insert(len(own), "trial")
    yield header
    for trial in range(plan.trials):
        for row in plan.dataset.rows:
            line = [row.source.get(column, "") for column in own]
            if plan.trials > 1:
                line.append(str(trial + 1))
            for index, _ in enumerate(plan.candidates):
                line += _candidate_cells(result, Cell(index, row.index, trial), header)
            yield line


def _candidate_cells(result: EvaluationResult, cell: Cell, header: list[str]) -> list[str]:
    answer = result.answers.get(cell)
    label = result.plan.candidates[cell.candidate].label
    cells = [answer.text if answer else ""]
    for scorer in result.plan.scorers:
        score = result.scores.get(cell, {}).get(scorer)
        if score is None:
            cells.append("not scored: not_reached")
        elif score.value is None:
            cells.append(f"not scored: {score.not_scored}")
        else:
            cells.append(f"{score.value:g}")
        if f"{label} {scorer} rationale" in header:
            cells.append(_rationale(result, cell, scorer))
    if answer is None:
        return [*cells, "not reached", "", "", ""]
    known = answer.prompt_tokens is not None and answer.completion_tokens is not None
    tokens = str((answer.prompt_tokens or 0) + (answer.completion_tokens or 0)) if known else ""
    return [
        *cells,
        answer.error or "",
        "" if answer.latency is None else f"{answer.latency:.3f}",
        tokens,
        "" if answer.spent is None else str(answer.spent),
    ]


def _rationale(result: EvaluationResult, cell: Cell, scorer: str) -> str:
    score = result.scores.get(cell, {}).get(scorer)
    return (score.rationale or "") if score else ""
