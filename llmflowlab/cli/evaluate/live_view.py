"""How far an evaluation is, while it runs: a table in a terminal, now and then a line elsewhere."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal

from llmflowlab.cli.evaluate.controls import Controls
from llmflowlab.cli.formatting import dollars
from llmflowlab.cli.ui.screen import LiveDisplay, Screen, Table
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.standing import InterimScore
from llmflowlab.evaluation.run.answering import CandidateProgress
from llmflowlab.evaluation.run.engine import EvaluationSnapshot
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.run.scoring import JudgingProgress
from llmflowlab.evaluation.run.steering import Steering
from llmflowlab.lab.evaluate import PreparedEvaluation, run

__all__ = ["LiveView", "duration", "standing_text", "watched"]

_WINDOW = 20.0
"""Seconds over which the rate is taken, so that it follows what happens now."""


def watched(screen: Screen, prepared: PreparedEvaluation) -> EvaluationResult:
    """Run a prepared evaluation under a view of how far it is."""
    cluster = prepared.cluster
    try:
        with screen.live() as display:
            fixed = cluster is not None
            result = run(prepared, LiveView(prepared.plan, prepared.steering, display, fixed=fixed))
    except KeyboardInterrupt:
        if cluster is not None and (said := cluster.left(prepared.plan.evaluation_id)) is not None:
            screen.note(said)
        raise
    for sentence in prepared.told():
        screen.note(sentence)
    return result


class LiveView:
    """Shows snapshots, and hears keys, about as often as the display can use.

    Args:
        plan: The evaluation.
        steering: Its wheel.
        display: Where it is shown.
        fixed: Whether nothing of it can be changed while it runs, as on a cluster.
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        plan: EvaluationPlan,
        steering: Steering,
        display: LiveDisplay,
        *,
        fixed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._steering = steering
        self._display = display
        self._controls = Controls(steering, fixed=fixed)
        self._clock = clock
        self._rates = [_Rate() for _ in plan.candidates]
        self._due = clock() + (display.every if display.every > 1 else 0.0)
        self._detail = ""

    def __call__(self, snapshot: EvaluationSnapshot) -> None:
        """Take note of a snapshot and show it where that is due.

        Raises:
            KeyboardInterrupt: The person pressed `q`.
        """
        now = self._clock()
        asking = snapshot.phase in {"answering", "scoring"}
        pressed = self._controls.press(self._display.keys(), may_stop=asking)
        for rate, progress in zip(self._rates, snapshot.candidates, strict=True):
            rate.note(now, progress.done - progress.reused)
        news = snapshot.detail != self._detail or snapshot.phase == "done"
        if now < self._due and not pressed and not news:
            return
        self._detail = snapshot.detail
        self._due = now + self._display.every
        self._display.show(self._table(snapshot), self._lines(snapshot))

    def _table(self, snapshot: EvaluationSnapshot) -> Table:
        asking = snapshot.phase == "answering"
        rows = [
            (
                self._plan.candidates[index].label,
                f"{progress.done}/{progress.total}",
                str(progress.failed or ""),
                str(waiting(progress) or ""),
                _rate_text(self._rates[index], progress) if asking else "",
                _left_text(self._rates[index], progress) if asking else "",
                _cost_text(progress) or "",
                standing_text(_standing(snapshot, index)),
            )
            for index, progress in enumerate(snapshot.candidates)
        ]
        notes = [self._settings_line(), _behind_text(snapshot)]
        if snapshot.detail:
            notes.append(snapshot.detail)
        return Table(
            title=f"{_phase_text(snapshot)} · {self._plan.dataset.name} · "
            f"{self._plan.evaluation_id}",
            columns=("model", "done", "fail", "wait", "rate", "left", "cost", snapshot.scorer),
            rows=tuple(rows),
            numbers=frozenset(range(1, 8)),
            notes=(*notes, self._controls.line()),
        )

    def _settings_line(self) -> str:
        budget = self._steering.budget
        parts = [f"concurrency {self._steering.concurrency}"]
        if budget.cap is not None:
            spent = "nothing" if budget.spent == 0 else dollars(budget.spent)
            parts.append(f"{spent} spent of {dollars(budget.cap)}")
        return " · ".join(parts)

    def _lines(self, snapshot: EvaluationSnapshot) -> list[str]:
        """Return the same for those who read lines."""
        lines = [
            self._line(snapshot, index, progress)
            for index, progress in enumerate(snapshot.candidates)
        ]
        if snapshot.phase in {"scoring", "recording"}:
            lines.append(_phase_text(snapshot))
        if snapshot.judging is not None:
            lines.append(_judging_text(snapshot.judging, snapshot))
        if snapshot.detail:
            lines.append(snapshot.detail)
        return lines

    def _line(self, snapshot: EvaluationSnapshot, index: int, progress: CandidateProgress) -> str:
        rate = self._rates[index]
        parts = [f"{progress.done}/{progress.total} answers"]
        if progress.failed:
            parts.append(f"{progress.failed} failed")
        if held := waiting(progress):
            parts.append(f"{held} waiting for a limit")
        if snapshot.phase == "answering":
            parts += [text for text in [_rate_text(rate, progress)] if text]
            left = _left_text(rate, progress)
            parts += [f"{left} left"] if left else []
        cost = _cost_text(progress)
        if cost is not None:
            parts.append("cost unknown" if cost == "unknown" else cost)
        if self._steering.budget.cap is not None:
            parts.append(self._settings_line().partition(" · ")[2])
        standing = standing_text(_standing(snapshot, index))
        if standing:
            parts.append(f"{snapshot.scorer} {standing}")
        return f"{self._plan.candidates[index].label}: {', '.join(parts)}"


