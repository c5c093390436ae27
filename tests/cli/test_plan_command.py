"""`plan`, `--until-decided` and `--margin`, as a person at the command line uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from llmflowlab.cli import main

ROWS = 40
TWO = ("--model", "guide:docs", "--system", "Be brief.", "--system", "Be long.")
CONTAINS = ("--scorer", "contains")


@pytest.fixture
def data(mlflow_home: Path) -> Path:
    file = mlflow_home / "terms.csv"
    rows = [f"What is a run number {n}?,{'run' if n % 2 else 'no such word'}" for n in range(ROWS)]
    file.write_text("\n".join(["question,answer", *rows, ""]), encoding="utf-8")
    return file


def plan(data: Path, *options: str) -> int:
    return main(["plan", "--data", str(data), *TWO, *options])


def evaluate(data: Path, *options: str) -> int:
    return main(["evaluate", "--data", str(data), *TWO, *CONTAINS, *options])


def test_a_plan_says_how_many_questions_money_and_time_without_asking_anything(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(data, *CONTAINS) == 0
    said = capsys.readouterr()
    # 0.25 · (2.8 / 0.03)² = 2,178 by the normal approximation; the exact test needs a few more.
    assert "To see 3 points of contains in 80% of cases you need about 2,238 questions: free," in (
        said.out
    )
    assert "(assumed speed)" in said.out
    assert "the two disagree on 25% of the rows (an assumption;" in said.out
    assert f"The file has {ROWS}: they show differences from about" in said.out
    assert not list((data.parent / "artifacts").glob("*"))


def test_a_plan_names_the_calls_of_a_detector(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = data.parent / "policy.yaml"
    policy.write_text("detector: guide:docs\n", "utf-8")
    assert plan(data, *CONTAINS, "--guardrails", str(policy)) == 0
    # One before and one after each of two candidates' answers.
    assert f"In that are {4 * 2238:,} calls of the guardrails' detector." in capsys.readouterr().out


def test_the_document_of_a_plan_has_intervals_and_null_for_what_is_unknown(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(data, *CONTAINS, "--difference", "0.2", "--power", "0.9", "--json") == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert list(document) == [
        *("scorer", "candidates", "difference", "power", "comparisons", "spread", "assumption"),
        *("rows_needed", "rows_there", "smallest_visible", "cost_usd", "unpriced", "minutes"),
        *("speed_assumed", "trials", "trials_design_effect", "clusters_design_effect"),
        "detector_calls",
    ]
    assert (document["difference"], document["power"]) == (0.2, 0.9)
    assert document["spread"] == {"yes_no": True, "value": 0.25, "seen_on": 0}
    assert document["cost_usd"] == {"low": 0.0, "high": 0.0}
    assert 0 < document["minutes"]["low"] < document["minutes"]["high"]
    assert document["rows_there"] == ROWS


def test_a_price_that_is_unknown_is_null_in_a_plan(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-made-up-for-this-test")
    options = ["--data", str(data), *CONTAINS, "--json"]
    assert main(["plan", "--model", "guide:docs", "--model", "openai:nobody-knows", *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cost_usd"] is None
    assert document["unpriced"] == ["openai:nobody-knows"]


def test_more_scorers_and_a_smaller_difference_need_more_questions(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(*options: str) -> int:
        assert plan(data, *CONTAINS, "--json", *options) == 0
        return int(json.loads(capsys.readouterr().out)["rows_needed"])

    assert rows("--difference", "0.1") < rows("--difference", "0.05")
    assert rows() < rows("--power", "0.95")
    assert rows() < rows("--scorer", "token_f1")


def test_a_plan_learns_from_the_evaluation_before_and_from_the_one_that_is_named(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, "--scorer", "token_f1", "--json") == 0
    evaluation = json.loads(capsys.readouterr().out)["evaluation_id"]
    for options in ([], ["--paired-from", evaluation]):
        assert plan(data, *CONTAINS, "--json", *options) == 0
        document = json.loads(capsys.readouterr().out)
        # No row told them apart; that is not to say that none ever will.
        assert document["spread"] == {
            "yes_no": True,
            "value": pytest.approx(1 / (ROWS + 1)),
            "seen_on": ROWS,
        }
        assert document["speed_assumed"] is False
    assert plan(data, "--scorer", "token_f1", "--json") == 0
    spread = json.loads(capsys.readouterr().out)["spread"]
    # As if of one row more, on which they were as far apart as can be.
    assert spread == {
        "yes_no": False,
        "value": pytest.approx((1 / (ROWS + 1)) ** 0.5),
        "seen_on": ROWS,
    }
    assert plan(data, "--scorer", "exact_match", "--paired-from", evaluation) == 2
    assert "has no two candidates with exact_match" in capsys.readouterr().err


def test_a_file_that_is_large_enough_is_told_so(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(data, *CONTAINS, "--difference", "0.5") == 0
    assert f"The file has {ROWS}: that is enough (--sample " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--difference", "3"], "2 points are 0.02", id="difference"),
        pytest.param(["--difference", "nan"], "2 points are 0.02", id="not a number"),
        pytest.param(["--power", "80"], "no power from 0.5 to 0.99", id="power"),
        pytest.param(["--paired-from", "nothing"], "neither a run nor", id="evaluation"),
        pytest.param(["--scorer", "chrf"], "of the whole dataset", id="corpus"),
    ],
)
def test_a_plan_that_cannot_be_made_is_refused_in_one_sentence(
    data: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
) -> None:
    assert plan(data, *options) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err
    assert len([line for line in said.err.splitlines() if words in line]) == 1


def test_a_plan_for_one_candidate_is_refused(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--data", str(data), "--model", "guide:docs", *CONTAINS]) == 2
    assert "name two or more with --model" in capsys.readouterr().err


OLD = (
    *("--fresh", "--show-models", "--dry-run", "--until-decided", "0.05", "--harness", "mlflow"),
    *("--output", "out", "--fail-under", "contains=0.8", "--fail-over", "failed=3"),
    *("--min-coverage", "0.9", "--compare-to", "champion", "--margin", "0.02", "--junit", "j.xml"),
    *(
        "--summary",
        "s.md",
        "--export-sheet",
        "RUN",
        "--import-sheet",
        "s.csv",
        "--judge-name",
        "Ann",
    ),
)
"""What 0.1.0's help of `plan` named, and `plan` never read."""


