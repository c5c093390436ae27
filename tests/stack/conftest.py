from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.stack.postgres import Cluster, cluster, programs
from tests.stack.stores import STORES, store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    where = programs()
    if where is None:
        pytest.skip("PostgreSQL is not installed; run: apt-get install postgresql")
    with cluster(where) as running:
        yield running


@pytest.fixture(params=list(STORES))
def where(request: Any, tmp_path: Path, migrated_db: Path) -> Iterator[Mapping[str, str]]:
    """The variables that lead to a running store."""
    postgres = request.getfixturevalue("postgres") if STORES[request.param] else None
    shutil.copy(migrated_db, tmp_path / "mlflow.db")
    with store(request.param, tmp_path, postgres) as variables:
        yield variables
