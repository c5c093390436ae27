"""Which option an answer chooses, in every form and language that the page claims."""

from collections import Counter
from pathlib import Path

import pytest

from llmflowlab.evaluation.scorers.choosing import chosen_letter

GASES = {"A": "carbon", "B": "carbon dioxide", "C": "oxygen", "D": "None of the above"}
NUMBERS = {"A": "3", "B": "4", "C": "5", "D": "12"}
SENTENCES = {
    "A": "Paris is the capital of France",
    "B": "Rome",
    "C": "The Nile",
    "D": "New York City",
}
TRUTH = {"A": "True", "B": "False"}
JAPANESE = {"A": "東京", "B": "京都", "C": "大阪", "D": "名古屋"}
LETTERS = dict.fromkeys("ABCDE", "")
RUSSIAN = {"A": "Москва", "B": "Киев", "C": "Минск"}
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


@pytest.mark.parametrize("said", ["The answer is \u221212", "-12", "x = \u221212"])
def test_a_minus_belongs_to_the_options_number(said):
    options = {"A": "12", "B": "14", "C": "-12", "D": "1.2"}
    assert read("en", said, options) == "C"


def test_a_verdict_alone_may_be_a_part_of_the_options_text():
    options = {"A": "No, because it is cold", "B": "Yes, because it is hot"}
    assert read("en", "A: No.", options) == "A"


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


