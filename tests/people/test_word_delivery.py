"""What people say is on disk first, and reaches MLflow's traces once, whenever MLflow can be reached."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import TrackingError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.lab.deliverer import deliver, on_the_way
from llmflowlab.people import word_delivery
from llmflowlab.people.answer_words import (
    HumanVerdict,
    answer_target,
    keep_verdicts,
    kept_verdicts,
    open_words,
)
from llmflowlab.people.word_delivery import deliver_words, words_left
from llmflowlab.people.words import Word
from llmflowlab.settings import Settings
from llmflowlab.tracking.feedback import read_feedback
from llmflowlab.tracking.store import open_store
from tests.known import known

QUESTIONS = "question,answer\nWhat is a token?,part of a word\nWhat is a run?,a session\n"
YES = HumanVerdict(cell=Cell(0, 0), person="ada", said="yes", comment="good")


@pytest.fixture
def evaluation(mlflow_home: Path, settings: Settings, capsys: pytest.CaptureFixture[str]) -> str:
    (mlflow_home / "questions.csv").write_text(QUESTIONS, encoding="utf-8")
    asked = ("--data", "questions.csv", "--model", "guide", "--scorer", "contains")
    assert main(["evaluate", *asked, "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)["evaluation_id"])


def keep(settings: Settings, evaluation: str, *said: HumanVerdict) -> dict[str, int]:
    with closing(open_words(settings)) as words:
        return keep_verdicts(words, evaluation, said)


def in_mlflow(settings: Settings, evaluation: str) -> list[tuple[Any, ...]]:
    with closing(Ledger(settings.ledger_file)) as ledger:
        plan = ledger.plan(evaluation)
    found = read_feedback(open_store(settings), [plan.trace_id(cell) for cell in plan.cells()])
    return sorted((f.person, f.question, f.value, f.comment) for f in found)


def test_each_person_and_question_is_one_assessment_however_often_it_is_delivered(
    evaluation: str, settings: Settings
) -> None:
    said = (YES, replace(YES, question="quality", said="4"), replace(YES, person="bob", said="no"))
    keep(settings, evaluation, *said)
    for _ in range(2):
        assert deliver_words(settings, evaluation) == 0
        assert in_mlflow(settings, evaluation) == [
            ("ada", "correct", "yes", "good"),
            ("ada", "quality", 4, "good"),
            ("bob", "correct", "no", "good"),
        ]
    keep(settings, evaluation, replace(YES, said="no", comment=""))
    deliver_words(settings, evaluation)
    assert in_mlflow(settings, evaluation)[0] == ("ada", "correct", "no", "")


def test_what_was_taken_back_is_taken_back_there_too(evaluation: str, settings: Settings) -> None:
    keep(settings, evaluation, YES)
    deliver_words(settings, evaluation)
    target = answer_target(evaluation, YES.cell)
    with closing(open_words(settings)) as words:
        words.keep([Word(person="ada", target=target, question="correct", said=None, at_ms=9)])
    assert words_left(settings) == [evaluation]
    deliver_words(settings, evaluation)
    assert in_mlflow(settings, evaluation) == []


def test_while_mlflow_is_away_nothing_is_lost_and_the_deliverer_brings_it_later(
    evaluation: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(settings, evaluation, YES)

    def away(settings: Settings) -> None:
        raise TrackingError("MLflow does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(word_delivery, "open_store", away)
        assert not deliver(settings, linger=0.0, patience=0.0, sleep=lambda seconds: None)
        left = on_the_way(settings)
        assert left is not None
        assert (left.what, left.problem) == ("1 review", "MLflow does not answer.")
    assert deliver(settings, linger=0.0, patience=0.0, sleep=lambda seconds: None)
    assert on_the_way(settings) is None
    assert in_mlflow(settings, evaluation) == [("ada", "correct", "yes", "good")]


def test_any_command_hands_over_what_was_said(
    evaluation: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(settings, evaluation, YES)
    assert main(["cache", "--json"]) == 0
    assert words_left(settings) == []
    assert in_mlflow(settings, evaluation) == [("ada", "correct", "yes", "good")]


def test_a_trace_that_mlflow_lost_is_counted_and_repair_tells_it_again(
    evaluation: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(settings, evaluation, YES, replace(YES, cell=Cell(0, 1)))
    with closing(Ledger(settings.ledger_file)) as ledger:
        lost = ledger.plan(evaluation).trace_id(YES.cell)
    store = open_store(settings)
    experiment = known(store.client.get_experiment_by_name("LLMS_Evaluation"))
    store.tracing.delete_traces(experiment_id=experiment.experiment_id, trace_ids=[lost])
    assert deliver_words(settings, evaluation) == 1
    # Said once is enough: no command tries for ever.
    assert words_left(settings) == []
    assert main(["repair", evaluation]) == 0
    assert len(in_mlflow(settings, evaluation)) == 2


def test_words_of_an_evaluation_that_was_forgotten_are_not_tried_for_ever(
    evaluation: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(settings, evaluation, YES)
    with closing(Ledger(settings.ledger_file)) as ledger:
        ledger.forget(evaluation)
    assert deliver(settings, linger=0.0, patience=0.0, sleep=lambda seconds: None)
    assert words_left(settings) == []


def test_verdicts_that_an_earlier_version_kept_in_the_ledger_are_words_that_count_once(
    evaluation: str, settings: Settings
) -> None:
    rows = [
        ("ada", "0:0:0", {"cell": [0, 0, 0], "said": "no", "comment": "old"}),
        ("bob", "0:1:0", {"cell": [0, 1, 0], "said": "4", "comment": ""}),
    ]
    with closing(sqlite3.connect(settings.ledger_file)) as db, db:
        db.executemany(
            "INSERT INTO feedback (evaluation, judge, key, record) VALUES (?, ?, ?, ?)",
            [(evaluation, person, key, json.dumps(record)) for person, key, record in rows],
        )
    with closing(open_words(settings)) as words:
        old = [(v.person, v.question, v.said) for v in kept_verdicts(words, evaluation)]
    assert old == [("ada", "correct", "no"), ("bob", "quality", "4")]
    assert not settings.people_file.exists()
    again = replace(YES, said="no", comment="old")
    assert keep(settings, evaluation, again) == {"new": 0, "changed": 0, "as_before": 1}
    assert keep(settings, evaluation, YES) == {"new": 0, "changed": 1, "as_before": 0}
    with closing(open_words(settings)) as words:
        assert [(v.person, v.said) for v in kept_verdicts(words, evaluation)] == [
            ("bob", "4"),
            ("ada", "yes"),
        ]
