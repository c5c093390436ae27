"""Recomputes every number of a run from the traces MLflow holds, and compares.

Imports MLflow through the store; nothing is taken from the lab's own memory, so that it also tells
whether what others see is what was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.counting import score_summary
from llmflowlab.evaluation.conclude.people_estimates import METRICS
from llmflowlab.evaluation.conclude.results import ScoreSummary
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.run.closing import BEST, NOT_SCORED, PER_ANSWER, SPEED, SYSTEM
from llmflowlab.evaluation.run.clustering import cluster_numbers
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.row_traces import CLUSTER, GIVEN_COLUMN, PARTS, TIMED_OUT
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.traits import ScorerKind, ScorerTraits, traits_of
from llmflowlab.evaluation.scores import NOT_WHOLE
from llmflowlab.program import program_name
from llmflowlab.statistics.intervals import bootstrap_interval
from llmflowlab.statistics.quantiles import quantile
from llmflowlab.tracking.store import Store, safe_uri

__all__ = ["FigureCheck", "candidate_runs", "verify_run"]

_RUN_KEY = "llmflowlab.run_key"
_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")
_TOLERANCE = 1e-9
_CLOCK = 2e-6
"""Seconds: spans keep whole nanoseconds, and a mean adds the roundings of two clocks."""


@dataclass(frozen=True, slots=True)
class FigureCheck:
    """One number of a run: as reported, as recomputed."""

    name: str
    reported: float | None
    recomputed: float | None

    @property
    def equal(self) -> bool:
        if self.reported is None or self.recomputed is None:
            return self.reported is self.recomputed
        one, two = self.reported, self.recomputed
        if self.name == SPEED and one and two:
            # Seconds of a token, whose clock the traces round.
            one, two = 1 / one, 1 / two
        rounded = self.name == SPEED or self.name.startswith("latency/")
        tolerance = _CLOCK if rounded else _TOLERANCE
        return math.isclose(one, two, rel_tol=_TOLERANCE, abs_tol=tolerance)


def candidate_runs(store: Store, run_id: str) -> list[str]:
    """Return the candidates' runs that a run stands for: itself, or a parent's children.

    Raises:
        InputError: The store has no such run.
        TrackingError: The store cannot be asked.
    """
    run = _run(store, run_id)
    if run.data.tags.get(_RUN_KEY) != "parent":
        return [run_id]
    with store.translated():
        children = store.client.search_runs(
            [run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'"
        )
    keyed = sorted(children, key=lambda child: _index(child.data.tags.get(_RUN_KEY, "")))
    return [str(child.info.run_id) for child in keyed]


def _index(key: str) -> int:
    number = key.removeprefix("candidate-")
    return int(number) if number.isdecimal() else -1


def _run(store: Store, run_id: str) -> Any:
    try:
        with store.translated():
            return store.client.get_run(run_id)
    except TrackingError as exc:
        cause = exc.__cause__
        if getattr(cause, "error_code", None) not in _NO_SUCH_RUN:
            raise
        raise InputError(
            f"{run_id!r} is neither an evaluation of this home nor a run in MLflow at "
            f"{safe_uri(store.uri)}."
        ) from exc


def verify_run(store: Store, run_id: str) -> list[FigureCheck]:
    """Check a candidate's evaluation run.

    Raises:
        InputError: It is no evaluation run of a candidate.
        TrackingError: The store cannot be asked.
    """
    run = _run(store, run_id)
    key = run.data.tags.get(_RUN_KEY, "")
    if not key.startswith("candidate-"):
        raise InputError(
            f"{run_id} is not the evaluation run of a candidate; `{program_name()} info` and MLflow's page "
            "list those (a parent run holds no figures of its own)."
        )
    traces = _traces(store, run.info.experiment_id, run_id)
    rows, trials = int(run.data.params["rows"]), int(run.data.params.get("trials", "1"))
    asked = rows * trials
    if early := run.data.tags.get("llmflowlab.asked"):
        # A comparison that was decided before all rows were asked.
        asked = int(early)
    questions = run.data.tags.get("llmflowlab.questions")
    # A run from before there were clusters has each question for one.
    units = run.data.tags.get("llmflowlab.clusters", questions)
    table = _table(
        traces,
        run_id,
        _traits(run),
        asked=asked,
        trials=trials,
        by_content=questions is not None,
        repeated=trials > 1 or (units is not None and int(units) < rows),
    )
    recomputed = _figures(traces, table, asked)
    if questions is None:
        recomputed |= _means_over_answers(table)
    if "llmflowlab.clusters" not in run.data.tags:
        recomputed |= _bootstrapped(table)
    reported = run.data.metrics
    checks = [
        FigureCheck(name, reported.get(name), recomputed.get(name))
        for name in sorted({*recomputed, *reported} - {"candidates"})
        # Runs from before these were written have none; who is the best takes the others' runs too.
        if (name in reported or not (NOT_SCORED in name or name in (PER_ANSWER, SPEED)))
        and not name.endswith(BEST)
        # What a machine took stands in no trace, nor with what chance a row was judged.
        and not name.startswith((SYSTEM, METRICS))
    ]
    return checks + _document_checks(store, run_id, int(key.removeprefix("candidate-")), recomputed)


def _traces(store: Store, experiment: str, run_id: str) -> list[Any]:
    found: list[Any] = []
    token: str | None = None
    with store.translated():
        while True:
            page = store.tracing.search_traces(
                locations=[experiment], run_id=run_id, max_results=200, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found


def _figures(traces: Sequence[Any], table: ScoreTable, asked: int) -> dict[str, float]:
    answered = [trace for trace in traces if trace.info.state.value == "OK"]
    seconds = [
        _seconds(trace)
        for trace in traces
        if (trace.info.state.value == "OK" and GIVEN_COLUMN not in trace.info.tags)
        or TIMED_OUT in trace.info.tags
    ]
    usages = [_metadata(trace, "mlflow.trace.tokenUsage") for trace in answered]
    figures: dict[str, float | None] = {
        "rows": asked,
        "answered": len(answered),
        "failed": asked - len(answered),
        "latency/mean": sum(seconds) / len(seconds) if seconds else None,
        "latency/p50": quantile(seconds, 0.5),
        "latency/p95": quantile(seconds, 0.95),
        "prompt_tokens": _sum(usages, "input_tokens"),
        "completion_tokens": _sum(usages, "output_tokens"),
        "total_tokens": _sum(usages, "total_tokens"),
        "total_cost_estimate": _cost(traces),
    }
    paced = [
        (int(usage["output_tokens"]), _seconds(trace))
        for trace, usage in zip(answered, usages, strict=True)
        if usage and "output_tokens" in usage and GIVEN_COLUMN not in trace.info.tags
    ]
    if (took := sum(seconds for _, seconds in paced)) > 0:
        figures[SPEED] = sum(tokens for tokens, _ in paced) / took
    cost, whole = figures["total_cost_estimate"], len(answered) - _not_whole(table)
    # What answers that stood in the file once cost is not known.
    if whole and cost is not None and not any(GIVEN_COLUMN in t.info.tags for t in traces):
        figures[PER_ANSWER] = cost / whole
    for scorer in table.traits:
        figures |= _score_figures(score_summary(table, 0, scorer))
    return {name: float(value) for name, value in figures.items() if value is not None}


def _not_whole(table: ScoreTable) -> int:
    """Return how many answers that arrived are not whole, as every scorer says of them."""
    counts = (table.not_scored(0, scorer) for scorer in table.traits)
    return max((sum(n for why, n in c.items() if why in NOT_WHOLE) for c in counts), default=0)


def _cost(traces: Sequence[Any]) -> float | None:
    """Return what all answers cost; a failed one of an older run says nothing of it."""
    costs = [
        _metadata(trace, "mlflow.trace.cost")
        for trace in traces
        if trace.info.state.value == "OK" or "mlflow.trace.cost" in trace.info.trace_metadata
    ]
    return _sum(costs, "total_cost")


def _traits(run: Any) -> dict[str, ScorerTraits]:
    described = run.data.tags.get("llmflowlab.scorers")
    if described is None:
        # A run from before scorers had options: each is called as its kind.
        names = [name for name in run.data.params.get("scorers", "").split(", ") if name]
        return {name: traits_of(ScorerSpec.plain(name)) for name in names}
    found = {}
    for values in json.loads(described):
        # As it was when the run was made: a panel's mean of yes and no is a degree.
        kind: ScorerKind = "yes_no" if values["yes_no"] else "grade"
        spec = ScorerSpec.from_json(values)
        found[spec.name] = replace(traits_of(spec), kind=kind)
    return found


def _table(
    traces: Sequence[Any],
    run_id: str,
    traits: Mapping[str, ScorerTraits],
    *,
    asked: int,
    trials: int,
    by_content: bool,
    repeated: bool,
) -> ScoreTable:
    """Return the scores that traces hold; rows that have none are asked for all the same.

    Args:
        traces: Of one candidate.
        run_id: Whose scores are meant.
        traits: The scorers.
        asked: Answers that were to be had.
        trials: How often each row was asked.
        by_content: Whether rows that ask the same are one question; in a run from before this was
            kept every row was one of its own.
        repeated: Whether any question of the evaluation is asked more than once, or shares a cluster.
    """
    shared: dict[int, str] = {}
    rows: dict[tuple[str, str], int] = {}
    numbers: dict[str, int] = {}
    places = []
    for trace in traces:
        name = trace.info.tags["llmflowlab.row"]
        question = _question(trace) if by_content else name
        places.append(rows.setdefault((name, question), len(rows)))
        if CLUSTER in trace.info.tags:
            shared[places[-1]] = trace.info.tags[CLUSTER]
        numbers.setdefault(question, len(numbers))
    unseen = asked // trials - len(rows)
    asks = [
        *(numbers[question] for _, question in rows),
        *range(len(numbers), len(numbers) + unseen),
    ]
    table = ScoreTable(
        traits,
        candidates=1,
        questions=asks,
        clusters=cluster_numbers(asks, [shared.get(place) for place in range(len(asks))]),
        trials=trials,
        repeated=repeated,
    )
    for place, trace in zip(places, traces, strict=True):
        cell = Cell(0, place, int(trace.info.tags.get("llmflowlab.trial", "0")))
        for scorer in traits:
            value, reason, parts = _assessment(trace, scorer, run_id)
            table.put(cell, scorer, value, reason, parts)
    return table


def _means_over_answers(table: ScoreTable) -> dict[str, float]:
    """Return the means of a run from before the question was the unit: each answer counted once."""
    found = {}
    for scorer, traits in table.traits.items():
        values = table.values(0, scorer)
        if traits.figure is None and values.size:
            found[f"{scorer}/mean"] = math.fsum(values) / values.size
    return found


def _bootstrapped(table: ScoreTable) -> dict[str, float]:
    """Return the intervals of a run from before betting took the bootstrap's place where little is seen."""
    found: dict[str, float] = {}
    for scorer, traits in table.traits.items():
        means = table.by_question(0, scorer)
        if traits.figure is None and means.size and not table.exact(scorer):
            interval = bootstrap_interval(means)
            found |= {f"{scorer}/ci_low": interval.low, f"{scorer}/ci_high": interval.high}
    return found


