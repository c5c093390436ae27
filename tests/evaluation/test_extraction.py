import json

import pytest

from llmflowlab.data.dataset import Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.scorers.base import CorpusScorer, parse_scorer
from llmflowlab.evaluation.scorers.extraction import NO_FORM
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from tests.evaluation.helpers import answer
from tests.evaluation.test_scorer_specs import OPTIONS
from tests.known import known

STEPS = "First 3, then 4.\n#### 7\nNo, wait.\n#### 42\nThat is it."


def score(scorer, expected, said):
    row = Row(index=0, line=2, id="1", question="?", expected=expected, source={})
    return build_text_scorer(parse_scorer(scorer)).score(row, answer(said))


@pytest.mark.parametrize(
    ("scorer", "said", "value"),
    [
        ("exact_match:extract=####", STEPS, 1.0),
        ("numeric_match:extract=####", STEPS + " 99", 1.0),
        ("exact_match:extract=####", "#### 7", 0.0),
        ('exact_match:extract="after:Final answer:"', "Final answer: 42\nBye", 1.0),
        # Pins: what closes the bold part stood in the answer.
        ('exact_match:extract="after:Final answer:"', "So.\n**Final answer:** 42", 1.0),
        ('exact_match:extract="after:Final answer:"', "**Final answer: 42**\nBye", 1.0),
        ('exact_match:extract="after:Final answer:"', "**Final answer**: 42", 1.0),
        ('exact_match:extract="after:Final answer:"', "**Final answer:**\n42", 1.0),
        ("exact_match:extract=####", "**#### 42**", 1.0),
        ("exact_match:extract=tag:answer", "<answer>7</answer> <ANSWER id='2'> 42 </ANSWER>", 1.0),
        ("exact_match:extract=tag:answer", "<answer>42", 0.0),
        ("exact_match:extract=regex:is (\\d+)", "It is 7; it is 42.", 1.0),
        ("exact_match:extract=regex_first:is (\\d+)", "It is 7; it is 42.", 0.0),
        ("exact_match:extract=regex_first:\\d+", "42 or 7", 1.0),
        ("exact_match:extract=regex:(7)|(42)", "7 42", 1.0),
        ("exact_match:extract=json:$.answer", '{"answer": 42}', 1.0),
        ("exact_match:extract=json:$.a[0].b", '{"a": [{"b": "42"}]}', 1.0),
        ("exact_match:extract=json:$['the answer']", 'So:\n```json\n{"the answer": 42}\n```', 1.0),
        ("exact_match:extract=json:$[-1]", "[7, 42]", 1.0),
        ("exact_match:extract=json:$.answer", 'I say {"answer": 7}, no: {"answer": 42}.', 1.0),
        ("exact_match:extract=json:$.answer", '{"answer": null}', 0.0),
        ("exact_match:case=keep,extract=####", "#### 42", 1.0),
    ],
)
def test_the_part_that_was_asked_for_is_scored(scorer, said, value):
    assert score(scorer, "42", said).value == value


@pytest.mark.parametrize("how", ["####", "tag:answer", "regex:= (\\d+)", "json:$.answer"])
def test_an_answer_without_the_form_is_wrong_and_says_why(how):
    found = score(f"contains:extract={how}", "42", "It is 42.")
    assert (found.value, found.rationale) == (0.0, NO_FORM)


def test_a_row_that_lacks_an_answer_is_not_scored_whatever_the_form():
    assert score("contains:extract=####", None, "42").not_scored == "no_expected_answer"
    assert score("numeric_match:extract=####", "x", "42").not_scored == "expected_unusable"


def test_a_refusal_is_seen_without_the_form():
    assert score("refusal:extract=####", None, "I can't help with that.").value == 1.0
    assert score("refusal:extract=####", None, "I can help. #### 42").value == 0.0


def test_a_pattern_without_end_is_not_scored():
    found = score('exact_match:extract="regex:(a|aa)+$"', "x", "a" * 5000 + "b")
    assert found.not_scored == "scorer_failed"


@pytest.mark.parametrize("kind", [k for k in TEXT_KINDS if not TEXT_KINDS[k].asks_model])
def test_every_text_scorer_takes_an_extraction(kind):
    options = OPTIONS.get(kind)
    text = f"{kind}:{options},extract=####" if options else f"{kind}:extract=####"
    scorer = build_text_scorer(parse_scorer(text))
    plain = build_text_scorer(parse_scorer(f"{kind}:{options}" if options else kind))
    assert (scorer.name, scorer.binary) == (plain.name, plain.binary)
    assert scorer.version != plain.version
    assert isinstance(scorer, CorpusScorer) == isinstance(plain, CorpusScorer)


def test_corpus_figures_count_an_answer_without_the_form_as_an_empty_one():
    row = Row(index=0, line=2, id="1", question="?", expected="the cat is on the mat", source={})
    scorer = build_text_scorer(parse_scorer("bleu:extract=####"))
    assert isinstance(scorer, CorpusScorer)
    there = scorer.score(row, answer("so #### the cat is on the mat"))
    missing = scorer.score(row, answer("the cat is on the mat"))
    assert there.value == pytest.approx(1.0)
    assert missing.value == 0.0
    assert missing.parts == scorer.statistics(row, answer("the cat is on the mat"))
    assert (
        scorer.value([a + b for a, b in zip(known(there.parts), known(missing.parts), strict=True)])
        < 1
    )


@pytest.mark.parametrize(
    "how", ["nonsense", "tag:a b", "regex:(", "json:answer", "json:$..a", "tag:", "after:", "x:y"]
)
def test_an_extraction_that_cannot_be_used_is_one_sentence(how):
    with pytest.raises(InputError) as caught:
        build_text_scorer(parse_scorer(f"contains:extract={how}"))
    assert caught.value.message.startswith("Scorer contains: ")


def test_a_specification_with_an_extraction_outlives_json():
    spec = parse_scorer("x=contains:extract=####")
    assert json.loads(json.dumps(spec.to_json()))["options"] == {"extract": "####"}
