"""10,000 schedules of paid calls under a budget, played on a clock that costs no time.

`python -m benchmarks.torture.schedules [SCHEDULES] [SEED]`: candidates, judges and embeddings of random
tempers share one budget; somebody presses Ctrl-C, raises the budget, goes on later. However servers
behave: nothing is reserved over the budget, the servers' own bill stays below it, and what was told to
have been spent is what was charged, and no less than the bill.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks.torture.vendor import TEMPERS, Vendor, metering
from benchmarks.torture.virtual_time import play
from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import CallPolicy
from llmflowlab.asking.pacing import Limiter, Pacer
from llmflowlab.asking.paid import Asker, Paid
from llmflowlab.asking.stopping import Stopper
from llmflowlab.messages import Message, Parameters, Request

__all__ = ["Schedule"]

_POLICY = CallPolicy(
    first_token_timeout=20.0, token_timeout=10.0, answer_timeout=90.0, max_retry_seconds=60.0
)


@dataclass
class Schedule:
    """One evaluation with its budget, as chance would have it.

    Args:
        seed: Chooses everything.
    """

    seed: int
    faults: list[str] = field(default_factory=list)
    """What must not be, in words."""
    calls: Counter[str] = field(default_factory=Counter)
    """Calls by what became of them."""

    def __post_init__(self) -> None:
        self._rng = rng = random.Random(self.seed)
        self._vendors = [Vendor(rng, rng.choice(list(TEMPERS))) for _ in range(rng.randint(1, 4))]
        self._told = Decimal(0)
        self._interrupted = False
        tokens = rng.choice([16, 200, 4000])
        self._request = Request(
            messages=(Message("user", "why? " * rng.randint(1, 60)),),
            parameters=Parameters(max_tokens=tokens),
        )
        worst = metering().worst_case(self._vendors[0], self._request) or Decimal(0)
        self._budget = Budget(worst * rng.randint(1, 400) / 20)

    def play(self) -> None:
        """Play it, and again where it was interrupted, with what is left of the money."""
        play(self._evaluate, self._rng)
        if self._interrupted:
            # What was under way is charged by what came of it; the vendors may bill more, once.
            spent = self._budget.spent
            assert self._budget.cap is not None
            self._budget = Budget(self._budget.cap, spent=spent)
            for vendor in self._vendors:
                vendor.billed = Decimal(0)
            self._before, self._interrupted = spent, False
            play(self._evaluate, self._rng)

    _before = Decimal(0)
    """What was spent before the interruption."""

    async def _evaluate(self) -> None:
        rng, stopper = self._rng, Stopper()
        workers = []
        for vendor in self._vendors:
            pacer = Pacer(rng.randint(1, 8), requests_per_minute=rng.choice([None, None, 30.0]))
            asker = Asker(
                vendor,
                policy=_POLICY,
                metering=metering(),
                budget=self._budget,
                gate=Limiter(pacer) if rng.random() < 0.7 else None,
            )
            workers += [self._work(asker, stopper) for _ in range(rng.randint(1, 6))]
        events = asyncio.ensure_future(self._meanwhile(stopper))
        await asyncio.gather(*workers)
        events.cancel()
        self._look_at_the_end()

    async def _work(self, asker: Asker, stopper: Stopper) -> None:
        """A worker of a candidate, or of its judges, or of embeddings: one call after another."""
        rng = self._rng
        embeds = rng.random() < 0.15
        for _ in range(rng.randint(1, 5)):
            if embeds:
                paid = (await asker.embed(["red", "blue"], stopper=stopper)).paid
            else:
                paid = await asker.ask(self._request, on_try=self._look, stopper=stopper)
            self.calls["refused by budget" if paid.refused_by_budget else paid.state] += 1
            self._tell(paid)

    async def _meanwhile(self, stopper: Stopper) -> None:
        """Ctrl-C once, perhaps twice; or somebody gives more money."""
        rng = self._rng
        if rng.random() < 0.3:
            await asyncio.sleep(rng.uniform(0.0, 60.0))
            assert self._budget.cap is not None
            self._budget.raise_to(self._budget.cap * 2)
        if rng.random() < 0.4:
            await asyncio.sleep(rng.uniform(0.0, 60.0))
            stopper.stop()
            if rng.random() < 0.5:
                await asyncio.sleep(rng.uniform(0.0, 5.0))
                self._interrupted = True
                stopper.abandon()

    def _tell(self, paid: Paid) -> None:
        if paid.spent is None:
            self.faults.append("a call's cost is unknown, though its price is not")
        self._told += paid.known
        self._look()

    def _look(self, begun: bool = False) -> None:
        cap = self._budget.cap
        assert cap is not None
        if self._budget.committed > cap:
            self.faults.append(f"{self._budget.committed} of {cap} USD are spent and reserved")
        if self._billed > cap:
            self.faults.append(f"a bill of {self._billed} under a budget of {cap} USD")

    @property
    def _billed(self) -> Decimal:
        return self._before + sum((vendor.billed for vendor in self._vendors), Decimal(0))

    def _look_at_the_end(self) -> None:
        spent = self._budget.spent
        self._look()
        if self._budget.committed != spent:
            self.faults.append(f"{self._budget.committed - spent} USD are reserved for nobody")
        if self._told != spent:
            self.faults.append(f"{self._told} USD were told, {spent} charged")
        if not self._interrupted and self._billed > spent:
            self.faults.append(f"a bill of {self._billed}, of which {spent} USD were charged")


def main(schedules: int = 10_000, seed: int = 1) -> int:
    began, calls, faulty = time.monotonic(), Counter[str](), 0
    for number in range(seed, seed + schedules):
        schedule = Schedule(number)
        schedule.play()
        calls += schedule.calls
        faulty += bool(schedule.faults)
        for words in schedule.faults[:2] if faulty <= 20 else ():
            print(f"  schedule {number}: {words}", flush=True)
    told = ", ".join(f"{count:,} {state}" for state, count in calls.most_common())
    seconds = time.monotonic() - began
    print(f"{schedules:,} schedules, {faulty} at fault; calls: {told}; {seconds:.0f} s")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main(*(int(each) for each in sys.argv[1:])))
