"""The wheel: what it holds, and the program that comes out of it, away from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from llmflowlab import __version__
from llmflowlab.data.dataset import load_dataset
from llmflowlab.evaluation.judging.judge_kinds import SUPPORT_JUDGES
from tests.patience import PATIENCE

pytest.importorskip("hatchling", reason="requirements-dev.txt is not installed as it stands")

ROOT = Path(__file__).parents[1]
BENCHMARK = "llmflowlab/data/benchmark.csv"
# Only what is here: no index is asked for anything.
OFFLINE = ("--no-index", "--no-deps", "--disable-pip-version-check", "--quiet")


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", str(ROOT), "--no-build-isolation", "--wheel-dir", str(folder), *OFFLINE)
    (built,) = folder.glob("*.whl")
    assert built.name == f"llmflowlab-{__version__}-py3-none-any.whl"
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Path:
    folder = wheel.with_name("packages")
    pip("install", str(wheel), "--target", str(folder), *OFFLINE)
    return folder


def test_it_holds_every_file_of_the_package_the_benchmark_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        benchmark = archive.read(BENCHMARK)
    there = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "llmflowlab").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert names == there | {BENCHMARK}
    # One text of it: what is carried is the checkout's own file, and there is no second one.
    assert benchmark == (ROOT / "benchmark.csv").read_bytes()
    assert BENCHMARK not in there


def run(installed: Path, folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "llmflowlab", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(installed), "OPENAI_API_KEY": "none-is-called"},
        input="",
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_it_installs_runs_in_an_empty_folder_and_leaves_nothing_there(
    installed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    assert run(installed, folder, "--version") == f"LLMFlowLab {__version__}\n"
    assert list(folder.iterdir()) == []


def test_what_it_installs_has_its_benchmark_and_its_judges(installed: Path, tmp_path: Path) -> None:
    shown = run(
        *(installed, tmp_path, "evaluate", "--model", "guide", "--judge", "openai:gpt-4.1-mini"),
        *(word for kind in SUPPORT_JUDGES for word in ("--scorer", kind.name)),
        *("--dry-run", "--json"),
    )
    document = json.loads(shown)
    assert document["dataset"]["rows"] == len(load_dataset(ROOT / "benchmark.csv").rows)
    assert document["scorers"] == [kind.name for kind in SUPPORT_JUDGES]
    assert document["calls"]["judge"] > document["dataset"]["rows"]
