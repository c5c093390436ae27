"""The benchmark that comes with the lab."""

from __future__ import annotations

from pathlib import Path

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
    root = here.parents[2]
    checkout = root / "benchmark.csv"
    # In an installation the root is site-packages, whose files are somebody else's.
    return checkout if (root / "pyproject.toml").is_file() and checkout.is_file() else None
