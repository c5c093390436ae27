"""What the measuring programs share: a server, a home whose store is made, the ideal, and the lab's evaluation."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import ROOT, Timing, timed

CONCURRENCY = 50


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, and a home of its own whose store is made."""

    url: str
    home: Path
    env: dict[str, str]

    def evaluate(self, rows: int, *, provider: str = "openai", judged: bool = False) -> Timing:
        """Run the lab's own evaluation as a whole process.

        Raises:
            AssertionError: It failed.
        """
        scorer = ("correctness", "--judge", "openai:judge") if judged else ("exact_match",)
        command = [
            *(sys.executable, "main.py", "evaluate", "--model", "openai:bench"),
            *("--data", str(questions(self.home, rows)), "--concurrency", str(CONCURRENCY)),
            *("--harness", "fast", "--output", str(self.home / "out"), "--json"),
            *("--scorer", *scorer),
        ]
        return _well(timed(command, self.env))

    def bare_loop(self, rows: int, *, judged: bool = False) -> Timing:
        """Run the ideal, start of the interpreter included."""
        numbers = (str(rows), str(CONCURRENCY), str(int(judged)))
        return _well(timed([sys.executable, "-c", BARE_LOOP, self.url, *numbers], self.env))


def _well(timing: Timing) -> Timing:
    assert timing.code == 0, timing.output[-2000:]
    return timing


@contextmanager
def bench(*options: str) -> Iterator[Bench]:
    """Yield a home and a server that is told these options."""
    with tempfile.TemporaryDirectory() as folder, server(*options) as url:
        home = Path(folder)
        env = environment(home, url)
        migrated(home)
        yield Bench(url, home, env)


@contextmanager
def server(*options: str) -> Iterator[str]:
    """Run the model server; yields its base URL."""
    command = [sys.executable, "-m", "benchmarks.server", *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def counts(base_url: str) -> dict[str, int]:
    """Ask the server how many requests it saw, and when by the monotonic clock it last answered."""
    url = base_url.removesuffix("/v1") + "/counts"
    with urllib.request.urlopen(url, timeout=10) as response:
        found: dict[str, int] = json.load(response)
    return found


def questions(folder: Path, rows: int) -> Path:
    """Write a data file of `rows` questions."""
    file = folder / f"q{rows}.csv"
    lines = ["question,answer", *(f"q{i},a{i}" for i in range(rows))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def environment(home: Path, base_url: str) -> dict[str, str]:
    """Return the environment of a measured program: a home of its own, the server, no network."""
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LANG", "TMPDIR"}}
    return {
        **kept,
        "LLMFLOWLAB_HOME": str(home),
        "OPENAI_BASE_URL": base_url,
        "OPENAI_API_KEY": "benchmark",
        "GOOGLE_GEMINI_BASE_URL": base_url.removesuffix("/v1"),
        "GEMINI_API_KEY": "benchmark",
        "OLLAMA_HOST": base_url.removesuffix("/v1"),
        "LLMFLOWLAB_PRICES": str(prices(home)),
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }


def prices(home: Path) -> Path:
    """Write a price list that knows the server's model."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "prices.json"
    rate = {"input_per_million": "1", "output_per_million": "4"}
    names = ("openai:bench", "openai:judge", "gemini:bench")
    file.write_text(json.dumps(dict.fromkeys(names, rate)), encoding="utf-8")
    return file


def migrated(home: Path) -> None:
    """Make MLflow's database before anything is timed: a first start's migration is not the point."""
    code = (
        "from llmflowlab.settings import load_settings;"
        "from llmflowlab.tracking.store import open_store;"
        "open_store(load_settings()).experiment_id('warm')"
    )
    env = environment(home, "http://127.0.0.1:9/v1")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, check=True, capture_output=True)


BARE_LOOP = """
import asyncio, sys, aiohttp
async def main(url, rows, concurrency, judged):
    gates = [asyncio.Semaphore(concurrency) for _ in range(1 + judged)]
    connector = aiohttp.TCPConnector(limit=len(gates) * concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        async def ask(gate, body):
            async with gate, session.post(url + "/chat/completions", json=body) as response:
                return (await response.json())["choices"][0]["message"]["content"]
        async def one(i):
            messages = [{"role": "user", "content": f"q{i}"}]
            assert await ask(gates[0], {"model": "bench", "messages": messages}) == f"a{i}"
            if judged:
                form = {"type": "json_object"}
                judge = {"model": "judge", "messages": messages, "response_format": form}
                await ask(gates[1], judge)
        await asyncio.gather(*[one(i) for i in range(rows)])
asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))
"""
"""The ideal: the same requests from a bare aiohttp loop that keeps nothing."""
