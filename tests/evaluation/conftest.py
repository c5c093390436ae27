from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.settings import Settings, load_settings


@pytest.fixture
def home(mlflow_home: Path) -> Settings:
    return load_settings({}, cwd=mlflow_home, stdin_is_terminal=False)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "evaluations.db")
    yield opened
    opened.close()
