"""The menu's evaluate mode, line by line and with the keys of a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluate_screen import evaluate_screen
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.screen import EndOfInput
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.steering import Adjustment, known_budget, note
from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings, load_settings
from tests.cli.fakes import FakeChecks, Typing
from tests.evaluation.helpers import Candidate, answer, dataset, plan, rows_in

CSV = """question,answer
What is coverage?,scored rows divided by rows
What is a turn?,a prompt and its answer
"""
NAME = "20260101-000000-aaaa"


@pytest.fixture
def home(mlflow_home: Path) -> Settings:
    (mlflow_home / "benchmark.csv").write_text(CSV, encoding="utf-8")
    return load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)


@pytest.fixture
def app(home: Settings) -> App:
    return App(home, PlainScreen(home))


@pytest.fixture
def ledger(home: Settings) -> Iterator[Ledger]:
    opened = Ledger(home.state_dir / "evaluations.db")
    yield opened
    opened.close()


def interrupted(ledger: Ledger, home: Settings, *, budget: str | None = None) -> None:
    """Leave an evaluation behind that was killed after one of its two answers."""
    guide = Candidate(
        model="guide:docs",
        display_name="Guide",
        supplier="LLMFlowLab",
        parameters=Parameters(max_tokens=None if budget is None else 100),
    )
    made = plan(
        dataset(home.home, CSV, "benchmark.csv"),
        candidates=[guide],
        scorers=["contains"],
        evaluation_id=NAME,
    )
    ledger.begin(made, "2026-01-01 00:00:00")
    cell = made.cells()[0]
    record = answer("scored rows divided by rows", cost_usd="0.25")
    ledger.append("answers", NAME, made.answer_key(cell), record.to_json()).result()
    if budget is not None:
        note(ledger, NAME, Adjustment(budget=Decimal(budget)))


def test_a_whole_evaluation_line_by_line(
    app: App, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("\n\nnone\ncontains, token_f1\n\ny\n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    for line in (
        "Which questions?",
        "  1 benchmark.csv (the default)",
        "Which models? (numbers or names, separated by commas)",
        "Which model judges? (not a candidate; none: only text comparison)",
        "Which scorers? (numbers or names, separated by commas)",
        "benchmark: 2 questions × 1 candidate = 2 answers",
        "scorers: contains, token_f1",
        "cost: free",
        "Scores",
        "Conclusion",
    ):
        assert line in shown.out.splitlines()
    assert "guide:docs: 2/2 answers, free, contains " in shown.err
    assert "Traceback" not in shown.err


def test_who_declines_sends_nothing(
    app: App, ledger: Ledger, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("\n\nnone\n\n\nn\n")
    evaluate_screen(app)
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing was sent."
    assert ledger.evaluations() == []


def test_a_file_that_cannot_be_used_is_asked_for_again(
    app: App, home: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.home / "other.csv").write_text(CSV, encoding="utf-8")
    typed("other\nnowhere.csv\nother.csv\n\nnone\n\n\nn\n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    assert "nowhere.csv" in shown.err
    assert "other: 2 questions × 1 candidate = 2 answers" in shown.out


def test_the_end_of_input_ends_it(app: App, typed: Typing) -> None:
    typed("\n")
    with pytest.raises(EndOfInput):
        evaluate_screen(app)


def test_what_was_interrupted_is_offered_and_only_the_rest_is_sent(
    app: App,
    home: Settings,
    ledger: Ledger,
    typed: Typing,
    capsys: pytest.CaptureFixture[str],
) -> None:
    interrupted(ledger, home)
    typed(f"{NAME}\ny\n")
    evaluate_screen(app)
    shown = capsys.readouterr().out.splitlines()
    assert f"  2 Go on with {NAME} (benchmark, interrupted, guide:docs)" in shown
    assert "benchmark: 2 questions × 1 candidate = 2 answers, 1 of them there already" in shown
    assert ledger.evaluation(NAME).state == "finished"
    assert rows_in(ledger, "SELECT COUNT(*) FROM answers") == [(2,)]


def test_the_budget_of_what_was_interrupted_is_asked_for_again(
    app: App,
    home: Settings,
    ledger: Ledger,
    typed: Typing,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Without the question, what ran out of budget would go on without any.
    interrupted(ledger, home, budget="0.3")
    typed("2\nmuch\n0.5\ny\n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    assert "Budget in USD in all ($0.25 spent so far) [0.3]: " in shown.out
    assert "'much' is no amount of USD" in shown.err
    assert known_budget(ledger, NAME) == Decimal("0.5")
    assert "$0.25 spent of $0.5" in shown.err


def test_what_another_process_works_on_is_not_offered(
    app: App, home: Settings, ledger: Ledger, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupted(ledger, home)
    typed("\n\nnone\n\n\nn\n")
    with held(ledger, NAME):
        evaluate_screen(app)
    assert "was not finished" not in capsys.readouterr().out


def test_an_evaluation_without_a_budget_cannot_get_one_later(
    app: App, home: Settings, ledger: Ledger
) -> None:
    from llmflowlab.lab.evaluate import prepare
    from llmflowlab.lab.evaluation_request import EvaluationRequest

    interrupted(ledger, home)
    with pytest.raises(InputError, match="begun without a budget"):
        prepare(app.lab, EvaluationRequest(resume=NAME, budget=Decimal(1)))


@pytest.fixture
def keys() -> Iterator[PipeInput]:
    with create_pipe_input() as pipe, create_app_session(input=pipe, output=DummyOutput()):
        yield pipe


def test_the_same_with_the_keys_of_a_terminal(
    home: Settings, keys: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(home, TerminalScreen(home))
    app.lab.checks = FakeChecks()  # type: ignore[assignment]
    # Data, the only model (marked), no judge, all scorers (marked), no system prompt, yes.
    # And no to all tables.
    keys.send_text("\r" * 5 + "y" + "n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    assert "All comparisons" not in shown.out
    assert "scorers: exact_match, contains, token_f1" in shown.out
    assert "Conclusion" in shown.out
    assert "guide:docs: 2/2 answers, free" in shown.err


def test_ctrl_c_in_a_question_leaves_it(home: Settings, keys: PipeInput) -> None:
    app = App(home, TerminalScreen(home))
    app.lab.checks = FakeChecks()  # type: ignore[assignment]
    keys.send_text("\r\x03")
    with pytest.raises(KeyboardInterrupt):
        evaluate_screen(app)
