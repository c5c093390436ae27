"""Scoring through `mlflow.genai.evaluate`: MLflow runs the scorers and writes their assessments.

The answers are there already, as traces of the candidate's run; MLflow is handed those traces, so
that it asks no model again and its pages show each answer with its true latency, tokens and cost.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.row_traces import PARTS
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.scores import Score

__all__ = ["evaluate_with_mlflow", "prepare_environment"]

# `evaluate` works on the process's one active run and is documented as not thread-safe.
_one_at_a_time = threading.Lock()


def prepare_environment(concurrency: int) -> None:
    """Set what `mlflow.genai.evaluate` reads from the environment; its defaults cap scorers at 20 a second."""
    os.environ["MLFLOW_GENAI_EVAL_MAX_WORKERS"] = str(concurrency)
    os.environ["MLFLOW_GENAI_EVAL_MAX_SCORER_WORKERS"] = str(concurrency)
    os.environ["MLFLOW_GENAI_EVAL_PREDICT_RATE_LIMIT"] = "0"
    os.environ["MLFLOW_GENAI_EVAL_SCORER_RATE_LIMIT"] = "0"
    os.environ["MLFLOW_GENAI_EVAL_MAX_RETRIES"] = "0"
    os.environ["MLFLOW_GENAI_EVAL_SKIP_TRACE_VALIDATION"] = "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRow:
    """A row as MLflow's harness takes it."""

    cell: Cell
    answer: AnswerRecord
    inputs: Mapping[str, Any]
    expected: str | None
    trace: Any
    """MLflow's Trace of the answer."""


def evaluate_with_mlflow(
    tracking_uri: str,
    run_id: str,
    rows: Sequence[ScoredRow],
    scoring: Scoring,
    *,
    tick: Callable[[], None] | None = None,
) -> dict[str, float]:
    """Score one candidate's rows within its run.

    Every scorer is wrapped: a row whose answer failed, or a judgement that did, becomes an
    assessment with an error, which MLflow leaves out of its means.

    Args:
        tracking_uri: The store.
        run_id: The candidate's open run, to which the traces belong.
        rows: Its answers.
        scoring: Does the scoring and keeps every score.
        tick: Called, in a thread of MLflow's, after each score.

    Returns:
        MLflow's own metrics, as `{scorer}/mean`.

    Raises:
        TrackingError: A judgement could not be written down.
    """
    import mlflow

    by_trace = {row.trace.info.trace_id: row for row in rows}
    data = [
        {
            "inputs": dict(row.inputs),
            "outputs": row.answer.text,
            "expectations": {"expected_response": row.expected} if row.expected else {},
            "trace": row.trace,
        }
        for row in rows
    ]
    lost: list[TrackingError] = []
    scorers = [_wrapped(name, by_trace, scoring, tick, lost) for name in scoring.scorers]
    with _one_at_a_time, _quiet():
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(tracking_uri)
        try:
            with mlflow.start_run(run_id=run_id):
                result = mlflow.genai.evaluate(data=data, scorers=scorers)
        finally:
            mlflow.set_tracking_uri(before)
    if lost:
        raise lost[0]
    # numpy floats, which JSON does not know.
    return {name: float(value) for name, value in result.metrics.items()}


def _wrapped(
    name: str,
    by_trace: Mapping[str, ScoredRow],
    scoring: Scoring,
    tick: Callable[[], None] | None,
    lost: list[TrackingError],
) -> Any:
    from mlflow.genai.scorers import scorer

    @scorer(name=name)  # type: ignore[untyped-decorator, unused-ignore]
    def score(trace: Any) -> Any:
        row = by_trace[trace.info.trace_id]
        if lost:
            raise lost[0]
        try:
            found = scoring.score(row.cell, name, row.answer)
        except TrackingError as exc:
            # MLflow would only note it with the row, and go on to pay for the next.
            lost.append(exc)
            raise
        if tick is not None:
            tick()
        return _feedback(found)

    return score


def _feedback(score: Score) -> Any:
    from mlflow.entities import AssessmentError, AssessmentSource, Feedback

    source = (
        AssessmentSource(source_type="CODE", source_id=score.scorer)
        if score.judge is None
        else AssessmentSource(source_type="LLM_JUDGE", source_id=score.judge)
    )
    if score.value is None:
        error = AssessmentError(
            error_code=score.not_scored or "scorer_failed", error_message=score.rationale or ""
        )
        return Feedback(name=score.scorer, error=error, source=source)
    return Feedback(
        name=score.scorer,
        value=score.value,
        rationale=score.rationale,
        source=source,
        metadata=None if score.parts is None else {PARTS: json.dumps(score.parts)},
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's harness from writing over the screen; its words on failures are ours to say."""
    logger = logging.getLogger("mlflow")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            Path(os.devnull).open("w", encoding="utf-8") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            yield
    finally:
        logger.setLevel(before)
