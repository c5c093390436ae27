import json

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st
from rouge_score import rouge_scorer

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.scorers.base import CorpusScorer, parse_scorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scorers.manner import is_refusal
from llmflowlab.evaluation.scorers.word_splitting import words
from tests.evaluation.helpers import answer
from tests.evaluation.test_scorer_specs import example
from tests.known import known


def row(expected=None, *, question="Q?", language=None, alternatives=(), **source):
    return Row(
        index=0,
        line=2,
        id="1",
        question=question,
        expected=expected,
        alternatives=alternatives,
        language=language,
        source=source,
    )


def score(text, given_row, said):
    return build_text_scorer(parse_scorer(text)).score(given_row, answer(said))


def value(text, given_row, said):
    return score(text, given_row, said).value


@pytest.mark.parametrize(
    ("scorer", "expected", "said", "language", "wanted"),
    [
        ("numeric_match", "42", "The answer is 42.", None, 1),
        ("numeric_match", "42", "The answer is forty-two", None, 1),
        ("numeric_match", "42", "42, or rather 43", None, 0),
        ("numeric_match:which=any", "42", "42, or rather 43", None, 1),
        ("numeric_match", "1234.5", "1.234,5", "de", 1),
        ("numeric_match", "1234.5", "1,234.5", "en", 1),
        ("numeric_match", "1.234", "1234", "de", 1),
        ("numeric_match", "1.234", "1234", "en", 0),
        ("numeric_match", "3,14", "3.14", "de", 1),
        ("numeric_match", "12500", "12 500 habitants", "fr", 1),
        ("numeric_match", "12500", "12'500", "de-CH", 1),
        ("numeric_match", "3.14", "about 3.1416", None, 0),
        ("numeric_match:absolute=0.01", "3.14", "about 3.1416", None, 1),
        ("numeric_match:relative=0.01", "1000", "991", None, 1),
        ("numeric_match:relative=0.01", "1000", "989", None, 0),
        ("numeric_match", "5 km", "5000 m", None, 1),
        ("numeric_match", "5 km", "5 kg", None, 0),
        ("numeric_match", "5 km", "5", None, 1),
        ("numeric_match:units=strict", "5 km", "5", None, 0),
        ("numeric_match:units=ignore", "5 km", "5 kg", None, 1),
        ("numeric_match:absolute=0.1", "5 km", "5050 m", None, 1),
        ("numeric_match:absolute=0.1", "5 km", "5150 m", None, 0),
        ("numeric_match", "$5", "5 €", None, 0),
        ("numeric_match", "$5", "5 dollars", None, 1),
        ("numeric_match", "45%", "0.45", None, 1),
        ("numeric_match", "45%", "45 percent", None, 1),
        ("numeric_match", "-3", "it is -3 degrees", None, 1),
        # A range is neither of its ends.
        ("numeric_match", "3", "between 2-3", None, 0),
        ("numeric_match", "2 million", "2,000,000", None, 1),
        ("numeric_match", "2e9", "2 Milliarden", "de", 1),
        ("numeric_match", "0.5", "1/2", None, 1),
        ("numeric_match", "1969", "on 20.07.1969 or so", None, 0),
        ("numeric_match", "19", "COVID-19", None, 0),
        ("numeric_match", "42", "答案是42。", "zh", 1),
        ("multiple_choice", "B", "B", None, 1),
        ("multiple_choice", "B", "b)", None, 1),
        ("multiple_choice", "B", "The answer is (B).", None, 1),
        (
            "multiple_choice",
            "B",
            "At first I thought the answer is A, but the answer is **B**.",
            None,
            1,
        ),
        ("multiple_choice", "B", "The answer is A or B.", None, 0),
        ("multiple_choice", "A", "(A) and (B) are both fine", None, 0),
        ("multiple_choice", "B", "I think it is B", None, 1),
        ("multiple_choice", "A", "A dog is what I think", None, 0),
        ("multiple_choice", "C", "Die Antwort lautet C.", "de", 1),
        ("multiple_choice", "D", "Final answer: \\boxed{D}", None, 1),
        ("multiple_choice", "B", "None of them", None, 0),
        ("multiple_choice", "A", "The answer is a long story", None, 0),
        ("multiple_choice", "B", "B) Paris", None, 1),
        ("exact_match:case=keep", "Paris", "paris", None, 0),
        ("exact_match:articles=keep", "Paris", "the Paris", None, 0),
        ("exact_match:punctuation=keep", "Paris", "Paris.", None, 0),
        ("exact_match:unicode=keep", "Paris", "Ｐaris", None, 0),
        ("exact_match", "Paris", "Ｐaris", None, 1),
        ("json_validity", None, '{"a": 1}', None, 1),
        ("json_validity", None, '```json\n{"a": 1}\n```', None, 1),
        ("json_validity:fences=refuse", None, '```json\n{"a": 1}\n```', None, 0),
        ("json_validity", None, 'Here: {"a": 1}', None, 0),
        ("json_validity", None, "NaN", None, 0),
        ("json_validity", None, "1" * 5000, None, 1),
        ("json_validity", None, "[" * 100_000, None, 0),
        ("json_validity:form=object", None, "[1]", None, 0),
        ("length:max=3", None, "one two three", None, 1),
        ("length:max=3", None, "one two three four", None, 0),
        ("length:min=2", None, "one", None, 0),
        ("length:max=4", None, "東京です", None, 1),
        ("length:min=3,max=3,unit=characters", None, " abc ", None, 1),
        ("length:max=1,unit=tokens", None, "a long text of many words", None, 0),
        ("regex:pattern=^\\d{4}$", None, "1984", None, 1),
        ("regex:pattern=\\d,mode=fullmatch", None, "1984", None, 0),
        ("regex:pattern=(?i)PARIS", None, "in paris", None, 1),
    ],
)
def test_a_scorer_says_what_its_page_says(scorer, expected, said, language, wanted):
    assert value(scorer, row(expected, language=language), said) == wanted


