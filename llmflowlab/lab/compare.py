"""Two candidates row by row: which rows got better or worse from one evaluation to another."""

from __future__ import annotations

from contextlib import closing

from llmflowlab.candidate import Candidate
from llmflowlab.errors import InputError
from llmflowlab.evaluation.reports.changes import Diff, Side, diff_sides
from llmflowlab.evaluation.run.ledger import Ledger, StoredEvaluation
from llmflowlab.evaluation.run.replay import evaluation_behind
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.report import result_of

__all__ = ["Diff", "compare_evaluations", "named_candidates"]


def compare_evaluations(lab: Lab, first: str, second: str, scorer: str | None = None) -> Diff:
    """Compare two candidates that were evaluated here.

    Args:
        lab: The parts.
        first: The one before: a run, an evaluation, or `EVALUATION:2` for its second candidate.
        second: The one after, likewise.
        scorer: By which; the main one of those that both have by default.

    Raises:
        InputError: A name is unknown or does not say which candidate, both are the same, or they
            have no row or scorer in common.
    """
    with closing(lab.existing_ledger()) as ledger:
        return diff_sides(*_sides(ledger, first, second), scorer)


def _sides(ledger: Ledger, first: str, second: str) -> tuple[Side, Side]:
    """Return what the two names stand for.

    Raises:
        InputError: A name is unknown, does not say which candidate, or both are the same.
    """
    a, b = named_candidates(ledger, first), named_candidates(ledger, second)
    a, b = _narrowed(a, b), _narrowed(b, a)
    for name, (stored, candidates) in ((first, a), (second, b)):
        if len(candidates) > 1:
            raise InputError(f"{name!r} has several candidates; name one: {_choices(stored)}.")
    if (a[0].id, a[1]) == (b[0].id, b[1]):
        raise InputError(f"{first!r} and {second!r} are the same candidate of one evaluation.")
    results = {stored.id: result_of(ledger, stored.id) for stored in (a[0], b[0])}
    return Side(results[a[0].id], a[1][0]), Side(results[b[0].id], b[1][0])


def named_candidates(ledger: Ledger, name: str) -> tuple[StoredEvaluation, list[int]]:
    """Return the evaluation a name belongs to, and the candidates it may mean.

    Raises:
        InputError: This home knows no such run or evaluation, or it has no such candidate.
    """
    evaluation, colon, number = name.rpartition(":")
    if not colon:
        evaluation = name
    stored = ledger.evaluation(evaluation_behind(ledger, evaluation))
    count = len(stored.plan["candidates"])
    if colon:
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= count):
            raise InputError(f"{name!r}: {evaluation} has candidates 1 to {count}.")
        return stored, [int(number) - 1]
    runs = stored.runs.get("candidates") or []
    if name in runs:
        return stored, [runs.index(name)]
    return stored, list(range(count))


def _narrowed(
    side: tuple[StoredEvaluation, list[int]], other: tuple[StoredEvaluation, list[int]]
) -> tuple[StoredEvaluation, list[int]]:
    """Take the candidate that the other side has too, where that leaves no doubt."""
    stored, candidates = side
    if len(candidates) == 1 or len(other[1]) > 1 or stored.id == other[0].id:
        return side
    labels = _labels(stored)
    wanted = _labels(other[0])[other[1][0]]
    same = [index for index in candidates if labels[index] == wanted]
    return (stored, same) if len(same) == 1 else side


def _labels(stored: StoredEvaluation) -> list[str]:
    return [Candidate.from_json(values).label for values in stored.plan["candidates"]]


def _choices(stored: StoredEvaluation) -> str:
    return ", ".join(
        f"{stored.id}:{number} ({label})" for number, label in enumerate(_labels(stored), start=1)
    )
