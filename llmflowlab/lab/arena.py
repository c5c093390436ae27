"""The arena: two candidates answer one prompt, and a person says which is better before knowing whose it is."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from llmflowlab.asking.paid import Paid
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.answers import NOT_REACHED, AnswerRecord
from llmflowlab.evaluation.run.engine import new_evaluation_id
from llmflowlab.evaluation.run.plan import request_for
from llmflowlab.files import require_home
from llmflowlab.guardrails.checking import preload
from llmflowlab.guardrails.masking import Masks
from llmflowlab.guardrails.policy import Policy
from llmflowlab.lab.arena_delivery import ArenaFigures, figures_of
from llmflowlab.lab.arena_journal import ArenaAnswer, ArenaJournal, ArenaStart
from llmflowlab.lab.arena_request import (
    ArenaRequest,
    askers_of,
    drawn_from,
    fighters_of,
)
from llmflowlab.lab.fight import PLACES, BattleView, Place, ask_both
from llmflowlab.lab.guarded_chat import masked
from llmflowlab.lab.lab import Lab
from llmflowlab.machine import person
from llmflowlab.messages import Message, Request
from llmflowlab.people.opponents import next_opponents
from llmflowlab.people.votes import (
    ArenaVote,
    Contestant,
    Fighter,
    Verdict,
    contestant_of,
    votes_of,
)
from llmflowlab.text.style import style_of
from llmflowlab.tracking.records import new_trace_id

__all__ = ["Arena", "BattleSide", "Fought", "Said"]

Said: TypeAlias = Literal["left", "right", "tie", "both_bad"]


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
    def shown(self) -> str:
        """What a person reads who is to vote."""
        return self.prompt if self.row is None else shown(self.row)

    @property
    def sides(self) -> tuple[BattleSide, BattleSide]:
        return self.left, self.right

    @property
    def failures(self) -> list[tuple[Place, BattleSide]]:
        """The sides without a whole answer: nobody is asked for a vote then, and nothing counts."""
        both = zip(PLACES, self.sides, strict=True)
        return [(place, side) for place, side in both if side.answer.why_not_scored is not None]


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
        self.dataset = drawn_from(lab, request)
        self.candidates, self.remarks = fighters_of(lab, request, self.dataset)
        self.person = (request.person or person()).strip()
        self._providers = [lab.provider(candidate.model) for candidate in self.candidates]
        self._askers = askers_of(lab, request, self.candidates, self._providers)
        if any(candidate.guardrails for candidate in self.candidates):
            # The one without them would be the quicker in the first battle, or the slower.
            preload()
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

    def drawn(self) -> Row | None:
        """Return the next prompt of the file; None once each was asked."""
        assert self.dataset is not None
        return self.dataset.rows[self._rows.pop()] if self._rows else None

    def told(self) -> list[str]:
        """Take out what is worth knowing of how the models were asked."""
        return [sentence for provider in self._providers for sentence in provider.told()]

    def fight(self, prompt: str | Row, view: BattleView) -> Fought:
        """Have two candidates answer at once; both answers are on disk when this returns.

        See `ask_both` for what Ctrl-C does.

        Raises:
            TrackingError: An answer could not be written to disk.
        """
        pair = list(self._pair())
        self._random.shuffle(pair)
        self._begun += 1
        number = self._begun
        text = prompt if isinstance(prompt, str) else prompt.question
        view.begin(number, shown(prompt))
        requests = [self._request(index, prompt) for index in pair]
        sides: dict[Place, BattleSide] = {}

        def keep(place: Place, paid: Paid, began_ms: int) -> None:
            answer = AnswerRecord.of(
                paid,
                began_ms=began_ms,
                ended_ms=int(time.time() * 1000),
                settings=self._lab.settings,
            )
            if answer.reason == NOT_REACHED:
                answer = replace(answer, error="The arena was left before this answer's end.")
            at = PLACES.index(place)
            sides[place] = self._kept(number, pair[at], requests[at], prompt, answer)

        calls = [(self._askers[i], request) for i, request in zip(pair, requests, strict=True)]
        ask_both(calls, view, keep)
        row = None if isinstance(prompt, str) else prompt
        language = None if row is None else row.language
        fought = Fought(
            number=number,
            prompt=self._as_kept(text, pair),
            left=sides["left"],
            right=sides["right"],
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

    def _request(self, index: int, prompt: str | Row) -> Request:
        candidate = self.candidates[index]
        if isinstance(prompt, Row):
            return request_for(candidate, prompt)
        return candidate.request((Message("user", prompt),))

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


def shown(prompt: str | Row) -> str:
    """Return what a person reads who is to vote on answers to it."""
    if isinstance(prompt, str) or not prompt.context:
        return prompt if isinstance(prompt, str) else prompt.question
    return f"{prompt.question}\n\n{prompt.context}"
