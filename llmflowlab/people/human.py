"""What people said of answers: kept in the ledger, and set beside what scorers and judges said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.evaluation.conclude.counting import interval_over_questions
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.people.sheets import Verdict
from llmflowlab.statistics import Interval

__all__ = ["Agreement", "HumanMean", "agreement", "human_means", "keep_verdicts", "kept_verdicts"]

_SEED = 20_240_607
_RESAMPLES = 2_000
_FEWEST = 10
"""Questions below which resampling says nothing of the spread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
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
    ledger: Ledger, evaluation: str, person: str, verdicts: Iterable[Verdict]
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


def kept_verdicts(ledger: Ledger, evaluation: str) -> dict[str, list[Verdict]]:
    """Return what people said of an evaluation's answers, by person."""
    found: dict[str, list[Verdict]] = {}
    for person, record in ledger.feedback(evaluation):
        found.setdefault(person, []).append(
            Verdict(cell=Cell(*record["cell"]), said=record["said"], comment=record["comment"])
        )
    return found


def human_means(
    result: EvaluationResult, verdicts: Mapping[str, Sequence[Verdict]]
) -> list[HumanMean]:
    """Return each person's mean of each candidate they judged, with its interval over questions."""
    means = []
    for person, said in verdicts.items():
        for index, candidate in enumerate(result.plan.candidates):
            by_row: dict[int, list[float]] = {}
            for verdict in said:
                if verdict.cell.candidate == index:
                    by_row.setdefault(verdict.cell.row, []).append(verdict.value)
            values = [value for of_row in by_row.values() for value in of_row]
            if values:
                means.append(
                    HumanMean(
                        person=person,
                        candidate=candidate.label,
                        mean=sum(values) / len(values),
                        n=len(values),
                        interval=interval_over_questions(
                            by_row, binary=not any(v.said.isdigit() for v in said)
                        ),
                    )
                )
    return means


def agreement(
    result: EvaluationResult, verdicts: Mapping[str, Sequence[Verdict]]
) -> list[Agreement]:
    """Set each person beside each scorer, and beside each person who judged the same answers."""
    found = []
    people = {person: {v.cell: v.value for v in said} for person, said in verdicts.items()}
    for place, (person, mine) in enumerate(people.items()):
        for scorer in result.plan.scorers:
            theirs = {
                cell: score.value
                for cell in mine
                if (score := result.scores.get(cell, {}).get(scorer)) is not None
                and score.value is not None
            }
            found.append(_agreement(person, scorer, mine, theirs))
        for other in list(people)[place + 1 :]:
            both = _agreement(person, other, mine, people[other])
            if both.n:
                found.append(both)
    return found


def _agreement(
    person: str, other: str, mine: Mapping[Cell, float], theirs: Mapping[Cell, float]
) -> Agreement:
    common = [cell for cell in mine if cell in theirs]
    pairs = [(cell.row, mine[cell], theirs[cell]) for cell in common]
    same = sum(a == b for _, a, b in pairs) / len(pairs) if pairs else None
    kappa, interval = _kappa(pairs)
    return Agreement(
        person=person, other=other, n=len(pairs), same=same, kappa=kappa, interval=interval
    )


def _kappa(pairs: Sequence[tuple[int, float, float]]) -> tuple[float | None, Interval | None]:
    """Return Cohen's kappa with squared weights (Cohen 1968) and its percentile bootstrap interval.

    κ = 1 − mean (a − b)² / mean over all a, b of (a − b)²; for yes and no the unweighted kappa (Cohen
    1960). The denominator is var a + var b + (mean a − mean b)².
    """
    # Imported here: a command that judges nothing need not load it.
    import numpy as np

    if not pairs:
        return None, None
    rows = {row: place for place, row in enumerate(dict.fromkeys(row for row, _, _ in pairs))}
    sums = np.zeros((len(rows), 6))
    for row, a, b in pairs:
        # Answers to one question are not independent, so questions are what is drawn.
        sums[rows[row]] += (1.0, a, b, a * a, b * b, (a - b) ** 2)

    def kappas(totals: np.ndarray) -> np.ndarray:
        n, a, b, aa, bb, dd = totals.T
        expected = aa / n + bb / n - 2 * (a / n) * (b / n)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(expected > 1e-12, 1 - (dd / n) / expected, np.nan)

    kappa = float(kappas(sums.sum(axis=0, keepdims=True))[0])
    if np.isnan(kappa):
        return None, None
    if len(rows) < _FEWEST:
        return kappa, None
    generator = np.random.default_rng(_SEED)
    weights = generator.multinomial(len(rows), np.full(len(rows), 1 / len(rows)), _RESAMPLES)
    drawn = kappas(weights @ sums)
    drawn = drawn[~np.isnan(drawn)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return kappa, Interval(float(low), float(high))
