"""The arena: two candidates answer one prompt, and a person says which is better before knowing whose it is."""

from __future__ import annotations

import queue
import random
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol, TypeAlias

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import WaitNotice, policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.stopping import Stopper
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, Row, load_dataset, sample
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import NOT_REACHED, AnswerRecord
from llmflowlab.evaluation.run.engine import new_evaluation_id
from llmflowlab.evaluation.run.plan import request_for
from llmflowlab.files import require_home
from llmflowlab.guardrails.guarded import asker_for, guard_of
from llmflowlab.guardrails.masking import Masks
from llmflowlab.guardrails.policy import Policy
from llmflowlab.lab.arena_delivery import ArenaFigures, figures_of
from llmflowlab.lab.arena_journal import ArenaAnswer, ArenaJournal, ArenaStart
from llmflowlab.lab.candidates import candidates_of
from llmflowlab.lab.evaluation_request import EvaluationRequest
from llmflowlab.lab.guarded_chat import masked
from llmflowlab.lab.guards import detectors_of, refuse_unpriced, unpriced
from llmflowlab.lab.lab import Lab
from llmflowlab.machine import person
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.people.leaderboard import next_opponents
from llmflowlab.people.votes import (
    ArenaVote,
    Contestant,
    Fighter,
    Verdict,
    contestant_of,
    votes_of,
)
from llmflowlab.providers.base import StreamEvent
from llmflowlab.text.style import style_of
from llmflowlab.tracking.records import new_trace_id

__all__ = [
    "Arena",
    "ArenaRequest",
    "BattleSide",
    "BattleView",
    "Fought",
    "Pairing",
    "Place",
    "Said",
]

Place: TypeAlias = Literal["left", "right"]
Said: TypeAlias = Literal["left", "right", "tie", "both_bad"]
Pairing: TypeAlias = Literal["teaching", "random"]

_PLACES: tuple[Place, Place] = ("left", "right")
_LOOK = 0.1
_LAST_WORDS = 5.0
"""Seconds that calls which are given up get to say what they cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaRequest:
    """An arena that is wished for; nothing of it is checked yet."""

    models: Sequence[str]
    systems: Sequence[str] = ()
    """System prompts; several make several candidates of each model."""
    prompts: Sequence[str] = ()
    guardrails: Sequence[str] = ()
    parameter_sets: Sequence[Parameters] = (Parameters(),)
    data: Path | None = None
    """What prompts are drawn from; None where they are typed."""
    mapping: Mapping[str, str] = field(default_factory=dict)
    sample: int | None = None
    seed: int | None = None
    """Of the sample, its order, pairs and sides; None draws them anew each time."""
    pairing: Pairing = "teaching"
    person: str | None = None
    """Who votes; None: the account's name."""
    budget: Decimal | None = None
    allow_unknown_cost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleSide:
    """One of two answers."""

    candidate: Candidate
    trace_id: str
    answer: AnswerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Fought:
    """A battle: two answers to one prompt."""

    number: int
    """From 1."""
    prompt: str
    left: BattleSide
    right: BattleSide
    row: Row | None
    language: str | None
    ended: float
    """By the monotonic clock."""

    @property
    def sides(self) -> tuple[BattleSide, BattleSide]:
        return self.left, self.right

    @property
    def failures(self) -> list[tuple[Place, BattleSide]]:
        """The sides without a whole answer: nobody is asked for a vote then, and nothing counts."""
        both = zip(_PLACES, self.sides, strict=True)
        return [(place, side) for place, side in both if side.answer.why_not_scored is not None]


class BattleView(Protocol):
    """Where a battle is shown while it goes on; it knows of no names."""

    def begin(self, number: int, prompt: str) -> None:
        """Two answers are about to come."""

    def event(self, place: Place, event: StreamEvent) -> None:
        """Show a piece of an answer."""

    def wait(self, place: Place, notice: WaitNotice) -> None:
        """Say what is waited for before the next try."""

    def ended(self, place: Place) -> None:
        """One side has said all it will."""

    def tick(self) -> None:
        """Nothing came for a moment; what is raised here ends the battle."""

    def close(self) -> None:
        """Finish the display."""


