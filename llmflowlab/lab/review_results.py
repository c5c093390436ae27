"""What people said of an evaluation's answers: means, agreement, and every word in a spreadsheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.reports.spreadsheet import write_cells
from llmflowlab.evaluation.run.replay import evaluation_behind
from llmflowlab.lab.lab import Lab
from llmflowlab.people.answer_words import ASIDE, DISCARDED, HumanVerdict, kept_verdicts
from llmflowlab.people.human import (
    HumanAgreement,
    HumanMean,
    LabelCounts,
    agreement,
    human_means,
    label_counts,
)
from llmflowlab.people.people_figures import keep_figures
from llmflowlab.program import program_name

__all__ = ["HumanAgreement", "HumanMean", "LabelCounts", "ReviewResults", "review_results"]

_FILE = "review.csv"
_HEADER = (
    *("row", "question", "expected", "answer", "model", "trial", "person", "asked", "verdict"),
    *("comment", "seconds", "order", "stratum", "probability"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewResults:
    """What people said, in figures."""

    evaluation_id: str
    people: Sequence[str]
    answers: int
    """Answers that anybody judged."""
    discarded: int
    """Answers that somebody set aside."""
    means: Sequence[HumanMean]
    labels: Sequence[LabelCounts]
    agreement: Sequence[HumanAgreement]
    estimates: Sequence[PeopleEstimate]
    """What people and a judge tell together."""
    models: Sequence[str]
    """The candidates' labels, by index."""
    file: Path
    """`review.csv`."""

    def to_json(self) -> dict[str, Any]:
        return {
            "evaluation_id": self.evaluation_id,
            "people": list(self.people),
            "answers": self.answers,
            "discarded": self.discarded,
            "means": [mean.to_json() for mean in self.means],
            "labels": [counts.to_json() for counts in self.labels],
            "agreement": [entry.to_json() for entry in self.agreement],
            "people_and_judge": [estimate.to_json() for estimate in self.estimates],
            "files": {"review_csv": str(self.file)},
        }


def review_results(lab: Lab, name: str, output: Path | None = None) -> ReviewResults:
    """Count up what people said of an evaluation, and write it down beside its other files.

    Args:
        lab: The parts.
        name: A run or an evaluation of this home.
        output: Folder or file for the spreadsheet; None: the evaluation's folder.

    Raises:
        InputError: There is no such evaluation, or nobody said anything of it.
        TrackingError: Something cannot be read, or the spreadsheet not be written.
    """
    with closing(lab.existing_ledger()) as ledger, closing(lab.words()) as words:
        evaluation = evaluation_behind(ledger, name)
        result = keep_figures(ledger, words, evaluation)
        verdicts = kept_verdicts(words, evaluation)
    if not verdicts:
        raise InputError(
            f"Nobody has judged {evaluation} yet; begin with: {program_name()} review {evaluation}"
        )
    file = (output or lab.settings.state_dir / "evaluations" / evaluation).expanduser()
    if file.suffix.lower() != ".csv":
        file = file / _FILE
    write_cells(_lines(result, verdicts), file)
    judged = {verdict.cell for verdict in verdicts if verdict.question not in ASIDE}
    return ReviewResults(
        evaluation_id=evaluation,
        people=list(dict.fromkeys(verdict.person for verdict in verdicts)),
        answers=len(judged),
        discarded=len({v.cell for v in verdicts if v.question == DISCARDED}),
        means=human_means(result, verdicts),
        labels=label_counts(result, verdicts),
        agreement=agreement(result, verdicts),
        estimates=result.people,
        models=[candidate.label for candidate in result.plan.candidates],
        file=file,
    )


def _lines(result: EvaluationResult, verdicts: Sequence[HumanVerdict]) -> Iterator[list[str]]:
    plan = result.plan
    yield list(_HEADER)
    for verdict in sorted(verdicts, key=lambda v: (v.cell.row, v.cell.candidate, v.cell.trial)):
        cell, details = verdict.cell, verdict.details
        row, answer = plan.dataset.rows[cell.row], result.answers.get(cell)
        yield [
            *(row.id, row.question, row.accepted, "" if answer is None else answer.text),
            *(plan.candidates[cell.candidate].label, str(cell.trial + 1), verdict.person),
            *(verdict.question, verdict.said, verdict.comment),
            "" if verdict.seconds is None else f"{verdict.seconds:.1f}",
            *("" if details.get(n) is None else str(details[n]) for n in _HEADER[-3:]),
        ]
