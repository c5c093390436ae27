"""What a driver holds for each row of more rows than go through its ledger: numbers in columns."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from llmflowlab.cluster.collecting import FileRows
from llmflowlab.cluster.row_files import InVain, rows_file
from llmflowlab.cluster.shards import Stage
from llmflowlab.cluster.storage import LocalStorage
from llmflowlab.data.dataset import Dataset
from llmflowlab.data.rows import Row
from llmflowlab.data.stored_rows import StoredRows
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics import intervals, paired
from tests.evaluation.helpers import answer, plan, spec

SHARD = 50
FEW, MANY = 150, 600
A_ROW = 400
"""Bytes of a row of two candidates and two scorers, at the most: where figures are set side by side."""
MODELS = [spec("table:one"), spec("table:two")]
SCORERS = ("exact_match", "token_f1")


def rows(count: int) -> Iterator[Row]:
    for i in range(count):
        yield Row(index=i, line=i + 2, id=str(i), question=f"q{i}", expected="a", source={})


def planned(count: int) -> EvaluationPlan:
    data = Dataset(
        name="many",
        rows=StoredRows(rows(count)),
        digest=str(count),
        path=Path("many"),
        columns=("question", "answer"),
    )
    return plan(data, candidates=MODELS, scorers=SCORERS)


def outcome(cell: Cell, row: int) -> Outcome:
    scores = [
        Score(scorer="exact_match", value=float((row + cell.candidate) % 3 > 0)),
        Score(scorer="token_f1", value=(row * 7 + cell.candidate) % 101 / 100),
    ]
    if row % 50 == 7:
        scores = [Score(scorer=name, not_scored="answer_failed") for name in SCORERS]
    said = answer(
        "" if row % 50 == 7 else "a",
        state="failed" if row % 50 == 7 else "complete",
        latency=1 + row % 13 / 10 + cell.candidate,
        prompt_tokens=20 + row % 5,
        completion_tokens=5,
        cost_usd="0.00004",
        tries=1,
    )
    return Outcome(cell, said, {score.scorer: score for score in scores})


def committed(storage: LocalStorage, stage: Stage) -> dict[int, str]:
    """Write what workers leave behind."""
    part, files = planned(SHARD), {}
    for shard in range(stage.shards):
        first = stage.first(shard)
        outcomes = [outcome(cell, cell.row + first) for cell in part.cells()]
        files[shard] = stage.key("results", shard, ".parquet")
        storage.write(files[shard], rows_file(part, outcomes, first, InVain()))
    return files


def concluded(tmp_path: Path, count: int) -> tuple[EvaluationResult, int]:
    """Return the result, and the most that was held on the way to it beyond what was there before."""
    storage = LocalStorage(tmp_path / str(count))
    stage = Stage(folder="many", rows=count, shard_rows=SHARD, digest="")
    files = committed(storage, stage)
    with closing(Ledger(tmp_path / f"{count}.db")) as ledger:
        tracemalloc.start()
        try:
            made = planned(count)
            progress = [CandidateProgress(count) for _ in MODELS]
            found = FileRows(made, ledger, storage, stage, progress, most=50)
            for shard, key in files.items():
                found.take(shard, key)
            result = found.result(interrupted=False)
            found.recorded()
            return result, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def test_a_row_more_costs_a_driver_numbers_in_columns_and_no_objects(tmp_path, monkeypatch):
    # Pins: of a million rows a driver held 390 MB, in lists and dictionaries of numbers.
    for module in (intervals, paired):
        # As of many rows: fewer are drawn again and again, which takes more than they do.
        monkeypatch.setattr(module, "_MANY_ROWS", 100)
    concluded(tmp_path / "first", FEW)
    few, at_few = concluded(tmp_path, FEW)
    many, at_many = concluded(tmp_path, MANY)
    assert [one.answered for one in few.candidates] == [FEW * 49 // 50] * 2
    assert [one.answered for one in many.candidates] == [MANY * 49 // 50] * 2
    assert many.recommendation is not None
    assert (at_many - at_few) / (MANY - FEW) < A_ROW