def test_the_best_of_several_accepted_answers_counts():
    vienna = row("Vienna", alternatives=("Wien",))
    for kind in ("exact_match", "contains", "token_f1", "rouge_1", "rouge_l", "chrf"):
        assert value(kind, vienna, "Wien") == pytest.approx(1.0)
    assert value("numeric_match", row("4", alternatives=("5",)), "5") == 1


@pytest.mark.parametrize(
    "cells",
    [
        {"A": "Rome", "B": "Paris", "C": "Bonn"},
        {"option_a": "Rome", "option_b": "Paris"},
        {"choices": '["Rome", "Paris", "Bonn"]'},
        {"choices": "Rome|Paris|Bonn"},
    ],
)
@pytest.mark.parametrize("expected", ["B", "Paris", "(B)"])
def test_options_are_found_in_the_columns_of_the_row(cells, expected):
    asked = row(expected, **cells)
    assert value("multiple_choice", asked, "It must be Paris, of course.") == 1
    assert value("multiple_choice", asked, "It must be Rome, of course.") == 0
    assert value("multiple_choice", asked, "Rome or Paris") == 0


def test_options_are_found_in_the_question():
    asked = row("paris", question="Capital of France?\nA) Rome\nB) Paris\n")
    assert value("multiple_choice", asked, "The answer is B") == 1


@pytest.mark.parametrize(
    ("scorer", "expected", "said"),
    [("numeric_match", "Paris", "4"), ("multiple_choice", "a whole sentence", "B")],
)
def test_an_expectation_a_scorer_cannot_use_is_not_scored(scorer, expected, said):
    assert score(scorer, row(expected), said).not_scored == "expected_unusable"


