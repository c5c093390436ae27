"""What is done once for all workers of a cluster, before they begin."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal

from llmflowlab.cluster.shard_ledger import PaidRecord, text_of
from llmflowlab.cluster.storage import Storage
from llmflowlab.evaluation.judging.exam import Exam
from llmflowlab.evaluation.run.examination import keep_exams
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.workbench import EngineResources

__all__ = ["prepare_judges", "spent_beforehand"]


def prepare_judges(
    plan: EvaluationPlan,
    bench: EngineResources,
    storage: Storage,
    folder: str,
    tick: Callable[[], None],
    *,
    reuse: bool,
) -> Decimal:
    """Hold the judges' examination, and leave in the storage what workers need not ask.

    Args:
        plan: The evaluation.
        bench: The judges, and the ledger that keeps what they said.
        storage: What the workers read.
        folder: Of the evaluation there.
        tick: Called while the judges are waited for.
        reuse: Whether answers and verdicts of earlier evaluations are among it.

    Returns:
        USD that it took.
    """
    ledger = bench.ledger
    before = storage.read(f"{folder}/exams.json")
    if before is not None:
        said = json.loads(before)
        keep_exams(ledger, plan.evaluation_id, [Exam.from_json(one) for one in said["exams"]])
        return Decimal(said["spent"])
    scoring = Scoring(plan, bench.judge, ledger, bench.embedders, exam=bench.exam)
    records: list[PaidRecord] = []
    if reuse:
        kept = find_reusable(plan, ledger)
        records += [
            {
                "table": "answers",
                "key": plan.answer_key(cell),
                "record": kept.answers[cell].to_json(),
            }
            for cell in kept.borrowed
        ]
        scoring.recall(kept.given, kept.answers)
    else:
        scoring.recall()
    scoring.start(bench.concurrency, lambda cell: None)
    scoring.examine()
    scoring.join(tick)
    exams = scoring.exams()
    records += [
        {"table": "judgements", "key": key, "record": score.to_json()}
        for key, score in scoring.known()
    ]
    keep_exams(ledger, plan.evaluation_id, exams)
    storage.write(f"{folder}/earlier.jsonl", text_of(records))
    said = {"exams": [one.to_json() for one in exams], "spent": str(bench.budget.spent)}
    storage.write(f"{folder}/exams.json", json.dumps(said).encode())
    return bench.budget.spent


def spent_beforehand(storage: Storage, folder: str) -> Decimal | None:
    """Return USD that was spent before the workers began; None where they have not.

    Raises:
        TrackingError: The storage cannot be read.
    """
    before = storage.read(f"{folder}/exams.json")
    return None if before is None else Decimal(json.loads(before)["spent"])
