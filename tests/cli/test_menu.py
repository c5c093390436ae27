from __future__ import annotations

from collections.abc import Callable

import pytest

from llmflowlab import __version__
from llmflowlab.cli import menu
from llmflowlab.cli.context import App
from llmflowlab.cli.ui.screen import Choice, EndOfInput
from llmflowlab.errors import TrackingError
from llmflowlab.lab import deliverer
from llmflowlab.lab.labels import LABELS
from llmflowlab.providers.factory import PROVIDERS
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp, FakeDelivery, Typing

MENU = """\
  ready  Guide: answers from the lab's documentation, offline
  5 not set up: Gemini, Ollama, OpenAI, Azure, Claude · see `doctor`

What would you like to do?
  1 Chat (with MLflow tracking)
  2 Evaluate (GenAI MLflow)
  3 Show info (model comparison)
  4 Arena (vote on two answers)
  5 Review (judge answers)
  6 Prompts (versions, compare styles)
  7 Registry (versions, champion)
  8 Service (models over HTTP)
  9 MLflow's pages (in the browser)
  10 Settings (guardrails)
  0 Exit
> \n"""


def opening(monkeypatch: pytest.MonkeyPatch, action: Callable[[App], None]) -> None:
    """Make every line of the menu do something else."""
    choices = [Choice(c.title, c.value and action, names=c.names) for c in menu._CHOICES]
    monkeypatch.setattr(menu, "_CHOICES", choices)


def test_the_menu_is_shown_and_left_by_its_last_line(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    typed("exit\n")
    menu.run_menu(FakeApp(settings))
    assert capsys.readouterr().out == f"LLMFlowLab {__version__}\n" + MENU


def test_the_end_of_input_leaves_the_menu(settings: Settings, typed: Typing) -> None:
    typed("")
    menu.run_menu(FakeApp(settings))


def test_ctrl_c_in_a_screen_goes_back_to_the_menu(
    settings: Settings,
    typed: Typing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupted(app: App) -> None:
        raise KeyboardInterrupt

    opening(monkeypatch, interrupted)
    typed("1\nexit\n")
    menu.run_menu(FakeApp(settings))
    assert capsys.readouterr().out.count("What would you like to do?") == 2


def test_a_screen_that_fails_says_why_and_leads_back_to_the_menu(
    settings: Settings,
    typed: Typing,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def failing(app: App) -> None:
        raise TrackingError("The store is away; start it.")

    opening(monkeypatch, failing)
    typed("info\nexit\n")
    menu.run_menu(FakeApp(settings))
    assert capsys.readouterr().err == "The store is away; start it.\n"


def test_the_end_of_input_in_a_screen_ends_the_lab(
    settings: Settings, typed: Typing, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def ended(app: App) -> None:
        asked.append(1)
        raise EndOfInput

    opening(monkeypatch, ended)
    typed("1\n1\n1\n")
    menu.run_menu(FakeApp(settings))
    assert asked == [1]


def test_sessions_left_by_an_earlier_run_are_mentioned_once(
    settings: Settings, typed: Typing, capsys: pytest.CaptureFixture[str]
) -> None:
    class Left:
        turns = 3

    delivery = FakeDelivery()
    delivery.recovered = [Left()]
    typed("exit\n")
    app = FakeApp(settings, delivery=delivery)
    menu.run_menu(app)
    app.show_recovered()
    assert capsys.readouterr().err == (
        "Found 1 session with 3 turns that did not end properly; they are being saved to MLflow.\n"
    )


def test_every_provider_has_a_label() -> None:
    assert list(LABELS) == list(PROVIDERS)


@pytest.mark.parametrize("pending", [0, 2])
def test_leaving_waits_for_nothing_and_hands_the_rest_over(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    pending: int,
) -> None:
    handed_over: list[Settings] = []
    monkeypatch.setattr(deliverer, "start", handed_over.append)
    delivery = FakeDelivery(pending=pending)
    FakeApp(settings, delivery=delivery).finish()
    assert delivery.stopped
    assert delivery.waited == []
    assert handed_over == [settings][: pending and 1]
    said = capsys.readouterr().err
    assert said == ("2 sessions saved, and on the way to MLflow.\n" if pending else "")


def test_ctrl_c_while_waiting_hands_the_rest_over(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    class Impatient(FakeDelivery):
        def wait(self, timeout: float | None) -> bool:
            raise KeyboardInterrupt

    FakeApp(settings, delivery=Impatient(pending=2)).finish(wait=True)
    assert "2 sessions saved, and on the way" in capsys.readouterr().err


def test_leaving_at_once_starts_nothing_in_the_background(settings: Settings) -> None:
    app = App(settings, FakeApp(settings).screen)
    app.warm_up()
    app.finish()
    assert app._warming is not None
    app._warming.join(30)
    assert app.lab.running_delivery is None
