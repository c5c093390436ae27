"""What people think of a candidate is one figure, wherever it is shown."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.evaluate.show_evaluation import result_tables
from llmflowlab.evaluation.reports.markdown import markdown_summary
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.people.word_delivery import deliver_words
from llmflowlab.people.word_store import WordStore
from llmflowlab.settings import Settings
from llmflowlab.tracking.feedback import read_feedback
from llmflowlab.tracking.store import open_store

ROWS = 12
QUESTIONS = "question,answer\n" + "".join(f"What is {n} + {n}?,{2 * n}\n" for n in range(ROWS))
SAID = {"ada": ["yes", "yes", "no"], "bob": ["yes", "no", "no"]}
"""By turns, over the answers as they come; quality is 4 for yes and 2 for no."""


def test_means_of_people_are_one_figure_through_every_door(
    mlflow_home: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(*arguments: str) -> Any:
        capsys.readouterr()
        assert main([*arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    (mlflow_home / "sums.csv").write_text(QUESTIONS, encoding="utf-8")
    asked = ("--data", "sums.csv", "--model", "guide", "--scorer", "contains")
    evaluation = command("evaluate", *asked)["evaluation_id"]
    for person, said in SAID.items():
        lines = [f"{each}\n{4 if each == 'yes' else 2}\n" for each in said * (ROWS // 3)]
        monkeypatch.setattr("sys.stdin", io.StringIO("".join(lines)))
        assert main(["review", evaluation, "--as", person]) == 0
    shown = capsys.readouterr().out
    document = command("review", evaluation)
    means = {(m["person"], m["question"]): m for m in document["means"]}

    with Path(document["files"]["review_csv"]).open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    with closing(Ledger(settings.ledger_file)) as ledger:
        plan = ledger.plan(evaluation)
    traces = [plan.trace_id(cell) for cell in plan.cells()]
    feedback = list(read_feedback(open_store(settings), traces))
    values = {"yes": 1.0, "no": 0.0, "4": 0.75, "2": 0.25}
    for person in SAID:
        for question in ("correct", "quality"):
            own = means[person, question]
            table = [
                values[line["verdict"]]
                for line in cells
                if (line["person"], line["asked"]) == (person, question)
            ]
            held = [
                values[str(each.value)]
                for each in feedback
                if (each.person, each.question) == (person, question)
            ]
            assert own["n"] == len(table) == len(held) == ROWS
            assert (
                own["mean"] == pytest.approx(sum(table) / ROWS) == pytest.approx(sum(held) / ROWS)
            )
            assert f"{own['mean']:.1%}" in shown
    (model,) = command("info")["models"]
    for score in model["people"]:
        together = means[None, score["question"]]
        assert {name: score[name] for name in ("mean", "n", "ci_low", "ci_high")} == {
            name: together[name] for name in ("mean", "n", "ci_low", "ci_high")
        }
        assert score["people"] == len(SAID)
    assert means[None, "correct"]["mean"] == pytest.approx(0.5)

    # What people and judge tell together: the document, the page, `info`, the run.
    together = {one["question"]: one for one in document["people_and_judge"]}
    deliver_words(settings, evaluation)
    with closing(Ledger(settings.ledger_file)) as ledger:
        result = stored_result(ledger, evaluation)
        [run] = ledger.evaluation(evaluation).runs["candidates"]
    assert result.to_json()["people"] == document["people_and_judge"]
    metrics = open_store(settings).client.get_run(run).data.metrics
    assert main(["report", evaluation]) == 0
    file = settings.state_dir / "evaluations" / evaluation / "report.html"
    texts = [
        shown,
        file.read_text("utf-8"),
        markdown_summary(result).replace("\\", ""),
        " ".join(map(str, result_tables(result))),
    ]
    (model,) = command("info")["models"]
    for question, one in together.items():
        assert one["people"] == means[None, question]["mean"]
        told = model["quality"]["people"][question]
        for figure, key in (("combined", "value"), ("combined_ci_low", "ci_low")):
            assert one[key] == told[figure] == metrics[f"people/{question}/{figure}"]
        for text in texts:
            # Whose scores help is named where they stand.
            assert f"{one['scorer']} {one['judge']:.1%}" in text
            assert f"{one['value']:.1%}" in text
            assert f"{one['ci_low']:.1%} to {one['ci_high']:.1%}" in text


def test_ratings_and_votes_are_one_figure_in_info_its_document_and_the_leaderboard(
    mlflow_home: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def typed(text: str, *arguments: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        capsys.readouterr()
        assert main(list(arguments)) == 0
        return capsys.readouterr().out

    typed("Hello?\n/rate 4\nAnd?\n/rate 2 too long\n/rate +\n", "chat", "--model", "guide")
    two = ("--model", "guide", "--system", "Be brief.", "--system", "Be kind.", "--seed", "1")
    typed("One?\nleft\nTwo?\nt\nThree?\nb\n", "arena", *two)

    (model,) = json.loads(typed("", "info", "--json"))["models"]
    with closing(WordStore(settings.people_file)) as words:
        said = [int(word.said or 0) for word in words.words("turn") if word.question == "rating"]
    rating, thumb = model["ratings"]
    assert (rating["n"], rating["people"], thumb["n"], thumb["mean"]) == (2, 1, 1, 1.0)
    assert rating["mean"] == pytest.approx(sum((grade - 1) / 4 for grade in said) / 2) == 0.5
    board = json.loads(typed("", "arena", "leaderboard", "--json"))["people"]
    own = model["arena"]
    for name in ("battles", "wins", "losses", "ties", "both_bad"):
        assert own[name] == sum(place[name] for place in board["contestants"])
    assert (own["wins"], own["ties"], own["losses"], own["both_bad"]) == (1, 4, 1, 2)
    shown = " ".join(typed("", "info").split())
    assert "rating 50.0 % (2), thumbs up 100.0 % (1)" in shown
    assert "1/4/1" in shown


def test_a_model_of_which_people_only_voted_is_in_info_too(
    mlflow_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("One?\nleft\n"))
    assert main(["arena", "--model", "guide", "--system", "a", "--system", "b"]) == 0
    capsys.readouterr()
    assert main(["info", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert (model["model"], model["turns"], model["ratings"]) == ("guide:docs", 0, [])
    assert model["arena"]["battles"] == 2
    assert main(["info", "--provider", "gemini", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] == []
