"""From a stored run back to what it says of a session or of an evaluated candidate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal

from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS
from llmflowlab.providers.factory import PROVIDERS
from llmflowlab.tracking.stored_runs import StoredRun
from llmflowlab.tracking.summaries import EvaluationSummary, SessionSummary
from llmflowlab.tracking.violations import counts_in

__all__ = ["evaluation_from_run", "session_from_run"]

_SCORE_PARTS = ("mean", "coverage", "ci_low", "ci_high")
_PROVIDERS = {found.display_name: name for name, found in PROVIDERS.items()}


def session_from_run(run: StoredRun) -> SessionSummary | None:
    """Return the session a chat run holds; None where it is no chat, or has not ended yet."""
    metrics, params = run.metrics, run.params
    name = params.get("model_name")
    turns = _whole(metrics, "turns")
    if name is None or turns is None:
        return None
    return SessionSummary(
        session_id=run.tags.get("llmflowlab.session_id", run.run_id),
        run_id=run.run_id,
        provider=run.tags.get("llmflowlab.provider") or _PROVIDERS.get(name, name.lower()),
        model_name=name,
        model_id=params.get("model_id", ""),
        started=_local(run.started_ms) or "",
        turns=turns,
        failed_turns=_whole(metrics, "failed_turns") or 0,
        answered_turns=_whole(metrics, "answered_turns"),
        prompt_tokens=_whole(metrics, "prompt_tokens"),
        completion_tokens=_whole(metrics, "completion_tokens"),
        total_tokens=_whole(metrics, "total_tokens"),
        cost=_money(metrics),
        avg_inference_time=metrics.get("avg_inference_time"),
        p50_inference_time=metrics.get("p50_inference_time"),
        p95_inference_time=metrics.get("p95_inference_time"),
        avg_time_to_first_token=metrics.get("avg_time_to_first_token"),
        tokens_per_second=metrics.get("tokens_per_second"),
        guardrail_violations=counts_in(metrics),
        source="tracking",
    )


def evaluation_from_run(run: StoredRun) -> EvaluationSummary | None:
    """Return what a candidate's run says; None for a parent run and for other people's runs."""
    evaluation, model = run.tags.get("llmflowlab.evaluation_id"), run.tags.get("llmflowlab.model")
    if not evaluation or not model:
        return None
    metrics = run.metrics
    rows = _whole(metrics, "rows")
    return EvaluationSummary(
        evaluation_id=evaluation,
        run_id=run.run_id,
        model=model,
        provider=model.partition(":")[0],
        prompt=run.tags.get("llmflowlab.prompt") or None,
        dataset=run.tags.get("llmflowlab.dataset", ""),
        digest=run.tags.get("llmflowlab.dataset_digest") or None,
        finished=_local(run.ended_ms),
        rows=rows,
        answered=_whole(metrics, "answered"),
        scores=_scores(metrics, rows, run.params.get("scorers", "").split(", ")),
        people=_people(metrics),
        doubts=_doubts(run.tags.get("llmflowlab.judge_exam", "")),
        lower_is_better=_lower_is_better(run.tags.get("llmflowlab.scorers", "[]")),
        whole=run.tags.get("llmflowlab.partial") != "true",
        cost=_money(metrics),
        completion_tokens=_whole(metrics, "completion_tokens"),
        cost_per_answer=_money(metrics, "cost_per_answer"),
        latency=metrics.get("latency/mean"),
        guardrail_violations=counts_in(metrics),
    )


def _scores(
    metrics: Mapping[str, float], rows: int | None, order: Sequence[str]
) -> dict[str, Mapping[str, float | None]]:
    """Return the figures of each scorer, in the order of the evaluation's plan.

    That order says which one ranked it where none of the usual ones did.
    """
    # Coverage tells a scorer from `latency/mean`, and is there even where nothing was scored.
    names = [name.removesuffix("/coverage") for name in metrics if name.endswith("/coverage")]
    names.sort(key=lambda name: (order.index(name) if name in order else len(order), name))
    scores: dict[str, Mapping[str, float | None]] = {}
    for scorer in names:
        values = {part: metrics.get(f"{scorer}/{part}") for part in _SCORE_PARTS}
        coverage = values["coverage"]
        scored = None if rows is None or coverage is None else float(round(rows * coverage))
        scores[scorer] = {**values, "scored": scored}
    return scores


def _people(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return what people think, by the question that they were asked."""
    found: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        if name.startswith("people/") and name.count("/") == 2:
            _, question, figure = name.split("/")
            found.setdefault(question, {})[figure] = value
    return found


def _doubts(tag: str) -> Mapping[str, str]:
    if not tag:
        return {}
    # Imported here: most runs have no judge, and `info` answers at once.
    from llmflowlab.evaluation.judging.exam import doubts_in_tag

    return doubts_in_tag(tag)


def _lower_is_better(tag: str) -> frozenset[str]:
    """Return which of a run's scorers say what should not be; its tag describes them."""
    try:
        kinds = {spec["name"]: TEXT_KINDS.get(spec["kind"]) for spec in json.loads(tag)}
    except (ValueError, TypeError, KeyError):
        return frozenset()
    return frozenset(name for name, kind in kinds.items() if kind and not kind.higher_is_better)


def _whole(metrics: Mapping[str, float], name: str) -> int | None:
    value = metrics.get(name)
    return None if value is None else round(value)


def _money(metrics: Mapping[str, float], name: str = "total_cost_estimate") -> Decimal | None:
    value = metrics.get(name)
    return None if value is None else Decimal(repr(value))


def _local(milliseconds: int | None) -> str | None:
    if milliseconds is None:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, tz=timezone.utc).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")
