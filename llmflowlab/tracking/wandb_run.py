"""A run for Weights & Biases, whole: what it says, and a process of its own that writes it.

In its own process, because the package starts another one, takes the standard streams and what ends a
program into its hands, and may wait for its server for long. A run has an id of ours and is always written
from its beginning: written again it changes nothing.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import ConfigurationError, InputError, TrackingError
from llmflowlab.program import interpreted
from llmflowlab.settings import Settings
from llmflowlab.tracking.store import child_environment
from llmflowlab.tracking.store_errors import StoreUnreachable

__all__ = [
    "WandbChart",
    "WandbRun",
    "WandbStep",
    "WandbTable",
    "require_wandb",
    "wandb_folder",
    "wandb_installed",
    "write_wandb_run",
]

_INSTALL = 'pip install "llmflowlab[wandb]"'
_MODES = ("online", "offline", "disabled")
_PROJECT = "llmflowlab"
_PATIENCE = 900.0
"""Seconds that a run may take to be written, uploads included."""

State: TypeAlias = Literal["finished", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbStep:
    """Metrics of one moment."""

    step: int
    at_ms: int
    """Milliseconds since the epoch."""
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbTable:
    """A table; None is unknown."""

    name: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbChart:
    """Bars over a table's rows."""

    name: str
    table: str
    label: str
    value: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WandbRun:
    """A run."""

    id: str
    name: str
    group: str
    kind: Literal["chat", "evaluation"]
    config: Mapping[str, Any]
    summary: Mapping[str, float]
    steps: Sequence[WandbStep] = ()
    tables: Sequence[WandbTable] = ()
    charts: Sequence[WandbChart] = ()
    notes: str = ""
    state: State = "finished"
    started_ms: int | None = None
    tags: Sequence[str] = field(default=())


def wandb_installed() -> bool:
    """Whether the package is there; a folder of its name, as it makes them, is none."""
    try:
        version("wandb")
    except PackageNotFoundError:
        return False
    return True


def require_wandb(settings: Settings) -> None:
    """Find out before anything is begun whether the trackers that were chosen can be used.

    Raises:
        ConfigurationError: Weights & Biases was chosen and is not installed.
        InputError: `WANDB_MODE` is none that there is.
    """
    if "wandb" not in settings.trackers:
        return
    if (mode := settings.get("WANDB_MODE") or "online") not in _MODES:
        raise InputError(
            f"WANDB_MODE is {mode!r}; set it to {', '.join(_MODES[:-1])} or {_MODES[-1]}."
        )
    if not wandb_installed():
        raise ConfigurationError(
            f"LLMFLOWLAB_TRACKERS names wandb, which is not installed; run: {_INSTALL}"
        )


def wandb_folder(settings: Settings) -> Path:
    """Return where its runs lie on this machine: in `WANDB_DIR`, or among the home's own files."""
    named = settings.get("WANDB_DIR")
    return (settings.state_dir if named is None else Path(named).expanduser()) / "wandb"


def write_wandb_run(settings: Settings, run: WandbRun, *, patience: float = _PATIENCE) -> None:
    """Write a run; whatever of it is there already is replaced or stays.

    Args:
        settings: Name the home; its environment has `WANDB_*`.
        run: The run.
        patience: Seconds it may take.

    Raises:
        StoreUnreachable: Its server does not answer, or there is no key for it; nothing else fares better.
        TrackingError: It failed.
    """
    folder = wandb_folder(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    environment = child_environment(settings, with_lab=True)
    # Its tables wait there for `wandb sync`; in the home as all else, unless somebody says otherwise.
    environment.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    environment.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    project = settings.get("WANDB_PROJECT") or _PROJECT
    order = {"folder": str(folder), "project": project, "run": asdict(run)}
    try:
        ended = subprocess.run(
            interpreted("llmflowlab.tracking.wandb_writer"),
            input=json.dumps(order).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env=environment,
            timeout=patience,
            check=False,
        )
        said = json.loads(ended.stdout.splitlines()[-1])
    except subprocess.TimeoutExpired as exc:
        raise StoreUnreachable("Weights & Biases does not answer in time.") from exc
    except (IndexError, ValueError) as exc:
        raise TrackingError("Weights & Biases ended without a word.") from exc
    if said["error"] is not None:
        failed = StoreUnreachable if said["unreachable"] else TrackingError
        raise failed(said["error"])
