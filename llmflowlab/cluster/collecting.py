"""Takes the workers' rows in: through the ledger where all go to MLflow, else as columns of files."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from llmflowlab.cluster.row_files import InVain, RowFiles, places_of, read_rows
from llmflowlab.cluster.shard_ledger import paid_key, records_in
from llmflowlab.cluster.shards import Stage
from llmflowlab.cluster.storage import Storage
from llmflowlab.data.dataset import subset
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.standing import InterimScores
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.stored_outcomes import StoredOutcomes
from llmflowlab.evaluation.scores import Score

__all__ = ["Collected", "FileRows", "LedgerRows"]


class Collected(Protocol):
    """The rows of an evaluation as they come."""

    def begin(self) -> None:
        """Write down what is to be recorded, where that is known beforehand."""

    def take(self, shard: int, key: str) -> None:
        """Take a committed shard in; once more where it was committed before and is whole now."""

    def result(self, *, interrupted: bool) -> EvaluationResult:
        """Count all rows up."""

    def recorded(self) -> str | None:
        """Have what MLflow is to have in the ledger; return what to say where that is not all."""


class _Rows:
    """What both ways have in common.

    Args:
        plan: The evaluation.
        ledger: Of the driver's home.
        storage: Where the workers' files are.
        stage: The evaluation there.
        progress: Counted up, one for each candidate.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        ledger: Ledger,
        storage: Storage,
        stage: Stage,
        progress: list[CandidateProgress],
    ) -> None:
        self.plan, self.ledger, self.storage, self.stage = plan, ledger, storage, stage
        self._progress = progress
        self._counts: dict[int, list[CandidateProgress]] = {}
        """Of each shard, for when it is committed anew."""

    def _count(self, shard: int, answers: Iterable[tuple[int, bool, bool, Decimal]]) -> None:
        """Count a shard's answers: candidate, whether it came, whether it was reused, USD."""
        sums = [CandidateProgress(0) for _ in self._progress]
        for candidate, answered, reused, cost in answers:
            own = sums[candidate]
            own.answered += answered
            own.failed += not answered
            own.reused += reused
            own.cost += cost
        before = self._counts.get(shard, [CandidateProgress(0) for _ in self._progress])
        for one, was, now in zip(self._progress, before, sums, strict=True):
            one.answered += now.answered - was.answered
            one.failed += now.failed - was.failed
            one.reused += now.reused - was.reused
            one.cost += now.cost - was.cost
        self._counts[shard] = sums


class LedgerRows(_Rows):
    """Rows that all go through the ledger, as if they had been answered here."""

    standings: InterimScores | None = None

    def begin(self) -> None:
        self.ledger.begin(self.plan, _now())

    def take(self, shard: int, key: str) -> None:
        evaluation = self.plan.evaluation_id
        rows, _ = read_rows(self.storage, key)
        written = [
            self.ledger.append(one["table"], evaluation, one["key"], one["record"])
            for one in records_in(self.storage.read(paid_key(key)))
        ]
        places = {Outcome.key_of(Cell(*values["cell"])): values for values in rows}
        known = self.ledger.outcomes_at(evaluation, list(places))
        there = {Outcome.key_of(Cell(*values["cell"])): values for values in known}
        written += [
            self.ledger.append("outcomes", evaluation, place, values)
            for place, values in places.items()
            # What is replaced is recorded once more.
            if there.get(place) != values
        ]
        for done in written:
            done.result()
        self._count(shard, map(_counted, rows))
        if self.standings is not None:
            for values in rows:
                outcome = Outcome.from_json(values)
                self.standings.add(outcome.cell, outcome.scores.get(self.standings.scorer))

    def result(self, *, interrupted: bool) -> EvaluationResult:
        if self.ledger.outcomes(self.plan.evaluation_id, limit=1):
            return stored_result(self.ledger, self.plan.evaluation_id)
        # Stopped before the first shard was there.
        none = [0] * len(self.plan.candidates)
        return build_result(self.plan, {}, {}, reused=none, interrupted=True)

    def recorded(self) -> str | None:
        return None


def _now() -> str:
    return datetime.now().strftime("%Y-%m-%d %H:%M:%S")


def _counted(values: dict[str, Any]) -> tuple[int, bool, bool, Decimal]:
    record = AnswerRecord.from_json(values["answer"])
    return values["cell"][0], record.answered, values["reused"], record.known_spent


