"""Samples and splits of benchmark files.

Both go by what a row says and a seed, not by where it stands: the same rows in another order give the
same sample and the same parts.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from llmflowlab.data.columns import assign_columns
from llmflowlab.data.file_records import DataTable, Record
from llmflowlab.data.near import near_pairs
from llmflowlab.data.question_keys import same_text
from llmflowlab.errors import InputError

__all__ = ["parse_parts", "sample_table", "split_table"]


def parse_parts(text: str) -> dict[str, float]:
    """Read `train=0.8,test=0.2`.

    Raises:
        InputError: It cannot be understood, a name stands twice, or the shares do not make up 1.
    """
    parts: dict[str, float] = {}
    for item in text.split(","):
        name, _, share = (piece.strip() for piece in item.partition("="))
        try:
            value = float(share)
        except ValueError:
            value = math.nan
        if not name.replace("-", "").replace("_", "").isalnum() or not 0 < value <= 1:
            raise InputError(f"{item.strip()!r} is no part; write NAME=SHARE, as in test=0.2.")
        if name.casefold() in {known.casefold() for known in parts}:
            raise InputError(f"The part {name!r} is named twice.")
        parts[name] = value
    if abs(math.fsum(parts.values()) - 1) > 1e-6:
        raise InputError(f"The shares make up {math.fsum(parts.values()):g}; they must make up 1.")
    return parts


def sample_table(table: DataTable, n: int, *, seed: int, by: str | None, file: str) -> DataTable:
    """Draw rows without replacement, kept in the file's order.

    Args:
        table: What to draw from.
        n: How many; all where there are no more.
        seed: Another seed draws other rows.
        by: Column or role by whose values the sample is stratified: each value keeps its share of the
            rows, to the row (largest remainder).
        file: The file's name, for messages.

    Raises:
        InputError: `n` is below 1, or there is no such column.
    """
    if n < 1:
        raise InputError(f"A sample of {n} rows is none; ask for at least 1.")
    records = table.records
    if n >= len(records):
        return table
    strata = _strata(table, by, file)
    order = _shuffled(records, seed)
    quotas = _largest_remainder(Counter(strata), n)
    taken = []
    for i in order:
        if quotas[strata[i]] > 0:
            quotas[strata[i]] -= 1
            taken.append(i)
    return DataTable(table.columns, tuple(records[i] for i in sorted(taken)), table.warnings)


def split_table(
    table: DataTable,
    parts: Mapping[str, float],
    *,
    seed: int,
    by: str | None,
    mapping: Mapping[str, str],
    file: str,
) -> dict[str, DataTable]:
    """Divide rows among parts; questions that are the same or nearly so stay together.

    Args:
        table: What to divide.
        parts: Share of each part; together 1.
        seed: Another seed divides in another way.
        by: Column or role whose values are spread evenly over the parts.
        mapping: Columns by role that their names do not tell.
        file: The file's name, for messages.

    Raises:
        InputError: There is no such column, or a part would stay empty.
        DatasetError: No column holds the question.
    """
    records = table.records
    question = assign_columns(table.columns, mapping, file=file).question
    groups = _groups([same_text(r.cells.get(question, "")) for r in records])
    strata = _strata(table, by, file)
    rank = {i: place for place, i in enumerate(_shuffled(records, seed))}
    ordered: dict[str, list[list[int]]] = defaultdict(list)
    for group in sorted(groups, key=lambda members: min(rank[i] for i in members)):
        counted = Counter(strata[i] for i in group)
        ordered[max(sorted(counted), key=counted.__getitem__)].append(group)
    assigned: dict[str, list[int]] = {name: [] for name in parts}
    owed = dict.fromkeys(parts, 0.0)
    for stratum in sorted(ordered):
        members = ordered[stratum]
        size = sum(map(len, members))
        quotas = _quotas(size, parts, owed)
        for name, share in parts.items():
            owed[name] += share * size
        # Large groups first, while there is room for them; singles fill what is left.
        for group in sorted(members, key=lambda group: -len(group)):
            name = max(parts, key=lambda part: (quotas[part] >= len(group), quotas[part]))
            quotas[name] -= len(group)
            assigned[name] += group
            owed[name] -= len(group)
    empty = [name for name, rows in assigned.items() if not rows]
    if empty:
        raise InputError(
            f"{file} has too few different questions: part {empty[0]!r} would stay empty."
        )
    return {
        name: DataTable(table.columns, tuple(records[i] for i in sorted(rows)), table.warnings)
        for name, rows in assigned.items()
    }


def _quotas(size: int, parts: Mapping[str, float], owed: Mapping[str, float]) -> dict[str, int]:
    """Divide a stratum; what rounding took from a part before is given back to it first."""
    exact = {name: share * size + owed[name] for name, share in parts.items()}
    quotas = {name: max(0, math.floor(value)) for name, value in exact.items()}
    while sum(quotas.values()) > size:
        quotas[max(quotas, key=lambda name: quotas[name] - exact[name])] -= 1
    while sum(quotas.values()) < size:
        quotas[max(quotas, key=lambda name: exact[name] - quotas[name])] += 1
    return quotas


def _strata(table: DataTable, by: str | None, file: str) -> list[str]:
    if by is None:
        return [""] * len(table.records)
    column = by
    if by not in table.columns:
        found = [c for c in table.columns if c.casefold() == by.casefold()]
        if not found:
            raise InputError(
                f"{file} has no column {by!r}; its columns: {', '.join(map(repr, table.columns))}."
            )
        column = found[0]
    return [record.cells.get(column, "").strip() for record in table.records]


def _largest_remainder(counts: Counter[str], n: int) -> dict[str, int]:
    total = sum(counts.values())
    exact = {name: n * count / total for name, count in counts.items()}
    quotas = {name: int(value) for name, value in exact.items()}
    left = n - sum(quotas.values())
    for name in sorted(exact, key=lambda name: (quotas[name] - exact[name], name))[:left]:
        quotas[name] += 1
    return quotas


def _shuffled(records: Sequence[Record], seed: int) -> list[int]:
    """Return positions in an order that depends on what the rows say and on the seed."""
    repeats: Counter[bytes] = Counter()
    keys = []
    for record in records:
        content = "\x1f".join(f"{k}\x1e{v}" for k, v in sorted(record.cells.items()))
        digest = hashlib.sha256(f"{seed}\x1d{content}".encode("utf-8", "surrogatepass")).digest()
        keys.append((digest, repeats[digest]))
        repeats[digest] += 1
    return sorted(range(len(records)), key=keys.__getitem__)


def _groups(questions: Sequence[str]) -> list[list[int]]:
    """Return positions by question, those of nearly the same question together."""
    places: dict[str, list[int]] = defaultdict(list)
    for i, question in enumerate(questions):
        places[question].append(i)
    texts = sorted(places)
    parent = list(range(len(texts)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for pair in near_pairs(texts):
        parent[root(pair.second)] = root(pair.first)
    groups: dict[int, list[int]] = defaultdict(list)
    for i, text in enumerate(texts):
        groups[root(i)] += places[text]
    return list(groups.values())
