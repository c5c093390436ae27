"""What an evaluation holds in memory: no texts of rows that are done, none of rows that are many."""

from __future__ import annotations

import gc
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import Any

import pytest

from llmflowlab.data import stored_rows
from llmflowlab.data.dataset import Row
from llmflowlab.data.stored_rows import StoredRows, kept_rows
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.judging import Judge
from llmflowlab.evaluation.run import recorder, reuse, stored_outcomes
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.outcomes import Entry, Outcome
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.reuse import find_reusable
from llmflowlab.evaluation.run.scoring import Scoring
from llmflowlab.evaluation.run.stored_dataset import dataset_from_text, dataset_key, dataset_text
from llmflowlab.evaluation.run.stored_outcomes import StoredOutcomes
from llmflowlab.evaluation.scores import Score
from llmflowlab.text.digests import digest_of
from tests.evaluation.helpers import (
    QUICK,
    TableModel,
    answer,
    bench,
    dataset,
    metering,
    plan,
    spec,
)
from tests.evaluation.test_judges import verdict

ROWS, PAGE = 100, 8
"""Rows, and as many as are read at once: few of either, as both are in other proportions what they are with many."""
MANY = "question,answer\n" + "".join(f"question {i:03},answer {i}\n" for i in range(ROWS))


@pytest.fixture(autouse=True)
def full(monkeypatch, request):
    """Leave no room for finished rows, as texts of many rows do."""
    for room in (stored_outcomes, reuse):
        monkeypatch.setattr(room, "_PAGE", PAGE)
    if "roomy" not in request.fixturenames:
        monkeypatch.setattr(stored_outcomes, "_HELD", 0)


@pytest.fixture
def roomy():
    """Leave the room that there is for finished rows."""


@pytest.fixture(autouse=True)
def nothing_of_before():
    """Leave out what was there already: looking through all that a long run has loaded takes seconds."""
    gc.freeze()
    yield
    gc.unfreeze()


def live(*kinds):
    gc.collect()
    return sum(type(thing) in kinds for thing in gc.get_objects())


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


class Watching(Recorder):
    """Counts answers and verdicts that are held when all rows are scored, the evaluation still there."""

    def __init__(self):
        super().__init__()
        self.runs = {}

    def close(self, closing, tick):
        self.held = live(AnswerRecord), live(Score)
        return []


class Opinionated(TableModel):
    """Gives a reason for each verdict."""

    def stream(self, request):
        comparing = "first_answer" in request.messages[-1].content
        self.answers = {"": verdict("tie" if comparing else "yes")}
        yield from super().stream(request)


def judged(settings, tmp_path, ledger, **options):
    data = dataset(tmp_path, MANY, "many.csv")
    answers = {f"question {i:03}": f"answer {i}" for i in range(ROWS)}
    models = [TableModel(name, settings, answers) for name in ("m", "n")]
    judge = Opinionated("j", settings, {})
    made = plan(
        data,
        candidates=[spec(model.reference) for model in models],
        scorers=("correctness", "preference"),
        judge=judge.reference,
        **options,
    )
    watching = Watching()
    before = live(AnswerRecord), live(Score)
    resources = bench(settings, models, ledger, tmp_path, judge=judge)
    result = run_evaluation(made, replace(resources, recorder=watching))  # type: ignore[arg-type]
    held = [now - then for now, then in zip(watching.held, before, strict=True)]
    return SimpleNamespace(
        result=result, asked=len(judge.requests), answers=held[0], scores=held[1]
    )


