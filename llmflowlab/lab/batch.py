"""A file of requests answered with a registered version, by the engine that answers evaluations.

So a batch keeps the provider's pace, stops before its budget, and has every answer on disk before it
counts. Its journal, a ledger of its own beside the output, goes once the output is written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import limiter_for
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import ConfigurationError, InputError
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.run.answering import DEFAULT_MAX_TOKENS, Answering
from llmflowlab.evaluation.run.ledger import Ledger
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.reuse import reusable_answers
from llmflowlab.evaluation.run.steering import Adjustment, known_budget, note
from llmflowlab.lab.batch_journal import journal_of, open_journal
from llmflowlab.lab.batch_rows import ENDINGS, BatchRow, read_requests, write_answers
from llmflowlab.lab.evaluation_bench import patient_policy
from llmflowlab.lab.evaluation_request import RayRequest
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.model_registry import Registry, Version
from llmflowlab.messages import Parameters
from llmflowlab.providers.base import Provider
from llmflowlab.text.digests import digest_of

__all__ = [
    "BatchRequest",
    "BatchResult",
    "PreparedBatch",
    "prepare_batch",
    "run_batch",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRequest:
    """Which file, answered by whom, written where."""

    version: str
    """`NAME/VERSION` or `NAME@ALIAS`."""
    input: Path
    output: Path
    concurrency: int | None = None
    """Calls in flight; None means as the settings say."""
    budget: Decimal | None = None
    """USD in all; None limits nothing, or keeps what a batch that is gone on with had."""
    force: bool = False
    """Whether an output that exists may be replaced."""
    ray: RayRequest | None = None
    """None: in this process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBatch:
    """A batch that can be run, and what is worth saying before."""

    request: BatchRequest
    version: Version
    rows: Sequence[BatchRow]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What came of a batch."""

    rows: int
    answered: int
    failed: int
    """Rows that cannot be used and those whose call failed."""
    unreached: int
    """Rows that the budget did not reach; the same command with a larger one asks them."""
    resumed: int
    """Rows that an earlier run had answered."""
    cost: Decimal | None
    """USD of the batch so far, failed tries included; None where a price is unknown."""
    output: Path


def prepare_batch(lab: Lab, request: BatchRequest) -> PreparedBatch:
    """Check everything that can be checked before the version is loaded.

    Raises:
        InputError: A file cannot be used, or there is no such version.
        TrackingError: The registry cannot be asked.
    """
    output = request.output
    if output.suffix.lower() not in ENDINGS:
        raise InputError(f"{output} must end in .csv or .jsonl.")
    if output.exists() and not journal_of(output).exists() and not request.force:
        raise InputError(f"{output} exists; name another, or give --force to write over it.")
    rows, remarks = read_requests(request.input)
    version = Registry(lab).find(request.version)
    return PreparedBatch(request=request, version=version, rows=rows, remarks=remarks)


def run_batch(lab: Lab, prepared: PreparedBatch, tick: Callable[[int], None]) -> BatchResult:
    """Answer every request and write the output.

    Ctrl-C stops sending, lets what is in flight finish, and leaves: the same command goes on there.

    Args:
        lab: The parts.
        prepared: The batch.
        tick: Told now and then how many rows are done.

    Raises:
        InputError: The journal belongs to another batch, or another process writes to it.
        ConfigurationError: There is a budget, and the version has no known price.
        TrackingError: The version cannot be loaded, or journal or output cannot be written.
        KeyboardInterrupt: At Ctrl-C.
    """
    provider = lab.provider(f"mlflow:{prepared.version.reference}")
    with closing(provider):
        provider.prepare()
        if prepared.request.budget is not None:
            # Before the journal is begun, which would remember the budget.
            _require_price(lab, provider)
        with open_journal(prepared.request.output) as journal:
            result = _run(lab, prepared, provider, journal.ledger, tick)
            journal.done = not result.unreached
    return result


def _require_price(lab: Lab, provider: Provider) -> None:
    if lab.prices.cost(*provider.priced_as, 1, 1) is None:
        raise ConfigurationError(
            f"A budget needs prices, and none is known for {provider.reference}; add it to "
            "prices.json."
        )


def _run(
    lab: Lab,
    prepared: PreparedBatch,
    provider: Provider,
    ledger: Ledger,
    tick: Callable[[int], None],
) -> BatchResult:
    request = prepared.request
    usable = [row for row in prepared.rows if row.conversation is not None]
    unusable = len(prepared.rows) - len(usable)
    plan = _plan(prepared, provider, usable, ledger)
    cap = known_budget(ledger, plan.evaluation_id)
    concurrency = request.concurrency or lab.settings.concurrency
    if request.ray is not None:
        # Imported here: most batches run on this machine alone.
        from llmflowlab.lab.cluster_batch import answered_on_cluster

        found = answered_on_cluster(
            lab,
            request.ray,
            plan,
            cap=cap,
            concurrency=concurrency,
            tick=lambda done: tick(done + unusable),
        )
        if found.interrupted:
            raise KeyboardInterrupt
        answers = {usable[row].number: record for row, record in found.answers.items()}
        write_answers(prepared.rows, answers, request.output)
        return _result(prepared, answers, resumed=found.before, spent=found.spent)
    kept = reusable_answers(plan, ledger)
    answering = Answering(
        plan,
        [provider],
        ledger,
        limiters=[limiter_for(provider.name, lab.settings, concurrency)],
        concurrency=concurrency,
        policy=patient_policy(lab.settings),
        metering=Metering(lab.counter, lab.prices),
        reused=kept,
        budget=Budget(cap, spent=ledger.spent(plan.evaluation_id)),
    )

    def show() -> None:
        tick(answering.progress[0].done + unusable)

    show()
    answering.start()
    try:
        answering.join(show)
    except KeyboardInterrupt:
        answering.stop()
        answering.join(show)
        raise
    show()
    had = {**kept, **answering.answers}
    answers = {usable[cell.row].number: record for cell, record in had.items()}
    write_answers(prepared.rows, answers, request.output)
    return _result(prepared, answers, resumed=len(kept), spent=ledger.spent(plan.evaluation_id))


def _plan(
    prepared: PreparedBatch, provider: Provider, usable: Sequence[BatchRow], ledger: Ledger
) -> EvaluationPlan:
    """Return what is to be asked: what the journal holds, where there is one.

    Raises:
        InputError: The journal belongs to another batch, or was begun without a budget.
    """
    request, version = prepared.request, prepared.version
    said = [row.conversation.to_json() if row.conversation else None for row in prepared.rows]
    name = "batch-" + digest_of([version.reference, said])[:16]
    begun = ledger.evaluations()
    if begun and begun[0].id != name:
        raise InputError(
            f"{ledger.path} belongs to a batch of other rows or another version "
            f"({begun[0].plan['candidates'][0]['model'].partition(':')[2]}); finish that one, or "
            "delete the file."
        )
    if not begun:
        # Under a budget every answer has a greatest length, so that its worst case is known.
        longest = None if request.budget is None else DEFAULT_MAX_TOKENS
        candidate = Candidate(
            model=provider.reference,
            display_name=provider.display_name,
            supplier=provider.supplier,
            parameters=Parameters(max_tokens=longest),
        )
        plan = EvaluationPlan(
            evaluation_id=name,
            dataset=_dataset(request.input, usable),
            candidates=(candidate,),
            scorers=(),
            judge=None,
        )
        ledger.begin(plan, datetime.now().strftime("%Y-%m-%d %H:%M:%S"))
    plan = ledger.plan(name)
    if request.budget is not None:
        if plan.candidates[0].parameters.max_tokens is None:
            raise InputError(
                f"{ledger.path} was begun without a budget, so its answers may have any length and "
                "none can be held; leave --budget out, or delete the file."
            )
        note(ledger, name, Adjustment(budget=request.budget))
    return plan


def _dataset(file: Path, usable: Sequence[BatchRow]) -> Dataset:
    rows = [
        Row(
            index=index,
            line=None,
            id=str(row.number),
            question=row.conversation.question,
            conversation=row.conversation,
            source={},
        )
        for index, row in enumerate(usable)
        if row.conversation is not None
    ]
    return Dataset(
        name=file.stem,
        rows=tuple(rows),
        digest=digest_of([row.conversation.to_json() for row in rows if row.conversation]),
        path=file,
        columns=(),
    )


def _result(
    prepared: PreparedBatch, answers: dict[int, AnswerRecord], *, resumed: int, spent: Decimal
) -> BatchResult:
    whole = [record for record in answers.values() if record.answered]
    unreached = sum(record.state == "budget_exhausted" for record in answers.values())
    return BatchResult(
        rows=len(prepared.rows),
        answered=len(whole),
        failed=len(prepared.rows) - len(whole) - unreached,
        unreached=unreached,
        resumed=resumed,
        cost=None if any(record.cost is None for record in whole) else spent,
        output=prepared.request.output,
    )
