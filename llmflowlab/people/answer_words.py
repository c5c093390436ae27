"""Words on an evaluation's answers: what was said of which answer, in answer to which question."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.people.word_store import WordStore
from llmflowlab.people.words import Target, Word
from llmflowlab.settings import Settings

__all__ = [
    "ASIDE",
    "CORRECT",
    "DISCARDED",
    "NOTE",
    "QUALITY",
    "HumanVerdict",
    "answer_target",
    "cell_of",
    "keep_verdicts",
    "kept_verdicts",
    "open_words",
    "value_of",
    "verdict_of",
    "was_picked",
    "word_of",
    "words_of_ledger",
]

CORRECT, QUALITY = "correct", "quality"
DISCARDED, NOTE = "discarded", "note"
"""Answered by yes where an answer is set aside because it cannot be judged, and where only a comment was written."""
ASIDE = frozenset({DISCARDED, NOTE})
"""Questions that no figure is made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanVerdict:
    """What a person said of one answer, in answer to one question."""

    cell: Cell
    person: str
    question: str = CORRECT
    said: str
    """`yes`, `no`, a grade from `1` to `5`, or a label."""
    comment: str = ""
    seconds: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @property
    def value(self) -> float | None:
        """As `value_of` says."""
        return value_of(self.said)


def was_picked(verdict: HumanVerdict) -> bool:
    """Whether an answer was judged because judges disagree about it, so that it stands for no other."""
    return verdict.details.get("order") == "disagreement"


def value_of(said: str) -> float | None:
    """Return a verdict from 0 to 1, as scores are; None for a label.

    Yes is 1, no is 0, grade g is (g − 1) / 4.
    """
    if said in {"yes", "no"}:
        return float(said == "yes")
    return (int(said) - 1) / 4 if said in {"1", "2", "3", "4", "5"} else None


def answer_target(evaluation: str, cell: Cell) -> Target:
    """Return what a word on an evaluation's answer is about."""
    key = f"{cell.candidate}:{cell.row}:{cell.trial}"
    return Target(kind="answer", within=evaluation, key=key)


def cell_of(target: Target) -> Cell:
    """Return the answer that a word is about."""
    return Cell(*map(int, target.key.split(":")))


def keep_verdicts(
    words: WordStore, evaluation: str, verdicts: Iterable[HumanVerdict]
) -> dict[str, int]:
    """Keep what people said; later words on the same answer and question replace earlier ones.

    Returns:
        How many are `new`, `changed` and `as_before`.

    Raises:
        TrackingError: The words cannot be written; then none is.
    """
    before = {_place(v): v for v in kept_verdicts(words, evaluation)}
    counts = {"new": 0, "changed": 0, "as_before": 0}
    fresh = []
    for verdict in verdicts:
        old = before.get(_place(verdict))
        same = old is not None and (old.said, old.comment) == (verdict.said, verdict.comment)
        counts["new" if old is None else "as_before" if same else "changed"] += 1
        if not same:
            fresh.append(verdict)
    words.keep(word_of(evaluation, verdict) for verdict in fresh)
    return counts


def word_of(evaluation: str, verdict: HumanVerdict) -> Word:
    """Return a verdict as the word that is said now."""
    return Word(
        person=verdict.person,
        target=answer_target(evaluation, verdict.cell),
        question=verdict.question,
        said=verdict.said,
        comment=verdict.comment,
        at_ms=int(time.time() * 1000),
        seconds=verdict.seconds,
        details=verdict.details,
    )


def _place(verdict: HumanVerdict) -> tuple[Any, ...]:
    return verdict.person, verdict.question, verdict.cell


def kept_verdicts(words: WordStore, evaluation: str) -> list[HumanVerdict]:
    """Return what holds of an evaluation's answers, in the order in which it was said.

    Raises:
        TrackingError: The words cannot be read.
    """
    verdicts = map(verdict_of, words.words("answer", evaluation))
    return [verdict for verdict in verdicts if verdict is not None]


def verdict_of(word: Word) -> HumanVerdict | None:
    """Return what a word says of an answer; None where it takes back what was said."""
    if word.said is None:
        return None
    return HumanVerdict(
        cell=cell_of(word.target),
        person=word.person,
        question=word.question,
        said=word.said,
        comment=word.comment,
        seconds=word.seconds,
        details=word.details,
    )


def open_words(settings: Settings) -> WordStore:
    """Open what people said in a home; one in which nobody said anything gets its file at the first word.

    Raises:
        TrackingError: It cannot be opened.
    """

    def earlier(evaluation: str | None) -> Sequence[Word]:
        if not settings.ledger_file.exists():
            return ()
        with closing(Ledger(settings.ledger_file)) as ledger:
            return words_of_ledger(ledger, evaluation)

    return WordStore(settings.people_file, earlier)


def words_of_ledger(ledger: Ledger, evaluation: str | None = None) -> Sequence[Word]:
    """Return as words what sheets said while their verdicts were kept in the ledger.

    Raises:
        TrackingError: The ledger cannot be read.
    """
    return [
        Word(
            person=person,
            target=answer_target(owner, Cell(*record["cell"])),
            question=QUALITY if record["said"].isdecimal() else CORRECT,
            said=record["said"],
            comment=record["comment"],
            # Nobody wrote down when.
            at_ms=0,
        )
        for owner, person, record in ledger.feedback(evaluation)
    ]
