"""An evaluation whose questions share passages: one interval and one number of clusters, through every door."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmflowlab.cli import main
from llmflowlab.statistics import paired_test
from llmflowlab.statistics.noninferiority import non_inferior
from tests.doors.evaluated import said
from tests.known import known
from tests.loopback import LoopbackServer

SAID = "Intervals and tests over 12 clusters (column passage)."


QUESTIONS = [f"What is {n} + {n}?" for n in range(36)]


@pytest.fixture
def home(
    tmp_path: Path, migrated_db: Path, monkeypatch: pytest.MonkeyPatch, requests_allowed: None
) -> Iterator[Path]:
    """A home with 36 questions on twelve passages, and a server that knows every other passage."""
    shutil.copy(migrated_db, tmp_path / "mlflow.db")
    rows = [f"{question},right,p{n // 3}" for n, question in enumerate(QUESTIONS)]
    (tmp_path / "asked.csv").write_text("question,answer,passage\n" + "\n".join(rows) + "\n")
    with LoopbackServer() as server:
        server.scenario.answers = {
            question: "right" if n // 3 % 2 else "wrong" for n, question in enumerate(QUESTIONS)
        }
        monkeypatch.chdir(tmp_path)
        for name, value in {**server.environment(), "LLMFLOWLAB_HOME": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        yield tmp_path


OPTIONS = ("--data", "asked.csv", "--model", "openai:gpt-4.1-mini", "--scorer", "contains")


def evaluated(*arguments: str) -> dict[str, Any]:
    systems = ("--system", "Short.", "--system", "Long.")
    return dict(json.loads(said("evaluate", *OPTIONS, *systems, *arguments, "--json")))


def test_clusters_are_the_same_through_every_door(home: Path) -> None:
    alone = evaluated()
    assert alone["cluster"] is None
    found = evaluated("--cluster", "Passage")
    assert found["cluster"] == {"column": "passage", "clusters": 12}
    one, two = (document["candidates"][0]["scores"]["contains"] for document in (alone, found))
    assert one["mean"] == two["mean"] == 0.5
    # Twelve passages say less than 36 questions.
    assert two["ci_high"] - two["ci_low"] > 1.3 * (one["ci_high"] - one["ci_low"])
    id_ = found["evaluation_id"]
    # MLflow: figures recomputed from its traces alone, for both evaluations.
    for document in (alone, found):
        checks = json.loads(said("verify", document["evaluation_id"], "--json"))
        assert all(check["equal"] for each in checks["runs"] for check in each["checks"])
    # The report is written again from the ledger.
    report = json.loads(said("report", id_, "--json"))
    page = Path(found["files"]["report_html"]).read_text("utf-8")
    assert SAID in page
    assert report["evaluation_id"] == id_
    # Gates and diff: the bound is that of clusters.
    against = ("--compare-to", alone["evaluation_id"], "--margin", "0.3")
    gated = evaluated("--cluster", "passage", *against)
    [gate, _] = gated["gates"]
    equal, passages = [0.0] * 36, np.repeat(np.arange(12), 3)
    bound = known(non_inferior(equal, equal, 0.3, binary=False, clusters=passages)).lower_bound
    assert gate["passed"]
    assert gate["lower_bound"] == pytest.approx(bound)
    diff = json.loads(said("diff", *(one["run_id"] for one in found["candidates"]), "--json"))
    test = known(paired_test(equal, equal, binary=False, clusters=passages))
    assert diff["test"]["ci_low"] == pytest.approx(test.interval.low)
    assert diff["test"]["n"] == 36


def test_screen_dry_run_and_parameters_say_over_how_many_clusters(home: Path) -> None:
    asked = ("evaluate", *OPTIONS, "--cluster", "passage")
    assert SAID in said(*asked, "--dry-run")
    document = json.loads(said(*asked, "--dry-run", "--json"))
    assert document["cluster"] == {"column": "passage", "clusters": 12}
    assert said(*asked).count(SAID) == 2


def test_columns_that_cannot_be_clusters_are_refused_and_passages_are_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("evaluate", *OPTIONS, "--dry-run")
    assert main([*options, "--cluster", "page"]) == 2
    assert "no column 'page'; there are question, answer, passage" in capsys.readouterr().err
    assert main([*options]) == 0
    assert "36 rows share 12 passages: consider --cluster passage." in capsys.readouterr().err
    assert main([*options, "--cluster", "passage"]) == 0
    assert "consider" not in capsys.readouterr().err
