"""Has a canary's answers: concurrently, within the model's pace and the person's budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import limiter_for
from llmflowlab.asking.paid import Asker
from llmflowlab.asking.stopping import Stopper
from llmflowlab.candidate import Candidate
from llmflowlab.errors import ConfigurationError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Message, Parameters

__all__ = ["CanaryAsking", "HeardAnswer", "opened_asking"]

_WORD = Parameters(temperature=1.0, max_tokens=3)
"""A word in tokens. No seed: what is looked at is how answers vary."""
_ANSWER = Parameters(max_tokens=200)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeardAnswer:
    """An answer, and what the provider told beside it."""

    record: AnswerRecord
    fingerprint: str | None = None
    token_chances: tuple[tuple[str, float], ...] = ()
    """As in `Finished`."""


class CanaryAsking:
    """One candidate, ready to be asked; a context is opened by `opened_asking`.

    Args:
        lab: The parts.
        candidate: Who is asked.
        asker: Its door.
        concurrency: Calls in flight.
    """

    def __init__(self, lab: Lab, candidate: Candidate, asker: Asker, concurrency: int) -> None:
        self._lab = lab
        self._candidate = candidate
        self._asker = asker
        self._concurrency = concurrency
        self._unpriced = False

    @property
    def provider(self) -> str:
        """The name of who is asked."""
        return self._asker.provider.name

    @property
    def spent(self) -> Decimal | None:
        """USD spent so far; None as soon as a part of it is unknown."""
        return None if self._unpriced else self._asker.budget.spent

    def words(
        self, prompts: Sequence[str], tick: Callable[[], None] = lambda: None
    ) -> list[HeardAnswer]:
        """Ask for a word each, and how likely it was; the answers stand in the order of the prompts.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed; nothing more is sent.
        """
        return self._all(prompts, _WORD, tick)

    def answers(
        self, questions: Sequence[str], tick: Callable[[], None] = lambda: None
    ) -> list[HeardAnswer]:
        """Ask for whole answers, as `words` does."""
        return self._all(questions, _ANSWER, tick)

    def _all(
        self, texts: Sequence[str], parameters: Parameters, tick: Callable[[], None]
    ) -> list[HeardAnswer]:
        stopper = Stopper()

        def one(text: str) -> HeardAnswer:
            began = _now_ms()
            request = self._candidate.request((Message("user", text),), parameters=parameters)
            request = replace(request, token_chances=parameters is _WORD)
            paid = self._asker.ask_blocking(request, stopper=stopper)
            tick()
            record = AnswerRecord.of(
                paid, began_ms=began, ended_ms=_now_ms(), settings=self._lab.settings
            )
            self._unpriced = self._unpriced or record.spent is None
            if paid.answer is None:
                return HeardAnswer(record=record)
            return HeardAnswer(
                record=record,
                fingerprint=paid.answer.fingerprint,
                token_chances=paid.answer.token_chances,
            )

        with ThreadPoolExecutor(self._concurrency) as pool:
            pending = [pool.submit(one, text) for text in texts]
            try:
                return [each.result() for each in pending]
            except BaseException:
                stopper.abandon()
                pool.shutdown(wait=False, cancel_futures=True)
                raise


@contextmanager
def opened_asking(
    lab: Lab, candidate: Candidate, *, budget: Decimal | None
) -> Iterator[CanaryAsking]:
    """Open a candidate's provider.

    Args:
        lab: The parts.
        candidate: Who is asked.
        budget: USD that all calls together may cost; None limits nothing.

    Raises:
        ConfigurationError: There is a budget, and no price is known.
        InputError, NotConfigured: The provider cannot be used.
    """
    provider = lab.provider(candidate.model)
    try:
        if budget is not None and lab.prices.cost(*provider.priced_as, 1, 1) is None:
            raise ConfigurationError(
                f"A budget needs prices, and none is known for {provider.reference}; add it to "
                "prices.json."
            )
        concurrency = lab.settings.concurrency
        asker = Asker(
            provider,
            policy=policy_from(lab.settings),
            metering=Metering(lab.counter, lab.prices),
            budget=Budget(budget),
            gate=limiter_for(provider.name, lab.settings, concurrency),
        )
        yield CanaryAsking(lab, candidate, asker, concurrency)
    finally:
        provider.close()


def _now_ms() -> int:
    return int(time.time() * 1000)