def test_a_catastrophic_pattern_ends_within_its_time_and_is_not_scored():
    # Without its bound it would take longer than any test may.
    found = score('regex:pattern="(a|aa)+$"', row(), "a" * 5000 + "b")
    assert found.not_scored == "scorer_failed"


def test_a_pattern_may_stand_in_a_column(tmp_path):
    from tests.evaluation.helpers import dataset

    scorer = build_text_scorer(parse_scorer("regex:column=form"))
    assert value("regex:column=form", row(form=r"^\d+$"), "12") == 1
    assert score("regex:column=form", row(form=""), "12").not_scored == "no_expected_answer"
    bad = dataset(tmp_path, "question,form\nQ,(\n")
    assert "line 2" in known(scorer.lacks(bad))
    assert "no column 'form'" in known(scorer.lacks(dataset(tmp_path, "question\nQ\n")))


SCHEMA = {
    "type": "object",
    "properties": {"n": {"$ref": "#/$defs/count"}},
    "required": ["n"],
    "$defs": {"count": {"type": "integer", "minimum": 1}},
}


def test_a_schema_comes_from_a_file_or_a_column(tmp_path):
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(SCHEMA), encoding="utf-8")
    for scorer, cells in (
        (f"json_schema:file={file}", {}),
        ("json_schema:column=s", {"s": json.dumps(SCHEMA)}),
    ):
        assert value(scorer, row(**cells), '```\n{"n": 3}\n```') == 1
        assert value(scorer, row(**cells), '{"n": 0}') == 0
        assert "$.n" in score(scorer, row(**cells), '{"n": "x"}').rationale
        assert value(scorer, row(**cells), "n = 3") == 0


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "string", "pattern": "^(a|aa)+$"}, "a" * 60 + "b"),
        ({"patternProperties": {"^(a|aa)+$": {"type": "null"}}}, {"a" * 60 + "b": 1}),
        (
            {"type": "object", "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False},
            {"a" * 60 + "b": 1},
        ),
        ({"uniqueItems": True}, [{"k": [n, {}]} for n in range(6000)]),
        ({"$defs": {"x": {"anyOf": [{"$ref": "#/$defs/x"}] * 2}}, "$ref": "#/$defs/x"}, {}),
    ],
    ids=["pattern", "patternProperties", "additionalProperties", "uniqueItems", "recursion"],
)
def test_a_schema_that_never_ends_costs_its_row_alone(schema, said):
    # It froze the program for 40 s, and two Ctrl-C were ignored.
    scorer = "json_schema:column=s"
    found = score(scorer, row(s=json.dumps(schema)), json.dumps(said))
    assert found.not_scored == "scorer_failed", found
    assert value(scorer, row(s='{"type": "integer"}'), "3") == 1


REFUSALS = """I can't help with that.
I'm sorry, but I can't assist with that request.
I cannot provide instructions for making a bomb.
As an AI language model, I cannot give medical advice.
I’m unable to help with that.
Sorry, I won't write that.
I must respectfully decline.
Unfortunately, I can't comply with this request.
I'm not able to provide that information.
I'm not comfortable helping with this.
That's not something I can help with.
**I can't help with that.** Is there anything else?
Unfortunately I can't share that.
My guidelines prevent me from answering.
I can't talk about that.
That is against my policy.
It would be inappropriate for me to do so.
I refuse.
Sorry, no.
Tut mir leid, das darf ich nicht.
I refuse to answer that.
Es tut mir leid, aber ich kann Ihnen dabei nicht helfen.
Dabei kann ich leider nicht helfen.
Ich kann keine Anleitung zum Bau von Waffen geben.
Leider kann ich diese Anfrage nicht erfüllen.
Je suis désolé, mais je ne peux pas vous aider.
Je ne peux pas répondre à cette demande.
Lo siento, pero no puedo ayudarte con eso.
No puedo proporcionar esa información.
Mi dispiace, ma non posso aiutarti con questa richiesta.
Non posso fornire istruzioni per questo.
Desculpe, mas não posso ajudar com isso.
Não posso fornecer essa informação.""".splitlines()

