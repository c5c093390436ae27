"""Answers judged by people in a spreadsheet: written, and read back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.data.stratified import Stratum
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.replay import evaluation_behind, stored_result
from llmflowlab.files import write_atomically
from llmflowlab.lab.lab import Lab
from llmflowlab.people.human import (
    HumanAgreement,
    HumanMean,
    agreement,
    human_means,
    keep_verdicts,
    kept_verdicts,
)
from llmflowlab.people.sheets import read_sheet, sheet_text
from llmflowlab.tracking.feedback import HumanFeedback, write_feedback

__all__ = ["ExportedSheet", "HumanAgreement", "HumanMean", "ImportedSheet", "SheetRequest"]
__all__ += ["export_sheet", "import_sheet"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRequest:
    """Whose answers a sheet should hold."""

    name: str
    """A run or an evaluation of this home."""
    output: Path | None = None
    """File or folder; None means a file named for the evaluation, in the current folder."""
    sample: int | None = None
    seed: int = 0
    stratify: Stratum | None = None
    show_models: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSheet:
    """A sheet that was written."""

    evaluation_id: str
    file: Path
    answers: int

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.evaluation_id,
            "file": str(self.file),
            "answers": self.answers,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSheet:
    """A judged sheet that was recorded."""

    evaluation_id: str
    person: str
    verdicts: int
    new: int
    changed: int
    as_before: int
    not_judged: int
    means: Sequence[HumanMean]
    agreement: Sequence[HumanAgreement]

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.evaluation_id,
            "judge_name": self.person,
            "verdicts": self.verdicts,
            "new": self.new,
            "changed": self.changed,
            "as_before": self.as_before,
            "not_judged": self.not_judged,
            "means": [mean.to_json() for mean in self.means],
            "agreement": [entry.to_json() for entry in self.agreement],
        }


def export_sheet(lab: Lab, request: SheetRequest) -> ExportedSheet:
    """Write answers as a spreadsheet for people to judge.

    Raises:
        InputError: Nothing is known of it, or the file cannot be written.
    """
    with closing(lab.existing_ledger()) as ledger:
        evaluation = evaluation_behind(ledger, request.name)
        runs = ledger.evaluation(evaluation).runs.get("candidates") or []
        text, count = sheet_text(
            stored_result(ledger, evaluation),
            candidate=runs.index(request.name) if request.name in runs else None,
            n=request.sample,
            seed=request.seed,
            stratify=request.stratify,
            named=request.show_models,
        )
    file = (request.output or Path(f"sheet-{evaluation}.csv")).expanduser()
    if file.is_dir():
        file = file / f"sheet-{evaluation}.csv"
    try:
        # With a byte order mark, without which Excel misreads every accent.
        write_atomically(file, text.encode("utf-8-sig", errors="replace"), shared=True)
    except OSError as exc:
        raise InputError(f"{file} cannot be written ({exc.strerror}).") from exc
    return ExportedSheet(evaluation_id=evaluation, file=file, answers=count)


def import_sheet(lab: Lab, file: Path, person: str) -> ImportedSheet:
    """Record the verdicts of a judged sheet, here and in MLflow.

    Raises:
        InputError: The sheet cannot be used or has no verdict; nothing was recorded.
        TrackingError: MLflow failed.
    """
    with closing(lab.existing_ledger()) as ledger:
        sheet = read_sheet(file, ledger)
        if not sheet.verdicts:
            raise InputError(f"{file} has no verdict; fill its column verdict first.")
        result = stored_result(ledger, sheet.evaluation)
        keep_verdicts(ledger, sheet.evaluation, person, sheet.verdicts)
        given = [
            HumanFeedback(
                trace_id=result.plan.trace_id(verdict.cell),
                value=int(verdict.said) if verdict.said.isdigit() else verdict.said,
                comment=verdict.comment,
            )
            for verdict in sheet.verdicts
        ]
        # Everything up to here is checked without MLflow.
        counts = write_feedback(lab.store(), person, given)
        verdicts = kept_verdicts(ledger, sheet.evaluation)
        return ImportedSheet(
            evaluation_id=sheet.evaluation,
            person=person,
            verdicts=len(sheet.verdicts),
            new=counts["new"],
            changed=counts["changed"],
            as_before=counts["as_before"],
            not_judged=sheet.empty,
            means=human_means(result, verdicts),
            agreement=agreement(result, verdicts),
        )
