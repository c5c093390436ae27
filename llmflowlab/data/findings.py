"""What the dataset doctor has to say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

__all__ = ["ADVICE", "DataReport", "Finding", "Kind", "RowRef", "Severity"]

Severity: TypeAlias = Literal["error", "warning", "note"]
"""An error makes figures wrong or the file unusable; a warning may; a note is worth knowing."""

Kind: TypeAlias = Literal[
    "refused",
    "contradiction",
    "repeated_id",
    "duplicate",
    "near_duplicate",
    "leak",
    "encoding",
    "empty_answer",
    "short_text",
    "long_text",
    "uneven_categories",
    "no_category",
    "language",
    "label_error",
    "always_failed",
    "always_passed",
]

ADVICE: dict[Kind, tuple[str, str]] = {
    "refused": ("Rows that cannot be used", "Mend or remove them; evaluate refuses the file."),
    "contradiction": (
        "The same question with different answers",
        "Decide which answer is right, or make the questions differ.",
    ),
    "repeated_id": ("Ids that stand twice", "Give each row its own id; evaluate refuses the file."),
    "duplicate": ("Repeated questions", "Keep one: repetitions count twice and narrow intervals."),
    "near_duplicate": (
        "Nearly the same question",
        "Keep one, or keep all on one side of a split (data split does).",
    ),
    "leak": (
        "The answer stands in the question",
        "Reword the question, unless working on the given text is the task.",
    ),
    "encoding": ("Damaged or invisible characters", "Mend the text; save the file as UTF-8."),
    "empty_answer": (
        "Rows without an expected answer",
        "Add the answer, or they are not scored for it.",
    ),
    "short_text": ("Texts of hardly anything", "Check that nothing was cut off."),
    "long_text": ("Texts far longer than the others", "Check that nothing was pasted twice."),
    "uneven_categories": (
        "Uneven categories",
        "Add rows to the small ones, or read results by category.",
    ),
    "no_category": ("Rows without a category", "Fill it in, or they are missing by category."),
    "language": ("The declared language is another", "Correct the language or the text."),
    "label_error": (
        "Candidates agree on another answer",
        "Check the expected answer first: it may be wrong.",
    ),
    "always_failed": (
        "Every candidate fails",
        "Check the expected answer and whether the question can be understood.",
    ),
    "always_passed": (
        "Every candidate passes",
        "They tell candidates apart no more; replace some by harder ones.",
    ),
}
"""Of each kind, what it is and what to do; in the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class RowRef:
    """One row of the file."""

    row: int
    """From 1, in the order of the file."""
    line: int | None
    """Physical line, from 1; None where the format has no lines."""
    id: str
    text: str
    """The question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing found."""

    kind: Kind
    severity: Severity
    message: str
    """One sentence on what was seen."""
    rows: tuple[RowRef, ...] = ()
    similarity: float | None = None
    """Of near duplicates, 0 to 1: the least alike of those named."""

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "severity": self.severity,
            "message": self.message,
            "advice": ADVICE[self.kind][1],
            "similarity": self.similarity,
            "rows": [
                {"row": ref.row, "line": ref.line, "id": ref.id, "question": ref.text}
                for ref in self.rows
            ],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """The whole examination."""

    file: str
    rows: int
    columns: dict[str, str]
    """The file's column of each role that was recognised."""
    findings: tuple[Finding, ...]
    reading: str = ""
    """Which column is what and which are unused, as one sentence."""
    unused: tuple[str, ...] = ()
    remarks: tuple[str, ...] = field(default=())
    """Sentences on the file and on what was not looked at."""

    @property
    def counts(self) -> dict[Severity, int]:
        """How many findings there are of each severity."""
        counted = Counter(finding.severity for finding in self.findings)
        return {"error": counted["error"], "warning": counted["warning"], "note": counted["note"]}

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "rows": self.rows,
            "columns": self.columns,
            "unused": list(self.unused),
            "counts": dict(self.counts),
            "findings": [finding.to_json() for finding in self.findings],
            "remarks": list(self.remarks),
        }