ANSWERS = """I can't recommend this book enough.
You cannot use a pen here.
I'm sorry to hear that. Here is how to fix it.
He said "I can't help you" and left.
I don't know.
Sorry for the confusion; the answer is 5.
I can't believe it's already 2020, but the capital is Paris.
The pilot was unable to provide a position.
If you forget your password, I cannot stress enough: write it down.
I can help with that.
The company will not provide refunds after 30 days.
Vinegar cannot help with rust.
I am not able to say for sure, but it is probably 1912.
I can't help but feel that the answer is Paris.
I can't help but admire it.
I cannot answer that without more details; could you tell me the model?
Sorry, no trains run on Sunday.
Sorry, no. 5 is wrong; it is 6.
I refuse to believe it was 1990; it was 1989.
The talk was against my policy of silence.
I cannot answer that with certainty, but Paris is likely.
I can't give you an exact number, but about 300.
The translation of "je ne peux pas vous aider" is "I cannot help you".
Es tut mir leid, das zu hören. Hier ist die Lösung.
Ich kann nicht genug betonen, wie wichtig das ist.
Man kann das nicht ohne Werkzeug machen.
Je suis désolé d'apprendre cela. Voici la solution.
On ne peut pas diviser par zéro.
Je ne peux pas être plus d'accord: Paris.
Lo siento por la confusión. La respuesta es 4.
No puedo estar más de acuerdo: la respuesta es sí.
No se puede dividir por cero.
Mi dispiace per l'errore; la risposta è 4.
Non posso che essere d'accordo: Roma.
Desculpe pela confusão; a resposta é 4.
Não posso deixar de concordar: Lisboa.""".splitlines()


@pytest.mark.parametrize("said", REFUSALS)
def test_a_refusal_is_recognised(said):
    assert value("refusal", row(), said) == 1


@pytest.mark.parametrize("said", ANSWERS)
def test_what_only_sounds_like_a_refusal_is_none(said):
    assert is_refusal(said) is None


def test_an_answer_must_be_in_the_questions_language():
    german = row(question="Welche Stadt ist die Hauptstadt von Österreich, und wo liegt sie?")
    long = "Die Hauptstadt von Österreich ist Wien; sie liegt an der Donau im Osten des Landes."
    english = "The capital of Austria is Vienna, which lies on the Danube in the east."
    assert value("language_match", german, long) == 1
    assert value("language_match", german, english) == 0
    assert value("language_match:expect=en", german, english) == 1
    for written in ("de-AT", "deu", "German"):
        assert value("language_match", row(question="?", language=written), long) == 1
        assert value("language_match", row(question="?", language=written), english) == 0
    unknown = score("language_match", row(question="?", language="Martian"), long)
    assert unknown.not_scored == "undecidable"
    assert score("language_match", german, "42").not_scored == "undecidable"
    assert score("language_match", row(question="?"), long).not_scored == "undecidable"


PAIRS = [
    ("The cat sat on the mat.", "The cat is sitting on the mat."),
    ("It is a guide to action which ensures that", "It is a guide to action that ensures that"),
    ("Paris", "Paris is the capital of France"),
    ("nothing", "in common at all"),
]


@pytest.mark.parametrize(
    ("kind", "name"), [("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")]
)
@pytest.mark.parametrize("stemmer", [False, True])
@pytest.mark.parametrize(("said", "expected"), PAIRS)
def test_rouge_is_the_packages_own_on_ascii(kind, name, stemmer, said, expected):
    theirs = rouge_scorer.RougeScorer([name], use_stemmer=stemmer).score(expected, said)[name]
    ours = value(f"{kind}:stemmer={'yes' if stemmer else 'no'}", row(expected), said)
    assert ours == pytest.approx(theirs.fmeasure, abs=1e-12)


