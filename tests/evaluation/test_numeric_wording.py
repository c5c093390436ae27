"""What the words around a number make of it for `numeric_match`: denials, bounds, dates, formulas, units."""

import pytest

from tests.evaluation.test_scorers_numeric import outcome


@pytest.mark.parametrize(
    ("expected", "said", "wanted"),
    [("1.500", "1500", 1.0), ("1.500", "1,5", 0.0), ("7", "sieben", 1.0), ("sieben", "7", 1.0)],
)
def test_a_row_without_a_language_is_read_in_that_of_its_question(expected, said, wanted):
    question = "Wie viele Einwohner hat die Stadt und wie groß ist sie?"
    assert outcome(expected, said, question=question) == wanted


@pytest.mark.parametrize(
    ("expected", "said", "wanted"),
    [
        ("5", r"\boxed{5 \text{ million}}", 0.0),
        ("5000000", r"\boxed{5 \text{ million}}", 1.0),
        ("2 million", r"\boxed{2 \text{ million}}", 1.0),
        ("5000000", "$5$ million", 1.0),
        ("5", "5  million", 0.0),
        ("5", r"5\,\text{million}", 0.0),
        ("13", r"13 \text{ dozen}", 0.0),
        ("156", r"13 \text{ dozen}", 1.0),
        ("5 million dollars", r"5 \text{ million} \text{ dollars}", 1.0),
        ("5 km", r"\boxed{5} miles", 0.0),
        ("5 km", r"$\boxed{5}$ miles", 0.0),
        ("5 km", r"\boxed{5} km", 1.0),
        ("5", r"\boxed{5} million dollars", 0.0),
        ("5 million dollars", r"\boxed{5} million dollars", 1.0),
        ("20%", r"\boxed{20}\%", 1.0),
        ("5 apples", r"\boxed{5} apples", 1.0),
        ("5 km", r"\boxed{5} because there are 7 miles", 1.0),
        ("5 km", r"\boxed{5} A train is faster.", 1.0),
        ("5 km", "\\boxed{5}\n\nMiles are longer.", 1.0),
        ("3 and 4", r"\boxed{3, 4} km", 1.0),
    ],
)
def test_a_scale_or_unit_counts_behind_latex_and_boxes(expected, said, wanted):
    assert outcome(expected, said, "en") == wanted


@pytest.mark.parametrize(
    ("expected", "said", "language", "wanted"),
    [
        ("20%", "vingt pour cent", "fr", 1.0),
        ("20%", "Il y en a vingt pour cent.", "fr", 1.0),
        ("25%", "vingt-cinq pour cent", "fr", 1.0),
        ("25%", "25 pourcent", "fr", 1.0),
        ("5%", "cinq pour cent", "fr", 1.0),
        ("20%", "venti per cento", "it", 1.0),
        ("20%", "veinte por ciento", "es", 1.0),
        ("20%", "vinte por cento", "pt", 1.0),
        ("100%", "vingt pour cent", "fr", 0.0),
        ("vingt pour cent", "20 %", "fr", 1.0),
        ("100", "On l'a eu pour cent francs.", "fr", 1.0),
    ],
)
def test_a_share_is_read_in_words(expected, said, language, wanted):
    assert outcome(expected, said, language) == wanted


DENIALS = (
    "I don't think it is 42.",
    "I don't think the answer is 42.",
    "I do not believe it is 42.",
    "I wouldn't say 42.",
    "42? No, that's wrong.",
    "You said 42, but that is wrong.",
    "Although the answer seems to be 42, that is wrong.",
    "The answer 42 is a common mistake.",
    "42 would be wrong.",
    "42 can't be right.",
    "42 apples is wrong.",
    "42 seems wrong.",
    "42 is obviously incorrect.",
    "42 (wrong)",
    "Some say 42, but they are wrong.",
    "It would be wrong to say 42.",
    "It is no longer 42.",
    "not quite 42",
    "any number except 42",
    "any real number other than 42",
    "anything other than 42",
    "anything but 42",
    "42 is too high.",
    "The answer: 42 is much too low.",
    r"\boxed{42} is wrong.",
    "x != 42",
    "x!=42",
    r"x \neq 42",
    r"x \ne 42",
)


