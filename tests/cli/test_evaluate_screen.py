"""The menu's evaluate mode, line by line and with the keys of a terminal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from llmflowlab.cli import main
from llmflowlab.cli.context import App
from llmflowlab.cli.evaluate.evaluate_screen import evaluate_screen
from llmflowlab.cli.ui.plain import PlainScreen
from llmflowlab.cli.ui.screen import EndOfInput, GoBack
from llmflowlab.cli.ui.terminal import TerminalScreen
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging import JUDGED
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.running import held
from llmflowlab.evaluation.run.scorer_choice import SCORERS, check_scorers
from llmflowlab.evaluation.run.steering import Adjustment, known_budget, note
from llmflowlab.lab.scorer_offer import default_scorers, offered_scorers, refuse_unusable
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
    typed("\n\n\nnone\ncontains, token_f1\n\n\n\ny\n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    for line in (
        "Which questions?",
        "  1 benchmark.csv (the default)",
        "Which models? (numbers or names, separated by commas; Enter: those with *)",
        "Which model judges? (not a candidate; none: only text comparison)",
        "Which scorers? (numbers or names, separated by commas; Enter: those with *)",
        " words of the expected answer:",
        "  2 contains: the expected words stand in the answer, whole and in order *",
        "  - safety: no judge was chosen",
        "benchmark: 2 questions × 1 candidate = 2 answers",
        "scorers: contains, token_f1",
        "cost: free",
        "Scores",
        "Conclusion",
    ):
        assert line in shown.out.splitlines()
    assert "guide:docs: 2/2 answers, free, contains " in shown.err
    assert "Traceback" not in shown.err


def commands(home: Settings, name: str) -> list[str]:
    return ["evaluate", "--config", str(home.home / name), "--json"]


def test_a_sample_a_budget_and_scorers_with_options_are_chosen_saved_and_run_again(
    app: App, home: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    file = home.home / "mine.yaml"
    lines = (
        *("", "7", "x", "1", "", "none", "contains, regex, length", "regex:pattern=(", ""),
        *("regex:pattern=turn", "length:max=300", "Be brief.", "much", "0.5", str(file), "y"),
    )
    typed("".join(f"{line}\n" for line in lines))
    evaluate_screen(app)
    shown = capsys.readouterr()
    assert "give a number up to that" in shown.err
    assert "'x' must be a whole number above 0" in shown.err
    assert "'much' is no amount of USD" in shown.err
    assert shown.err.count("Scorer regex: ") == 2
    assert f"evaluate --config {file}" in shown.err
    assert "benchmark: 1 question × 1 candidate = 1 answer" in shown.out
    assert "scorers: contains, regex, length" in shown.out
    assert yaml.safe_load(file.read_text("utf-8")) == {
        "model": ["guide:docs"],
        "system": ["Be brief."],
        "sample": 1,
        "scorer": ["contains", "regex:pattern=turn", "length:max=300"],
        "budget": "0.5",
    }
    assert main(commands(home, "mine.yaml")) == 0
    again = json.loads(capsys.readouterr().out)
    (candidate,) = again["candidates"]
    assert set(candidate["scores"]) == {"contains", "regex", "length"}
    # The same evaluation: its answer was there already.
    assert candidate["calls"] == {"sent": 0, "reused": 1}


def test_choices_are_saved_where_a_file_can_be_and_none_is_overwritten(
    app: App, home: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.home / "mine.yaml").write_text("kept", "utf-8")
    places = (home.home / "mine.yaml", home.home / "nowhere" / "mine.yaml", home.home / "b.yaml")
    typed("\n\n\nnone\n\n\n\n" + "".join(f"{place}\n" for place in places) + "n\n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    assert f"{places[0]} is there already; name another file." in shown.err
    assert "is no folder that can be written to" in shown.err
    assert shown.out.splitlines()[-1] == "Nothing was sent."
    assert places[0].read_text("utf-8") == "kept"
    assert main([*commands(home, "b.yaml"), "--dry-run"]) == 0


def test_every_scorer_of_the_registry_is_offered_and_those_that_cannot_work_say_why(
    home: Settings,
) -> None:
    data = dataset(home.home, CSV, "benchmark.csv")
    alone = {s.name: s for s in offered_scorers(data, judged=False, comparing=False)}
    assert set(alone) == set(SCORERS)
    assert {name for name in JUDGED if alone[name].lacking} == set(JUDGED)
    assert "holds a number" in (alone["numeric_match"].lacking or "")
    judged = {s.name: s for s in offered_scorers(data, judged=True, comparing=True)}
    lacking = {name for name, scorer in judged.items() if scorer.lacking}
    assert lacking == {"numeric_match", "multiple_choice", "guidelines"}
    groups = [scorer.group for scorer in judged.values()]
    # A heading stands once.
    assert len(list(groupby(groups))) == len(set(groups))
    for scorer in judged.values():
        if scorer.begun is not None:
            assert check_scorers([f"{scorer.begun}3"])[0].kind == scorer.name
            with pytest.raises(InputError):
                refuse_unusable(scorer.begun, data)
    usual = default_scorers(data, judged=True)
    assert usual == ["exact_match", "contains", "token_f1", "correctness", "safety"]


def test_who_declines_sends_nothing(
    app: App, ledger: Ledger, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("\n\n\nnone\n\n\n\n\nn\n")
    evaluate_screen(app)
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing was sent."
    assert ledger.evaluations() == []


def test_a_file_that_cannot_be_used_is_asked_for_again(
    app: App, home: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    (home.home / "other.csv").write_text(CSV, encoding="utf-8")
    typed("other\nnowhere.csv\nother.csv\n\n\nnone\n\n\n\n\nn\n")
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
    typed("\n\n\nnone\n\n\n\n\nn\n")
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
    # The default data, all of it, the only model (marked), no judge, the usual scorers (marked), no
    # system prompt, no budget, not saved; start, and no to all tables.
    keys.send_text("\r" * 8 + "y" + "n")
    evaluate_screen(app)
    shown = capsys.readouterr()
    assert "All comparisons" not in shown.out
    assert "scorers: exact_match, contains, token_f1" in shown.out
    assert "Conclusion" in shown.out
    assert "guide:docs: 2/2 answers, free" in shown.err


def test_esc_goes_back_from_every_question_and_nothing_is_written_before_the_last(
    home: Settings, keys: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(home, TerminalScreen(home))
    app.lab.checks = FakeChecks()  # type: ignore[assignment]
    asked: list[str] = []
    # All the way to the last question, all the way back, and out.
    sent = iter([*["\r"] * 7, "a.yaml\r", *["\x1b"] * 9])

    def watched(put: Callable[..., Any]) -> Callable[..., Any]:
        def ask(message: str, *values: Any, **how: Any) -> Any:
            asked.append(message)
            keys.send_text(next(sent))
            return put(message, *values, **how)

        return ask

    for name in ("select", "checkbox", "text", "confirm"):
        setattr(app.screen, name, watched(getattr(app.screen, name)))
    with pytest.raises(GoBack):
        evaluate_screen(app)
    assert len(asked) == 17
    assert asked[8] == "Start?"
    assert asked[9:] == asked[7::-1]
    assert next(sent, None) is None
    assert not Path("a.yaml").exists()
    assert not app.lab.has_evaluations


def test_choices_that_do_not_fit_together_lead_back_to_the_last_question(
    home: Settings, keys: PipeInput, capsys: pytest.CaptureFixture[str]
) -> None:
    app = App(home, TerminalScreen(home))
    app.lab.checks = FakeChecks()  # type: ignore[assignment]
    # Another model, typed, that has no price; then a budget, then none.
    typed_model = " " + "\x1b[B" + " \r" + "openai:nobody-knows\r"
    keys.send_text("\r\r" + typed_model + "\r\r\r" + "1\r" + "\r" + "\r" + "n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-made-up-for-this-test")
        app.lab.settings = load_settings(cwd=home.home, stdin_is_terminal=False)
        evaluate_screen(app)
    shown = capsys.readouterr()
    assert "A budget needs prices" in shown.err
    assert "Nothing was sent." in shown.out


def test_ctrl_c_in_a_question_leaves_it(home: Settings, keys: PipeInput) -> None:
    app = App(home, TerminalScreen(home))
    app.lab.checks = FakeChecks()  # type: ignore[assignment]
    keys.send_text("\r\x03")
    with pytest.raises(KeyboardInterrupt):
        evaluate_screen(app)
