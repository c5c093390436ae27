"""The chat page from the command line, as far as it goes without Chainlit."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from llmflowlab import cli
from llmflowlab.page import page_process


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments", [["serve", "--model", "guide:docs", "--page"], ["serve", "page"]]
)
def test_without_chainlit_the_command_that_installs_it_is_said(
    home: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.setattr(page_process, "chainlit_is_there", lambda: False)
    assert cli.main(arguments) == 3
    said = capfd.readouterr().err.strip()
    assert said.endswith('-m pip install "chainlit>=2.9.4,<3"')
    assert len(said.splitlines()) == 1
    assert not (home / ".llmflowlab" / "page").exists()


def test_an_address_that_is_none_is_refused(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "page", "--service", "somewhere"]) == 2
    assert "http://127.0.0.1:8000" in capfd.readouterr().err


def test_the_command_that_is_said_is_the_extra() -> None:
    pyproject = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'ui = ["chainlit>=2.9.4,<3"]' in pyproject
    assert find_spec("llmflowlab.page.page_server") is not None
