"""Promotion: a version and the champion are evaluated, and the alias moves where that bears it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from llmflowlab.candidate import GIVEN
from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.decide import points
from llmflowlab.evaluation.conclude.promotion import Decision, PromotionTerms, decide
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.engine import EvaluationSnapshot
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.lab.evaluate import PreparedEvaluation, prepare, run
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.people.same_answers import (
    PairedVerdict,
    paired_verdict,
    verdicts_on_same_answers,
)
from llmflowlab.program import program_name
from llmflowlab.tracking.records import now_text
from llmflowlab.tracking.registry import Version, find_version, parse_version_name
from llmflowlab.tracking.registry_changes import (
    CHAMPION,
    champion_of,
    confirm_champion,
    mark_evaluated,
    move_champion,
)
from llmflowlab.tracking.store import Store

__all__ = [
    "CHAMPION",
    "Contest",
    "Promotion",
    "PromotionRequest",
    "conclude_promotion",
    "confirm",
    "find_contest",
    "prepare_promotion",
    "promote",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRequest:
    """Which version should become champion, and what it must show for that."""

    version: str
    """`NAME/VERSION` or `NAME@ALIAS`."""
    benchmark: Path
    """The rows that both answer."""
    terms: PromotionTerms = PromotionTerms()
    judges: Sequence[str] = ()
    budget: Decimal | None = None
    """USD of the whole evaluation; None limits nothing."""
    concurrency: int | None = None
    fresh: bool = False
    human: int | None = None
    """Rows at least on which people must have judged both; None: none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The version and whom it must stand up to."""

    request: PromotionRequest
    store: Store
    version: Version
    champion: Version | None
    """None where the model has none yet: only coverage and the limits count then."""

    @property
    def won(self) -> bool:
        """Whether the version is the champion already, so that nothing is asked."""
        return self.champion is not None and self.champion.version == self.version.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What came of it."""

    version: Version
    champion: Version | None
    """Who was champion before."""
    result: EvaluationResult | None
    """None where it was the champion already."""
    decision: Decision | None
    """None where nothing was evaluated, or the evaluation was interrupted or the version answered nothing:
    all stays."""
    people: PairedVerdict | None
    """What people said of both; None where nobody had to."""
    evidence: Mapping[str, str]
    """What the registry keeps on the new champion; empty where the alias stayed."""

    @property
    def promoted(self) -> bool:
        return self.result is None or (self.decision is not None and self.decision.promoted)


def find_contest(lab: Lab, request: PromotionRequest) -> Contest:
    """Look the version and its champion up.

    Raises:
        InputError: There is no such version, answers that are given were named, or it has no champion to
            be better than.
        TrackingError: The store failed.
    """
    if request.version.partition(":")[0] == GIVEN:
        raise InputError(
            f"{request.version} is a column of answers and no model: it has no version to promote."
        )
    store = lab.store()
    version = find_version(store, parse_version_name(request.version))
    champion = champion_of(store, version.name)
    if champion is None and request.terms.superior:
        raise InputError(
            f"{version.name} has no champion to be better than; leave --superior out the first time."
        )
    return Contest(request=request, store=store, version=version, champion=champion)


def prepare_promotion(lab: Lab, contest: Contest) -> PreparedEvaluation:
    """Prepare the evaluation of both; to be closed after use.

    Raises:
        InputError: The benchmark, a judge or a number cannot be used.
        NotConfigured: A provider lacks something.
    """
    request = contest.request
    both = [v for v in (contest.champion, contest.version) if v is not None]
    return prepare(
        lab,
        EvaluationRequest(
            models=[f"mlflow:{each.reference}" for each in both],
            data=request.benchmark,
            scorers=[request.terms.scorer] if request.terms.scorer else (),
            judges=request.judges,
            budget=request.budget,
            concurrency=request.concurrency,
            fresh=request.fresh,
        ),
        recorder=RecorderProcess(lab.settings, lab.settings.ledger_file),
    )


def promote(
    lab: Lab,
    request: PromotionRequest,
    on_progress: Callable[[EvaluationSnapshot], None] | None = None,
) -> Promotion:
    """Evaluate a version and the champion, decide, and move alias `champion` or leave it.

    Raises:
        InputError: The version or the benchmark cannot be used.
        TrackingError: The evidence could not be recorded; the alias stays.
        LabError: The evaluation could not be carried out.
    """
    contest = find_contest(lab, request)
    if contest.won:
        return confirm(lab, contest)
    with closing(prepare_promotion(lab, contest)) as prepared:
        result = run(prepared, on_progress)
    return conclude_promotion(lab, contest, result)


