"""What people said of answers: kept in the ledger, and set beside what scorers and judges said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.scorers.traits import ScorerTraits
from llmflowlab.people.sheets import HumanVerdict
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.kappa import weighted_kappa

__all__ = [
    "HumanAgreement",
    "HumanMean",
    "agreement",
    "human_means",
    "keep_verdicts",
    "kept_verdicts",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanAgreement:
    """How far a person and a scorer, or another person, say the same of the same answers."""

    person: str
    other: str
    n: int
    """Answers that both judged."""
    same: float | None
    """Share of them with equal values; None where there is none."""
    kappa: float | None
    """Cohen's kappa, with squared weights where values are degrees; None where both always say one
    and the same, or there is nothing in common."""
    interval: Interval | None
    """Of kappa, 95 %, resampling questions; None for fewer than ten of them."""

    def to_json(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "other": self.other,
            "n": self.n,
            "same": self.same,
            "kappa": self.kappa,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanMean:
    """What a person thinks of a candidate."""

    person: str
    candidate: str
    mean: float | None
    n: int
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        return {
            "person": self.person,
            "candidate": self.candidate,
            "mean": self.mean,
            "n": self.n,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
        }


def keep_verdicts(
    ledger: Ledger, evaluation: str, person: str, verdicts: Iterable[HumanVerdict]
) -> dict[str, int]:
    """Keep what a person said; later words on the same answer replace earlier ones.

    Returns:
        How many are `new`, `changed` and `as_before`.

    Raises:
        TrackingError: The ledger cannot be written.
    """
    before = {v.cell: v for v in kept_verdicts(ledger, evaluation).get(person, ())}
    counts = {"new": 0, "changed": 0, "as_before": 0}
    for verdict in verdicts:
        old = before.get(verdict.cell)
        counts["new" if old is None else "as_before" if old == verdict else "changed"] += 1
        if old == verdict:
            continue
        cell = verdict.cell
        record = {
            "cell": [cell.candidate, cell.row, cell.trial],
            "said": verdict.said,
            "comment": verdict.comment,
        }
        key = f"{cell.candidate}:{cell.row}:{cell.trial}"
        ledger.keep_feedback(evaluation, person, key, record)
    return counts


def kept_verdicts(ledger: Ledger, evaluation: str) -> dict[str, list[HumanVerdict]]:
    """Return what people said of an evaluation's answers, by person."""
    found: dict[str, list[HumanVerdict]] = {}
    for person, record in ledger.feedback(evaluation):
        found.setdefault(person, []).append(
            HumanVerdict(cell=Cell(*record["cell"]), said=record["said"], comment=record["comment"])
        )
    return found


def human_means(
    result: EvaluationResult, verdicts: Mapping[str, Sequence[HumanVerdict]]
) -> list[HumanMean]:
    """Return each person's mean of each candidate they judged, with its interval over questions."""
    table = ScoreTable(
        {person: _traits(person, said) for person, said in verdicts.items()},
        candidates=len(result.plan.candidates),
        questions=result.plan.questions,
        clusters=result.plan.clusters,
        trials=result.plan.trials,
    )
    for person, said in verdicts.items():
        for verdict in said:
            table.put(verdict.cell, person, verdict.value)
    return [
        HumanMean(
            person=person,
            candidate=candidate.label,
            mean=table.mean(index, person),
            n=table.scored(index, person),
            interval=table.interval(index, person),
        )
        for person in verdicts
        for index, candidate in enumerate(result.plan.candidates)
        if table.scored(index, person)
    ]


def _traits(person: str, said: Sequence[HumanVerdict]) -> ScorerTraits:
    grades = any(verdict.said.isdigit() for verdict in said)
    return ScorerTraits(name=person, kind="grade" if grades else "yes_no")


def agreement(
    result: EvaluationResult, verdicts: Mapping[str, Sequence[HumanVerdict]]
) -> list[HumanAgreement]:
    """Set each person beside each scorer, and beside each person who judged the same answers."""
    found = []
    questions = result.plan.questions
    people = {person: {v.cell: v.value for v in said} for person, said in verdicts.items()}
    for place, (person, mine) in enumerate(people.items()):
        for scorer in result.plan.scorers:
            theirs = {
                cell: score.value
                for cell in mine
                if (score := result.scores.get(cell, {}).get(scorer)) is not None
                and score.value is not None
            }
            found.append(_agreement(person, scorer, mine, theirs, questions))
        for other in list(people)[place + 1 :]:
            both = _agreement(person, other, mine, people[other], questions)
            if both.n:
                found.append(both)
    return found


def _agreement(
    person: str,
    other: str,
    mine: Mapping[Cell, float],
    theirs: Mapping[Cell, float],
    questions: Sequence[int],
) -> HumanAgreement:
    common = [cell for cell in mine if cell in theirs]
    pairs = [(questions[cell.row], mine[cell], theirs[cell]) for cell in common]
    same = sum(a == b for _, a, b in pairs) / len(pairs) if pairs else None
    kappa, interval = weighted_kappa(pairs)
    return HumanAgreement(
        person=person, other=other, n=len(pairs), same=same, kappa=kappa, interval=interval
    )
