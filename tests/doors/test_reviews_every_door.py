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
from llmflowlab.evaluation.run.ledger import Ledger
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
