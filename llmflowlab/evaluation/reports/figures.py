"""What the plots show, as JSON values: one source for the page and the files of plots."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from llmflowlab.evaluation.conclude.by_prompt import prompt_name
from llmflowlab.evaluation.conclude.costs import Own, cost_interval, latency_interval
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.conclude.tradeoff import why_no_front
from llmflowlab.evaluation.scorers.ranking import main_scorer, ranked
from llmflowlab.statistics.agreement import agreement
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.pareto import dominates
from llmflowlab.statistics.quantiles import quantile

__all__ = ["figures_of"]

_BINS = 24


def figures_of(result: EvaluationResult) -> dict[str, Any]:
    """Return the values behind every plot; unknown is None.

    A candidate is its place in the list of them, which is in the order of all tables.
    """
    main = main_scorer(result.plan.scorers)
    front = _front(result, main)
    return {
        "dataset": result.plan.dataset.name,
        "candidates": [candidate.spec.label for candidate in result.ordered],
        "main": main,
        "scores": [_scores(result, scorer) for scorer in ranked(result.plan.scorers)],
        "front": front,
        "prompts": _prompts(result, front),
        "latency": _latency(result),
        "groups": _groups(result, main),
        "agreement": _agreements(result),
    }


def _scores(result: EvaluationResult, scorer: str) -> dict[str, Any]:
    points = []
    for place, candidate in enumerate(result.ordered):
        score = candidate.scores[scorer]
        points.append(
            {
                "candidate": place,
                "mean": score.mean,
                "low": score.interval.low if score.interval else None,
                "high": score.interval.high if score.interval else None,
                "scored": score.scored,
                "rows": candidate.rows,
            }
        )
    return {"scorer": scorer, "points": points}


def _front(result: EvaluationResult, scorer: str) -> dict[str, Any]:
    units, points = result.table.units, []
    for place, index in enumerate(result.order):
        candidate = result.candidates[index]
        score = candidate.scores[scorer]
        own = Own(result.answers, index)
        cost = None if candidate.cost_per_answer is None else float(candidate.cost_per_answer)
        points.append(
            {
                "candidate": place,
                "quality": score.mean,
                "quality_low": score.interval.low if score.interval else None,
                "quality_high": score.interval.high if score.interval else None,
                **_mean("cost", cost, cost_interval(own, units)),
                **_mean("seconds", candidate.latency.mean, latency_interval(own, units)),
            }
        )
    why_none = why_no_front(result, scorer)
    for measure in ("cost", "seconds"):
        for point in points:
            best = None if why_none is not None else _undominated(point, points, measure)
            point[f"best_{measure}"] = best
    return {"scorer": scorer, "points": points, "why_none": why_none}


def _prompts(result: EvaluationResult, front: dict[str, Any]) -> list[dict[str, Any]]:
    """Return for each model with several prompts the points of `front` that are its own."""
    found = []
    for verdict in result.prompts:
        places = [result.order.index(member) for member in verdict.members]
        points = [{**front["points"][place], "candidate": n} for n, place in enumerate(places)]
        for measure in ("cost", "seconds"):
            for point in points:
                if front["why_none"] is None:
                    point[f"best_{measure}"] = _undominated(point, points, measure)
        found.append(
            {
                "model": verdict.model,
                "scorer": verdict.scorer,
                "said": verdict.sentence(),
                "prompts": list(map(prompt_name, verdict.specs)),
                "points": points,
            }
        )
    return found


def _mean(name: str, mean: float | None, interval: Interval | None) -> dict[str, float | None]:
    found = None if mean is None else interval
    return {
        name: mean,
        f"{name}_low": None if found is None else found.low,
        f"{name}_high": None if found is None else found.high,
    }


def _undominated(
    point: dict[str, Any], points: Iterable[dict[str, Any]], measure: str
) -> bool | None:
    """Return whether no other is at least as good and as cheap, and better in one of the two."""

    def at(one: dict[str, Any]) -> tuple[float | None, ...]:
        return None if one["quality"] is None else -one["quality"], one[measure]

    if None in at(point):
        return None
    return not any(dominates(at(other), at(point)) for other in points)


def _latency(result: EvaluationResult) -> dict[str, Any]:
    lanes: list[list[float]] = [[] for _ in result.candidates]
    for cell, answer in result.answers.items():
        if answer.answered and answer.latency is not None:
            lanes[cell.candidate].append(answer.latency)
    every = [seconds for lane in lanes for seconds in lane]
    longest = max(every, default=0.0)
    # Half a second is never worth a bar of its own beside a minute: scales follow the slow ones, but
    # a single straggler may not squeeze the rest, so the last bar takes what lies beyond.
    end = min(longest, 4 * (quantile(every, 0.95) or 0.0)) or longest
    width = end / _BINS
    found = []
    for place, lane in enumerate(lanes[index] for index in result.order):
        counts = [0] * _BINS
        for seconds in lane:
            counts[min(_BINS - 1, int(seconds / width)) if width > 0 else 0] += 1
        found.append(
            {
                "candidate": place,
                "n": len(lane),
                "counts": counts,
                "mean": math.fsum(lane) / len(lane) if lane else None,
                "p50": quantile(lane, 0.5),
                "p95": quantile(lane, 0.95),
                "max": max(lane, default=None),
            }
        )
    return {"end": end, "beyond": longest > end, "lanes": found}


def _groups(result: EvaluationResult, scorer: str) -> list[dict[str, Any]]:
    """Return the main scorer by category, language and so on; nothing where all are one group.

    A point's candidate is None where several are put together, as by prompt.
    """
    place: dict[int | None, int] = {index: n for n, index in enumerate(result.order)}
    by: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for group in result.groups:
        if group.scorer != scorer:
            continue
        by.setdefault(group.by, {}).setdefault(group.value, []).append(
            {
                "candidate": place.get(group.candidate),
                "mean": group.mean,
                "low": group.interval.low if group.interval else None,
                "high": group.interval.high if group.interval else None,
                "scored": group.scored,
                "rows": group.rows,
                "small": group.small,
            }
        )
    return [
        {
            "by": name,
            "scorer": scorer,
            "values": [
                {"value": value, "points": sorted(points, key=lambda p: p["candidate"] or 0)}
                for value, points in values.items()
            ],
        }
        for name, values in by.items()
        if len(values) > 1
    ]


def _agreements(result: EvaluationResult) -> dict[str, Any]:
    scorers = list(result.plan.scorers)
    return {
        "scorers": scorers,
        "cells": [
            [None if one == two else _agreement(result.table, one, two) for two in scorers]
            for one in scorers
        ],
    }


def _agreement(table: ScoreTable, one: str, two: str) -> dict[str, Any] | None:
    first, second = table.both(one, two)
    if not first.size:
        return None
    binary = all(table.traits[name].kind == "yes_no" for name in (one, two))
    return agreement(first.tolist(), second.tolist(), binary=binary).to_json()