def test_answers_that_were_compared_and_what_judges_said_of_them_are_not_held(
    settings, tmp_path, ledger
):
    found = judged(settings, tmp_path, ledger)
    # Both say the same, which is judged once for both; a pair is judged in both orders, which are one.
    assert found.asked == 2 * ROWS
    # What a result has read last is there: of two candidates up to a page with four scores each.
    assert found.answers < ROWS / 2
    assert found.scores < ROWS
    for candidate in (0, 1):
        scores = found.result.scores[Cell(candidate, ROWS - 1)]
        assert scores["correctness"].rationale == "because"
        assert scores["preference"].value == 0.5
    paid = [score.shared for row in found.result.scores.values() for score in row.values()]
    assert paid.count(False) == 2 * ROWS


def test_verdicts_of_before_are_read_when_they_are_needed(settings, tmp_path, ledger):
    first = judged(settings, tmp_path, ledger)
    again = judged(settings, tmp_path, ledger, evaluation_id="20260101-000000-bcde")
    assert again.asked == 0
    assert again.scores < ROWS
    assert again.answers < ROWS / 2
    told = [
        {cell: {n: (s.value, s.rationale) for n, s in row.items()} for cell, row in run.items()}
        for run in (first.result.scores, again.result.scores)
    ]
    assert told[0] == told[1]
    assert all(s.reused for row in again.result.scores.values() for s in row.values())


def test_a_verdict_whose_evaluation_is_cleared_meanwhile_is_asked_for_anew(
    settings, tmp_path, ledger
):
    data = dataset(tmp_path, "question,answer\nQ,A\n")
    judge = Opinionated("j", settings, {})
    asked = Judge(judge, policy=QUICK, metering=metering(settings))
    for evaluation in ("20260101-000000-aaaa", "20260101-000000-bbbb"):
        named = plan(
            data, scorers=("correctness",), judge=judge.reference, evaluation_id=evaluation
        )
        ledger.begin(named, "2026-01-01 00:00:00")
        scoring = Scoring(named, asked, ledger)
        known = scoring.recall({Cell(0, 0): answer("A")})
        assert bool(known) is (evaluation[-1] == "b")
        ledger.forget("20260101-000000-aaaa")
        score = scoring.score(Cell(0, 0), "correctness", answer("A"))
        assert (score.value, score.reused, score.shared) == (1.0, False, False)
    assert len(judge.requests) == 2


def test_answers_of_before_are_read_when_they_are_needed(evaluated):
    before = live(AnswerRecord)
    found = find_reusable(evaluated.plan, evaluated.ledger)
    assert (len(found.answers), found.borrowed) == (ROWS, frozenset())
    assert [answer.text for answer in found.answers.values()] == [
        f"answer {cell.row}" for cell in evaluated.plan.cells()
    ]
    assert found.answers[Cell(0, 7)].text == "answer 7"
    assert live(AnswerRecord) - before < ROWS / 2
    later = replace(evaluated.plan, evaluation_id="20260101-000000-bcde")
    borrowed = find_reusable(later, evaluated.ledger)
    assert borrowed.borrowed == {*later.cells()}
    assert not find_reusable(replace(later, fresh=True), evaluated.ledger).answers
    assert Cell(0, ROWS) not in borrowed.answers
    evaluated.ledger.forget(evaluated.plan.evaluation_id)
    with pytest.raises(TrackingError, match="start once more"):
        borrowed.answers[Cell(0, 0)]


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
    assert [answers[Cell(0, i)].text for i in (7, 90, 8)] == ["answer 7", "answer 90", "answer 8"]
    assert [a.text for a in answers.values()] == [f"answer {i}" for i in range(ROWS)]
    assert evaluated.result.scores[Cell(0, 3)]["exact_match"].value == 1.0
    assert Cell(0, 0, trial=0) in answers
    with pytest.raises(KeyError):
        StoredOutcomes(evaluated.plan, evaluated.ledger)[Cell(0, 0)]


def test_finished_rows_are_at_hand_while_there_is_room(roomy, evaluated, monkeypatch):
    # Figures and files of 500 rows read each of them some twenty times from the ledger, for half a second.
    monkeypatch.setattr(evaluated.ledger, "outcomes_at", None)
    assert [a.text for a in evaluated.result.answers.values()] == [
        f"answer {i}" for i in range(ROWS)
    ]


