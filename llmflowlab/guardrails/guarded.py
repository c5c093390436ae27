"""The door to a model with guardrails around it: the same face as `asking.paid.Asker`.

A blocked prompt is never sent, a blocked answer never passed on; both are a `Paid` whose error is
`Blocked`, and what was paid for stays counted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy, WaitNotice
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Gate
from llmflowlab.asking.paid import Asker, Paid, plus
from llmflowlab.asking.pump import Sent
from llmflowlab.asking.stopping import Stopper
from llmflowlab.asking.waiting import Waits
from llmflowlab.errors import Blocked
from llmflowlab.guardrails.checking import Checking, check, violation_of
from llmflowlab.guardrails.detector import Detector, Seen
from llmflowlab.guardrails.masking import Masks
from llmflowlab.guardrails.policy import Policy
from llmflowlab.guardrails.refusals import refusal, remarks, without_verdict
from llmflowlab.guardrails.verdict import Direction, Verdict, Violation
from llmflowlab.messages import Message, Request
from llmflowlab.providers.base import (
    Finished,
    Provider,
    ReasoningDelta,
    Rethought,
    StreamEvent,
    TextDelta,
)

__all__ = [
    "Guard",
    "GuardedAsker",
    "asker_for",
    "guard_of",
]


_LONG = 10_000
"""Characters from which on a text is checked in a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """A policy with what it takes to apply it."""

    policy: Policy
    detector: Detector | None = None
    masks: Masks | None = None
    """Of a person's session; None: each call has its own, and nothing is put back."""
    served: bool = False
    """Whether answers go to others: then one that nobody could judge is withheld by default."""


def guard_of(
    values: Mapping[str, Any] | None,
    detectors: Mapping[str, Provider],
    *,
    policy: CallPolicy,
    metering: Metering,
    budget: Budget | None = None,
    masks: Masks | None = None,
    served: bool = False,
) -> Guard | None:
    """Return what stands around a candidate's calls; None where it has no guardrails.

    Args:
        values: Its policy, as JSON values.
        detectors: The models that may be named in it, by the reference that names them.
        policy: Patience of a call of the detector.
        metering: Counts, prices and charges it.
        budget: Where its money comes from.
        masks: As in `Guard`.
        served: As in `Guard`.
    """
    if values is None:
        return None
    rules = Policy.from_json(values)
    detector = None
    if rules.detector is not None:
        provider = detectors[rules.detector]
        detector = Detector(Asker(provider, policy=policy, metering=metering, budget=budget))
    return Guard(policy=rules, detector=detector, masks=masks, served=served)


def asker_for(
    provider: Provider,
    guard: Guard | None,
    *,
    policy: CallPolicy,
    metering: Metering,
    budget: Budget | None = None,
    gate: Gate | None = None,
) -> Asker:
    """Return the door to a model, with guardrails where there are any."""
    if guard is None:
        return Asker(provider, policy=policy, metering=metering, budget=budget, gate=gate)
    return GuardedAsker(provider, guard, policy=policy, metering=metering, budget=budget, gate=gate)


class GuardedAsker(Asker):
    """An `Asker` with guardrails.

    Args:
        provider: As in `Asker`.
        guard: What may pass.
        policy: As in `Asker`.
        metering: As in `Asker`.
        budget: As in `Asker`.
        gate: As in `Asker`.
    """

    def __init__(
        self,
        provider: Provider,
        guard: Guard,
        *,
        policy: CallPolicy,
        metering: Metering,
        budget: Budget | None = None,
        gate: Gate | None = None,
    ) -> None:
        super().__init__(provider, policy=policy, metering=metering, budget=budget, gate=gate)
        self._guard = guard

    async def asked(
        self,
        waits: Waits,
        what: Sent,
        on_event: Callable[[StreamEvent], None] | None = None,
        on_wait: Callable[[WaitNotice], None] | None = None,
        on_try: Callable[[bool], None] | None = None,
        *,
        cancelled: threading.Event | None = None,
        stopper: Stopper | None = None,
    ) -> Paid:
        """Check the prompt, ask, and check the answer on its way."""
        if not isinstance(what, Request):
            return await super().asked(waits, what, cancelled=cancelled, stopper=stopper)
        call = _Call(self._guard, self._guard.masks or Masks(), waits, stopper)
        request = await call.incoming(what)
        if call.blocked is not None:
            return call.told(Paid(answer=None, error=call.blocked), None)
        outgoing = _Outgoing(self._guard, call.masks, on_event)
        paid = await super().asked(
            waits, request, outgoing.event, on_wait, on_try, cancelled=cancelled, stopper=stopper
        )
        paid = await call.outgoing(paid, outgoing)
        if call.blocked is None:
            outgoing.end(paid)
        return call.told(paid, request)