def _question(trace: Any) -> str:
    root = next(span for span in trace.data.spans if span.parent_id is None)
    return json.dumps(root.inputs, sort_keys=True)


def _score_figures(score: ScoreSummary) -> dict[str, float | None]:
    figures: dict[str, float | None] = {
        "mean": score.mean,
        "coverage": score.coverage,
        "ci_low": score.interval.low if score.interval else None,
        "ci_high": score.interval.high if score.interval else None,
    }
    again = score.repeats
    if again is not None:
        figures |= {
            "flip_rate": again.flip_rate,
            "question_variance": again.question_variance,
            "run_variance": again.run_variance,
            **{f"pass_{k}": value for k, value in again.pass_k.items()},
        }
    counts = {f"{score.scorer}{NOT_SCORED}{why}": n for why, n in score.not_scored.items()}
    return {f"{score.scorer}/{name}": value for name, value in figures.items()} | counts


def _seconds(trace: Any) -> float:
    root = next(span for span in trace.data.spans if span.parent_id is None)
    return float(root.end_time_ns - root.start_time_ns) / 1e9


def _metadata(trace: Any, key: str) -> Mapping[str, float] | None:
    text = trace.info.trace_metadata.get(key)
    return None if text is None else json.loads(text)


def _sum(values: Sequence[Mapping[str, float] | None], key: str) -> float | None:
    known = [value[key] for value in values if value is not None and key in value]
    return math.fsum(known) if values and len(known) == len(values) else None


