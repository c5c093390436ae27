"""Every form in which people keep questions: what is read of each, and what is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmflowlab.candidate import Candidate
from llmflowlab.data.check import examine
from llmflowlab.data.converting import write_table
from llmflowlab.data.dataset import Dataset, Row, load_dataset
from llmflowlab.data.names import NAMES
from llmflowlab.data.tables import read_table
from llmflowlab.errors import DatasetError, InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import request_for
from llmflowlab.evaluation.run.stored_dataset import dataset_from_text, dataset_text
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.kinds import build_text_scorer

GUIDE = Candidate(model="guide:docs", display_name="Guide", supplier="LLMFlowLab")


def written(folder: Path, content: Any, name: str) -> Path:
    """Write a text, bytes, or values as JSON (a tuple: one a line)."""
    if isinstance(content, tuple):
        content = "".join(json.dumps(row) + "\n" for row in content)
    elif not isinstance(content, str | bytes):
        content = json.dumps(content)
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return file


def load(folder: Path, content: Any, name: str, **options: Any) -> Dataset:
    return load_dataset(written(folder, content, name), **options)


def seen(row: Row) -> dict[str, Any]:
    """Return what is read of a row beyond its defaults."""
    said = row.conversation and [(m.role, m.content) for m in row.conversation.messages]
    found = {
        "question": row.question,
        "expected": row.expected,
        "alternatives": row.alternatives,
        "context": row.context,
        "options": row.options,
        "facts": row.facts,
        "language": row.language,
        "said": said,
        "id": None if row.id == str(row.index + 1) else row.id,
    }
    return {name: value for name, value in found.items() if value not in (None, ())}


FRAME = {"question": {"0": "a?", "1": "b?"}, "answer": {"0": "x", "1": "y"}}
TWO = [{"question": "a?", "expected": "x"}, {"question": "b?", "expected": "y"}]
EVEN = "Which is even?\n\nA) 1\nB) 3\nC) 4"
EVEN_ROW = {"question": EVEN, "expected": "4", "alternatives": ("C",), "options": ("1", "3", "4")}
USER = {"role": "user", "content": "2+2?"}
SAID = [("user", "2+2?")]

FORMATS: dict[str, tuple[str, Any, list[dict[str, Any]]]] = {
    # answers
    "squad": (
        "d.jsonl",
        (
            {"id": "s1", "context": "c", "question": "a?", "answers": {"text": ["Lyon", "Lyon", "L"], "answer_start": [1, 1, 2]}},
            {"id": "s2", "context": "c", "question": "b?", "answers": {"text": [], "answer_start": []}},
        ),
        [
            {"question": "a?", "expected": "Lyon", "alternatives": ("L",), "context": "c", "id": "s1"},
            {"question": "b?", "context": "c", "id": "s2"},
        ],
    ),
    "squad-articles": (
        "d.json",
        {"version": "1.1", "data": [{"title": "T", "paragraphs": [{"context": "c", "qas": [
            {"id": "q", "question": "a?", "answers": [{"text": "Lyon", "answer_start": 3}, {"text": "L", "answer_start": 3}]}]}]}]},
        [{"question": "a?", "expected": "Lyon", "alternatives": ("L",), "context": "c", "id": "q"}],
    ),
    "squad-of-pandas-csv": (
        "d.csv",
        "question,answers\na?,\"{'text': array(['Lyon', 'L'], dtype=object), 'answer_start': array([1, 2])}\"\n",
        [{"question": "a?", "expected": "Lyon", "alternatives": ("L",)}],
    ),
    "triviaqa": (
        "d.jsonl",
        ({"question": "a?", "question_id": "tc_1", "answer": {"value": "Sinclair", "aliases": ["S. Lewis", "Sinclair"], "normalized_aliases": ["s lewis"], "type": "WikipediaEntity"}},),
        [{"question": "a?", "expected": "Sinclair", "alternatives": ("S. Lewis",), "id": "tc_1"}],
    ),
    "triviaqa-original": (
        "d.json",
        {"Data": [{"Question": "a?", "QuestionId": "q7", "Answer": {"Value": "X", "Aliases": ["Y"], "NormalizedAliases": ["y"]}}], "Domain": "Web"},
        [{"question": "a?", "expected": "X", "alternatives": ("Y",), "id": "q7"}],
    ),
    "numbers-among-answers": ("d.jsonl", ({"question": "a?", "ideal": [6, "six"]},), [{"question": "a?", "expected": "6", "alternatives": ("six",)}]),
    "nq-open-python-lists": ("d.csv", "question,answers\na?,\"['14', 'fourteen']\"\n", [{"question": "a?", "expected": "14", "alternatives": ("fourteen",)}]),
    "tenth-answer": (
        "d.csv",
        "question,answer," + ",".join(f"answer_{i}" for i in range(2, 12)) + "\nq?," + ",".join("abcdefghijk") + "\n",
        [{"question": "q?", "expected": "a", "alternatives": tuple("bcdefghijk")}],
    ),
    "numbered-from-one": ("d.csv", "question,answer1,answer2\nq?,a,b\n", [{"question": "q?", "expected": "a", "alternatives": ("b",)}]),
    "json-answer-stays": ("d.csv", 'question,answer\nq?,"[1, 2]"\n', [{"question": "q?", "expected": "[1, 2]"}]),
    # messages
    "openai-evals": (
        "d.jsonl",
        ({"input": [USER], "ideal": "4"}, {"input": [{"role": "system", "content": "Be short."}, USER], "ideal": ["4", "four"]}),
        [
            {"question": "2+2?", "expected": "4", "said": SAID},
            {"question": "2+2?", "expected": "4", "alternatives": ("four",), "said": SAID},
        ],
    ),
    "messages-in-a-csv-cell": ("d.csv", 'input,ideal\n"[{""role"": ""user"", ""content"": ""2+2?""}]",4\n', [{"question": "2+2?", "expected": "4", "said": SAID}]),
    "sharegpt": (
        "d.jsonl",
        ({"conversations": [{"from": "human", "value": "2+2?"}, {"from": "gpt", "value": "4"}]},),
        [{"question": "2+2?", "expected": "4", "said": SAID}],
    ),
    "fine-tuning": ("d.jsonl", ({"messages": [USER, {"role": "assistant", "content": "4"}]},), [{"question": "2+2?", "expected": "4", "said": SAID}]),
    "mt-bench": (
        "d.jsonl",
        (
            {"question_id": 81, "category": "math", "turns": ["1+1?", "and 1?"], "reference": ["2", "3"]},
            {"question_id": 82, "category": "writing", "turns": ["Write.", "Again."]},
        ),
        [
            {"question": "and 1?", "expected": "3", "said": [("user", "1+1?"), ("assistant", "2"), ("user", "and 1?")], "id": "81"},
            {"question": "Again.", "said": [("user", "Write."), ("user", "Again.")], "id": "82"},
        ],
    ),
    "one-conversation-as-json": ("d.json", {"messages": [USER]}, [{"question": "2+2?", "said": SAID}]),
    # tools
    "langsmith": ("d.jsonl", ({"inputs": {"question": "a?"}, "outputs": {"answer": "x"}},), [{"question": "a?", "expected": "x"}]),
    "langsmith-own-names": ("d.jsonl", ({"inputs": {"text": "a?"}, "outputs": {"text": "x"}},), [{"question": "a?", "expected": "x"}]),
    "langsmith-chat": (
        "d.jsonl",
        ({"inputs": {"messages": [USER]}, "outputs": {"message": {"role": "assistant", "content": "4"}}},),
        [{"question": "2+2?", "expected": "4", "said": SAID}],
    ),
    "langfuse": (
        "d.json",
        [{"id": "i1", "input": {"question": "a?"}, "expectedOutput": {"answer": "x"}, "metadata": {"k": 1}}],
        [{"question": "a?", "expected": "x", "id": "i1"}],
    ),
    "mlflow": (
        "d.jsonl",
        ({"inputs": {"question": "a?"}, "outputs": {"response": "said"}, "expectations": {"expected_response": "x"}},),
        [{"question": "a?", "expected": "x"}],
    ),
    "expected-facts": ("d.jsonl", ({"inputs": {"question": "a?"}, "expectations": {"expected_facts": ["x", "y"]}},), [{"question": "a?", "facts": ("x", "y")}]),
    "ragas": (
        "d.jsonl",
        ({"user_input": "a?", "retrieved_contexts": ["one", "two"], "response": "said", "reference": "x"},),
        [{"question": "a?", "expected": "x", "context": "one\n\ntwo"}],
    ),
    "ragas-csv": ("d.csv", "user_input,retrieved_contexts,reference\na?,\"['one', 'two']\",x\n", [{"question": "a?", "expected": "x", "context": "one\n\ntwo"}]),
    "hotpotqa": (
        "d.jsonl",
        ({"question": "a?", "answer": "x", "context": {"title": ["T", "U"], "sentences": [["One.", " Two."], ["Three."]]}},),
        [{"question": "a?", "expected": "x", "context": "T\nOne. Two.\n\nU\nThree."}],
    ),
    "context-of-other-fields-stays": ("d.csv", 'question,context,answer\na?,"{""text"": ""t"", ""price"": 3}",x\n', [{"question": "a?", "expected": "x", "context": '{"text": "t", "price": 3}'}]),
    "documents-of-a-retriever": ("d.jsonl", ({"question": "a?", "answer": "x", "documents": 1, "contexts": [{"page_content": "one", "metadata": {"p": 1}}, {"page_content": "two"}]},), [{"question": "a?", "expected": "x", "context": "one\n\ntwo"}]),
    "promptfoo-csv": ("d.csv", "question,__expected\na?,equals: x\nb?,contains:y\nc?,z\n", [{"question": "a?", "expected": "x"}, {"question": "b?", "expected": "y"}, {"question": "c?", "expected": "z"}]),
    "promptfoo-json": (
        "d.json",
        [{"vars": {"question": "a?"}, "assert": [{"type": "contains-any", "value": ["x", "y"]}]}],
        [{"question": "a?", "expected": "x", "alternatives": ("y",)}],
    ),
    # frames
    "pandas-columns": ("d.json", FRAME, TWO),
    "pandas-index": ("d.json", {"0": {"question": "a?", "answer": "x"}, "1": {"question": "b?", "answer": "y"}}, TWO),
    "rows-by-id": ("d.json", {"k1": {"question": "a?", "answer": "x"}}, [{"question": "a?", "expected": "x", "id": "k1"}]),
    "pandas-split": ("d.json", {"columns": ["question", "answer"], "index": [0, 1], "data": [["a?", "x"], ["b?", "y"]]}, TWO),
    "mlflow-log-table": ("d.json", {"columns": ["question", "answer"], "data": [["a?", "x"], ["b?", "y"]]}, TWO),
    "pandas-table": (
        "d.json",
        {"schema": {"fields": [{"name": "index"}], "primaryKey": ["index"]}, "data": [{"index": 0, "question": "a?", "answer": "x"}, {"index": 1, "question": "b?", "answer": "y"}]},
        TWO,
    ),
    "lists-by-column": ("d.json", {"question": ["a?", "b?"], "answer": ["x", "y"]}, TWO),
    "pandas-records": ("d.json", [{"question": "a?", "answer": "x"}, {"question": "b?", "answer": "y"}], TWO),
    "array-under-jsonl": ("d.jsonl", [{"question": "a?", "answer": "x"}], TWO[:1]),
    "frame-under-jsonl": ("d.jsonl", FRAME, TWO),
    "nan-is-missing": ("d.json", '[{"question": "a?", "answer": NaN}, {"question": "b?", "answer": "nan"}]', [{"question": "a?"}, {"question": "b?", "expected": "nan"}]),
    "nan-in-a-list": ("d.jsonl", '{"question": "a?", "answers": ["x", NaN, "y"]}\n', [{"question": "a?", "expected": "x", "alternatives": ("y",)}]),
    # options
    "mmlu": ("d.jsonl", ({"question": "Which is even?", "choices": ["1", "3", "4"], "answer": 2},), [EVEN_ROW]),
    "mmlu-csv": ("d.csv", "question,choices,answer\nWhich is even?,\"['1', '3', '4']\",2\n", [EVEN_ROW]),
    "mmlu-csv-of-numpy": ("d.csv", "question,choices,answer\nWhich is even?,\"['1' '3'\n '4']\",2\n", [EVEN_ROW]),
    "arc": ("d.jsonl", ({"question": "Which is even?", "choices": {"text": ["1", "3", "4"], "label": ["A", "B", "C"]}, "answerKey": "C"},), [EVEN_ROW]),
    "arc-numbered": ("d.jsonl", ({"question": "Which is even?", "choices": {"text": ["1", "3", "4"], "label": ["1", "2", "3"]}, "answerKey": "3"},), [EVEN_ROW]),
    "arc-original": (
        "d.jsonl",
        ({"question": {"stem": "Which is even?", "choices": [{"text": "1", "label": "A"}, {"text": "3", "label": "B"}, {"text": "4", "label": "C"}]}, "answerKey": "C"},),
        [EVEN_ROW],
    ),
    "medqa": ("d.jsonl", ({"question": "Which is even?", "options": {"A": "1", "B": "3", "C": "4"}, "answer": "4", "answer_idx": "C"},), [EVEN_ROW]),
    "letter-columns": ("d.csv", "question,A,B,C,answer\nWhich is even?,1,3,4,C\n", [EVEN_ROW]),
    "option-columns": ("d.csv", "Question,Option A,Option B,Option C,Answer\nWhich is even?,1,3,4,C) 4\n", [EVEN_ROW]),
    "medmcqa": ("d.jsonl", ({"question": "Which is even?", "opa": "1", "opb": "3", "opc": "4", "cop": 2},), [EVEN_ROW]),
    "counted-from-one": (
        "d.jsonl",
        ({"question": "Which is even?", "choices": ["1", "3", "4"], "answer_index": 3}, {"question": "Odd?", "choices": ["2", "4", "5"], "answer_index": 1}),
        [EVEN_ROW, {"question": "Odd?\n\nA) 2\nB) 4\nC) 5", "expected": "2", "alternatives": ("A",), "options": ("2", "4", "5")}],
    ),
    "semicolons": ("d.csv", "question,options,answer\nWhich is even?,1; 3; 4,4\n", [EVEN_ROW]),
    "aqua-lettered-options": ("d.jsonl", ({"question": "Which is even?", "options": ["A)1", "B)3", "C)4"], "correct": "C"},), [EVEN_ROW]),
    "truthfulqa-mc": ("d.jsonl", ({"question": "Which is even?", "mc1_targets": {"choices": ["1", "3", "4"], "labels": [0, 0, 1]}},), [EVEN_ROW]),
    "options-stand-in-the-question": (
        "d.csv",
        'question,choices,answer\n"Which?\nA) red\nB) blue","[""red"", ""blue""]",B\n',
        [{"question": "Which?\nA) red\nB) blue", "expected": "B", "options": ("red", "blue")}],
    ),
    "options-that-are-none": ("d.csv", "question,options,answer\nHow?,fast; cheap,x\n", [{"question": "How?", "expected": "x"}]),
    "letters-that-are-none": ("d.csv", "question,A,B,answer\nHow?,said one,said two,x\n", [{"question": "How?", "expected": "x"}]),
    "winogrande": ("d.jsonl", ({"question": "S _ x", "option1": "red", "option2": "blue", "answer": "1"},), [{"question": "S _ x\n\nA) red\nB) blue", "expected": "red", "alternatives": ("A",), "options": ("red", "blue")}]),
    "options-under-letters": ("d.csv", 'question,options,answer\nWhich is even?,"A) 1, B) 3, C) 4",C\n', [EVEN_ROW]),
    "hellaswag": ("d.jsonl", ({"ctx": "Which is even?", "endings": ["1", "3", "4"], "label": "2"},), [EVEN_ROW]),
    "big-bench": ("d.json", {"name": "b", "keywords": ["k"], "examples": [{"input": "Which is even?", "target_scores": {"1": 0, "3": 0, "4": 1}}]}, [EVEN_ROW]),
    "datasets-server": ("d.json", {"features": [{"name": "question"}], "rows": [{"row_idx": 0, "row": {"question": "a?", "answer": "x"}}]}, TWO[:1]),
    "langfuse-csv": ("d.csv", 'id,input,expectedOutput\n1,"{""question"": ""a?""}","{""answer"": ""x""}"\n', TWO[:1]),
    "pretty-object-under-jsonl": ("d.jsonl", '{\n "question": "a?",\n "answer": "x"\n}\n', TWO[:1]),
    "popqa": ("d.jsonl", ({"question": "a?", "possible_answers": '["x", "z"]'},), [{"question": "a?", "expected": "x", "alternatives": ("z",)}]),
    # names and tables
    "camel-case": ("d.csv", "questionId,userInput,expectedAnswer\nq1,a?,x\n", [{"question": "a?", "expected": "x", "id": "q1"}]),
    "truthfulqa": ("d.csv", "Question,Best Answer,Correct Answers\na?,Yes,Yes; It is\n", [{"question": "a?", "expected": "Yes"}]),
    "german": ("d.csv", "Frage;Antwort;Sprache\na?;x;de\n", [{"question": "a?", "expected": "x", "language": "de"}]),
    "french-without-accents": ("d.csv", "QUESTION,REPONSE\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "russian": ("d.csv", "Вопрос,Ответ\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "arabic": ("d.csv", "السؤال,الإجابة\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "traditional chinese": ("d.csv", "題目,標準答案\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "japanese": ("d.csv", "設問,模範解答\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "french": ("d.csv", "Énoncé;Bonne réponse\na?;x\n", [{"question": "a?", "expected": "x"}]),
    "german model answers": ("d.csv", "Frage;Musterlösung\na?;x\n", [{"question": "a?", "expected": "x"}]),
    "spanish": ("d.csv", "Enunciado,Respuesta de referencia\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "chinese": ("d.csv", "问题,答案\na?,x\n", [{"question": "a?", "expected": "x"}]),
    "short-and-long-rows": ("d.csv", "question,answer,context\na?,x\nb?,y,,,\n", TWO),
    "title-above-the-header": ("d.csv", "My questions;;\n;;\nquestion;answer;note\na?;x;n\n", TWO[:1]),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
def test_each_form_is_read_as_what_it_says(tmp_path: Path, form: str) -> None:
    name, content, wanted = FORMATS[form]
    rows = load(tmp_path, content, name).rows
    assert [seen(row) for row in rows] == wanted


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
def test_each_form_is_the_same_benchmark_in_every_other_format(
    tmp_path: Path, form: str, ending: str
) -> None:
    # several accepted answers became one text of JSON on the way to CSV and Parquet
    name, content, _ = FORMATS[form]
    source = written(tmp_path, content, name)
    write_table(read_table(source), tmp_path / f"out{ending}")
    before, after = load_dataset(source), load_dataset(tmp_path / f"out{ending}")
    assert after.digest == before.digest
    for old, new in zip(before.rows, after.rows, strict=True):
        assert seen(replace(new, line=old.line)) == seen(old)


TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    str.strip
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(st.tuples(TEXT, st.lists(TEXT, max_size=4)), min_size=1, max_size=4),
    endings=st.lists(st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".parquet"]), min_size=1, max_size=3),
)  # fmt: skip
def test_answers_survive_any_chain_of_formats(
    tmp_path: Path, rows: list[tuple[str, list[str]]], endings: list[str]
) -> None:
    source = written(
        tmp_path, tuple({"question": q, "answer": answers} for q, answers in rows), "start.jsonl"
    )
    first = load_dataset(source)
    for number, ending in enumerate(endings):
        target = tmp_path / f"step{number}{ending}"
        try:
            write_table(read_table(source), target, force=True)
        except InputError:
            # Refused, not changed: a question of "," alone is none in a table of one column.
            return
        source = target
    again = load_dataset(source)
    assert again.digest == first.digest
    assert [(r.expected, r.alternatives) for r in again.rows] == [
        (r.expected, r.alternatives) for r in first.rows
    ]


def test_options_are_sent_and_chosen_by_letter_or_text(tmp_path: Path) -> None:
    dataset = load(
        tmp_path, ({"question": "Even?", "choices": ["3", "4"], "answer": 1},), "d.jsonl"
    )
    (row,) = dataset.rows
    assert request_for(GUIDE, row).messages[0].content == "Even?\n\nA) 3\nB) 4"
    scorer = build_text_scorer(ScorerSpec.plain("multiple_choice"))
    for text, value in (("B", 1.0), ("The answer is (B).", 1.0), ("4", 1.0), ("A", 0.0)):
        assert scorer.score(row, AnswerRecord(text=text, state="complete")).value == value
    again = dataset_from_text(dataset_text(dataset, json.dumps))
    assert again == dataset


def test_facts_survive_the_journal_and_are_what_a_judge_sees(tmp_path: Path) -> None:
    dataset = load(tmp_path, ({"question": "a?", "expected_facts": ["x", "y"]},), "d.jsonl")
    assert dataset_from_text(dataset_text(dataset, json.dumps)) == dataset
    assert dataset.rows[0].accepted == "- x\n- y"


@pytest.mark.parametrize(
    ("mapping", "accepted"),
    [
        pytest.param({"answer": "Correct Answers"}, ("Yes; It is", ()), id="one-text"),
        pytest.param({"answers": "Correct Answers"}, ("Yes", ("It is",)), id="list"),
        pytest.param({"answers": "Correct Answers;"}, ("Yes", ("It is",)), id="list-and-its-sign"),
        pytest.param({"answer": "Best Answer", "answers": "Correct Answers"}, ("Sure", ("Yes", "It is")), id="both"),
    ],
)  # fmt: skip
def test_a_list_of_accepted_answers_is_told_apart_where_that_is_asked(
    tmp_path: Path, mapping: dict[str, str], accepted: tuple[str, tuple[str, ...]]
) -> None:
    text = "Question,Best Answer,Correct Answers\na?,Sure,Yes; It is\n"
    dataset = load(tmp_path, text, "d.csv", mapping=mapping)
    assert (dataset.rows[0].expected, dataset.rows[0].alternatives) == accepted
    hint = '--map "answers=Correct Answers"'
    assert any(hint in warning for warning in dataset.warnings) == (
        mapping == {"answer": "Correct Answers"}
    )


def test_answers_already_given_are_read_with_their_row(tmp_path: Path) -> None:
    text = "question,answer,response,Draft 2\na?,x,said,other\nb?,y,,\n"
    dataset = load(tmp_path, text, "d.csv", answers=["draft_2", "response"])
    assert dataset.given == ("Draft 2", "response")
    assert [row.given_answers["response"] for row in dataset.rows] == ["said", ""]
    assert "answers to be scored: Draft 2, response" in dataset.reading
    assert "unused" not in dataset.reading
    # They are no part of what is asked and expected.
    assert dataset.digest == load(tmp_path, text, "d.csv").digest


@pytest.mark.parametrize("form", [str.upper, str.title, lambda n: n.replace("_", " ")])
@pytest.mark.parametrize("name", NAMES["given"].every)
def test_a_column_that_looks_like_given_answers_is_named_with_what_scores_it(
    tmp_path: Path, name: str, form: Callable[[str], str]
) -> None:
    column = form(name)
    found = load(tmp_path, f"question,answer,{column}\na?,x,said\n", "d.csv")
    quoted = f"'{column}'" if " " in column or not column.isascii() else column
    assert found.answered == column
    assert f"answers already given: {column} (--answers {quoted} scores them)" in found.reading
    assert not found.rows[0].given_answers


def test_a_column_taken_for_the_answer_for_want_of_better_may_be_the_given_one(
    tmp_path: Path,
) -> None:
    text = "question,output\na?,said\n"
    assert load(tmp_path, text, "d.csv").rows[0].expected == "said"
    row = load(tmp_path, text, "d.csv", answers=["output"]).rows[0]
    assert (row.expected, row.given_answers) == (None, {"output": "said"})


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (
            "nope",
            "d.csv has no column 'nope' for the answers to be scored; its columns: 'question'",
        ),
        ("answer", "Column 'answer' holds the expected answers, and compared with itself"),
        ("answer_2", "Column 'answer_2' holds the expected answers"),
        ("context", "Column 'context' is read as context, not as answers"),
        ("question", "Column 'question' is read as question, not as answers"),
    ],
)
def test_a_column_that_cannot_be_given_answers_is_refused(
    tmp_path: Path, column: str, sentence: str
) -> None:
    text = "question,answer,answer_2,context\na?,x,y,z\n"
    with pytest.raises(InputError) as caught:
        load(tmp_path, text, "d.csv", answers=[column])
    assert caught.value.message.startswith(sentence)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("user_query,prompt,output\na,b,c\n", "question: prompt; expected: output (taken for want of better); unused: user_query"),
        ("Question,label,Debiased\na,b,c\n", "question: Question; expected: label (taken for want of better); unused: Debiased"),
        ("question,A,B,answer,answer_2\nq,x,y,A,y\n", "question: question; expected: answer; further answers: answer_2; options: A, B"),
        ("question\na\n", "question: question"),
    ],
)  # fmt: skip
def test_what_each_column_was_taken_for_is_one_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    assert load(tmp_path, text, "d.csv").reading == sentence
    report = examine(tmp_path / "d.csv", mapping={}, detect=lambda t: None)
    assert report.reading == sentence


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        pytest.param("d.jsonl", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer: run git lfs pull", id="lfs"),
        pytest.param("d.csv", "<!DOCTYPE html>\n<html></html>", "is a web page, not the file", id="page"),
        pytest.param("d.json", "\n <html lang='en'>", "is a web page, not the file", id="page-without-doctype"),
        pytest.param("d.csv", '<?xml version="1.0"?><a/>', "is an XML document", id="xml"),
        pytest.param("d.csv", '[{"question": "a"}]', "is JSON: let its name end in .json", id="json-as-csv"),
        pytest.param("d.csv", '{"question": "a", "answer": "b"}\n', "is JSON: let its name end in .json", id="json-lines-as-csv"),
        pytest.param("d.jsonl", "question,answer\na?,x\n", "is delimited text, not JSON", id="csv-as-json-lines"),
        pytest.param("d.csv", "| question | answer |\n|---|:-:|\n| a? | x |\n", "is a Markdown table", id="markdown"),
        pytest.param("d.json", {"rows": [{"row_idx": 0, "row": {"question": "a"}, "truncated_cells": ["question"]}]}, "cells that the server cut", id="cut-by-the-server"),
        pytest.param("d.csv", b"SQLite format 3\x00", "is an SQLite database", id="sqlite"),
        pytest.param("d.json", [["a?", "x"]], "rows without column names", id="pandas-values"),
        pytest.param("d.json", {"train": [{"question": "a"}], "test": [{"question": "b"}]}, r"several lists of rows \('train', 'test'\)", id="splits"),
        pytest.param("d.jsonl", ({"question": {"a": 1, "b": 2}},), "holds an object with the keys 'a', 'b'; give one text", id="question-object"),
        pytest.param("d.json", {"question": ["a", "b"], "answer": ["x"]}, "columns of different lengths: 'question' 2, 'answer' 1", id="uneven-columns"),
        pytest.param("d.csv", "Which is even?,1,3,C\nWhich is odd?,1,2,A\n", "Perhaps its header line is missing", id="no-header"),
        pytest.param("d.jsonl", "\n\n", "is empty", id="empty-lines"),
        pytest.param("d.csv", "question,__expected\na?,javascript: output > 1\n", "assertion 'javascript' is not read", id="promptfoo-code"),
        pytest.param("d.csv", "question,__expected\na?,llm-rubric: kind\n", "assertion 'llm-rubric' is not read", id="promptfoo-judge"),
        pytest.param("d.csv", ",".join(f"c{i}" for i in range(50_000)) + "\n", "has 50,000 columns", id="wide"),
        pytest.param("d.json", [{f"c{i}": "" for i in range(6_000)}], "has 6,000 columns", id="wide-json"),
        pytest.param("d.csv", "question\n" + "a" * 10_000_001 + "\n", "10,000,001 characters, more than any model reads", id="huge-cell"),
        pytest.param("d.csv", "question,note\na,b,c,d\n", "found 4 cells, expected 2", id="too-many-cells"),
    ],
)  # fmt: skip
def test_what_is_no_benchmark_is_called_what_it_is(
    tmp_path: Path, name: str, content: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        load(tmp_path, content, name)


def test_options_that_are_not_shown_are_named(tmp_path: Path) -> None:
    text = "question,options,answer\nHow?,fast; cheap,x\n"
    assert "not shown to the model: no expected answer" in load(tmp_path, text, "d.csv").warnings[0]
    text = "question,options,answer\nHow?,fast,x\n"
    assert "it cannot be read as options" in load(tmp_path, text, "d.csv").warnings[0]


def test_an_unknown_object_as_an_answer_is_named_before_anything_is_paid(tmp_path: Path) -> None:
    dataset = load(tmp_path, ({"question": "a?", "answer": {"x": 1, "y": 2}},), "d.jsonl")
    assert dataset.rows[0].expected == '{"x": "1", "y": "2"}'
    assert "an object with the keys 'x', 'y' (1 row)" in dataset.warnings[0]


BROKEN = "question,answer\na?,x\nb?,y,z\n,x\nc?,x\nd?,1,2\n"


def test_all_bad_rows_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(DatasetError) as caught:
        load(tmp_path, BROKEN, "d.csv")
    assert caught.value.line == 3
    assert (
        "line 4: the question (column 'question') is empty; line 6: found 3" in caught.value.message
    )


def test_the_list_of_bad_rows_is_bounded(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"and 89 more. \(--skip-bad") as caught:
        load(tmp_path, "question,answer\n" + ",x\n" * 100, "d.csv")
    assert len(caught.value.message) < 1_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.csv", BROKEN),
        ("d.jsonl", '{"question": "a?"}\n{oops\n{"question": ""}\n{"question": "c?"}\n7\n'),
        ("d.json", [{"question": "a?"}, 7, {"question": ""}, {"question": "c?"}, None]),
    ],
)
def test_bad_rows_are_left_out_where_that_is_wanted(
    tmp_path: Path, name: str, content: Any
) -> None:
    dataset = load(tmp_path, content, name, skip_bad=True)
    assert [row.question for row in dataset.rows] == ["a?", "c?"]
    assert [(row.index, row.id) for row in dataset.rows] == [(0, "1"), (1, "4")]
    assert any("3 rows were left out" in warning for warning in dataset.warnings)
    file = tmp_path / name
    report = examine(file, mapping={}, detect=lambda t: None, skip_bad=True)
    assert (report.rows, report.counts["error"]) == (2, 0)
    report = examine(file, mapping={}, detect=lambda t: None)
    assert [f.rows[0].row for f in report.findings if f.kind == "refused"] == [2, 3, 5]


def test_a_file_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no rows"):
        load(tmp_path, "question,answer\n,x\n", "d.csv", skip_bad=True)
