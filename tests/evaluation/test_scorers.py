import pytest

from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC
from tests.evaluation.helpers import answer, dataset


def row(tmp_path, expected, language="en"):
    return dataset(tmp_path, f'question,answer,language\nQ,"{expected}",{language}\n').rows[0]


@pytest.mark.parametrize(
    ("scorer", "given", "expected", "value"),
    [
        pytest.param("exact_match", "The Paris.", "paris", 1.0, id="exact-normalised"),
        pytest.param("exact_match", "It is Paris", "Paris", 0.0, id="exact-sentence"),
        pytest.param("contains", "It is Paris, of course", "Paris", 1.0, id="contains"),
        pytest.param("contains", "It is 18", "8", 0.0, id="contains-whole-tokens-only"),
        pytest.param("contains", "York New", "New York", 0.0, id="contains-in-order"),
        pytest.param("token_f1", "red green", "red blue", 0.5, id="f1-half"),
        pytest.param("token_f1", "red red red", "red", 0.5, id="f1-repetition-costs-precision"),
        pytest.param("token_f1", "nothing alike", "red", 0.0, id="f1-none"),
    ],
)
def test_scorers_give_the_value_of_their_definition(tmp_path, scorer, given, expected, value):
    score = DETERMINISTIC[scorer].score(row(tmp_path, expected), answer(given))
    assert score.value == pytest.approx(value)
    assert score.not_scored is None


@pytest.mark.parametrize("scorer", DETERMINISTIC)
def test_a_row_without_expected_answer_is_not_scored(tmp_path, scorer):
    score = DETERMINISTIC[scorer].score(row(tmp_path, ""), answer("anything"))
    assert (score.value, score.not_scored) == (None, "no_expected_answer")


@pytest.mark.parametrize("scorer", DETERMINISTIC)
@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("failed", "answer_failed"),
        ("incomplete", "answer_incomplete"),
        ("budget_exhausted", "budget_exhausted"),
    ],
)
def test_a_row_without_whole_answer_is_not_scored_even_if_its_text_fits(
    tmp_path, scorer, state, reason
):
    score = DETERMINISTIC[scorer].score(row(tmp_path, "Paris"), answer("Paris", state=state))
    assert (score.value, score.not_scored) == (None, reason)
