"""Sheets for people who judge in a spreadsheet: written blind, read back strictly.

A sheet holds one answer a line, without saying whose it is: the last column is a key that only the lab
can read back. It stands last so that spreadsheets which drop empty cells at a line's end drop none.
"""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.data.csv_text import read_csv
from llmflowlab.data.dataset import sample
from llmflowlab.data.stratified import Stratum, stratified_sample
from llmflowlab.errors import DatasetError, InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports import safe_cell
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.people.answer_words import CORRECT, QUALITY, HumanVerdict
from llmflowlab.people.rubric import COLUMNS, DEFAULT, Rubric, RubricQuestion, said_by
from llmflowlab.people.strata import nothing_to_judge
from llmflowlab.program import program_name
from llmflowlab.text.digests import digest_of

__all__ = ["Sheet", "read_sheet", "row_key", "sheet_text"]

_COLUMNS = ("row", "question", "context", "expected", "answer")
_VERDICT = "verdict"
"""The column of sheets that ask one thing: yes and no mean correct, grades mean quality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A filled-in sheet."""

    evaluation: str
    verdicts: Sequence[HumanVerdict]
    judged: int
    """Lines with a verdict."""
    empty: int
    """Lines that nobody judged."""
    warnings: Sequence[str] = ()
    """What had to be guessed about the file, in sentences."""


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
    rubric: Rubric | None = None,
) -> tuple[str, int]:
    """Return a sheet as CSV text, and how many answers it holds.

    Args:
        result: The evaluation.
        candidate: Only this one's answers, by index.
        n: Only the answers to so many questions, drawn at random.
        seed: Of that draw and of the order of the answers within a question.
        stratify: Draw evenly by this property of the questions.
        named: Say which model answered; otherwise the sheet is blind.
        rubric: What is asked, a column each; None: one column for a verdict.

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
    asked = (_VERDICT,) if rubric is None else rubric.names
    header = (*_COLUMNS, *asked, "comment", *(["model"] if named else []), "key")
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
        # As at the keys: what is not scored is not judged.
        cells = [
            c for c in cells if c in result.answers and result.answers[c].why_not_scored is None
        ]
        # Reproducible on purpose; another order for each row, or the first would always be the same.
        random.Random(f"{seed}:{plan.evaluation_id}:{row.index}").shuffle(cells)  # noqa: S311
        for cell in cells:
            line = [
                *(row.id, row.question, row.context or "", row.expected or ""),
                *(result.answers[cell].text, *[""] * len(asked), ""),
            ]
            if named:
                line.append(plan.candidates[cell.candidate].label)
            writer.writerow([*map(safe_cell, line), row_key(plan, cell)])
            count += 1
    if not count:
        everybody = range(len(plan.candidates))
        raise nothing_to_judge(result, everybody if candidate is None else [candidate])
    return out.getvalue(), count


def read_sheet(file: Path, ledger: Ledger, *, person: str, rubric: Rubric = DEFAULT) -> Sheet:
    """Read a filled-in sheet; every line is checked, and one that is wrong refuses the whole.

    Args:
        file: The sheet.
        ledger: Holds the evaluation that it is of.
        person: Who judged.
        rubric: What a sheet with a column for each question asks.

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
    asked = _asked(found, rubric, name)
    keys: Mapping[str, Cell] = {}
    evaluation: str | None = None
    seen: dict[str, int] = {}
    verdicts: list[HumanVerdict] = []
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
        texts = {column: cells[found[column]].strip() for column in asked}
        if not any(texts.values()):
            empty += 1
            continue
        if key in seen:
            raise DatasetError(
                f"this answer is judged in line {seen[key]} already.", file=name, line=line
            )
        seen[key] = line
        comment = cells[found["comment"]].strip() if "comment" in found else ""
        for column, text in texts.items():
            if text:
                question, said = _said(column, asked[column], text, name, line)
                verdicts.append(
                    HumanVerdict(
                        cell=keys[key],
                        person=person,
                        question=question,
                        said=said,
                        comment=comment,
                    )
                )
        if _VERDICT in asked and verdicts[-1].question != verdicts[0].question:
            raise DatasetError(
                f"the verdict {texts[_VERDICT]!r} does not go with those before it; use yes and no, or 1 "
                "to 5, throughout.",
                file=name,
                line=line,
            )
    if evaluation is None:
        raise DatasetError("has no lines to judge.", file=name)
    return Sheet(
        evaluation=evaluation,
        verdicts=verdicts,
        judged=len(seen),
        empty=empty,
        warnings=table.warnings,
    )


def _asked(found: Mapping[str, str], rubric: Rubric, file: str) -> dict[str, RubricQuestion | None]:
    """Return which columns hold verdicts, and what each asks; None: by what stands there."""
    asked: dict[str, RubricQuestion | None] = {}
    if _VERDICT in found:
        asked = {_VERDICT: None}
    else:
        asked = {q.name: q for q in rubric.questions if q.name in found}
        others = [name for name in found if name and name not in COLUMNS and name not in asked]
        if asked and others:
            raise DatasetError(
                f"has a column {others[0]!r} that is no question of the rubric; give the one that it was "
                "exported with (--rubric FILE), or take the column out.",
                file=file,
            )
    lacking = _VERDICT if not asked else None if "key" in found else "key"
    if not asked and "key" not in found:
        what = "is a file of questions" if "question" in found else "is another table"
        raise DatasetError(
            f"{what} (columns {', '.join(found)}) and no sheet of answers that people judged; give the one "
            f"that `{program_name()} review export` wrote, filled in.",
            file=file,
        )
    if lacking is not None:
        raise DatasetError(
            f"has no column {lacking!r}; give the sheet that was exported.", file=file
        )
    return asked


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


def _said(
    column: str, asked: RubricQuestion | None, text: str, file: str, line: int
) -> tuple[str, str]:
    if asked is None:
        said = said_by(text)
        question = QUALITY if said and said.isdecimal() else CORRECT
        wrong = f"the verdict {text!r} is neither yes or no nor a grade from 1 to 5."
    else:
        said, question = asked.read(text), asked.name
        wrong = f"{column} is {text!r}; write {asked.choice}."
    if said is None:
        raise DatasetError(wrong, file=file, line=line)
    return question, said
