"""Modules under the names that 0.1.0 gave them, for the agents that it registered.

A registered version holds its agent's file for good. Loaded inside the lab, or where the package is
installed by name, that file imports from the running package, which has moved some of its modules since.
The names that agents import are kept here; nothing else of the package is promised to them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install"]

_MOVED = {
    "llmflowlab.providers.attempt": "llmflowlab.asking.attempt",
    "llmflowlab.providers.calling": "llmflowlab.asking.calling",
    "llmflowlab.providers.conversations": "llmflowlab.conversations",
    "llmflowlab.providers.pacing": "llmflowlab.asking.pacing",
    "llmflowlab.providers.pump": "llmflowlab.asking.pump",
}
"""Each module's name in 0.1.0 and its name today."""


class _Moved(MetaPathFinder, Loader):
    """Finds a module by its old name, and fills it with what the one of today holds."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in _MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        today = vars(import_module(_MOVED[module.__name__]))
        vars(module).update({k: v for k, v in today.items() if not k.startswith("__")})


def install() -> None:
    """Let the old names be imported in this process; doing it again changes nothing."""
    if not any(isinstance(finder, _Moved) for finder in sys.meta_path):
        sys.meta_path.append(_Moved())
