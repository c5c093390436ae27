"""A process of its own that scores answers in the background; no answer ever waits for it.

The service's database is the queue. What it had begun when it was killed is begun again, as often as a
score may be tried at all: a try is counted before anything is asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from decimal import Decimal

from filelock import FileLock, Timeout

from llmflowlab.asking.budget import Budget
from llmflowlab.asking.calling import policy_from
from llmflowlab.asking.metering import Metering
from llmflowlab.asking.pacing import Gate, limiter_for
from llmflowlab.asking.stopping import Stopper
from llmflowlab.errors import LabError
from llmflowlab.evaluation.answers import AnswerRecord, RowState
from llmflowlab.evaluation.judging import JudgeScorer, build_judged_scorer
from llmflowlab.evaluation.scorers.base import TextScorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.evaluation.scores import Score
from llmflowlab.lab.judges import judge_for
from llmflowlab.lab.lab import Lab
from llmflowlab.process_end import run_to_the_end
from llmflowlab.providers.factory import parse_reference
from llmflowlab.service.scoring.judge_exams import exam_of
from llmflowlab.service.scoring.online_scorers import OnlineScoring, row_of
from llmflowlab.service.spending import DayBudget
from llmflowlab.service.store.allowances import until_tomorrow
from llmflowlab.service.store.desk import Desk
from llmflowlab.service.store.online_scores import (
    WaitingScore,
    claim_scores,
    give_back,
    keep_score,
    let_claims_go,
)
from llmflowlab.service.store.served_turns import turns_of
from llmflowlab.service.store.service_database import Engine, address_of, opened, writing
from llmflowlab.settings import Settings, load_settings
from llmflowlab.tracking.records import TurnRecord

__all__ = ["AnswerScorer", "answer_of", "main"]

TRIES = 3
"""How often a score is tried before it stays without a value."""
_AGAIN = (60.0, 600.0)
"""Seconds before the second and the third try."""
_GIVEN_UP = 1800.0
"""Seconds after which another may take what was begun; a judge's call with its retries ends before."""
_ANSWERED_IN = 600.0
"""Seconds that a verdict may take at the most: two of them, retries included, end before it is given up."""
_LOOK = 1.0
_LAST, _GIVEN = 10.0, 3.0
"""Seconds that judges under way have when the service ends, and then to be given up."""
_PASSING = frozenset(
    {"judge_failed", "judge_unparseable", "scorer_failed", "budget_exhausted", "not_reached"}
)
"""Reasons that another try may do away with."""


@dataclass(frozen=True, slots=True)
class _Task:
    waiting: WaitingScore
    deployment: str
    turn: TurnRecord


