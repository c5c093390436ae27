"""A file of requests answered by the workers of a cluster: shards of it, leased, journaled and taken over."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from llmflowlab.cluster.crew import Job, follow
from llmflowlab.cluster.leases import ClusterLimits, ClusterStanding
from llmflowlab.cluster.row_files import read_rows
from llmflowlab.cluster.shards import stage, stage_of
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.lab.cluster_evaluation import crew_for, limits_by_provider, rows_of_a_shard, shared
from llmflowlab.lab.evaluation_request import RayRequest
from llmflowlab.lab.lab import Lab

__all__ = ["BatchAnswers", "answered_on_cluster"]

_SCORER = "exact_match"
"""A plan names a scorer; where nothing is expected, this one finds nothing to score."""


@dataclass(frozen=True, slots=True)
class BatchAnswers:
    """What came of a batch."""

    answers: dict[int, AnswerRecord]
    """By row."""
    before: int
    """Rows that an earlier start had answered."""
    spent: Decimal
    """USD, of workers that were lost at its worst case."""
    interrupted: bool


def answered_on_cluster(
    lab: Lab,
    asked: RayRequest,
    plan: EvaluationPlan,
    *,
    cap: Decimal | None,
    concurrency: int,
    tick: Callable[[int], None],
) -> BatchAnswers:
    """Have workers answer a batch, or go on with what an earlier start of it left in the storage.

    Raises:
        LabError: The cluster or the storage cannot be used, or a worker cannot go on.
        KeyboardInterrupt: At a second Ctrl-C.
    """
    storage = shared(lab, asked)
    plan = replace(plan, scorers=(_SCORER,))
    crew, workers = crew_for(lab, asked)
    try:
        kept = storage.read(f"{plan.evaluation_id}/plan.json")
        if kept is None:
            each = rows_of_a_shard(asked, len(plan.dataset.rows), workers)
            where = stage(plan, storage, shard_rows=each)
        else:
            where = stage_of(plan, int(json.loads(kept)["shard_rows"]))
        limits = ClusterLimits(
            start=secrets.token_hex(8),
            shards=where.shards,
            concurrency=concurrency,
            cap=cap,
            **limits_by_provider([plan.candidates[0].model], lab.settings),
        )
        crew.begin(
            Job(
                place=storage.place,
                stage=where,
                described=plan.describe(),
                limits=limits,
                workers=workers,
            )
        )
        answers: dict[int, AnswerRecord] = {}

        def take(shard: int, key: str) -> None:
            for values in read_rows(storage, key)[0]:
                answers[values["cell"][1]] = AnswerRecord.from_json(values["answer"])

        # Before any worker has begun: what is there is an earlier start's.
        standing = crew.standing(0)
        for _, shard, key in () if standing is None else standing.commits:
            take(shard, key)
        before = sum(record.answered for record in answers.values())
        last = [standing]

        def watch(found: ClusterStanding | None) -> None:
            if found is not None:
                last[0] = found
                tick(min(len(answers) + sum(found.rows.values()), len(plan.dataset.rows)))

        interrupted = follow(crew, take, watch)
    finally:
        crew.end()
    spent = Decimal(0) if last[0] is None else last[0].spent
    return BatchAnswers(answers, before, spent, interrupted)
