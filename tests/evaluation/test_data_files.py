"""Samples, splits and conversions: nothing lost, nothing changed, the same again."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmflowlab.data.converting import formula_cells, write_table
from llmflowlab.data.splitting import parse_parts, sample_table, split_table
from llmflowlab.data.tables import DataTable, Record, read_table
from llmflowlab.errors import InputError
from tests.known import known

WORDS = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty"]


def table(rows: list[dict[str, str]]) -> DataTable:
    return DataTable(tuple(rows[0]), tuple(Record(i, row) for i, row in enumerate(rows, start=2)))


def questions(n: int, categories: str = "aab") -> list[dict[str, str]]:
    draw = random.Random(5)
    return [
        {
            "question": " ".join(draw.choices(WORDS, k=9)) + f" {i}?",
            "answer": str(i),
            "category": categories[i % len(categories)],
        }
        for i in range(n)
    ]


def texts(part: DataTable) -> set[str]:
    return {record.cells["question"] for record in part.records}


HARD = ["=1+1", "-2", "@x", "\tx", " lead", "trail ", "a\nb", "a\r\nb", 'q"q', "a,b;c", "'x'", "007", "1.0", "NA", "null", "ä𝄞", "\u2028"]  # fmt: skip


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_every_text_survives_every_format(tmp_path, ending):
    made = table([{"question": f"{text}", "answer": text + "."} for text in HARD])
    write_table(made, tmp_path / f"out{ending}")
    back = read_table(tmp_path / f"out{ending}")
    assert [r.cells for r in back.records] == [r.cells for r in made.records]


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            st.text(st.characters(exclude_categories=["Cs"])),
        ),
        min_size=1,
        max_size=4,
    ),
    ending=st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".parquet"]),
)
def test_a_text_is_written_exactly_or_refused(tmp_path, rows, ending):
    made = table([{"question": q, "answer": a} for q, a in rows])
    target = tmp_path / f"any{ending}"
    try:
        write_table(made, target, force=True)
    except InputError:
        return
    assert [r.cells for r in read_table(target).records] == [r.cells for r in made.records]


def test_what_a_format_cannot_hold_is_refused_and_nothing_is_written(tmp_path):
    made = table([{"question": "x\0y", "answer": "a"}])
    with pytest.raises(InputError, match="NUL"):
        write_table(made, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_a_file_is_replaced_only_by_force(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match="--force"):
        write_table(table(questions(3)), target)
    assert target.read_text(encoding="utf-8") == "mine"
    write_table(table(questions(3)), target, force=True)
    assert len(read_table(target).records) == 3


def test_several_answers_stay_an_array_in_json(tmp_path):
    source = tmp_path / "a.jsonl"
    source.write_text('{"question": "q", "answers": ["a", "b"]}\n', encoding="utf-8")
    write_table(read_table(source), tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text("utf-8"))[0]["answers"] == ["a", "b"]


def test_formulas_are_counted_but_negative_numbers_are_none():
    assert formula_cells(table([{"q": "=A1", "a": "-5"}, {"q": "@x", "a": "+1.5"}])) == 2


def test_a_stratified_sample_keeps_the_shares_to_the_row():
    made = table(questions(300, "aaaaabbbcc"))
    drawn = sample_table(made, 30, seed=1, by="category", file="q")
    counts = Counter(r.cells["category"] for r in drawn.records)
    assert counts == {"a": 15, "b": 9, "c": 6}
    assert [r.line for r in drawn.records] == sorted(known(r.line) for r in drawn.records)


def test_a_sample_depends_on_the_seed_and_not_on_the_order():
    rows = questions(100)
    drawn = sample_table(table(rows), 10, seed=1, by=None, file="q")
    assert texts(drawn) == texts(sample_table(table(rows[::-1]), 10, seed=1, by=None, file="q"))
    assert texts(drawn) != texts(sample_table(table(rows), 10, seed=2, by=None, file="q"))


def split(rows, by=None, seed=0, **parts):
    parts = parts or {"train": 0.8, "test": 0.2}
    return split_table(table(rows), parts, seed=seed, by=by, mapping={}, file="q")


def test_a_split_has_every_row_once_and_the_shares_asked_for():
    rows = questions(200)
    divided = split(rows)
    assert [len(divided[name].records) for name in ("train", "test")] == [160, 40]
    assert texts(divided["train"]) | texts(divided["test"]) == {r["question"] for r in rows}


def test_a_split_is_the_same_whatever_the_order_of_the_rows():
    rows = questions(200)
    other = random.Random(3).sample(rows, len(rows))
    assert texts(split(rows)["test"]) == texts(split(other)["test"])
    assert texts(split(rows)["test"]) != texts(split(rows, seed=1)["test"])


def test_near_copies_stay_on_one_side_of_a_split():
    rows = questions(100)
    copies = [
        {**row, "question": "Please: " + row["question"], "answer": f"c{i}"}
        for i, row in enumerate(rows)
    ]
    divided = split([*rows, *copies], train=0.5, test=0.5)
    for part in divided.values():
        plain = {q.removeprefix("Please: ") for q in texts(part)}
        assert len(part.records) == 2 * len(plain) == 100


def test_strata_are_spread_evenly_even_where_each_has_a_single_row():
    rows = [{**row, "category": str(i)} for i, row in enumerate(questions(50))]
    assert len(split(rows, by="category")["test"].records) == 10
    rows = questions(300, "aab")
    counts = Counter(r.cells["category"] for r in split(rows, by="category")["test"].records)
    assert counts == {"a": 40, "b": 20}


@pytest.mark.parametrize(
    "text", ["", "train", "train=0.8", "a=0.5,A=0.5", "a=1.5,b=-0.5", "../a=1", "a=nan,b=1", "=1"]
)
def test_parts_that_make_no_sense_are_refused(text):
    with pytest.raises(InputError):
        parse_parts(text)


def test_a_part_that_would_stay_empty_is_refused():
    with pytest.raises(InputError, match="stay empty"):
        split(questions(1))


def test_an_unknown_column_is_named(tmp_path: Path):
    with pytest.raises(InputError, match="no column 'colour'"):
        split(questions(5), by="colour")
