"""The verdicts an evaluation need not ask for: which there are is in memory, what they say is in the ledger."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace

from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scores import Score

__all__ = ["StoredVerdicts"]


class StoredVerdicts:
    """Verdicts that were paid for, by the key of their judgement; safe to use from many threads.

    Args:
        plan: The evaluation; a fresh one takes none of others.
        ledger: Where they are.
    """

    def __init__(self, plan: EvaluationPlan, ledger: Ledger) -> None:
        self._own = plan.evaluation_id
        self._fresh = plan.fresh
        self._ledger = ledger
        self._owners: dict[str, str] = {}
        """Which evaluation paid for which."""

    def recall(self, keys: Iterable[str]) -> None:
        """Look up which of these were paid for before."""
        only = self._own if self._fresh else None
        self._owners = self._ledger.owners("judgements", keys, evaluation=only, prefer=self._own)

    def find(self, key: str) -> bool:
        """Look once more for one that nobody could know of before its answer was there.

        Raises:
            TrackingError: The ledger cannot be read.
        """
        if key not in self._owners:
            only = self._own if self._fresh else None
            self._owners.update(
                self._ledger.owners("judgements", [key], evaluation=only, prefer=self._own)
            )
        return key in self._owners

    def keep(self, key: str, verdict: Score) -> None:
        """Write down what was asked for now.

        Only what succeeded is used again: a judge that was down is asked again next time. What failed
        is kept for what it cost.

        Raises:
            TrackingError: It could not be written.
        """
        usable = verdict.value is not None
        place = key if usable else f"{key}#{uuid.uuid4().hex}"
        self._ledger.append("judgements", self._own, place, verdict.to_json()).result()
        if usable:
            self._owners[key] = self._own

    def known(self) -> Iterator[tuple[str, Score]]:
        """Yield those that are known, with their keys.

        Raises:
            TrackingError: The ledger cannot be read.
        """
        for key in list(self._owners):
            if (found := self.get(key)) is not None:
                yield key, found

    def __contains__(self, key: object) -> bool:
        return key in self._owners

    def get(self, key: str) -> Score | None:
        """Return a verdict; None where there is none, or its evaluation was cleared meanwhile.

        Raises:
            TrackingError: The ledger cannot be read.
        """
        owner = self._owners.get(key)
        if owner is None:
            return None
        # The one that was found, also where another evaluation had the same asked since.
        found = self._ledger.load("judgements", [key], evaluation=owner)
        if key not in found:
            self._owners.pop(key, None)
            return None
        return replace(Score.from_json(found[key][1]), reused=owner != self._own)
