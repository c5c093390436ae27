"""Other programs that evaluate, each in its own idiom: same rows, same server, same concurrency.

They are looked for by an environment variable, then on PATH, and never installed from here.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Timing, timed

PROMPTFOO_CONFIG = """\
prompts: ['{{question}}']
providers:
  - id: openai:chat:bench
    config: {apiBaseUrl: 'URL'}
tests: file://DATA
defaultTest:
"""
PROMPTFOO_CONTAINS = """\
  assert: [{type: contains, value: '{{answer}}'}]
"""
PROMPTFOO_RUBRIC = """\
  options:
    provider: {id: openai:chat:judge, config: {apiBaseUrl: 'URL'}}
  assert: [{type: llm-rubric, value: 'The answer is {{answer}}'}]
"""

INSPECT_TASK = """\
from inspect_ai import Task, task
from inspect_ai.dataset import FieldSpec, csv_dataset
from inspect_ai.model import get_model
from inspect_ai.scorer import includes, model_graded_qa

@task
def bench():
    rows = csv_dataset("DATA", FieldSpec(input="question", target="answer"))
    return Task(dataset=rows, scorer=SCORER)
"""
INSPECT_INCLUDES = "includes()"
# Chat completions, as everybody else here: `openai/` means the Responses API otherwise.
INSPECT_GRADED = 'model_graded_qa(model=get_model("openai/judge", responses_api=False))'


@dataclass(frozen=True, slots=True)
class Contest:
    """What every program is given."""

    folder: Path
    """Where a program may write; its home too."""
    data: Path
    url: str
    rows: int
    concurrency: int
    judged: bool = False


@dataclass(frozen=True, slots=True)
class Peer:
    """A program beside this one."""

    name: str
    variable: str
    """Names the program where it is not on PATH."""
    install: str
    arguments: Callable[[Contest], list[str]]
    """Writes the configuration that it wants, and returns the command line after its name."""
    all_right: Callable[[Contest], str]
    """What it prints where every answer was found right."""
    environment: Callable[[Path], dict[str, str]]

    def program(self) -> str | None:
        """Return where the program is, or None where it is not installed."""
        return shutil.which(os.environ.get(self.variable) or self.name.removesuffix("_ai"))

    def version(self) -> str | None:
        """Return what it says that it is; None where it is not installed."""
        program = self.program()
        if program is None:
            return None
        with tempfile.TemporaryDirectory() as folder:
            env = {"PATH": _path(program), "HOME": folder, **self.environment(Path(folder))}
            said = timed([program, "--version"], env).output
        found = re.findall(r"^\d+\.\d+\S*$", said, re.M)
        return str(found[-1]) if found else "unknown"

    def run(self, contest: Contest, env: dict[str, str]) -> Timing | None:
        """Run a contest as a whole process; None where it is not installed.

        Raises:
            AssertionError: It failed, or found an answer wrong.
        """
        program = self.program()
        if program is None:
            return None
        contest.folder.mkdir(parents=True, exist_ok=True)
        own = {
            **env,
            **self.environment(contest.folder),
            "HOME": str(contest.folder),
            "PATH": _path(program),
        }
        timing = timed([program, *self.arguments(contest)], own, cwd=contest.folder)
        said = [line.strip() for line in timing.output.strip().splitlines()] or ["nothing"]
        told = next((line for line in reversed(said) if "Error" in line), said[-1])
        assert timing.code == 0, f"{self.name} ended with {timing.code}: {told}"
        assert self.all_right(contest) in timing.output, f"{self.name} found answers wrong: {told}"
        return timing


def _path(program: str) -> str:
    """Return PATH with the program's own folder first, where its interpreter may be."""
    return os.pathsep.join([str(Path(program).parent), os.environ.get("PATH", os.defpath)])


def _promptfoo(contest: Contest) -> list[str]:
    text = PROMPTFOO_CONFIG + (PROMPTFOO_RUBRIC if contest.judged else PROMPTFOO_CONTAINS)
    file = contest.folder / "promptfooconfig.yaml"
    file.write_text(text.replace("URL", contest.url).replace("DATA", str(contest.data)), "utf-8")
    return [
        *("eval", "--config", str(file), "--max-concurrency", str(contest.concurrency)),
        *("--no-cache", "--no-table", "--no-progress-bar"),
    ]


def _inspect(contest: Contest) -> list[str]:
    scorer = INSPECT_GRADED if contest.judged else INSPECT_INCLUDES
    file = contest.folder / "bench.py"
    file.write_text(
        INSPECT_TASK.replace("SCORER", scorer).replace("DATA", str(contest.data)), "utf-8"
    )
    return [
        *("eval", file.name, "--model", "openai/bench", "-M", "responses_api=false"),
        *("--max-connections", str(contest.concurrency), "--display", "plain"),
        *("--log-dir", str(contest.folder / "logs")),
    ]


PEERS = (
    Peer(
        "promptfoo",
        "PROMPTFOO",
        "npm install promptfoo, in a folder of its own",
        _promptfoo,
        lambda contest: f"{contest.rows:,} passed (100%)",
        lambda folder: {
            "PROMPTFOO_CONFIG_DIR": str(folder / "promptfoo"),
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
            "PROMPTFOO_DISABLE_REMOTE_GENERATION": "true",
            "PROMPTFOO_DISABLE_SHARING": "true",
            # With 200 rows its log files make it end with "write after end", everything done.
            "PROMPTFOO_DISABLE_DEBUG_LOG": "1",
            "PROMPTFOO_DISABLE_ERROR_LOG": "1",
        },
    ),
    Peer(
        "inspect_ai",
        "INSPECT",
        "pip install inspect-ai openai, in an environment of its own",
        _inspect,
        lambda contest: "1.000",
        lambda folder: {"XDG_DATA_HOME": str(folder), "XDG_CACHE_HOME": str(folder)},
    ),
)
