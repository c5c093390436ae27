"""The name that was typed stands in every hint."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from llmflowlab import program
from llmflowlab.cli.commands import COMMANDS

ROOT = Path(program.__file__).parents[1]


@pytest.mark.parametrize(
    ("started", "typed", "name"),
    [
        pytest.param("main.py", "python3", "python3 main.py", id="doorbell"),
        pytest.param("/a b/main.py", "/v/python", "/v/python '/a b/main.py'", id="from-elsewhere"),
        pytest.param("/s/llmflowlab/__main__.py", "py", "py -m llmflowlab", id="module"),
        pytest.param("/nowhere/llmflowlab", "/v/python", "/nowhere/llmflowlab", id="not-on-path"),
        pytest.param("/v/bin/pytest", "python", "python main.py", id="somebody-else"),
    ],
)
def test_a_hint_has_what_was_typed(
    monkeypatch: pytest.MonkeyPatch, started: str, typed: str, name: str
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    monkeypatch.setattr(sys, "orig_argv", [typed, started])
    assert program.program_name() == name


@pytest.mark.skipif(sys.platform == "win32", reason="a script without a suffix is none there")
def test_a_script_that_is_on_the_path_is_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "llmflowlab"
    script.touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", [str(script)])
    assert program.program_name() == "llmflowlab"


def test_an_installation_that_nobody_named_is_called_by_its_script(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "checkout", lambda: None)
    assert program.program_name() == "llmflowlab"


def test_as_a_module_it_is_the_same_program() -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "llmflowlab", *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            encoding="utf-8",
        )
        return done.returncode, done.stderr

    code, said = run("evaluate", "--sample", "0")
    assert code == 2
    assert f"see `{sys.executable} -m llmflowlab evaluate --help`" in said


def test_no_sentence_spells_a_program_s_name_or_leaves_it_out() -> None:
    # A hint "`registry list` shows all" could not be pasted; docstrings and examples are no hints.
    words = "|".join(COMMANDS)
    bare = re.compile(
        rf"(?:python main\.py |(?:with|by|with:|on:|then:|`) ?)(?:{words}) [-{{A-Za-z]"
    )
    found = {
        f"{file.name}: {line.strip()}"
        for file in (ROOT / "llmflowlab").rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if bare.search(line) and not line.lstrip().startswith(("#", '"""')) and '"' in line
    }
    assert found == set()
