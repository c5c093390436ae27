"""Which option an answer chooses, in every form and language that the page claims."""

from collections import Counter
from pathlib import Path

from llmflowlab.evaluation.scorers.choosing import chosen_letter

OPTIONS = {"A": "red", "B": "blue", "C": "green", "D": "yellow"}


def battery():
    file = Path(__file__).parent / "batteries" / "choices.txt"
    for line in file.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            language, letter, said = line.split("|", 2)
            yield language, None if letter == "-" else letter, said.replace("\\n", "\n")


CASES = list(battery())


def read(language, said, options=OPTIONS):
    return chosen_letter(said, options, language=language)


def test_the_battery_is_wide_enough():
    languages = Counter(language for language, _, _ in CASES)
    assert len(CASES) >= 220
    assert len(languages) >= 10
    assert min(languages.values()) >= 9
    assert sum(letter is None for _, letter, _ in CASES) >= 80


def test_of_all_choices_97_percent_are_read_right():
    wrong = [
        (language, said, letter, found)
        for language, letter, said in CASES
        if (found := read(language, said)) != letter
    ]
    assert len(wrong) <= 0.03 * len(CASES), "\n".join(map(str, wrong))


def test_no_letter_is_taken_that_nobody_chose():
    taken = [
        (language, said, found)
        for language, letter, said in CASES
        if (found := read(language, said)) not in (letter, None)
    ]
    assert not taken, "\n".join(map(str, taken))
