"""Sheets for people who judge in a spreadsheet: written blind, read back strictly.

A sheet holds one answer a line, without saying whose it is: the last column is a key that only the lab
can read back. It stands last so that spreadsheets which drop empty cells at a line's end drop none.
"""

from __future__ import annotations

import csv
import io
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from llmflowlab.data.csv_text import read_csv
from llmflowlab.data.dataset import sample
from llmflowlab.data.stratified import Stratum, stratified_sample
from llmflowlab.errors import DatasetError, InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import safe_cell
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.text.digests import digest_of

__all__ = ["HumanVerdict", "Scale", "Sheet", "read_sheet", "row_key", "sheet_text"]

Scale: TypeAlias = Literal["yes_no", "grade"]

_COLUMNS = ("row", "question", "context", "expected", "answer", "verdict", "comment", "key")
_YES = frozenset({"yes", "y", "true", "ja", "oui", "sí", "si", "sì", "sim", "wahr", "vrai"})
_NO = frozenset({"no", "n", "false", "nein", "non", "não", "nao", "falsch", "faux"})
_GRADE = re.compile(r"([1-5])(?:[.,]0+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanVerdict:
    """What a person said of one answer."""

    cell: Cell
    said: str
    """`yes`, `no`, or a grade from `1` to `5`."""
    comment: str

    @property
    def value(self) -> float:
        """From 0 to 1, as scores are: yes is 1, no is 0, grade g is (g − 1) / 4."""
        return (
            {"yes": 1.0, "no": 0.0}[self.said]
            if not self.said.isdigit()
            else (int(self.said) - 1) / 4
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A filled-in sheet."""

    evaluation: str
    verdicts: Sequence[HumanVerdict]
    empty: int
    """Lines that nobody judged."""


def row_key(plan: EvaluationPlan, cell: Cell) -> str:
    """Return what stands for an answer in a sheet; says whose evaluation, not whose answer."""
    name = digest_of(["sheet", plan.evaluation_id, cell.candidate, cell.row, cell.trial])
    return f"{plan.evaluation_id}.{name[:16]}"


def sheet_text(
    result: EvaluationResult,
    *,
    candidate: int | None = None,
    n: int | None = None,
    seed: int = 0,
    stratify: Stratum | None = None,
    named: bool = False,
) -> tuple[str, int]:
    """Return a sheet as CSV text, and how many answers it holds.

    Args:
        result: The evaluation.
        candidate: Only this one's answers, by index.
        n: Only the answers to so many questions, drawn at random.
        seed: Of that draw and of the order of the answers within a question.
        stratify: Draw evenly by this property of the questions.
        named: Say which model answered; otherwise the sheet is blind.

    Raises:
        InputError: There is no answer to judge.
    """
    plan = result.plan
    chosen = plan.dataset
    if n is not None:
        chosen = (
            stratified_sample(chosen, n, seed, by=stratify) if stratify else sample(chosen, n, seed)
        )
    # A sample numbers its rows anew; ids are unique and stay.
    ids = {row.id for row in chosen.rows}
    header = (*_COLUMNS[:-1], "model", _COLUMNS[-1]) if named else _COLUMNS
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(header)
    count = 0
    for row in plan.dataset.rows:
        if row.id not in ids:
            continue
        cells = [
            Cell(index, row.index, trial)
            for index in range(len(plan.candidates))
            for trial in range(plan.trials)
            if candidate in (None, index)
        ]
        cells = [c for c in cells if c in result.answers and result.answers[c].answered]
        # Reproducible on purpose; another order for each row, or the first would always be the same.
        random.Random(f"{seed}:{plan.evaluation_id}:{row.index}").shuffle(cells)  # noqa: S311
        for cell in cells:
            line = [
                *(row.id, row.question, row.context or "", row.expected or ""),
                *(result.answers[cell].text, "", ""),
            ]
            if named:
                line.append(plan.candidates[cell.candidate].label)
            writer.writerow([*map(safe_cell, line), row_key(plan, cell)])
            count += 1
    if not count:
        raise InputError(f"{plan.evaluation_id} has no answer that could be judged.")
    return out.getvalue(), count


def read_sheet(file: Path, ledger: Ledger) -> Sheet:
    """Read a filled-in sheet; every line is checked, and one that is wrong refuses the whole.

    Raises:
        InputError: The file cannot be read or is no sheet of this home.
        DatasetError: A line is wrong; names it.
    """
    file = file.expanduser()
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise InputError(f"{file} cannot be read ({exc.strerror}).") from exc
    name = file.name
    table = read_csv(content, file=name, tab=file.suffix.lower() == ".tsv")
    if table.bad:
        raise DatasetError(table.bad[0].reason, file=name, line=table.bad[0].line)
    found = {column.strip().lower(): column for column in table.columns}
    for needed in ("verdict", "key"):
        if needed not in found:
            raise DatasetError(
                f"has no column {needed!r}; give the sheet that --export-sheet wrote.", file=name
            )
    keys: Mapping[str, Cell] = {}
    evaluation: str | None = None
    seen: dict[str, int] = {}
    verdicts: list[HumanVerdict] = []
    scale: Scale | None = None
    empty = 0
    for record in table.records:
        line, cells = record.line or 0, record.cells
        key = cells[found["key"]].strip()
        named = key.partition(".")[0]
        if evaluation is None:
            evaluation, keys = named, _keys(ledger, named, name, line)
        if named != evaluation:
            raise DatasetError(
                f"the key {key!r} is of another evaluation than the lines before it.",
                file=name,
                line=line,
            )
        if key not in keys:
            raise DatasetError(f"the key {key!r} is not one of {named}.", file=name, line=line)
        text = cells[found["verdict"]].strip()
        if not text:
            empty += 1
            continue
        if key in seen:
            raise DatasetError(
                f"this answer is judged in line {seen[key]} already.", file=name, line=line
            )
        seen[key] = line
        said, own = _said(text, name, line)
        if scale is not None and own != scale:
            raise DatasetError(
                f"the verdict {text!r} does not go with those before it; use yes and no, or 1 to "
                "5, throughout.",
                file=name,
                line=line,
            )
        scale = own
        comment = cells[found["comment"]].strip() if "comment" in found else ""
        verdicts.append(HumanVerdict(cell=keys[key], said=said, comment=comment))
    if evaluation is None:
        raise DatasetError("has no lines to judge.", file=name)
    return Sheet(evaluation=evaluation, verdicts=verdicts, empty=empty)


def _keys(ledger: Ledger, evaluation: str, file: str, line: int) -> dict[str, Cell]:
    try:
        plan = ledger.plan(evaluation)
    except InputError as exc:
        raise DatasetError(
            f"the key is of {evaluation!r}, an evaluation this home does not have; import the sheet "
            "where it was exported.",
            file=file,
            line=line,
        ) from exc
    return {row_key(plan, cell): cell for cell in plan.cells()}


def _said(text: str, file: str, line: int) -> tuple[str, Scale]:
    word = text.casefold()
    if word in _YES:
        return "yes", "yes_no"
    if word in _NO:
        return "no", "yes_no"
    grade = _GRADE.fullmatch(word)
    if grade is not None:
        return grade[1], "grade"
    raise DatasetError(
        f"the verdict {text!r} is neither yes or no nor a grade from 1 to 5.", file=file, line=line
    )
