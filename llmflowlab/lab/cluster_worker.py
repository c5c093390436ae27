"""What a worker of a cluster works with: the lab on its own machine, with its own keys.

No key travels: each machine has its own in its environment or `.env`. What travels is how the driver's
lab behaves, addresses that the machine has none of its own for, and the person's prices.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llmflowlab.cluster.crew import Job
from llmflowlab.cluster.permits import Head
from llmflowlab.cluster.storage import Storage
from llmflowlab.cluster.worker import ShardMeans, ShardWorker
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.workbench import EngineResources
from llmflowlab.lab.evaluation_bench import bench_of
from llmflowlab.lab.lab import Lab
from llmflowlab.providers.base import Provider
from llmflowlab.serving.trust import TRUST, is_trusted
from llmflowlab.settings import Settings, load_settings

__all__ = ["Travelling", "WorkerBench", "make_worker", "travelling"]

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL|DATABASE", re.IGNORECASE)
_ADDRESSES = (
    *("OLLAMA_HOST", "OPENAI_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "ANTHROPIC_BASE_URL"),
    *("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "MLFLOW_TRACKING_URI"),
)


@dataclass(frozen=True, slots=True)
class Travelling:
    """What a worker is told of the driver's settings; nothing of it is secret."""

    behaviour: Mapping[str, str]
    """Variables of ours; the driver's win."""
    addresses: Mapping[str, str]
    """Variables of vendors; the machine's own win."""
    prices: str | None
    """The person's price file."""
    models: Path
    """Where models for provider `local` are, where the machine has the same folder."""


def travelling(settings: Settings) -> Travelling:
    """Return what of the settings may leave this machine."""
    variables = settings.environment
    ours = {
        name: value
        for name, value in variables.items()
        if name.startswith("LLMFLOWLAB_")
        and not _SECRET.search(name)
        and name not in {"LLMFLOWLAB_HOME", "LLMFLOWLAB_PRICES"}
    }
    # An address may hold a password.
    theirs = {n: variables[n] for n in _ADDRESSES if n in variables and "@" not in variables[n]}
    if "@" not in settings.tracking_uri:
        # Of the home, where nobody named another: workers of this machine ask the same registry.
        theirs.setdefault("MLFLOW_TRACKING_URI", settings.tracking_uri)
        if is_trusted(settings):
            theirs[TRUST] = settings.tracking_uri
    prices = None
    with suppress(OSError):
        prices = settings.prices_file.read_text("utf-8")
    return Travelling(ours, theirs, prices, settings.models_dir)


def make_worker(told: Travelling, job: Job, name: str, storage: Storage, head: Head) -> ShardWorker:
    """Make a worker of this machine.

    Raises:
        InputError: A setting cannot be used.
    """
    bench = WorkerBench(told)
    return ShardWorker(name, storage, job.stage, job.described, job.limits, head, bench)


class WorkerBench:
    """Makes what the engine works with; models are made once.

    Args:
        told: What the driver said of its settings.
        build: As of `Lab`.
    """

    def __init__(self, told: Travelling, *, build: Callable[[str], Provider] | None = None) -> None:
        folder = Path(tempfile.mkdtemp(prefix="llmflowlab-worker-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        own = load_settings(stdin_is_terminal=False).environment
        merged = {**told.addresses, **own, **told.behaviour, "LLMFLOWLAB_HOME": str(folder)}
        merged.pop("LLMFLOWLAB_PRICES", None)
        if told.prices is not None:
            (folder / "prices.json").write_text(told.prices, encoding="utf-8")
        if told.models.is_dir():
            with suppress(OSError):
                (folder / "models").symlink_to(told.models)
        self.settings = load_settings(merged, cwd=folder, stdin_is_terminal=False)
        self._models: dict[str, Provider] = {}
        self._lab = Lab(self.settings, build=build)

    def __call__(self, plan: EvaluationPlan, means: ShardMeans) -> EngineResources:
        lab = self._lab.paced(means.limiter, self._model)
        return bench_of(
            lab,
            plan,
            means.ledger,
            budget=means.budget,
            concurrency=means.concurrency,
            output=means.folder,
        )

    def _model(self, reference: str) -> Provider:
        if reference not in self._models:
            self._models[reference] = self._lab.provider(reference)
        return self._models[reference]
