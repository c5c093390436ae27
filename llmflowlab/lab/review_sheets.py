"""Answers judged by people in a spreadsheet: written, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.data.stratified import Stratum
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.run.replay import evaluation_behind, stored_result
from llmflowlab.files import write_atomically
from llmflowlab.lab.lab import Lab
from llmflowlab.people.answer_words import HumanVerdict, cell_of, keep_verdicts, kept_verdicts
from llmflowlab.people.human import (
    HumanAgreement,
    HumanMean,
    LabelCounts,
    agreement,
    human_means,
    label_counts,
)
from llmflowlab.people.rubric import DEFAULT, Rubric
from llmflowlab.people.sheets import read_sheet, sheet_text
from llmflowlab.people.strata import left_out
from llmflowlab.people.word_delivery import deliver_words
from llmflowlab.program import program_name
from llmflowlab.settings import Settings
from llmflowlab.tracking.feedback import read_feedback

__all__ = ["ExportedSheet", "HumanAgreement", "HumanMean", "ImportedSheet", "SheetRequest"]
__all__ += ["export_sheet", "import_from_mlflow", "import_sheet", "told_mlflow"]


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
    rubric: Rubric | None = None
    """A column for each of its questions; None: one for a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedSheet:
    """A sheet that was written."""

    evaluation_id: str
    file: Path
    answers: int
    left_out: Mapping[str, int]
    """Answers that are not in it because they are not whole, by why, in words."""

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.evaluation_id,
            "file": str(self.file),
            "answers": self.answers,
            "left_out": dict(self.left_out),
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
    waiting: str | None
    """Why MLflow was not told yet, in a sentence; None where it has all of it."""
    means: Sequence[HumanMean]
    labels: Sequence[LabelCounts]
    agreement: Sequence[HumanAgreement]
    warnings: Sequence[str]
    """What had to be guessed about the sheet, in sentences."""

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.evaluation_id,
            "judge_name": self.person,
            "verdicts": self.verdicts,
            "new": self.new,
            "changed": self.changed,
            "as_before": self.as_before,
            "not_judged": self.not_judged,
            "waiting": self.waiting,
            "means": [mean.to_json() for mean in self.means],
            "labels": [counts.to_json() for counts in self.labels],
            "agreement": [entry.to_json() for entry in self.agreement],
            "warnings": list(self.warnings),
        }


def export_sheet(lab: Lab, request: SheetRequest) -> ExportedSheet:
    """Write answers as a spreadsheet for people to judge.

    Raises:
        InputError: Nothing is known of it, or the file cannot be written.
    """
    with closing(lab.existing_ledger()) as ledger:
        evaluation = evaluation_behind(ledger, request.name)
        runs = ledger.evaluation(evaluation).runs.get("candidates") or []
        result = stored_result(ledger, evaluation)
        own = runs.index(request.name) if request.name in runs else None
        text, count = sheet_text(
            result,
            candidate=own,
            n=request.sample,
            seed=request.seed,
            stratify=request.stratify,
            named=request.show_models,
            rubric=request.rubric,
        )
    file = (request.output or Path(f"sheet-{evaluation}.csv")).expanduser()
    if file.is_dir():
        file = file / f"sheet-{evaluation}.csv"
    if file.exists():
        raise InputError(
            f"{file} is there already and may hold somebody's verdicts; name another file with --output, "
            "or move it away."
        )
    try:
        # With a byte order mark, without which Excel misreads every accent.
        write_atomically(file, text.encode("utf-8-sig", errors="replace"), shared=True)
    except OSError as exc:
        raise InputError(f"{file} cannot be written ({exc.strerror}).") from exc
    everybody = range(len(result.plan.candidates))
    return ExportedSheet(
        evaluation_id=evaluation,
        file=file,
        answers=count,
        left_out=left_out(result, everybody if own is None else [own]),
    )


def import_sheet(lab: Lab, file: Path, person: str, *, rubric: Rubric = DEFAULT) -> ImportedSheet:
    """Keep the verdicts of a judged sheet, and bring them to MLflow, now or as soon as it can be reached.

    Raises:
        InputError: The sheet cannot be used or has no verdict; nothing was kept.
        TrackingError: The verdicts cannot be kept.
    """
    with closing(lab.existing_ledger()) as ledger, closing(lab.words()) as words:
        sheet = read_sheet(file, ledger, person=person, rubric=rubric)
        if not sheet.verdicts:
            raise InputError(f"{file} has no verdict; fill it in first.")
        result = stored_result(ledger, sheet.evaluation)
        counts = keep_verdicts(words, sheet.evaluation, sheet.verdicts)
        verdicts = kept_verdicts(words, sheet.evaluation)
    return ImportedSheet(
        evaluation_id=sheet.evaluation,
        person=person,
        verdicts=len(sheet.verdicts),
        **counts,
        not_judged=sheet.empty,
        waiting=told_mlflow(lab.settings, sheet.evaluation),
        means=human_means(result, verdicts),
        labels=label_counts(result, verdicts),
        agreement=agreement(result, verdicts),
        warnings=sheet.warnings,
    )


def import_from_mlflow(lab: Lab, name: str) -> ImportedSheet:
    """Take in what people said of an evaluation's traces on MLflow's pages; again adds nothing.

    Where somebody judged the same here and there, the later word counts.

    Raises:
        InputError: There is no such evaluation, or nobody said anything of it there.
        TrackingError: MLflow cannot be asked, or the verdicts not be kept.
    """
    with closing(lab.existing_ledger()) as ledger, closing(lab.words()) as words:
        evaluation = evaluation_behind(ledger, name)
        result = stored_result(ledger, evaluation)
        traces = {result.plan.trace_id(cell): cell for cell in result.answers}
        # Those that were taken back here too.
        said = {
            (word.person, word.question, cell_of(word.target)): word.at_ms
            for word in words.history("answer", evaluation)
            if word.details.get("from") != "mlflow"
        }
        found = [
            HumanVerdict(
                cell=traces[feedback.trace_id],
                person=feedback.person,
                question=feedback.question,
                said=str(feedback.value),
                comment=feedback.comment,
                details={"from": "mlflow"},
            )
            for feedback in read_feedback(lab.store(), list(traces))
            if feedback.at_ms
            >= said.get((feedback.person, feedback.question, traces[feedback.trace_id]), 0)
        ]
        if not found:
            raise InputError(
                f"Nobody has judged an answer of {evaluation} on MLflow's pages (or later than here); nothing "
                f"was taken in. `{program_name()} ui` opens them, and `{program_name()} review {evaluation}` "
                "asks for verdicts here."
            )
        counts = keep_verdicts(words, evaluation, found)
        verdicts = kept_verdicts(words, evaluation)
    return ImportedSheet(
        evaluation_id=evaluation,
        person=", ".join(dict.fromkeys(v.person for v in found)),
        verdicts=len(found),
        **counts,
        not_judged=len(traces) - len({v.cell for v in found}),
        waiting=None,
        means=human_means(result, verdicts),
        labels=label_counts(result, verdicts),
        agreement=agreement(result, verdicts),
        warnings=(),
    )


def told_mlflow(settings: Settings, evaluation: str) -> str | None:
    """Tell MLflow what people said of an evaluation; returns in a sentence why that has to wait."""
    try:
        lacking = deliver_words(settings, evaluation)
    except TrackingError as exc:
        return f"Kept here, and on the way to MLflow: {exc.message}"
    if lacking:
        return (
            f"{lacking} of the judged answers are not in MLflow; `{program_name()} repair {evaluation}` "
            "brings them there, with what was said of them."
        )
    return None
