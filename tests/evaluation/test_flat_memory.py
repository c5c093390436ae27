"""What an evaluation holds in memory: no texts of rows that are done, none of rows that are many."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest

from llmflowlab.data import stored_rows
from llmflowlab.data.dataset import Row
from llmflowlab.data.stored_rows import StoredRows, kept_rows
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.stored_dataset import dataset_from_text, dataset_key, dataset_text
from llmflowlab.evaluation.run.stored_outcomes import StoredOutcomes
from llmflowlab.text.digests import digest_of
from tests.evaluation.helpers import TableModel, bench, dataset, plan

ROWS = 300
MANY = "question,answer\n" + "".join(f"question {i:03},answer {i}\n" for i in range(ROWS))


def live(kind):
    gc.collect()
    return sum(type(thing) is kind for thing in gc.get_objects())


class Recorder(SimpleNamespace):
    """Records nothing."""

    def __init__(self):
        super().__init__(runs={"candidates": [None]}, recorded=0, notes=[])

    def begin(self, evaluation): ...

    def abandon(self): ...

    def wait_for_runs(self, seconds, tick):
        return self.runs

    def close(self, closing, tick):
        return []


@pytest.fixture
def evaluated(settings, tmp_path, ledger):
    data = dataset(tmp_path, MANY, "many.csv")
    model = TableModel("m", settings, {f"question {i:03}": f"answer {i}" for i in range(ROWS)})
    made = plan(data, scorers=("exact_match",))
    resources = bench(settings, [model], ledger, tmp_path)
    seen = []
    before = live(AnswerRecord)
    result = run_evaluation(
        made,
        replace(resources, recorder=Recorder()),  # type: ignore[arg-type] # as much as is used
        on_progress=lambda snapshot: seen.append(snapshot),
    )
    return SimpleNamespace(plan=made, result=result, seen=seen, before=before, ledger=ledger)


def test_answers_that_are_recorded_are_not_held(evaluated):
    held = live(AnswerRecord) - evaluated.before
    assert held < ROWS / 2
    assert evaluated.result.candidates[0].answered == ROWS
    assert evaluated.seen[-1].scored == ROWS


def test_a_result_reads_its_answers_from_the_ledger_also_when_that_is_closed(evaluated):
    evaluated.ledger.close()
    answers = evaluated.result.answers
    assert len(answers) == ROWS
    assert [answers[Cell(0, i)].text for i in (7, 250, 8)] == ["answer 7", "answer 250", "answer 8"]
    assert [a.text for a in answers.values()] == [f"answer {i}" for i in range(ROWS)]
    assert evaluated.result.scores[Cell(0, 3)]["exact_match"].value == 1.0
    assert Cell(0, 0, trial=0) in answers
    with pytest.raises(KeyError):
        StoredOutcomes(evaluated.plan, evaluated.ledger)[Cell(0, 0)]


def test_rows_that_vanish_from_the_ledger_are_told(evaluated):
    rows = StoredOutcomes.all(evaluated.plan, evaluated.ledger)
    evaluated.ledger.forget(evaluated.plan.evaluation_id)
    with pytest.raises(TrackingError, match="lost finished rows"):
        rows[Cell(0, 0)]


def many(count):
    return [
        Row(
            index=i,
            line=i + 2,
            id=str(i),
            question=f"q{i}",
            expected=f"a{i}",
            source={"q": f"q{i}"},
        )
        for i in range(count)
    ]


def test_many_rows_are_kept_in_a_file_and_read_like_any_others():
    before = live(Row)
    rows = kept_rows(row for row in many(3_000))
    assert isinstance(rows, StoredRows)
    assert live(Row) - before < 500
    assert len(rows) == 3_000
    assert (rows[0].question, rows[-1].question, rows[1_234].expected) == ("q0", "q2999", "a1234")
    assert [row.index for row in rows[62:66]] == [62, 63, 64, 65]
    assert rows == tuple(many(3_000))
    assert tuple(many(2_999)) != rows
    with pytest.raises(IndexError):
        rows[3_000]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda i: rows[i].index, range(0, 3_000, 7))) == [*range(0, 3_000, 7)]


def test_few_rows_stay_in_memory_and_a_full_disk_keeps_all_there(monkeypatch):
    assert kept_rows(many(3)) == tuple(many(3))

    def full(rows):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stored_rows, "StoredRows", full)
    assert kept_rows(many(2_500)) == tuple(many(2_500))


@pytest.mark.parametrize("count", [2, 2_500])
def test_a_benchmark_in_the_ledger_is_written_as_it_ever_was(tmp_path, count):
    text = 'question,answer,"rows"": ["\n' + "".join(f"q{i},ä{i},x\n" for i in range(count))
    data = dataset(tmp_path, text)
    whole = {**asdict(replace(data, rows=tuple(data.rows))), "path": str(data.path)}
    assert dataset_key(data) == digest_of([data.digest, whole])
    written = dataset_text(data, lambda value: json.dumps(value, ensure_ascii=False))
    assert written == json.dumps(whole, ensure_ascii=False)
    assert dataset_from_text(written) == data


@pytest.mark.parametrize("damage", ['{"rows": [', '{"name": "x"}', '{"rows": [{"id": 1}]}'])
def test_a_damaged_benchmark_is_told_as_a_damaged_record(tmp_path, damage):
    data = dataset(tmp_path)
    made = plan(data)
    ledger = Ledger(tmp_path / "evaluations.db")
    ledger.begin(made, "2026-01-01 00:00:00")
    ledger._do("UPDATE datasets SET content = ?", (damage,))
    with pytest.raises(TrackingError, match="is damaged"):
        ledger.plan(made.evaluation_id)
    ledger.close()
