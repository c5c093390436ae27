"""What the runs of an evaluation are closed with: figures, tags and files."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmflowlab.evaluation.conclude.conclusions import headline
from llmflowlab.evaluation.conclude.results import CandidateResult, EvaluationResult
from llmflowlab.evaluation.judging.exam import exam_tag
from llmflowlab.evaluation.reports.markdown import markdown_summary
from llmflowlab.tracking.violations import metrics_of

__all__ = ["BEST", "NOT_SCORED", "PER_ANSWER", "SPEED", "SYSTEM", "RunSummary", "closing_of"]
__all__ += ["exam_tags", "metric_labels", "people_metrics"]

NOT_SCORED = "/not_scored/"
"""Stands between a scorer and a reason in the metric that counts the answers that are not whole for it."""


_LABEL = 100
"""Characters of a candidate's label in a metric's name."""
BEST = "/probability_best"
"""Ends the metric of a figure that only all candidates together give."""

PER_ANSWER = "cost_per_answer"
"""USD of a whole answer; runs of earlier versions lack it."""
SPEED = "tokens_per_second"
"""Of one answer at a time; runs of earlier versions lack it."""
SYSTEM = "system/"
"""Begins the names of what a local model took of the machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What is written when all rows are there; JSON values only, as it crosses a process border."""

    metrics: Sequence[Mapping[str, float]]
    """One mapping per candidate; what is unknown is not in it."""
    tags: Sequence[Mapping[str, str]]
    means: Mapping[str, float]
    """Of all candidates by all scorers, for the run above theirs."""
    conclusion: str
    """Who is recommended, or why nobody."""
    summary: str
    """The whole in Markdown."""
    files: Sequence[str]
    plots: Sequence[str] = ()
    """Files that stand in a folder of their own in the runs."""
    decided: bool = False
    """Whether a comparison was decided early: rows that nobody needed to ask are not missing."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def closing_of(result: EvaluationResult, files: Sequence[Path]) -> RunSummary:
    """Return what the runs are closed with.

    Args:
        result: The evaluation.
        files: What `write_files` wrote; logged to every run.
    """
    return RunSummary(
        metrics=[
            _metrics(candidate) | _best(result, i) | people_metrics(result, i)
            for i, candidate in enumerate(result.candidates)
        ],
        tags=[
            {
                "llmflowlab.cost": "unknown" if candidate.cost_usd is None else "known",
                "llmflowlab.tokens": "estimated" if candidate.tokens_estimated else "reported",
                "llmflowlab.interrupted": "true" if result.interrupted else "false",
                **exam_tags(result),
                **_gates(candidate, result),
                **_early(candidate, result),
            }
            for candidate in result.candidates
        ],
        means=_means(result),
        conclusion=" ".join(headline(result)),
        summary=markdown_summary(result),
        files=[str(file) for file in files if file.suffix != ".svg"],
        plots=[str(file) for file in files if file.suffix == ".svg"],
        decided=result.decided_early,
    )


def _early(candidate: CandidateResult, result: EvaluationResult) -> dict[str, str]:
    """Return the tags of a comparison that was decided before all rows were asked."""
    found = result.sequential
    if found is None or not result.decided_early:
        return {}
    return {
        "llmflowlab.decided_early": f"{found.verdict} after {found.looked_at} of {found.of} rows",
        "llmflowlab.asked": str(candidate.rows),
    }


def _gates(candidate: CandidateResult, result: EvaluationResult) -> dict[str, str]:
    own = [gate["passed"] for gate in result.gates if gate["candidate"] == candidate.spec.label]
    return {"llmflowlab.gates": "passed" if all(own) else "failed"} if own else {}


def _best(result: EvaluationResult, candidate: int) -> dict[str, float]:
    return {
        f"{scorer}{BEST}": entry.probability_best
        for scorer, board in result.leaderboard.items()
        for entry in board
        if entry.candidate == candidate and entry.probability_best is not None
    }


def people_metrics(result: EvaluationResult, candidate: int) -> dict[str, float]:
    """Return what people think of a candidate, as metrics of its run."""
    return {
        name: value
        for estimate in result.people
        if estimate.candidate == candidate
        for name, value in estimate.metrics().items()
    }


def exam_tags(result: EvaluationResult) -> dict[str, str]:
    """Return the tag that says whose judges were examined, and whether they are believed."""
    return {"llmflowlab.judge_exam": exam_tag(result.exams)} if result.exams else {}


def _means(result: EvaluationResult) -> dict[str, float]:
    """Return `{scorer}/mean/{candidate}`, in characters that MLflow takes in a metric's name."""
    labels = metric_labels([candidate.spec.label for candidate in result.candidates])
    return {
        f"{name}/mean/{label}": float(score.mean)
        for label, candidate in zip(labels, result.candidates, strict=True)
        for name, score in candidate.scores.items()
        if score.mean is not None
    }


def metric_labels(labels: Sequence[str]) -> list[str]:
    """Return what candidates are called in the names of metrics, each otherwise."""
    found: list[str] = []
    for number, label in enumerate(labels, start=1):
        plain = re.sub(r"[^\w.\- :]", "-", label)[:_LABEL]
        found.append(plain if plain not in found else f"{plain} {number}")
    return found


def _metrics(candidate: CandidateResult) -> dict[str, float]:
    """Return the run's metrics; what is unknown has none."""
    # Means first: MLflow's pages keep the order, and show the first few.
    metrics: dict[str, float | None] = {
        f"{name}/mean": score.mean for name, score in candidate.scores.items()
    }
    for name, score in candidate.scores.items():
        metrics[f"{name}/coverage"] = score.coverage
        metrics[f"{name}/ci_low"] = score.interval.low if score.interval else None
        metrics[f"{name}/ci_high"] = score.interval.high if score.interval else None
        # Of answers that arrived; those that did not are counted under `answered` and `failed`.
        for reason in candidate.not_whole.keys() & score.not_scored.keys():
            metrics[f"{name}{NOT_SCORED}{reason}"] = score.not_scored[reason]
        if score.repeats is not None:
            metrics[f"{name}/flip_rate"] = score.repeats.flip_rate
            metrics[f"{name}/question_variance"] = score.repeats.question_variance
            metrics[f"{name}/run_variance"] = score.repeats.run_variance
            for k, passed in score.repeats.pass_k.items():
                metrics[f"{name}/pass_{k}"] = passed
    metrics |= {
        "rows": candidate.rows,
        "answered": candidate.answered,
        "failed": sum(candidate.failed.values()),
        "latency/mean": candidate.latency.mean,
        "latency/p50": candidate.latency.p50,
        "latency/p95": candidate.latency.p95,
        "prompt_tokens": candidate.prompt_tokens,
        "completion_tokens": candidate.completion_tokens,
        "total_cost_estimate": None if candidate.cost_usd is None else float(candidate.cost_usd),
        SPEED: candidate.tokens_per_second,
        PER_ANSWER: None if candidate.cost_per_answer is None else float(candidate.cost_per_answer),
    }
    if candidate.prompt_tokens is not None and candidate.completion_tokens is not None:
        metrics["total_tokens"] = candidate.prompt_tokens + candidate.completion_tokens
    if candidate.spec.guardrails is not None:
        metrics |= metrics_of(candidate.violations)
    if candidate.system is not None:
        metrics |= candidate.system.metrics()
    return {name: float(value) for name, value in metrics.items() if value is not None}
