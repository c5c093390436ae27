"""What the dataset doctor finds, and what it must leave alone."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from llmflowlab.data.check import examine
from llmflowlab.data.dataset import load_dataset
from llmflowlab.data.findings import ADVICE
from llmflowlab.data.near import near_pairs
from llmflowlab.data.past import PastRow, row_key
from llmflowlab.data.question_keys import same_text
from llmflowlab.errors import InputError


def written(folder: Path, rows: list[dict[str, str]]) -> Path:
    file = folder / "q.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return file


def found(folder: Path, *pairs: tuple[str, str], **options):
    file = written(folder, [{"question": q, "answer": a} for q, a in pairs])
    return examine(file, mapping={}, detect=lambda text: None, **options).findings


def kinds(findings):
    return [(finding.kind, finding.severity) for finding in findings]


def test_copies_are_found_whatever_their_case_and_spacing(tmp_path):
    (finding,) = found(tmp_path, ("Who wrote Faust?", "Goethe"), (" who  wrote faust", "goethe"))
    assert (finding.kind, [ref.line for ref in finding.rows]) == ("duplicate", [2, 3])


def test_different_answers_to_one_question_are_an_error(tmp_path):
    findings = found(tmp_path, ("Capital of Peru?", "Lima"), ("capital of peru?", "Cusco"))
    assert kinds(findings) == [("contradiction", "error")]


def test_a_longer_form_of_an_answer_is_no_contradiction(tmp_path):
    findings = found(tmp_path, ("Capital of Peru?", "Lima"), ("capital of peru?", "Lima, Peru"))
    assert [kind for kind, _ in kinds(findings)] == ["duplicate"]


def test_the_same_words_about_another_passage_are_another_question(tmp_path):
    rows = [
        {"question": "Who was it?", "answer": "Ada", "context": "Ada came."},
        {"question": "Who was it?", "answer": "Bob", "context": "Bob came."},
    ]
    assert examine(written(tmp_path, rows), mapping={}, detect=lambda t: None).findings == ()


def test_a_misspelt_copy_is_near_and_its_similarity_is_told(tmp_path):
    (finding,) = found(
        tmp_path,
        ("What is the captial of France?", "Paris"),
        ("What is the capital of France?", "Paris"),
    )
    assert finding.kind == "near_duplicate"
    assert finding.similarity is not None
    assert 0.9 < finding.similarity < 1


def test_a_misspelt_copy_with_another_answer_is_a_contradiction(tmp_path):
    findings = found(
        tmp_path,
        ("What is the captial of France?", "Paris"),
        ("What is the capital of France?", "Lyon"),
    )
    assert kinds(findings) == [("contradiction", "warning")]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("What is 12 + 7 in total?", "What is 12 + 9 in total?"),
        ("What is 12 + 7 in total?", "What is 12 - 7 in total?"),
        ("What remains of 10 without 3 of them?", "What remains of 3 without 10 of them?"),
        ("Which of these metals is magnetic?", "Which of these metals is not magnetic?"),
        ("What is the capital of Austria, in one word?", "What is the capital of Estonia, in one word?"),
        ("Did France beat Germany in the final?", "Did Germany beat France in the final?"),
        ("Is C++ older than Java?", "Is C# older than Java?"),
        ("not True or False or ( False ) is", "not True or False or ( True ) is"),
        ("True and not not ( not False ) is", "True or not not ( not False ) is"),
        ("Name all primes below twenty and above ten.", "Name some primes below twenty and above ten."),
        ("Is x greater than b in this case?", "Is y greater than b in this case?"),
        ("How many days do nine long weeks have?", "How many days do five long weeks have?"),
        (
            "On the long way to the old town Anna lifted the heavy bag for Otto and thanked him.",
            "On the long way to the old town Otto lifted the heavy bag for Anna and thanked him.",
        ),
    ],
)  # fmt: skip
def test_questions_of_one_template_are_different_questions(a, b):
    assert near_pairs([same_text(a), same_text(b)]) == []


def test_names_that_differ_by_a_letter_are_two_names_and_a_slip_is_none(tmp_path):
    assert (
        found(
            tmp_path,
            ("In which part of Asia is Iran?", "west"),
            ("In which part of Asia is Iraq?", "west"),
        )
        == ()
    )
    slips = ("What is the capital of France?", "Paris"), ("What is the capital of Frnace?", "Paris")
    assert [f.kind for f in found(tmp_path, *slips)] == ["near_duplicate"]


def test_a_word_that_stands_in_many_questions_is_no_misspelling(tmp_path):
    rows = [
        (f"Does the {a} boat {b} under the bridge?", "maybe")
        for a in ("green", "greek")
        for b in ("rest", "move", "wait")
    ]
    assert found(tmp_path, *rows) == ()


def test_templates_give_no_finding_however_many_rows_they_have(tmp_path):
    # 183 of 250 rows of two real templates were called nearly the same
    draw = random.Random(7)
    names = ["Delbert", "Delfina", "Millie", "Millicent", "Sal", "Sally", "Ryan", "Bryan"]

    def term(depth: int) -> str:
        if depth == 0:
            return draw.choice(["True", "False", "( True )", "( False )"])
        return f"{draw.choice(['', 'not ', 'not not '])}{term(depth - 1)} {draw.choice(['and', 'or'])} {term(0)}"

    logic = {f"{term(draw.choice([2, 3]))} is" for _ in range(250)}
    lies = {
        f"Question: {a} {draw.choice(['lies', 'tells the truth'])}. {b} says {a} "
        f"{draw.choice(['lies', 'tells the truth'])}. Does {b} tell the truth?"
        for a in names
        for b in names
        if a != b
    }
    rows = [(text, str(eval(text.removesuffix(" is")))) for text in sorted(logic)]
    rows += [(text, draw.choice(["Yes", "No"])) for text in sorted(lies)]
    assert found(tmp_path, *rows) == ()


def test_a_word_added_is_near_only_where_the_answer_shows_that_it_means_the_same(tmp_path):
    pair = "How old is the long bridge of Prague?", "How old is the long stone bridge of Prague?"
    assert found(tmp_path, *[(text, "yes") for text in pair]) == ()
    assert found(tmp_path, (pair[0], "six centuries"), (pair[1], "four centuries")) == ()
    findings = found(tmp_path, *[(text, "six centuries") for text in pair])
    assert [finding.kind for finding in findings] == ["near_duplicate"]


def test_two_texts_that_differ_are_never_all_the_same(tmp_path):
    text = "Which of the many towers of the old town is " + "very " * 80
    (finding,) = found(tmp_path, (text + "slender?", "x one"), (text + "slendr?", "x one"))
    assert finding.message == "Two questions are 99% the same."


def test_near_copies_are_found_among_thousands_of_one_template():
    names = [f"{chr(97 + i // 676)}{chr(97 + i // 26 % 26)}{chr(97 + i % 26)}" for i in range(3000)]
    texts = [f"what is the capital of the kingdom of {n * 3}, in one word" for n in names]
    twin = texts[1234].replace("capital", "captial")
    pairs = near_pairs([*texts, twin])
    assert (1234, 3000) in {(pair.first, pair.second) for pair in pairs}


@pytest.mark.parametrize(
    ("question", "answer", "severity"),
    [
        ("In which city does the Eiffel Tower of Paris stand?", "Paris", "warning"),
        ("Anna is older than Clara. Who is younger?", "Clara", "note"),
        ("Is gold heavy, yes and no?", "yes", None),
        ("Which is larger, the Sun or the Moon?", "the Moon", None),
        ("Which letter comes after a?", "a", None),
        ("In 1969 which year was it?", "1969", None),
        ("Translate 'coffee' to English", "coffee", None),
        ("True and not not ( not False ) is", "True", None),
        ("Who likes Parisian food?", "Paris", None),
    ],
)
def test_an_answer_in_its_question_is_a_leak_only_where_it_tells(
    tmp_path, question, answer, severity
):
    findings = found(tmp_path, (question, answer))
    assert [f.severity for f in findings if f.kind == "leak"] == ([severity] if severity else [])


@pytest.mark.parametrize(
    "text",
    ["CafÃ© au lait", "It costs 5 â‚¬", "lost \ufffd here", "bell \x07 rings", "a&amp;b", "РџСЂРёРІРµС‚", "zero\u200bwidth"],
    ids=["e-acute", "euro", "replacement", "control", "entity", "cyrillic", "invisible"],
)  # fmt: skip
def test_damaged_text_is_found(tmp_path, text):
    assert ("encoding", "warning") in kinds(found(tmp_path, (text, "x1")))


@pytest.mark.parametrize(
    "text", ["Café au lait à Orléans", "«Привет», мир", "日本の首都はどこですか", "AT&T & Co.; R&D"]
)
def test_sound_text_is_left_alone(tmp_path, text):
    assert found(tmp_path, (text, "x1")) == ()


def test_two_forms_of_accents_in_one_file_are_noted(tmp_path):
    findings = found(tmp_path, ("Where is Orléans?", "x1"), ("Who drinks cafe\u0301?", "x2"))
    assert kinds(findings) == [("encoding", "note")]


def test_rows_that_evaluate_refuses_are_errors_and_the_rest_is_examined(tmp_path):
    findings = found(tmp_path, ("", "nothing"), ("?", "x1"), ("Who?", ""))
    assert kinds(findings) == [
        ("refused", "error"),
        ("empty_answer", "warning"),
        ("short_text", "warning"),
    ]
    assert findings[0].rows[0].line == 2


def test_a_text_far_longer_than_the_others_is_noted(tmp_path):
    pairs = [(f"Question number {i} on things", f"x{i}") for i in range(20)]
    findings = found(tmp_path, *pairs, ("long words " * 500, "x"))
    assert [f.rows[0].line for f in findings if f.kind == "long_text"] == [22]


def test_uneven_categories_and_missing_ones_are_named(tmp_path):
    rows = [
        {"question": f"Item {i} of {i * i}?", "answer": "x1", "category": "b" if i < 2 else "a"}
        for i in range(30)
    ]
    rows[29]["category"] = ""
    report = examine(written(tmp_path, rows), mapping={}, detect=lambda t: None)
    assert {f.kind for f in report.findings} == {"uneven_categories", "no_category"}
    assert "'a' has 27 rows, 'b' 2" in report.findings[0].message


def test_a_declared_language_is_compared_with_the_text(tmp_path):
    rows = [
        {"question": "Wie heißt die Hauptstadt von Österreich?", "answer": "Wien", "lang": "en"}
    ]
    (finding,) = examine(written(tmp_path, rows), mapping={}, detect=lambda t: "de").findings
    assert (finding.kind, finding.severity) == ("language", "note")


def past(file: Path, *answers: tuple[str, int, bool, str]) -> dict[str, PastRow]:
    (row,) = load_dataset(file).rows
    return {row_key(row): PastRow({(who, trial): (ok, text) for who, trial, ok, text in answers})}


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ([("a", 0, False, "x"), ("b", 0, False, "y"), ("c", 0, False, "z")], "always_failed"),
        ([("a", 0, True, "Lima"), ("b", 0, True, "Lima"), ("c", 0, True, "Lima")], "always_passed"),
        ([("a", 0, False, "Rome"), ("b", 0, False, "rome."), ("c", 0, False, "x")], "label_error"),
        ([("a", 0, False, "Rome"), ("a", 1, False, "Rome"), ("a", 2, False, "Rome")], "always_failed"),
        ([("a", 0, False, "x"), ("b", 0, False, "x")], None),
        ([("a", 0, False, "x"), ("b", 0, True, "Lima"), ("c", 0, False, "x")], None),
    ],
    ids=["failed", "passed", "agreed", "one-candidate-agrees-with-itself", "too-few", "mixed"],
)  # fmt: skip
def test_earlier_answers_tell_on_a_row(tmp_path, answers, kind):
    file = written(tmp_path, [{"question": "Capital of Peru?", "answer": "Lima"}])
    report = examine(file, mapping={}, detect=lambda t: None, past=past(file, *answers))
    assert [f.kind for f in report.findings] == ([kind] if kind else [])


def test_a_file_without_a_question_column_is_bad_input(tmp_path):
    with pytest.raises(InputError, match="no column holds the question"):
        examine(written(tmp_path, [{"x": "1"}]), mapping={}, detect=lambda t: None)


def test_every_finding_says_what_to_do(tmp_path):
    (finding,) = found(tmp_path, ("Who wrote Faust?", "Goethe"), ("who wrote faust", "goethe"))
    assert finding.to_json()["advice"] == ADVICE["duplicate"][1]


def test_a_repeated_question_is_one_warning_of_the_dataset_that_names_the_first(tmp_path):
    rows = [{"question": q, "answer": "x"} for q in ("Who?", "What?", "who", "what")]
    (warning,) = load_dataset(written(tmp_path, rows)).warnings
    assert warning == "2 rows repeat an earlier question (the first in line 4, as in line 2)."


def test_a_word_that_may_stand_for_a_missing_answer_is_named(tmp_path):
    file = written(
        tmp_path, [{"question": "q1", "answer": "NaN"}, {"question": "q2", "answer": "4"}]
    )
    (remark,) = [
        each
        for each in examine(file, mapping={}, detect=lambda text: None).remarks
        if "leave the cell empty" in each
    ]
    assert remark.startswith("1 expected answer is the word NaN (row ")
