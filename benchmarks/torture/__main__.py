"""`make torture`: 200 kills at random instants, or as many as named; prints a table, fails on any loss.

`python -m benchmarks.torture [KILLS] [SEED] [SCENE ...]`
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import server
from benchmarks.torture.scenes import SCENES, instants
from benchmarks.torture.victim import Victim


def main(kills: int = 200, seed: int = 1, *scenes: str) -> int:
    print(f"{'scene':<12} {'kills':>5} {'kept':>6} {'lost':>5} {'USD':>9}  seconds")
    losses = 0
    chosen = {name: SCENES[name] for name in scenes or SCENES}
    shares = sum(share for _, share in chosen.values())
    for name, (scene, share) in chosen.items():
        began = time.monotonic()
        # What delivers may still be about to end there.
        temporary = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with temporary as folder, server("--latency-ms", "150") as url:
            victim = Victim(Path(folder) / "home", url, instants(seed, name))
            tally = scene(victim, max(1, round(kills * share / shares)))
        seconds = time.monotonic() - began
        print(
            f"{name:<12} {tally.kills:>5} {tally.kept:>6} {len(tally.lost):>5} {tally.cost:>9.5f} "
            f" {seconds:.0f}",
            flush=True,
        )
        for words in tally.lost[:20]:
            print(f"  {words}")
        losses += len(tally.lost)
    return 1 if losses else 0


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:3]]
    kills = numbers[0] if numbers else 200
    sys.exit(main(kills, numbers[1] if len(numbers) > 1 else 1, *sys.argv[3:]))