def confirm(lab: Lab, contest: Contest) -> Promotion:
    """Leave the champion what it is; its stage says so again, whatever it was moved to.

    Raises:
        TrackingError: The store failed.
    """
    confirm_champion(lab.settings, contest.store, contest.version)
    return Promotion(
        version=contest.version,
        champion=contest.champion,
        result=None,
        decision=None,
        people=None,
        evidence={},
    )


def conclude_promotion(lab: Lab, contest: Contest, result: EvaluationResult) -> Promotion:
    """Decide by an evaluation of both, and move alias `champion` or leave it.

    Raises:
        TrackingError: The evidence could not be recorded; the alias stays.
    """
    version, champion = contest.version, contest.champion
    decision: Decision | None = None
    evidence: dict[str, str] = {}
    if not result.interrupted:
        if result.problems:
            raise TrackingError(f"The evidence could not be recorded: {' '.join(result.problems)}")
        if any(candidate.answered for candidate in result.candidates[-1:]):
            decision = decide(result, contest.request.terms)
    people = _asked_people(lab, contest, result) if decision is not None else None
    if decision is not None and people is not None:
        decision = _with_people(decision, people, contest.request, result)
    if decision is not None and decision.promoted:
        evidence = _evidence(result, decision, contest.request.terms, champion)
        if people is not None:
            evidence |= {
                "human_rows": str(people.n),
                "human_difference": "unknown"
                if people.difference is None
                else f"{people.difference:.6g}",
            }
        move_champion(
            lab.settings,
            contest.store,
            version,
            instead_of=champion.version if champion else None,
            why=f"promoted by evaluation {result.plan.evaluation_id}",
            evidence=evidence,
        )
    run_id = result.candidates[-1].run_id
    if decision is not None and run_id is not None:
        mark_evaluated(contest.store, run_id, version, promoted=decision.promoted)
    return Promotion(
        version=version,
        champion=champion,
        result=result,
        decision=decision,
        people=people,
        evidence=evidence,
    )


def _asked_people(lab: Lab, contest: Contest, result: EvaluationResult) -> PairedVerdict | None:
    """Return what people said of both, on these answers; of the version alone where there is no champion."""
    if contest.request.human is None:
        return None
    with closing(lab.existing_ledger()) as ledger, closing(lab.words()) as words:
        verdicts = verdicts_on_same_answers(ledger, words, result)
    last = len(result.candidates) - 1
    return paired_verdict(
        result, verdicts, first=0, second=last, margin=contest.request.terms.margin
    )


def _with_people(
    decision: Decision, people: PairedVerdict, request: PromotionRequest, result: EvaluationResult
) -> Decision:
    against = None
    if request.human is not None and people.n < request.human:
        evaluation = result.plan.evaluation_id
        against = (
            f"people have judged the answers to {people.n} of the {request.human} questions asked for; "
            f"judge more with `{program_name()} review {evaluation} --sample {request.human}`, then promote "
            "again: the answers are there"
        )
    elif people.contradicts and people.difference is not None and people.upper is not None:
        against = (
            f"people find it worse: {points(people.difference)} on {people.n} rows, 95 % upper bound "
            f"{points(people.upper)}"
        )
    if against is None:
        seen = "" if people.difference is None else f": {points(people.difference)}"
        words = f"people who judged {people.n} rows do not contradict{seen}"
        return replace(decision, reasons=[*decision.reasons, words])
    return replace(decision, promoted=False, reasons=[against, *decision.reasons])


def _evidence(
    result: EvaluationResult, decision: Decision, terms: PromotionTerms, champion: Version | None
) -> dict[str, str]:
    own = result.candidates[-1]
    paired = decision.paired
    found: dict[str, Any] = {
        "evaluation": result.plan.evaluation_id,
        "run": own.run_id,
        "parent_run": result.parent_run_id,
        "champion": champion.version if champion else "none",
        "champion_run": result.candidates[0].run_id if champion else None,
        "dataset": result.plan.dataset.name,
        "dataset_digest": result.plan.dataset.digest,
        "scorer": decision.scorer,
        "judge": result.plan.judge_label,
        "verdict": decision.verdict,
        "margin": f"{terms.margin:g}",
        "rows": paired.n if paired else None,
        "difference": f"{paired.difference:.6g}" if paired else None,
        "lower_bound": f"{paired.lower:.6g}" if paired else None,
        "coverage": f"{decision.coverage:.6g}",
        "latency_p95": None if decision.latency_p95 is None else f"{decision.latency_p95:.6g}",
        "cost_per_answer_usd": decision.cost_per_answer,
        "date": now_text(),
    }
    # What is not known now must not be read from an earlier promotion's tag.
    return {name: "unknown" if value is None else str(value) for name, value in found.items()}
