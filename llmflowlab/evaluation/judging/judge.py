"""The model behind a judge: asked through the lab's providers, within the budget, its verdict read.

MLflow's own way to call judges knows few providers, reads other variables than the vendors' SDKs and
ignores base URLs. Here every provider, address, deadline and retry works for a judge as it does for a
candidate, and each judgement's tokens and cost are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmflowlab.asking.attempt import Answer
from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Gate
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import InputError
from llmflowlab.evaluation.answers import in_words
from llmflowlab.evaluation.judging.judge_kinds import Question
from llmflowlab.evaluation.judging.verdict_form import ParsedVerdict, Scale, read, schema
from llmflowlab.messages import Message, Parameters, Request
from llmflowlab.providers.base import Provider

__all__ = ["Failed", "Judge", "JudgeVerdict", "NotReached", "OutOfBudget", "Unparseable"]

MAX_VERDICT_TOKENS = 4096
"""Longest verdict; reasoning models think before they judge."""
_QUOTED = 4000
"""Characters of an unreadable verdict that are shown to the judge again."""


@dataclass(frozen=True, slots=True)
class JudgeVerdict:
    """What a judge answered, read."""

    reading: ParsedVerdict
    paid: Paid
    """What it took, the repair of an unreadable verdict included."""


class NoVerdict(Exception):
    """There is no verdict; `paid` holds what was paid in vain all the same."""

    def __init__(self, paid: Paid, why: str | None = None) -> None:
        super().__init__(why)
        self.paid = paid
        self.why = why
        """The words for the person; None where the kind says it all."""


class OutOfBudget(NoVerdict):
    """It was not asked for because the budget does not allow it."""


class NotReached(NoVerdict):
    """The evaluation was stopped before it was there."""


class Unparseable(NoVerdict):
    """The judge answered, but its verdict cannot be read."""


class Failed(NoVerdict):
    """The judge did not answer, or its answer broke off."""


class Judge:
    """A model that judges; the same for all candidates of an evaluation.

    Args:
        provider: The model.
        policy: Patience of one call.
        metering: Counts and prices.
        budget: Where the money comes from.
        gate: The model's pace.
        temperature: What is sent with every question; None: nothing, so that the model's own holds.

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
        temperature: float | None = 0.0,
    ) -> None:
        if not provider.is_language_model:
            raise InputError(
                f"{provider.reference} cannot judge: it is no language model. Name another judge "
                "with --judge, or leave the judged scorers out."
            )
        self.provider = provider
        self._temperature = temperature
        self._asker = Asker(provider, policy=policy, metering=metering, budget=budget, gate=gate)

    @property
    def reference(self) -> str:
        return self.provider.reference

    @property
    def identity(self) -> str:
        """What verdicts are kept under: the reference, with the temperature where one was chosen."""
        if self._temperature == 0:
            return self.reference
        return f"{self.reference} at temperature {self._temperature}"

    def ask(self, question: Question, scale: Scale, stopper: Stopper) -> JudgeVerdict:
        """Put a question and read the verdict; an unreadable one may be put right once.

        Raises:
            Failed: The judge did not answer, or its answer broke off.
            Unparseable: It answered twice, and neither answer holds one verdict.
            OutOfBudget: The money for the call is not there.
            NotReached: It was stopped before there was a verdict.
        """
        first = Message("user", question.user)
        said, paid = self._call(question.system, [first], scale, stopper)
        reading = _read(said, scale, question.judged)
        if reading is not None:
            return JudgeVerdict(reading, paid)
        again = [
            first,
            Message("assistant", said.text[:_QUOTED] or "(nothing)"),
            Message("user", _REPAIR),
        ]
        try:
            repaired, more = self._call(question.system, again, scale, stopper)
        except NotReached as exc:
            raise NotReached(paid + exc.paid) from exc
        except NoVerdict as exc:
            # The first answer was paid for whatever became of the second.
            raise Unparseable(paid + exc.paid, _unreadable(said)) from exc
        paid += more
        reading = _read(repaired, scale, question.judged)
        if reading is None:
            raise Unparseable(paid, _unreadable(repaired))
        return JudgeVerdict(reading, paid)

    def _call(
        self, system: str | None, messages: Sequence[Message], scale: Scale, stopper: Stopper
    ) -> tuple[Answer, Paid]:
        request = Request(
            messages=tuple(messages),
            system=system,
            parameters=Parameters(temperature=self._temperature, max_tokens=MAX_VERDICT_TOKENS),
            response_schema=schema(scale),
        )
        paid = self._asker.ask_blocking(request, stopper=stopper)
        if paid.state == "interrupted":
            raise OutOfBudget(paid) if paid.refused_by_budget else NotReached(paid)
        if paid.answer is None or paid.error is not None:
            _, words = in_words(paid.error, self.provider.settings)
            raise Failed(paid, words)
        return paid.answer, paid


_REPAIR = (
    "That cannot be read as one verdict. Give the same verdict once more, as one JSON object of the "
    "form asked for and nothing before or after it."
)


def _read(answer: Answer, scale: Scale, judged: tuple[str, ...]) -> ParsedVerdict | None:
    try:
        return read(answer.text, scale, answer="\n".join(judged))
    except RecursionError:
        # JSON nested deeper than anybody's reader can follow.
        return None


def _unreadable(answer: Answer) -> str:
    shown = " ".join(answer.text.split())[:200] or "nothing"
    return f"the judge's verdict cannot be read; it said: {shown}"
