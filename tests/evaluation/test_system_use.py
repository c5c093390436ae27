from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llmflowlab.evaluation.conclude.counting import build_result
from llmflowlab.evaluation.run import system_meter
from llmflowlab.evaluation.run.closing import closing_of
from llmflowlab.evaluation.run.engine import run_evaluation
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import stored_result
from llmflowlab.evaluation.run.system_meter import Gpu, SystemMeter, meters_for
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.messages import Request
from llmflowlab.providers.base import StreamEvent
from llmflowlab.settings import Settings
from tests.evaluation.helpers import TableModel, bench, dataset, plan, spec
from tests.evaluation.test_judge_exam import Decides
from tests.known import known
from tests.patience import hold


class Machine:
    """Tells what a list says, one value a look."""

    def __init__(
        self,
        cpu: Sequence[float | None] = (None, None),
        memory: Sequence[int | None] = (),
        gpus: Sequence[Gpu | None] = (),
    ) -> None:
        self._cpu, self._memory, self._gpus = list(cpu), list(memory), list(gpus)

    def cpu_seconds(self) -> float | None:
        return self._cpu.pop(0)

    def memory_bytes(self) -> int | None:
        return self._memory.pop(0) if self._memory else None

    def gpu(self) -> Gpu | None:
        return self._gpus.pop(0) if self._gpus else None


def clock(*times: float) -> Any:
    left = list(times)
    return lambda: left.pop(0)


def test_a_meter_tells_what_was_taken_until_the_last_answer() -> None:
    gpus = [Gpu(0.25, 500, 10.0), Gpu(0.5, 900, 40.0), Gpu(0.75, 700, 90.0)]
    machine = Machine(cpu=[3.0, 11.0], memory=[100, 400, 300], gpus=gpus)
    meter = SystemMeter(machine, 2, clock=clock(1.0, 5.0))
    meter.answered()
    meter.look()
    meter.answered()
    found = meter.end()
    assert found == SystemUse(
        answers=2,
        seconds=4.0,
        cpu_seconds=8.0,
        peak_memory_bytes=400,
        gpu_utilization=0.5,
        gpu_memory_bytes=900,
        gpu_energy_joules=80.0,
    )
    assert found.cpu_seconds_per_answer == 4.0
    # What the process does afterwards is not the candidate's.
    meter.look()
    assert meter.end() is found


def test_what_a_machine_does_not_tell_is_unknown_and_never_0() -> None:
    found = SystemMeter(Machine(), 1, clock=clock(0.0, 1.0)).end()
    assert found == SystemUse(answers=0, seconds=1.0)
    document = found.to_json()
    assert document["cpu_seconds_per_answer"] is None
    assert {name for name, value in document.items() if value is not None} == {"answers", "seconds"}
    assert not [value for value in found.metrics().values() if value is not None]
    halves = found + SystemUse(answers=3, seconds=1.0, cpu_seconds=2.0, peak_memory_bytes=7)
    assert halves == SystemUse(answers=3, seconds=2.0)


def test_two_starts_add_up() -> None:
    one = SystemUse(
        answers=2,
        seconds=1.0,
        cpu_seconds=2.0,
        peak_memory_bytes=5,
        gpu_utilization=0.5,
        gpu_memory_bytes=3,
        gpu_energy_joules=1.0,
    )
    two = SystemUse(
        answers=1,
        seconds=3.0,
        cpu_seconds=1.0,
        peak_memory_bytes=9,
        gpu_utilization=0.25,
        gpu_memory_bytes=2,
        gpu_energy_joules=4.0,
    )
    assert one + two == SystemUse(
        answers=3,
        seconds=4.0,
        cpu_seconds=3.0,
        peak_memory_bytes=9,
        gpu_utilization=0.3125,
        gpu_memory_bytes=3,
        gpu_energy_joules=5.0,
    )
    assert SystemUse.from_json({**one.to_json(), "of_a_later_version": 1}) == one


class Here(TableModel):
    """Computes in this process."""

    name = "here"

    @property
    def process(self) -> str | None:
        return ""


def metered(
    tmp_path: Path,
    settings: Settings,
    models: Sequence[str],
    *,
    asked: int | None = None,
    beside: Sequence[str] = (),
) -> dict[int, SystemMeter]:
    planned = plan(dataset(tmp_path), candidates=[spec(model) for model in models])
    known = {"here": Here, "table": TableModel}
    providers = [known[model.partition(":")[0]](model, settings, {}) for model in models]
    return meters_for(planned, providers, list(planned.cells())[:asked], beside)


