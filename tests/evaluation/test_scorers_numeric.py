"""`numeric_match` on many numbers in many languages; the battery stands in tests/text."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from babel.numbers import format_compact_decimal, format_currency, format_decimal
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.scorers.base import parse_scorer
from llmflowlab.evaluation.scorers.kinds import build_text_scorer
from tests.evaluation.helpers import answer

BATTERY = json.loads(
    (Path(__file__).parents[1] / "text" / "numbers_battery.json").read_text(encoding="utf-8")
)
LEAST_RIGHT = 0.97
LOCALES = (
    "en",
    "de",
    "fr",
    "es",
    "it",
    "pt",
    "ru",
    "zh",
    "ja",
    "ar",
    "hi",
    "ko",
    "pl",
    "tr",
    "de_CH",
    "en_IN",
    "bn",
)


def outcome(expected, said, language=None, *, scorer="numeric_match", question="Q?"):
    """Return the value of an answer, or why it has none."""
    asked = Row(
        index=0, line=2, id="1", question=question, expected=expected, language=language, source={}
    )
    found = build_text_scorer(parse_scorer(scorer)).score(asked, answer(said))
    return found.value if found.not_scored is None else found.not_scored


def test_the_battery_is_large_enough_to_say_something():
    languages = Counter((entry["language"] or "none")[:2] for entry in BATTERY)
    assert {"en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "ar", "hi", "ko"} <= set(
        languages
    )
    assert sum(len(entry["right"]) for entry in BATTERY) >= 320
    assert all(entry["right"] and entry["wrong"] for entry in BATTERY)


def test_numbers_of_the_battery_are_read_right():
    pairs = [(e["expected"], said, e["language"]) for e in BATTERY for said in e["right"]]
    missed = [pair for pair in pairs if outcome(*pair) != 1.0]
    assert len(missed) <= (1 - LEAST_RIGHT) * len(pairs), missed


def test_no_wrong_answer_of_the_battery_passes():
    pairs = [(e["expected"], said, e["language"]) for e in BATTERY for said in e["wrong"]]
    assert [pair for pair in pairs if outcome(*pair) == 1.0] == []


def test_wrong_answers_are_told_from_undecidable_ones():
    pairs = [(e["expected"], said, e["language"]) for e in BATTERY for said in e["wrong"]]
    open_ = [pair for pair in pairs if outcome(*pair) == "undecidable"]
    assert len(open_) <= 0.05 * len(pairs), open_


numbers = st.decimals(min_value=-(10**12), max_value=10**12, places=4, allow_nan=False).filter(
    lambda n: n != 0
)


@settings(max_examples=300, deadline=None)
@given(number=numbers, locale=st.sampled_from(LOCALES))
def test_a_number_written_by_cldr_is_read_back(number, locale):
    written = format_decimal(number, format="#,##0.####", locale=locale)
    in_own_digits = format_decimal(
        number, locale=locale, decimal_quantization=False, numbering_system="default"
    )
    plain = (
        f"{number:f}"
        if locale.startswith(("en", "zh", "ja", "ko", "hi", "bn"))
        else f"{number:f}".replace(".", ",")
    )
    language = locale.replace("_", "-")
    if locale in ("ar", "de_CH"):
        plain = f"{number:f}"
    assert outcome(plain, in_own_digits, language) == 1.0
    if not (locale == "de_CH" or locale == "en_IN"):
        assert outcome(plain, written, language) == 1.0


@settings(max_examples=150, deadline=None)
@given(
    leading=st.integers(min_value=1, max_value=999),
    power=st.sampled_from([6, 9, 12]),
    locale=st.sampled_from(
        ["en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "ar", "hi", "ko"]
    ),
)
def test_a_number_with_cldrs_scale_word_is_read_back(leading, power, locale):
    number = leading * 10**power
    written = format_compact_decimal(
        number,
        format_type="short" if locale in ("zh", "ja", "ko") else "long",
        locale=locale,
        fraction_digits=6,
    )
    assert outcome(str(number), written, locale) == 1.0
    assert outcome(str(number * 10), written, locale) != 1.0


@settings(max_examples=150, deadline=None)
@given(
    number=st.decimals(min_value=1, max_value=10**7, places=2, allow_nan=False),
    currency=st.sampled_from(
        ["USD", "EUR", "GBP", "JPY", "INR", "PLN", "HUF", "CHF", "BRL", "KRW"]
    ),
    locale=st.sampled_from(
        ["en", "de", "fr", "es", "it", "pt", "ru", "zh", "ja", "hi", "ko", "pl"]
    ),
)
def test_money_written_by_cldr_is_that_money_and_no_other(number, currency, locale):
    written = format_currency(number, currency, locale=locale, currency_digits=False)
    comma = locale in ("de", "fr", "es", "it", "pt", "ru", "pl")
    plain = f"{number:f}".replace(".", ",") if comma else f"{number:f}"
    assert outcome(f"{plain} {currency}", written, locale) == 1.0
    other = "SEK" if currency != "SEK" else "NOK"
    assert outcome(f"{plain} {other}", written, locale) != 1.0


UNITS = {
    "length": ("m", "km", "mm", "ft", "miles", "inches"),
    "mass": ("kg", "g", "mg", "lb", "tonnes"),
    "time": ("s", "min", "h", "days"),
    "area": ("m²", "km²", "ha", "acres"),
    "volume": ("L", "mL", "m³"),
    "speed": ("km/h", "m/s", "mph"),
    "density": ("kg/m³", "g/cm³"),
    "energy": ("J", "kWh", "kcal"),
    "power": ("W", "MW", "hp"),
    "pressure": ("Pa", "bar", "psi"),
    "temperature": ("K", "°C", "°F"),
    "voltage": ("V", "mV"),
    "current": ("A", "mA"),
    "resistance": ("Ω", "kΩ"),
    "frequency": ("Hz", "GHz"),
    "data": ("MB", "GiB", "kbit"),
    "share": ("%", "‰"),
    "points": ("percentage points",),
    "USD": ("USD",),
    "EUR": ("EUR", "€"),
    "PLN": ("PLN",),
    "wugs": ("wugs",),
    "apples": ("apples",),
}


@settings(max_examples=300, deadline=None)
@given(
    number=st.integers(min_value=1, max_value=10**6),
    one=st.sampled_from(sorted(UNITS)),
    other=st.sampled_from(sorted(UNITS)),
    data=st.data(),
)
def test_units_of_different_dimensions_never_agree(number, one, other, data):
    assume(one != other)
    first, second = data.draw(st.sampled_from(UNITS[one])), data.draw(st.sampled_from(UNITS[other]))
    assert outcome(f"{number} {first}", f"{number} {second}") == 0.0
    assert outcome(f"{number} {first}", f"The answer is {number} {first}.") == 1.0


@settings(max_examples=200, deadline=None)
@given(
    number=st.decimals(min_value="0.001", max_value=10**9, places=3, allow_nan=False).filter(bool),
    unit=st.sampled_from(["", " kg", " m/s", " €", "%", " wugs"]),
    said=st.sampled_from(
        ["{}", "The answer is {}.", "= {}", "\\boxed{{{}}}", '{{"answer": "{}"}}']
    ),
)
def test_a_flipped_sign_never_agrees(number, unit, said):
    plain = f"{number:f}{unit}"
    assert outcome(f"-{plain}", said.format(plain), "en") == 0.0
    assert outcome(plain, said.format(f"-{plain}"), "en") == 0.0
    assert outcome(plain, said.format(plain), "en") == 1.0


@settings(max_examples=200, deadline=None)
@given(
    number=st.integers(min_value=1, max_value=10**6),
    power=st.sampled_from([-6, -3, -2, -1, 1, 2, 3, 6]),
    unit=st.sampled_from(["", " km", " MB", " USD", " apples"]),
)
def test_another_power_of_ten_never_agrees(number, power, unit):
    scaled = f"{number}e{power}{unit}"
    assert outcome(f"{number}{unit}", scaled, "en") == 0.0
    assert outcome(scaled, scaled, "en") == 1.0


@pytest.mark.parametrize(
    ("expected", "said", "language", "wanted"),
    [
        # A point before three digits, and no language: a German 1234 or an English 1.234.
        ("1234", "1.234", None, "undecidable"),
        ("1234", "1.234", "de", 1.0),
        ("1234", "1.234", "en", 0.0),
        # The text's own clear number tells.
        ("1234", "Von 2.500,50 bleiben 1.234", None, 1.0),
        ("1.234", "1234", None, 0.0),
        # A share may be meant.
        ("0.45", "0.45%", None, "undecidable"),
        ("0.45", "45%", None, 1.0),
        # The value of a root, or of a sum not carried out, was not said.
        ("4", "2 + 2", None, "undecidable"),
        ("1.414", "√2", None, "undecidable"),
        # Two statements, neither taken back.
        ("4", "Answer: 4\nAnswer: 5", None, "undecidable"),
        ("4", "Answer: 3\nAnswer: 5", None, 0.0),
        ("5", "Answer: 4. Wait, actually the answer is 5.", None, 1.0),
        ("4", "Answer: 4. Wait, actually the answer is 5.", None, 0.0),
        # A range is neither of its ends; a change may be meant by "from ... to".
        ("10", "5–10", None, 0.0),
        ("10", "The price rose from 5 to 10.", None, "undecidable"),
        ("5 CAD", "$5", None, "undecidable"),
        ("5 USD", "$5", None, 1.0),
        ("5 MXN", "$5", "es-MX", 1.0),
        ("2 tonnes", "2 tons", None, "undecidable"),
        ("-50", "(50)", None, "undecidable"),
        ("-50 USD", "(50)", None, "undecidable"),
        # A field of JSON is written as JSON writes numbers, in every language.
        ("1,234", '{"answer": 1.234}', "de", 1.0),
        ("1.234", '{"answer": 1.234}', "de", 0.0),
        ("1.234", '{"answer": "1.234"}', "de", 1.0),
    ],
)
def test_what_can_be_understood_in_two_ways_is_not_scored(expected, said, language, wanted):
    assert outcome(expected, said, language) == wanted


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("In what year did Apollo 11 land?", 1.0),
        ("Wann landete Apollo 11?", 1.0),
        ("Q?", "undecidable"),
    ],
)
def test_a_year_is_the_answer_where_a_year_is_asked_for(question, wanted):
    said = "Apollo 11 landed in 1969."
    assert outcome("1969", said, question=question) == wanted
    assert outcome("1970", said, question=question) == 0.0


def test_the_options_decide_what_a_unit_counts_for():
    assert outcome("5 km", "5", scorer="numeric_match:units=strict") == 0.0
    assert outcome("5 apples", "5 pears", scorer="numeric_match:units=ignore") == 1.0
    assert outcome("20 °C", "20.4 °C", scorer="numeric_match:absolute=0.5") == 1.0
    assert outcome("20 °C", "68.9 °F", scorer="numeric_match:absolute=0.5") == 1.0
    # Relative to 20 °C, not to its distance from absolute zero.
    assert outcome("20 °C", "22 °C", scorer="numeric_match:relative=0.05") == 0.0
    assert outcome("3", "between 2-3", scorer="numeric_match:which=any") == 1.0
    assert outcome("5", "not 5 but 6", scorer="numeric_match:which=any") == 0.0


PAGE = Path(__file__).parents[2] / "docs" / "scorers" / "numeric_match.md"


def page_rows():
    """Return language, expected, accepted and refused answers of the page's table."""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 5 and cells[2].startswith("`"):
            language, expected, accepted, refused = cells[1:]
            # "`a` then `b`" are two lines of one answer.
            lists = [
                ["\n".join(re.findall(r"`([^`]+)`", one)) for one in cell.split(" · ")]
                for cell in (expected, accepted, refused)
            ]
            yield language or None, lists[0][0], lists[1], lists[2]


