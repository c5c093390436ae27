"""The data commands as they are typed."""

from __future__ import annotations

import json

import pytest

from llmflowlab.cli import main
from llmflowlab.errors import ExitCode

GOOD = "question,answer\nWho wrote Faust?,Goethe\nCapital of Peru?,Lima\n"
BAD = GOOD + "who wrote faust,Schiller\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "q.csv"
    path.write_text(BAD, encoding="utf-8")
    return path


def test_check_shows_what_was_found_and_ends_well(file, capsys):
    assert main(["data", "check", str(file)]) == ExitCode.DONE
    out = capsys.readouterr().out
    assert "error: The same question with different answers (1)" in out
    assert "line 2: Who wrote Faust?" in out
    assert all(len(line) < 80 for line in out.splitlines()[1:])


def test_check_prints_one_json_document(file, capsys):
    assert main(["data", "check", str(file), "--runs", "--json"]) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert [row["line"] for row in document["findings"][0]["rows"]] == [2, 4]


def test_check_says_what_each_column_was_taken_for(file, capsys):
    file.write_text("user_query,prompt,output\na,b,c\n", encoding="utf-8")
    assert main(["data", "check", str(file)]) == ExitCode.DONE
    said = (
        "columns: question: prompt; expected: output (taken for want of better); unused: user_query"
    )
    assert said in capsys.readouterr().out
    assert main(["data", "check", str(file), "--json"]) == ExitCode.DONE
    assert json.loads(capsys.readouterr().out)["unused"] == ["user_query"]


def test_check_goes_on_without_bad_rows_and_names_them(file, capsys):
    file.write_text(GOOD + ",nothing\nx,y,z\n", encoding="utf-8")
    assert main(["data", "check", str(file), "--strict"]) == ExitCode.GATE_NOT_MET
    assert "Rows that cannot be used (2)" in capsys.readouterr().out
    assert main(["data", "check", str(file), "--skip-bad", "--strict"]) == ExitCode.DONE
    assert "2 rows were left out: line 4: the question" in capsys.readouterr().err


def test_convert_says_where_several_answers_went(tmp_path, capsys):
    (tmp_path / "two.jsonl").write_text(
        '{"question": "q", "answer": ["a", "b"]}\n', encoding="utf-8"
    )
    assert main(["data", "convert", "two.jsonl", "two.csv"]) == ExitCode.DONE
    assert "stand in the columns answer, answer_2" in capsys.readouterr().err


def test_strict_is_a_gate(file, capsys):
    assert main(["data", "check", str(file), "--strict"]) == ExitCode.GATE_NOT_MET
    assert "Gate not met: 1 error" in capsys.readouterr().err
    file.write_text(GOOD, encoding="utf-8")
    assert main(["data", "check", str(file), "--strict"]) == ExitCode.DONE
    assert "Nothing was found." in capsys.readouterr().out


def test_what_was_written_is_a_document_for_a_script(file, tmp_path, capsys):
    def said(*arguments):
        capsys.readouterr()
        assert main(["data", *arguments, "--json"]) == ExitCode.DONE
        return json.loads(capsys.readouterr().out)

    drawn = said("sample", str(file), "-n", "2", "-o", "two.jsonl")
    assert (drawn["file"], drawn["rows"]) == ("two.jsonl", 2)
    split = said("split", str(file), "--into", "a=0.5,b=0.5", "-o", "parts")["files"]
    assert sum(part["rows"] for part in split) == drawn["of"] == split[0]["of"]
    made = said("convert", str(file), "q.parquet")
    assert made == {"file": "q.parquet", "rows": drawn["of"], "spread": {}, "formulas": 0}


def test_sample_split_and_convert_write_files(file, tmp_path):
    assert main(["data", "sample", str(file), "-n", "2", "-o", "two.jsonl"]) == ExitCode.DONE
    assert len((tmp_path / "two.jsonl").read_text("utf-8").splitlines()) == 2
    split = ["data", "split", str(file), "--into", "a=0.5,b=0.5", "-o", "parts"]
    assert main(split) == ExitCode.DONE
    assert {p.name for p in (tmp_path / "parts").iterdir()} == {"a.csv", "b.csv"}
    assert main(["data", "convert", str(file), "q.parquet"]) == ExitCode.DONE
    assert main(["data", "convert", "q.parquet", "again.csv"]) == ExitCode.DONE
    assert main(["data", "convert", "again.csv", "q.parquet"]) == ExitCode.BAD_INPUT


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "missing.csv"],
        ["check", "q.csv", "--map", "question"],
        ["sample", "q.csv", "-n", "0", "-o", "out.csv"],
        ["sample", "q.csv", "-n", "1", "-o", "out.xlsx"],
        ["split", "q.csv", "--into", "a=2", "-o", "out"],
        [],
    ],
)
def test_bad_input_is_code_2_and_touches_nothing(file, tmp_path, arguments):
    before = {p.name for p in tmp_path.iterdir()}
    assert main(["data", *arguments]) == ExitCode.BAD_INPUT
    assert {p.name for p in tmp_path.iterdir()} == before


def test_versions_are_registered_once_per_content(file, mlflow_home, capsys):
    file.write_text(GOOD + "Capital of Peru?,Lima\n", encoding="utf-8")
    for expected in ((1, True), (1, False)):
        assert main(["data", "register", str(file), "--json"]) == ExitCode.DONE
        entry = json.loads(capsys.readouterr().out)
        assert (entry["version"], entry["new"], entry["rows"]) == (*expected, 3)
    file.write_text(GOOD, encoding="utf-8")
    assert main(["data", "register", str(file)]) == ExitCode.DONE
    capsys.readouterr()
    assert main(["data", "list", "--json"]) == ExitCode.DONE
    listed = json.loads(capsys.readouterr().out)["datasets"]
    assert [(e["name"], e["version"], e["rows"]) for e in listed] == [("q", 2, 2), ("q", 1, 3)]

    import mlflow

    frame = mlflow.genai.datasets.get_dataset(name="q@1").to_df()
    assert len(frame) == 3
