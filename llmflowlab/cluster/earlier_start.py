"""What earlier starts of an evaluation came to, read from shared storage without taking it over."""

from __future__ import annotations

import random
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from llmflowlab.cluster.beforehand import spent_beforehand
from llmflowlab.cluster.event_log import coordinator_log
from llmflowlab.cluster.lease_book import LeaseBook
from llmflowlab.cluster.row_files import read_rows
from llmflowlab.cluster.shards import Stage, staged
from llmflowlab.cluster.storage import Storage
from llmflowlab.data.dataset import subset
from llmflowlab.evaluation.run.outcomes import Outcome
from llmflowlab.evaluation.run.plan import EvaluationPlan

__all__ = ["EarlierStart", "earlier_start"]


@dataclass(frozen=True, slots=True)
class EarlierStart:
    """An evaluation as it stands in the storage."""

    plan: EvaluationPlan
    stage: Stage
    spent: Decimal | None
    """USD, what nobody knows of at its worst case; None where the workers had not begun."""
    left: Sequence[int]
    """Numbers of the rows of which something is missing, as far as it is committed."""

    def drawn(self, most: int) -> EvaluationPlan:
        """Return the plan of the rows that are left, or of a simple random sample of so many of them."""
        places = self.left
        if len(places) > most:
            # Reproducible on purpose: nothing here needs to be unguessable.
            places = sorted(random.Random(self.plan.order_seed).sample(places, most))  # noqa: S311
        part = replace(self.plan, dataset=subset(self.plan.dataset, places))
        return part.repeating([self.plan.repeats[place] for place in places])


def earlier_start(storage: Storage, evaluation: str) -> EarlierStart:
    """Return how far an evaluation is.

    Raises:
        InputError: The storage does not have it.
        TrackingError: It cannot be read.
    """
    plan, stage = staged(storage, evaluation)
    book = LeaseBook(lambda: 0.0)
    for event in coordinator_log(storage, stage.folder).replay():
        book.apply(event)
    left = array("q")
    for shard in range(stage.shards):
        rows = book.done.get(shard)
        if rows is None:
            left.extend(stage.places(shard))
        elif not rows.whole:
            settled = _settled(storage, rows.key)
            each = len(plan.candidates) * plan.trials
            left.extend(row for row in stage.places(shard) if settled[row] < each)
    before = spent_beforehand(storage, stage.folder)
    return EarlierStart(
        plan,
        stage,
        spent=None if before is None else before + book.spent + book.leased,
        left=left,
    )


def _settled(storage: Storage, key: str) -> Counter[int]:
    """Return how many answers of each row are not asked again."""
    found, _ = read_rows(storage, key)
    outcomes = map(Outcome.from_json, found)
    return Counter(outcome.cell.row for outcome in outcomes if outcome.settled)
