"""A home of its own, programs started in it, and their sudden end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.harness import counts, environment, migrated
from benchmarks.processes import ROOT, timed
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.ledger_upkeep import kept_evaluations
from llmflowlab.lab.deliverer import on_the_way
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.store import open_store

__all__ = ["PRICE", "Tally", "Victim"]

PRICE = Decimal("0.00004")
"""USD of one answer of the server: 20 + 5 tokens at 1 and 4 USD a million."""


@dataclass
class Tally:
    """What came of one kind of kill."""

    kills: int = 0
    kept: int = 0
    """Answers, turns, verdicts or files that were there before a kill, and were found after it."""
    lost: list[str] = field(default_factory=list)
    """What was not found, was found twice, or costs something else, in words."""
    cost: Decimal = Decimal(0)
    """USD of what was kept, which is the same in the server's prices, on disk and in MLflow."""

    def check(self, right: bool, words: str) -> None:
        if right:
            self.kept += 1
        else:
            self.lost.append(words)


class Victim:
    """Starts programs of the lab in one home and kills them.

    Args:
        home: Where; made here.
        url: The model server.
        rng: Chooses the instants.
    """

    def __init__(self, home: Path, url: str, rng: random.Random) -> None:
        self.home = home
        self.url = url
        self.rng = rng
        home.mkdir()
        self.env = environment(home, url)
        migrated(home)

    @property
    def settings(self) -> Settings:
        environ = {"LLMFLOWLAB_HOME": str(self.home)}
        return load_settings(environ, cwd=self.home, stdin_is_terminal=False)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "main.py", *arguments]

    def start(self, *arguments: str, **more: Any) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **more}
        return subprocess.Popen(
            self.command(*arguments), cwd=ROOT, env=self.env, text=True, **streams
        )

    def whole(self, *arguments: str, codes: Sequence[int] = (0,)) -> str:
        """Run a program to its end; return what it wrote."""
        ended = timed(self.command(*arguments), self.env)
        assert ended.code in codes, f"{arguments}: {ended.code}\n{ended.output}"
        return ended.output

    def kill_within(
        self, process: subprocess.Popen[str], seconds: float, *, asking: bool = False
    ) -> bool:
        """Kill a program at a random instant of so many seconds; False where it ended before.

        Args:
            process: What is killed.
            seconds: From its start, or in two of three cases, from its first request.
            asking: Whether it asks a model, so that there is a first request.
        """
        if asking and self.rng.random() < 2 / 3:
            before = counts(self.url)["requests"]
            while process.poll() is None and counts(self.url)["requests"] == before:
                time.sleep(0.02)
        until = time.monotonic() + self.rng.uniform(0, seconds)
        while time.monotonic() < until:
            if process.poll() is not None:
                return False
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return True

    def deliver(self) -> None:
        """Have all that is left delivered, by the process that does it for the lab."""
        process = [sys.executable, "-W", "ignore", "-m", "llmflowlab.lab.deliverer"]
        while (left := on_the_way(self.settings)) is not None:
            # One that a program has started works already, and a second one leaves it to it.
            ended = timed(process, self.env)
            assert ended.code == 0, f"{left}\n{ended.output}"
            time.sleep(0.2)

    def paid(self) -> dict[str, tuple[int, Decimal]]:
        """Return how many answers each evaluation has on disk, and what they cost in USD."""
        with closing(Ledger(self.settings.ledger_file)) as ledger:
            return {
                each.stored.id: (each.answers, each.cost_usd or Decimal(0))
                for each in kept_evaluations(ledger)
            }

    def evaluations(self) -> list[tuple[str, str]]:
        """Return id and state of each evaluation, the newest first."""
        with closing(Ledger(self.settings.ledger_file)) as ledger:
            return [(each.id, each.state) for each in ledger.evaluations()]

    def check_evaluation(self, evaluation: str, rows: int, tally: Tally) -> None:
        """See that ledger and MLflow hold each row once, with its cost."""
        with closing(Ledger(self.settings.ledger_file)) as ledger:
            found = ledger.outcomes(evaluation)
            spent = ledger.spent(evaluation)
            stored = ledger.evaluation(evaluation)
        tally.check(len(found) == rows, f"{evaluation}: {len(found)} of {rows} rows in the ledger")
        tally.check(spent == rows * PRICE, f"{evaluation}: {spent} USD in the ledger")
        tally.cost += spent
        if "candidates" not in stored.runs:
            tally.check(False, f"{evaluation}: no run in MLflow")
            return
        store = open_store(self.settings)
        (run_id,) = stored.runs["candidates"]
        run = store.client.get_run(run_id)
        tally.check(run.info.status == "FINISHED", f"{evaluation}: its run is {run.info.status}")
        cost = Decimal(str(run.data.metrics.get("total_cost_estimate", -1)))
        tally.check(
            abs(cost - spent) < PRICE / 100, f"{evaluation}: {cost} of {spent} USD in MLflow"
        )
        traces = self.traces(run.info.experiment_id, run_id)
        found_rows = Counter(trace.info.tags["llmflowlab.row"] for trace in traces)
        tally.check(len(found_rows) == rows, f"{evaluation}: {len(found_rows)} rows in MLflow")
        for row, times in found_rows.items():
            tally.check(times == 1, f"{evaluation}: row {row} is {times} times in MLflow")
        runs = store.client.search_runs(
            [run.info.experiment_id], f"tags.`llmflowlab.evaluation_id` = '{evaluation}'"
        )
        tally.check(len(runs) == 1, f"{evaluation}: {len(runs)} runs")

    def traces(self, experiment: str, run_id: str | None = None) -> list[Any]:
        store, token = open_store(self.settings), None
        found: list[Any] = []
        while True:
            page = store.tracing.search_traces(
                locations=[experiment], run_id=run_id, max_results=500, page_token=token
            )
            found += page
            token = page.token
            if not token:
                return found
