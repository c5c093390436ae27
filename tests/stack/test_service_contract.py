"""The service against its own OpenAPI document, as schemathesis reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmflowlab.providers.scripted import ScriptedProvider
from llmflowlab.settings import Settings
from tests.service.running import running

pytest.importorskip("schemathesis")


def test_what_is_documented_is_what_happens(settings: Settings, tmp_path: Path) -> None:
    with running(settings, ScriptedProvider(default="Yes.")) as service:
        done = subprocess.run(
            [
                *(str(Path(sys.executable).with_name("schemathesis")), "run"),
                f"{service.url}/openapi.json",
                *("--max-examples", "25", "--generation-deterministic", "--no-color"),
                # Which scorers there are, and what their options may be, is more than a schema says.
                *("--exclude-checks", "positive_data_acceptance"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-8000:]
