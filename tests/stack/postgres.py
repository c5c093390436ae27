"""A PostgreSQL cluster in a folder of its own, for as long as the tests need it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deployment import postgres

__all__ = ["Cluster", "cluster"]


class Cluster:
    """Makes databases on a running cluster."""

    def __init__(self, running: postgres.Cluster) -> None:
        self._running = running
        self._made = 0

    def database(self) -> str:
        """Make a database; returns its address behind `postgresql`, from the colon on."""
        self._made += 1
        return self._running.database(f"store_{self._made}")


@contextmanager
def cluster(programs: Path) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="llmflowlab-pg-"))
    try:
        with postgres.running_cluster(programs, folder, lasting=False) as running:
            yield Cluster(running)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
