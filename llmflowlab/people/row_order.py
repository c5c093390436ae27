"""Which rows people judge next, and how likely each was to be drawn."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from llmflowlab.data.stratified import Stratum
from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.people.answer_words import HumanVerdict, was_picked
from llmflowlab.people.strata import (
    Strata,
    believed,
    doubt_of,
    judgeable,
    nothing_to_judge,
    strata_of,
)
from llmflowlab.statistics.unequal_draws import next_stratum

__all__ = ["DrawnRow", "Order", "drawn_rows"]

Order: TypeAlias = Literal["random", "stratified", "disagreement", "narrow"]

_GUESSED = {"unsure": 0.5, "apart": 0.4, "no": 0.3, "yes": 0.3}
"""Standard deviation of what people say minus what the judge says, before anything was judged."""
_GUESS_COUNTS = 4
"""Judged answers that this guess is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRow:
    """A row whose answers are to be judged."""

    row: int
    cells: tuple[Cell, ...]
    """One answer of each candidate, in an order that tells nothing."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """How it was drawn: `order`, `stratum`, and `probability`, the chance of being among the rows of a sample of
    this size; None without one, for then it depends on where the review ends."""


def drawn_rows(
    result: EvaluationResult,
    *,
    order: Order,
    candidates: Sequence[int],
    n: int | None = None,
    seed: int = 0,
    by: Stratum | None = None,
    said: Sequence[HumanVerdict] = (),
    person: str = "",
) -> list[DrawnRow]:
    """Return rows in the order in which a person judges them.

    `random`: all rows alike. `stratified`: each category or language keeps its share at every moment.
    `disagreement`: where judges differ or are least sure first; nothing follows for the other rows.
    `narrow`: what narrows the interval most, by Neyman's allocation over strata of the judge's verdicts
    (`strata_of`, `next_stratum`) and the spread of what people said minus what the judge said in each. Within
    a stratum rows come in random order, so that weights by stratum keep the mean unbiased wherever it ends.

    Args:
        result: The evaluation.
        order: As above.
        candidates: Whose answers, by index.
        n: How many rows; None: all.
        seed: Of whatever is random: the same seed draws the same.
        by: What tells strata apart; None: categories where there are any, else languages.
        said: What people said before, from which `narrow` learns.
        person: Whose judged rows `narrow` counts as drawn.

    Raises:
        InputError: There is no answer to judge, or no such property.
    """
    cells = judgeable(result, candidates)
    if not cells:
        raise nothing_to_judge(result, candidates)
    # Reproducible on purpose; nothing here needs to be unguessable.
    generator = random.Random(f"review:{seed}:{result.plan.evaluation_id}")  # noqa: S311
    shuffled = list(cells)
    generator.shuffle(shuffled)
    most = len(shuffled) if n is None else min(n, len(shuffled))
    strata: Strata | None = None
    if order == "stratified":
        strata = _by_property(result, shuffled, by)
        shuffled = _in_shares(strata, shuffled)
    elif order == "narrow":
        strata = strata_of(result)
        judged = {v.cell.row for v in said if v.person == person and not was_picked(v)}
        shuffled = _narrowing(result, strata, shuffled, judged, said)
    elif order == "disagreement":
        shuffled.sort(key=lambda row: -max(doubt_of(result, cell) for cell in cells[row]))
    drawn = shuffled[:most]
    known = n is not None and order != "disagreement"
    chance = _chances(strata, shuffled, drawn) if known else {}
    return [
        DrawnRow(
            row=row,
            cells=_one_each(cells[row], random.Random(f"{seed}:{result.plan.evaluation_id}:{row}")),  # noqa: S311
            details={
                "order": order,
                "stratum": None if strata is None else strata.names[strata.of[row]],
                "probability": chance.get(row),
            },
        )
        for row in drawn
    ]


def _one_each(cells: Sequence[Cell], generator: random.Random) -> tuple[Cell, ...]:
    """Return one answer of each candidate, of several trials any, in any order."""
    trials: dict[int, list[Cell]] = defaultdict(list)
    for cell in cells:
        trials[cell.candidate].append(cell)
    chosen = [generator.choice(own) for own in trials.values()]
    generator.shuffle(chosen)
    return tuple(chosen)


def _by_property(result: EvaluationResult, rows: Sequence[int], by: Stratum | None) -> Strata:
    of = result.plan.dataset.rows
    for name in ("category", "language") if by is None else (by,):
        values = {row: getattr(of[row], name) or "" for row in rows}
        if set(values.values()) != {""}:
            names = tuple(sorted(set(values.values())))
            return Strata(
                names=names, of={row: names.index(value) for row, value in values.items()}
            )
    wanted = "category and no language" if by is None else by
    raise InputError(
        f"{result.plan.dataset.name} has no {wanted} to stratify by; take --order random, or evaluate "
        "with the column named (--map)."
    )


def _in_shares(strata: Strata, rows: Sequence[int]) -> list[int]:
    """Spread each stratum evenly over the order, so that every beginning of it holds its share."""
    members: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        members[strata.of[row]].append(row)
    place = {row: (k + 0.5) / len(own) for own in members.values() for k, row in enumerate(own)}
    return sorted(rows, key=lambda row: (place[row], strata.of[row]))


def _narrowing(
    result: EvaluationResult,
    strata: Strata,
    rows: Sequence[int],
    judged: set[int],
    said: Sequence[HumanVerdict],
) -> list[int]:
    waiting: list[list[int]] = [[] for _ in strata.names]
    drawn = [0] * len(strata.names)
    order = [row for row in rows if row in judged]
    for row in rows:
        if row in judged:
            drawn[strata.of[row]] += 1
        else:
            waiting[strata.of[row]].append(row)
    sizes = [len(left) + seen for left, seen in zip(waiting, drawn, strict=True)]
    spreads = _spreads(result, strata, said)
    while (stratum := next_stratum(sizes, drawn, spreads)) is not None:
        order.append(waiting[stratum].pop(0))
        drawn[stratum] += 1
    return order


def _spreads(result: EvaluationResult, strata: Strata, said: Sequence[HumanVerdict]) -> list[float]:
    """Return by stratum the standard deviation of people's verdicts minus the judge's."""
    apart: dict[int, list[float]] = defaultdict(list)
    for verdict in said:
        if verdict.value is not None and verdict.cell.row in strata.of:
            judge = believed(result, verdict.cell)
            apart[strata.of[verdict.cell.row]].append(verdict.value - judge)
    spreads = []
    for number, name in enumerate(strata.names):
        seen = apart[number]
        mean = math.fsum(seen) / len(seen) if seen else 0.0
        squares = math.fsum((each - mean) ** 2 for each in seen)
        total = _GUESS_COUNTS * _GUESSED[name] ** 2 + squares
        spreads.append(math.sqrt(total / (_GUESS_COUNTS + len(seen))))
    return spreads


def _chances(strata: Strata | None, rows: Sequence[int], drawn: Sequence[int]) -> dict[int, float]:
    if strata is None:
        return dict.fromkeys(drawn, len(drawn) / len(rows))
    sizes: dict[int, int] = defaultdict(int)
    taken: dict[int, int] = defaultdict(int)
    for row in rows:
        sizes[strata.of[row]] += 1
    for row in drawn:
        taken[strata.of[row]] += 1
    return {row: taken[strata.of[row]] / sizes[strata.of[row]] for row in drawn}
