"""A crew of threads in place of Ray's processes: the same coordinator and workers, which can be cut off."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from llmflowlab.cluster.coordinator import Coordinator
from llmflowlab.cluster.crew import Job
from llmflowlab.cluster.event_log import EventLog
from llmflowlab.cluster.leases import ClusterStanding
from llmflowlab.cluster.storage import LocalStorage, Storage
from llmflowlab.cluster.worker import BuildBench, ShardMeans, ShardWorker
from llmflowlab.errors import LabError, TrackingError
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.workbench import EngineResources
from llmflowlab.providers.base import Provider
from llmflowlab.settings import Settings
from tests.evaluation.helpers import bench


class Cut:
    """A line that can be cut: everything behind it fails from then on, as if its process were gone."""

    def __init__(self, behind: Any, cut: threading.Event, lock: threading.RLock) -> None:
        self._behind, self._cut, self._lock = behind, cut, lock

    def __getattr__(self, name: str) -> Any:
        if not callable(found := getattr(self._behind, name)):
            return found

        def call(*values: Any, **named: Any) -> Any:
            if self._cut.is_set():
                raise TrackingError("cut off")
            with self._lock:
                # Looked up anew: what stands behind may be another by now.
                return getattr(self._behind, name)(*values, **named)

        return call


class ThreadCrew:
    """Workers as threads of this process.

    Args:
        build: Makes what a worker works with.
        each: Called with every finished row's worker, for tests that cut one off.
    """

    def __init__(self, build: BuildBench) -> None:
        self._build = build
        self._lock = threading.RLock()
        self._threads: list[tuple[threading.Thread, threading.Event, list[LabError]]] = []
        self.hired = 0
        self.ended = False

    def begin(self, job: Job) -> None:
        self.job = job
        self.storage = LocalStorage(Path(job.place))
        self.head = self.coordinator()
        for _ in range(job.workers):
            self.hire()

    def coordinator(self) -> Coordinator:
        return Coordinator(
            EventLog(self.storage, f"{self.job.stage.folder}/coordinator"), self.job.limits
        )

    def restart(self) -> None:
        """Kill the coordinator and begin another."""
        with self._lock:
            self.head = self.coordinator()

    def hire(self) -> None:
        self.hired += 1
        cut, failed = threading.Event(), list[LabError]()
        head: Any = Cut(_Latest(self), cut, self._lock)
        storage: Any = Cut(self.storage, cut, threading.RLock())
        worker = ShardWorker(
            f"worker-{self.hired}",
            storage,
            self.job.stage,
            self.job.described,
            self.job.limits,
            head,
            self._build,
        )

        def work() -> None:
            try:
                worker.work()
            except LabError as exc:
                failed.append(exc)

        thread = threading.Thread(target=work, daemon=True)
        self._threads.append((thread, cut, failed))
        thread.start()

    def kill(self, number: int) -> None:
        """Cut a worker off; its lease runs out at once, and another takes its place."""
        self._threads[number][1].set()
        with self._lock:
            self.head.gone(f"worker-{number + 1}")
        self.hire()

    def tend(self, seconds: float) -> bool:
        for thread, cut, failed in self._threads:
            if thread.is_alive() and not cut.is_set():
                thread.join(0.01)
            if failed and not cut.is_set():
                raise failed[0]
        return any(t.is_alive() and not cut.is_set() for t, cut, _ in self._threads)

    def standing(self, after: int) -> ClusterStanding | None:
        with self._lock:
            return self.head.standing(after)

    def stop(self) -> None:
        with self._lock:
            self.head.stop()

    def end(self) -> None:
        self.ended = True


class _Latest:
    """The coordinator of now."""

    def __init__(self, crew: ThreadCrew) -> None:
        self._crew = crew

    def __getattr__(self, name: str) -> Any:
        return getattr(self._crew.head, name)


def building(
    settings: Settings, providers: Callable[[], list[Provider]], **options: Any
) -> BuildBench:
    """Return what makes a worker's bench over these models."""

    def build(plan: EvaluationPlan, means: ShardMeans) -> EngineResources:
        return bench(
            settings,
            providers(),
            means.ledger,
            means.folder,
            budget=means.budget,
            limiter=means.limiter,
            **options,
        )

    return build


class NoRecorder:
    """In place of the recorder's process: notes what it is told, and finds everything stored."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.closed: list[dict[str, Any]] = []
        self.recorded = 0
        self.notes: list[str] = []

    def begin(self, evaluation: str) -> None:
        self.begun.append(evaluation)

    def wait_for_runs(self, seconds: float, tick: Callable[[], None]) -> Mapping[str, Any]:
        return {}

    def close(self, closing: dict[str, Any], tick: Callable[[], None], **_: Any) -> list[str]:
        self.closed.append(closing)
        return []

    def wait(self, tick: Callable[[], None]) -> list[str]:
        return []

    def abandon(self) -> None:
        """Nothing runs."""


class MemoryStorage:
    """Objects in memory, for tests of what is done with them."""

    place = "memory"

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def read(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def open(self, key: str) -> BinaryIO:
        raise NotImplementedError

    def write(self, key: str, data: bytes) -> None:
        self.objects[key] = data

    def create(self, key: str, data: bytes) -> bool:
        return self.objects.setdefault(key, data) is data

    def keys(self, folder: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(folder + "/"))

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self.objects.pop(key, None)


_: Storage = MemoryStorage()