class FileRows(_Rows):
    """Rows that stay in their files; MLflow gets those that failed and a sample.

    Args:
        plan: As in `_Rows`.
        ledger: As in `_Rows`.
        storage: As in `_Rows`.
        stage: As in `_Rows`.
        progress: As in `_Rows`.
        most: Answers that MLflow gets at most.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        ledger: Ledger,
        storage: Storage,
        stage: Stage,
        progress: list[CandidateProgress],
        *,
        most: int,
    ) -> None:
        super().__init__(plan, ledger, storage, stage, progress)
        self._files: dict[int, str] = {}
        self._in_vain: dict[int, InVain] = {}
        self._source = RowFiles(storage, stage, self._files)
        # Rows that are held would be few of those that there are.
        self._rows = StoredOutcomes(plan, self._source, room=0)
        self._failed = np.zeros(len(plan.dataset.rows), dtype=bool)
        """Of each row, whether an answer to it failed."""
        self._room = max(1, most // (len(plan.candidates) * plan.trials))

    def begin(self) -> None:
        """Nothing: which rows fail is known at the end."""

    def take(self, shard: int, key: str) -> None:
        self._files[shard] = key
        self._source.forget(shard)
        found = places_of(self.storage, key)
        self._in_vain[shard] = found.in_vain
        first = self.stage.first(shard)
        self._failed[first : first + self.stage.shard_rows] = False
        for cell, answered in zip(found.cells, found.answered, strict=True):
            self._rows.add(cell)
            self._failed[cell.row] |= not answered
        self._count(shard, found.counts())

    def result(self, *, interrupted: bool) -> EvaluationResult:
        plan = self.plan
        in_vain = [self._in_vain[shard] for shard in sorted(self._in_vain)]
        given_up: dict[str, list[AnswerRecord]] = {}
        for one in in_vain:
            for key, records in (one.answers or {}).items():
                given_up.setdefault(key, []).extend(
                    AnswerRecord.from_json(dict(record)) for record in records
                )
        evaluation = plan.evaluation_id
        result = build_result(
            plan,
            self._rows.answers,
            self._rows.scores,
            reused=[one.reused for one in self._progress],
            interrupted=interrupted or len(self._rows) < plan.size,
            exams=self.ledger.exams(evaluation),
            in_vain=[Score.from_json(dict(score)) for one in in_vain for score in one.judgements],
            given_up=given_up,
        )
        return replace(result, people=self.ledger.people(evaluation))

    def recorded(self) -> str | None:
        plan, rows = self.plan, self._chosen()
        part = replace(subset(plan.dataset, rows), digest=plan.dataset.digest)
        drawn = replace(plan, dataset=part, drawn_from=len(plan.dataset.rows))
        self.ledger.begin(drawn, _now())
        numbers = {row: number for number, row in enumerate(rows)}
        for shard in sorted({row // self.stage.shard_rows for row in rows} & self._files.keys()):
            for values in read_rows(self.storage, self._files[shard])[0]:
                candidate, row, trial = values["cell"]
                if row in numbers:
                    values["cell"] = [candidate, numbers[row], trial]
                    place = Outcome.key_of(Cell(*values["cell"]))
                    self.ledger.append("outcomes", plan.evaluation_id, place, values).result()
        failed = int(self._failed[rows].sum())
        return (
            f"MLflow has {len(rows):,} of the {len(plan.dataset.rows):,} rows as traces: {failed:,} that failed, "
            f"and a sample of the others. All rows stand in {self.storage.place}/{self.stage.folder}/results, "
            "and all figures are of all rows."
        )

    def _chosen(self) -> list[int]:
        """Return the rows that are recorded: failed ones first, then others by a draw that can be repeated."""
        draw = random.Random(f"{self.plan.dataset.digest}:{self.plan.order_seed}")  # noqa: S311 - to be repeated
        failed = np.flatnonzero(self._failed)
        if failed.size > self._room:
            failed = failed[draw.sample(range(failed.size), self._room)]
        count, chosen = len(self.plan.dataset.rows), set(failed.tolist())
        order = iter(draw.sample(range(count), min(count, 2 * self._room)))
        while len(chosen) < min(self._room, count):
            chosen.add(next(order))
        return sorted(chosen)
