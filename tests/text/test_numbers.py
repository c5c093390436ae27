import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmflowlab.text.numbers import Noun, NumberRank, Unit, read_numbers
from llmflowlab.text.numbers.canonical import LONGEST, canonical
from llmflowlab.text.numbers.cldr import currency_codes, decimal_sign
from llmflowlab.text.numbers.digits import convention_of, values
from llmflowlab.text.numbers.unit_table import TABLE
from llmflowlab.text.numbers.units import named, symbolised

ROOT = Path(__file__).parents[2]


def chosen(text, language=None):
    """Return value and unit of the number that a text gives as its answer."""
    answer = read_numbers(text, language=language).answer()
    return None if answer is None else answer.given[0].first


@pytest.mark.parametrize(
    ("run", "language", "wanted"),
    [
        ("1,50,000", "en", [(150000, True)]),
        ("1.234", "de", [(1234, True)]),
        ("1.234", "en", [(Fraction("1.234"), True)]),
        ("1.234", "es-MX", [(Fraction("1.234"), True)]),
        ("1.234", None, [(Fraction("1.234"), True), (1234, False)]),
        ("1,234", "xx", [(1234, True), (Fraction("1.234"), False)]),
        ("0.123", "de", [(Fraction("0.123"), True)]),
        ("1'234'567.5", "de-CH", [(Fraction("1234567.5"), True)]),
        ("192.168.0.1", "en", []),
        ("1.23.456", "de", []),
        ("1,23,45", "en", []),
        ("9" * 301, "en", []),
    ],
)
def test_digits_are_read_as_their_language_separates_them(run, language, wanted):
    assert values(run, convention_of(run, language)) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("x\u00b2", "x^2"),
        ("10\u207b\u00b3", "10^-3"),
        ("1\u00bd", "1 1/2"),
        ("\u0663\u066b\u0661\u0664", "3\u066b14"),
        ("\uff11\uff0c\uff12\uff13\uff14", "1,234"),
        ("\u2067\u200f-5\u2069", "-5"),
        ("20\u2103", "20°C"),
        ("5\u338f", "5kg"),
        (r"1\,234", "1\u00a0234"),
        (r"$\frac{1}{2}$", " 1/2  "),
        ("costs $5 and $6", "costs $5 and $6"),
        ("2**3 is **8**", "2**3 is 8"),
    ],
)
def test_every_script_becomes_one_way_of_writing(text, wanted):
    assert canonical(text) == wanted


@pytest.mark.parametrize("entry", TABLE, ids=lambda e: e.symbols or e.names)
def test_every_unit_of_the_table_is_found_by_its_symbols_and_names(entry):
    for symbol in entry.symbols.split():
        assert any(u.dimension for u in symbolised(symbol)), symbol
    for name in filter(None, entry.names.split(",")):
        for form in name.split("/"):
            assert named(form) is not None, form


@pytest.mark.parametrize(
    ("symbol", "base"),
    [
        ("MB", 8 * 10**6),
        ("MiB", 8 * 2**20),
        ("GB", 8 * 10**9),
        ("Mb", 10**6),
        ("kWh", 3_600_000),
        ("km", 1000),
        ("μm", Fraction(1, 10**6)),
        ("mmHg", Fraction("133.322387415")),
        ("ly", 9460730472580800),
    ],
)
def test_a_unit_is_so_many_of_the_base_unit(symbol, base):
    assert symbolised(symbol)[0].factor == base


@pytest.mark.parametrize(
    ("one", "other"),
    [("20 °C", "68 °F"), ("0 K", "-273.15 °C"), ("100 °C", "212 °F"), ("-40 °C", "-40 °F")],
)
def test_temperatures_have_their_own_zero(one, other):
    first, second = chosen(one), chosen(other)
    assert first.unit.base(first.value) == second.unit.base(second.value)


def test_every_iso_code_is_a_currency_of_its_own():
    seen = set()
    for code in sorted(currency_codes()):
        found = chosen(f"20 {code}")
        assert isinstance(found.unit, Unit), code
        seen.add(found.unit.dimension)
    assert len(seen) == len(currency_codes()) > 250


