"""A person judges an evaluation's answers one after another; every word is on disk before the next question."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any, get_args

from llmflowlab.data.stratified import Stratum
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.plan import Cell
from llmflowlab.evaluation.run.replay import evaluation_behind, stored_result
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.review_steps import NO_STEP, NoStep, ReviewStep, steps_before
from llmflowlab.machine import person as who_sits_here
from llmflowlab.people.answer_words import (
    DISCARDED,
    NOTE,
    HumanVerdict,
    kept_verdicts,
    was_picked,
    word_of,
)
from llmflowlab.people.narrowness import half_width
from llmflowlab.people.row_order import Order, drawn_rows
from llmflowlab.people.rubric import DEFAULT, Rubric, RubricQuestion, read_rubric
from llmflowlab.people.strata import left_out

__all__ = ["ORDERS", "STRATA", "Review", "ReviewRequest", "ShownAnswer", "begin_review"]
__all__ += ["Order", "Reviewable", "has_strata", "reviewable", "rubric_of", "who_sits_here"]

ORDERS: tuple[Order, ...] = get_args(Order)
STRATA: tuple[Stratum, ...] = get_args(Stratum)

_LATEST = 10
"""Answers that the pace is taken from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """Who judges which answers, in which order, and when that ends."""

    name: str
    """A run, for its candidate's answers alone, or an evaluation of this home."""
    person: str
    rubric: Rubric = DEFAULT
    order: Order = "random"
    sample: int | None = None
    """Rows; None: all."""
    seed: int = 0
    stratify: Stratum | None = None
    until: float | None = None
    """Half the width of the widest candidate's interval at which it ends by itself."""
    show_models: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewable:
    """An evaluation whose answers can be judged."""

    id: str
    dataset: str
    rows: int
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAnswer:
    """What a person sees."""

    question: str
    earlier: tuple[tuple[str, str], ...]
    """What was said before the question, as (role, text)."""
    reference: str
    """Every accepted answer; empty without any."""
    context: str | None
    answer: str
    model: str | None
    """None where it is hidden."""


@dataclass(slots=True)
class _Item:
    cell: Cell
    details: Mapping[str, Any]


