"""Whole evaluations over a crew of threads, beside the same on one machine."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from llmflowlab.cluster.coordinator import Coordinator
from llmflowlab.cluster.driver import run_on_cluster
from llmflowlab.cluster.earlier_start import earlier_start
from llmflowlab.cluster.event_log import coordinator_log
from llmflowlab.cluster.leases import ClusterLimits, Lease
from llmflowlab.cluster.shards import stage, staged
from llmflowlab.cluster.storage import LocalStorage
from llmflowlab.errors import BadRequest, InputError, RateLimited
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.steering import Adjustment, ask_for
from llmflowlab.lab.cluster_evaluation import OnCluster
from llmflowlab.lab.evaluation_request import RayRequest
from llmflowlab.messages import Parameters
from llmflowlab.settings import Settings, load_settings
from tests.cluster.threads import NoRecorder, ThreadCrew, building
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.patience import PATIENCE

ROWS = "question,answer,category\n" + "".join(
    f"Question {n % 37}?,Answer {n % 5},c{n % 3}\n" for n in range(100)
)
"""Of which many ask the same again."""
ANSWERS: dict[str, str | Exception] = {
    f"Question {n}?": f"Answer {n % 7}" if n % 4 else "" for n in range(37)
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"LLMFLOWLAB_HOME": str(tmp_path)}, cwd=tmp_path, stdin_is_terminal=False)


class Counting(TableModel):
    """Notes what it is asked; waits where it is told to."""

    def __init__(self, name: str, settings: Settings, asked: Counter[str]) -> None:
        super().__init__(name, settings, ANSWERS)
        self.asked = asked
        self.held: threading.Event | None = None

    def stream(self, request):
        self.asked[f"{self.model}: {request.messages[-1].content}"] += 1
        if self.held is not None:
            self.held.wait(PATIENCE)
        yield from super().stream(request)


class World:
    """An evaluation of two models over 100 rows, its storage, and what the models were asked."""

    def __init__(self, tmp_path: Path, settings: Settings, **options: Any) -> None:
        self.tmp_path, self.settings = tmp_path, settings
        given = {"candidates": [spec("table:one"), spec("table:two")], **options}
        self.plan = plan(dataset(tmp_path, ROWS), **given)
        self.asked: Counter[str] = Counter()
        self.storage = LocalStorage(tmp_path / "shared")
        self.stage = stage(self.plan, self.storage, shard_rows=12)
        self.recorder = NoRecorder()
        self.snapshots: list[Any] = []
        self.crew = ThreadCrew(building(settings, self.models))
        self.on_progress = self.snapshots.append
        self.budget: Any = None

    def models(self) -> list[Any]:
        return [Counting(name, self.settings, self.asked) for name in ("one", "two")]

    def limits(self, **options: Any) -> ClusterLimits:
        given = {"start": "first", "shards": self.stage.shards, "concurrency": 4, **options}
        return ClusterLimits(**given)

    def run(
        self, home: str = "home", *, traces: int = 10_000, workers: int = 3, **limits: Any
    ) -> EvaluationResult:
        with closing(Ledger(self.tmp_path / home / "evaluations.db")) as ledger:
            made = bench(
                self.settings,
                self.models(),
                ledger,
                self.tmp_path / home,
                recorder=cast("Any", self.recorder),
            )
            self.budget = made.budget
            return run_on_cluster(
                self.plan,
                made,
                self.storage,
                self.stage,
                self.crew,
                self.limits(**limits),
                workers=workers,
                traces=traces,
                on_progress=self.on_progress,
            )

    def alone(self) -> EvaluationResult:
        """Return what one process finds."""
        with closing(Ledger(self.tmp_path / "alone" / "evaluations.db")) as ledger:
            made = bench(
                self.settings,
                self.models(),
                ledger,
                self.tmp_path / "alone",
                recorder=cast("Any", NoRecorder()),
            )
            return run_evaluation(self.plan, made)


@pytest.fixture
def world(tmp_path, settings):
    return World(tmp_path, settings)


def figures(result: EvaluationResult) -> dict[str, Any]:
    """Return the document without what takes time or names files."""
    found = result.to_json()
    for candidate in found["candidates"]:
        for timed in ("latency", "tokens_per_second", "cost_per_answer"):
            candidate.pop(timed, None)
    for timed in ("files", "measures", "recommendation", "tradeoff"):
        found.pop(timed, None)
    return found


@pytest.mark.parametrize("traces", [10_000, 20])
def test_a_cluster_finds_what_one_process_finds(world, traces):
    together = world.run(traces=traces)
    asked = Counter(world.asked)
    assert figures(together) == figures(world.alone())
    # Each row once for each model, rows that ask the same again included.
    assert asked.total() == 200
    assert together.problems == ()


def test_all_rows_are_in_the_ledger_and_replayed_from_there(world):
    result = world.run()
    with closing(Ledger(world.tmp_path / "home" / "evaluations.db")) as ledger:
        again = stored_result(ledger, world.plan.evaluation_id)
        assert len(ledger.outcome_keys(world.plan.evaluation_id)) == 200
    assert figures(again) == figures(result)


def test_of_more_rows_than_the_limit_those_that_failed_and_a_sample_are_recorded_and_said(
    tmp_path, settings
):
    refused: dict[str, str | Exception] = {
        "Question 3?": RateLimited("too many", provider="table"),
    }

    class Refusing(World):
        def models(self):
            models = super().models()
            for model in models:
                model.answers |= refused
            return models

    world = Refusing(tmp_path, settings)
    result = world.run(traces=40)
    failed = {n for n in range(100) if n % 37 == 3}
    name = world.plan.evaluation_id
    with closing(Ledger(tmp_path / "home" / "evaluations.db")) as ledger:
        drawn = ledger.plan(name)
        assert drawn.drawn_from == 100
        assert len(drawn.dataset.rows) == 20
        assert {int(row.id) - 1 for row in drawn.dataset.rows} >= failed
        assert len(ledger.outcome_keys(name)) == 40
        with pytest.raises(InputError, match="has 100 rows, of which this home has 20"):
            stored_result(ledger, name)
    (said,) = [note for note in result.notes if "traces" in note]
    assert said.startswith("MLflow has 20 of the 100 rows as traces: 3 that failed")
    closed = world.recorder.closed[0]
    assert said in closed["summary"]
    assert closed["metrics"][0]["rows"] == 100
    assert closed["metrics"][0]["failed"] == 3


def test_a_worker_that_is_lost_leaves_its_answers_to_the_next_and_none_is_asked_twice(world):
    """Killed while four calls of each model are in flight, which alone are asked again."""
    cut = threading.Event()

    def watch(snapshot: Any) -> None:
        if not cut.is_set() and world.asked.total() > 30:
            cut.set()
            world.crew.kill(0)

    world.on_progress = watch
    result = world.run()
    again = world.asked.total() - 200
    assert 0 <= again <= 8
    assert figures(result) == figures(world.alone())
    said = [note for note in result.notes if "taken over" in note]
    assert bool(said) == bool(world.crew.head.standing().taken_over)
    # A figure that may be too low says so.
    assert all("in no answer's cost" in note for note in said)


def test_a_coordinator_that_is_killed_goes_on_where_it_was(world):
    count = iter(range(1_000_000))

    def watch(snapshot: Any) -> None:
        if next(count) % 2:
            world.crew.restart()

    world.on_progress = watch
    result = world.run(cap=Decimal(1))
    assert world.asked.total() == 200
    assert figures(result)["candidates"] == figures(world.alone())["candidates"]


def test_ctrl_c_ends_with_what_there_is_and_another_machine_goes_on(world):
    pressed = threading.Event()

    def watch(snapshot: Any) -> None:
        if not pressed.is_set() and world.asked.total() > 20:
            pressed.set()
            raise KeyboardInterrupt

    world.on_progress = watch
    stopped = world.run(workers=1)
    assert stopped.interrupted
    assert stopped.unfinished is not None
    (said,) = [note for note in stopped.notes if "has workers go on" in note]
    assert f"--runner ray --storage {world.storage.place}" in said
    assert f"--resume {world.plan.evaluation_id}" in said
    before = world.asked.total()
    assert before < 200
    # What is announced there is what is asked there: the other home's ledger knows nothing of it.
    left = earlier_start(world.storage, world.plan.evaluation_id)
    assert left.spent == 0
    assert 2 * len(left.left) == 200 - before
    # Another home, with nothing but the storage.
    world.plan, world.stage = staged(world.storage, world.plan.evaluation_id)
    world.crew = ThreadCrew(building(world.settings, world.models))
    world.on_progress = world.snapshots.append
    whole = world.run("elsewhere", start="second")
    assert not whole.interrupted
    assert world.asked.total() == 200
    # Whoever reads the folder finds each row once: the part that was committed at the stop is gone.
    for what in ("results", "paid"):
        assert len(world.storage.keys(f"{world.stage.folder}/{what}")) == world.stage.shards
    assert figures(whole) == figures(world.alone())


@pytest.mark.parametrize("traces", [10_000, 50])
def test_what_failed_is_asked_again_when_it_is_gone_on_with_as_on_one_machine(world, traces):
    away: dict[str, str | Exception] = {
        **ANSWERS,
        "Question 7?": BadRequest("away", provider="table"),
    }

    def models() -> list[Any]:
        found = world.models()
        for model in found:
            model.answers = dict(away)
        return found

    world.crew = ThreadCrew(building(world.settings, models))
    first = world.run(traces=traces)
    failed = sum(sum(one.failed.values()) for one in first.candidates)
    assert failed
    left = earlier_start(world.storage, world.plan.evaluation_id)
    assert [left.plan.dataset.rows[row].question for row in left.left] == ["Question 7?"] * 3
    drawn = left.drawn(2)
    assert [row.question for row in drawn.dataset.rows] == ["Question 7?"] * 2
    assert set(drawn.repeats) < {0, 1, 2}
    before = world.asked.total()
    world.crew = ThreadCrew(building(world.settings, world.models))
    again = world.run("elsewhere", start="second", traces=traces)
    assert again.candidates[0].failed == {}
    assert world.asked.total() - before == failed
    assert figures(again) == figures(world.alone())


def test_nothing_is_adjusted_while_it_runs_and_that_is_said(world):
    refused: list[str] = []

    def adjust(snapshot: Any) -> None:
        if refused or snapshot.phase != "answering":
            return
        with closing(Ledger(world.tmp_path / "home" / "evaluations.db")) as ledger:
            with pytest.raises(InputError) as said:
                ask_for(ledger, world.plan.evaluation_id, Adjustment(concurrency=2))
            refused.append(said.value.message)

    world.on_progress = adjust
    world.run()
    assert "runs on a cluster" in refused[0]


def test_a_second_ctrl_c_leaves_at_once(world):
    def watch(snapshot: Any) -> None:
        if world.asked.total() > 10:
            raise KeyboardInterrupt

    world.on_progress = watch
    with pytest.raises(KeyboardInterrupt):
        world.run()
    assert world.crew.ended


def test_an_evaluation_that_was_left_at_once_says_how_it_goes_on_where_anything_is_there(world):
    on = OnCluster(RayRequest(), world.storage, None, None)
    assert on.left("another") is None
    said = on.left(world.plan.evaluation_id)
    assert said is not None
    assert f"--resume {world.plan.evaluation_id} --runner ray" in said


def test_ctrl_c_while_only_the_record_is_waited_for_ends_that_wait_and_a_second_one_all(world):
    def press(*_: Any) -> Any:
        raise KeyboardInterrupt

    # Pins: the first one left at once, and the evaluation as interrupted.
    world.recorder.wait_for_runs = press
    result = world.run()
    assert (result.interrupted, result.unfinished, result.problems) == (True, None, ())
    with closing(Ledger(world.tmp_path / "home" / "evaluations.db")) as ledger:
        assert ledger.evaluation(world.plan.evaluation_id).state == "finished"
    world.recorder.close = press
    world.crew = ThreadCrew(building(world.settings, world.models))
    with pytest.raises(KeyboardInterrupt):
        world.run(start="second")


def test_of_a_coordinator_that_was_killed_the_worst_case_is_called_spent(world):
    """What a lost worker was leased may have been spent; a rest that is announced is never too large."""
    name, log = world.plan.evaluation_id, coordinator_log(world.storage, world.stage.folder)
    assert earlier_start(world.storage, name).spent is None
    exams = {"exams": [], "spent": "0.25"}
    world.storage.write(f"{name}/exams.json", json.dumps(exams).encode())
    head = Coordinator(log, world.limits(cap=Decimal(5)))
    lease = head.lease("worker")
    assert isinstance(lease, Lease)
    granted = head.money(lease.token, Decimal("0.5"), Decimal("0.1"), Decimal("0.2"))
    # Killed here: nothing is committed, and nobody gave anything back.
    left = earlier_start(world.storage, name)
    assert left.spent == Decimal("0.25") + granted.ceiling
    assert len(left.left) == len(world.plan.dataset.rows)


def test_where_nothing_is_left_nothing_is_announced(world):
    world.run()
    on = OnCluster(
        RayRequest(), world.storage, earlier_start(world.storage, world.plan.evaluation_id), None
    )
    part, rows = on.drawn(world.plan, 2_000)
    assert (rows, len(part.dataset.rows), len(part.cells())) == (0, 0, 0)


def test_what_is_not_in_the_storage_cannot_be_gone_on_with(world):
    with pytest.raises(InputError, match="no evaluation 'other'"):
        staged(world.storage, "other")


def test_the_budget_holds_for_all_workers_and_a_larger_one_goes_on(tmp_path):
    rates = {"input_per_million": "100", "output_per_million": "400"}
    prices = json.dumps({"table:one": rates, "table:two": rates})
    (tmp_path / "prices.json").write_text(prices, encoding="utf-8")
    settings = load_settings(
        {"LLMFLOWLAB_HOME": str(tmp_path)}, cwd=tmp_path, stdin_is_terminal=False
    )
    limited = [
        replace(spec(f"table:{name}"), parameters=Parameters(max_tokens=20))
        for name in ("one", "two")
    ]

    world = World(tmp_path, settings, candidates=limited)
    cap, seen = Decimal("0.20"), []

    def watch(snapshot: Any) -> None:
        seen.append(world.crew.head.spent + world.crew.head.leased)

    world.on_progress = watch
    short = world.run(cap=cap)
    assert max(seen) <= cap
    paid = sum(candidate.cost_usd or Decimal(0) for candidate in short.candidates)
    # No other call fitted in: its worst case is 20 tokens of an answer and its prompt.
    assert cap - Decimal("0.02") <= paid <= cap
    # What the screen shows beside the budget, here and in another home that goes on.
    assert world.budget.spent == paid
    assert earlier_start(world.storage, world.plan.evaluation_id).spent == paid
    assert short.unfinished == "the budget was spent before all rows were asked and judged"
    assert not short.interrupted
    before = world.asked.total()
    assert before < 200
    world.crew = ThreadCrew(building(settings, world.models))
    world.on_progress = world.snapshots.append
    whole = world.run(cap=Decimal(5), start="second")
    assert world.asked.total() == 200
    assert figures(whole)["candidates"] == figures(world.alone())["candidates"]
