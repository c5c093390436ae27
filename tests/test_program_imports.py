"""What lies in the current folder does not become part of the program or of what it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmflowlab.program import interpreted
from llmflowlab.settings import load_settings
from llmflowlab.tracking.store import child_environment
from tests.warm import SOURCE

ROOT = Path(__file__).parents[1]
NAMES = ("queue", "json", "runpy", "logging", "mlflow", "uvicorn", "pip")


@pytest.fixture
def trapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose files leave a mark where they are imported; it is the current one."""
    folder = tmp_path / "student"
    folder.mkdir()
    for name in NAMES:
        code = f"open({str(folder / 'ran')!r}, 'a').write({name!r})\nraise SystemExit(7)\n"
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(folder)
    # How programs begin is what is tried.
    monkeypatch.delenv(SOURCE, raising=False)
    return folder


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_trap_works(trapped: Path) -> None:
    done = subprocess.run([sys.executable, "-c", "import queue"], check=False)
    assert done.returncode == 7
    assert (trapped / "ran").exists()


def test_a_module_and_a_file_are_run_without_the_folder(trapped: Path, tmp_path: Path) -> None:
    run(interpreted("pip", "--version"))
    file = tmp_path / "program.py"
    file.write_text("import queue, sys, json\nprint(__name__, sys.argv[1:])\n", encoding="utf-8")
    assert run(interpreted(str(file), "a", "b")) == "__main__ ['a', 'b']\n"
    assert not (trapped / "ran").exists()


def test_the_program_its_recorder_and_its_deliverer(trapped: Path, mlflow_home: Path) -> None:
    # A student's queue.py was executed, and broke recording.
    environment = {
        **{name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"},
        "LLMFLOWLAB_HOME": str(mlflow_home),
    }
    asked = ("--model", "guide", "--sample", "5", "--scorer", "contains", "--wait")
    run([sys.executable, str(ROOT / "main.py"), "evaluate", *asked], environment)
    deliverer = interpreted("llmflowlab.lab.deliverer")
    settings = load_settings(environment, stdin_is_terminal=False)
    run(deliverer, child_environment(settings, with_lab=True))
    # `-m` with a package that is found elsewhere.
    installed = {**environment, "PYTHONPATH": str(ROOT)}
    run([sys.executable, "-m", "llmflowlab", "info"], installed)
    assert not (trapped / "ran").exists()


def test_a_store_that_was_named_from_the_current_folder_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for named, meant in (
        ("sqlite:///own.db", f"sqlite:///{tmp_path.as_posix()}/own.db"),
        ("sqlite:///own.db?timeout=3", f"sqlite:///{tmp_path.as_posix()}/own.db?timeout=3"),
        ("mlruns", str(tmp_path / "mlruns")),
        ("http://lab.example:5000", "http://lab.example:5000"),
        ("postgresql+psycopg2://me@lab.example/db", "postgresql+psycopg2://me@lab.example/db"),
        ("databricks", "databricks"),
    ):
        settings = load_settings(
            {"MLFLOW_TRACKING_URI": named}, cwd=tmp_path, stdin_is_terminal=False
        )
        assert child_environment(settings)["MLFLOW_TRACKING_URI"] == meant