class Arena:
    """An arena from its first battle to its end; to be closed.

    Args:
        lab: The parts.
        request: What is wished for.

    Raises:
        InputError: A model, file or prompt cannot be used, or there are no two candidates.
        NotConfigured: A provider lacks something.
        ConfigurationError: A budget was set, and a price is not known.
        HomeUnwritable: Nothing could be kept.
    """

    def __init__(self, lab: Lab, request: ArenaRequest) -> None:
        require_home(lab.settings)
        # Done here rather than after an answer: a bad price file must not cost one.
        lab.build_text_room()
        self._lab = lab
        self._pairing = request.pairing
        self._random = random.Random(request.seed)  # noqa: S311 - reproducible on purpose
        self.dataset = None if request.data is None else _dataset(request, request.data)
        self.candidates, self.remarks = _candidates(lab, request, self.dataset)
        self.person = (request.person or person()).strip()
        self._providers = [lab.provider(candidate.model) for candidate in self.candidates]
        self._askers = self._made(request)
        self.start = ArenaStart(
            arena=new_evaluation_id(),
            candidates=tuple(self.candidates),
            person=self.person,
            pairing=request.pairing,
            data=None if self.dataset is None else self.dataset.name,
            budget_usd=None if request.budget is None else str(request.budget),
            started_ms=int(time.time() * 1000),
        )
        self._journal = ArenaJournal(lab.settings, self.start)
        self._words = lab.words()
        self.contestants: list[Contestant] = list(map(contestant_of, self.candidates))
        self._votes = votes_of(self._words)
        """Of all arenas of this home: they tell which pair teaches most."""
        self.battles: list[Fought] = []
        """Those that came to their end."""
        self._begun = 0
        self._answers: list[ArenaAnswer] = []
        self.voted: dict[int, ArenaVote] = {}
        """By the battle's number."""
        rows = list(range(len(self.dataset.rows))) if self.dataset else []
        self._random.shuffle(rows)
        self._rows = rows

    def _made(self, request: ArenaRequest) -> list[Asker]:
        lab, detectors = self._lab, detectors_of(self._lab, self.candidates)
        if request.budget is not None and not request.allow_unknown_cost:
            asked = {provider.reference: provider for provider in self._providers}
            refuse_unpriced(unpriced(lab, {**asked, **detectors}))
        metering = Metering(lab.counter, lab.prices)
        policy, self.budget = policy_from(lab.settings), Budget(request.budget)
        return [
            asker_for(
                provider,
                guard_of(
                    candidate.guardrails,
                    detectors,
                    policy=policy,
                    metering=metering,
                    budget=self.budget,
                ),
                policy=policy,
                metering=metering,
                budget=self.budget,
            )
            for candidate, provider in zip(self.candidates, self._providers, strict=True)
        ]

    def drawn(self) -> Row | None:
        """Return the next prompt of the file; None once each was asked."""
        assert self.dataset is not None
        return self.dataset.rows[self._rows.pop()] if self._rows else None

    @property
    def left_to_draw(self) -> int:
        return len(self._rows)

    def fight(self, prompt: str | Row, view: BattleView) -> Fought:
        """Have two candidates answer at once; both answers are on disk when this returns.

        Ctrl-C, and whatever the view raises, gives both answers up, keeps what they took, and passes on.

        Raises:
            TrackingError: An answer could not be written to disk.
        """
        pair = list(self._pair())
        self._random.shuffle(pair)
        self._begun += 1
        number = self._begun
        text = prompt if isinstance(prompt, str) else prompt.question
        view.begin(number, text)
        begun = [self._ask(index, prompt) for index in pair]
        events: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        stopper = Stopper()
        for place, (index, request) in enumerate(begun):
            _Call(self._askers[index], request, stopper, events, place).start()
        sides: dict[int, BattleSide] = {}

        def ended(place: int, paid: Paid, began_ms: int) -> None:
            index, request = begun[place]
            answer = AnswerRecord.of(
                paid,
                began_ms=began_ms,
                ended_ms=int(time.time() * 1000),
                settings=self._lab.settings,
            )
            if answer.reason == NOT_REACHED:
                answer = replace(answer, error="The arena was left before this answer's end.")
            sides[place] = self._kept(number, index, request, prompt, answer)

        try:
            self._listen(events, sides, ended, view)
        except BaseException:
            stopper.abandon()
            self._last_words(events, sides, ended)
            raise
        finally:
            view.close()
        row = None if isinstance(prompt, str) else prompt
        language = None if row is None else row.language
        fought = Fought(
            number=number,
            prompt=self._as_kept(text, pair),
            left=sides[0],
            right=sides[1],
            row=row,
            language=language or self._lab.detector.detect(text).code,
            ended=time.monotonic(),
        )
        self.battles.append(fought)
        return fought

    def _pair(self) -> tuple[int, int]:
        if self._pairing == "random" or len(self.candidates) == 2:
            first, second = self._random.sample(range(len(self.candidates)), 2)
            return first, second
        return next_opponents(self._votes, self.contestants, self._random)

    def _ask(self, index: int, prompt: str | Row) -> tuple[int, Request]:
        candidate = self.candidates[index]
        if isinstance(prompt, Row):
            return index, request_for(candidate, prompt)
        return index, candidate.request((Message("user", prompt),))

    @staticmethod
    def _listen(
        events: queue.SimpleQueue[tuple[int, Any]],
        sides: Mapping[int, BattleSide],
        ended: _Ended,
        view: BattleView,
    ) -> None:
        while len(sides) < 2:
            try:
                # In pieces: a wait without end cannot be interrupted everywhere.
                place, what = events.get(timeout=_LOOK)
            except queue.Empty:
                view.tick()
                continue
            if isinstance(what, _Over):
                ended(place, what.paid(), what.began_ms)
                view.ended(_PLACES[place])
            elif isinstance(what, WaitNotice):
                view.wait(_PLACES[place], what)
            else:
                view.event(_PLACES[place], what)

    @staticmethod
    def _last_words(
        events: queue.SimpleQueue[tuple[int, Any]], sides: Mapping[int, BattleSide], ended: _Ended
    ) -> None:
        until = time.monotonic() + _LAST_WORDS
        while len(sides) < 2 and (left := until - time.monotonic()) > 0:
            try:
                place, what = events.get(timeout=left)
            except queue.Empty:
                return
            if isinstance(what, _Over) and what.error is None:
                ended(place, what.paid(), what.began_ms)

    def _kept(
        self, number: int, index: int, request: Request, prompt: str | Row, answer: AnswerRecord
    ) -> BattleSide:
        """Write an answer down."""
        candidate, trace_id = self.candidates[index], new_trace_id()
        row = None if isinstance(prompt, str) else prompt
        text = prompt if isinstance(prompt, str) else prompt.question
        said = [
            {**message, "content": self._as_kept(message["content"], [index])}
            if message["role"] == "user"
            else message
            for message in request.openai_messages()
        ]
        kept = ArenaAnswer(
            battle=number,
            candidate=index,
            trace_id=trace_id,
            prompt=self._as_kept(text, [index]),
            category=None if row is None else row.category,
            messages=said,
            answer=answer,
        )
        self._answers.append(kept)
        self._journal.write(kept)
        return BattleSide(candidate=candidate, trace_id=trace_id, answer=answer)

    def _as_kept(self, text: str, pair: Sequence[int]) -> str:
        """Return a text with what the guardrails of either candidate let nobody keep taken out."""
        for index in pair:
            if (policy := self.candidates[index].guardrails) is not None:
                text = masked(text, Policy.from_json(policy), Masks())
        return text

    def vote(self, fought: Fought, said: Said, *, again: bool = False) -> ArenaVote:
        """Keep what the person says of a battle; it is on disk when this returns.

        Args:
            fought: Both of its answers are whole.
            said: Which side, or neither.
            again: Whether the names had been shown before, the last vote having been taken back.

        Raises:
            TrackingError: It could not be written.
        """
        assert not fought.failures
        a_left = self._index(fought.left) < self._index(fought.right)
        verdicts: dict[Said, Verdict] = {
            "left": "a" if a_left else "b",
            "right": "b" if a_left else "a",
            "tie": "tie",
            "both_bad": "both_bad",
        }
        left, right = map(_fighter, fought.sides)
        vote = ArenaVote(
            arena=self.start.arena,
            number=fought.number,
            person=self.person,
            verdict=verdicts[said],
            a=left if a_left else right,
            b=right if a_left else left,
            left="a" if a_left else "b",
            prompt=fought.prompt,
            category=None if fought.row is None else fought.row.category,
            language=fought.language,
            pairing=self._pairing,
            names_known=again,
            at_ms=int(time.time() * 1000),
            seconds=None if again else round(time.monotonic() - fought.ended, 3),
        )
        self._words.keep([vote.word()])
        self.voted[fought.number] = vote
        self._votes = [*self._votes, vote]
        return vote

    def undo(self) -> Fought | None:
        """Take the last vote back; returns its battle, None where nothing was voted.

        Raises:
            TrackingError: It could not be written.
        """
        if not self.voted:
            return None
        last = self.voted[max(self.voted)]
        self._words.keep([replace(last.word(), said=None, at_ms=int(time.time() * 1000))])
        del self.voted[last.number]
        self._votes = [vote for vote in self._votes if vote is not last]
        return next(fought for fought in self.battles if fought.number == last.number)

    def figures(self) -> ArenaFigures:
        """Count up what was fought, voted and paid so far."""
        return figures_of(self._answers, list(self.voted.values()))

    def _index(self, side: BattleSide) -> int:
        return self.candidates.index(side.candidate)

    def close(self) -> bool:
        """End the arena; returns whether there is something for MLflow."""
        self._words.close()
        for provider in self._providers:
            provider.close()
        return self._journal.close()


