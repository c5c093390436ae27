"""Looks at what a local model takes of this machine while its candidate answers.

Of this program's own process the system tells by itself; of another one, such as Ollama's, `psutil`
does, and of graphics cards `pynvml` (NVML), both only where they are installed.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, TypeVar

from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.providers.base import Provider

__all__ = ["Gpu", "Probe", "SystemMeter", "meters_for"]

T = TypeVar("T")

_EVERY = 0.5
"""Seconds between two looks; each takes microseconds, of another process a millisecond."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """What the graphics cards that a process is on say now."""

    utilization: float
    """From 0 to 1, the mean of the cards."""
    memory_bytes: int
    """That the process holds."""
    joules: float | None
    """Since the driver was loaded; None where a card does not tell."""


class Probe(Protocol):
    """Tells of one process; None is unknown."""

    def cpu_seconds(self) -> float | None:
        """Return what it has computed since it began."""
        ...

    def memory_bytes(self) -> int | None:
        """Return what is resident now."""
        ...

    def gpu(self) -> Gpu | None:
        """Return what its cards say; None where it is on none, or nobody tells."""
        ...


class SystemMeter:
    """Measures from its start until a number of answers is there, or until it is ended.

    Args:
        probe: Of the process that computes them.
        answers: How many are to come.
        clock: Seconds, from any beginning.
    """

    def __init__(
        self, probe: Probe, answers: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._probe = probe
        self._left = answers
        self._clock = clock
        self._had = 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._memory: list[int | None] = []
        self._gpus: list[Gpu | None] = []
        self._use: SystemUse | None = None
        self._began = clock()
        self._cpu = _told(probe.cpu_seconds)
        self.look()

    def start(self) -> None:
        """Look again and again, in a thread of its own."""
        threading.Thread(target=self._watch, name="system-meter", daemon=True).start()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY):
            self.look()

    def look(self) -> None:
        """Take in what is resident and what the cards say now."""
        memory, gpu = _told(self._probe.memory_bytes), _told(self._probe.gpu)
        with self._lock:
            if self._use is None:
                self._memory.append(memory)
                self._gpus.append(gpu)

    def answered(self) -> None:
        """Count an answer; with the last one the measuring ends."""
        with self._lock:
            self._had += 1
            last = self._had >= self._left
        if last:
            self.end()

    def end(self) -> SystemUse:
        """End the measuring and return what was found; a second call returns the same."""
        if self._use is not None:
            return self._use
        self._ended.set()
        self.look()
        cpu = _told(self._probe.cpu_seconds)
        with self._lock:
            if self._use is None:
                self._use = SystemUse(
                    answers=self._had,
                    seconds=self._clock() - self._began,
                    cpu_seconds=None if cpu is None or self._cpu is None else cpu - self._cpu,
                    peak_memory_bytes=max(filter(None, self._memory), default=None),
                    **_of_gpus([gpu for gpu in self._gpus if gpu is not None]),
                )
            return self._use


def _of_gpus(looks: list[Gpu]) -> dict[str, Any]:
    if not looks:
        return {}
    first, last = looks[0].joules, looks[-1].joules
    return {
        "gpu_utilization": sum(gpu.utilization for gpu in looks) / len(looks),
        "gpu_memory_bytes": max(gpu.memory_bytes for gpu in looks),
        "gpu_energy_joules": None if first is None or last is None else last - first,
    }


def meters_for(
    plan: EvaluationPlan,
    providers: Iterable[Provider | None],
    to_ask: Iterable[Cell],
    beside: Collection[str],
) -> dict[int, SystemMeter]:
    """Return by candidate what measures it: where its process computes for nobody else meanwhile.

    Args:
        plan: The evaluation.
        providers: One per candidate; None for those whose answers are given.
        to_ask: The answers that are not there yet.
        beside: References of the other models that are asked: judges, detectors, embedders.
    """
    asked = Counter(cell.candidate for cell in to_ask)
    busy = Counter(reference.partition(":")[0] for reference in beside)
    busy.update(plan.candidates[index].provider for index in asked)
    found = {}
    for index, provider in enumerate(providers):
        if provider is None or not asked[index] or busy[provider.name] > 1:
            continue
        probe = _told(partial(_probe, provider.process))
        if probe is not None:
            found[index] = SystemMeter(probe, asked[index])
    return found


def _told(read: Callable[[], T | None]) -> T | None:
    """Return what a machine says; a measurement is never worth an evaluation."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - what drivers and process tables raise is other people's
        return None