@pytest.mark.parametrize(
    ("options", "said", "letter"),
    [
        (GASES, "carbon dioxide", "B"),
        (GASES, "It is carbon dioxide.", "B"),
        (GASES, "Plants take in carbon dioxide and give off oxygen.", None),
        (GASES, "carbon", "A"),
        (GASES, "None of the above", "D"),
        (GASES, "The answer is none of the above.", "D"),
        (GASES, "The gas is oxygen, not carbon dioxide.", "C"),
        (GASES, "The answer is B, carbon dioxide.", "B"),
        (GASES, "B carbon dioxide", "B"),
        (GASES, "D) None of the above", "D"),
        (NUMBERS, "2 + 2 = 4", "B"),
        (NUMBERS, "4", "B"),
        (NUMBERS, "The answer is 4.", "B"),
        (NUMBERS, "3 + 1 = 4, so the answer is B.", "B"),
        (NUMBERS, "\\boxed{4}", "B"),
        (NUMBERS, "It is 4.5", None),
        (NUMBERS, "14", None),
        (NUMBERS, "B) 4", "B"),
        (NUMBERS, "C) 4", None),
        (SENTENCES, "Paris", None),
        (SENTENCES, "Rome", "B"),
        (SENTENCES, "Nile", "C"),
        (SENTENCES, "the nile", "C"),
        (SENTENCES, "It flows into the Nile.", "C"),
        (SENTENCES, "New York", None),
        (SENTENCES, "The answer is New York City", "D"),
        (SENTENCES, "Paris is the capital of France", "A"),
        (TRUTH, "True", "A"),
        (TRUTH, "False.", "B"),
        (TRUTH, "The statement is false.", "B"),
        (TRUTH, "true or false", None),
        (JAPANESE, "東京です", "A"),
        (JAPANESE, "答えは京都です。", "B"),
        (JAPANESE, "Bの京都", "B"),
        (JAPANESE, "大阪ではなく名古屋です。", "D"),
        (LETTERS, "The answer is E.", "E"),
        (LETTERS, "E", "E"),
        (LETTERS, "A or E", None),
        (LETTERS, "I would choose D.", "D"),
        (LETTERS, "E la risposta è B", "B"),
        (LETTERS, "C'est la réponse D", "D"),
        (LETTERS, "A resposta é E", "E"),
        (LETTERS, "O gabarito é C", "C"),
        (RUSSIAN, "Москва", "A"),
        (RUSSIAN, "Столица — Москва.", "A"),
        (RUSSIAN, "Не Киев, а Москва.", "A"),
        (RUSSIAN, "Киев или Минск", None),
        (
            LETTERS,
            "Let's evaluate each option.\n\nA) This is true but irrelevant.\nB) This matches the definition.\nC) Not relevant.\nD) Incorrect.\n\nThus, the answer is **B**.",
            "B",
        ),
        (
            LETTERS,
            "Let's evaluate each option.\n\nA) This is true but irrelevant.\nB) This matches the definition.\nC) Not relevant.\nD) Incorrect.",
            None,
        ),
        (LETTERS, "Let x = A + B. Then C = D.", None),
        (LETTERS, "The sets A and B are disjoint, so the answer is C.", "C"),
        (LETTERS, "Point A lies on line B. Answer: D", "D"),
        (LETTERS, "Blood type B is rare.", None),
        (LETTERS, "Figure C shows this.", None),
        (LETTERS, "A student who got a D failed.", None),
        (LETTERS, "Grade B", None),
        (LETTERS, "the letter B", "B"),
        (LETTERS, "Respuesta correcta: c)", "C"),
        (LETTERS, "The correct answer is (A) because ...", "A"),
        (LETTERS, "Answer: A. The other options B, C and D are distractors.", "A"),
        (LETTERS, "A, since B, C and D are wrong", "A"),
        (LETTERS, "I was torn between A and C, but I choose C.", "C"),
        (LETTERS, "The answer is not A, B, or D. It's C.", "C"),
        (LETTERS, "While B is tempting, the answer is C", "C"),
        (LETTERS, "B is tempting but wrong. C.", "C"),
        (LETTERS, "Most people say B, but the correct answer is D.", "D"),
        (LETTERS, "Correct answer: D. Not B.", "D"),
        (LETTERS, "Answer: B (not A)", "B"),
        (LETTERS, "Answer (B)", "B"),
        (LETTERS, "[[B]]", "B"),
        (LETTERS, "The answer is B or, less likely, C.", None),
        (LETTERS, "Answers: B, D", None),
        (LETTERS, "B.D.", None),
        (LETTERS, "Sorry, I can't help with that.", None),
        (LETTERS, "答案：A、B", None),
        (LETTERS, "答案是A和B", None),
        (LETTERS, "答案是A，不是B", "A"),
        (LETTERS, "选A不选B", "A"),
        (LETTERS, "정답은 A와 B입니다", None),
        (LETTERS, "정답은 A이고 B는 틀렸습니다", "A"),
        (LETTERS, "Ответ: A, B", None),
        (LETTERS, "Ответ: A, а не B", "A"),
        (LETTERS, "Die Antwort ist A und B", None),
        (LETTERS, "Antwort: A, nicht B", "A"),
        (LETTERS, "Réponse : A et B", None),
        (LETTERS, "Réponse : A, pas B", "A"),
        (LETTERS, "La respuesta es A y B", None),
        (LETTERS, "answer: A/B", None),
        (LETTERS, "The answer is A... no, B.", "B"),
        (LETTERS, "The answer is A. No wait, it's B.", "B"),
        (LETTERS, "My first guess was A, but it is C", "C"),
    ],
)
def test_texts_of_options_and_arguments_are_read_as_they_are_meant(options, said, letter):
    assert read(None, said, options) == letter


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("A, B, " * 800, None),
        ("A and " * 800, "A"),
        ("answer is the " * 400, None),
        ("B is is " * 600, "B"),
        ("(" * 5000, None),
    ],
    ids=["list", "joined", "links", "verbs", "brackets"],
)
def test_a_text_that_never_ends_is_read(said, letter):
    # Joined letters were tried as a group from each of them: minutes for one answer.
    assert read("en", said) == letter


def test_the_choice_at_the_end_of_a_long_answer_is_read():
    assert read("en", "It could be A or C. " * 2000 + "\n\nThe answer is B.") == "B"
