from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deployment.postgres import server_programs
from tests.stack.postgres import Cluster, cluster
from tests.stack.stores import STORES, needs, store


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    where = server_programs()
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    needs("playwright", "playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        there = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
        if there is None and not own.exists():
            pytest.skip("Chromium is not installed; run: apt-get install chromium")
        # In a container nobody but root is there, for whom Chromium's sandbox does not work.
        chromium = playwright.chromium.launch(executable_path=there, args=["--no-sandbox"])
        yield chromium
        chromium.close()
