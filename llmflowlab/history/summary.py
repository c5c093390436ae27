"""What past sessions and evaluations say about each model: plain computing, nothing printed.

Winners are found among known values only; what is unknown stays None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.history.advice import advice
from llmflowlab.history.models import Evaluated, ModelSummary, Quality
from llmflowlab.text.amounts import percent
from llmflowlab.tracking.summaries import EvaluationSummary, SessionSummary
from llmflowlab.tracking.violations import added

__all__ = ["ModelComparison", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelComparison:
    """The models side by side; winners are references, several where they tie."""

    models: tuple[ModelSummary, ...]
    fastest: tuple[str, ...] = ()
    most_tokens: tuple[str, ...] = ()
    cheapest: tuple[str, ...] = ()
    best: tuple[str, ...] = ()
    fastest_evaluated: tuple[str, ...] = ()
    cheapest_evaluated: tuple[str, ...] = ()
    """By what answers took in evaluations."""
    same_questions: bool = True
    """Whether all qualities that are not in doubt were measured with one scorer on one dataset."""
    advice: tuple[str, ...] = field(default=())
    """What can be improved, most urgent first."""


def compare(
    sessions: Sequence[SessionSummary],
    evaluations: Sequence[EvaluationSummary],
    *,
    others: Iterable[str] = (),
) -> ModelComparison:
    """Add the sessions up per model, find the winners and what can be improved.

    Args:
        sessions: Of chats.
        evaluations: One for each candidate.
        others: References of models that stand beside them, whether or not these had any.
    """
    by_model: dict[str, tuple[list[SessionSummary], list[EvaluationSummary]]] = {}
    for session in sessions:
        reference = f"{session.provider}:{session.model_id}"
        by_model.setdefault(reference, ([], []))[0].append(session)
    for evaluation in evaluations:
        by_model.setdefault(evaluation.model, ([], []))[1].append(evaluation)
    for reference in others:
        by_model.setdefault(reference, ([], []))
    models = tuple(_summary(reference, *found) for reference, found in by_model.items())
    judged = [m.quality for m in models if m.quality is not None and m.quality.doubt is None]
    same = len({(quality.scorer, quality.digest) for quality in judged}) <= 1
    return ModelComparison(
        models=models,
        fastest=_winners(models, lambda m: m.avg_time, lowest=True),
        most_tokens=_winners(models, lambda m: m.generated, lowest=False),
        cheapest=_winners(models, lambda m: m.cost_per_turn, lowest=True),
        best=_winners(models, _rated, lowest=any(q.lower_is_better for q in judged))
        if same
        else (),
        fastest_evaluated=_winners(
            models, lambda m: None if m.evaluated is None else m.evaluated.avg_time, lowest=True
        ),
        cheapest_evaluated=_winners(
            models,
            lambda m: None if m.evaluated is None else m.evaluated.cost_per_answer,
            lowest=True,
        ),
        same_questions=same,
        advice=tuple(advice(models, same_questions=same)),
    )


def _summary(
    reference: str, sessions: list[SessionSummary], evaluations: list[EvaluationSummary]
) -> ModelSummary:
    costs = [s.cost for s in sessions if s.cost is not None]
    unpriced = sum(s.cost is None and s.turns > s.failed_turns for s in sessions)
    return ModelSummary(
        reference=reference,
        sessions=len(sessions),
        turns=sum(s.turns for s in sessions),
        failed_turns=sum(s.failed_turns for s in sessions),
        answered_turns=sum(s.answered for s in sessions),
        tokens=_total(s.total_tokens for s in sessions),
        generated=_total(s.completion_tokens for s in sessions),
        cost=sum(costs, Decimal(0)) if costs and not unpriced else None,
        unpriced_sessions=unpriced,
        avg_time=_weighted(sessions, lambda s: s.avg_inference_time),
        worst_p95=max(
            (s.p95_inference_time for s in sessions if s.p95_inference_time is not None),
            default=None,
        ),
        first_token=_weighted(sessions, lambda s: s.avg_time_to_first_token),
        speed=_weighted(sessions, lambda s: s.tokens_per_second),
        last_used=max((s.started for s in sessions), default=None),
        guardrail_violations=added(s.guardrail_violations for s in sessions),
        quality=_quality(evaluations),
        evaluated=_evaluated(evaluations),
    )


def _evaluated(evaluations: list[EvaluationSummary]) -> Evaluated | None:
    answered = [(e, e.answered) for e in evaluations if e.answered]
    if not answered:
        return None

    def average(value: Callable[[EvaluationSummary], float | None]) -> float | None:
        return _mean((value(e), n) for e, n in answered)

    return Evaluated(
        evaluations=len({e.evaluation_id for e, _ in answered}),
        answers=sum(n for _, n in answered),
        avg_time=average(lambda e: e.latency),
        tokens_per_answer=average(
            lambda e: (
                None if e.completion_tokens is None else e.completion_tokens / (e.answered or 1)
            )
        ),
        cost_per_answer=average(
            lambda e: None if e.cost_per_answer is None else float(e.cost_per_answer)
        ),
        guardrail_violations=_found_by_guardrails(evaluations),
    )


def _found_by_guardrails(evaluations: list[EvaluationSummary]) -> dict[str, int] | None:
    """Return what was found in the latest evaluation with guardrails.

    Earlier ones may have been about the same answers.
    """
    guarded = [e for e in evaluations if e.guardrail_violations is not None]
    latest = max(guarded, key=lambda e: e.finished or "", default=None)
    return added(
        e.guardrail_violations
        for e in guarded
        if latest is not None and e.evaluation_id == latest.evaluation_id
    )


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _weighted(
    sessions: list[SessionSummary], value: Callable[[SessionSummary], float | None]
) -> float | None:
    return _mean((value(s), s.answered) for s in sessions)


def _mean(values: Iterable[tuple[float | None, int]]) -> float | None:
    """Return the mean of the known values by their weights."""
    known = [(v, n) for v, n in values if v is not None and n > 0]
    weight = sum(n for _, n in known)
    return sum(v * n for v, n in known) / weight if weight else None


def _quality(evaluations: list[EvaluationSummary]) -> Quality | None:
    """Return the score that ranked the latest evaluation in which it said anything."""
    # Of those that ended in one second the later in the list is the newer.
    for evaluation in sorted(evaluations, key=lambda e: e.finished or "")[::-1]:
        if not evaluation.scores:
            continue
        scorer = main_scorer(list(evaluation.scores))
        score = evaluation.scores[scorer]
        mean, scored = score.get("mean"), score.get("scored")
        if mean is not None:
            return Quality(
                scorer=scorer,
                mean=mean,
                ci_low=score.get("ci_low"),
                ci_high=score.get("ci_high"),
                coverage=score.get("coverage"),
                scored=None if scored is None else int(scored),
                dataset=evaluation.dataset,
                digest=evaluation.digest,
                lower_is_better=scorer in evaluation.lower_is_better,
                doubt=_doubt(evaluation, scorer, score.get("coverage")),
                people=evaluation.people,
            )
    return None


def _doubt(evaluation: EvaluationSummary, scorer: str, coverage: float | None) -> str | None:
    """Return why nothing may be concluded, for the reasons that the evaluation itself goes by."""
    if not evaluation.whole:
        return f"its evaluation {evaluation.evaluation_id} is not whole"
    if scorer in evaluation.doubts:
        return f"{evaluation.doubts[scorer]} for {scorer}"
    if coverage is not None and coverage < COVERAGE_FLOOR:
        return f"only {percent(coverage)} of the answers could be scored by {scorer}"
    return None


def _rated(model: ModelSummary) -> float | None:
    """Return the quality by which a model may be the best; None in doubt, and where nothing was right."""
    quality = model.quality
    if quality is None or quality.doubt is not None:
        return None
    return quality.mean if quality.mean or quality.lower_is_better else None


def _winners(
    models: Sequence[ModelSummary],
    value: Callable[[ModelSummary], float | Decimal | None],
    *,
    lowest: bool,
) -> tuple[str, ...]:
    known = [(v, m.reference) for m in models if (v := value(m)) is not None]
    if not known:
        return ()
    values = [v for v, _ in known]
    best = min(values) if lowest else max(values)
    return tuple(reference for v, reference in known if v == best)
