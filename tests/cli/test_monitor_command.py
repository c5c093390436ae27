"""`main.py monitor`: traffic on a screen, in a pipe, as a document and as a page."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llmflowlab.cli import main
from llmflowlab.cli.monitor.live_traffic import watch
from llmflowlab.cli.monitor.traffic_tables import remarks, sparkline, traffic_table
from llmflowlab.cli.ui.live_table import LineDisplay, layout
from llmflowlab.cli.ui.screen import LiveDisplay, Table
from llmflowlab.errors import ExitCode, TrackingError
from llmflowlab.monitoring import traffic_figures
from llmflowlab.monitoring.traffic import ChosenAnswers, Traffic, opened_traffic
from llmflowlab.settings import Settings
from tests.cli.fakes import FakeApp
from tests.monitoring.made_traffic import NOW, candidate, deployed, found, rate, serve, turn


def test_bars_go_from_nothing_to_the_greatest_and_a_gap_is_no_zero() -> None:
    assert sparkline([0, 1, None, 8, 4]) == " ▁·█▄"
    assert sparkline([0.0, 0.0]) == "  "


@pytest.fixture
def home(settings: Settings) -> Settings:
    deployed(settings, candidate(prompt="support@2", guardrails={"rules": "x"}))
    deployed(settings, candidate("guide:docs"), "d2")
    first = turn(ago=30, violations=[found()])
    serve(settings, [first, turn(ago=20, state="failed", answer="", error_reason="overloaded")])
    serve(settings, [turn(ago=10, cost_usd=None)], deployment="d2")
    rate(settings, first.trace_id, False)
    return settings


@contextmanager
def traffic_of(settings: Settings) -> Iterator[Traffic]:
    with opened_traffic(
        settings, chosen=ChosenAnswers(), window=3_600.0, clock=lambda: NOW
    ) as traffic:
        yield traffic


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: NOW)


def test_a_look_names_who_answers_what_failed_and_what_is_not_known(
    home: Settings, now: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitor", "--once"]) == ExitCode.DONE
    out = capsys.readouterr().out
    for part in (
        "3 requests in 1 h to",
        "openai:gpt-4.1-mini + support@2",
        "errors 33.3% of 3 (95 %: 6.1–79.2%): overloaded 1",
        "guardrails found something in 50.0% of 2 (95 %: 9.5–90.5%): injection_in 1 (block 1)",
        "languages: en 2",
        "rated by 1 person, thumbs_up: 0.0 % of 1",
        "cost is not known: 1 answer has no price; $0.002 is known to have been paid",
        "few: of fewer than 20 answers",
    ):
        assert part in out


def test_the_report_is_one_document_and_a_page(
    home: Settings, now: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "traffic.html"
    told = ["monitor", "report", "--since", "2h", "--html", str(page), "--json"]
    assert main(told) == ExitCode.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["seconds"] == 7200
    assert [(one["model"], one["prompt"], one["requests"]) for one in document["groups"]] == [
        ("openai:gpt-4.1-mini", "support@2", 2),
        ("guide:docs", None, 1),
    ]
    assert document["total"]["cost_usd"] is None
    assert "3 requests in the 2 h" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("told", "code", "said"),
    [
        (["--since", "soon", "--once"], ExitCode.BAD_INPUT, "'soon' is no length of time"),
        (["--every", "0"], ExitCode.BAD_INPUT, "must be a number of seconds above 0"),
        (["report", "--model", "gemini"], ExitCode.BAD_INPUT, "never answered by gemini"),
        (["report", "--html", "/dev/null/x"], ExitCode.BAD_INPUT, "name another file"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    home: Settings,
    now: None,
    capsys: pytest.CaptureFixture[str],
    told: list[str],
    code: int,
    said: str,
) -> None:
    assert main(["monitor", *told]) == code
    assert said in capsys.readouterr().err


def test_without_a_service_it_says_what_to_start(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["monitor", "--once"]) == ExitCode.NOT_CONFIGURED
    assert "serve --model guide:docs" in capsys.readouterr().err


def test_what_is_no_database_is_said(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LLMFLOWLAB_SERVICE_DATABASE", "nonsense")
    assert main(["monitor", "--once"]) == ExitCode.BAD_INPUT
    assert "LLMFLOWLAB_SERVICE_DATABASE is no address of a database" in capsys.readouterr().err


class Display:
    """A terminal's display that hands out keys, one text at a look."""

    every = 0.25

    def __init__(self, *keys: str) -> None:
        self.pressed = list(keys)
        self.tables: list[Table] = []

    def show(self, table: Table, lines: object) -> None:
        self.tables.append(table)

    def keys(self) -> str:
        return self.pressed.pop(0)


class Watching:
    """A person before a screen, of whom the test says how long the time is between two looks at the keys."""

    def __init__(self, settings: Settings, display: LiveDisplay) -> None:
        self.app = FakeApp(settings)
        self.now = 0.0
        self.waits: list[float] = []
        self.display = display
        self.app.screen.live = self._live  # type: ignore[method-assign]

    @contextmanager
    def _live(self) -> Iterator[LiveDisplay]:
        yield self.display

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        if len(self.waits) == 50:
            raise KeyboardInterrupt

    def watch(self, traffic: Traffic, every: float = 0.2) -> None:
        watch(self.app, traffic, every=every, wait=self.wait, clock=lambda: self.now)


def test_the_table_is_looked_at_again_in_its_time_and_q_ends_it(home: Settings) -> None:
    display = Display("", "", "x", "", "Q")
    with traffic_of(home) as traffic:
        person = Watching(home, display)
        person.watch(traffic)
    assert person.waits == [0.1] * 4
    assert len(display.tables) == 3
    assert display.tables[0].notes[-1] == "every 0.2 s · q ends it"


def test_a_database_that_fails_for_a_moment_is_said_and_asked_again(
    home: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    display = Display("", "q")
    with traffic_of(home) as traffic:
        person = Watching(home, display)
        reads = [traffic.read, lambda: failing(), traffic.read]
        monkeypatch.setattr(traffic, "read", lambda: reads.pop(0)())
        person.watch(traffic, every=0.1)
    assert not reads
    first, second = display.tables[:2]
    assert first.notes[0] == "The service's database failed: locked. Asked again in 0.1 s."
    assert first.rows == second.rows
    assert not second.notes[0].startswith("The service")


def failing() -> None:
    raise TrackingError("The service's database failed: locked.")


def test_in_a_pipe_every_look_is_a_block_until_ctrl_c(
    home: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with traffic_of(home) as traffic:
        person = Watching(home, LineDisplay(print))
        with pytest.raises(KeyboardInterrupt):
            person.watch(traffic, every=5)
    assert person.waits == [5] * 50
    assert capsys.readouterr().out.count("3 requests in 1 h to") == 50


@pytest.mark.parametrize(("width", "last"), [(79, "cost"), (119, "p99")])
def test_a_narrow_window_keeps_what_matters_most(home: Settings, width: int, last: str) -> None:
    with traffic_of(home) as traffic:
        report = traffic_figures.report_of(traffic)
    drawn = layout(traffic_table(report), width)
    assert all(len(line) <= width for line in drawn)
    assert last in drawn[1]
    assert all(len(line) <= 79 for line in remarks(report)[:2])