def _assessment(
    trace: Any, scorer: str, run_id: str
) -> tuple[float | None, str | None, Sequence[float]]:
    """Return a score, the reason for having none, and its parts, as the run wrote them."""
    for found in trace.info.assessments:
        metadata = found.metadata or {}
        ours = metadata.get("mlflow.assessment.sourceRunId") == run_id
        if found.name == scorer and ours and found.feedback is not None:
            if found.feedback.error is not None:
                return None, found.feedback.error.error_code, ()
            return float(found.feedback.value), None, json.loads(metadata.get(PARTS, "[]"))
    return None, "not_reached", ()


def _document_checks(
    store: Store, run_id: str, index: int, recomputed: Mapping[str, float]
) -> list[FigureCheck]:
    """Compare with `evaluation.json`, the document scripts read."""
    with store.translated():
        names = [file.path for file in store.client.list_artifacts(run_id)]
        if "evaluation.json" not in names:
            return []
        path = store.client.download_artifacts(run_id, "evaluation.json")
    with Path(path).open(encoding="utf-8") as file:
        candidate = json.load(file)["candidates"][index]
    checks = [
        FigureCheck("evaluation.json answered", candidate["answered"], recomputed.get("answered")),
        FigureCheck(
            "evaluation.json cost_usd", candidate["cost_usd"], recomputed.get("total_cost_estimate")
        ),
        FigureCheck(
            "evaluation.json tokens", candidate["tokens"]["total"], recomputed.get("total_tokens")
        ),
    ]
    for scorer, score in candidate["scores"].items():
        checks += [
            FigureCheck(
                f"evaluation.json {scorer}/{name}", score[name], recomputed.get(f"{scorer}/{name}")
            )
            for name in ("mean", "coverage", "ci_low", "ci_high")
        ]
    return checks
