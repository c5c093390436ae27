from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.program import Lab, outside
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
def nobody_else() -> Iterator[dict[str, str]]:
    """Variables that lead every call to another machine to a door where somebody keeps watch."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        yield outside(address)
        door.setblocking(False)
        # tiktoken fetches its encodings from there, in the background and at most once.
        expected = "CONNECT openaipublic.blob.core.windows.net"
        assert [call for call in _callers(door) if not call.startswith(expected)] == []


def _callers(door: socket.socket) -> Iterator[str]:
    while True:
        try:
            caller, _ = door.accept()
        except BlockingIOError:
            return
        with caller:
            caller.settimeout(1)
            yield caller.recv(200).decode("latin-1")


@pytest.fixture
def questions(mlflow_home: Path) -> Path:
    """Three questions with their answers."""
    file = mlflow_home / "questions.csv"
    file.write_text(QUESTIONS, encoding="utf-8")
    return file
