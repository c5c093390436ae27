"""How rows are spread over categories and languages."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from llmflowlab.data.dataset import Row
from llmflowlab.data.findings import Finding, RowRef
from llmflowlab.text.language_codes import base_language

__all__ = ["uneven_categories", "wrong_languages"]

_UNEVEN = 5
"""How many times the smallest category the largest may be."""
_FEW = 10
"""Rows of a category below which its interval says next to nothing."""
_MOST_DETECTED = 5_000


def uneven_categories(rows: Sequence[Row], ref: Callable[[Row], RowRef]) -> list[Finding]:
    """Compare the sizes of the categories."""
    found = []
    without = [row for row in rows if row.category is None]
    counts = Counter(row.category for row in rows if row.category is not None)
    if without and counts:
        message = f"{len(without)} of {len(rows)} rows have no category."
        refs = tuple(map(ref, without))
        found.append(Finding(kind="no_category", severity="note", message=message, rows=refs))
    if len(counts) < 2:
        return found
    (largest, most), *_, (smallest, least) = counts.most_common()
    few = sum(count < _FEW for count in counts.values())
    if most > _UNEVEN * least:
        message = (
            f"{largest!r} has {most:,} rows, {smallest!r} {least:,}; the total is mostly about the "
            "first."
        )
        found.append(Finding(kind="uneven_categories", severity="warning", message=message))
    elif few:
        message = f"{few} of {len(counts)} categories have fewer than {_FEW} rows."
        found.append(Finding(kind="uneven_categories", severity="note", message=message))
    return found


def wrong_languages(
    rows: Sequence[Row], detect: Callable[[str], str | None], ref: Callable[[Row], RowRef]
) -> tuple[list[Finding], str | None]:
    """Compare declared languages with those that the questions are in.

    Returns:
        Findings, one for each pair of languages, and a remark where not all rows were looked at.
    """
    declared = [
        row
        for row in rows
        # Names such as "English" are not compared: they are not codes.
        if row.language is not None and re.fullmatch(r"[A-Za-z]{2}([-_]\w+)*", row.language)
    ]
    step = max(1, -(-len(declared) // _MOST_DETECTED))
    looked = declared[::step]
    wrong: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in looked:
        if len(row.question) < 30:
            continue
        said, found = base_language(row.language), detect(row.question)
        if found is not None and found != said:
            wrong[said, found].append(row)
    findings = [
        Finding(
            kind="language",
            severity="note",
            message=f"Declared {said!r}, and the question reads as {found!r} "
            f"({len(members)} of {len(looked)} rows looked at).",
            rows=tuple(map(ref, members)),
        )
        for (said, found), members in sorted(wrong.items())
    ]
    remark = None
    if step > 1:
        remark = f"Languages were compared on {len(looked):,} of {len(declared):,} rows."
    return findings, remark
