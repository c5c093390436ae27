"""Candidates of past evaluations on quality, cost and time; asks no model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.conclusions import cautions
from llmflowlab.evaluation.conclude.joined import Joined, Member, join
from llmflowlab.evaluation.conclude.people_quality import people_quality
from llmflowlab.evaluation.conclude.picking import Limits
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.tradeoff import QualityEstimate, Tradeoff, weigh_up
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.lab.compare import named_candidates
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.report import result_of
from llmflowlab.program import program_name

__all__ = ["DEFAULT_MARGIN", "Limits", "TradeoffRequest", "WeighedUp", "best_quality", "weigh_runs"]

DEFAULT_MARGIN = 0.03
"""Three points of a hundred."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeoffRequest:
    """What is to be compared, and what is asked of it."""

    names: Sequence[str]
    """Runs and evaluations; an evaluation stands for all its candidates, `EVALUATION:2` for one."""
    not_worse_than: str | None = None
    """A candidate by its label, its model, its run, or its number among those compared."""
    margin: float = DEFAULT_MARGIN
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class WeighedUp:
    """What was found."""

    joined: Joined
    tradeoff: Tradeoff
    margin: float
    limits: Limits

    @property
    def sentences(self) -> list[str]:
        """Return what is concluded, then what to bear in mind."""
        return [
            *self.tradeoff.sentences,
            *self.joined.remarks,
            *_left(self.joined),
            *cautions(self.joined.result),
        ]

    def to_json(self) -> dict[str, Any]:
        """Return the document; unknown is None."""
        dataset = self.joined.result.plan.dataset
        return {
            "evaluations": list(dict.fromkeys(m.evaluation for m in self.joined.members)),
            "dataset": {"name": dataset.name, "rows": len(dataset.rows), "digest": dataset.digest},
            "scorer": self.tradeoff.scorer,
            "margin": self.margin,
            "limits": self.limits.to_json(),
            "candidates": [option.to_json() for option in self.tradeoff.options],
            "front": [o.label for o in self.tradeoff.options if o.place == "front"],
            "picks": [pick.to_json() for pick in self.tradeoff.picks],
            "withheld": self.tradeoff.withheld,
            "sentences": self.sentences,
        }


def weigh_runs(lab: Lab, request: TradeoffRequest) -> WeighedUp:
    """Compare candidates on quality, cost and time.

    Args:
        lab: The parts.
        request: Which, and what is asked.

    Raises:
        InputError: A name is unknown, fewer than two candidates are meant, or they cannot be compared.
    """
    with closing(lab.existing_ledger()) as ledger:
        members = list(_members(ledger, request.names))
        if len(members) < 2:
            raise InputError(
                "One candidate alone has nobody to be compared with; name another run or evaluation "
                f"(`{program_name()} cache` lists them)."
            )
        joined = join(members)
        result = joined.result
        scorer = main_scorer(result.plan.scorers)
        reference = (
            None if request.not_worse_than is None else _reference(joined, request.not_worse_than)
        )
        tradeoff = weigh_up(
            result,
            [best_quality(result, index) for index in range(len(result.candidates))],
            [member.evaluation for member in joined.members],
            scorer=scorer,
            limits=request.limits,
            reference=reference,
            margin=request.margin,
            people=people_quality(result, scorer),
        )
        return WeighedUp(
            joined=joined, tradeoff=tradeoff, margin=request.margin, limits=request.limits
        )


def best_quality(result: EvaluationResult, candidate: int) -> QualityEstimate:
    """Return how good a candidate is by the best estimate there is, and whose estimate that is.

    The one place that chooses: what people and the scorer that ranks tell together where every
    candidate has that, else the scorer's mean.
    """
    scorer = main_scorer(result.plan.scorers)
    if (people := people_quality(result, scorer)) is not None:
        estimate = people.estimates[candidate]
        return QualityEstimate(
            value=estimate.value,
            interval=estimate.interval,
            scorer=scorer,
            source="people and judge",
        )
    score = result.candidates[candidate].scores[scorer]
    judged = result.table.traits[scorer].judged
    return QualityEstimate(
        value=score.mean,
        interval=score.interval,
        scorer=scorer,
        source="judge" if judged else "scorer",
    )


def _members(ledger: Ledger, names: Sequence[str]) -> Iterator[Member]:
    """Yield the candidates that are meant, each once."""
    results: dict[str, EvaluationResult] = {}
    seen: set[tuple[str, int]] = set()
    for name in names:
        stored, candidates = named_candidates(ledger, name)
        if stored.id not in results:
            results[stored.id] = result_of(ledger, stored.id)
        for candidate in candidates:
            if (stored.id, candidate) not in seen:
                seen.add((stored.id, candidate))
                yield Member(results[stored.id], candidate)


def _reference(joined: Joined, named: str) -> int:
    candidates = joined.result.candidates
    meant = [
        index
        for index, (candidate, member) in enumerate(zip(candidates, joined.members, strict=True))
        if named
        in {
            candidate.spec.label,
            candidate.spec.model,
            candidate.run_id,
            f"{member.evaluation}:{member.candidate + 1}",
        }
    ]
    exact = [index for index in meant if candidates[index].spec.label == named]
    meant = exact if len(exact) == 1 else meant
    if not meant and named.isdecimal() and 1 <= int(named) <= len(candidates):
        meant = [joined.result.order[int(named) - 1]]
    if len(meant) == 1:
        return meant[0]
    listed = ", ".join(
        f"{number} {candidate.spec.label}"
        for number, candidate in enumerate(joined.result.ordered, start=1)
    )
    problem = "could be several" if meant else "is none"
    raise InputError(
        f"{named!r} {problem} of the candidates; name one by its number or label: {listed}."
    )


def _left(joined: Joined) -> Iterator[str]:
    """Say which evaluations are not whole."""
    for name, result in {m.evaluation: m.result for m in joined.members}.items():
        if result.unfinished is not None:
            yield f"{name}: {result.unfinished}; go on with: {program_name()} evaluate --resume {name}"
