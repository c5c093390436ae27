from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.program import Lab
from tests.loopback.server import LoopbackServer

QUESTIONS = (
    "question,expected,category\n"
    "What is 2 + 2?,4,arithmetic\n"
    "What is the capital of France?,Paris,facts\n"
    "What is 3 + 3?,6,arithmetic\n"
)


@pytest.fixture
def lab(mlflow_home: Path) -> Lab:
    """A home in which no provider but the guide works."""
    return Lab(mlflow_home)


@pytest.fixture
def connected(mlflow_home: Path, loopback: LoopbackServer) -> Lab:
    """A home whose every provider is the loopback server."""
    return Lab(mlflow_home, loopback.environment())


@pytest.fixture
def questions(mlflow_home: Path) -> Path:
    """Three questions with their answers."""
    file = mlflow_home / "questions.csv"
    file.write_text(QUESTIONS, encoding="utf-8")
    return file
