"""What was measured, held against what must be reached, as one table in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Unit = Literal["×", "ms", "s", "MB", ""]
Verdict = Literal["pass, beyond", "pass", "miss", "–"]

HEADINGS = ("what", "reached", "must", "beyond", "")
UNKNOWN = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measured figure; less is better wherever something must be reached."""

    what: str
    reached: float | None
    """None: could not be measured here; `note` says why."""
    unit: Unit
    must: float | None = None
    beyond: float | None = None
    peers: Mapping[str, float | None] = field(default_factory=dict)
    """The same figure of other programs by name; None where one failed."""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        """Hold what was reached against what must be."""
        if self.reached is None or self.must is None:
            return "–"
        if self.beyond is not None and self.reached <= self.beyond:
            return "pass, beyond"
        return "pass" if self.reached <= self.must else "miss"


def table(lines: Sequence[Line], peers: Sequence[str]) -> str:
    """Return the lines as a table with a column for each peer, and their notes under it."""
    rows = [[*HEADINGS, *peers]]
    for line in lines:
        figures = (line.reached, line.must, line.beyond)
        others = (line.peers.get(peer) for peer in peers)
        rows.append(
            [
                line.what,
                *(figure(value, line.unit) for value in figures),
                line.verdict,
                *(figure(value, line.unit) for value in others),
            ]
        )
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * width for width in widths])
    drawn = [
        f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        for row in rows
    ]
    notes = [f"- {line.what}: {line.note}" for line in lines if line.note]
    return "\n".join([*drawn, *([""] if notes else []), *notes])


def line_to_json(line: Line) -> dict[str, Any]:
    """Return a line as JSON; unknown is null."""
    return {
        "what": line.what,
        "reached": line.reached,
        "unit": line.unit,
        "must": line.must,
        "beyond": line.beyond,
        "verdict": None if line.verdict == UNKNOWN else line.verdict,
        "peers": dict(line.peers),
        "note": line.note,
    }


def figure(value: float | None, unit: Unit) -> str:
    """Return a figure in three digits with its unit; a dash where it is unknown."""
    if value is None:
        return UNKNOWN
    text = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()