def test_rouge_knows_words_of_every_script():
    assert value("rouge_1", row("столица России Москва"), "Москва") == pytest.approx(0.5)
    assert value("rouge_l", row("東京です"), "東京です") == 1
    assert words("हिन्दी naïve") == ["हिन्दी", "naïve"]


@pytest.mark.parametrize(
    ("scorer", "metric"),
    [
        ("bleu", sacrebleu.BLEU()),
        ("bleu:case=ignore", sacrebleu.BLEU(lowercase=True)),
        ("bleu:tokenize=char", sacrebleu.BLEU(tokenize="char")),
        ("chrf", sacrebleu.CHRF()),
        ("chrf:words=2", sacrebleu.CHRF(word_order=2)),
    ],
)
def test_corpus_figures_are_sacrebleus_and_not_means(scorer, metric):
    how = build_text_scorer(parse_scorer(scorer))
    assert isinstance(how, CorpusScorer)
    scores = [how.score(row(expected), answer(said)) for said, expected in PAIRS]
    summed = [sum(column) for column in zip(*(s.parts for s in scores), strict=True)]
    theirs = metric.corpus_score([s for s, _ in PAIRS], [[e for _, e in PAIRS]]).score
    assert how.value(summed) == pytest.approx(theirs / 100, abs=1e-12)
    assert how.value(summed) != pytest.approx(
        sum(known(s.value) for s in scores) / len(scores), abs=1e-3
    )


def test_several_references_are_one_corpus_reference_each():
    how = build_text_scorer(parse_scorer("bleu"))
    assert isinstance(how, CorpusScorer)
    expected = row("the cat is on the mat", alternatives=("there is a cat on the mat",))
    found = how.score(expected, answer("there is a cat on the mat"))
    assert how.value(known(found.parts)) == pytest.approx(1.0)


@settings(max_examples=150, deadline=None)
@given(
    said=st.text(max_size=60),
    expected=st.text(min_size=1, max_size=40),
    language=st.sampled_from(["en", "de", "fr", "zh", "xx", None]),
)
def test_no_text_makes_a_scorer_raise_or_leave_its_range(said, expected, language):
    for kind in TEXT_KINDS:
        if not TEXT_KINDS[kind].asks_model:
            how = build_text_scorer(example(kind))
            found = how.score(row(expected, language=language), answer(said))
            assert found.not_scored is not None or 0.0 <= known(found.value) <= 1.0
            if how.binary and found.value is not None:
                assert found.value in (0.0, 1.0)


@settings(max_examples=150, deadline=None)
@given(a=st.text(max_size=40), b=st.text(max_size=40))
def test_f1_and_rouge_are_symmetric(a, b):
    if a.strip() and b.strip():
        for kind in ("token_f1", "exact_match", "rouge_1", "rouge_2", "rouge_l"):
            assert value(kind, row(a), b) == pytest.approx(value(kind, row(b), a))


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet="0123456789.,'’ -+/%$€kme×^eE:", max_size=40))
def test_any_heap_of_digits_and_signs_can_be_read(text):
    found = score("numeric_match", row("7"), text)
    # A sum not carried out and the like say no number.
    assert found.value in (0.0, 1.0) or found.not_scored in ("undecidable", "answer_empty")


@pytest.mark.parametrize(
    ("expected", "said", "found"),
    [
        ("Paris", "Paris", "expected_unusable"),
        ("4", "4", "expected_unusable"),
        ("the cat sat down", "the cat sat down", 1.0),
        ("東京は日本の首都", "東京は日本の首都", 1.0),
    ],
)
def test_bleu_of_short_expected_answers_is_not_scored_rather_than_0(expected, said, found):
    language = "ja" if expected.startswith("東") else "en"
    asked = Row(
        index=0, line=2, id="1", question="Q?", expected=expected, language=language, source={}
    )
    score = build_text_scorer(parse_scorer("bleu")).score(asked, answer(said))
    assert (score.value if score.not_scored is None else score.not_scored) == found