def test_a_row_at_hand_is_what_the_ledger_has_of_it(roomy, evaluated, monkeypatch):
    at_hand = dict(evaluated.result.answers), dict(evaluated.result.scores)
    monkeypatch.setattr(stored_outcomes, "_HELD", 0)
    stored = StoredOutcomes.all(evaluated.plan, evaluated.ledger)
    assert (dict(stored.answers), dict(stored.scores)) == at_hand


def test_long_rows_are_held_up_to_a_bound(roomy, evaluated, monkeypatch):
    monkeypatch.setattr(stored_outcomes, "_HELD", 15_000)
    rows = StoredOutcomes.all(evaluated.plan, evaluated.ledger)
    before = live(AnswerRecord)
    assert sum(1 for _ in rows.values()) == ROWS
    assert live(AnswerRecord) - before < ROWS / 2


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


def test_answers_to_be_had_are_made_when_they_are_looked_at(tmp_path):
    made = plan(dataset(tmp_path, MANY), candidates=[spec("t:m"), spec("t:n")], trials=2)
    before = live(Cell)
    cells = made.cells()
    assert (len(cells), live(Cell) - before) == (4 * ROWS, 0)
    every = [Cell(c, row, trial) for trial in (0, 1) for row in range(ROWS) for c in (0, 1)]
    assert list(cells) == every
    assert [cells[0], cells[-1], cells[2 * ROWS + 3]] == [every[0], every[-1], every[2 * ROWS + 3]]
    assert cells[5:900:7] == every[5:900:7]
    with pytest.raises(IndexError):
        cells[4 * ROWS]


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


class Sink:
    """Takes rows, and counts those that are held while all are read back."""

    def __init__(self):
        self.written = self.read = 0
        self.held = []

    def open(self): ...

    def run_ids(self):
        return {}

    def notes(self):
        return []

    def write(self, outcomes):
        self.written += len(outcomes)

    def close(self, order, entries):
        for number, _ in enumerate(entries, 1):
            self.read = number
            if number % 20 == 0:
                self.held.append(live(Outcome, Entry))
        return []


def test_the_recorder_holds_no_row_that_it_wrote(evaluated, monkeypatch):
    # Pins: an entry for each row, and what the store has of it, were 150 MB at 100,000 rows.
    monkeypatch.setattr(recorder, "_BATCH", PAGE)
    before = live(Outcome, Entry)
    sink = Sink()
    orders: Any = SimpleNamespace(ended=True, orphaned=False, left=False, wait=lambda seconds: None)
    following = recorder._Recorder(
        evaluated.ledger, evaluated.plan.evaluation_id, orders, make=lambda: sink
    )
    following.follow()
    order: Any = None
    assert following.close(order) == []
    assert (sink.written, sink.read, len(sink.held)) == (ROWS, ROWS, ROWS / 20)
    assert max(sink.held) - before <= 3 * PAGE


def test_what_mlflow_has_of_rows_is_not_held_once_they_are_read_back(
    mlflow_home, evaluated, settings
):
    from llmflowlab.evaluation.run.closing import closing_of
    from llmflowlab.evaluation.run.recording import Recording
    from llmflowlab.tracking.evaluation_books import HeldTrace

    ledger, evaluation = evaluated.ledger, evaluated.plan.evaluation_id
    outcomes = [Outcome.from_json(values) for _, values in ledger.outcomes(evaluation)]
    for _ in range(2):
        # The second one finds the rows of the first.
        recording = Recording(evaluated.plan, settings, ledger)
        recording.open()
        recording.write(outcomes)
        assert live(HeldTrace) == 0
        entries = (outcome.entry() for outcome in outcomes)
        assert recording.close(closing_of(evaluated.result, []), entries) == []
        assert live(HeldTrace) == 0
