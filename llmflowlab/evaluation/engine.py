"""One evaluation from plan to result: answer, score, record, conclude."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answering import Answering, CandidateProgress, reusable_answers
from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.budget import Budget
from llmflowlab.evaluation.judges import Judge
from llmflowlab.evaluation.ledger import Ledger
from llmflowlab.evaluation.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.recording import Harness, Recording
from llmflowlab.evaluation.reports import write_answers_csv
from llmflowlab.evaluation.results import EvaluationResult, compare, summarise
from llmflowlab.evaluation.scoring import Scoring
from llmflowlab.providers.base import Provider
from llmflowlab.providers.calling import CallPolicy
from llmflowlab.providers.pacing import Limiter, Pacer
from llmflowlab.settings import Settings

__all__ = ["Phase", "Snapshot", "Workbench", "run_evaluation"]

Phase: TypeAlias = Literal["answering", "scoring", "recording", "done"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How far an evaluation is, for the screen."""

    phase: Phase
    candidates: Sequence[CandidateProgress]
    scored: int = 0
    to_score: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """What an evaluation works with."""

    settings: Settings
    providers: Sequence[Provider]
    """One per candidate, in the plan's order."""
    judge: Judge | None
    ledger: Ledger
    metering: Metering
    policy: CallPolicy
    concurrency: int
    output: Path
    """Folder for `answers.csv`."""
    harness: Harness = "mlflow"
    budget: Budget = field(default_factory=lambda: Budget(None))
    """Shared with the judge."""


def run_evaluation(
    plan: EvaluationPlan,
    bench: Workbench,
    *,
    on_progress: Callable[[Snapshot], None] | None = None,
) -> EvaluationResult:
    """Carry an evaluation out.

    Ctrl-C while answers come in stops sending, lets what is in flight finish, and goes on to score
    and record what there is; the result says so. A second Ctrl-C leaves at once: what was answered
    is on disk and `--resume` goes on from there.

    Raises:
        TrackingError: The ledger cannot be written, or MLflow's store failed; nothing is lost.
        KeyboardInterrupt: At a second Ctrl-C.
    """
    tell = on_progress or (lambda snapshot: None)
    created = datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    bench.ledger.begin(plan, created)
    bench.ledger.set_state(plan.evaluation_id, "running")
    answering, interrupted = _answer(plan, bench, tell)
    answers = dict(answering.answers)
    scoring = Scoring(plan, bench.judge, bench.ledger)
    scoring.recall(answers)
    recording = Recording(plan, bench.settings, bench.ledger, harness=bench.harness)
    problems: list[str] = []
    runs: Mapping[str, Any] = {}
    try:
        runs = _record(recording, scoring, answers, bench, answering.progress, tell)
    except KeyboardInterrupt:
        bench.ledger.set_state(plan.evaluation_id, "interrupted")
        raise
    except TrackingError as exc:
        # The answers are safe and the figures can still be shown; the store gets them later.
        problems.append(exc.message)
        scoring.score_all(answers, concurrency=bench.concurrency)
    result = _result(plan, scoring, answers, answering, runs, interrupted=interrupted)
    csv_file = bench.output / "answers.csv"
    write_answers_csv(result, csv_file)
    result = replace(result, files={"answers_csv": str(csv_file)})
    if not problems:
        tell(Snapshot(phase="recording", candidates=answering.progress, detail="closing the runs"))
        try:
            problems += recording.close(result, csv_file)
        except TrackingError as exc:
            problems.append(exc.message)
    state = "interrupted" if interrupted else "partial" if problems else "finished"
    bench.ledger.set_state(plan.evaluation_id, state)  # type: ignore[arg-type]
    tell(Snapshot(phase="done", candidates=answering.progress))
    return replace(result, problems=tuple(problems))


def _answer(
    plan: EvaluationPlan, bench: Workbench, tell: Callable[[Snapshot], None]
) -> tuple[Answering, bool]:
    reused = reusable_answers(plan, bench.ledger)
    answering = Answering(
        plan,
        bench.providers,
        bench.ledger,
        limiters=_limiters(plan, bench.concurrency),
        concurrency=bench.concurrency,
        policy=bench.policy,
        metering=bench.metering,
        reused=reused,
        budget=bench.budget,
    )
    for provider in bench.providers:
        # Importing an SDK takes up to a second, which must not count as a model's first answer.
        provider.prepare()
    answering.start()

    def tick() -> None:
        tell(Snapshot(phase="answering", candidates=answering.progress))

    try:
        answering.join(tick)
    except KeyboardInterrupt:
        answering.stop()
        tell(
            Snapshot(
                phase="answering",
                candidates=answering.progress,
                detail="stopping: waiting for the answers in flight (Ctrl-C again leaves at once)",
            )
        )
        answering.join(tick)
        return answering, True
    return answering, False


def _limiters(plan: EvaluationPlan, concurrency: int) -> list[Limiter]:
    shared: dict[str, Limiter] = {}
    for spec in plan.candidates:
        shared.setdefault(spec.model, Limiter(Pacer(concurrency)))
    return [shared[spec.model] for spec in plan.candidates]


def _record(
    recording: Recording,
    scoring: Scoring,
    answers: Mapping[Cell, AnswerRecord],
    bench: Workbench,
    progress: Sequence[CandidateProgress],
    tell: Callable[[Snapshot], None],
) -> Mapping[str, Any]:
    total = len(answers) * len(scoring.scorers)

    def tick() -> None:
        done = sum(len(scores) for scores in list(scoring.scores.values()))
        tell(Snapshot(phase="scoring", candidates=progress, scored=done, to_score=total))

    return recording.run(answers, scoring, concurrency=bench.concurrency, tick=tick)


def _result(
    plan: EvaluationPlan,
    scoring: Scoring,
    answers: Mapping[Cell, AnswerRecord],
    answering: Answering,
    runs: Mapping[str, Any],
    *,
    interrupted: bool,
) -> EvaluationResult:
    run_ids: Sequence[str | None] = runs.get("candidates") or [None] * len(plan.candidates)
    return EvaluationResult(
        plan=plan,
        parent_run_id=runs.get("parent"),
        candidates=[
            summarise(
                plan,
                index,
                answers,
                scoring.scores,
                run_id=run_ids[index],
                reused=answering.progress[index].reused,
                binary=scoring.binary,
            )
            for index in range(len(plan.candidates))
        ],
        comparisons=compare(plan, scoring.scores, binary=scoring.binary),
        judge_usage=scoring.judge_usage(),
        answers=answers,
        scores=scoring.scores,
        interrupted=interrupted,
    )


def new_evaluation_id() -> str:
    """Return a fresh id that sorts by time and can be typed: `20260131-235959-a1b2`."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{stamp}-{time.time_ns() % 65536:04x}"


def to_document(result: EvaluationResult) -> str:
    """Return the JSON document of a result; unknown is null, and NaN is an error."""
    return json.dumps(result.to_json(), indent=2, ensure_ascii=False, allow_nan=False)