@dataclass
class Review:
    """One person's review under way; made by `begin_review`.

    Every method that says something raises `TrackingError` where it cannot be written down.
    """

    lab: Lab
    request: ReviewRequest
    evaluation: str
    clock: Callable[[], float] = time.monotonic
    done_because: str | None = field(default=None, init=False)
    """Why it ended by itself, in a sentence; None while it goes on."""
    left_out: Mapping[str, int] = field(init=False)
    """Answers that are not asked about because they are not whole, by why, in words."""
    asked: RubricQuestion | None = field(default=None, init=False)
    """What is asked now; None where all of this answer is judged."""

    def __post_init__(self) -> None:
        request = self.request
        with closing(self.lab.existing_ledger()) as ledger:
            runs = ledger.evaluation(self.evaluation).runs.get("candidates") or []
            self.result = stored_result(ledger, self.evaluation)
        count = len(self.result.plan.candidates)
        own = [runs.index(request.name)] if request.name in runs else range(count)
        self.left_out = left_out(self.result, own)
        self._words = self.lab.words()
        kept = kept_verdicts(self._words, self.evaluation)
        drawn = drawn_rows(
            self.result,
            order=request.order,
            candidates=own,
            n=request.sample,
            seed=request.seed,
            by=request.stratify,
            said=kept,
            person=request.person,
        )
        self._items = [_Item(cell, row.details) for row in drawn for cell in row.cells]
        self._order = list(range(len(self._items)))
        self._others = [verdict for verdict in kept if verdict.person != request.person]
        self._said: dict[tuple[Cell, str], HumanVerdict] = {
            (verdict.cell, verdict.question): verdict
            for verdict in kept
            if verdict.person == request.person
        }
        history = self._words.history("answer", self.evaluation)
        places = {item.cell: place for place, item in enumerate(self._items)}
        self._steps = steps_before(history, request.person, places)
        self._moment = max((word.at_ms for word in history), default=0)
        self._took: list[float] = []
        self._at = -1
        self._go_on()
        self._end_if_narrow()

    def close(self) -> None:
        self._words.close()

    # What is seen

    @property
    def shown(self) -> ShownAnswer:
        """The answer that is judged now."""
        cell = self._item.cell
        plan = self.result.plan
        row = plan.dataset.rows[cell.row]
        said = row.conversation.messages[:-1] if row.conversation else ()
        return ShownAnswer(
            question=row.question,
            earlier=tuple((message.role, message.content) for message in said),
            reference=row.accepted,
            context=row.context,
            answer=self.result.answers[cell].text,
            model=plan.candidates[cell.candidate].label if self.request.show_models else None,
        )

    @property
    def given(self) -> dict[str, str]:
        """What the person said of this answer, by question."""
        own = ((q.name, self._of(q.name)) for q in self.request.rubric.questions)
        return {name: verdict.said for name, verdict in own if verdict is not None}

    @property
    def discarded(self) -> bool:
        """Whether this answer was set aside."""
        return self._of(DISCARDED) is not None

    @property
    def comment(self) -> str:
        """What was written to this answer."""
        names = (*self.request.rubric.names, DISCARDED, NOTE)
        return next((v.comment for name in names if (v := self._of(name)) is not None), "")

    @property
    def place(self) -> int:
        """Where this answer stands, from 1."""
        return self._at + 1

    @property
    def total(self) -> int:
        """Answers in all."""
        return len(self._items)

    @property
    def judged(self) -> int:
        """Answers of them that the person is done with."""
        return sum(map(self._is_done, self._items))

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at the pace of the latest ones; None before the first."""
        if not self._took:
            return None
        return median(self._took[-_LATEST:]) * (self.total - self.judged)

    @property
    def anything_said(self) -> bool:
        """Whether anybody said anything of the evaluation."""
        return bool(self._said or self._others)

    # What is said

    def say(self, said: str) -> None:
        """Answer the question that is asked; after the last one the next answer comes."""
        question = self.asked or self.request.rubric.questions[0]
        aside = [name for name in (NOTE, DISCARDED) if self._of(name) is not None]
        self._do({question.name: said, **dict.fromkeys(aside)}, self.comment)
        self._after(question)

    def write(self, comment: str) -> None:
        """Write a comment to this answer, in place of what was written before; empty: none."""
        given = {name: self._of(name) for name in (*self.request.rubric.names, DISCARDED, NOTE)}
        said = {name: verdict.said for name, verdict in given.items() if verdict is not None}
        if not said and comment:
            said = {NOTE: "yes"}
        if said:
            gone = {NOTE: None} if NOTE in said and not comment else {}
            self._do({**said, **gone}, comment)

    def discard(self) -> None:
        """Set this answer aside: it cannot be judged, and is in no figure."""
        names = [name for name in (*self.request.rubric.names, NOTE) if self._of(name) is not None]
        self._do({**dict.fromkeys(names), DISCARDED: "yes"}, self.comment)
        self._finished()

    def skip(self) -> None:
        """Leave this answer for later: it comes again after all others."""
        self._steps.append(ReviewStep(self._at, order=tuple(self._order)))
        self._order.append(self._order.pop(self._at))
        if self._at < self.total - 1:
            self._at -= 1
        self._go_on()

    def back(self) -> bool:
        """Go to the answer before, and say whether there is one; nothing is taken back."""
        return self._look_at(self._at - 1)

    def forward(self) -> bool:
        """Go to the next answer, and say whether there is one; nothing is said of this one."""
        return self._look_at(self._at + 1)

    def _look_at(self, place: int) -> bool:
        there = self._visit(place)
        if there:
            self.done_because = None
        return there

    def undo(self) -> bool:
        """Take back what was done last, in an earlier session too, and say whether anything was."""
        if not self._steps:
            return False
        step = self._steps[-1]
        self.done_because = None
        if step.order is not None:
            self._order = list(step.order)
        self._visit(step.at)
        self._keep(self._item.cell, dict(step.words), no_step="undo")
        self._steps.pop()
        self._visit(step.at)
        return True

    # Going on

    @property
    def _item(self) -> _Item:
        return self._items[self._order[self._at]]

    def _visit(self, place: int) -> bool:
        if not 0 <= place < self.total:
            return False
        self._at = place
        open_ = [q for q in self.request.rubric.questions if self._of(q.name) is None]
        self.asked = open_[0] if open_ and not self.discarded else None
        self._since = self.clock()
        return True

    def _go_on(self) -> None:
        """Go to the next answer that is not judged, from the beginning where none is left behind this one."""
        places = [*range(self._at + 1, self.total), *range(max(self._at + 1, 0))]
        for place in places:
            item = self._items[self._order[place]]
            if not self._is_done(item):
                self._visit(place)
                return
            self._count_as_drawn(item)
        self._at = max(self._at, 0)
        self.asked = None
        self.done_because = "All answers are judged."

    def _after(self, question: RubricQuestion) -> None:
        questions = self.request.rubric.questions
        later = questions[questions.index(question) + 1 :]
        if later:
            self.asked = later[0]
        elif self._is_done(self._item):
            self._finished()
        else:
            self._visit(self._at)

    def _finished(self) -> None:
        self._took.append(self.clock() - self._since)
        if not self._end_if_narrow():
            self._go_on()

    def _end_if_narrow(self) -> bool:
        until = self.request.until
        if until is None or (width := self._width()) is None or width > until:
            return False
        self.done_because = (
            f"It is known to ±{100 * width:.1f} points, as narrow as was asked for; leave --until out to "
            "go on."
        )
        return True

    def _width(self) -> float | None:
        """Return half the width of the widest interval, by what everybody said to the first question."""
        question = self.request.rubric.questions[0].name
        return half_width(self.result, [*self._others, *self._said.values()], question)

    def _is_done(self, item: _Item) -> bool:
        own = self._said
        return (item.cell, DISCARDED) in own or all(
            (item.cell, name) in own for name in self.request.rubric.names
        )

    def _count_as_drawn(self, item: _Item) -> None:
        """Let an answer that was picked for its judges' sake count as drawn, now that its turn has come."""
        if item.details.get("order") == "disagreement":
            return
        picked = {
            name: replace(verdict, details=item.details)
            for (cell, name), verdict in self._said.items()
            if cell == item.cell and was_picked(verdict)
        }
        if picked:
            self._keep(item.cell, picked, no_step="drawn")

    # Words

    def _of(self, question: str) -> HumanVerdict | None:
        return self._said.get((self._item.cell, question))

    def _do(self, said: Mapping[str, str | None], comment: str) -> None:
        """Say something of this answer in answer to questions, or nothing any more; all of it is one step."""
        step = ReviewStep(self._at, tuple((name, self._of(name)) for name in said))
        seconds = round(self.clock() - self._since, 3)
        verdicts = {
            name: None
            if word is None
            else HumanVerdict(
                cell=self._item.cell,
                person=self.request.person,
                question=name,
                said=word,
                comment=comment,
                seconds=seconds,
                details=self._item.details,
            )
            for name, word in said.items()
        }
        self._keep(self._item.cell, verdicts)
        self._steps.append(step)

    def _keep(
        self,
        cell: Cell,
        verdicts: Mapping[str, HumanVerdict | None],
        *,
        no_step: NoStep | None = None,
    ) -> None:
        """Write down what holds from now on, all of it or, where it cannot be written, nothing."""
        # Later than all before, by which the words of a step are told from the next one's.
        self._moment = max(int(time.time() * 1000), self._moment + 1)
        why = {} if no_step is None else {NO_STEP: no_step}
        words = []
        for name, verdict in verdicts.items():
            of = self._said.get((cell, name)) if verdict is None else verdict
            if of is not None:
                details = {key: value for key, value in of.details.items() if key != NO_STEP} | why
                word = replace(word_of(self.evaluation, of), at_ms=self._moment, details=details)
                words.append(replace(word, said=None, comment="") if verdict is None else word)
        self._words.keep(words)
        for name, verdict in verdicts.items():
            self._said.pop((cell, name), None)
            if verdict is not None:
                self._said[cell, name] = verdict


