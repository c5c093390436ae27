from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.settings import Settings
from llmflowlab.tracking.store import Store, open_store
from tests.tracking.helpers import settings_for


@pytest.fixture
def settings(mlflow_home: Path) -> Settings:
    return settings_for(mlflow_home)


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)
