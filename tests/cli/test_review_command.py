"""`review` line by line, its results as JSON, its spreadsheet, and what MLflow's pages say."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.ui.screen import GoBack
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import open_store
from tests.cli.fakes import Typing
from tests.full_disk import TROUBLES, no_writing

QUESTIONS = "question,answer,category\n" + "".join(
    f"What is {n} + {n}?,{2 * n},{'even' if n % 2 == 0 else 'odd'}\n" for n in range(1, 9)
)
RUBRIC = """\
- name: helpful
  ask: Does it help?
- name: tone
  scale: [friendly, rude]
"""


@pytest.fixture
def evaluation(mlflow_home: Path, capsys: pytest.CaptureFixture[str]) -> str:
    (mlflow_home / "sums.csv").write_text(QUESTIONS, encoding="utf-8")
    asked = ("--data", "sums.csv", "--model", "guide", "--scorer", "contains")
    assert main(["evaluate", *asked, "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)["evaluation_id"])


def review(*arguments: str, code: int = 0) -> None:
    assert main(["review", *arguments]) == code


def results(evaluation: str, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    review(evaluation, "--json")
    return json.loads(capsys.readouterr().out)


def test_answers_are_judged_line_by_line_and_the_end_of_input_keeps_all(
    evaluation: str, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("yes\n4\nperhaps\nn\nu\ny\nc much too long\n2\nd\ns\nb\nu\n")
    review(evaluation, "--as", "ada")
    said = capsys.readouterr()
    assert "'perhaps' answers nothing here; type yes or no, or q to leave." in said.err
    assert "0 of 8 judged · answer 1 · ada" in said.out
    assert "Judged by people" in said.out
    assert "8 judged, and kept; this review goes on there the next time." in said.err
    document = results(evaluation, capsys)
    assert (document["people"], document["answers"], document["discarded"]) == (["ada"], 2, 1)
    correct, quality = document["means"]
    assert (correct["question"], correct["mean"], correct["n"]) == ("correct", 1.0, 2)
    assert (quality["question"], quality["mean"]) == ("quality", (0.75 + 0.25) / 2)
    with Path(document["files"]["review_csv"]).open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["comment"] for line in lines].count("much too long") == 2
    assert {line["person"] for line in lines} == {"ada"}


def test_who_judges_all_is_told_and_asked_nothing_again(
    evaluation: str, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("yes\n3\n" * 8)
    review(evaluation, "--as", "ada")
    assert "All answers are judged." in capsys.readouterr().out
    typed("")
    review(evaluation, "--as", "ada")
    said = capsys.readouterr()
    assert "All answers are judged." in said.out
    assert "Is the answer correct?" not in said.out


def test_controls_of_an_answer_do_not_reach_the_terminal(
    mlflow_home: Path, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (mlflow_home / "given.csv").write_text(
        'question,answer,given\nWhat?,x,"\x1b[2Jgone"\n', encoding="utf-8"
    )
    asked = ("--data", "given.csv", "--answers", "given", "--scorer", "contains")
    assert main(["evaluate", *asked, "--json"]) == 0
    evaluation = json.loads(capsys.readouterr().out)["evaluation_id"]
    typed("q\n")
    review(evaluation)
    said = capsys.readouterr()
    assert "␛[2Jgone" in said.out
    assert "\x1b[2J" not in said.out + said.err


def test_answers_that_are_not_whole_are_told_before_the_first_question(
    mlflow_home: Path, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (mlflow_home / "given.csv").write_text(
        "question,answer,given\nWhat?,x,x\nAnd?,y,\n", encoding="utf-8"
    )
    asked = ("--data", "given.csv", "--answers", "given", "--scorer", "contains")
    assert main(["evaluate", *asked, "--json"]) == 0
    evaluation = json.loads(capsys.readouterr().out)["evaluation_id"]
    typed("q\n")
    review(evaluation)
    told = "1 answer is left out, as only whole ones are judged: 1 "
    assert told in capsys.readouterr().err
    review("export", evaluation, "--output", "sheet.csv", "--json")
    assert sum(json.loads(capsys.readouterr().out)["left_out"].values()) == 1
    review("export", evaluation, "--output", "again.csv")
    assert told in capsys.readouterr().err


def test_a_sheet_with_a_column_for_each_question_goes_out_and_comes_back(
    evaluation: str, mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mlflow_home / "rubric.yaml").write_text(RUBRIC, encoding="utf-8")
    rubric = ("--rubric", "rubric.yaml")
    review("export", evaluation, "--output", "sheet.csv", *rubric)
    said = capsys.readouterr().out
    assert "8 answers to judge: sheet.csv" in said
    assert "helpful: yes or no; tone: friendly, rude" in said
    assert "review import sheet.csv --as NAME --rubric rubric.yaml" in said
    with Path("sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0])[5:] == ["helpful", "tone", "comment", "key"]
    rows[0] |= {"helpful": "Ja", "tone": "RUDE"}
    rows[1] |= {"tone": "friendly"}

    def write() -> None:
        with Path("sheet.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    write()
    review("import", "sheet.csv", "--as", "ada", *rubric, "--json")
    document = json.loads(capsys.readouterr().out)
    assert (document["verdicts"], document["new"], document["not_judged"]) == (3, 3, 6)
    assert document["waiting"] is None
    review("import", "sheet.csv", "--as", "ada", *rubric, "--json")
    assert json.loads(capsys.readouterr().out)["as_before"] == 3
    review("import", "sheet.csv", "--as", "ada", code=2)
    assert "has no column 'verdict'" in capsys.readouterr().err
    rows[1]["tone"] = "loud"
    write()
    review("import", "sheet.csv", "--as", "ada", *rubric, code=2)
    assert "sheet.csv, line 3: tone is 'loud'; write friendly, rude." in capsys.readouterr().err


def test_what_people_said_on_mlflow_s_pages_is_taken_in_once(
    evaluation: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow.entities import AssessmentSource, Feedback

    ledger = Ledger(settings.ledger_file)
    plan = ledger.plan(evaluation)
    ledger.close()
    cells = list(plan.cells())
    store = open_store(settings)

    def says(cell: int, name: str, value: Any, person: str = "eve") -> None:
        source = AssessmentSource(source_type="HUMAN", source_id=person)
        store.tracing.log_assessment(
            plan.trace_id(cells[cell]), Feedback(name=name, value=value, source=source)
        )

    says(0, "human_verdict", "no")
    says(0, "quality", 2.0)
    says(1, "human_verdict", True)
    says(2, "kind", "very", person="zoe")
    says(3, "list", ["no", "verdict"])
    for new in (4, 0):
        review("import", "--mlflow", evaluation, "--json")
        document = json.loads(capsys.readouterr().out)
        assert (document["verdicts"], document["new"]) == (4, new)
    assert document["judge_name"] == "eve, zoe"
    means = {mean["question"]: mean["mean"] for mean in document["means"]}
    assert means == {"correct": 0.5, "quality": 0.25}
    # What stands there is not written there again, under other names.
    assert main(["cache", "--json"]) == 0
    run = store.tracing.get_trace(plan.trace_id(cells[0])).info
    names = sorted(
        a.name for a in run.assessments if a.source.source_type == "HUMAN" and a.feedback
    )
    assert names == ["human_verdict", "quality"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        pytest.param(["nothing"], "'nothing' is neither a run nor an evaluation", id="name"),
        pytest.param(["{}", "--until", "2"], "'2' lies not between 0 and 1", id="until"),
        pytest.param(["{}", "--order", "best"], "invalid choice: 'best'", id="order"),
        pytest.param(["{}", "--stratify", "category"], "belongs to --order", id="stratify"),
        pytest.param(["{}", "--rubric", "none.yaml"], "none.yaml: it cannot be read", id="rubric"),
        pytest.param(["{}", "--json"], "Nobody has judged", id="nobody"),
        pytest.param(["--json"], "Say what was judged", id="no run"),
        pytest.param(["import"], "Give a judged spreadsheet, or --mlflow", id="import"),
        pytest.param(["import", "x.csv", "--mlflow", "{}"], "one of them", id="two imports"),
        pytest.param(["import", "--mlflow", "{}", "--as", "me"], "knows who said", id="as"),
        pytest.param(["{}", "--as", "\x1b[0m"], "Say who judges", id="controls"),
        pytest.param(["import", "--mlflow", "{}"], "Nobody has judged an answer", id="no words"),
        pytest.param(["import", "sums.csv"], "is a file of questions (columns", id="questions"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    evaluation: str, capsys: pytest.CaptureFixture[str], arguments: list[str], why: str
) -> None:
    review(*(argument.replace("{}", evaluation) for argument in arguments), code=2)
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert why in said.err


@pytest.mark.parametrize(
    "place",
    ["review.review_screen", "prompts.prompts_screen", "registry.registry_screen"],
)
def test_esc_in_the_first_question_of_a_command_s_screen_is_no_interruption(
    mlflow_home: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def leaves(app: object) -> None:
        raise GoBack

    room, _, name = place.partition(".")
    monkeypatch.setattr(f"llmflowlab.cli.{place}.{name}", leaves)
    assert main([room]) == 0


def test_a_full_disk_ends_a_review_in_one_sentence_and_loses_no_word(
    evaluation: str, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("yes\n4\n")
    review(evaluation, "--as", "ada")
    capsys.readouterr()
    for says, why in TROUBLES.items():
        typed("no\n")
        with no_writing(says):
            review(evaluation, "--as", "ada", code=4)
        [told] = [line for line in capsys.readouterr().err.splitlines() if "people.db" in line]
        assert why in told
    assert results(evaluation, capsys)["answers"] == 1


def test_labels_of_a_single_reviewer_are_shown(
    evaluation: str, mlflow_home: Path, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (mlflow_home / "rubric.yaml").write_text(RUBRIC, encoding="utf-8")
    typed("y\nfriendly\ny\nrude\nn\nfriendly\n")
    review(evaluation, "--as", "ada", "--rubric", "rubric.yaml")
    said = capsys.readouterr().out
    assert "Labels given by people" in said
    assert "friendly 2, rude 1" in said
    # Nothing of what was asked is what a scorer says: no table sets them beside each other.
    assert "Agreement" not in said
    assert "No scorer says the like of helpful, tone;" in said
    [labels] = results(evaluation, capsys)["labels"]
    assert (labels["question"], labels["counts"]) == ("tone", {"friendly": 2, "rude": 1})


def test_the_agreement_says_why_a_scorer_stands_beside_a_question_and_when_kappa_is_undefined(
    evaluation: str, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("yes\n4\n" * 8)
    review(evaluation, "--as", "ada")
    said = " ".join(capsys.readouterr().out.split())
    assert "correct stands beside contains because both say whether" in said
    assert "No scorer says the like of quality;" in said
    assert "undefined" in said
    assert "one side says the same of every answer, as ada" in said


def test_the_menu_s_screen_asks_whose_answers_and_who_judges(
    evaluation: str, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("1\nada\nrandom\nyes\n5\n")
    review()
    said = capsys.readouterr()
    assert "sums, 8 rows: guide:docs" in said.out
    assert "1 of 8 judged, and kept; this review goes on there the next time." in said.err
    assert results(evaluation, capsys)["people"] == ["ada"]


def test_without_an_evaluation_the_screen_says_so(
    mlflow_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    review()
    assert "There is nothing to judge yet" in capsys.readouterr().out


def test_info_shows_people_s_scores_beside_judges_and_they_are_the_review_s(
    evaluation: str, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    for person, said in (("ada", "yes\n4\n"), ("bob", "no\n4\n")):
        typed(said * 8)
        review(evaluation, "--as", person)
    document = results(evaluation, capsys)
    assert main(["info", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    everybody = {m["question"]: m for m in document["means"] if m["person"] is None}
    assert [score["question"] for score in model["people"]] == ["correct", "quality"]
    for score in model["people"]:
        own = everybody[score["question"]]
        assert {key: score[key] for key in ("mean", "ci_low", "ci_high", "n")} == {
            key: own[key] for key in ("mean", "ci_low", "ci_high", "n")
        }
        assert (score["people"], score["evaluation_id"]) == (2, evaluation)
    assert main(["info"]) == 0
    assert "correct 50.0 % (8), quality 75.0 % (8)" in capsys.readouterr().out
    # What was forgotten is in no figure.
    assert main(["cache", "--clear", evaluation, "--yes"]) == 0
    capsys.readouterr()
    assert main(["info", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["people"] == []