class AnswerScorer:
    """Takes what waits, scores it and keeps the scores.

    Args:
        lab: The parts.
        engine: The database.
        scoring: By what.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        lab: Lab,
        engine: Engine,
        scoring: OnlineScoring,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._stopper = Stopper()
        self._desk = Desk(engine)
        self._exams: dict[str, str] = {}
        self._guidelines = {each.spec.name: each.guidelines for each in scoring.scorers}
        self._scorers = self._built(lab, scoring)
        self._room = lab.settings.concurrency
        self._pool = ThreadPoolExecutor(self._room, thread_name_prefix="score")
        self._open: dict[Future[Score], _Task] = {}

    def _built(self, lab: Lab, scoring: OnlineScoring) -> Mapping[str, TextScorer | JudgeScorer]:
        cap, budget = scoring.daily_usd, Budget(None)
        if cap is not None:
            budget = DayBudget(self._desk, cap, secrets.token_hex(12), purpose="scores")
        metering, policy = Metering(lab.counter, lab.prices), policy_from(lab.settings)
        policy = replace(policy, answer_timeout=min(policy.answer_timeout, _ANSWERED_IN))
        gates: dict[str, Gate] = {}
        found: dict[str, TextScorer | JudgeScorer] = {}
        for each in scoring.scorers:
            name = each.spec.name
            if each.spec.kind in TEXT_KINDS:
                found[name] = build_text_scorer(each.spec)
                continue
            assert each.judge is not None
            provider = parse_reference(each.judge).provider
            gate = gates.setdefault(
                provider, limiter_for(provider, lab.settings, lab.settings.concurrency)
            )
            judge = judge_for(
                lab, each.judge, policy=policy, metering=metering, budget=budget, gate=gate
            )
            how = build_judged_scorer(each.spec, judge)
            assert isinstance(how, JudgeScorer), "preference is refused before"
            found[name] = how
            self._exams[name] = exam_of(lab, name, judge.reference)
        return found

    def begin(self) -> None:
        """Take up what an earlier process had begun; only one works on a file of this machine.

        Raises:
            TrackingError: The database failed.
        """
        if self._engine.dialect.name == "sqlite":
            with writing(self._engine) as connection:
                let_claims_go(connection, self._now_ms())

    def step(self, patience: float) -> int:
        """Take what there is room for, and keep what is there; returns how many scores were kept.

        Args:
            patience: Seconds to wait for a score that is being given.

        Raises:
            TrackingError: The database failed; what was given is kept at the next step.
        """
        if not self._stopper.stopped:
            self._take()
        done, _ = wait(self._open, patience, FIRST_COMPLETED) if self._open else (set(), None)
        return self._keep(done)

    @property
    def busy(self) -> bool:
        """Whether scores are being given."""
        return bool(self._open)

    def end(self, seconds: float) -> None:
        """Take nothing more; what is not there after so many seconds is given up and given back.

        Raises:
            TrackingError: The database failed.
        """
        self._stopper.stop()
        try:
            self._keep(wait(self._open, seconds).done)
            self._stopper.abandon()
            self._keep(wait(self._open, _GIVEN).done)
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._desk.close()

    def _take(self) -> None:
        room = self._room - len(self._open)
        if room <= 0:
            return
        now = self._now_ms()
        with writing(self._engine) as connection:
            claimed = claim_scores(
                connection,
                list(self._scorers),
                most=room,
                now_ms=now,
                until_ms=now + int(_GIVEN_UP * 1000),
            )
            turns = turns_of(connection, [each.trace_id for each in claimed])
        for each in claimed:
            deployment, turn = turns[each.trace_id]
            task = _Task(each, deployment, turn)
            self._open[self._pool.submit(self._score, task)] = task

    def _score(self, task: _Task) -> Score:
        waiting, how = task.waiting, self._scorers[task.waiting.scorer]
        if waiting.tries > TRIES:
            return waiting.before or Score(
                scorer=waiting.scorer,
                not_scored="scorer_failed",
                rationale=f"Whatever scored it ended {TRIES} times before it was done.",
            )
        row = row_of(
            task.turn.prompt,
            id_=task.turn.trace_id,
            guidelines=self._guidelines[waiting.scorer],
        )
        try:
            if isinstance(how, JudgeScorer):
                return how.score(row, answer_of(task.turn), self._stopper)
            return how.score(row, answer_of(task.turn))
        except Exception as exc:  # noqa: BLE001 - it befalls this answer, and must not end the others
            return Score(
                scorer=waiting.scorer,
                not_scored="judge_failed" if isinstance(how, JudgeScorer) else "scorer_failed",
                rationale=f"Something unexpected went wrong ({type(exc).__name__}).",
            )

    def _keep(self, done: set[Future[Score]]) -> int:
        if not done:
            return 0
        now, back, kept = self._now_ms(), [], 0
        with writing(self._engine) as connection:
            found = [(self._open[future], future.result()) for future in done]
            # In one order everywhere, so that no two who keep scores wait for each other.
            for task, score in sorted(found, key=lambda each: (each[0].deployment, each[1].scorer)):
                if score.not_scored == "not_reached" and score.judge is None:
                    # Nothing was sent.
                    back.append(task.waiting.number)
                    continue
                kept += keep_score(
                    connection,
                    task.waiting.number,
                    _with_earlier(score, task.waiting),
                    deployment=task.deployment,
                    judge_exam=self._exams.get(score.scorer),
                    now_ms=now,
                    again_ms=self._again_ms(score, task.waiting.tries, now),
                )
            give_back(connection, back, now)
        for future in done:
            del self._open[future]
        return kept

    def _again_ms(self, score: Score, tries: int, now_ms: int) -> int | None:
        if score.not_scored not in _PASSING or tries >= TRIES:
            return None
        if score.not_scored == "not_reached":
            return now_ms
        if score.not_scored == "budget_exhausted":
            return now_ms + int(until_tomorrow(now_ms / 1000) * 1000)
        return now_ms + int(_AGAIN[tries - 1] * 1000)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _with_earlier(score: Score, waiting: WaitingScore) -> Score:
    """Return a score that has cost what its earlier tries did as well."""
    before = waiting.before
    if before is None or before is score or before.judge is None:
        return score
    if score.judge is None:
        return replace(score, cost_usd=before.cost_usd, judge=before.judge)
    if score.cost_usd is None or before.cost_usd is None:
        return replace(score, cost_usd=None)
    return replace(score, cost_usd=str(Decimal(score.cost_usd) + Decimal(before.cost_usd)))


_STATES: Mapping[str, RowState] = {
    "complete": "complete",
    "interrupted": "incomplete",
    "incomplete": "incomplete",
    "failed": "failed",
    "blocked": "blocked",
}


def answer_of(turn: TurnRecord) -> AnswerRecord:
    """Return a served answer as an evaluation has it; one that a client left is none that is whole."""
    return AnswerRecord(
        text=turn.answer,
        state=_STATES[turn.state],
        reason=turn.error_reason,
        error=turn.error,
        started_ms=turn.started_ms,
        prompt_tokens=turn.prompt_tokens,
        completion_tokens=turn.completion_tokens,
        cost_usd=turn.cost_usd,
        latency=turn.inference_time,
        finish_reason=turn.finish_reason,
        model_version=turn.model_version,
    )


def _work(
    settings: Settings, scoring: OnlineScoring, ending: threading.Event, tell: Callable[[str], None]
) -> None:
    engine = opened(address_of(settings))
    scorer = AnswerScorer(Lab(settings), engine, scoring)
    begun, last_said = False, ""
    try:
        while not ending.is_set():
            try:
                if not begun:
                    scorer.begin()
                    begun = True
                if scorer.step(_LOOK) == 0 and not scorer.busy:
                    ending.wait(_LOOK)
                last_said = ""
            except LabError as exc:
                if exc.message != last_said:
                    tell(f"{exc.message.rstrip('.')}; answers are scored later.")
                last_said = exc.message
                ending.wait(_LOOK)
    finally:
        with contextlib.suppress(LabError):
            scorer.end(_LAST)
        engine.dispose()


def main() -> None:
    """Score until standard input ends: with the service, however that ended."""
    settings = load_settings(stdin_is_terminal=False)
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(19)
    first = sys.stdin.readline()
    if not first:
        return
    scoring = OnlineScoring.from_json(json.loads(first))
    ending = threading.Event()

    def until_the_end() -> None:
        sys.stdin.read()
        ending.set()

    threading.Thread(target=until_the_end, name="parent", daemon=True).start()

    def tell(sentence: str) -> None:
        sys.stderr.write(sentence + "\n")
        sys.stderr.flush()

    # A service that was killed leaves its own at work for a moment.
    lock = FileLock(settings.state_dir / "service-scoring.lock")
    while not ending.is_set():
        try:
            lock.acquire(timeout=_LOOK)
        except Timeout:
            continue
        try:
            _work(settings, scoring, ending, tell)
        except Exception as exc:
            tell(f"Scoring of answers ended unexpectedly ({type(exc).__name__}: {exc}).")
            raise SystemExit(1) from exc
        finally:
            lock.release()


if __name__ == "__main__":
    run_to_the_end(main)
