from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llmflowlab.settings import Settings
from llmflowlab.tracking.delivery import Delivery
from llmflowlab.tracking.model_package import ModelPackage
from tests.tracking.helpers import settings_for

MakeDelivery = Callable[..., Delivery]


@pytest.fixture
def lab(mlflow_home: Path) -> Settings:
    """Settings of a home with a migrated store."""
    return settings_for(mlflow_home)


@pytest.fixture
def notices() -> list[str]:
    return []


@pytest.fixture
def deliver(lab: Settings, notices: list[str]) -> Iterator[MakeDelivery]:
    """Make and start a delivery; all are stopped in the end."""
    made: list[Delivery] = []

    def make(settings: Settings = lab, *, package: ModelPackage | None = None) -> Delivery:
        delivery = Delivery(settings, package=package, on_notice=notices.append)
        made.append(delivery)
        delivery.start()
        return delivery

    yield make
    for delivery in made:
        delivery.stop()


@pytest.fixture
def package(tmp_path: Path) -> ModelPackage:
    """A package small enough for tests that register often."""
    code = tmp_path / "small" / "small_agent.py"
    code.parent.mkdir()
    code.write_text("# a model\n", encoding="utf-8")
    library = tmp_path / "small" / "smalllib"
    library.mkdir()
    (library / "__init__.py").write_text("", encoding="utf-8")
    return ModelPackage(code_path=code, package_path=library, requirements=("mlflow",))
