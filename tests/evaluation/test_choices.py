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
CITIES = {"A": "London", "B": "Paris", "C": "Berlin", "D": "Rome"}
YES_NO = {"A": "Yes", "B": "No"}
MAYBE = {"A": "Yes", "B": "No", "C": "Maybe"}
TREND = {"A": "Increase", "B": "Decrease", "C": "Stay the same"}
PETS = {"A": "cats", "B": "dogs", "C": "Both A and B", "D": "Neither A nor B"}


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


@pytest.mark.parametrize(
    "said",
    [
        "B. A is the wrong answer.",
        "**B) Paris**\nA is the wrong answer.",
        "**B) Paris**\nA is the least accurate.",
        "**B) Paris**\nA is no longer correct.",
        "**B) Paris**\nA is the second best answer.",
        "**B) Paris**\nA looks correct, but it isn't.",
        "**B) Paris**\nA is true, but does not answer the question.",
        "**B) Paris**\nA is the right capital of the UK.",
        "**B) Paris**\nI did not choose A because London is in the UK.",
        "The answer is B. A is the wrong answer.",
        "A is the wrong answer. The answer is B.",
        "The answer is B. The wrong answer is A.",
        "The answer is B. I don't think that the answer is A.",
        "A looks right but isn't. B.",
        "B but not A.",
        "Don't pick A, pick B.",
        "There is no reason to choose A. It is B.",
        "A is almost right. Paris.",
        "The answer is B. A is a tempting but wrong choice.",
        "A. Incorrect: London is in the UK.\nB. Correct: it is the capital.",
        "B ist richtig. A ist die falsche Antwort.",
        "Die Antwort ist B. Die falsche Antwort ist A.",
        "B. A est la mauvaise réponse.",
        "La réponse est B. La mauvaise réponse est la A.",
        "La respuesta es B. La incorrecta es A.",
        "B. A es la respuesta incorrecta.",
        "B. A é a resposta errada.",
        "B. A è la risposta sbagliata.",
        "B. A — неправильный ответ.",
        "答案是B。A是错误答案。",
        "الإجابة هي B. A هي الإجابة الخاطئة.",
        "Jawabannya adalah B. A adalah jawaban yang salah.",
    ],
)
def test_a_judgement_on_another_option_takes_no_choice_away(said):
    assert read(None, said, CITIES) == "B"


@pytest.mark.parametrize(
    "said",
    [
        "A is the wrong answer.",
        "A is the worst answer.",
        "A is seldom right.",
        "A is the only incorrect answer.",
        "A would be correct if it were the UK.",
        "A looks correct, but it isn't.",
        "A is true, but does not answer the question.",
        "A is the least accurate.",
        "A is no longer correct.",
        "The wrong answer is A.",
        "A ist die falsche Antwort.",
        "A es la respuesta incorrecta.",
        "A adalah jawaban yang salah.",
    ],
)
def test_an_option_that_is_judged_wrong_is_not_chosen(said):
    assert read(None, said, CITIES) is None


@pytest.mark.parametrize(
    "said",
    [
        "I did not pick A.",
        "I didn't choose A.",
        "I won't choose A.",
        "I wouldn't choose A.",
        "I am not going with A.",
        "You shouldn't choose A.",
        "Nobody would choose A.",
        "I don't think A is right.",
        "I don't think that the answer is A.",
        "It is not true that the answer is A.",
        "I don't believe A.",
        "It won't be A.",
        "It shouldn't be A.",
        "I cannot say B",
        "I can't choose B",
        "I refuse to choose B",
        "I cannot confirm that it is B.",
        "Other than B",
        "any but B",
        "B以外",
        "I can't say Paris.",
        "I don't think Paris is the capital.",
        "Many choose B, but that's a mistake.",
        "You might think B, but no.",
        "It's unlikely to be B.",
        "B isn't the capital.",
        "A... no.",
        "B was rejected.",
        "I don't think Paris or the Rome of old is right.",
        "Between B and C I can't decide.",
        "Ich glaube nicht, dass A richtig ist.",
        "Ich wähle A nicht.",
        "Je ne pense pas que A soit correct.",
        "No creo que A sea correcta.",
        "No elijo A.",
        "Não acho que A esteja correta.",
        "Non credo che A sia corretta.",
        "Я не думаю, что A верно.",
        "我不认为A是正确的。",
        "Bを選びません。",
        "B를 선택하지 않습니다.",
    ],
)
def test_what_nobody_would_choose_is_not_chosen(said):
    assert read(None, said, CITIES) is None