@pytest.mark.parametrize("said", DENIALS)
def test_a_denied_number_is_no_answer(said):
    assert outcome("42", said, "en") == 0.0


@pytest.mark.parametrize(
    ("expected", "said", "wanted"),
    [
        ("3", r"\boxed{3} is wrong; it is 4", 0.0),
        ("4", r"\boxed{3} is wrong; it is 4", 1.0),
        ("43", "42? No, it is 43.", 1.0),
        ("43", "42 is too high, so it is 43.", 1.0),
        ("5", "5 is the standard error.", 1.0),
        ("5", "All students left but 5 stayed.", 1.0),
        ("42 °C", "42 °C is too high.", 1.0),
        ("5", "The answer 5 is too small to matter.", 1.0),
        ("120", "5!=120", 1.0),
        ("42", "I think it is 42. No doubt about it.", 1.0),
        ("42", "It is 42, and that is right.", 1.0),
    ],
)
def test_what_only_resembles_a_denial_is_none(expected, said, wanted):
    assert outcome(expected, said, "en") == wanted


@pytest.mark.parametrize(
    ("expected", "said", "wanted"),
    [
        *(("1969", said, 0.0) for said in ("before 1969", "after 1969", "It was after 1969.")),
        ("after 1969", "after 1969", 1.0),
        ("1969", "since 1969", 1.0),
        *(("5", said, 0.0) for said in ("5 at most", "5 at least", "5 maximum", "higher than 5")),
        *(("5", said, 0.0) for said in ("a maximum of 5", "a minimum of 5", "upwards of 5")),
        ("5 apples", "5 apples at most", 0.0),
        *(("5", said, 0.0) for said in ("5 and above", "beyond 5", "5<x", r"x \gt 5", r"x \lt 5")),
        ("4", "x = 3 or x = 4", 0.0),
        ("3 or 4", "x = 3 or x = 4", 1.0),
        ("3", "3, at least I think so", 1.0),
        ("5", "The function reaches a maximum of 5.", 1.0),
        ("3", "The function has 3 maximum points.", 1.0),
        ("3", "x = ±3", 0.0),
        ("-3", "x = ±3", 0.0),
        ("3", r"\pm 3", 0.0),
        ("-3", "plus or minus 3", 0.0),
        ("±3", "3", 0.0),
        ("±3", "x = +/-3", 1.0),
        ("±3", "x = 3 and x = -3", 1.0),
        ("±3", "x = -3 or x = 3", 1.0),
        ("±3", "x = 3 or x = 4", 0.0),
        ("3 and -3", r"x = \pm 3", 1.0),
        ("10", "10 plus or minus 0.5", 1.0),
        ("5 out of 10", "5 out of 20", 0.0),
        ("3 of 5", "3 of 4", 0.0),
        ("3 of 5", "3 out of 5", 1.0),
        ("5 out of 10", "5", 1.0),
        ("5", "5 out of 10", 1.0),
        ("5", "After 3 hours he has 5 left.", 1.0),
        ("7", "The answer after rounding is 7", 1.0),
        ("3000", "The answer after 2000 steps is 3000.", 1.0),
    ],
)
def test_a_bound_or_one_of_several_values_is_no_number(expected, said, wanted):
    assert outcome(expected, said, "en") == wanted


