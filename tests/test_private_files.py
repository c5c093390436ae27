"""What a home holds is its owner's alone."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from llmflowlab.files import write_atomically
from tests.warm import SITE

MAIN = Path(__file__).parents[1] / "main.py"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")


def run(home: Path, *arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, str(MAIN), *arguments],
        env={**os.environ, "LLMFLOWLAB_HOME": str(home), "PYTHONPATH": str(SITE)},
        capture_output=True,
        text=True,
        umask=0o022,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_files_and_folders_of_a_new_home_are_their_owner_s_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    run(home, "chat", "--model", "guide", "--message", "What is recall?", "--wait")
    asked = ("--model", "guide", "--sample", "5", "--scorer", "contains", "--wait")
    run(home, "evaluate", *asked)
    made = [home, *home.rglob("*")]
    assert {path.name for path in made} >= {"mlflow.db", "evaluations.db", "guide_artifacts.json"}
    open_ones = [
        f"{path.relative_to(tmp_path)}: {stat.filemode(path.stat().st_mode)}"
        for path in made
        # The lab's own code, which travels with a version, keeps the modes it has here.
        if path.stat().st_mode & 0o077 and (path.is_dir() or "/artifacts/code/" not in str(path))
    ]
    assert open_ones == []


def test_a_file_that_a_person_asked_for_is_readable_and_one_that_is_there_keeps_its_mode(
    tmp_path: Path,
) -> None:
    write_atomically(tmp_path / "sheet.csv", b"1", shared=True)
    write_atomically(tmp_path / "info.json", b"1")
    (tmp_path / "old.json").write_bytes(b"0")
    (tmp_path / "old.json").chmod(0o664)
    write_atomically(tmp_path / "old.json", b"1")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"sheet.csv": 0o644, "info.json": 0o600, "old.json": 0o664}