@pytest.mark.parametrize(
    ("models", "asked", "beside", "who"),
    [
        pytest.param(["here:a"], None, [], {0}, id="alone"),
        pytest.param(["table:a", "here:b"], None, [], {1}, id="beside one elsewhere"),
        pytest.param(["here:a", "here:b"], None, [], set(), id="two in one process"),
        pytest.param(["here:a"], None, ["here:judge"], set(), id="its judge in the same process"),
        pytest.param(["here:a"], None, ["table:judge"], {0}, id="its judge elsewhere"),
        pytest.param(["here:a"], 0, [], set(), id="nothing left to ask"),
    ],
)
def test_who_is_measured_is_alone_in_the_process(
    tmp_path: Path,
    settings: Settings,
    models: Sequence[str],
    asked: int | None,
    beside: Sequence[str],
    who: set[int],
) -> None:
    assert set(metered(tmp_path, settings, models, asked=asked, beside=beside)) == who


def test_a_measurement_that_fails_costs_no_evaluation(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(process: str | None) -> None:
        raise OSError("no process table")

    monkeypatch.setattr(system_meter, "_probe", broken)
    assert metered(tmp_path, settings, ["here:a"]) == {}


def test_this_process_tells_what_it_took(tmp_path: Path, settings: Settings) -> None:
    (meter,) = metered(tmp_path, settings, ["here:a"]).values()
    found = meter.end()
    assert found.cpu_seconds is not None
    assert found.cpu_seconds >= 0
    assert found.peak_memory_bytes is not None
    assert found.peak_memory_bytes > 1_000_000


class Gone(Exception):
    """As psutil raises it of a process that has ended."""


class Process:
    def __init__(self, pid: int, name: str, cpu: float, rss: int, *children: Process) -> None:
        self.pid, self.info, self._children = pid, {"name": name}, list(children)
        self.cpu, self.rss = cpu, rss
        self.ended = False

    def children(self, recursive: bool) -> list[Process]:
        return self._children

    def cpu_times(self) -> Any:
        if self.ended:
            raise Gone
        return SimpleNamespace(user=self.cpu, system=0.5)

    def memory_info(self) -> Any:
        if self.ended:
            raise Gone
        return SimpleNamespace(rss=self.rss)


def test_another_process_is_measured_by_its_name_with_those_it_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runner = Process(8, "llama-server", 4.0, 700)
    processes = [Process(7, "ollama", 1.0, 100, runner), Process(9, "python", 50.0, 9000)]
    psutil = SimpleNamespace(process_iter=lambda names: processes, Error=Gone)
    monkeypatch.setattr(system_meter, "_installed", {"psutil": psutil}.get)
    meter = SystemMeter(known_probe("ollama"), 1, clock=clock(0.0, 2.0))
    runner.cpu = 9.0
    # What it had computed stays in the sum when it has ended.
    processes[0].cpu = 2.0
    meter.look()
    found = meter.end()
    assert (found.cpu_seconds, found.peak_memory_bytes) == (6.0, 800)
    assert found.gpu_utilization is None


def known_probe(process: str) -> Any:
    probe = system_meter._probe(process)
    assert probe is not None
    return probe


def test_a_named_process_without_psutil_or_without_the_process_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(system_meter, "_installed", lambda package: None)
    assert system_meter._probe("ollama") is None
    assert system_meter._probe(None) is None
    psutil = SimpleNamespace(process_iter=lambda names: [], Error=Gone)
    monkeypatch.setattr(system_meter, "_installed", {"psutil": psutil}.get)
    found = SystemMeter(known_probe("ollama"), 1, clock=clock(0.0, 2.0)).end()
    assert (found.cpu_seconds, found.peak_memory_bytes) == (None, None)


def test_graphics_cards_tell_of_the_process_that_is_on_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    energy = iter([1000.0, 5000.0])
    own, other = SimpleNamespace(pid=os.getpid(), usedGpuMemory=300), SimpleNamespace(pid=1)
    nvml = SimpleNamespace(
        NVMLError=Gone,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=lambda n: n,
        nvmlDeviceGetComputeRunningProcesses=lambda card: [other] if card else [own, other],
        nvmlDeviceGetUtilizationRates=lambda card: SimpleNamespace(gpu=40),
        nvmlDeviceGetTotalEnergyConsumption=lambda card: next(energy),
    )
    monkeypatch.setattr(system_meter, "_installed", {"pynvml": nvml}.get)
    found = SystemMeter(known_probe(""), 1, clock=clock(0.0, 2.0)).end()
    assert found.gpu_utilization == pytest.approx(0.4)
    assert (found.gpu_memory_bytes, found.gpu_energy_joules) == (300, 4.0)


def test_a_card_without_a_driver_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise Gone

    nvml = SimpleNamespace(NVMLError=Gone, nvmlInit=no_driver)
    monkeypatch.setattr(system_meter, "_installed", {"pynvml": nvml}.get)
    found = SystemMeter(known_probe(""), 1, clock=clock(0.0, 2.0)).end()
    assert found.gpu_utilization is None


def test_a_local_model_is_measured_once_and_told_through_document_ledger_and_metrics(
    tmp_path: Path, home: Settings, ledger: Ledger
) -> None:
    planned = plan(dataset(tmp_path), candidates=[spec("here:a"), spec("table:b")])
    providers = [Here("a", home, {}), TableModel("b", home, {})]
    result = run_evaluation(planned, bench(home, providers, ledger, tmp_path))
    own, other = result.candidates
    assert own.system is not None
    assert own.system.answers == 4
    assert own.system.cpu_seconds is not None
    assert other.system is None
    kept = stored_result(ledger, planned.evaluation_id)
    assert kept.candidates[0].system == own.system
    assert result.to_json()["candidates"][0]["system"] == own.system.to_json()
    metrics, others = closing_of(result, []).metrics
    assert metrics["system/process_cpu_seconds"] == own.system.cpu_seconds
    assert not any(name.startswith("system/") for name in others)
    assert others["tokens_per_second"] == result.candidates[1].tokens_per_second


class JudgesHere(Decides):
    """Judges in this process too, and lets be known when it is first asked."""

    name = "here"

    def __init__(self, settings: Settings, asked: threading.Event) -> None:
        super().__init__(settings, lambda claim, shown: "yes")
        self._asked = asked

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        self._asked.set()
        yield from super().stream(request)


class AnswersHere(Here):
    """Answers all but the first row once somebody is judged."""

    def __init__(self, settings: Settings, asked: threading.Event) -> None:
        super().__init__("a", settings, {})
        self._asked = asked
        self._first = threading.Lock()

    def stream(self, request: Request) -> Iterator[StreamEvent]:
        if not self._first.acquire(blocking=False):
            hold(self._asked)
        yield from super().stream(request)


def test_while_a_local_model_judges_its_answers_say_nothing_of_its_speed(
    tmp_path: Path, home: Settings, ledger: Ledger
) -> None:
    # Its speed was that of answering and judging at once.
    asked = threading.Event()
    planned = plan(
        dataset(tmp_path),
        candidates=[spec("here:a")],
        scorers=("correctness",),
        judge="here:judge",
    )
    providers, judge = [AnswersHere(home, asked)], JudgesHere(home, asked)
    result = run_evaluation(planned, bench(home, providers, ledger, tmp_path, judge=judge))
    alone, *others = sorted(result.answers.values(), key=lambda record: record.shared)
    assert not alone.shared
    assert all(record.shared for record in others)
    expected = known(alone.completion_tokens) / known(alone.latency)
    assert result.candidates[0].tokens_per_second == expected
    kept = stored_result(ledger, planned.evaluation_id)
    assert kept.candidates[0].tokens_per_second == expected
    answers = {cell: replace(record, shared=True) for cell, record in result.answers.items()}
    nobody_alone = build_result(planned, answers, result.scores, reused=[0])
    assert nobody_alone.candidates[0].tokens_per_second is None


def test_a_ledger_of_before_has_nothing_measured(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "evaluations.db")
    ledger.add_system_use("e", {1: SystemUse(answers=1, seconds=2.0)})
    ledger.add_system_use("e", {1: SystemUse(answers=2, seconds=2.0)})
    assert ledger.system_use("e") == {1: SystemUse(answers=3, seconds=4.0)}
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("DROP TABLE system_use")
    assert ledger.system_use("e") == {}
    ledger.close()


def test_cells_of_answers_that_are_used_again_are_not_counted(
    tmp_path: Path, settings: Settings
) -> None:
    planned = plan(dataset(tmp_path), candidates=[spec("here:a")])
    found = meters_for(planned, [Here("a", settings, {})], [Cell(0, 2)], ())
    meter = found[0]
    meter.answered()
    assert meter.end().answers == 1
