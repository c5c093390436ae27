"""Heavy packages are imported one after the other, whichever threads want them.

Two threads that enter one package by different modules can wait for each other's import locks, which
Python ends with an error in one of them; MLflow, the SDKs and tiktoken share such packages. Only the
first import is guarded: what is loaded already costs a look at a dictionary.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["loading"]

_lock = threading.RLock()


@contextmanager
def loading(package: str) -> Iterator[None]:
    """Hold other heavy imports back while the block imports `package` for the first time."""
    # A module appears here as soon as its import begins, so it may be half loaded: its own import
    # lock is then what makes this thread wait, and package before module is the order to keep to.
    if package in sys.modules and not getattr(
        getattr(sys.modules[package], "__spec__", None), "_initializing", False
    ):
        yield
        return
    with _lock:
        yield