class _Ended(Protocol):
    def __call__(self, place: int, paid: Paid, began_ms: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Over:
    """The end of a call."""

    began_ms: int
    came: Paid | None
    error: BaseException | None = None

    def paid(self) -> Paid:
        """Return what came of it.

        Raises:
            BaseException: What befell its thread.
        """
        if self.error is not None:
            raise self.error
        assert self.came is not None
        return self.came


class _Call(threading.Thread):
    """One side's call, beside the other's."""

    def __init__(
        self,
        asker: Asker,
        request: Request,
        stopper: Stopper,
        events: queue.SimpleQueue[tuple[int, Any]],
        place: int,
    ) -> None:
        super().__init__(name=f"arena-{_PLACES[place]}", daemon=True)
        self._asker, self._request, self._stopper = asker, request, stopper
        self._events, self._place = events, place

    def run(self) -> None:
        began_ms = int(time.time() * 1000)
        tell = self._tell
        try:
            paid = self._asker.ask_blocking(
                self._request, on_event=tell, on_wait=tell, stopper=self._stopper
            )
        except BaseException as exc:  # noqa: BLE001 - carried over to who waits, raised there
            tell(_Over(began_ms=began_ms, came=None, error=exc))
        else:
            tell(_Over(began_ms=began_ms, came=paid))

    def _tell(self, what: StreamEvent | WaitNotice | _Over) -> None:
        self._events.put((self._place, what))


def _dataset(request: ArenaRequest, file: Path) -> Dataset:
    dataset = load_dataset(file, mapping=request.mapping)
    if request.sample is None:
        return dataset
    seed = random.SystemRandom().randrange(2**31) if request.seed is None else request.seed
    return sample(dataset, request.sample, seed)


def _candidates(
    lab: Lab, request: ArenaRequest, dataset: Dataset | None
) -> tuple[list[Candidate], list[str]]:
    wished = EvaluationRequest(
        models=request.models,
        systems=request.systems,
        prompts=request.prompts,
        guardrails=request.guardrails,
        parameter_sets=request.parameter_sets,
        budget=request.budget,
    )
    found, remarks = candidates_of(lab, wished, dataset)
    if len({contestant_of(candidate).key for candidate in found}) < len(found):
        raise InputError("The same candidate is named twice; name each one once.")
    if len(found) < 2:
        raise InputError(
            "An arena needs two candidates: name a second --model, or give a second --system."
        )
    return found, [*(dataset.warnings if dataset else ()), *remarks]


def _fighter(side: BattleSide) -> Fighter:
    answer = side.answer
    cost = answer.spent
    return Fighter(
        contestant=contestant_of(side.candidate),
        trace_id=side.trace_id,
        style=style_of(answer.text),
        tokens=answer.completion_tokens,
        cost_usd=None if cost is None else str(cost),
        seconds=answer.latency,
    )
