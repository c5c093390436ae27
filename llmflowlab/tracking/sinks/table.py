"""The sinks there are, by name; another one is a line here and a file beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from llmflowlab.settings import Settings
from llmflowlab.tracking.model_package import ModelPackage
from llmflowlab.tracking.sinks.base import Sink
from llmflowlab.tracking.sinks.files import FilesSink
from llmflowlab.tracking.sinks.mlflow import MlflowSink

__all__ = ["DEFAULT", "SINKS", "Wiring", "make_sinks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """What sinks are made from."""

    settings: Settings
    package: ModelPackage | None
    """What is registered after a session; None registers nothing."""
    on_notice: Callable[[str], None]


SINKS: Mapping[str, Callable[[Wiring], Sink]] = {
    "files": lambda wiring: FilesSink(wiring.settings, on_notice=wiring.on_notice),
    "mlflow": lambda wiring: MlflowSink(wiring.settings, package=wiring.package),
}
DEFAULT = ("files", "mlflow")
"""The files are always there; what else follows is a choice."""


def make_sinks(wiring: Wiring, names: Sequence[str] = DEFAULT) -> list[Sink]:
    """Make the sinks of these names."""
    return [SINKS[name](wiring) for name in names]
