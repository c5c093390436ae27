"""What a killed evaluation wastes: requests of both runs together against the rows."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import counts, environment, migrated, questions, server
from benchmarks.processes import ROOT, timed
from benchmarks.table import Line

CONCURRENCY = 20


def measure(*, quick: bool) -> Iterator[Line]:
    kills, rows = 2 if quick else 5, 200
    rng = random.Random(7)
    worst = 0
    with tempfile.TemporaryDirectory() as folder, server("--latency-ms", "100") as url:
        for number in range(kills):
            home = Path(folder) / str(number)
            home.mkdir()
            env = environment(home, url)
            migrated(home)
            data = questions(home, rows)
            before = counts(url)["requests"]
            command = [
                *(sys.executable, "main.py", "evaluate", "--model", "openai:bench"),
                *("--data", str(data), "--scorer", "exact_match"),
                *("--concurrency", str(CONCURRENCY), "--json"),
            ]
            quiet = subprocess.DEVNULL
            process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=quiet, stderr=quiet)
            goal = before + rng.randint(1, rows)
            while counts(url)["requests"] < goal and process.poll() is None:
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            code = (
                "from pathlib import Path; import sys;"
                "from llmflowlab.evaluation.run.ledger import Ledger;"
                "print(Ledger(Path(sys.argv[1])).evaluations()[0].id)"
            )
            ledger = str(home / ".llmflowlab" / "evaluations.db")
            found = timed([sys.executable, "-c", code, ledger], env)
            evaluation = found.output.split()[0]
            again = timed(
                [
                    *(sys.executable, "main.py", "evaluate", "--resume", evaluation),
                    *("--concurrency", str(CONCURRENCY), "--json"),
                ],
                env,
            )
            assert again.code == 0, again.output
            worst = max(worst, counts(url)["requests"] - before - rows)
    yield Line(
        what=f"requests of a killed evaluation of {rows} rows and of its resumption, over the rows",
        reached=1 + worst / rows,
        unit="×",
        note=f"at most {worst} more in {kills} kills; {CONCURRENCY} were in flight at most",
    )