def begin_review(
    lab: Lab, request: ReviewRequest, *, clock: Callable[[], float] = time.monotonic
) -> Review:
    """Begin a review, or go on with one where it stopped; to be closed after use.

    Raises:
        InputError: There is no such evaluation, nothing in it to judge, or nobody who judges.
        TrackingError: The words cannot be read.
    """
    if not request.person.strip() or not request.person.isprintable():
        raise InputError("Say who judges, in letters: --as NAME.")
    with closing(lab.existing_ledger()) as ledger:
        evaluation = evaluation_behind(ledger, request.name)
    return Review(lab, request, evaluation, clock)


def reviewable(lab: Lab, most: int) -> list[Reviewable]:
    """Return the newest evaluations of this home.

    Raises:
        TrackingError: They cannot be read.
    """
    if not lab.has_evaluations:
        return []
    with closing(lab.ledger()) as ledger:
        found = ledger.evaluations()[:most]
    return [
        Reviewable(
            id=stored.id,
            dataset=stored.plan["dataset"]["name"],
            rows=stored.plan["dataset"]["rows"],
            models=tuple(candidate["model"] for candidate in stored.plan["candidates"]),
        )
        for stored in found
    ]


def has_strata(lab: Lab, evaluation: str) -> bool:
    """Tell whether the questions of an evaluation have a category or a language.

    Raises:
        InputError: There is no such evaluation.
        TrackingError: It cannot be read.
    """
    with closing(lab.ledger()) as ledger:
        rows = ledger.plan(evaluation).dataset.rows
    return any(row.category or row.language for row in rows)


def rubric_of(file: Path | None) -> Rubric:
    """Return what a file asks; what is asked usually, without one.

    Raises:
        InputError: The file cannot be used.
    """
    return DEFAULT if file is None else read_rubric(file)