@pytest.mark.parametrize(
    ("text", "rank"),
    [
        ("1. Paris", NumberRank.NUMBERING),
        ("as shown [12].", NumberRank.NUMBERING),
        ("the 3rd", NumberRank.LABEL),
        ("step 3", NumberRank.LABEL),
        ("Figure 2", NumberRank.LABEL),
        ("May 5", NumberRank.LABEL),
        ("in 2020", NumberRank.YEAR),
        ("2020", NumberRank.PLAIN),
        ("5 km", NumberRank.PLAIN),
    ],
)
def test_a_number_has_a_rank(text, rank):
    assert read_numbers(text, language="en").found[-1].rank is rank


@pytest.mark.parametrize(
    "text",
    [
        *("2024-05-01", "01.05.2024", "5/1/2024", "14:30", "v1.2.3", "192.168.0.1", "COVID-19"),
        *("H2O", "+1 555 123 4567", "(555) 123-4567", "https://example.org/42", "me42@example.org"),
        *("0x1F", "A4", "the 1990s", "24/7", "978-3-16-148410-0"),
    ],
)
def test_what_only_looks_like_a_number_is_none(text):
    assert read_numbers(text, language="en").found == ()


def test_an_unknown_unit_is_kept_as_a_word():
    assert chosen("7 wugs").unit == Noun(("wugs",))
    assert chosen("7 is the answer").unit is None


LONG = {
    "digits": "1" * 200_000,
    "separators": "1," * 100_000,
    "points": "1.2.3.4." * 25_000,
    "spaced digits": "1 " * 100_000,
    "blanks": " " * 200_000 + "5",
    "boxes": "\\boxed{" * 30_000,
    "fractions": "\\frac{" * 40_000,
    "braces": "{" * 200_000,
    "dollars": "$" * 200_000,
    "brackets": "(" * 200_000 + "5",
    "addresses": "a" * 100_000 + "@" + "b" * 100_000,
    "cues": "the answer " * 20_000,
    "fields": '"answer": ' * 20_000,
    "minus signs": "-" * 200_000,
    "either signs": "±3 " * 60_000,
    "boxed formulas": "\\boxed{x+1} " * 20_000,
    "a boxed formula": "\\boxed{" + "x+" * 100_000,
    "units apart": "\\text{m} / " + "m / " * 50_000,
    "denials": "I don't think it is 42. " * 9_000,
    "wide gaps": "5        " * 20_000,
    "dates": "July 4, 1776 " * 15_000,
}


@pytest.mark.parametrize("name", sorted(LONG))
def test_of_a_long_text_a_bounded_part_is_read(name):
    text = LONG[name]
    assert len(canonical(text)) <= 2 * LONGEST
    found = read_numbers(text, language="en").found
    assert len(found) <= LONGEST
    assert all(0 <= one.start <= one.end <= 2 * LONGEST for one in found)


def test_the_end_of_a_long_text_counts():
    assert chosen("word " * 100_000 + "The answer is 42.").value == 42


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(max_size=80)
    | st.text(alphabet="0123456789.,'-–+/%$€kme×^eE:()[]{}\\ frac π√½²万億of=±<>\n", max_size=60),
    language=st.sampled_from(
        ["en", "de", "fr", "ja", "ar", "hi", "xx", "", None, "de-XX", "zh-Hant"]
    ),
)
def test_any_text_can_be_read(text, language):
    numbers = read_numbers(text, language=language)
    starts = [one.start for one in numbers.found]
    assert starts == sorted(starts)
    numbers.answer()


def test_cldr_is_loaded_only_when_a_number_is_read():
    code = (
        f"import sys; sys.path[:] = {sys.path!r}; "
        "import llmflowlab.text.numbers as n; assert 'babel' not in sys.modules; "
        "n.read_numbers('5 km'); assert 'babel' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_language_that_cldr_does_not_know_has_no_decimal_sign():
    assert decimal_sign("xx") is None
    assert decimal_sign(None) is None
    assert decimal_sign("de-XX") == ","
