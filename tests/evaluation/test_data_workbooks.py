"""Workbooks and Parquet files: what their cells say, and those that are refused."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.data.converting import write_table
from llmflowlab.data.dataset import load_dataset
from llmflowlab.data.tables import read_table
from llmflowlab.errors import DatasetError, InputError
from tests.evaluation.test_data_formats import written


def workbook(file: Path, rows: list[list[Any]], **sheets: list[list[Any]]) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for title, lines in {"first": rows, **sheets}.items():
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
    book.save(file)
    return file


def test_a_workbook_is_read_with_dates_and_numbers_as_texts(tmp_path: Path) -> None:
    import datetime as dt

    rows: list[list[Any]] = [
        ["My questions"],
        ["question", "answer", "id", "done"],
        ["When?", dt.date(2024, 1, 2), 1, True],
        ["At what time?", dt.datetime.fromisoformat("2024-01-02 10:30"), 2, None],
        ["How many?", 2.0, 3, None],
        ["How much?", 2.5, 4, None],
        ["007?", "007", 5, None],
    ]
    dataset = load_dataset(workbook(tmp_path / "d.xlsx", rows, other=[["x"]]))
    answers = ["2024-01-02", "2024-01-02 10:30:00", "2", "2.5", "007"]
    assert [row.expected for row in dataset.rows] == answers
    assert [row.line for row in dataset.rows] == [3, 4, 5, 6, 7]
    assert any("the sheet 'first' was read, 1 others were not" in w for w in dataset.warnings)
    renamed = (tmp_path / "d.xlsx").rename(tmp_path / "d.csv")
    assert load_dataset(renamed).digest == dataset.digest


def test_a_formula_without_a_result_and_an_error_are_refused(tmp_path: Path) -> None:
    file = workbook(tmp_path / "d.xlsx", [["question", "answer"], ["a?", "=1+1"]])
    with pytest.raises(DatasetError, match="line 2: the formula '=1\\+1' has no result"):
        load_dataset(file)
    file = workbook(tmp_path / "d.xlsx", [["question", "answer"], ["a?", "#REF!"]])
    with pytest.raises(DatasetError, match="holds the error #REF!"):
        load_dataset(file)


def test_the_kept_result_of_a_formula_is_read(tmp_path: Path) -> None:
    file = workbook(tmp_path / "d.xlsx", [["question", "answer"], ["a?", "=1+1"]])
    out = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w") as new:
        for item in old.namelist():
            content = old.read(item)
            if item == "xl/worksheets/sheet1.xml":
                content = content.replace(b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
                content = content.replace(b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
            new.writestr(item, content)
    file.write_bytes(out.getvalue())
    assert load_dataset(file).rows[0].expected == "2"


def test_a_parquet_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "d.parquet"
    parquet.write_table(pa.table({"question": ["a" * 1_000] * 1_000}), file)
    assert file.stat().st_size < 10_000
    monkeypatch.setattr("llmflowlab.data.parquet_file.MOST_UNPACKED", 500_000)
    with pytest.raises(DatasetError, match="when unpacked, more than is read"):
        load_dataset(file)
    monkeypatch.setattr("llmflowlab.data.parquet_file.MOST_CELLS", 999)
    with pytest.raises(DatasetError, match="1,000 rows"):
        load_dataset(file)


def test_a_workbook_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workbook(tmp_path / "d.xlsx", [["question"], ["a" * 20_000]])
    monkeypatch.setattr("llmflowlab.data.excel_file._MOST_UNPACKED", 10_000)
    with pytest.raises(DatasetError, match="when unpacked, more than is read"):
        load_dataset(file)


def test_several_answers_are_a_list_in_parquet(tmp_path: Path) -> None:
    from pyarrow import parquet

    rows = ({"question": "a?", "answer": ["x", "y"]}, {"question": "b?", "answer": "z"})
    write_table(read_table(written(tmp_path, rows, "d.jsonl")), tmp_path / "d.parquet")
    assert parquet.read_table(tmp_path / "d.parquet").column("answer").to_pylist() == [
        ["x", "y"],
        ["z"],
    ]


def test_several_answers_beside_a_column_of_the_next_are_refused_in_csv(tmp_path: Path) -> None:
    rows = ({"question": "a?", "answer": ["x", "y"], "answer_2": "z"},)
    with pytest.raises(InputError, match="'answer_2' is there too"):
        write_table(read_table(written(tmp_path, rows, "d.jsonl")), tmp_path / "d.csv")
