"""Numbers in prose: separators by language, scale words, fractions, LaTeX, units, currencies, answers."""

from llmflowlab.text.numbers.choice import Answer, Numbers, read_numbers
from llmflowlab.text.numbers.kinds import asks_for_year, could_be_year
from llmflowlab.text.numbers.quantity import Quantity, Rank, Reading
from llmflowlab.text.numbers.unit_text import Noun
from llmflowlab.text.numbers.units import DEGREE, Unit

__all__ = [
    "DEGREE",
    "Answer",
    "Noun",
    "Numbers",
    "Quantity",
    "Rank",
    "Reading",
    "Unit",
    "asks_for_year",
    "could_be_year",
    "read_numbers",
]
