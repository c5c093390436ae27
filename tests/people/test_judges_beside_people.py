from contextlib import closing
from dataclasses import replace

import pytest

from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.people.answer_words import HumanVerdict
from llmflowlab.people.human import agreement
from llmflowlab.people.judges_beside_people import (
    calibrations,
    disagreements,
    peoples_agreement,
)
from llmflowlab.settings import load_settings
from tests.evaluation.test_judge_exam import Decides, judged, sound


@pytest.fixture
def result(tmp_path):
    home = load_settings({}, cwd=tmp_path, stdin_is_terminal=False)
    with closing(Ledger(home.ledger_file)) as ledger:
        return judged(home, ledger, tmp_path, [Decides(home, sound)], exam=0)


def said(question, *words, person="ada", comment=""):
    return [
        HumanVerdict(
            cell=Cell(0, row), person=person, question=question, said=word, comment=comment
        )
        for row, word in enumerate(words)
    ]


def test_a_judge_stands_beside_those_who_were_asked_the_same(result):
    verdicts = [
        *said("correct", *["yes"] * 12),
        *said("correctness", *["yes", "no"] * 6),
        *said("friendly", *["no"] * 12),
        *said("quality", *["4"] * 12),
        *said("tone", *["warm", "cold"] * 6),
    ]
    found = calibrations(result, verdicts)
    assert [(one.asked, one.n, one.same_question) for one in found] == [
        ("correct", 12, True),
        ("correctness", 12, True),
    ]
    assert [one.agreement and one.agreement.value for one in found] == [1.0, 0.5]


def test_people_who_are_divided_evenly_say_neither_and_are_counted(result):
    verdicts = [*said("correct", "yes", "yes", "no"), *said("correct", "yes", "no", person="bea")]
    [found] = calibrations(result, verdicts)
    assert (found.n, found.divided) == (2, 1)
    assert found.to_json()["divided"] == 1


def test_rows_to_read_have_what_both_said_and_why(result):
    [row] = disagreements(result, said("correct", "yes", "no", comment="It is not.")[1:])
    assert (row.people, row.judge_said, row.reason) == (0.0, 1.0, "because")
    assert row.comments == ("It is not.",)
    assert row.row == result.plan.dataset.rows[1].id


def test_people_agree_by_the_scale_they_were_asked_on():
    verdicts = [
        *said("quality", "1", "3", "5"),
        *said("quality", "1", "4", "5", person="bea"),
        *said("tone", "warm", "cold", "cold"),
        *said("tone", "warm", "warm", "cold", person="bea"),
        *said("correct", "yes"),
    ]
    quality, tone = peoples_agreement(verdicts)
    assert (quality.level, tone.level) == ("ordinal", "nominal")
    assert quality.alpha is not None
    assert tone.alpha is not None
    assert quality.alpha > tone.alpha > 0
    assert tone.interval is None


def test_answers_picked_because_judges_disagree_are_no_examination(result):
    # They made a judge look as bad as it can, and it might gate nothing any more.
    picked = [
        replace(verdict, details={"order": "disagreement"})
        for verdict in said("correct", *["no"] * 12)
    ]
    drawn = said("correct", *["yes"] * 6, person="bea")
    [found] = calibrations(result, [*picked, *drawn])
    assert (found.n, found.agreement and found.agreement.value) == (6, 1.0)
    assert calibrations(result, picked) == []
    beside = agreement(result, [*picked, *drawn])
    assert [(one.person, one.n) for one in beside if one.other == "correctness"] == [
        ("ada", 0),
        ("bea", 6),
    ]