class _Call:
    """The verdicts of one call, and what they took."""

    def __init__(self, guard: Guard, masks: Masks, waits: Waits, stopper: Stopper | None) -> None:
        self._guard = guard
        self.masks = masks
        self._waits = waits
        self._stopper = stopper
        self._found: list[Violation] = []
        self._seen: list[Seen] = []
        self._remarks: list[str] = []
        self.blocked: Blocked | None = None

    async def incoming(self, request: Request) -> Request:
        """Return what may be sent; `blocked` says where nothing may."""
        messages = list(request.messages)
        last = max((n for n, m in enumerate(messages) if m.role == "user"), default=-1)
        for number, message in enumerate(messages):
            if message.role != "user":
                continue
            verdict = await self._checked(message.content, "in")
            if number == last or verdict.blocked_by:
                # What stood in earlier messages was counted when it was the last one.
                self._found += verdict.violations
            if verdict.blocked_by is not None:
                self.blocked = refusal(verdict.blocked_by, served=self._guard.served)
                return request
            if verdict.text != message.content:
                messages[number] = Message("user", verdict.text)
        if last >= 0:
            await self._look(messages[last].content, "in")
        return replace(request, messages=tuple(messages))

    async def outgoing(self, paid: Paid, way: _Outgoing) -> Paid:
        """Return what may be passed on of an answer."""
        answer = paid.answer
        if answer is None:
            return paid
        verdict = way.answer(answer.text) or await self._checked(answer.text, "out")
        self._found += verdict.violations
        if verdict.blocked_by is not None:
            self.blocked = refusal(verdict.blocked_by, served=self._guard.served)
        elif answer.state == "complete" and answer.text.strip():
            await self._look(verdict.text, "out")
        if self.blocked is not None:
            return paid.in_vain(self.blocked)
        thought = way.thought(answer.reasoning) or await self._checked(answer.reasoning, "out")
        reasoning = "" if thought.blocked_by else thought.text
        if (verdict.text, reasoning) == (answer.text, answer.reasoning):
            return paid
        return replace(paid, answer=replace(answer, text=verdict.text, reasoning=reasoning))

    async def _checked(self, text: str, direction: Direction) -> Verdict:
        work = partial(check, text, self._guard.policy, direction, self.masks)
        # Apart costs more than a short text takes; a long one must not hold up whoever shares the loop.
        return work() if len(text) < _LONG else await self._waits.apart(work)

    async def _look(self, text: str, direction: Direction) -> None:
        """Ask the detector, where there is one."""
        detector = self._guard.detector
        if detector is None:
            return
        seen = await detector.look(self._waits, text, direction, stopper=self._stopper)
        self._seen.append(seen)
        if seen.failed:
            self._failing(direction)
        elif seen.finding is not None:
            action = self._guard.policy.action(seen.finding.category, direction)
            if action == "off":
                return
            # A model's word for where something stands is no place to put a mask.
            action = "warn" if action == "mask" else action
            said = text[seen.finding.start : seen.finding.end]
            self._found.append(violation_of(seen.finding, said, direction, action))
            if action == "block":
                self.blocked = refusal(self._found[-1], served=self._guard.served)

    def _failing(self, direction: Direction) -> None:
        chosen = self._guard.policy.when_failing(direction, served=self._guard.served)
        if chosen == "block":
            self.blocked = without_verdict(direction, served=self._guard.served)
        elif chosen == "warn":
            self._remarks.append(
                "The guardrails' detector gave no verdict; the rules alone have read this."
            )

    def told(self, paid: Paid, sent: Request | None) -> Paid:
        """Return what came of the call, with what was sent and found, and what its detector took."""
        cost, wasted = paid.cost, paid.wasted
        for seen in self._seen:
            if paid.answer is None:
                wasted = plus(wasted, seen.paid.spent)
            else:
                cost = plus(cost, seen.paid.spent)
        return replace(
            paid,
            sent=sent,
            cost=cost,
            wasted=wasted,
            violations=tuple(found.to_json() for found in self._found),
            remarks=(*self._remarks, *remarks(self._found)),
        )


class _Outgoing:
    """An answer's pieces on their way to whoever reads along.

    By sentences with the rules alone; as a whole, once there is a verdict, with a detector.
    """

    def __init__(
        self, guard: Guard, masks: Masks, on_event: Callable[[StreamEvent], None] | None
    ) -> None:
        self._guard = guard
        self._masks = masks
        self._tell = on_event
        self._whole = guard.detector is not None
        self._text = Checking(guard.policy, "out", masks)
        self._thought = Checking(guard.policy, "out", masks)
        self._rest = self._thought_rest = ""
        self._finished: Finished | None = None

    def answer(self, text: str) -> Verdict | None:
        """Return the verdict of an answer that was read on its way: splits change nothing of it.

        None where it was not, or not all of it.
        """
        if self._tell is None or self._text.text != text:
            return None
        self._rest += self._text.finish()
        return self._text.verdict()

    def thought(self, text: str) -> Verdict | None:
        """Return the verdict of its thinking, likewise."""
        if self._tell is None or self._thought.text != text:
            return None
        self._thought_rest += self._thought.finish()
        return self._thought.verdict()

    def event(self, event: StreamEvent) -> None:
        """Take an event of the provider; pass on what may be."""
        if self._tell is None:
            return
        if isinstance(event, TextDelta):
            if not self._whole:
                self._say(TextDelta, self._text.feed(event.text))
        elif isinstance(event, ReasoningDelta):
            self._say(ReasoningDelta, self._thought.feed(event.text))
        elif isinstance(event, Rethought):
            if not self._whole:
                self._say(TextDelta, self._text.finish())
                self._tell(event)
            self._text = Checking(self._guard.policy, "out", self._masks)
        elif isinstance(event, Finished):
            self._finished = event
        else:
            self._tell(event)

    def end(self, paid: Paid) -> None:
        """Pass on the rest of an answer that is not blocked."""
        if self._tell is None or paid.answer is None:
            return
        self._say(ReasoningDelta, self._thought_rest + self._thought.finish())
        whole = paid.answer.text if self._whole else self._rest + self._text.finish()
        self._say(TextDelta, whole)
        if self._finished is not None:
            self._tell(self._finished)

    def _say(self, kind: type[TextDelta] | type[ReasoningDelta], text: str) -> None:
        if text and self._tell is not None:
            self._tell(kind(text))
