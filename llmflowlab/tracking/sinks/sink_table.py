"""The sinks that every session is delivered to; another one is a line here and a file beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llmflowlab.settings import Settings
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.sinks.base import Sink
from llmflowlab.tracking.sinks.local_files import FilesSink
from llmflowlab.tracking.sinks.mlflow import MlflowSink
from llmflowlab.tracking.sinks.wandb import WandbSink

__all__ = ["SINKS", "Wiring", "make_sinks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What sinks are made from."""

    settings: Settings
    package: ModelPackage | None
    """What is registered after a session; None registers nothing."""
    on_notice: Callable[[str], None]


SINKS: Mapping[str, Callable[[Wiring], Sink]] = {
    "files": lambda wiring: FilesSink(wiring.settings, on_notice=wiring.on_notice),
    "mlflow": lambda wiring: MlflowSink(
        wiring.settings, package=wiring.package, on_notice=wiring.on_notice
    ),
    "wandb": lambda wiring: WandbSink(wiring.settings),
}
"""By name, in the order in which each is begun with. The name is also the sink's in the files of cursors."""
_CHOSEN = frozenset({"wandb"})
"""Those that are used only where the settings name them as trackers."""


def make_sinks(wiring: Wiring) -> list[Sink]:
    """Make all that are used."""
    trackers = wiring.settings.trackers
    return [make(wiring) for name, make in SINKS.items() if name in trackers or name not in _CHOSEN]