class _Rate:
    """Answers a second over the last while."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, done: int) -> None:
        if not self._seen or now - self._seen[-1][0] >= 1 or len(self._seen) == 1:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[0][0] > _WINDOW:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """None until enough time has passed to tell."""
        if not self._seen:
            return None
        (began, before), (now, done) = self._seen[0], self._seen[-1]
        return (done - before) / (now - began) if now - began >= 1 else None


def waiting(progress: CandidateProgress) -> int:
    """Return how many rows are held back: by a limit, a wait for another try, or the budget."""
    return max(progress.in_flight - progress.asking, 0)


def _rate_text(rate: _Rate, progress: CandidateProgress) -> str:
    speed = rate.per_second
    if not speed or progress.done >= progress.total:
        return ""
    return f"{speed:.1f}/s" if speed >= 1 else f"{speed * 60:.1f}/min"


def _left_text(rate: _Rate, progress: CandidateProgress) -> str:
    speed = rate.per_second
    if not speed or progress.done >= progress.total:
        return ""
    return duration((progress.total - progress.done) / speed)


def duration(seconds: float) -> str:
    """Write a time that is only roughly known."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _cost_text(progress: CandidateProgress) -> str | None:
    """Return what was paid for now; None where nothing was asked for yet, and where nothing came.

    Of failures alone nobody says what they took, and the figures call it unknown.
    """
    if progress.unpriced:
        return "unknown"
    counted = progress.answered - progress.reused - progress.uncounted
    if counted <= 0 and progress.cost == Decimal(0):
        return None
    return dollars(progress.cost)


def _standing(snapshot: EvaluationSnapshot, index: int) -> InterimScore | None:
    standings: Sequence[InterimScore] = snapshot.standings
    return standings[index] if index < len(standings) else None


def standing_text(standing: InterimScore | None) -> str:
    """Write a mean with its interval in percent: `82% (77–86)`; empty where there is none.

    Where it speaks of too few of the answers it says of how many.
    """
    if standing is None or standing.mean is None or standing.interval is None:
        return ""
    low, high = standing.interval.low, standing.interval.high
    said = f"{standing.mean:.0%} ({low * 100:.0f}–{high * 100:.0f})"
    return f"{said} of {standing.coverage:.0%} scored" if standing.partial else said


def _behind_text(snapshot: EvaluationSnapshot) -> str:
    """Write how far is what follows the answers: judges, with their money, and the record."""
    parts = [] if snapshot.judging is None else [_judging_text(snapshot.judging, snapshot)]
    return " · ".join([*parts, f"recorded {snapshot.recorded} of {_cells(snapshot)}"])


def _judging_text(judging: JudgingProgress, snapshot: EvaluationSnapshot) -> str:
    cost = "cost unknown" if judging.unpriced else f"{dollars(judging.cost)}"
    return f"judged {judging.done} of {judging.scorers * _cells(snapshot)}, {cost}"


def _cells(snapshot: EvaluationSnapshot) -> int:
    return sum(progress.total for progress in snapshot.candidates)


def _phase_text(snapshot: EvaluationSnapshot) -> str:
    if snapshot.phase == "scoring":
        return f"scoring {snapshot.scored} of {snapshot.to_score}"
    if snapshot.phase == "recording":
        return f"recording {snapshot.recorded} of {snapshot.to_record}"
    return snapshot.phase