@pytest.mark.parametrize(
    ("options", "said", "letter"),
    [
        (YES_NO, "I have no information about this.", None),
        (YES_NO, "No comment.", None),
        (YES_NO, "There is no clear answer.", None),
        (YES_NO, "I'm sorry, there is no way to know.", None),
        (YES_NO, "It depends, no single answer", None),
        (MAYBE, "I have no idea.", None),
        (MAYBE, "No idea.", None),
        (MAYBE, "No one knows", None),
        (YES_NO, "Yes, no problem", "A"),
        (YES_NO, "There is no doubt: Yes", "A"),
        (YES_NO, "I cannot say yes", None),
        (YES_NO, "No.", "B"),
        (YES_NO, "no", "B"),
        (YES_NO, "No, because it is cold", "B"),
        (YES_NO, "No because it is cold", "B"),
        (YES_NO, "No, it is not.", "B"),
        (YES_NO, "No. The sky is blue.", "B"),
        (YES_NO, "A: No", None),
        (YES_NO, "The answer is no", "B"),
        (YES_NO, "The answer is no.", "B"),
        ({"A": "Sim", "B": "Não"}, "Não sei.", None),
        ({"A": "Да", "B": "Нет"}, "Нет ответа.", None),
        ({"A": "Да", "B": "Нет"}, "Нет, потому что холодно.", "B"),
        (TREND, "It doesn't increase.", None),
        (TREND, "It will increase.", "A"),
    ],
)
def test_a_no_in_front_of_a_noun_is_no_choice(options, said, letter):
    assert read(None, said, options) == letter


@pytest.mark.parametrize(
    "said",
    [
        "A – no",
        "A ❌",
        "❌ A",
        "A (incorrect)",
        "The answer is Paris (option A).",
        "The answer is Paris (A).",
    ],
)
def test_a_mark_against_an_option_or_another_letter_beside_it_chooses_none(said):
    assert read(None, said, CITIES) is None


@pytest.mark.parametrize(
    "said",
    [
        "Between A and B I prefer B.",
        "Correct: B; Incorrect: A, C, D",
        "B is better than A.",
        "Unlike A, B fits.",
        "Unlike A and C, B fits.",
        "Best: B. Second: A.",
        "Correct: B\nIncorrect: A",
        "Of A and B, B is correct.",
        "Among A, B and C, B fits best.",
        "A is less likely than B.",
        "There is no choice but to choose B.",
        "Paris is the capital, but that is not the whole story.",
        "The option that is not a capital is B.",
        "B is not a mammal.",
        "B is the only incorrect statement.",
        "I'm choosing B.",
        "it must be b",
        "A seems right, yet B is the answer.",
        "Between B and C, B is more likely.",
        "it is b",
        "going with b",
        "~~A~~ B",
        "Of the options A, B, C and D, B is correct.",
        "The answer is Paris (option B).",
        "None other than B.",
        "B is right, but it is not easy to see.",
        "B is by far the best answer.",
        "B is most likely the correct option.",
        "I have no doubt that it is B.",
    ],
)
def test_a_choice_among_others_that_are_named_is_read(said):
    assert read(None, said, CITIES) == "B"


@pytest.mark.parametrize(
    ("said", "letter"),
    [
        ("Neither A nor B", "D"),
        ("Neither A nor B.", "D"),
        ("The answer is neither A nor B.", "D"),
        ("D) Neither A nor B", "D"),
        ("It is neither A nor B.", "D"),
        ("Both A and B", "C"),
        ("The answer is both A and B.", "C"),
    ],
)
def test_an_options_text_may_name_other_options(said, letter):
    assert read(None, said, PETS) == letter
