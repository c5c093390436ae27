"""`evaluate` with gates and sheets, as a CI job or a person with a spreadsheet uses it."""

from __future__ import annotations

import csv
import json
import re
import shlex
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

# Imported before any test: its import warns about an optional package behind a filter of its own, which
# pytest's change of filters between tests can undo when a background thread is the one to import it.
import requests  # noqa: F401
import yaml

from llmflowlab.cli import main
from llmflowlab.cli.arguments import parse
from llmflowlab.cli.evaluate.gate_options import gate_request
from llmflowlab.settings import load_settings
from llmflowlab.tracking.feedback import NAME
from llmflowlab.tracking.store import open_store
from tests.cli.test_evaluate_command import CSV
from tests.known import known

WORKFLOW = Path(__file__).parents[2] / "docs" / "examples" / "github-actions.yml"
GUIDE = ("--model", "guide:docs", "--scorer", "contains", "--scorer", "token_f1")


@pytest.fixture
def data(mlflow_home: Path) -> Path:
    file = mlflow_home / "terms.csv"
    file.write_text(CSV, encoding="utf-8")
    return file


def evaluate(*options: str) -> int:
    return main(["evaluate", *options])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        pytest.param(["--fail-under", "contain=0.1"], "Did you mean contains?", id="scorer"),
        pytest.param(["--fail-under", "contains"], "is no gate", id="form"),
        pytest.param(["--fail-under", "contains=90"], "between 0 and 1", id="percent"),
        pytest.param(["--min-coverage", "0.9"], "is a condition of gates", id="no gate"),
        pytest.param(["--min-coverage", "90"], "no share from 0 to 1", id="coverage"),
        pytest.param(["--compare-to", "nothing"], "neither a run nor", id="baseline"),
        pytest.param(["--compare-to", "champion"], "There is no registered model", id="champion"),
        pytest.param(["--stratify", "category"], "with --sample N", id="no sample"),
        pytest.param(["--sample", "1", "--stratify", "language"], "has no language", id="strata"),
        pytest.param(["--margin", "5"], "lies not between 0 and 1", id="margin"),
        pytest.param(["--junit", "."], "is a folder", id="folder"),
        pytest.param(["--scorer", "contians"], "contains", id="misspelt scorer"),
        pytest.param(["--judge-name", "me"], "belongs to --import-sheet", id="name alone"),
        pytest.param(["--import-sheet", "x.csv"], "asks no model", id="sheet and model"),
    ],
)
def test_what_cannot_be_held_against_is_refused_before_any_call_and_leaves_no_ledger(
    data: Path, capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    code = evaluate("--data", str(data), *GUIDE, *options)
    said = capsys.readouterr()
    assert (code, said.out) == (2, "")
    assert why in said.err
    assert said.err.count("\n") == 1
    assert not (data.parent / ".llmflowlab" / "evaluations.db").exists()


def test_a_gate_that_is_not_met_ends_with_5_one_line_and_files(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = evaluate(
        *("--data", str(data), *GUIDE, "--json", "--fail-under", "contains=0.9"),
        *("--fail-over", "latency.p95=60", "--junit", "out/j.xml", "--summary", "out/s.md"),
    )
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert code == 5
    assert [(gate["gate"], gate["passed"]) for gate in document["gates"]] == [
        ("contains.mean>=0.9", False),
        ("latency.p95<=60", True),
    ]
    assert said.err.splitlines()[-1].startswith("1 of 2 gates was not met: guide:docs: contains")
    assert ET.parse("out/j.xml").getroot().get("failures") != "0"
    assert "1 of 2 gates not met" in Path("out/s.md").read_text("utf-8")
    store = open_store(load_settings({}, cwd=data.parent, stdin_is_terminal=False))
    run = store.client.get_run(document["candidates"][0]["run_id"])
    assert (run.data.tags["llmflowlab.gates"], run.info.status) == ("failed", "FINISHED")

    again = evaluate(
        "--data", str(data), *GUIDE, "--json", "--compare-to", document["evaluation_id"]
    )
    said = capsys.readouterr()
    [gate] = json.loads(said.out)["gates"]
    assert (again, gate["n"], gate["value"]) == (5, 3, 0.0)
    assert "not shown to be no worse" in said.err
    assert evaluate("--data", str(data), *GUIDE, "--fail-under", "token_f1=0.01") == 0
    assert "met  token_f1.mean>=0.01" in capsys.readouterr().out


def test_a_sheet_goes_out_and_comes_back_as_human_feedback_once(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--data", str(data), *GUIDE, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    run = document["candidates"][0]["run_id"]
    assert evaluate("--export-sheet", run, "--output", "sheet.csv") == 0
    assert "3 answers to judge: sheet.csv" in capsys.readouterr().out
    with Path("sheet.csv").open(encoding="utf-8-sig", newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    rows[0]["verdict"], rows[1]["verdict"], rows[1]["comment"] = "yes", "no", "too long"

    def bring(**options: str) -> dict[str, object]:
        with Path("back.csv").open("w", encoding="utf-8", newline="") as back:
            writer = csv.DictWriter(back, list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
        code = evaluate("--import-sheet", "back.csv", "--judge-name", "reader", "--json")
        assert code == 0
        return json.loads(capsys.readouterr().out)

    first, second = bring(), bring()
    assert (first["new"], first["not_judged"]) == (2, 1)
    assert (second["new"], second["as_before"]) == (0, 2)
    rows[0]["verdict"] = "no"
    assert bring()["changed"] == 1
    store = open_store(load_settings({}, cwd=data.parent, stdin_is_terminal=False))
    experiment = store.client.get_run(run).info.experiment_id
    traces = store.tracing.search_traces(locations=[experiment], run_id=run)
    human = [
        (a.source.source_type, a.source.source_id, known(a.feedback).value, a.rationale or "")
        for trace in traces
        for a in trace.info.assessments
        if a.name == NAME
    ]
    assert sorted(human) == [("HUMAN", "reader", "no", ""), ("HUMAN", "reader", "no", "too long")]
    # The run's own books still balance with a person's words beside its scores.
    assert main(["verify", run]) == 0

    rows[2]["verdict"] = "perhaps"
    rows[0]["verdict"] = "yes"
    with Path("back.csv").open("w", encoding="utf-8", newline="") as back:
        writer = csv.DictWriter(back, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    capsys.readouterr()
    assert evaluate("--import-sheet", "back.csv", "--judge-name", "reader") == 2
    assert re.search(r"back.csv, line \d+: the verdict 'perhaps'", capsys.readouterr().err)
    rows[2]["verdict"], rows[0]["verdict"] = "", "no"
    assert bring()["as_before"] == 2


def test_the_workflow_is_yaml_whose_commands_are_ours_and_comments_only_where_it_may() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    # YAML reads a bare `on` as true.
    assert True in workflow
    assert workflow["permissions"] == {"contents": "read", "pull-requests": "write"}
    steps = {
        step.get("name", step.get("uses")): step for step in workflow["jobs"]["evaluate"]["steps"]
    }
    words = shlex.split(steps["Evaluate"]["run"])
    assert words[:2] == ["python", "main.py"]
    wishes = gate_request(parse(words[2:]))
    assert len(wishes.thresholds) == 3
    for name in ("Show the summary", "Keep the report", "Comment"):
        assert steps[name]["if"].startswith("always()")
    assert str(wishes.summary) in steps["Comment"]["run"]
    assert "--edit-last" in steps["Comment"]["run"]
    assert wishes.junit is not None
    assert wishes.junit.is_relative_to(steps["Keep the report"]["with"]["path"])
