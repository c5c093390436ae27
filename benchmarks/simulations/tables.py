"""Shares as tables in Markdown, and their place on the page on statistics."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.simulations.properties import EXPERIMENTS, PROMISES, SIZES
from benchmarks.simulations.running import Share

__all__ = ["BEGIN", "END", "HEADINGS", "tables", "written"]

BEGIN = "<!-- written by `make simulate`; do not edit -->"
END = "<!-- end of the simulations -->"
HEADINGS = ("scores", *(f"n = {size:,}" for size in SIZES))


def tables(shares: Sequence[Share], runs: int) -> str:
    """Return a table for each promise, worlds down and sizes across."""
    blocks = [
        f"Per cent of up to {runs:,} simulated evaluations (fewer where one takes long) ± the standard "
        "error of the simulation. **!** marks what misses its promise by more than three of them."
    ]
    for key, promise in PROMISES.items():
        own = [share for share in shares if share.promise == key]
        if not own:
            continue
        lines = [
            f"{promise.title}: promised {promise.side} {100 * promise.bound:g} %.",
            "",
            _line(HEADINGS),
            _line(["---"] * len(HEADINGS)),
        ]
        for name in dict.fromkeys(experiment.name for experiment in EXPERIMENTS):
            cells = {share.questions: _cell(share) for share in own if share.name == name}
            if cells:
                lines.append(_line([name, *(cells.get(size, "") for size in SIZES)]))
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _cell(share: Share) -> str:
    mark = "**!** " if share.broken else ""
    return f"{mark}{100 * share.share:.1f} ± {100 * share.error:.1f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def written(page: str, block: str) -> str:
    """Return the page with the block between its marks."""
    before, rest = page.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n\n{block}\n\n{END}{after}"
