"""The answers of all candidates to one row, gathered for scorers that compare them with each other."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.plan import Cell

__all__ = ["PeerAnswers"]


class PeerAnswers:
    """Gathers answers by row and repetition; safe to use from many threads.

    Args:
        candidates: How many answers make a row complete.
    """

    def __init__(self, candidates: int) -> None:
        self._candidates = candidates
        self._lock = threading.Lock()
        self._groups: dict[tuple[int, int], dict[int, AnswerRecord]] = {}
        self._waiting: dict[tuple[int, int], set[int]] = {}
        """Rows some of whose answers wait for the others, with the candidates that wait."""
        self._compared: dict[tuple[int, int], set[int]] = {}
        """Rows whose answers are being compared, with the candidates that are not done."""

    def know(self, cell: Cell, answer: AnswerRecord) -> None:
        """Remember an answer that others can be compared with; it does not itself wait."""
        with self._lock:
            self._groups.setdefault((cell.row, cell.trial), {})[cell.candidate] = answer

    def add(self, cell: Cell, answer: AnswerRecord) -> list[tuple[Cell, AnswerRecord]]:
        """Take an answer in; returns the row's answers once all of them were taken in, else none."""
        self.know(cell, answer)
        place = (cell.row, cell.trial)
        with self._lock:
            waiting = self._waiting.setdefault(place, set())
            waiting.add(cell.candidate)
            return self._given(place) if len(waiting) == self._candidates else []

    def _given(self, place: tuple[int, int]) -> list[tuple[Cell, AnswerRecord]]:
        waiting = self._compared[place] = self._waiting.pop(place)
        return [(Cell(k, *place), self._groups[place][k]) for k in sorted(waiting)]

    def opponents(self, cell: Cell) -> Mapping[int, AnswerRecord] | None:
        """Return the other candidates' answers; None while one of them is missing."""
        with self._lock:
            group = self._groups.get((cell.row, cell.trial), {})
            if len(group) < self._candidates:
                return None
            return {k: answer for k, answer in sorted(group.items()) if k != cell.candidate}

    def release(self, cell: Cell) -> None:
        """Take in that an answer has its scores: once all of a row's have, they are not held any more."""
        place = (cell.row, cell.trial)
        with self._lock:
            left = self._compared.get(place, set())
            left.discard(cell.candidate)
            if not left:
                self._compared.pop(place, None)
                self._groups.pop(place, None)

    def incomplete(self) -> list[tuple[Cell, AnswerRecord]]:
        """Return the answers that wait for others, and let them wait no longer."""
        with self._lock:
            return [found for place in list(self._waiting) for found in self._given(place)]