@pytest.mark.parametrize(("language", "expected", "accepted", "refused"), list(page_rows()))
def test_the_page_says_what_is_read(language, expected, accepted, refused):
    assert [said for said in accepted if outcome(expected, said, language) != 1.0] == []
    assert [said for said in refused if outcome(expected, said, language) == 1.0] == []


def test_the_page_has_a_line_for_each_kind_of_number():
    assert len(list(page_rows())) >= 25


@pytest.mark.parametrize(
    ("expected", "said", "language", "found"),
    [
        ("12 \u03bcg", "12 mcg", "en", 1.0),
        ("12 mg", "12 mcg", "en", 0.0),
        ("42", "42 w\u00e4re falsch", "de", 0.0),
        ("90 min", "1 Std. 30 Min.", "de", 1.0),
        ("1.5 h", "1 hr. 30 min.", "en", 1.0),
        ("5.3 cm", "It is 5 cm. 3 mm is the depth.", "en", 0.0),
        ("44 BC", "44 BCE", "en", 1.0),
        ("44 BC", "44 v. Chr.", "de", 1.0),
        ("44 BC", "44 av. J.-C.", "fr", 1.0),
        ("44 BC", "44 n. Chr.", "de", 0.0),
        ("44 BC", "44 AD", "en", 0.0),
        ("1200 BC", "1200 AD", "en", 0.0),
        ("1200 BC", "1200 CE", "en", 0.0),
        ("AD 476", "476 BC", "en", 0.0),
        ("1066", "1066 BC", "en", 0.0),
        ("1066", "1066 AD", "en", 1.0),
        ("1200 BC", "It fell in 1200 BC after 3 wars.", "en", 1.0),
        ("753 BC", "\u516c\u5143\u524d753\u5e74", "zh", 1.0),
        ("3", "3 [95% CI 2, 4]", "en", 1.0),
        ("\u20ac5.20", "5 euros and 20 cents", "en", 1.0),
        ("90 min", "an hour and a half", "en", 1.0),
        ("1500", "fifteen hundred", "en", 1.0),
        ("12", "12, I am 100% sure", "en", 1.0),
        ("12", "12 (confidence: 95%)", "en", 1.0),
        ("12", "12, mit 95 % Sicherheit", "de", 1.0),
        ("100", "12, I am 100% sure", "en", 0.0),
        ("95%", "95% sure", "en", 1.0),
        ("12", "12 (out of 20)", "en", 1.0),
        ("20", "12 (out of 20)", "en", 0.0),
        ("1000000", "1_000_000", "en", 1.0),
        ("4", "4 [^1]", "en", 1.0),
        ("1 h", "3600s", "en", 1.0),
        ("1990", "the 1990s", "en", 0.0),
        ("\u20ac3.50", "3 euros 50", "en", 1.0),
        ("\u20ac3.50", "3 euros 05", "en", 0.0),
        ("12", "I doubt it is 12.", "en", 0.0),
        ("12", "It cannot be 12.", "en", 0.0),
        ("12", "hardly 12", "en", 0.0),
        ("12", "anything but 12", "en", 0.0),
        ("12", "The wrong answer is 12.", "en", 0.0),
        ("12", "I don't know if it is 12", "en", 0.0),
        ("12", "12 \u09a8\u09af\u09bc", "bn", 0.0),
    ],
)
def test_what_stands_around_a_number_does_not_hide_it(expected, said, language, found):
    assert outcome(expected, said, language) == found