def _probe(process: str | None) -> Probe | None:
    if process is None:
        return None
    if process == "":
        return _OwnProcess()
    psutil = _installed("psutil")
    return None if psutil is None else _NamedProcess(psutil, process)


class _OwnProcess:
    """This program's process."""

    def __init__(self) -> None:
        self._cards = _Cards()

    def cpu_seconds(self) -> float | None:
        return time.process_time()

    def memory_bytes(self) -> int | None:
        with suppress(OSError, ValueError, IndexError):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            return pages * os.sysconf("SC_PAGE_SIZE")
        if sys.platform == "win32":
            psutil = _installed("psutil")
            return None if psutil is None else int(psutil.Process().memory_info().rss)
        import resource

        # On macOS, which tells in bytes; all it says is the most so far.
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def gpu(self) -> Gpu | None:
        return self._cards.of({os.getpid()})


class _NamedProcess:
    """Every process of a name, with those that it started."""

    def __init__(self, psutil: Any, name: str) -> None:
        self._psutil = psutil
        self._name = name
        self._cards = _Cards()
        self._gone: dict[int, float] = {}
        """By process, what it had computed when it was last seen."""

    def _all(self) -> list[Any]:
        found = {}
        for process in self._psutil.process_iter(["name"]):
            if (process.info["name"] or "").partition(".")[0].lower() == self._name:
                found[process.pid] = process
                with suppress(self._psutil.Error):
                    found |= {child.pid: child for child in process.children(recursive=True)}
        return list(found.values())

    def cpu_seconds(self) -> float | None:
        for process in self._all():
            with suppress(self._psutil.Error):
                times = process.cpu_times()
                self._gone[process.pid] = float(times.user + times.system)
        return sum(self._gone.values()) if self._gone else None

    def memory_bytes(self) -> int | None:
        seen = []
        for process in self._all():
            with suppress(self._psutil.Error):
                seen.append(int(process.memory_info().rss))
        return sum(seen) if seen else None

    def gpu(self) -> Gpu | None:
        return self._cards.of({process.pid for process in self._all()})


class _Cards:
    """NVIDIA's graphics cards, where `pynvml` is installed and a driver answers."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._cards: list[Any] = []
        nvml = _installed("pynvml")
        if nvml is None:
            return
        with suppress(nvml.NVMLError):
            nvml.nvmlInit()
            self._cards = [
                nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())
            ]
            self._nvml = nvml

    def of(self, processes: Collection[int]) -> Gpu | None:
        """Return what the cards say on which one of the processes computes."""
        nvml = self._nvml
        if nvml is None:
            return None
        busy, held, joules = [], 0, 0.0
        known = True
        for card in self._cards:
            with suppress(nvml.NVMLError):
                own = [
                    each
                    for each in nvml.nvmlDeviceGetComputeRunningProcesses(card)
                    if each.pid in processes
                ]
                if not own:
                    continue
                busy.append(nvml.nvmlDeviceGetUtilizationRates(card).gpu / 100)
                held += sum(each.usedGpuMemory or 0 for each in own)
                try:
                    joules += nvml.nvmlDeviceGetTotalEnergyConsumption(card) / 1000
                except nvml.NVMLError:
                    known = False
        if not busy:
            return None
        return Gpu(sum(busy) / len(busy), held, joules if known else None)


def _installed(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError:
        return None
