"""What an evaluation works with, and how it tells how far it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Limiter, limiter_for
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.standing import InterimScore
from llmflowlab.evaluation.judging import Judge, Panel
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.recorder_client import RecorderProcess
from llmflowlab.evaluation.run.scoring import JudgingProgress
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.evaluation.scorers.embedding import Embedder
from llmflowlab.providers.base import Provider
from llmflowlab.settings import Settings

__all__ = ["EngineResources", "EvaluationSnapshot", "Harness", "Phase"]

Phase: TypeAlias = Literal["answering", "scoring", "recording", "done"]
Harness: TypeAlias = Literal["fast", "mlflow"]
"""Who scores and writes assessments: the lab itself, or `mlflow.genai.evaluate`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSnapshot:
    """How far an evaluation is, for the screen."""

    phase: Phase
    candidates: Sequence[CandidateProgress]
    scored: int = 0
    to_score: int = 0
    judging: JudgingProgress | None = None
    """None where no judge is asked."""
    recorded: int = 0
    to_record: int = 0
    scorer: str = ""
    """The scorer that ranks candidates."""
    standings: Sequence[InterimScore] = ()
    """How each candidate stands with it so far."""
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineResources:
    """What an evaluation works with."""

    settings: Settings
    providers: Sequence[Provider | None]
    """One per candidate, in the plan's order; None for those whose answers are given."""
    judge: Judge | Panel | None
    ledger: Ledger
    metering: Metering
    policy: CallPolicy
    concurrency: int
    output: Path
    """Folder for `answers.csv`, `results.jsonl`, `report.html`, `evaluation.json` and `plots/`."""
    embedders: Mapping[str, Embedder] = field(default_factory=dict)
    """For each scorer that compares vectors, what makes them."""
    detectors: Mapping[str, Provider] = field(default_factory=dict)
    """By reference, the models behind candidates' guardrails."""
    exam: int = 0
    """Rows on which the judges are examined before they judge; 0: not at all."""
    harness: Harness = "fast"
    budget: Budget = field(default_factory=lambda: Budget(None))
    """Shared with the judge."""
    recorder: RecorderProcess | None = None
    """One that was started beforehand; the fast harness starts its own otherwise."""
    gates: Callable[[EvaluationResult], Sequence[Mapping[str, Any]]] | None = None
    """Holds the result against what it must reach."""
    limiter: Callable[[str, Settings, int], Limiter] = limiter_for
    """Makes the pace of a candidate's provider, given how many calls may be in flight."""
    waits: bool = True
    """Whether to end only when MLflow has everything; the recorder goes on by itself otherwise."""
    steering: Steering | None = None
    """Changes concurrency and budget while the evaluation runs; shared with the judge."""
