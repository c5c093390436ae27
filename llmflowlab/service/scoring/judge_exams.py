"""Whether the judges of served answers were ever examined: by an evaluation of this home, or not at all."""

from __future__ import annotations

from contextlib import closing

from llmflowlab.lab.lab import Lab
from llmflowlab.program import program_name

__all__ = ["NOT_EXAMINED", "exam_of", "exam_remark"]

NOT_EXAMINED = "not examined"
_ENDS = {True: "passed", False: "failed", None: "not finished"}


def exam_of(lab: Lab, scorer: str, judge: str) -> str:
    """Return how the newest examination of a judge for a scorer ended, in a word.

    Raises:
        TrackingError: The ledger cannot be read.
    """
    if lab.has_evaluations:
        with closing(lab.ledger()) as ledger:
            for stored in sorted(ledger.evaluations(), key=lambda one: one.created, reverse=True):
                for exam in ledger.exams(stored.id):
                    if (exam.scorer, exam.judge) == (scorer, judge):
                        return _ENDS[exam.passed]
    return NOT_EXAMINED


def exam_remark(scorer: str, judge: str, exam: str, *, can_be: bool) -> str | None:
    """Return what to know before a judge is relied on; None where it passed.

    Args:
        scorer: The scorer's name.
        judge: Its judge.
        exam: How its examination ended.
        can_be: Whether there is an examination for that scorer.
    """
    if exam == "passed":
        return None
    if exam != NOT_EXAMINED:
        return f"{scorer}: the examination of the judge {judge} {exam}; read its reasons first."
    if not can_be:
        return (
            f"{scorer}: no verdict is known beforehand to examine the judge {judge} with; read its "
            "reasons before you rely on these scores."
        )
    return (
        f"{scorer}: the judge {judge} was not examined; `{program_name()} evaluate --scorer {scorer} "
        f"--judge {judge}` does it."
    )
