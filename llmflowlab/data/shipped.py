"""The benchmarks that come with the lab."""

from __future__ import annotations

from pathlib import Path

from llmflowlab.program import checkout

__all__ = ["named_file", "shipped_benchmark"]

# By name, beside the default one: in the package, whether it is installed or a checkout.
_BY_NAME = {"support_desk": ("prompts", "support_desk.csv")}


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


def named_file(path: Path) -> Path:
    """Return the file that is meant: `support_desk` is the shipped one unless there is such a file."""
    place = _BY_NAME.get(str(path))
    if place is None or path.exists():
        return path
    return Path(__file__).resolve().parents[1].joinpath(*place)