def test_what_a_plan_took_and_never_read_is_taken_and_said_and_in_no_help(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert plan(data, *CONTAINS, "--json") == 0
    alone = capsys.readouterr()
    assert plan(data, *CONTAINS, "--json", *OLD) == 0
    said = capsys.readouterr()
    assert said.out == alone.out
    options = [option for option in OLD if option.startswith("--")]
    for option in options:
        assert option in said.err
    assert "makes no use of" in said.err
    assert "makes no use of" not in alone.err
    assert not Path("j.xml").exists()
    assert main(["plan", "--help"]) == 0
    listed = capsys.readouterr().out
    assert [option for option in options if f"  {option}" in listed] == []
    assert main(["plan", "--juni", "x"]) == 2
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--details", "--max-cut", "--resume", "--save-config"])
def test_an_option_of_evaluate_is_told_where_it_belongs(
    data: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert plan(data, option, "0.5") == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert f"{option} is no option of `" in said.err
    assert "evaluate`; see `" in said.err


def test_an_evaluation_file_with_gates_is_planned_by(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = data.parent / "evaluation.yaml"
    file.write_text(
        "fail-under: {contains: 0.8}\nmax-cut: 0.1\nresume: x\ndetails: true\n", "utf-8"
    )
    assert plan(data, *CONTAINS, "--config", str(file)) == 0
    said = capsys.readouterr()
    assert "To see 3 points of contains" in said.out
    assert "makes no use of" not in said.err
    file.write_text("diference: 0.1\n", "utf-8")
    assert plan(data, "--config", str(file)) == 2
    assert "(did you mean difference?)" in capsys.readouterr().err


def test_a_comparison_ends_early_says_what_it_saved_and_cannot_be_resumed(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, "--until-decided", "0.5", "--concurrency", "1", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    found = document["sequential"]
    assert (found["decided"], found["verdict"], found["margin"]) == (True, "equivalent", 0.5)
    assert (found["of"], found["saved_usd"]) == (ROWS, 0.0)
    assert found["looked_at"] < ROWS
    if (recommended := document["recommendation"]) is not None:
        assert recommended["margin"] == 0.5
    assert -0.5 < found["ci_low"] < 0 < found["ci_high"] < 0.5
    assert {c["verdict"] for c in document["comparisons"]} == {"same_within_margin"}
    asked = sum(candidate["rows"] for candidate in document["candidates"])
    assert found["not_asked"] == 2 * ROWS - asked
    assert main(["evaluate", "--resume", document["evaluation_id"]]) == 2
    assert f"was decided after {found['looked_at']} of {ROWS} rows" in capsys.readouterr().err


def test_before_it_starts_an_evaluation_says_what_it_can_show_and_after_it_what_to_take(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, "--dry-run") == 0
    assert f"These {ROWS} questions can show differences from about" in capsys.readouterr().out
    assert evaluate(data, "--margin", "0.2", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    (comparison,) = document["comparisons"]
    assert 0.1 < comparison["smallest_visible"] < 0.3
    # A margin that was named makes "the same" a verdict, also when the report is written again.
    assert comparison["verdict"] == "same_within_margin"
    assert comparison["equivalence"]["margin"] == 0.2
    assert main(["report", document["evaluation_id"]]) == 0
    page = Path(document["files"]["report_html"]).read_text("utf-8")
    assert "are the same within ±20 points (difference" in page
    # Of two that answer alike one is recommended only where it was shown to answer faster.
    if (recommended := document["recommendation"]) is not None:
        assert recommended["margin"] == 0.2
        assert recommended["candidate"].startswith("guide:docs (system ")
    else:
        assert "the best are equal on these questions" in page


def test_trials_count_as_one_question_and_it_is_said_what_they_are_worth(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(data, "--scorer", "token_f1", "--trials", "3", "--json") == 0
    evaluation = json.loads(capsys.readouterr().out)["evaluation_id"]
    options = ["--scorer", "token_f1", "--paired-from", evaluation]
    documents = []
    for trials in ("1", "3"):
        assert plan(data, *options, "--trials", trials, "--json") == 0
        documents.append(json.loads(capsys.readouterr().out))
    once, thrice = documents
    assert (once["trials"], once["trials_design_effect"]) == (1, None)
    assert thrice["trials"] == 3
    # Nothing told the two apart, so that nothing is known of what trials are worth.
    assert thrice["trials_design_effect"] is None
    assert once["rows_needed"] == thrice["rows_needed"]
    assert once["rows_there"] == thrice["rows_there"] == ROWS
    assert plan(data, *options, "--trials", "3") == 0
    said = capsys.readouterr().out
    assert "each asked 3 times" in said
    assert "The 3 trials of a question count as one question" in said
