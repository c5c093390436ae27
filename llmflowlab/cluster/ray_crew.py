"""A crew of Ray actors: one coordinator, which Ray starts anew when it is lost, and workers.

Ray's own retries are off: an error may arrive although the work was done and paid for. What is done again
is decided by the coordinator's log and the shards' journals.
"""

from __future__ import annotations

import platform
import secrets
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any, Literal, TypeAlias

import llmflowlab
from llmflowlab.cluster.coordinator import Coordinator
from llmflowlab.cluster.crew import Job
from llmflowlab.cluster.event_log import coordinator_log
from llmflowlab.cluster.leases import ClusterStanding, Lease, Money, Permits, UnderWay
from llmflowlab.cluster.permits import Head
from llmflowlab.cluster.storage import Storage, storage_at
from llmflowlab.cluster.worker import ShardWorker
from llmflowlab.errors import ConfigurationError, LabError, TrackingError

__all__ = ["MakeWorker", "RayCrew", "load_ray", "refuse_machine", "versions_here"]

MakeWorker: TypeAlias = "Callable[[Job, str, Storage, Head], ShardWorker]"
"""Makes a worker on its machine; is sent there, and so must be importable by name."""

_INSTALL = "python -m pip install 'llmflowlab[ray]'"
_REACHED = 10.0
"""Seconds in which a cluster's port is to answer."""
_UNREACHED = 120.0
"""Seconds for which a worker tries to reach a coordinator that is being started anew."""
_ANSWER = 60.0
"""Seconds that a coordinator may take to answer."""
_START = 300.0
"""Seconds in which a machine starts a first process and imports the lab, busy as it may be."""
_DEATHS = 5
"""Workers in a row that may be lost, for each that there is, without an answer more."""


