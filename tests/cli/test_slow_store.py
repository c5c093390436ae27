from __future__ import annotations

from pathlib import Path

import pytest

from llmflowlab.cli import context
from llmflowlab.settings import load_settings
from tests.cli.fakes import FakeApp


class SlowDelivery:
    """Takes longer than is waited for quietly."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        return False


@pytest.mark.parametrize(
    ("uri", "quiet", "waits"),
    [
        pytest.param("http://127.0.0.1:9", 0.0, 2, id="a slow server"),
        pytest.param("http://127.0.0.1:9", 60.0, 1, id="a server that failed at once"),
        pytest.param(None, 0.0, 1, id="a file"),
    ],
)
def test_whoever_waits_for_a_slow_server_is_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    uri: str | None,
    quiet: float,
    waits: int,
) -> None:
    given = {"MLFLOW_TRACKING_URI": uri} if uri else {}
    settings = load_settings(
        {**given, "LLMFLOWLAB_DELIVERY_TIMEOUT": "90"}, cwd=tmp_path, stdin_is_terminal=False
    )
    app, slow = FakeApp(settings), SlowDelivery()
    monkeypatch.setattr(context, "_QUIET", quiet)
    monkeypatch.setattr(type(app.lab), "delivery", slow)
    app.wait_for_delivery()
    assert len(slow.waited) == waits
    said = capsys.readouterr().err
    if waits == 2:
        assert sum(slow.waited) == 90
        assert said == (
            "MLflow at http://127.0.0.1:9 is slow; waiting for it, up to 90 s in all ...\n"
        )
    else:
        assert said == ""
