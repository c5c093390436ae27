"""Workers of a real Ray on this machine, one of which is killed every 5 s, and what must be true in the end.

`python -m benchmarks.torture.cluster [SECONDS] [SEED]`: an evaluation whose workers are killed for so long
(600), and a short one whose budget does not reach. No row is missing or there twice, the server's own bill and
what the lab says was spent stay below the budget, and asked twice is no more than what was in flight.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.harness import Bench, bench, counts, questions
from benchmarks.processes import ROOT
from benchmarks.torture.victim import PRICE
from llmflowlab.cluster.row_files import read_rows
from llmflowlab.cluster.storage import LocalStorage
from tests.stack.ray_cluster import actors, kill

__all__ = ["Killed", "killed_workers"]

WORKERS, CONCURRENCY, LATENCY = 4, 10, 2.0
SHARD_ROWS = 50
EVERY = 5.0
"""Seconds between two kills."""
PACE = 15
"""Rows for each second, which is more than workers that are killed come to."""
END = 600.0
"""Seconds in which the rest is answered and recorded once nobody kills any more."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of an evaluation whose workers were killed."""

    rows: int
    answered: int
    kills: int
    seconds: float
    """From the first kill to the end."""
    twice: int
    """Requests beyond one for each row that was asked."""
    cap: Decimal
    bill: Decimal
    """USD, by the server's own count."""
    said: Decimal
    """USD that the lab says were spent; what was leased to lost workers is counted whole."""
    taken_over: str
    faults: tuple[str, ...]
    """What must not be, in words."""

    def __str__(self) -> str:
        return (
            f"{self.answered} of {self.rows} rows, {self.kills} kills in {self.seconds:.0f} s, {self.twice} asked "
            f"twice; {self.bill} USD billed, {self.said} said, {self.cap} allowed; {self.taken_over}"
        )


def killed_workers(
    own: Bench, seconds: float, rng: random.Random, *, rows: int, cap: Decimal
) -> Killed:
    """Evaluate rows while a worker is killed every 5 s, for so many seconds.

    Args:
        own: The server, and a home.
        seconds: For which workers are killed, from when there are any.
        rng: Chooses the workers.
        rows: Of the evaluation.
        cap: Its budget, in USD.

    Raises:
        AssertionError: The evaluation failed, or hangs.
    """
    before = counts(own.url)["requests"]
    began, first = time.monotonic(), None
    storage = own.home / f"shared-{rows}"
    process = subprocess.Popen(
        [
            *(sys.executable, "main.py", "evaluate", "--model", "openai:bench", "--json"),
            *("--data", str(questions(own.home, rows)), "--scorer", "exact_match"),
            *("--runner", "ray", "--workers", str(WORKERS), "--concurrency", str(CONCURRENCY)),
            *("--shard-rows", str(SHARD_ROWS), "--storage", str(storage)),
            *("--budget", str(cap), "--max-tokens", "10", "--fresh"),
        ],
        cwd=ROOT,
        env=own.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    kills = 0
    while True:
        try:
            said, words = process.communicate(timeout=EVERY)
            break
        except subprocess.TimeoutExpired:
            now = time.monotonic()
            pids = actors("_WorkerActor", process.pid)
            first = first or (now if pids else None)
            if now > (first or began) + seconds + END:
                process.kill()
                raise AssertionError(f"it hangs, {END:g} s after the last kill") from None
            if pids and first and now < first + seconds:
                kill(rng.choice(pids))
                kills += 1
    took = time.monotonic() - (first or began)
    assert process.returncode == 0, words[-2000:]
    asked = counts(own.url)["requests"] - before
    found = json.loads(said)
    return _judged(found, words, storage, asked, rows=rows, kills=kills, seconds=took, cap=cap)


def _judged(
    found: dict[str, Any],
    words: str,
    where: Path,
    asked: int,
    *,
    rows: int,
    kills: int,
    seconds: float,
    cap: Decimal,
) -> Killed:
    (candidate,) = found["candidates"]
    storage = LocalStorage(where)
    stored: Counter[int] = Counter()
    wrong = 0
    for key in storage.keys(f"{found['evaluation_id']}/results"):
        if key.endswith(".parquet"):
            for row in read_rows(storage, key)[0]:
                number = row["cell"][1]
                stored[number] += 1
                text = row["answer"]["text"]
                wrong += bool(text) and text != f"a{number}"
    answered, said, bill = candidate["answered"], Decimal(str(candidate["cost_usd"])), asked * PRICE
    unreached = candidate["failed"].get("budget_exhausted", 0)
    twice = asked - answered
    checks = {
        f"{rows - len(stored)} rows are not in the storage": len(stored) == rows,
        "rows are in the storage twice": set(stored.values()) == {1},
        f"{wrong} answers are another row's": wrong == 0,
        f"{rows - answered - unreached} rows were neither answered nor beyond the budget": (
            answered + unreached == rows
        ),
        f"the server billed {bill} USD of {cap}": bill <= cap,
        f"the lab says {said} USD of {cap}": said <= cap,
        f"{twice} were asked twice, of {kills * CONCURRENCY} in flight at most": (
            0 <= twice <= kills * CONCURRENCY
        ),
    }
    return Killed(
        rows=rows,
        answered=answered,
        kills=kills,
        seconds=seconds,
        twice=twice,
        cap=cap,
        bill=bill,
        said=said,
        taken_over=next(
            (w for w in words.splitlines() if "taken over from" in w), "none taken over"
        ),
        faults=tuple(fault for fault, right in checks.items() if not right),
    )


def main(seconds: float = 600, seed: int = 1) -> int:
    rng = random.Random(seed)
    faults = 0
    with bench("--latency-ms", str(LATENCY * 1000)) as own:
        for rows, lasting, cap in (
            (int(seconds * PACE), seconds, Decimal(100)),
            (short := max(200, int(seconds)), max(40.0, seconds / 10), short * PRICE),
        ):
            found = killed_workers(own, lasting, rng, rows=rows, cap=cap)
            print(found, flush=True)
            for fault in found.faults:
                print(f"  {fault}")
            faults += len(found.faults)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:3])))
