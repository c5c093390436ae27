"""Recomputes every number of a run from the traces MLflow holds, and compares.

Imports MLflow through the store; nothing is taken from the lab's own memory, so that it also tells
whether what others see is what was measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.evaluation.conclude.counting import interval_over_questions
from llmflowlab.evaluation.run.row_traces import PARTS
from llmflowlab.evaluation.run.scorer_choice import is_binary
from llmflowlab.evaluation.scorers.base import CorpusScorer, ScorerSpec
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.statistics import corpus_interval, corpus_value, repeats
from llmflowlab.statistics.corpus import CorpusFigure, added
from llmflowlab.statistics.intervals import quantile
from llmflowlab.tracking.store import Store, safe_uri

__all__ = ["Check", "candidate_runs", "verify_run"]

_RUN_KEY = "llmflowlab.run_key"
_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND")
_TOLERANCE = 1e-9
_CLOCK = 2e-6
"""Seconds: spans keep whole nanoseconds, and a mean adds the roundings of two clocks."""


@dataclass(frozen=True, slots=True)
class Check:
    """One number of a run: as reported, as recomputed."""

    name: str
    reported: float | None
    recomputed: float | None

    @property
    def equal(self) -> bool:
        if self.reported is None or self.recomputed is None:
            return self.reported is self.recomputed
        tolerance = _CLOCK if self.name.startswith("latency/") else _TOLERANCE
        return math.isclose(self.reported, self.recomputed, rel_tol=_TOLERANCE, abs_tol=tolerance)


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


def verify_run(store: Store, run_id: str) -> list[Check]:
    """Check a candidate's evaluation run.

    Raises:
        InputError: It is no evaluation run of a candidate.
        TrackingError: The store cannot be asked.
    """
    run = _run(store, run_id)
    key = run.data.tags.get(_RUN_KEY, "")
    if not key.startswith("candidate-"):
        raise InputError(
            f"{run_id} is not the evaluation run of a candidate; `info` and MLflow's page "
            "list those (a parent run holds no figures of its own)."
        )
    traces = _traces(store, run.info.experiment_id, run_id)
    scorers = _scorers(run)
    asked = int(run.data.params["rows"]) * int(run.data.params.get("trials", "1"))
    if early := run.data.tags.get("llmflowlab.asked"):
        # A comparison that was decided before all rows were asked.
        asked = int(early)
    recomputed = _figures(traces, run_id, scorers, asked)
    reported = run.data.metrics
    checks = [
        Check(name, reported.get(name), recomputed.get(name))
        for name in sorted({*recomputed, *reported} - {"candidates"})
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


def _figures(
    traces: Sequence[Any], run_id: str, scorers: Sequence[_Scorer], asked: int
) -> dict[str, float]:
    answered = [trace for trace in traces if trace.info.state.value == "OK"]
    seconds = [_seconds(trace) for trace in answered]
    usages = [_metadata(trace, "mlflow.trace.tokenUsage") for trace in answered]
    costs = [_metadata(trace, "mlflow.trace.cost") for trace in answered]
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
        "total_cost_estimate": _sum(costs, "total_cost"),
    }
    for scorer in scorers:
        figures |= _score_figures(traces, run_id, scorer, asked)
    return {name: float(value) for name, value in figures.items() if value is not None}


@dataclass(frozen=True, slots=True)
class _Scorer:
    """How the figures of a scorer are made."""

    name: str
    binary: bool
    figure: CorpusFigure | None = None


def _scorers(run: Any) -> list[_Scorer]:
    described = run.data.tags.get("llmflowlab.scorers")
    if described is None:
        # A run from before scorers had options: each is called as its kind.
        names = [name for name in run.data.params.get("scorers", "").split(", ") if name]
        return [_Scorer(name, yes_no) for name, yes_no in is_binary(names).items()]
    found = []
    for values in json.loads(described):
        spec = ScorerSpec.from_json(values)
        kind = TEXT_KINDS.get(spec.kind)
        how = None if kind is None or kind.asks_model else build_text_scorer(spec)
        figure = how.value if isinstance(how, CorpusScorer) else None
        found.append(_Scorer(spec.name, bool(values["yes_no"]), figure))
    return found


def _score_figures(
    traces: Sequence[Any], run_id: str, scorer: _Scorer, asked: int
) -> dict[str, float | None]:
    by_row: dict[str, list[float]] = {}
    parts: dict[str, list[Sequence[float]]] = {}
    for trace in traces:
        found = _assessment(trace, scorer.name, run_id)
        if found is not None:
            value, own = found
            row = trace.info.tags["llmflowlab.row"]
            by_row.setdefault(row, []).append(value)
            parts.setdefault(row, []).append(own)
    values = [value for row in by_row.values() for value in row]
    if scorer.figure is None:
        mean = sum(values) / len(values) if values else None
        interval = interval_over_questions(by_row, binary=scorer.binary)
    else:
        sums = [added(trials) for trials in parts.values()]
        mean = corpus_value(sums, scorer.figure)
        interval = corpus_interval(sums, scorer.figure)
    figures: dict[str, float | None] = {
        "mean": mean,
        "coverage": len(values) / asked,
        "ci_low": interval.low if interval else None,
        "ci_high": interval.high if interval else None,
    }
    again = repeats(list(by_row.values()), binary=scorer.binary)
    if again is not None:
        figures |= {
            "flip_rate": again.flip_rate,
            "question_variance": again.question_variance,
            "run_variance": again.run_variance,
            **{f"pass_{k}": value for k, value in again.pass_k.items()},
        }
    return {f"{scorer.name}/{name}": value for name, value in figures.items()}


def _seconds(trace: Any) -> float:
    root = next(span for span in trace.data.spans if span.parent_id is None)
    return float(root.end_time_ns - root.start_time_ns) / 1e9


def _metadata(trace: Any, key: str) -> Mapping[str, float] | None:
    text = trace.info.trace_metadata.get(key)
    return None if text is None else json.loads(text)


def _sum(values: Sequence[Mapping[str, float] | None], key: str) -> float | None:
    known = [value[key] for value in values if value is not None and key in value]
    return math.fsum(known) if values and len(known) == len(values) else None


def _assessment(trace: Any, scorer: str, run_id: str) -> tuple[float, Sequence[float]] | None:
    """Return a score and its parts, as the run wrote them; None where it is not scored."""
    for found in trace.info.assessments:
        metadata = found.metadata or {}
        ours = metadata.get("mlflow.assessment.sourceRunId") == run_id
        if found.name == scorer and ours and found.feedback is not None:
            if found.feedback.error is not None:
                return None
            return float(found.feedback.value), json.loads(metadata.get(PARTS, "[]"))
    return None


def _document_checks(
    store: Store, run_id: str, index: int, recomputed: Mapping[str, float]
) -> list[Check]:
    """Compare with `evaluation.json`, the document scripts read."""
    with store.translated():
        names = [file.path for file in store.client.list_artifacts(run_id)]
        if "evaluation.json" not in names:
            return []
        path = store.client.download_artifacts(run_id, "evaluation.json")
    with Path(path).open(encoding="utf-8") as file:
        candidate = json.load(file)["candidates"][index]
    checks = [
        Check("evaluation.json answered", candidate["answered"], recomputed.get("answered")),
        Check(
            "evaluation.json cost_usd", candidate["cost_usd"], recomputed.get("total_cost_estimate")
        ),
        Check(
            "evaluation.json tokens", candidate["tokens"]["total"], recomputed.get("total_tokens")
        ),
    ]
    for scorer, score in candidate["scores"].items():
        checks += [
            Check(
                f"evaluation.json {scorer}/{name}", score[name], recomputed.get(f"{scorer}/{name}")
            )
            for name in ("mean", "coverage", "ci_low", "ci_high")
        ]
    return checks
