import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmflowlab.text.normalise import Rules, normalise, tokenise


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        pytest.param("The  Eiffel Tower!", "en", "eiffel tower", id="articles-and-punctuation"),
        pytest.param("Der Rhein", "de", "rhein", id="german-article"),
        pytest.param("l’eau", "fr", "eau", id="french-elision"),
        pytest.param("El Quijote.", "es-MX", "quijote", id="region-is-ignored"),
        pytest.param("Ｆｕｌｌ ｗｉｄｔｈ", None, "full width", id="nfkc"),
        pytest.param("STRASSE", "de", "strasse", id="casefold"),
        pytest.param("İstanbul", "tr", "istanbul", id="turkish-capital"),
        pytest.param("東京", "ja", "東 京", id="unspaced-script"),
        pytest.param("+", None, "+", id="symbol-alone-stays"),
        pytest.param("A", "en", "A", id="article-alone-is-a-name"),
        pytest.param("?!", None, "?!", id="punctuation-alone-stays"),
        pytest.param("-5", None, "-5", id="minus-sign-stays"),
        pytest.param("covid-19", None, "covid 19", id="hyphen-goes"),
        pytest.param("50%", None, "50%", id="percent-stays"),
        pytest.param("", None, "", id="empty"),
    ],
)
def test_texts_are_compared_in_one_form(text, language, expected):
    assert normalise(text, language=language) == expected


def test_a_decimal_point_keeps_numbers_apart():
    assert normalise("3.14") != normalise("314")
    assert normalise("1,000", language="de") != normalise("1000.")


def test_commas_between_words_do_not_join_them():
    assert tokenise("red,green") == ["red", "green"]


@settings(max_examples=500, deadline=None)
@given(
    text=st.text(max_size=60) | st.text("aAbBxX01.,!?*+-−–/=#&@%^()[]$€_:\\ \n'’IloO", max_size=20),
    language=st.sampled_from(["en", "de", "fr", "zh", None]),
)
@example(text="0\x1f²", language="en")
def test_normalising_twice_changes_nothing(text, language):
    once = normalise(text, language=language)
    assert normalise(once, language=language) == once


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        (Rules(case=False), "Ｔ. the cat"),
        (Rules(unicode=False), "The ｃat"),
        (Rules(punctuation=False), "the 'cat'"),
        (Rules(articles=False), "the cat"),
    ],
)
def test_a_step_that_is_switched_off_leaves_the_difference(rules, kept):
    assert normalise(kept) != normalise(kept, rules=rules)
