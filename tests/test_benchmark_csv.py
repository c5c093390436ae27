"""The shipped benchmark: its promises, and every calculation done again."""

from __future__ import annotations

import csv
import datetime
import itertools
import json
import math
from collections import Counter
from pathlib import Path

import pytest

from llmflowlab.data.dataset import Dataset, load_dataset
from llmflowlab.evaluation.scorers.deterministic import contains
from llmflowlab.providers.guide.provider import DOES_NOT_KNOW
from llmflowlab.text.normalise import tokenise

FILE = Path(__file__).parents[1] / "benchmark.csv"

COMPUTED: dict[str, object] = {
    "arithmetic-01": 17 * 23,
    "arithmetic-02": 1000 - 387,
    "arithmetic-03": 240 * 15 // 100,
    "arithmetic-04": 2**12,
    "arithmetic-05": round(180 / 2.5),
    "arithmetic-06": math.gcd(84, 126),
    "arithmetic-07": sum([4, 8, 15, 16, 23, 42]) // 6,
    "arithmetic-08": 144 // 12 + 7,
    "arithmetic-09": 14 * 9,
    "arithmetic-10": 48 + 75 * 2,
    "arithmetic-11": 80 * (100 - 35) // 100,
    "arithmetic-12": 3 * 24 * 60,
    "arithmetic-13": 13**2 - 69,
    "reasoning-02": next(ball for ball in range(111) if ball + (ball + 100) == 110),
    "reasoning-03": 6 * 7,
    "reasoning-04": 5 * 100 * 5 // (5 * 100),
    # 2025-01-01 was a Wednesday.
    "reasoning-05": (datetime.date(2025, 1, 1) + datetime.timedelta(days=100)).strftime("%A"),
    "reasoning-06": next(n for n in range(100) if 42 + n == 2 * (12 + n)),
    "reasoning-08": next(n for n in range(28) if n + 2 * n == 27),
    "reasoning-10": 8 + 13,
    "reasoning-12": next(
        n
        for n in range(1, 9)
        if all(max(Counter(draw).values()) >= 2 for draw in itertools.combinations("rrrbbbbb", n))
    ),
    "reading-05": 6 - 2 + 3,
    "reading-07": 7 - 3,
    "reading-09": 10 * 4 * 2,
    "instructions-01": "lantern"[::-1],
    "instructions-02": ", ".join(sorted(["pear", "mango", "apple", "cherry"])),
    "instructions-05": "strawberry".count("r"),
    "instructions-10": "Fenster"[-1],
}


@pytest.fixture(scope="module")
def benchmark() -> Dataset:
    return load_dataset(FILE)


def test_the_file_is_plain_utf8_csv_without_warnings(benchmark: Dataset) -> None:
    content = FILE.read_bytes()
    assert not content.startswith(b"\xef\xbb\xbf")
    with FILE.open(encoding="utf-8", newline="") as source:
        rows = list(csv.reader(source, strict=True))
    assert rows[0] == ["id", "category", "language", "question", "answer", "context", "guidelines"]
    assert {len(row) for row in rows} == {7}
    assert benchmark.warnings == ()


def test_it_is_large_and_varied_enough(benchmark: Dataset) -> None:
    assert len(benchmark.rows) >= 72
    categories = Counter(row.category for row in benchmark.rows)
    assert set(categories) == {
        *("facts", "arithmetic", "reasoning", "reading", "instructions", "lab"),
    }
    assert min(categories.values()) >= 10
    assert {"en", "de", "fr", "es", "it", "pt"} == {row.language for row in benchmark.rows}
    assert sum(bool(row.guidelines) for row in benchmark.rows) >= 10


def test_every_row_has_a_short_answer_and_a_question_of_its_own(benchmark: Dataset) -> None:
    assert all(row.expected and len(row.expected.split()) <= 4 for row in benchmark.rows)
    questions = Counter((row.question, row.context) for row in benchmark.rows)
    assert max(questions.values()) == 1
    assert all((row.context is not None) == (row.category == "reading") for row in benchmark.rows)


@pytest.mark.parametrize("row_id", COMPUTED)
def test_the_answer_is_what_the_calculation_gives(benchmark: Dataset, row_id: str) -> None:
    row = next(row for row in benchmark.rows if row.id == row_id)
    assert row.expected == str(COMPUTED[row_id])


def test_every_arithmetic_row_is_computed_again(benchmark: Dataset) -> None:
    rows = {row.id for row in benchmark.rows if row.category == "arithmetic"}
    assert rows <= set(COMPUTED)


def test_the_json_answer_is_json(benchmark: Dataset) -> None:
    row = next(row for row in benchmark.rows if row.id == "instructions-04")
    assert json.loads(row.expected or "") == {"ok": True}


def test_saying_that_one_does_not_know_is_never_right(benchmark: Dataset) -> None:
    for row in benchmark.rows:
        given = tokenise(DOES_NOT_KNOW, language=row.language)
        assert contains(given, tokenise(row.expected or "", language=row.language)) == 0, row.id


def test_answers_of_reading_rows_stand_in_their_text_or_are_computed(benchmark: Dataset) -> None:
    derived = {"reading-02"}
    for row in benchmark.rows:
        if row.category == "reading" and row.id not in COMPUTED.keys() | derived:
            assert (row.expected or "") in (row.context or ""), row.id


def test_the_documentation_states_its_size_and_licence(benchmark: Dataset) -> None:
    text = (FILE.parent / "docs" / "benchmark.md").read_text(encoding="utf-8")
    assert f"{len(benchmark.rows)} questions" in text
    assert "CC0 1.0" in text
    for category, count in Counter(row.category for row in benchmark.rows).items():
        assert f"| `{category}` | {count} |" in text
