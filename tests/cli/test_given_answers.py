"""`evaluate --answers COLUMN`: answers that the data file gives are scored like any other, unasked."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.candidate import GIVEN, Candidate
from llmflowlab.cli import main
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluate_screen import evaluate_screen
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.lab.evaluate import prepare, run
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.unfinished import unfinished_evaluations
from llmflowlab.messages import Parameters
from llmflowlab.providers.factory import PROVIDERS, parse_reference
from llmflowlab.settings import Settings, load_settings
from tests.cli.fakes import Typing
from tests.e2e.stored import Everything
from tests.evaluation.helpers import TableModel
from tests.evaluation.test_judges import verdict
from tests.known import known

CSV = """question,answer,response,draft
What is coverage?,scored rows,scored rows,scored columns
What is a judge?,a model,<think>A person? No.</think>a model,a person
What is a turn?,a prompt,a prompt,
"""
RESPONSE, DRAFT = "answers:response", "answers:draft"


@pytest.fixture
def home(mlflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (mlflow_home / "q.csv").write_text(CSV, encoding="utf-8")
    monkeypatch.setenv("LLMFLOWLAB_HOME", str(mlflow_home))
    return mlflow_home


@pytest.fixture
def settings(home: Path) -> Settings:
    return load_settings({}, cwd=home, stdin_is_terminal=False)


def evaluate(*options: str) -> int:
    return main(["evaluate", "--data", "q.csv", "--scorer", "exact_match", *options])


def document(capsys: pytest.CaptureFixture[str], *options: str, code: int = 0) -> dict[str, Any]:
    assert evaluate(*options, "--json") == code
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_given_answers_are_scored_without_a_provider_and_what_they_took_is_unknown(
    home: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "--answers", "response", "draft")
    good, bad = found["candidates"]
    assert (good["model"], good["given"]) == (RESPONSE, "response")
    assert (bad["model"], bad["given"]) == (DRAFT, "draft")
    # Thinking is no part of an answer, wherever it was written down.
    assert good["scores"]["exact_match"]["mean"] == 1.0
    assert good["scores"]["exact_match"]["coverage"] == 1.0
    assert bad["scores"]["exact_match"]["mean"] == 0.0
    assert bad["scores"]["exact_match"]["not_scored"] == {"answer_empty": 1}
    for candidate in (good, bad):
        assert candidate["calls"] == {"sent": 0, "reused": 0}
        assert candidate["cost_usd"] == 0
        assert set(candidate["latency"].values()) == {None}
        assert set(candidate["tokens"].values()) == {None}
    page = Path(found["files"]["report_html"]).read_text("utf-8")
    assert RESPONSE in page
    assert "nobody was asked, so that their time, tokens and price are unknown" in page
    with Path(found["files"]["answers_csv"]).open(encoding="utf-8-sig", newline="") as file:
        assert (
            "a model" in known(next(r for r in csv.DictReader(file) if "judge" in str(r))).values()
        )

    stored = Everything(settings)
    parent, *_ = [r for r in stored.evaluations() if r.info.run_id == found["parent_run_id"]]
    assert parent.info.status == "FINISHED"
    mlflow_run = stored.client.get_run(good["run_id"])
    assert mlflow_run.info.run_name == "Eval_Answers_q"
    assert mlflow_run.data.tags["llmflowlab.given"] == "response"
    assert mlflow_run.data.params["model_id"] == "response"
    assert mlflow_run.data.metrics["exact_match/mean"] == 1.0
    assert mlflow_run.data.metrics["total_cost_estimate"] == 0
    assert not {"latency/mean", "total_tokens"} & mlflow_run.data.metrics.keys()
    traces = stored.traces_of(mlflow_run)
    assert len(traces) == 3
    for trace in traces:
        assert trace.info.tags["llmflowlab.given"] == "response"
        # Nobody was asked, so there is no call to be seen.
        assert [span.name for span in trace.data.spans] == ["evaluate_row"]
    assert {trace.data.spans[0].outputs for trace in traces} == {
        "scored rows",
        "a model",
        "a prompt",
    }
    assert main(["verify", found["evaluation_id"]]) == 0
    assert "agree with the traces" in capsys.readouterr().out
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["evaluations"][0]["answers"] == 6


def test_given_answers_beside_a_model_that_is_asked(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--model", "guide:docs", "--answers", "response", "--details") == 0
    shown = capsys.readouterr().out
    assert "q: 3 questions × 2 candidates = 6 answers" in shown
    assert "answers given: column response of q.csv; nobody is asked for them" in shown
    assert "calls: 3 to candidates" in shown
    assert "Cheapest: cannot be said; nobody knows what answers:response once cost." in shown
    found = document(capsys, "--model", "guide:docs", "--answers", "response")
    asked, given = found["candidates"]
    # What was asked for is reused; what is given is nobody's to reuse.
    assert asked["calls"] == {"sent": 0, "reused": 3}
    assert given["calls"] == {"sent": 0, "reused": 0}
    (compared,) = found["comparisons"]
    assert (compared["a"], compared["b"], compared["n"]) == ("guide:docs", RESPONSE, 3)
    assert all(m["n"] in (0, None) for m in found["measures"]), found["measures"]
    both = [f"{found['evaluation_id']}:{number}" for number in (1, 2)]
    assert main(["diff", *both]) == 0
    assert RESPONSE in capsys.readouterr().out


def test_a_dry_run_says_what_is_given_and_that_nothing_is_asked(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate("--answers", "response", "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "answers to be scored: response; unused: draft" in shown
    assert "calls: 0 to candidates" in shown
    assert "cost: free" in shown
    found = document(capsys, "--answers", "response", "--dry-run")
    assert found["given"] == ["response"]
    assert found["calls"] == {"candidates": 0, "reused": 0, "judge": 0, "detector": 0}
    assert evaluate("--model", "guide:docs", "--dry-run") == 0
    hint = "answers already given: response (--answers response scores them); unused: draft"
    assert hint in capsys.readouterr().out
    assert main(["data", "check", "q.csv"]) == 0
    assert hint in capsys.readouterr().out
    assert not (home / ".llmflowlab" / "evaluations.db").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param(
            ["--answers", "nope"],
            "q.csv has no column 'nope' for the answers to be scored; its columns: 'question', "
            "'answer', 'response', 'draft'.",
            id="no column",
        ),
        pytest.param(["--answers", "answer"], "Column 'answer' holds the expected", id="expected"),
        pytest.param(
            ["--answers", "draft", "--trials", "2"], "An answer that is given", id="trials"
        ),
        pytest.param(
            ["--answers", "draft", "--temperature", "0"], "Prompts and generation", id="parameters"
        ),
        pytest.param(["--answers", "draft", "--system", "x"], "Prompts and", id="system"),
        pytest.param(
            ["--model", DRAFT], "answers:draft is no model: answers of the data", id="as a model"
        ),
        pytest.param(
            ["--answers", "draft", "--compare-to", "champion"],
            "Answers that are given have no registered model",
            id="champion",
        ),
        pytest.param(
            ["--answers", "draft", "--resume", "x"], "--resume goes on with the", id="resume"
        ),
        pytest.param(
            ["--answers", "draft", "--scorer", "preference", "--judge", "ollama:a"],
            "preference compares the answers of two or more candidates",
            id="preference of one",
        ),
    ],
)
def test_what_given_answers_cannot_be_used_for_is_refused_in_one_sentence(
    home: Path, options: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(*options) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith(reason)


def test_there_is_no_model_to_register_or_to_promote(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, "--answers", "response")
    run_id = found["candidates"][0]["run_id"]
    assert main(["registry", "register", run_id]) == 2
    assert "there is no model to register or to promote" in capsys.readouterr().err
    assert main(["registry", "promote", RESPONSE, "--benchmark", "q.csv"]) == 2
    assert "answers:response is a column of answers and no model" in capsys.readouterr().err


def test_gates_hold_given_answers_and_what_is_unknown_meets_none(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = document(capsys, "--answers", "response")["evaluation_id"]
    assert evaluate("--answers", "response", "--fail-under", "exact_match=0.9") == 0
    assert "met  exact_match" in capsys.readouterr().out
    assert evaluate("--answers", "draft", "--max-cut", "0.5", "--compare-to", before) == 5
    shown = capsys.readouterr().out
    assert "answers:draft: cut has no value (it is unknown)" in shown
    assert "answers:draft: not shown to be no worse than answers:response" in shown


def test_the_harness_of_mlflow_gives_the_same_figures(
    home: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    figures = {}
    for harness in ("fast", "mlflow"):
        assert evaluate("--answers", "response", "draft", "--harness", harness, "--json") == 0
        found = json.loads(capfd.readouterr().out)
        figures[harness] = [c["scores"] for c in found["candidates"]]
        run_ = Everything(settings).client.get_run(found["candidates"][1]["run_id"])
        assert run_.info.status == "FINISHED"
    assert figures["fast"] == figures["mlflow"]


class FreeJudge(TableModel):
    name = "ollama"


class PaidJudge(TableModel):
    name = "openai"


class Judged(Lab):
    """A lab whose judge says yes to what is right, and counts."""

    def __init__(self, settings: Settings, *, paid: bool = False) -> None:
        settings = replace(settings, judge_exam=0)
        kind, model = (PaidJudge, "gpt-4.1-mini") if paid else (FreeJudge, "judge")
        self.judge: TableModel = kind(model, settings, {"": verdict("yes")})
        super().__init__(settings, build=lambda reference: self.judge)


def test_only_the_judge_is_asked_and_an_empty_cell_not_even_of_it(settings: Settings) -> None:
    lab = Judged(settings)
    request = EvaluationRequest(
        answers=["response", "draft"],
        data=settings.home / "q.csv",
        scorers=["correctness"],
        judges=["ollama:judge"],
    )
    with closing(prepare(lab, request)) as prepared:
        assert prepared.estimate.calls == 0
        assert prepared.estimate.judge_calls == 5
        assert prepared.estimate.assumption == "the answers that are given"
        result = run(prepared)
    assert [c.scores["correctness"].scored for c in result.candidates] == [3, 2]
    shown = [r.messages[-1].content for r in lab.judge.requests]
    assert not any("A person? No." in text for text in shown)
    assert len(shown) == 5
    # What was judged once is not paid for again, and a text that changed is another answer.
    with closing(prepare(lab, request)) as prepared:
        assert prepared.estimate.judge_calls == 0
        run(prepared)
    assert len(lab.judge.requests) == 5
    changed = CSV.replace("scored columns", "scored cells")
    (settings.home / "q.csv").write_text(changed, encoding="utf-8")
    with closing(prepare(lab, request)) as prepared:
        run(prepared)
    assert len(lab.judge.requests) == 6


def test_where_the_budget_ends_before_all_is_judged_nothing_is_concluded_and_it_can_go_on(
    settings: Settings,
) -> None:
    lab = Judged(settings, paid=True)
    request = EvaluationRequest(
        answers=["response", "draft"],
        data=settings.home / "q.csv",
        scorers=["exact_match", "correctness"],
        judges=["openai:gpt-4.1-mini"],
        budget=Decimal("0.0000001"),
    )
    with closing(prepare(lab, request)) as prepared:
        assert prepared.estimate.cost is not None
        assert prepared.estimate.cost[1] > 0
        result = run(prepared)
    assert lab.judge.requests == []
    assert [c.cost_usd for c in result.candidates] == [0, 0]
    assert result.candidates[0].scores["correctness"].not_scored == {"budget_exhausted": 3}
    assert result.unfinished == "the budget was spent before all rows were asked and judged"
    (left,) = unfinished_evaluations(lab)
    assert (left.state, left.models) == ("interrupted", [RESPONSE, DRAFT])
    again = EvaluationRequest(resume=left.id, budget=Decimal(1))
    with closing(prepare(lab, again)) as prepared:
        result = run(prepared)
    assert (len(lab.judge.requests), result.unfinished) == (5, None)


def test_a_resumed_evaluation_takes_the_answers_it_was_begun_with(
    settings: Settings, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lab = Judged(settings)
    request = EvaluationRequest(answers=["response"], data=home / "q.csv", scorers=["exact_match"])
    with closing(prepare(lab, request)) as prepared:
        plan = prepared.plan
        prepared.bench.ledger.begin(plan, "2026-01-01 00:00:00")
    (home / "q.csv").unlink()
    assert main(["evaluate", "--resume", plan.evaluation_id, "--json"]) == 0
    (candidate,) = json.loads(capsys.readouterr().out)["candidates"]
    assert candidate["scores"]["exact_match"]["mean"] == 1.0
    assert main(["evaluate", "--resume", plan.evaluation_id, "--compare-to", "champion"]) == 2
    assert "no registered model" in capsys.readouterr().err
    with closing(Ledger(home / ".llmflowlab" / "evaluations.db")) as ledger:
        assert {answer["given"] for _, answer in ledger.all_records("answers")} == {True}
        assert ledger.plan(plan.evaluation_id).dataset.given == ("response",)


def test_a_comparison_of_given_answers_ends_when_it_is_decided(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"q{n}?,a{n},a{n},no\n" for n in range(400))
    (home / "q.csv").write_text(f"question,answer,response,draft\n{rows}", encoding="utf-8")
    found = document(capsys, "--answers", "response", "draft", "--until-decided", "0.1")
    assert found["sequential"]["verdict"] == "a_better"
    assert found["candidates"][0]["rows"] < 400
    sampled = document(capsys, "--answers", "response", "--sample", "7")
    assert sampled["candidates"][0]["answered"] == 7


def test_the_spelling_of_given_answers_is_no_model_reference() -> None:
    assert GIVEN not in PROVIDERS
    with pytest.raises(InputError, match="names no model"):
        parse_reference(Candidate.of_column("draft").model)
    asked = Candidate(
        model="ollama:answers", display_name="O", supplier="O", parameters=Parameters()
    )
    assert asked.column is None


def test_the_menu_offers_the_answers_that_a_file_gives(
    home: Path, settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "q.csv").rename(home / "benchmark.csv")
    typed("\n\nanswers\nnone\nexact_match\n\n\ny\n")
    evaluate_screen(App(settings, PlainScreen(settings)))
    shown = capsys.readouterr().out
    assert "Column response looks like answers already given. What is to be scored?" in shown
    assert "Which models?" not in shown
    assert "System prompt" not in shown
    assert "benchmark: 3 questions × 1 candidate = 3 answers" in shown
    assert "calls: 0 to candidates" in shown
