"""The use-cases of a canary: begin one, have rounds asked, say what they tell."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import load_dataset, sample, subset
from llmflowlab.data.shipped import named_file, shipped_benchmark
from llmflowlab.errors import InputError, ProviderError
from llmflowlab.lab.lab import Lab
from llmflowlab.messages import Parameters
from llmflowlab.monitoring.canary_asking import opened_asking
from llmflowlab.monitoring.canary_plan import DAY, Canary, SuiteQuestion
from llmflowlab.monitoring.canary_power import samples_needed
from llmflowlab.monitoring.canary_rounds import ask_round
from llmflowlab.monitoring.canary_search import BudgetEnded, find_choices
from llmflowlab.monitoring.canary_store import CanaryFolder
from llmflowlab.monitoring.canary_verdict import CanaryVerdict, verdict, weighed
from llmflowlab.providers.redact import refuse_secrets

__all__ = ["Begun", "CanaryRequest", "RoundAsked", "begin_canary", "run_rounds"]

_SEED = 7
"""Of which questions are drawn from a benchmark: the same ones every time."""
_FEWEST, _MOST = 12, 24
"""Rounds of learning and baseline together: a day of hours, or a dozen where rounds are rarer."""
_USUAL_SAMPLES = 144
"""Of a baseline that cannot reach the power that is wished for, whatever its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryRequest:
    """What is wished for."""

    name: str
    model: str
    system: str | None = None
    suite: Path | None = None
    """Questions with known answers; None for the benchmark that comes with the lab."""
    questions: int = 10
    """0 leaves the second layer out."""
    prompts: int = 32
    """0 leaves the first layer out."""
    every: float = 3_600.0
    tolerance: float = 0.05
    alpha: float = 0.01
    budget: Decimal | None = None
    again: bool = False
    """Whether one of that name is set aside."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A canary that was begun."""

    canary: Canary
    sure: bool
    """Whether its baseline is large enough to notice a swapped model within 10 samples of each prompt."""
    spent: Decimal | None
    """USD of the search; None where a part of it is unknown."""
    kept: Path | None
    """Where an earlier one of that name stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundAsked:
    """A round that is on disk, and what is said after it."""

    number: int
    failed: int
    asked: int
    why: str | None
    spent: Decimal | None
    """USD of this command so far; None where a part of it is unknown."""
    verdict: CanaryVerdict


def begin_canary(
    lab: Lab, request: CanaryRequest, *, tick: Callable[[int], None] = lambda found: None
) -> Begun:
    """Choose the suite and keep it.

    Args:
        lab: The parts.
        request: What is wished for.
        tick: Told how many border prompts were found.

    Raises:
        InputError: There is one of that name, a file or value cannot be used, or nothing is left to ask.
        ConfigurationError: There is a budget without prices, or the model lacks something.
        ProviderError: The model answers nothing.
        TrackingError: The home does not take it.
    """
    folder = CanaryFolder(lab.settings, request.name)
    with folder.alone():
        if folder.exists and not request.again:
            raise InputError(
                f"There is a canary {request.name} already; --again begins anew and keeps the old one's files, "
                "--name gives this one another name."
            )
        if request.system is not None:
            refuse_secrets(request.system, lab.settings, "A system prompt")
        questions = _questions(request)
        candidate = _candidate(lab, request)
        with opened_asking(lab, candidate, budget=request.budget) as asking:
            try:
                choices = (
                    find_choices(asking, request.prompts, tick=tick) if request.prompts else ()
                )
            except BudgetEnded as exc:
                raise InputError(
                    "The budget did not last for the search of border prompts; raise --budget, or lower "
                    "--prompts."
                ) from exc
            spent = asking.spent
        if not choices and not questions:
            raise InputError(
                f"{candidate.model} has no border prompts among those that are tried, and there is no suite; "
                "give --questions more than 0."
            )
        rounds = min(_MOST, max(_FEWEST, round(DAY / request.every)))
        canary = Canary(
            candidate=candidate,
            choices=choices,
            questions=questions,
            every=request.every,
            alpha=request.alpha,
            tolerance=request.tolerance,
            learning=rounds // 3,
            baseline=rounds - rounds // 3,
            samples=1,
        )
        needed = None
        if choices:
            log_needed = -math.log(canary.share("words"))
            needed = samples_needed(len(choices), canary.tolerance, log_needed, canary.horizon)
            samples = math.ceil((needed or _USUAL_SAMPLES) / rounds)
            canary = replace(canary, samples=samples)
        kept = folder.begin(canary)
    return Begun(canary=canary, sure=needed is not None, spent=spent, kept=kept)


def _candidate(lab: Lab, request: CanaryRequest) -> Candidate:
    provider = lab.provider(request.model)
    try:
        return Candidate(
            model=provider.reference,
            display_name=provider.display_name,
            supplier=provider.supplier,
            system=request.system,
            parameters=Parameters(),
            weights=provider.weights,
        )
    finally:
        provider.close()


def _questions(request: CanaryRequest) -> tuple[SuiteQuestion, ...]:
    if not request.questions:
        return ()
    file = shipped_benchmark() if request.suite is None else named_file(request.suite)
    if file is None:
        raise InputError("The benchmark of the lab is not there; name a file with --suite.")
    dataset = load_dataset(file)
    usable = [
        place
        for place, row in enumerate(dataset.rows)
        if row.expected is not None and row.conversation is None
    ]
    if not usable:
        raise InputError(f"{file} has no question with a known answer; name another with --suite.")
    drawn = sample(subset(dataset, usable), request.questions, _SEED)
    return tuple(
        SuiteQuestion(
            id=row.id,
            question=row.question,
            expected=(row.expected or "", *row.alternatives),
            language=row.language,
        )
        for row in drawn.rows
    )


def run_rounds(
    lab: Lab,
    name: str,
    *,
    budget: Decimal | None = None,
    tick: Callable[[int, int], None] = lambda done, of: None,
    clock: Callable[[], float] = time.time,
) -> Generator[RoundAsked | ProviderError, None, None]:
    """Ask round after round, one at each step of the iterator; each is on disk when it is yielded.

    It ends where the budget does not allow another round. A round of which no call brought an answer counts
    for nothing, and is yielded as its error: the next step tries again.

    Args:
        lab: The parts.
        name: The canary's.
        budget: USD that all rounds of this iterator may cost together.
        tick: Told how many calls of a round are done, and of how many.
        clock: Seconds since the epoch.

    Raises:
        InputError: There is no such canary, or another process runs it.
        ConfigurationError: There is a budget without prices, or the model lacks something.
        TrackingError: The home does not take the round.
    """
    folder = CanaryFolder(lab.settings, name)
    canary = folder.canary()
    with folder.alone(), opened_asking(lab, canary.candidate, budget=budget) as asking:
        rounds = folder.rounds()
        while True:
            watching = canary.phase(len(rounds)) == "watching"
            samples = 1 if watching else canary.samples
            calls = len(canary.choices) * samples + len(canary.questions)
            done = 0

            def count(calls: int = calls) -> None:
                nonlocal done
                done += 1
                tick(min(done, calls), calls)

            try:
                asked = ask_round(
                    asking, canary, samples=samples, at_ms=int(clock() * 1000), tick=count
                )
            except ProviderError as exc:
                yield exc
                continue
            if asked is None:
                return
            asked = weighed(canary, rounds, asked)
            folder.append(asked)
            rounds.append(asked)
            yield RoundAsked(
                number=len(rounds),
                failed=asked.failed,
                asked=asked.asked,
                why=asked.why,
                spent=asking.spent,
                verdict=verdict(canary, rounds),
            )
