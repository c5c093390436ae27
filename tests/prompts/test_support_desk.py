"""The shipped support-desk questions: what they promise, and that the shop's policy answers them."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.data.check import examine
from llmflowlab.data.dataset import Dataset, load_dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.scorers.deterministic import contains
from llmflowlab.text.language import LanguageDetector
from llmflowlab.text.normalise import tokenise
from tests.prompts.starting_files import POLICY

FILE = Path(__file__).parents[2] / "llmflowlab" / "prompts" / "support_desk.csv"
CATEGORIES = {"billing", "delivery", "account", "product", "complaint", "out_of_scope"}
TONES = {"angry", "neutral", "polite", "rambling", "terse", "typos"}

TOLD = r"\d+(?::\d+)?|\S+@[\w.]+\w|fernhollow\.example/\w+"


@pytest.fixture(scope="module")
def desk() -> Dataset:
    return load_dataset(Path("support_desk"))


def stands_in(text: str, answer: str, language: str | None = "en") -> bool:
    return contains(tokenise(text, language=language), tokenise(answer, language=language)) == 1


def test_it_is_found_by_its_name_unless_a_file_has_it(
    desk: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.name == "support_desk"
    assert desk.digest == load_dataset(FILE).digest
    monkeypatch.chdir(tmp_path)
    own = Path("support_desk")
    own.mkdir()
    with pytest.raises(InputError, match="is not a file"):
        load_dataset(own)


def test_an_evaluation_finds_it_by_its_name(
    capsys: pytest.CaptureFixture[str], desk: Dataset
) -> None:
    asked = ["evaluate", "--model", "guide", "--data", "support_desk", "--dry-run", "--json"]
    assert main(asked) == 0
    shown = json.loads(capsys.readouterr().out)["dataset"]
    assert (shown["name"], shown["rows"]) == ("support_desk", len(desk.rows))


def test_the_file_is_plain_utf8_csv_without_warnings(desk: Dataset) -> None:
    with FILE.open(encoding="utf-8", newline="") as source:
        header, *rows = csv.reader(source, strict=True)
    assert {len(row) for row in rows} == {len(header)}
    assert {"tone", "length", "guidelines", "category", "language"} <= set(header)
    assert desk.warnings == ()
    assert FILE.stat().st_size < 100_000


def test_it_is_large_and_varied(desk: Dataset) -> None:
    assert len(desk.rows) >= 170
    categories = Counter(row.category for row in desk.rows)
    assert set(categories) == CATEGORIES
    assert min(categories.values()) >= 25
    languages = Counter(row.language for row in desk.rows)
    assert {"en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "zh", "ja", "ar"} <= set(
        languages
    )
    assert min(languages[code] for code in ("en", "de", "fr", "es", "it", "pt")) >= 14
    tones = Counter(row.source["tone"] for row in desk.rows)
    assert set(tones) == TONES
    assert min(tones.values()) >= 10
    assert set(Counter(row.source["length"] for row in desk.rows)) == {"short", "medium", "long"}
    sizes = [len(row.question.split()) for row in desk.rows if row.language not in {"ja", "zh"}]
    assert min(sizes) >= 3
    assert 100 <= max(sizes) <= 150


def test_the_examination_finds_nothing_in_it(tmp_path: Path) -> None:
    detector = LanguageDetector(tmp_path)
    report = examine(FILE, mapping={}, detect=lambda text: detector.detect(text).code)
    assert report.findings == ()
    assert report.remarks == ()


def test_no_two_rows_ask_the_same(desk: Dataset) -> None:
    assert len({row.question.casefold() for row in desk.rows}) == len(desk.rows)


def test_every_row_is_answered_by_the_policy(desk: Dataset) -> None:
    """Every figure and address that is expected stands in it, and in its language the words too."""
    told = set(re.findall(TOLD, POLICY))
    for row in desk.rows:
        expected = row.expected or ""
        assert set(re.findall(TOLD, expected)) <= told, row.id
        if row.language == "en":
            assert any(stands_in(POLICY, text) for text in (expected, *row.alternatives)), row.id


def test_a_bare_number_is_no_accepted_answer_but_an_age(desk: Dataset) -> None:
    """ "24 hours" would be right where the policy says 24 months."""
    bare = [row.id for row in desk.rows for answer in row.alternatives if answer.isdecimal()]
    assert all(row.startswith("account") for row in bare)
    assert len(bare) <= 4


def test_a_figure_of_the_policy_means_one_thing() -> None:
    """Else an answer that names another rule would count as right."""
    figures = Counter(re.findall(r"\d+(?::\d+)?", POLICY))
    # Said of a late parcel twice.
    assert {figure for figure, times in figures.items() if times > 1} == {"9"}


def test_what_is_out_of_scope_is_passed_on_and_only_that(desk: Dataset) -> None:
    for row in desk.rows:
        passed_on = "fernhollow.example/help" in (row.expected or "")
        assert passed_on == (row.category == "out_of_scope"), row.id


def test_an_accepted_answer_is_no_part_of_the_question(desk: Dataset) -> None:
    for row in desk.rows:
        for answer in (row.expected or "", *row.alternatives):
            assert not stands_in(row.question, answer, row.language), row.id


def test_the_documentation_states_its_size_and_categories(desk: Dataset) -> None:
    page = (FILE.parents[2] / "docs" / "benchmark.md").read_text(encoding="utf-8")
    assert f"{len(desk.rows)} questions to the customer service" in page
    for category, count in Counter(row.category for row in desk.rows).items():
        assert f"| `{category}` | {count} |" in page
    english = sum(row.language == "en" for row in desk.rows)
    assert f"English has {english} rows" in page
