"""Benchmark files: read as people save them, refused with file, line and reason."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmflowlab.data.dataset import Dataset, load_dataset
from llmflowlab.data.names import NAMES
from llmflowlab.errors import DatasetError, InputError


def write(tmp_path: Path, content: str | bytes, name: str = "data.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return file


def load(tmp_path: Path, content: str | bytes, name: str = "data.csv", **options: Any) -> Dataset:
    return load_dataset(write(tmp_path, content, name), **options)


def refused(tmp_path: Path, content: str | bytes, name: str = "data.csv") -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, content, name)
    assert caught.value.file == name
    assert caught.value.message.startswith(name)
    assert "\n" not in caught.value.message
    return caught.value


def test_all_roles_of_a_row_are_read(tmp_path: Path) -> None:
    dataset = load(
        tmp_path,
        "id,category,language,question,answer,context,guidelines,note\n"
        'q1,facts,en,"What, then?",Paris,Some text,"Be short.\nBe kind.",kept\n',
    )
    (row,) = dataset.rows
    assert dataset.name == "data"
    assert (row.index, row.line, row.id) == (0, 2, "q1")
    assert (row.question, row.expected, row.context) == ("What, then?", "Paris", "Some text")
    assert row.guidelines == ("Be short.", "Be kind.")
    assert (row.category, row.language) == ("facts", "en")
    assert row.source["note"] == "kept"
    assert dataset.columns[-1] == "note"
    assert dataset.warnings == ()


def test_lines_are_physical_lines(tmp_path: Path) -> None:
    dataset = load(tmp_path, 'question,answer\n"two\nlines",a\n\nlast,b\n')
    assert [row.line for row in dataset.rows] == [2, 5]
    assert [row.id for row in dataset.rows] == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("d.csv", 'question,answer\n"a, b; c",x\n', id="comma"),
        pytest.param("d.csv", 'question;answer\n"a, b; c";x\n', id="semicolon"),
        pytest.param("d.csv", "question\tanswer\na, b; c\tx\n", id="tab"),
        pytest.param("d.tsv", "question\tanswer\na, b; c\tx\n", id="tsv"),
        pytest.param("d.txt", "question|answer\na, b; c|x\n", id="bar"),
        pytest.param("d.csv", 'sep=;\r\nquestion;answer\r\n"a, b; c";x\r\n', id="excel-sep"),
        pytest.param("d.csv", "'question','answer'\n'a, b; c','x'\n", id="single-quotes"),
        pytest.param("d.csv", 'question, answer\n"a, b; c", x\n', id="space-after-comma"),
        pytest.param("d.csv", 'question,answer\r"a, b; c",x\r', id="old-mac-line-ends"),
        pytest.param("d.csv", 'question,answer,\n"a, b; c",x,\n', id="trailing-delimiter"),
        pytest.param("d.csv", 'question,answer\n"a, b; c",x\n,\n\n  \n', id="blank-tail"),
        pytest.param("d.csv", 'question,answer\n"a, b; c",x', id="no-last-line-end"),
    ],
)
def test_usual_delimiters_and_quotings_are_understood(tmp_path: Path, name: str, text: str) -> None:
    (row,) = load(tmp_path, text, name).rows
    assert (row.question, row.expected) == ("a, b; c", "x")


GERMAN = "question,answer\nWie heißt die größte Stadt Österreichs?,Wien – natürlich\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_and_utf8_files_are_read_without_a_warning(tmp_path: Path, encoding: str) -> None:
    dataset = load(tmp_path, GERMAN.encode(encoding))
    assert dataset.rows[0].question == "Wie heißt die größte Stadt Österreichs?"
    assert dataset.warnings == ()


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "Wie heißt die größte Stadt Österreichs – und „warum“?"),
        ("cp1252", "Où est passée la clé du café à côté ?"),
        ("cp1250", "Jaka jest stolica Polski? Zażółć gęślą jaźń"),
        ("cp1251", "Как называется столица России и почему"),
        ("shift_jis", "日本の首都はどこですか"),
        ("utf-16-le", "What is the capital of France?"),
        ("utf-16-be", "What is the capital of France?"),
    ],
)
def test_other_encodings_are_guessed_and_the_guess_is_named(
    tmp_path: Path, encoding: str, text: str
) -> None:
    dataset = load(tmp_path, f"question,answer\n{text},x\n".encode(encoding))
    assert dataset.rows[0].question == text
    assert len(dataset.warnings) == 1
    assert f"data.csv is not UTF-8; it was read as {encoding}" in dataset.warnings[0]


def test_a_large_file_in_another_encoding_is_read_too(tmp_path: Path) -> None:
    row = "Wie heißt die größte Stadt Österreichs?,Wien\n"
    dataset = load(tmp_path, ("question,answer\n" + row * 10_000).encode("cp1252"))
    assert {row.question for row in dataset.rows} == {"Wie heißt die größte Stadt Österreichs?"}


def test_damaged_utf8_is_refused_instead_of_read_as_garbage(tmp_path: Path) -> None:
    content = ("question,answer\n" + "größer,schöner\n" * 5).encode() + b"x\xff,y\n"
    error = refused(tmp_path, content)
    assert error.line == 7


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param("question,answer\na,b,c\n", 2, "found 3 cells, expected 2", id="too-many"),
        pytest.param(
            "question,answer\n,b\n", 2, "question (column 'question') is empty", id="empty"
        ),
        pytest.param("question,answer\n ,b\n", 2, "is empty", id="blank-question"),
        pytest.param('question,answer\na,b\n"c,d\n', 3, "quoting is broken", id="open-quote"),
        pytest.param('question,answer\n"a"x,b\n', 2, "quoting is broken", id="text-after-quote"),
        pytest.param("question,answer\na,b\nc\0,d\n", 3, "NUL", id="nul"),
        pytest.param("question,question\na,b\n", 1, "'question' stands 2 times", id="same-column"),
        pytest.param("id,question\n1,a\n2,b\n1,c\n", 4, "stands already in line 2", id="same-id"),
    ],
)
def test_a_bad_row_is_refused_with_its_line_and_reason(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    error = refused(tmp_path, text)
    assert error.line == line
    assert said in error.message
    assert f"data.csv, line {line}: " in error.message


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        pytest.param('{"question": "a"}\n{oops}\n', 2, "invalid JSON", id="broken"),
        pytest.param('{"question": "a"}\n[1]\n', 2, "holds an array", id="array"),
        pytest.param('{"question": "a"}\n\n7\n', 3, "holds a number", id="number"),
        pytest.param('{"question": ""}\n', 1, "is empty", id="empty-question"),
        pytest.param('{"question": null}\n', 1, "is empty", id="null-question"),
        pytest.param('{"question": "a\\u0000"}\n', 1, "NUL", id="nul"),
        pytest.param('{"question": "a\\ud800"}\n', 1, "lone surrogate", id="half-a-character"),
        pytest.param(
            '{"question": ["a", "b"], "answers": "x"}\n', 1, "several values", id="two-questions"
        ),
        pytest.param(
            '{"question": "a", "answers": ["x", {"y": 1}]}\n',
            1,
            "not all texts",
            id="answers-of-kinds",
        ),
        pytest.param("[" * 100_000 + "\n", 1, "nested too deeply", id="deep"),
        pytest.param(
            '{"question": "a", "answer": "x", "answer": "y"}\n',
            1,
            "'answer' stands twice",
            id="twice",
        ),
    ],
)
def test_a_bad_line_of_json_is_refused_with_its_line_and_reason(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    error = refused(tmp_path, text, "data.jsonl")
    assert error.line == line
    assert said in error.message


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        pytest.param("", "d.csv", "is empty", id="empty-csv"),
        pytest.param("question,answer\n", "d.csv", "has no rows", id="header-only"),
        pytest.param("", "d.json", "is empty", id="empty-json"),
        pytest.param("[]", "d.json", "no column holds the question", id="empty-array"),
        pytest.param('"text"', "d.json", "must be an array of objects", id="no-array"),
        pytest.param("[1]", "d.json", "row 1: is a number", id="array-of-numbers"),
        pytest.param('[{"question": 1, "question": 2}]', "d.json", "stands twice", id="key-twice"),
        pytest.param('[{"question": 007}]', "d.json", "invalid JSON", id="broken-json"),
        pytest.param("[" * 100_000, "d.json", "nested too deeply", id="deep-json"),
        pytest.param(b"PAR1 and rubbish", "d.parquet", "cannot be read as Parquet", id="parquet"),
        pytest.param(bytes(range(1, 256)) * 4, "d.csv", "save it as UTF-8", id="binary"),
        pytest.param("\ufeffx".encode("utf-16-le") + b"\0", "d.csv", "UTF-16", id="odd-utf16"),
    ],
)
def test_a_file_without_usable_rows_is_refused(
    tmp_path: Path, content: str | bytes, name: str, said: str
) -> None:
    assert said in refused(tmp_path, content, name).message


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("d.xlsx", b"PK\x03\x04", "cannot be read as a workbook", id="broken-xlsx"),
        pytest.param("d.csv", b"PK\x05\x06" + b"\0" * 18, "is a zip archive", id="zip"),
        pytest.param("d.csv", b"\x1f\x8b..", "gzip archive", id="gzip"),
        pytest.param("d.yaml", b"a: b", "'.yaml', which is no kind of benchmark", id="yaml"),
    ],
)
def test_other_kinds_of_files_are_refused(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        load(tmp_path, content, name)


def test_a_missing_file_a_folder_and_an_unreadable_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        load_dataset(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="is not a file"):
        load_dataset(tmp_path)


@pytest.mark.parametrize("failure", [PermissionError(13, "Permission denied"), OSError("broken")])
def test_a_file_that_cannot_be_read_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: OSError
) -> None:
    def fail(_: Path) -> bytes:
        raise failure

    file = write(tmp_path, "question\na\n")
    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(InputError, match="cannot be read"):
        load_dataset(file)


@pytest.mark.parametrize(
    ("role", "name"),
    [
        (role, name)
        for role, names in NAMES.items()
        # Conversations, options, facts and given answers are of another form; test_data_formats.py has them.
        if role not in {"messages", "params", "choices", "facts", "given"}
        for name in names.every
        if not name.startswith("__")
    ],
)
@pytest.mark.parametrize("form", [str.upper, str.title, lambda n: n.replace("_", " ")])
def test_every_usual_name_is_recognised_in_any_spelling(
    tmp_path: Path, role: str, name: str, form: Any
) -> None:
    header = form(name) if role == "question" else f"question,{form(name)}"
    cells = "value" if role == "question" else "q,value"
    (row,) = load(tmp_path, f"{header},extra\n{cells},x\n").rows
    attribute = {"answer": "expected"}.get(role, role)
    assert getattr(row, attribute) in ("value", ("value",))


def test_unknown_columns_are_listed_with_the_way_to_map_them(tmp_path: Path) -> None:
    message = refused(tmp_path, "Kysymys;Vastaus\na;b\n").message
    assert "'Kysymys', 'Vastaus'" in message
    assert "question=COLUMN" in message


def test_columns_can_be_mapped_without_regard_to_case(tmp_path: Path) -> None:
    mapping = {"question": "kysymys", "expected": "Vastaus"}
    (row,) = load(tmp_path, "Kysymys;Vastaus\na;b\n", mapping=mapping).rows
    assert (row.question, row.expected) == ("a", "b")


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        pytest.param({"question": "nope"}, "has no column 'nope'", id="no-such-column"),
        pytest.param({"colour": "a"}, "'colour' is no role", id="no-such-role"),
        pytest.param({"question": "a", "answer": "a"}, "two roles", id="one-column-twice"),
    ],
)
def test_a_wrong_mapping_is_refused(tmp_path: Path, mapping: dict[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load(tmp_path, "a,b\n1,2\n", mapping=mapping)


def test_two_possible_questions_are_not_guessed_between(tmp_path: Path) -> None:
    text = "prompt,question,answer\na,b,c\n"
    message = refused(tmp_path, text).message
    assert "'question' and 'prompt' could each be the question" in message
    assert "question=question" in message
    (row,) = load(tmp_path, text, mapping={"question": "prompt"}).rows
    assert row.question == "a"


def test_two_possible_answers_are_not_guessed_between(tmp_path: Path) -> None:
    assert (
        "could each be the answer" in refused(tmp_path, "question,answer,target\na,b,c\n").message
    )


def test_an_output_beside_an_answer_is_not_the_answer(tmp_path: Path) -> None:
    (row,) = load(tmp_path, "question,output,answer\na,said,right\n").rows
    assert row.expected == "right"
    (row,) = load(tmp_path, "question,output\na,right\n").rows
    assert row.expected == "right"


def test_rows_without_an_answer_are_allowed_and_counted(tmp_path: Path) -> None:
    dataset = load(tmp_path, "question,answer\na,b\nc,\n")
    assert [row.expected for row in dataset.rows] == ["b", None]
    assert dataset.warnings == ("1 of 2 rows have no expected answer and are not scored for it.",)
    assert "No column holds expected answers" in load(tmp_path, "question,x\na,b\n").warnings[0]


@pytest.mark.parametrize("text", ["NA", "null", "None", "nan", "1.0", "001", "1e5", "true", "-"])
def test_texts_are_never_turned_into_numbers_or_gaps(tmp_path: Path, text: str) -> None:
    csv_row = load(tmp_path, f"question,answer\n{text},{text}\n").rows[0]
    line = json.dumps({"question": text, "answer": text})
    json_row = load(tmp_path, line, "data.jsonl").rows[0]
    assert (csv_row.question, csv_row.expected) == (text, text)
    assert (json_row.question, json_row.expected) == (text, text)


def test_numbers_in_json_keep_the_form_they_are_written_in(tmp_path: Path) -> None:
    lines = '{"question": 1, "answer": 1.0}\n{"question": "b", "answer": 1e5}\n'
    rows = load(tmp_path, lines + '{"question": "c", "answer": true}\n', "data.jsonl").rows
    assert [row.expected for row in rows] == ["1.0", "1e5", "true"]


def test_mlflows_nested_rows_and_lists_of_one_answer_are_understood(tmp_path: Path) -> None:
    nested = {
        "inputs": {"question": "a"},
        "expectations": {"expected_response": "b", "guidelines": ["short", "kind"]},
    }
    (row,) = load(tmp_path, json.dumps(nested), "data.jsonl").rows
    assert (row.question, row.expected, row.guidelines) == ("a", "b", ("short", "kind"))
    (row,) = load(tmp_path, '{"question": "a", "answers": ["b"]}', "data.jsonl").rows
    assert row.expected == "b"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[{"question": "a"}, {"question": "b"}]', id="array"),
        pytest.param('{"version": 1, "rows": [{"question": "a"}, {"question": "b"}]}', id="rows"),
        pytest.param('{"question": "a"}\n{"question": "b"}\n', id="json-lines-named-json"),
    ],
)
def test_json_files_hold_rows_in_several_ways(tmp_path: Path, text: str) -> None:
    assert [row.question for row in load(tmp_path, text, "data.json").rows] == ["a", "b"]


def parquet(file: Path, columns: dict[str, list[Any]]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table(columns), file)
    return file


def test_parquet_is_read_with_texts_as_they_are(tmp_path: Path) -> None:
    columns: dict[str, list[Any]] = {
        "question": ["a", "b"],
        "answer": ["001", None],
        "n": [1.5, float("nan")],
        "guidelines": [["short", "kind"], []],
    }
    dataset = load_dataset(parquet(tmp_path / "data.parquet", columns))
    first, second = dataset.rows
    assert (first.expected, first.line, first.guidelines) == ("001", None, ("short", "kind"))
    assert (second.expected, second.source["n"], second.guidelines) == (None, "", ())


def test_a_bad_parquet_row_is_named_by_its_number(tmp_path: Path) -> None:
    file = parquet(tmp_path / "data.parquet", {"question": ["a", ""]})
    with pytest.raises(DatasetError, match="row 2: the question"):
        load_dataset(file)
    file = parquet(tmp_path / "data.parquet", {"question": ["a"], "x": [b"\xff"]})
    with pytest.raises(DatasetError, match="row 1: column 'x' holds bytes"):
        load_dataset(file)


def test_the_digest_is_the_same_in_every_format(tmp_path: Path) -> None:
    rows = [
        {"question": "größer, schöner?", "answer": "ja", "guidelines": "short\nkind"},
        {"question": "b", "answer": "", "guidelines": ""},
    ]
    text = 'question,answer,guidelines\n"größer, schöner?",ja,"short\nkind"\nb,,\n'
    lines = "\n".join(json.dumps(row) for row in rows)
    columns = {key: [row[key] for row in rows] for key in rows[0]}
    digests = {
        load(tmp_path, text).digest,
        load(tmp_path, text.replace("question", "Prompt", 1), "a.csv").digest,
        load(tmp_path, text.encode("utf-16"), "b.csv").digest,
        load(tmp_path, text.replace("\n", "\r\n"), "c.csv").digest,
        load(tmp_path, lines, "d.jsonl").digest,
        load(tmp_path, json.dumps(rows), "e.json").digest,
        load_dataset(parquet(tmp_path / "f.parquet", columns)).digest,
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("question,answer\nc,d\na,b\n", id="order"),
        pytest.param("question,answer\na,b\nc,e\n", id="answer"),
        pytest.param("question,answer\na,b\n", id="fewer-rows"),
        pytest.param("question,answer,context\na,b,x\nc,d,\n", id="context"),
        pytest.param("question,answer\nab,\nc,d\n", id="moved-between-columns"),
    ],
)
def test_the_digest_changes_with_what_is_asked(tmp_path: Path, other: str) -> None:
    plain = load(tmp_path, "question,answer\na,b\nc,d\n").digest
    assert load(tmp_path, other, "other.csv").digest != plain


def test_a_very_long_cell_is_read(tmp_path: Path) -> None:
    # csv's own limit is 131,072 characters.
    text = "word " * 100_000
    (row,) = load(tmp_path, f'question,context\na,"{text}"\n').rows
    assert row.context == text.strip()


def test_a_hundred_thousand_rows_are_read_whole(tmp_path: Path) -> None:
    lines = "".join(f'{i},"What is {i} + {i}?",{2 * i}\n' for i in range(100_000))
    dataset = load(tmp_path, "id,question,answer\n" + lines)
    assert len(dataset.rows) == 100_000
    assert dataset.rows[-1].expected == "199998"


def test_reading_csv_imports_no_pandas_and_no_pyarrow(tmp_path: Path) -> None:
    import subprocess

    file = write(tmp_path, "question\na\n")
    code = (
        "import sys; from pathlib import Path; from llmflowlab.data.dataset import load_dataset;"
        "load_dataset(Path(sys.argv[1]));"
        "print(sorted({'pandas', 'pyarrow', 'charset_normalizer', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)],
        cwd=Path(__file__).parents[2],
        env={**os.environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"


CELL = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0\r"), max_size=30)


# How fast texts are drawn depends on what else the machine does.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(CELL.filter(str.strip), CELL), min_size=1, max_size=8))
def test_what_was_written_as_csv_or_json_lines_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv
    import io

    folder = tmp_path_factory.mktemp("roundtrip")
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["question", "answer"])
    writer.writerows(rows)
    from_csv = load(folder, out.getvalue(), "data.csv")
    lines = "\n".join(json.dumps({"question": q, "answer": a}) for q, a in rows)
    from_json = load(folder, lines, "data.jsonl")
    wanted = [(q.strip(), a.strip() or None) for q, a in rows]
    assert [(row.question, row.expected) for row in from_csv.rows] == wanted
    assert [(row.question, row.expected) for row in from_json.rows] == wanted
    assert from_csv.digest == from_json.digest


@pytest.mark.parametrize("word", ["NaN", "nan", "null", "None", "N/A"])
def test_a_word_that_may_stand_for_a_missing_answer_is_named_before_anything_is_paid(
    tmp_path: Path, word: str
) -> None:
    # It stays the answer: of some questions it is the right one.
    found = load(tmp_path, f"question,answer\nq1,Paris\nq2,{word}\n")
    assert found.rows[1].expected == word
    (remark,) = [each for each in found.warnings if "leave the cell empty" in each]
    assert remark.startswith(f"1 expected answer is the word {word} (row ")
    assert not any(
        "leave the cell" in each for each in load(tmp_path, "question,answer\nq,Paris\n").warnings
    )
