"""Workbooks and Parquet files: what their cells say, and those that are refused."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.data import parquet_file
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
    monkeypatch.setattr("llmflowlab.data.parquet_file.MOST_BYTES", 500_000)
    with pytest.raises(DatasetError, match="when unpacked, more than is read"):
        load_dataset(file)
    monkeypatch.setattr("llmflowlab.data.parquet_file.MOST_CELLS", 999)
    with pytest.raises(DatasetError, match="1,000 rows"):
        load_dataset(file)


def test_a_text_that_stands_once_in_the_file_and_in_every_row_is_not_unpacked_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file of 1,003 bytes took 7 GB.
    import pyarrow as pa
    from pyarrow import parquet

    file = tmp_path / "d.parquet"
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 3_000, pa.int32()), ["x" * 1_000_000])
    parquet.write_table(pa.table({"question": one}), file, compression="zstd")
    assert file.stat().st_size < 5_000
    taken: list[dict[str, Any]] = []
    monkeypatch.setattr(parquet_file, "_add", lambda row, *more: taken.append(row))
    with pytest.raises(DatasetError, match="holds over 500,000,000 bytes when unpacked"):
        load_dataset(file)
    assert len(taken) == 500


def test_a_file_of_3_gb_is_refused_by_its_size(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    with file.open("wb") as out:
        out.write(b"question\n")
        out.truncate(3_000_000_000)
    with pytest.raises(InputError, match="has 3,000,000,000 bytes, more than is read"):
        load_dataset(file)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "xlsx"])
def test_a_matrix_of_50_000_columns_is_refused(tmp_path: Path, kind: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    # A sheet of Excel's cannot have more.
    names = [f"c{n}" for n in range(16_000 if kind == "xlsx" else 50_000)]
    file = tmp_path / f"d.{kind}"
    if kind == "csv":
        file.write_text(f"{','.join(names)}\n{','.join(names)}\n", encoding="utf-8")
    elif kind == "xlsx":
        workbook(file, [names, names])
    elif kind == "parquet":
        parquet.write_table(pa.table({name: ["x"] for name in names}), file)
    else:
        row = json.dumps(dict.fromkeys(names, "x"))
        file.write_text(f"[{row}]" if kind == "json" else row, encoding="utf-8")
    with pytest.raises(DatasetError, match=f"has {len(names):,} columns, up to 5,000 are read"):
        load_dataset(file)


def test_a_workbook_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = workbook(tmp_path / "d.xlsx", [["question"], ["a" * 20_000]])
    monkeypatch.setattr("llmflowlab.data.excel_file.MOST_BYTES", 10_000)
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