@pytest.mark.parametrize(
    ("expected", "said", "language", "found"),
    [
        *[
            (expected, said, language, "expected_unusable")
            for expected, said, language in (
                ("July 4, 1776", "August 2, 1776", "en"),
                ("4 July", "5", "en"),
                ("the 4th of July", "4", "en"),
                ("July 1776", "August 1776", "en"),
                ("May 12", "June 12", "en"),
                ("3. Oktober 1990", "4. Oktober 1990", "de"),
                ("3. Oktober 1990", "4. Oktober 1990", None),
                ("1er octobre 1990", "1", "fr"),
                ("3 de mayo de 1990", "3", "es"),
                ("1990年10月3日", "1990年10月4日", "ja"),
                ("10月3日", "10月4日", "zh"),
                ("1990년 10월 3일", "1990", "ko"),
            )
        ],
        ("1776", "July 4, 1776", "en", 1.0),
        ("in 1776", "July 4, 1776", "en", 1.0),
        ("12th", "12", "en", 1.0),
        ("3日", "3日", "ja", 1.0),
        ("5 apples in May 1990", "5 apples", "en", 1.0),
        ("May 5 km", "5 km", "en", 1.0),
    ],
)
def test_an_expected_date_is_no_number(expected, said, language, found):
    assert outcome(expected, said, language) == found


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("3", r"\boxed{e^3}"),
        ("1", r"\boxed{x+1}"),
        ("1", r"\boxed{y = x + 1}"),
        ("2", r"\boxed{2x + 1}"),
        ("1", r"\boxed{x - 1}"),
        ("3", r"\boxed{3-x}"),
        ("2", r"\boxed{2^x}"),
        ("3", r"\boxed{\frac{3}{x}}"),
        ("3", r"\boxed{\binom{3}{2}}"),
        ("2", r"\boxed{\binom{3}{2}}"),
        ("10", r"\boxed{3_{10}}"),
        ("-3", r"\boxed{|-3|}"),
        ("5", '{"answer": "x + 5"}'),
    ],
)
def test_a_formula_in_a_box_is_none_of_its_numbers(expected, said):
    assert outcome(expected, said, "en") == "undecidable"


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("3", r"\boxed{x = 3}"),
        ("8", r"\boxed{2^3}"),
        ("5", r"\boxed{x_1 = 5}"),
        ("3", r"\boxed{|-3| = 3}"),
        ("4", r"\boxed{a + b = 4}"),
        ("5", r"\boxed{n - 1 = 5}"),
        ("4", r"\boxed{x = 4 \text{ and } y - 1 = 3}"),
        ("3", r"\boxed{\text{(B) } 3}"),
        ("9.8 m/s^2", r"\boxed{9.8 \, \mathrm{m} \cdot \mathrm{s}^{-2}}"),
        ("5 J/(kg·K)", r"\boxed{5 \, \text{J} / (\text{kg} \cdot \text{K})}"),
        ("5 mol/L", r"\boxed{5~\mathrm{mol}/\mathrm{L}}"),
        ("5 USD/h", r"\boxed{\$5/\text{h}}"),
        ("12", r"\boxed{12 \text{ people} / \text{km}^2}"),
        ("3", r"\boxed{3 \pmod{5}}"),
        ("5", "<answer>Option C - 5</answer>"),
        ("5", "<answer>5 apples - A good number</answer>"),
    ],
)
def test_an_equation_or_unit_in_a_box_is_no_formula(expected, said):
    assert outcome(expected, said, "en") == 1.0


@pytest.mark.parametrize(
    ("expected", "said", "wanted"),
    [
        ("160 minutes", "160 minutes, or 2 hours 40 minutes.", 1.0),
        ("160", "160 minutes, or 2 hours 40 minutes.", 1.0),
        ("160", "160 minutes = 2 hours and 40 minutes", 1.0),
        ("5 km", "5 km or 3.1 miles", 1.0),
        ("5", "5 km or 6 km", 0.0),
        ("62 minutes", "1 hour or 62 minutes", 0.0),
        ("3 hours", "160 minutes, or 2 hours 40 minutes, or 3 hours", 0.0),
        ("160", "160 minutes, or 2 hours 40 minutes, or 3 hours", 0.0),
    ],
)
def test_an_alternative_in_another_unit_is_the_same_said_twice(expected, said, wanted):
    assert outcome(expected, said, "en") == wanted


@pytest.mark.parametrize(
    ("expected", "said", "wanted"),
    [
        ("5", "The answer is between 4 and 6, so 5.", 1.0),
        ("5", "The answer is more than 4, so it is 5.", 1.0),
        ("4", "The answer is between 4 and 6, so 5.", 0.0),
        ("12", "The answer is 12, so 3 more than 9.", 1.0),
        ("3", "The answer is 12, so 3 more than 9.", 0.0),
    ],
)
def test_what_a_range_is_narrowed_down_to_is_the_answer(expected, said, wanted):
    assert outcome(expected, said, "en") == wanted