def load_ray() -> ModuleType:
    """Return Ray.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        # Imported here: it takes a second, and most evaluations run without it.
        import ray as found
    except ImportError as exc:
        raise ConfigurationError(f"--runner ray needs Ray; install it with {_INSTALL}") from exc
    loaded: ModuleType = found
    return loaded


def versions_here() -> dict[str, str]:
    """Return what must be the same on all machines."""
    found = {
        "llmflowlab": llmflowlab.__version__,
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    for package in ("mlflow", "ray"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "missing"
    return found


class RayCrew:
    """Coordinator and workers on a Ray cluster.

    Args:
        address: Of the cluster, as `ray.init` takes it; None starts one on this machine.
        make: Makes a worker.
    """

    def __init__(self, address: str | None, make: MakeWorker) -> None:
        self._ray: Any = load_ray()
        self._address = None if address == "local" else address
        self._make = make
        self._job: Job | None = None
        self._head: Any = None
        self._working: dict[Any, tuple[str, Any]] = {}
        """Name and actor of the workers by what they will have said at their end."""
        self._deaths = 0
        self._came_to: object = None
        self._stopping = False
        self._connect()

    def _connect(self) -> None:
        address = self._address or "local"
        options = {} if self._address else {"include_dashboard": False}
        advice = (
            "start one with ray start --head, or name another with --ray-address."
            if self._address
            else "see what keeps Ray from starting with ray start --head."
        )
        try:
            _refuse_silence(address)
            if self._address:
                advice = (
                    "where it wants a token, set RAY_AUTH_MODE=token and bring its token to this machine (ray "
                    "get-auth-token says it)."
                )
            self._ray.init(
                address=address,
                namespace="llmflowlab",
                log_to_driver=False,
                logging_level="ERROR",
                **options,
            )
        except Exception as exc:
            # Ray raises what its clients raise, in many lines; version mismatches among it. What it says
            # after its first sentence is about options of its own.
            said = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
            words = " ".join(said.split()).split(". ")[0][:300]
            raise ConfigurationError(
                f"No Ray cluster can be used at {address} ({words}); {advice}"
            ) from exc
        # Ray prints what befalls workers to standard output, where `--json` has its one document; it has
        # no public switch for that.
        self._ray._private.worker._worker_logs_enabled = False

    @property
    def processors(self) -> int:
        """Processors of the cluster, one at least."""
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def begin(self, job: Job) -> None:
        self._job = job
        head = self._ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)(_HeadActor)
        self._head = head.remote(job)
        self._look(job)
        for _ in range(min(job.workers, job.stage.shards)):
            self._hire()

    def _look(self, job: Job) -> None:
        """Look at every machine before anything is paid there.

        Raises:
            ConfigurationError: One has other versions than the driver, or does not see the storage.
        """
        word = secrets.token_hex(8)
        storage_at(job.place).write(f"{job.stage.folder}/seen-by-all", word.encode())
        look = self._ray.remote(num_cpus=0, max_retries=0)(_look)
        affinity = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            name = node.get("NodeManagerHostname") or node["NodeManagerAddress"]
            here = look.options(scheduling_strategy=affinity(node["NodeID"], soft=False))
            try:
                there, seen = self._ray.get(
                    here.remote(job.place, job.stage.folder), timeout=_START
                )
            except self._ray.exceptions.GetTimeoutError as exc:
                raise ConfigurationError(
                    f"The worker machine {name} does not answer; see what keeps it busy (ray status), or take it "
                    "out of the cluster."
                ) from exc
            except Exception as exc:
                # Whatever a machine's Python says when it lacks the lab.
                last = str(exc).strip().splitlines()[-1][:200]
                raise ConfigurationError(
                    f"The worker machine {name} cannot run the lab ({last}); install llmflowlab[ray]=="
                    f"{llmflowlab.__version__} there."
                ) from exc
            refuse_machine(name, there, versions_here(), saw=seen == word, place=job.place)

    def _hire(self) -> None:
        assert self._job is not None
        actor = self._ray.remote(num_cpus=0, max_restarts=0, max_task_retries=0)(_WorkerActor)
        name = secrets.token_hex(6)
        worker = actor.options(scheduling_strategy="SPREAD").remote(
            self._job, name, self._head, self._make
        )
        self._working[worker.work.remote()] = (name, worker)

    def tend(self, seconds: float) -> bool:
        if not self._working:
            return False
        ended, _ = self._ray.wait(list(self._working), num_returns=1, timeout=seconds)
        for said in ended:
            name, _ = self._working.pop(said)
            try:
                failed = self._ray.get(said)
            except self._ray.exceptions.RayTaskError:
                raise
            except self._ray.exceptions.RayError as exc:
                # The worker, its node, or what it said are gone.
                self._replace(name, exc)
            else:
                if failed is not None:
                    error = _error(*failed)
                    if not isinstance(error, TrackingError):
                        raise error
                    # Storage that failed once may answer the next.
                    self._replace(name, error)
        return bool(self._working)

    def _replace(self, name: str, exc: Exception) -> None:
        assert self._job is not None
        # Where it cannot be told, its lease runs out by itself.
        with suppress(self._ray.exceptions.RayError):
            self._head.gone.remote(name)
        self._deaths += 1
        if self._deaths > _DEATHS * self._job.workers:
            last = str(exc).strip().splitlines()[-1][:200]
            raise TrackingError(
                f"{self._deaths} workers were lost one after another before any of them got further "
                f"({last}); what they paid for is kept for --resume."
            ) from exc
        if not self._stopping:
            self._hire()

    def standing(self, after: int) -> ClusterStanding | None:
        lost = (self._ray.exceptions.RayActorError, self._ray.exceptions.GetTimeoutError)
        try:
            found: ClusterStanding = self._ray.get(
                self._head.standing.remote(after), timeout=_ANSWER
            )
        except lost:
            return None
        come_to = (found.done, found.rows)
        if come_to != self._came_to and any(found.rows.values()):
            self._came_to, self._deaths = come_to, 0
        return found

    def stop(self) -> None:
        self._stopping = True
        with suppress(self._ray.exceptions.RayError):
            self._head.stop.remote()

    def end(self) -> None:
        self._working.clear()
        self._ray.shutdown()


def _refuse_silence(address: str) -> None:
    """Refuse an address at which nobody listens: Ray itself would try for a quarter of an hour.

    Raises:
        OSError: Nobody can be reached there.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACHED).close()