@pytest.mark.parametrize(
    ("expected", "said", "language", "found"),
    [
        ("2005", "two thousand and five", "en", 1.0),
        ("2006", "two thousand five", "en", 0.0),
        ("-4", "minus four", "en", 1.0),
        ("50%", "fifty percent", "en", 1.0),
        ("100", "a hundred", "en", 1.0),
        ("1000", "mille", "fr", 1.0),
        ("1000", "tausend", "de", 1.0),
        ("1000", "тысяча", "ru", 1.0),
        ("25", "veinticinco", "es", 1.0),
        ("35", "treinta y cinco", "es", 1.0),
        ("25", "vinte e cinco", "pt", 1.0),
        ("25", "पच्चीस", "hi", 1.0),
        ("25", "خمسة وعشرون", "ar", 1.0),
        ("25", "yirmi beş", "tr", 1.0),
        ("25", "이십오", "ko", 1.0),
        ("7", "答えは七です", "ja", 1.0),
        ("10", "十分好", "zh", 0.0),
        ("4", "There are four apples and 3 pears.", "en", 0.0),
        ("7", "In 1990 there were three; the answer is seven.", "en", "undecidable"),
        ("7", "not seven", "en", 0.0),
        ("0.5", "half", "en", 1.0),
        ("1000000", "百万", "zh", 1.0),
        ("20%", "百分之二十", "zh", 1.0),
        ("1", "one", "en", 1.0),
        ("1", "No one knows.", "en", 0.0),
        ("1", "He is the right one.", "en", "undecidable"),
        ("9", "Un vélo neuf", "fr", "undecidable"),
        ("12", "twelve", "xx", "undecidable"),
        ("7", "\u09b8\u09be\u09a4", "bn", "undecidable"),
        ("7", "...", "bn", 0.0),
        ("1/3", "one third", "en", 1.0),
        ("1/3", "two thirds", "en", 0.0),
        ("3/4", "three quarters", "en", 1.0),
        ("3.5", "three and a half", "en", 1.0),
        ("3.5", "It is 3 and a half.", "en", 1.0),
        ("1.5", "one and a half hours", "en", 1.0),
        ("1.5", "one point five", "en", 1.0),
        ("3.14", "three point one four", "en", 1.0),
        ("12", "a dozen", "en", 1.0),
        ("6", "half a dozen", "en", 1.0),
        ("1/2", "two and a half", "en", 0.0),
        ("1/3", "a third of them", "en", 0.0),
        ("1/4", "a quarter past four", "en", 0.0),
    ],
)
def test_numbers_are_read_in_words(expected, said, language, found):
    assert outcome(expected, said, language) == found
