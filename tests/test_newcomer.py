"""The way of a newcomer: what CONTRIBUTING says is done in a copy of the project, and used.

Nothing is touched but what its blocks name: a file each, and a line of a table. So a table of the
same things in another room breaks these tests.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.known import known
from tests.warm import SITE

ROOT = Path(__file__).parents[1]
CODE = re.compile(r"^```(?:python)?\n# (a .*?)\n(.*?)^```", re.DOTALL | re.M)
NEW_FILE = re.compile(r"a new file: (\S+)")
LINE = re.compile(r"a line of (\w+) in (\S+)")

CSV = "question,answer\nWhat is it?,it\nWho is HE?,he\nWhere?,here\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What CONTRIBUTING says to do."""

    files: dict[str, str]
    lines: dict[str, tuple[str, str]]
    """By file, the table and the lines to add to it."""


def steps() -> Steps:
    files, lines = {}, {}
    for told, code in CODE.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8")):
        if new := NEW_FILE.fullmatch(told):
            files[new[1]] = code
        elif line := LINE.fullmatch(told):
            lines[line[2]] = (line[1], code)
    return Steps(files=files, lines=lines)


def with_line(source: str, table: str, added: str) -> str:
    """Return a module with a line more at the end of a table, its imports after the others."""
    imports = [line for line in added.splitlines() if line.startswith("from ")]
    entries = [line for line in added.splitlines() if line not in imports]
    body = ast.parse(source).body
    (value,) = [
        node.value
        for node in body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and table
        in {ast.unparse(t) for t in getattr(node, "targets", [getattr(node, "target", 0)])}
    ]
    table_node = next(n for n in ast.walk(known(value)) if isinstance(n, ast.Dict | ast.Tuple))
    end = known(table_node.end_lineno)
    last_import = max(known(node.end_lineno) for node in body if isinstance(node, ast.ImportFrom))
    text = source.splitlines()
    text[end - 1 : end - 1] = entries
    text[last_import:last_import] = imports
    return "\n".join(text) + "\n"


class Newcomer:
    """A copy of the project to which everything was added, and a home."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the program in the copy; it must end with 0."""
        done = subprocess.run(
            [sys.executable, str(self.folder / "main.py"), *arguments],
            cwd=self.home,
            env={
                **os.environ,
                "PYTHONPATH": f"{self.folder}{os.pathsep}{SITE}",
                "NO_PROXY": "127.0.0.1,localhost",
            },
            input="",
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=110,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("newcomer")
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "llmflowlab", folder / "llmflowlab", ignore=leave)
    for name in ("main.py", "benchmark.csv", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    told = steps()
    for name, code in told.files.items():
        file = folder / name
        assert not file.exists()
        if not file.parent.exists():
            file.parent.mkdir()
            (file.parent / "__init__.py").write_text('"""A family of its own."""\n', "utf-8")
        file.write_text(code, "utf-8")
    for name, (table, added) in told.lines.items():
        file = folder / name
        file.write_text(with_line(file.read_text("utf-8"), table, added), "utf-8")
    return folder


@pytest.fixture
def newcomer(copy: Path, mlflow_home: Path) -> Newcomer:
    return Newcomer(copy, mlflow_home)


def test_a_provider_a_scorer_a_sink_and_a_command_take_one_file_and_one_line_each():
    told = steps()
    assert [Path(name).parent.as_posix() for name in told.files] == [
        "llmflowlab/providers/echo",
        "llmflowlab/evaluation/scorers",
        "llmflowlab/tracking/sinks",
        "llmflowlab/cli",
    ]
    assert {name: table for name, (table, _) in told.lines.items()} == {
        "llmflowlab/providers/factory.py": "PROVIDERS",
        "llmflowlab/evaluation/scorers/kinds.py": "TEXT_KINDS",
        "llmflowlab/tracking/sinks/sink_table.py": "SINKS",
        "llmflowlab/cli/commands.py": "COMMANDS",
    }
    for _, added in told.lines.values():
        assert len([line for line in added.splitlines() if not line.startswith("from ")]) == 1


def test_the_new_provider_is_talked_with_and_listed_and_the_new_sink_has_the_session(
    newcomer: Newcomer,
):
    done = newcomer.run("chat", "--model", "echo", "--message", "hi there", "--json")
    (turn,) = json.loads(done.stdout)["turns"]
    assert (turn["answer"], turn["cost_usd"], turn["state"]) == ("HI THERE", 0, "complete")
    assert (newcomer.home / "diary.txt").read_text("utf-8") == "hi there\n"
    (kept,) = json.loads((newcomer.home / "artifacts" / "echo_artifacts.json").read_text("utf-8"))
    assert kept["answer"] == "HI THERE"

    listed = json.loads(newcomer.run("models", "--json").stdout)["models"]
    (echo,) = [model for model in listed if model["model"] == "echo:loud"]
    # A free provider had a price nowhere but in a list of names in another room.
    assert (echo["input_usd_per_million"], echo["output_usd_per_million"]) == (0, 0)
    assert (echo["default"], echo["context_window"]) == (True, 8_000)


def test_the_new_scorer_scores_the_new_provider_in_an_evaluation_that_mlflow_and_info_show(
    newcomer: Newcomer,
):
    (newcomer.home / "asked.csv").write_text(CSV, "utf-8")
    arguments = ("--model", "echo", "--scorer", "shouting", "--data", "asked.csv", "--json")
    document = json.loads(newcomer.run("evaluate", *arguments).stdout)
    (candidate,) = document["candidates"]
    assert (candidate["answered"], candidate["cost_usd"]) == (3, 0)
    score = candidate["scores"]["shouting"]
    assert (score["mean"], score["coverage"]) == (1.0, 1.0)
    # A scorer of yes and no has Wilson's interval: its kind was taken from its line.
    assert score["ci_low"] == pytest.approx(0.4385, abs=1e-4)
    assert document["candidates"][0]["run_id"]

    told = newcomer.run("info").stdout
    assert "echo:loud" in told
    assert "mean of shouting" in told
    assert "shouting" in newcomer.run("evaluate", "--model", "echo", "--scorer", "list").stdout


def test_the_new_command_is_run_and_in_the_help(newcomer: Newcomer):
    assert newcomer.run("greet", "--who", "newcomer").stdout == "Hello newcomer.\n"
    assert "say hello" in newcomer.run("--help").stdout


def test_the_new_files_keep_the_house_style(copy: Path):
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent))
    assert ruff is not None
    files = [str(copy / name) for name in steps().files]
    for check in (["format", "--check"], ["check"]):
        done = subprocess.run(
            [ruff, *check, "--no-cache", "--config", str(ROOT / "pyproject.toml"), *files],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