def refuse_machine(
    name: str, there: Mapping[str, str], here: Mapping[str, str], *, saw: bool, place: str
) -> None:
    """Refuse a machine that could not work as the driver does.

    Raises:
        ConfigurationError: Its versions differ, or it does not see the storage.
    """
    others = [
        f"{what} {there.get(what, 'missing')} (here {wanted})"
        for what, wanted in here.items()
        if there.get(what) != wanted
    ]
    if others:
        raise ConfigurationError(
            f"The worker machine {name} has {', '.join(others)}; install the same versions on all machines."
        )
    if not saw:
        raise ConfigurationError(
            f"The worker machine {name} does not see {place}; name --storage that every machine shares, such as "
            "a network folder or s3://bucket/folder."
        )


def _look(place: str, folder: str) -> tuple[dict[str, str], str | None]:
    """Return what a machine has, and what it reads where the driver wrote."""
    try:
        seen = storage_at(place).read(f"{folder}/seen-by-all")
    except LabError:
        seen = None
    return versions_here(), None if seen is None else seen.decode()


def _error(code: int, message: str) -> LabError:
    kinds = (ConfigurationError, TrackingError)
    return next((kind for kind in kinds if kind.exit_code == code), LabError)(message)


class _HeadActor(Coordinator):
    """The coordinator in a process of its own."""

    def __init__(self, job: Job) -> None:
        super().__init__(coordinator_log(storage_at(job.place), job.stage.folder), job.limits)


class _WorkerActor:
    """A worker in a process of its own."""

    def __init__(self, job: Job, name: str, head: Any, make: MakeWorker) -> None:
        self._make, self._job, self._name, self._head = make, job, name, head

    def work(self) -> tuple[int, str] | None:
        """Work until nothing is left; returns exit code and sentence of what went wrong."""
        try:
            storage = storage_at(self._job.place)
            self._make(self._job, self._name, storage, _RayHead(self._head)).work()
        except LabError as exc:
            return int(exc.exit_code), f"A worker on {platform.node()} cannot go on: {exc.message}"
        return None


class _RayHead:
    """The coordinator from a worker: asked again while it is being started anew."""

    def __init__(self, actor: Any) -> None:
        self._ray: Any = load_ray()
        self._actor = actor

    def lease(self, worker: str) -> Lease | Literal["wait", "none"]:
        found: Lease | Literal["wait", "none"] = self._ask("lease", worker)
        return found

    def beat(self, token: int, under_way: Mapping[int, UnderWay]) -> Literal["on", "stop", "lost"]:
        said: Literal["on", "stop", "lost"] = self._ask("beat", token, dict(under_way))
        return said

    def commit(self, token: int, key: str, spent: Decimal, *, whole: bool) -> bool:
        return bool(self._ask("commit", token, key, spent, whole=whole))

    def leave(self, token: int, spent: Decimal) -> None:
        self._ask("leave", token, spent)

    def money(self, token: int, spent: Decimal, reserved: Decimal, need: Decimal) -> Money:
        found: Money = self._ask("money", token, spent, reserved, need)
        return found

    def permits(self, provider: str, wanted: int, tokens: int) -> Permits:
        found: Permits = self._ask("permits", provider, wanted, tokens)
        return found

    def _ask(self, method: str, *values: Any, **named: Any) -> Any:
        until = time.monotonic() + _UNREACHED
        while True:
            try:
                asked = getattr(self._actor, method).remote(*values, **named)
                return self._ray.get(asked, timeout=_ANSWER)
            except self._ray.exceptions.RayTaskError:
                raise
            except self._ray.exceptions.RayError as exc:
                if time.monotonic() > until:
                    raise TrackingError(
                        "The coordinator of the evaluation cannot be reached."
                    ) from exc
                time.sleep(0.3)
