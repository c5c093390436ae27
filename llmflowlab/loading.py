"""The one door for heavy packages: SDKs, HTTP clients, MLflow, tokenizers.

Two threads that enter one package by different modules can wait for each other's import locks; Python
ends that by handing one of them a module that is half made ("partially initialized module"). The SDKs
share packages, so that threads which load different ones meet as well. Here they go in one after the
other, and what comes out is finished: nobody looks into `sys.modules`, where a module stands as soon
as its import begins.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from types import ModuleType

__all__ = ["is_loaded", "load", "missing"]

_lock = threading.RLock()
# Only modules whose import has ended; read without the lock.
_finished: dict[str, ModuleType] = {}


def load(name: str, *parts: str) -> ModuleType:
    """Import a package, and modules that it would itself import later; return the package, finished.

    A first import waits for those of other threads; later ones cost a look at a dictionary. Call it
    when something is used, never while a module is being imported: a thread that holds an import lock
    must not wait here.

    Args:
        name: The package, as in `google.genai`.
        parts: Further modules, by their full names: SDKs import their resources at their first use,
            which would be outside this door.

    Raises:
        ImportError: It is not installed.
    """
    wanted = (name, *parts)
    if any(each not in _finished for each in wanted):
        with _lock:
            for each in wanted:
                _finished[each] = import_module(each)
    return _finished[name]


def is_loaded(name: str) -> bool:
    """Tell whether `load` has brought a package in, which costs a look at a dictionary."""
    return name in _finished


@contextmanager
def missing(*packages: str) -> Iterator[None]:
    """Have this thread import as where some packages are not installed; other threads find them.

    For a package that loads others which it can do without: what is imported so lacks what they are for
    until the process ends.
    """
    finder = _Missing(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Missing(MetaPathFinder):
    def __init__(self, packages: Sequence[str]) -> None:
        self._packages = frozenset(packages)
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        if threading.get_ident() == self._thread and fullname.partition(".")[0] in self._packages:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
