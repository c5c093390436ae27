"""Sheets: blind when written, strict when read, and whatever a spreadsheet made of them understood."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest

from llmflowlab.data.stratified import shares, stratified_sample
from llmflowlab.errors import DatasetError, InputError
from llmflowlab.people.answer_words import keep_verdicts, kept_verdicts
from llmflowlab.people.human import agreement, human_means, label_counts
from llmflowlab.people.sheets import read_sheet as read
from llmflowlab.people.sheets import sheet_text
from llmflowlab.people.word_store import WordStore
from tests.evaluation.helpers import answer, dataset, spec
from tests.evaluation.test_gates import kept, result
from tests.known import known

ROWS = 12
PAIR = [spec("table:first"), spec("table:second")]
HEADER = ["row", "question", "context", "expected", "answer", "verdict", "comment", "key"]


@pytest.fixture
def made(tmp_path):
    """Two candidates, of which the first is right on even rows by its scorer; and their ledger."""
    answers = {row: answer(f"=answer {row}; é", latency=1.0) for row in range(ROWS)}
    found = result(tmp_path, [1, 0] * (ROWS // 2), candidates=PAIR, answers=answers)
    ledger = kept(tmp_path, found)
    yield found, ledger
    ledger.close()


def read_sheet(file, ledger, **options):
    return read(file, ledger, person="reader", **options)


def lines(text):
    return list(csv.DictReader(io.StringIO(text)))


def write(tmp_path, rows, *, delimiter=",", encoding="utf-8-sig"):
    file = tmp_path / "filled.csv"
    with file.open("w", encoding=encoding, newline="") as out:
        writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
    return file


def test_a_sheet_names_no_model_and_no_score(made):
    found, _ = made
    text, count = sheet_text(found)
    assert count == 2 * ROWS
    assert list(lines(text)[0]) == HEADER
    assert "table:" not in text
    assert "contains" not in text
    assert len({line["key"] for line in lines(text)}) == count


def test_the_order_within_a_question_is_shuffled_and_comes_again_with_the_seed(made):
    found, _ = made
    text, _ = sheet_text(found, seed=1, named=True)
    assert sheet_text(found, seed=1, named=True)[0] == text
    first = [line["model"] for line in lines(text)[::2]]
    assert set(first) == {"table:first", "table:second"}


def test_answers_cannot_run_as_formulas(made):
    found, _ = made
    assert all(line["answer"].startswith("'=") for line in lines(sheet_text(found)[0]))


def test_a_sheet_may_hold_one_candidate_and_some_questions(made):
    found, _ = made
    text, count = sheet_text(found, candidate=1, n=5, seed=3, named=True)
    assert count == 5
    assert {line["model"] for line in lines(text)} == {"table:second"}


@pytest.mark.parametrize(
    ("delimiter", "encoding"),
    [
        pytest.param(";", "utf-8-sig", id="semicolons"),
        pytest.param("\t", "utf-16", id="unicode text"),
        pytest.param(";", "cp1252", id="windows"),
    ],
)
def test_what_a_spreadsheet_saves_is_read(made, tmp_path, delimiter, encoding):
    found, ledger = made
    rows = lines(sheet_text(found)[0])
    rows[0] |= {"verdict": "Yes", "comment": 'good; "very"\nindeed é'}
    rows[3] |= {"verdict": " no "}
    sheet = read_sheet(write(tmp_path, rows, delimiter=delimiter, encoding=encoding), ledger)
    assert (sheet.evaluation, sheet.empty) == (found.plan.evaluation_id, 2 * ROWS - 2)
    assert [(v.said, v.value) for v in sheet.verdicts] == [("yes", 1.0), ("no", 0.0)]
    assert sheet.verdicts[0].comment == 'good; "very"\nindeed é'


def test_a_sheet_whose_encoding_was_guessed_says_so(made, tmp_path):
    # A comment from a spreadsheet of Windows came out in other letters, and nobody said a word.
    found, ledger = made
    rows = lines(sheet_text(found)[0])
    rows[0] |= {"verdict": "yes", "comment": "Käse, größer"}
    assert read_sheet(write(tmp_path, rows), ledger).warnings == ()
    [said] = read_sheet(write(tmp_path, rows, encoding="cp1252"), ledger).warnings
    assert "UTF-8" in said


def test_a_verdict_reaches_the_answer_it_is_about(made, tmp_path):
    found, ledger = made
    rows = lines(sheet_text(found, seed=2, named=True)[0])
    for row in rows:
        row["verdict"] = "yes" if row["model"] == "table:second" else "no"
    sheet = read_sheet(write(tmp_path, rows), ledger)
    assert {(v.cell.candidate, v.said) for v in sheet.verdicts} == {(0, "no"), (1, "yes")}


def test_grades_are_read_as_spreadsheets_write_them(made, tmp_path):
    found, ledger = made
    rows = lines(sheet_text(found)[0])
    for row, grade in zip(rows, ["1", "3,0", "5.00"], strict=False):
        row["verdict"] = grade
    assert [v.value for v in read_sheet(write(tmp_path, rows), ledger).verdicts] == [0.0, 0.5, 1.0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        pytest.param({1: {"verdict": "perhaps"}}, "line 3: the verdict 'perhaps'", id="word"),
        pytest.param({1: {"verdict": "6"}}, "line 3: the verdict '6'", id="grade 6"),
        pytest.param({0: {"verdict": "no"}, 2: {"verdict": "4"}}, "line 4: the", id="mixed"),
        pytest.param({1: {"key": "20260101-000000-abcd.ff"}}, "line 3: the key", id="unknown"),
        pytest.param({1: {"key": ""}}, "line 3: the key ''", id="no key"),
        pytest.param({0: {"key": "19990101-000000-aaaa.ff"}}, "does not have", id="elsewhere"),
    ],
)
def test_one_wrong_line_refuses_the_sheet_by_its_number(made, tmp_path, change, why):
    found, ledger = made
    rows = lines(sheet_text(found)[0])
    for place, cells in change.items():
        rows[place] |= cells
    with pytest.raises(DatasetError, match=why):
        read_sheet(write(tmp_path, rows), ledger)


def test_an_answer_judged_twice_is_refused(made, tmp_path):
    found, ledger = made
    row = {**lines(sheet_text(found)[0])[0], "verdict": "yes"}
    with pytest.raises(DatasetError, match=r"line 3: .* judged in line 2 already"):
        read_sheet(write(tmp_path, [row, row]), ledger)


def test_a_file_that_is_no_sheet_is_refused(made, tmp_path):
    _, ledger = made
    with pytest.raises(
        DatasetError, match=r"is a file of questions \(columns question, answer\) and no"
    ):
        read_sheet(write(tmp_path, [{"question": "a", "answer": "b"}]), ledger)
    with pytest.raises(DatasetError, match=r"is another table \(columns a, b\) .*review export"):
        read_sheet(write(tmp_path, [{"a": "1", "b": "2"}]), ledger)
    with pytest.raises(DatasetError, match="has no column 'verdict'"):
        read_sheet(write(tmp_path, [{"question": "a", "key": "b"}]), ledger)
    with pytest.raises(InputError, match="cannot be read"):
        read_sheet(tmp_path / "none.csv", ledger)


def test_verdicts_are_kept_once_and_later_ones_replace_earlier(made, tmp_path):
    found, ledger = made
    rows = lines(sheet_text(found)[0])
    rows[0]["verdict"] = rows[1]["verdict"] = "yes"
    words = WordStore(tmp_path / "people.db")

    def keep():
        sheet = read_sheet(write(tmp_path, rows), ledger)
        return keep_verdicts(words, sheet.evaluation, sheet.verdicts)

    assert keep() == {"new": 2, "changed": 0, "as_before": 0}
    assert keep() == {"new": 0, "changed": 0, "as_before": 2}
    rows[0]["verdict"], rows[1]["verdict"] = "no", ""
    assert keep() == {"new": 0, "changed": 1, "as_before": 0}
    said = kept_verdicts(words, found.plan.evaluation_id)
    assert sorted(v.said for v in said) == ["no", "yes"]
    words.close()


def judged(found, tmp_path, ledger, say):
    rows = lines(sheet_text(found, named=True)[0])
    for row in rows:
        row["verdict"] = say(row)
    return read_sheet(write(tmp_path, rows), ledger).verdicts


def test_a_person_who_says_what_the_scorer_says_agrees_fully(made, tmp_path):
    found, ledger = made
    # Ids count from 1, so the odd ones are right by the scorer.
    said = judged(found, tmp_path, ledger, lambda row: "yes" if int(row["row"]) % 2 else "no")
    [entry] = agreement(found, said)
    assert (entry.other, entry.n, entry.same, entry.kappa) == ("contains", 2 * ROWS, 1.0, 1.0)
    # A few questions on which all agree do not show that all always will.
    assert 0.4 < known(entry.interval).low < 0.9
    assert known(entry.interval).high == 1.0


def test_kappa_is_cohens(made, tmp_path):
    found, ledger = made
    said = judged(found, tmp_path, ledger, lambda row: "yes" if int(row["row"]) <= 3 else "no")
    [entry] = agreement(found, said)
    # By hand: both yes on rows 1 and 3, both no on 4, 6, 8, 10 and 12: 7 of 12 the same.
    observed, expected = 7 / 12, 0.25 * 0.5 + 0.75 * 0.5
    assert entry.same == pytest.approx(observed)
    assert entry.kappa == pytest.approx((observed - expected) / (1 - expected))
    assert known(entry.interval).low < known(entry.kappa) < known(entry.interval).high


def test_who_always_says_yes_has_no_kappa_and_no_interval_and_is_named(made, tmp_path):
    # It stood there as 0.00, with an interval of 0.00 to 0.00.
    found, ledger = made
    said = judged(found, tmp_path, ledger, lambda row: "yes")
    entry = agreement(found, said)[0]
    assert (entry.kappa, entry.interval, entry.constant) == (None, None, (said[0].person,))
    people = agreement(found, [*said, *(replace(each, person="b") for each in said)])
    assert (people[1].other, people[1].same, people[1].kappa) == ("b", 1.0, None)
    assert people[1].constant == (said[0].person, "b")


def test_grades_stand_beside_no_scorer_of_yes_and_no_and_questions_only_beside_their_like(
    made, tmp_path
):
    found, ledger = made
    said = judged(found, tmp_path, ledger, lambda row: "4" if int(row["row"]) % 2 else "2")
    friendly = [replace(each, question="friendly", said="yes") for each in said]
    named = [replace(each, question="contains", said="yes") for each in said]
    assert agreement(found, [*said, *friendly]) == []
    [entry] = agreement(found, named)
    assert (entry.other, entry.matched) == ("contains", "both have one name")


def test_words_on_answers_that_are_not_whole_are_in_no_mean_and_counted(made, tmp_path):
    found, ledger = made
    said = judged(found, tmp_path, ledger, lambda row: "yes" if int(row["row"]) % 2 else "no")
    cell = next(verdict.cell for verdict in said if verdict.said == "yes")
    cut = replace(found.answers[cell], finish_reason="length")
    shorter = replace(found, answers={**found.answers, cell: cut})
    before, after = (
        next(m for m in human_means(one, said) if m.index == cell.candidate)
        for one in (found, shorter)
    )
    assert (after.n, after.not_whole) == (before.n - 1, 1)
    assert (after.mean or 0) < (before.mean or 0)
    [whole], [less] = agreement(found, said), agreement(shorter, said)
    assert less.n == whole.n - 1


def test_labels_of_one_person_are_counted_by_candidate(made, tmp_path):
    found, ledger = made
    said = [
        replace(each, question="tone", said="warm" if each.cell.row else "cold")
        for each in judged(found, tmp_path, ledger, lambda row: "yes")
    ]
    counts = label_counts(found, said)
    assert [(one.candidate, dict(one.counts)) for one in counts] == [
        (candidate.label, {"warm": ROWS - 1, "cold": 1}) for candidate in found.plan.candidates
    ]
    assert human_means(found, said) == []


def test_means_are_told_by_candidate(made, tmp_path):
    found, ledger = made
    said = judged(
        found, tmp_path, ledger, lambda row: "5" if row["model"] == "table:first" else "2"
    )
    means = human_means(found, said)
    assert [(m.candidate, m.mean, m.n) for m in means] == [
        ("table:first", 1.0, ROWS),
        ("table:second", 0.25, ROWS),
    ]
    assert known(means[1].interval).low < 0.25 < known(means[1].interval).high


# Samples in which each stratum keeps its share


def test_the_largest_remainders_get_what_is_left():
    assert shares({"a": 50, "b": 30, "c": 20}, 7) == {"a": 4, "b": 2, "c": 1}
    assert sum(shares({"a": 1, "b": 1, "c": 1}, 2).values()) == 2


def test_a_stratified_sample_keeps_the_shares_and_the_files_order(tmp_path):
    text = "question,answer,category\n" + "".join(
        f"Question {i}?,x,{'rare' if i % 4 == 0 else 'common'}\n" for i in range(40)
    )
    data = dataset(tmp_path, text)
    drawn = stratified_sample(data, 8, 1, by="category")
    assert sorted(known(row.category) for row in drawn.rows) == ["common"] * 6 + ["rare"] * 2
    assert [row.index for row in drawn.rows] == list(range(8))
    assert [row.line for row in drawn.rows] == sorted(known(row.line) for row in drawn.rows)
    assert stratified_sample(data, 8, 1, by="category") == drawn
    assert stratified_sample(data, 8, 2, by="category") != drawn
    assert drawn.digest != data.digest


def test_a_dataset_without_the_property_cannot_be_stratified(tmp_path):
    data = dataset(tmp_path, "question,answer\na,b\nc,d\n")
    with pytest.raises(InputError, match="has no category to stratify by"):
        stratified_sample(data, 1, 0, by="category")
