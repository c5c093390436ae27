"""How far an evaluation is: what is shown, how often, and what the keys change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmflowlab.asking.budget import Budget
from llmflowlab.candidate import Candidate
from llmflowlab.cli.evaluate.controls import Controls
from llmflowlab.cli.evaluate.live_view import LiveView, _cost_text, duration, standing_text
from llmflowlab.cli.ui.keys import plain_keys
from llmflowlab.cli.ui.live_table import LineDisplay, layout
from llmflowlab.cli.ui.screen import Table
from llmflowlab.evaluation.conclude.standing import InterimScore
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.engine import EvaluationSnapshot
from llmflowlab.evaluation.run.scoring import JudgingProgress
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.statistics import Interval
from tests.evaluation.helpers import dataset, plan

MODELS = ("openai:a-model-with-a-name-that-is-longer-than-most-2025-04-14", "ollama:llama3.2")


class Shown:
    """A display that keeps what it is given, and has keys to hand out."""

    def __init__(self, every: float) -> None:
        self.every = every
        self.tables: list[Table] = []
        self.lines: list[list[str]] = []
        self.pressed = ""

    def show(self, table: Table, lines: Sequence[str]) -> None:
        self.tables.append(table)
        self.lines.append(list(lines))

    def keys(self) -> str:
        pressed, self.pressed = self.pressed, ""
        return pressed


class Scene:
    """An evaluation of two models of which the test says how far it is, and what time it is."""

    def __init__(self, tmp_path: Path, *, every: float = 0.25, cap: str | None = None) -> None:
        specs = [Candidate(model=m, display_name="M", supplier="S") for m in MODELS]
        self.budget = Budget(None if cap is None else Decimal(cap))
        self.steering = Steering(8, self.budget)
        self.display = Shown(every)
        self.now = 100.0
        self.progress = [CandidateProgress(1000), CandidateProgress(1000)]
        self.standings: list[InterimScore] = []
        self.view = LiveView(
            plan(dataset(tmp_path), candidates=specs),
            self.steering,
            self.display,
            clock=lambda: self.now,
        )

    def tell(self, seconds: float, phase: Any = "answering", **values: Any) -> None:
        self.now += seconds
        self.view(
            EvaluationSnapshot(
                phase=phase,
                candidates=self.progress,
                scorer="contains",
                standings=self.standings,
                **values,
            )
        )


def test_the_table_tells_everything_within_80_columns(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cap="0.50")
    scene.tell(1)
    first = scene.progress[0]
    first.answered, first.failed, first.in_flight, first.asking = 240, 2, 8, 5
    first.cost = Decimal("0.0123")
    scene.budget.settle(Decimal(0), Decimal("0.0150"))
    scene.standings = [InterimScore(200, 0.82, Interval(0.771, 0.858)), InterimScore(0, None, None)]
    scene.tell(20)
    lines = layout(scene.display.tables[-1], 79)
    assert max(map(len, lines)) <= 79
    assert lines[1].split() == ["model", "done", "fail", "wait", "rate", "left", "cost", "contains"]
    assert lines[2].split() == [
        "openai…ost-2025-04-14",
        *("242/1000", "2", "3", "12.1/s", "63", "s", "$0.0123", "82%", "(77–86)"),
    ]
    assert lines[3].split() == ["ollama:llama3.2", "0/1000"]
    assert scene.display.tables[-1].notes[0] == "concurrency 8 · $0.015 spent of $0.5"


def test_judges_their_money_and_the_record_are_told_while_answers_come(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.tell(1, recorded=7)
    assert scene.display.tables[-1].notes[1] == "recorded 7 of 2000"
    judging = JudgingProgress(scorers=2, done=31, cost=Decimal("0.0123"), unpriced=False)
    scene.tell(1, recorded=9, judging=judging)
    said = "judged 31 of 4000, $0.0123"
    assert scene.display.tables[-1].notes[1] == f"{said} · recorded 9 of 2000"
    assert scene.display.lines[-1][-1] == said
    scene.tell(1, judging=replace(judging, unpriced=True))
    assert scene.display.lines[-1][-1] == "judged 31 of 4000, cost unknown"


def test_an_unknown_price_is_not_a_cost_of_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.progress[0].answered = scene.progress[0].unpriced = 3
    scene.tell(1)
    assert [row[6] for row in scene.display.tables[-1].rows] == ["unknown", ""]
    assert "cost unknown" in scene.display.lines[-1][0]


def test_a_cost_that_workers_tell_later_is_not_a_cost_of_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.progress[0].answered = scene.progress[0].uncounted = 3
    scene.tell(1)
    assert [row[6] for row in scene.display.tables[-1].rows] == ["", ""]


def test_on_a_cluster_only_the_end_can_be_asked_for_and_other_keys_say_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cap="1")
    scene.view = LiveView(
        scene.view._plan, scene.steering, scene.display, fixed=True, clock=lambda: scene.now
    )
    scene.tell(1)
    assert scene.display.tables[-1].notes[-1] == "keys: q stop"
    scene.display.pressed = "+b2\n"
    scene.tell(1)
    assert "then --resume with others" in scene.display.tables[-1].notes[-1]
    assert (scene.steering.concurrency, scene.budget.cap) == (8, Decimal(1))
    assert max(map(len, layout(scene.display.tables[-1], 79))) <= 79
    scene.display.pressed = "q"
    with pytest.raises(KeyboardInterrupt):
        scene.tell(1)


def test_a_candidate_that_was_reused_whole_has_no_rate_and_no_cost(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.progress[0].answered = scene.progress[0].reused = 1000
    scene.tell(5)
    scene.tell(5)
    assert scene.display.tables[-1].rows[0][4:7] == ("", "", "")


def test_the_table_is_not_drawn_more_often_than_the_display_wants(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every=0.25)
    for _ in range(10):
        scene.tell(0.1)
    assert len(scene.display.tables) == 4


def test_lines_come_every_five_seconds_at_most_and_at_the_end(tmp_path: Path) -> None:
    printed: list[str] = []
    scene = Scene(tmp_path)
    display = LineDisplay(printed.append)
    scene.view = LiveView(scene.view._plan, scene.steering, display, clock=lambda: scene.now)
    for answered in range(60):
        scene.progress[1].answered = answered
        scene.tell(0.2)
    # Twelve seconds: two showings; the model nobody has heard of changes once only.
    assert [line.partition(":")[0] for line in printed] == ["openai", "ollama", "ollama"]
    assert "24/1000 answers, 5.0/s" in printed[1]
    printed.clear()
    scene.progress[1].answered = 1000
    scene.tell(0.2, "recording", recorded=10, to_record=60)
    assert printed == []
    scene.tell(5, "recording", recorded=10, to_record=60)
    assert printed == ["ollama:llama3.2: 1000/1000 answers, free", "recording 10 of 60"]
    scene.tell(0.2, "done")
    assert len(printed) == 2


def test_a_short_evaluation_prints_one_line_a_candidate(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every=5.0)
    scene.tell(0.2)
    scene.tell(0.2, "recording")
    assert scene.display.lines == []
    scene.tell(0.2, "done")
    assert [len(lines) for lines in scene.display.lines] == [2]


def test_that_it_is_stopping_is_said_at_once(tmp_path: Path) -> None:
    scene = Scene(tmp_path, every=5.0)
    scene.tell(0.2, detail="stopping")
    assert scene.display.lines[-1][-1] == "stopping"
    scene.tell(0.2, detail="stopping")
    assert len(scene.display.lines) == 1


@pytest.mark.parametrize("phase", ["scoring", "recording"])
def test_later_phases_are_named_with_their_progress(tmp_path: Path, phase: Any) -> None:
    scene = Scene(tmp_path)
    scene.tell(1, phase, scored=12, to_score=60, recorded=12, to_record=60)
    assert scene.display.tables[-1].title.startswith(f"{phase} 12 of 60 · small · ")


def test_plus_and_minus_change_the_concurrency(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    heard: list[int] = []
    scene.steering.attach(heard.append)
    scene.display.pressed = "++-"
    scene.tell(0.01)
    assert heard == [10, 12, 9]
    assert scene.display.tables[-1].notes[0] == "concurrency 9"


def test_the_concurrency_neither_vanishes_nor_grows_without_end() -> None:
    steering = Steering(2, Budget(None))
    controls = Controls(steering)
    controls.press("-----", may_stop=True)
    assert steering.concurrency == 1
    controls.press("+" * 60, may_stop=True)
    assert steering.concurrency == 1000


def test_a_new_budget_is_typed_under_the_table(tmp_path: Path) -> None:
    scene = Scene(tmp_path, cap="0.5")
    scene.display.pressed = "b0.8x\x7f5q"
    scene.tell(0.01)
    assert scene.display.tables[-1].notes[-1].startswith("new budget in USD: 0.85q")
    scene.display.pressed = "\x7f\r"
    scene.tell(0.01)
    assert scene.budget.cap == Decimal("0.85")
    assert scene.display.tables[-1].notes[-1] == "the budget is $0.85 now"
    for _ in range(20):
        scene.tell(1)
    assert scene.display.tables[-1].notes[-1].startswith("keys: + - concurrency")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param("bnonsense\r", "'nonsense' is no amount of USD", id="no number"),
        pytest.param("b-1\r", "'-1' is no amount of USD", id="negative"),
        pytest.param("b0.9\x1b", "keys:", id="given up"),
    ],
)
def test_what_is_no_budget_leaves_the_old_one(tmp_path: Path, typed: str, said: str) -> None:
    scene = Scene(tmp_path, cap="0.5")
    scene.display.pressed = typed
    scene.tell(0.01)
    assert scene.budget.cap == Decimal("0.5")
    assert scene.display.tables[-1].notes[-1].startswith(said)


def test_where_there_is_no_budget_b_says_so(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.display.pressed = "b"
    scene.tell(0.01)
    assert "no budget was set at the beginning" in scene.display.tables[-1].notes[-1]


def test_q_stops_once_and_does_not_drop_what_is_in_flight(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.display.pressed = "q"
    with pytest.raises(KeyboardInterrupt):
        scene.tell(0.01)
    scene.display.pressed = "q"
    scene.tell(0.01)
    assert scene.display.tables[-1].notes[-1] == "stopping already; Ctrl-C leaves at once"


def test_q_does_not_break_the_recording_off(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.display.pressed = "q"
    scene.tell(0.01, "recording")
    assert "only being recorded" in scene.display.tables[-1].notes[-1]


def test_arrow_keys_are_no_commands() -> None:
    assert plain_keys("\x1b[A+\x1bOB\x1b[15~-\x1b[1;5C") == "+-"


def test_a_narrow_window_keeps_something_of_the_name_and_never_overflows() -> None:
    table = Table(title="t" * 90, columns=("model", "done"), rows=(("x" * 50, "10000/10000"),))
    assert [len(line) for line in layout(table, 24)] == [24, 17, 24]
    assert max(len(line) for line in layout(table, 12)) <= 12


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (89, "89 s"), (600, "10 min"), (5399, "90 min"), (9000, "2.5 h")],
)
def test_times_that_are_roughly_known_are_short(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_mean_stands_with_its_interval() -> None:
    assert standing_text(InterimScore(5, 1.0, Interval(0.566, 1.0))) == "100% (57–100)"
    assert standing_text(None) == ""


@pytest.mark.parametrize(
    ("progress", "said"),
    [
        (CandidateProgress(3, failed=3), None),
        (CandidateProgress(3, failed=2, answered=1), "free"),
        (CandidateProgress(3, failed=3, cost=Decimal("0.02")), "$0.02"),
        (CandidateProgress(3, answered=3, reused=3), None),
    ],
)
def test_failures_alone_are_not_called_free(progress: CandidateProgress, said: str | None) -> None:
    # Pins: three refused calls were "free" on the way, and of unknown cost at the end.
    assert _cost_text(progress) == said
