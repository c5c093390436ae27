"""The benchmark that comes with the lab."""

from __future__ import annotations

from pathlib import Path

from llmflowlab.program import checkout

__all__ = ["shipped_benchmark"]


def shipped_benchmark() -> Path | None:
    """Return the file: beside this module where the lab is installed, at the top of a checkout.

    The wheel carries the checkout's own file, so there is one text of it. None where neither is
    there.
    """
    here = Path(__file__).resolve()
    packaged = here.with_name("benchmark.csv")
    if packaged.is_file():
        return packaged
    root = checkout()
    if root is None or not (root / "benchmark.csv").is_file():
        return None
    return root / "benchmark.csv"
