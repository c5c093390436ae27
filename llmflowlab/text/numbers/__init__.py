"""Numbers in prose: separators by language, scale words, fractions, LaTeX, units, currencies, answers."""

from llmflowlab.text.numbers.choice import ChosenNumber, Numbers, read_numbers
from llmflowlab.text.numbers.dates import dates_in
from llmflowlab.text.numbers.number_kinds import asks_for_year, could_be_year
from llmflowlab.text.numbers.quantity import NumberRank, NumberReading, Quantity
from llmflowlab.text.numbers.spelled import has_words, in_digits
from llmflowlab.text.numbers.unit_text import Noun
from llmflowlab.text.numbers.units import DEGREE, Unit

__all__ = [
    "DEGREE",
    "ChosenNumber",
    "Noun",
    "NumberRank",
    "NumberReading",
    "Numbers",
    "Quantity",
    "Unit",
    "asks_for_year",
    "could_be_year",
    "dates_in",
    "has_words",
    "in_digits",
    "read_numbers",
]
