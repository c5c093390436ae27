"""The model behind a judge: asked through the lab's providers, within the budget, its verdict read.

MLflow's own way to call judges knows few providers, reads other variables than the vendors' SDKs and
ignores base URLs. Here every provider, address, deadline and retry works for a judge as it does for a
candidate, and each judgement's tokens and cost are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import Answer, CallPolicy
from llmflowlab.asking.pacing import Gate
from llmflowlab.asking.reservation import Reservation
from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import BadAnswer, InputError, ProviderError
from llmflowlab.evaluation.answers import AnswerRecord, Metering
from llmflowlab.evaluation.judging.kinds import Question
from llmflowlab.evaluation.judging.verdicts import Reading, Scale, read, schema
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Provider

__all__ = [
    "NOTHING",
    "BrokenOff",
    "Judge",
    "NotReached",
    "OutOfBudget",
    "Unparseable",
    "Verdict",
]

MAX_VERDICT_TOKENS = 4096
"""Longest verdict under a budget; reasoning models think before they judge."""
_QUOTED = 4000
"""Characters of an unreadable verdict that are shown to the judge again."""

NOTHING = AnswerRecord(text="", state="failed", tries=0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge answered, read."""

    reading: Reading
    record: AnswerRecord
    """What it took, the repair of an unreadable verdict included."""


class _LeftOut(Exception):
    """A judgement is not there; `record` holds what tries before that may have cost."""

    def __init__(self, record: AnswerRecord) -> None:
        super().__init__()
        self.record = record


class OutOfBudget(_LeftOut):
    """It was not asked for because the budget does not allow it."""


class NotReached(_LeftOut):
    """The evaluation was stopped before it was there."""


class _PaidInVain(BadAnswer):
    """The judge was paid, but there is no verdict."""

    def __init__(self, message: str, *, record: AnswerRecord) -> None:
        super().__init__(message, provider="judge")
        self.record = record


class Unparseable(_PaidInVain):
    """The judge answered, but its verdict cannot be read."""


class BrokenOff(_PaidInVain):
    """The judge's answer broke off in the middle."""


class Judge:
    """A model that judges; the same for all candidates of an evaluation.

    Raises:
        InputError: The provider is no language model.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        policy: CallPolicy,
        metering: Metering,
        budget: Budget | None = None,
        gate: Gate | None = None,
    ) -> None:
        if not provider.is_language_model:
            raise InputError(
                f"{provider.reference} cannot judge: it is no language model. Name another judge "
                "with --judge, or leave the judged scorers out."
            )
        self.provider = provider
        self._policy = policy
        self._metering = metering
        self.budget = budget or Budget(None)
        self._gate = gate

    @property
    def reference(self) -> str:
        return self.provider.reference

    def ask(self, question: Question, scale: Scale, stopper: Stopper) -> Verdict:
        """Put a question and read the verdict; an unreadable one may be put right once.

        Raises:
            ProviderError: The judge did not answer.
            BrokenOff: It began to, and was paid for that.
            Unparseable: It answered twice, and neither answer holds one verdict.
            OutOfBudget: The money for the call is not there; nothing was sent.
            NotReached: It was stopped before there was a verdict.
        """
        first = Message("user", question.user)
        said, record = self._call(question.system, [first], scale, stopper)
        reading = read(said.text, scale)
        if reading is not None:
            return Verdict(reading, record)
        again = [
            first,
            Message("assistant", said.text[:_QUOTED] or "(nothing)"),
            Message("user", _REPAIR),
        ]
        try:
            repaired, more = self._call(question.system, again, scale, stopper)
        except ProviderError as exc:
            # The first answer was paid for whatever became of the second.
            spent = together(record, exc.record if isinstance(exc, _PaidInVain) else NOTHING)
            raise Unparseable(_unreadable(said), record=spent) from exc
        except OutOfBudget as exc:
            raise Unparseable(_unreadable(said), record=together(record, exc.record)) from exc
        except NotReached as exc:
            raise NotReached(together(record, exc.record)) from exc
        record = together(record, more)
        reading = read(repaired.text, scale)
        if reading is None:
            raise Unparseable(_unreadable(repaired), record=record)
        return Verdict(reading, record)

    def _call(
        self, system: str | None, messages: Sequence[Message], scale: Scale, stopper: Stopper
    ) -> tuple[Answer, AnswerRecord]:
        capped = self.budget.cap is not None
        request = Request(
            messages=tuple(messages),
            system=system,
            parameters=Parameters(max_tokens=MAX_VERDICT_TOKENS if capped else None),
            response_schema=schema(scale),
        )
        worst = Decimal(0)
        if capped:
            price = self._metering.worst_case(self.provider, request, MAX_VERDICT_TOKENS)
            worst = price or Decimal(0)
        at_most = partial(self._metering.at_most, self.provider)
        reservation = Reservation(self.budget, worst, at_most, stopper.event)
        reservation.gate = self._gate
        record = NOTHING
        try:
            answer = stopper.call(self.provider, request, policy=self._policy, gate=reservation)
            record = self._metering.record(self.provider, request, answer, 0)
            if answer.state == "interrupted":
                wasted = self._metering.wasted(self.provider, answer.failed_usage)
                record = replace(NOTHING, wasted_usd=wasted)
        except ProviderError as exc:
            record = self._metering.failed(self.provider, exc, 0, exc.tries)
            if record.spent:
                raise BrokenOff(exc.message, record=record) from exc
            raise
        finally:
            reservation.settle(record.spent)
        if answer.state == "interrupted":
            raise OutOfBudget(record) if reservation.refused else NotReached(record)
        if answer.error is not None:
            raise BrokenOff(answer.error.message, record=record)
        return answer, record


_REPAIR = (
    "That cannot be read as one verdict. Give the same verdict once more, as one JSON object of the "
    "form asked for and nothing before or after it."
)


def together(first: AnswerRecord, second: AnswerRecord) -> AnswerRecord:
    """Return what two calls took in all; unknown where one of them is."""
    if not second.tries and not second.spent:
        return first
    if second.state == "failed":
        cost = first.cost_usd
    else:
        both = first.cost is not None and second.cost is not None
        cost = str((first.cost or 0) + (second.cost or 0)) if both else None
    wasted = Decimal(first.wasted_usd or 0) + Decimal(second.wasted_usd or 0)
    return replace(
        second if second.text else first,
        prompt_tokens=_sum(first.prompt_tokens, second.prompt_tokens),
        completion_tokens=_sum(first.completion_tokens, second.completion_tokens),
        cost_usd=cost,
        latency=(first.latency or 0.0) + (second.latency or 0.0),
        tries=first.tries + second.tries,
        wasted_usd=str(wasted) if wasted else None,
    )


def _sum(a: int | None, b: int | None) -> int | None:
    return a if b is None else b if a is None else a + b


def _unreadable(answer: Answer) -> str:
    shown = " ".join(answer.text.split())[:200] or "nothing"
    return f"the judge's verdict cannot be read; it said: {shown}"
