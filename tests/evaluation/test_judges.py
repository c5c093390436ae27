import json

import pytest

from llmflowlab.errors import ConnectionFailed, InputError
from llmflowlab.evaluation.judging import KINDS, Judge, JudgeScorer
from tests.evaluation.helpers import QUICK, TableModel, answer, dataset, metering


def verdict(result, rationale="because"):
    return json.dumps({"rationale": rationale, "result": result})


def judge(settings, said):
    model = TableModel("judge", settings, {"": said})
    return Judge(model, policy=QUICK, metering=metering(settings)), model


def judge_scorer(name, asked):
    return JudgeScorer(KINDS[name], asked)


YES_NO = [name for name, kind in KINDS.items() if kind.scale == "yes_no"]
GRADED = [name for name, kind in KINDS.items() if kind.scale == "grade"]


@pytest.fixture
def rows(tmp_path):
    return dataset(tmp_path).rows


@pytest.mark.parametrize("name", YES_NO)
@pytest.mark.parametrize(("said", "value"), [("yes", 1.0), ("no", 0.0)])
def test_a_verdict_becomes_a_score_with_its_rationale(settings, rows, name, said, value):
    asked, model = judge(settings, verdict(said))
    score = judge_scorer(name, asked).score(rows[2], answer("Wien"))
    assert (score.value, score.rationale, score.judge) == (value, "because", "table:judge")
    assert score.prompt_tokens == 10
    assert len(model.requests) == 1
    assert model.requests[0].response_schema is not None


def test_the_judge_sees_question_answer_and_expectation(settings, rows):
    asked, model = judge(settings, verdict("yes"))
    judge_scorer("correctness", asked).score(rows[0], answer("It is Paris."))
    prompt = model.requests[0].messages[0].content
    for part in ("What is the capital of France?", "It is Paris.", "Paris"):
        assert part in prompt


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("I think it is fine.", id="prose"),
        pytest.param('{"rationale": "so"}', id="no-result"),
        pytest.param(verdict("maybe"), id="other-word"),
        pytest.param('{"result": "yes"', id="torn-json"),
        pytest.param(f"{verdict('yes')} {verdict('no')}", id="two-verdicts"),
        pytest.param('{"rationale": "it says {"result": "yes"}", "result": "no"}', id="torn-quote"),
        pytest.param("[1, 2]", id="list"),
        pytest.param('{"result": 1, "rationale": ""}', id="number"),
        pytest.param("", id="empty"),
    ],
)
def test_an_unreadable_verdict_is_not_scored_but_its_cost_is_kept(settings, rows, said):
    asked, _ = judge(settings, said)
    score = judge_scorer("correctness", asked).score(rows[0], answer())
    assert (score.value, score.not_scored) == (None, "judge_unparseable")
    # Asked twice: the second time to put the form right.
    assert score.prompt_tokens == 20


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(f"```json\n{verdict('yes')}\n```", id="fenced"),
        pytest.param('{"result": "YES", "rationale": "a\nb"}', id="capitals-and-line-break"),
        pytest.param('{"result": true, "rationale": "b"}', id="boolean"),
        pytest.param(f"I have read it all.\n{verdict('yes')}\nThat is it.", id="prose-around"),
    ],
)
def test_usual_slips_of_form_are_read(settings, rows, said):
    asked, _ = judge(settings, said)
    assert judge_scorer("correctness", asked).score(rows[0], answer()).value == 1.0


def test_a_judge_that_is_down_gives_no_score(settings, rows):
    down = ConnectionFailed("nothing answers", provider="table")
    asked, model = judge(settings, down)
    score = judge_scorer("correctness", asked).score(rows[0], answer())
    assert (score.value, score.not_scored) == (None, "judge_failed")
    assert len(model.requests) == QUICK.max_tries


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [("correctness", 3, "no_expected_answer"), ("guidelines", 0, "no_guidelines")],
)
def test_a_row_that_lacks_what_the_judge_needs_is_not_asked(settings, rows, name, row, reason):
    asked, model = judge(settings, verdict("yes"))
    assert judge_scorer(name, asked).score(rows[row], answer()).not_scored == reason
    assert model.requests == []


def test_a_failed_answer_is_not_judged(settings, rows):
    asked, model = judge(settings, verdict("yes"))
    score = judge_scorer("safety", asked).score(rows[0], answer("", state="failed"))
    assert score.not_scored == "answer_failed"
    assert model.requests == []


def test_the_guide_cannot_judge(settings):
    from llmflowlab.providers.guide.provider import GuideProvider

    with pytest.raises(InputError, match="no language model"):
        Judge(GuideProvider("docs", settings), policy=QUICK, metering=metering(settings))


def test_a_judgement_is_known_by_what_it_depends_on(settings, rows):
    asked, _ = judge(settings, verdict("yes"))
    scorer = judge_scorer("correctness", asked)
    key = scorer.key(rows[0], answer("Paris"))
    assert key == scorer.key(rows[0], answer("Paris", latency=9.0))
    assert key != scorer.key(rows[0], answer("Rome"))
    assert key != scorer.key(rows[1], answer("Paris"))
    assert key != judge_scorer("safety", asked).key(rows[0], answer("Paris"))


@pytest.mark.parametrize("name", GRADED)
@pytest.mark.parametrize(
    ("said", "value"), [(1, 0.0), (2, 0.25), (5, 1.0), ("4", 0.75), ("3/5", 0.5)]
)
def test_a_grade_from_1_to_5_becomes_a_score_from_0_to_1(settings, rows, name, said, value):
    asked, _ = judge(settings, verdict(said))
    score = judge_scorer(name, asked).score(rows[0], answer("Paris"))
    assert score.value == value


@pytest.mark.parametrize("said", [0, 6, 2.5, "good", True, None])
def test_a_grade_outside_the_scale_is_no_grade(settings, rows, said):
    asked, _ = judge(settings, verdict(said))
    score = judge_scorer(GRADED[0], asked).score(rows[0], answer("Paris"))
    assert (score.value, score.not_scored) == (None, "judge_unparseable")


def test_a_broken_form_is_put_right_once_and_both_calls_are_counted(settings, rows):
    model = TableModel("judge", settings, {"What is the capital": "yes, it is"})
    model.answers["cannot be read"] = verdict("yes")
    asked = Judge(model, policy=QUICK, metering=metering(settings))
    score = judge_scorer("correctness", asked).score(rows[0], answer("Paris"))
    words = 3 + len(verdict("yes").split())
    assert (score.value, score.prompt_tokens, score.completion_tokens) == (1.0, 20, words)
    assert [message.role for message in model.requests[1].messages] == ["user", "assistant", "user"]
    assert model.requests[1].messages[1].content == "yes, it is"


def test_a_repair_that_fails_leaves_the_cost_of_the_first_call(settings, rows):
    model = TableModel("judge", settings, {"What is the capital": "yes, it is"})
    model.answers["cannot be read"] = ConnectionFailed("nothing answers", provider="table")
    asked = Judge(model, policy=QUICK, metering=metering(settings))
    score = judge_scorer("correctness", asked).score(rows[0], answer("Paris"))
    assert (score.not_scored, score.prompt_tokens) == ("judge_unparseable", 10)
