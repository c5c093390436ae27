"""What a session or an evaluation comes to, in numbers; unknown is None, never 0."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal

from llmflowlab.statistics.quantiles import quantile
from llmflowlab.tracking.records import SessionStart, TurnRecord
from llmflowlab.tracking.sessions import SessionSnapshot
from llmflowlab.tracking.violations import counts, metrics_of

__all__ = [
    "EvaluationSummary",
    "SessionSummary",
    "TokenSource",
    "answered",
    "closing_tags",
    "newest",
    "session_metrics",
    "summarise",
    "summary_from_json",
    "summary_to_json",
    "tokens_per_second",
    "turn_metrics",
    "unpriced_turns",
]

TokenSource = Literal["reported", "counted", "mixed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """One chat session; times in seconds, cost in USD."""

    session_id: str
    run_id: str | None
    """None while MLflow does not hold the session."""
    provider: str
    model_name: str
    model_id: str
    started: str
    """`YYYY-MM-DD HH:MM:SS`, local."""
    turns: int
    """All of them, failed ones included."""
    failed_turns: int
    answered_turns: int | None = None
    """Those of which something of an answer came; None where an older version wrote it."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    cost: Decimal | None = None
    """None as soon as one answered turn has no known price."""
    avg_inference_time: float | None = None
    p50_inference_time: float | None = None
    p95_inference_time: float | None = None
    avg_time_to_first_token: float | None = None
    tokens_per_second: float | None = None
    guardrail_violations: Mapping[str, int] | None = None
    """By category and direction; None without guardrails, and where an older version wrote it."""
    source: Literal["local", "tracking"] = "local"
    """Whether this home's own index or the tracking store told of it."""

    @property
    def reference(self) -> str:
        return f"{self.provider}:{self.model_id}"

    @property
    def answered(self) -> int:
        """Turns that times, and what an answer costs, are of; one stopped before any word is none."""
        known = self.answered_turns
        return self.turns - self.failed_turns if known is None else known


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSummary:
    """One candidate of one evaluation."""

    evaluation_id: str
    run_id: str
    model: str
    """Model reference."""
    provider: str
    prompt: str | None
    dataset: str
    digest: str | None
    finished: str | None
    """`YYYY-MM-DD HH:MM:SS`, local; None while it runs."""
    rows: int | None
    answered: int | None
    scores: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """By scorer: `mean`, `coverage`, `ci_low`, `ci_high`, `scored` (rows)."""
    people: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By question that people were asked: `mean`, `combined` (with a judge's scores), its
    `combined_ci_low` and `combined_ci_high`, `effective_n`, `judged_questions`; what is known of these."""
    doubts: Mapping[str, str] = field(default_factory=dict)
    """Why nothing may be concluded from a scorer's scores, of scorers of which that is so."""
    lower_is_better: frozenset[str] = frozenset()
    """Scorers that say what should not be."""
    whole: bool = True
    """Whether every row was asked, scored and stored."""
    cost: Decimal | None = None
    latency: float | None = None
    """Mean seconds of an answer."""
    completion_tokens: int | None = None
    cost_per_answer: Decimal | None = None
    """USD of a whole answer; None also in runs of versions that did not log it."""
    guardrail_violations: Mapping[str, int] | None = None
    """By category and direction; None without guardrails."""


def answered(turn: TurnRecord) -> bool:
    """Whether something of an answer came, so that its time and tokens mean something."""
    return turn.state == "complete" or (not turn.unanswered and bool(turn.answer))


def tokens_per_second(turns: Sequence[TurnRecord]) -> float | None:
    """Return generated tokens per second over the turns where both are known."""
    known = [
        (turn.completion_tokens, turn.inference_time)
        for turn in turns
        if turn.completion_tokens is not None and turn.inference_time > 0
    ]
    if not known:
        return None
    return sum(tokens for tokens, _ in known) / sum(seconds for _, seconds in known)


def unpriced_turns(turns: Sequence[TurnRecord]) -> int:
    """Count the turns that used tokens, or may have, and have no known cost."""
    return sum(_used(turn) and turn.cost_usd is None for turn in turns)


def summarise(
    start: SessionStart, turns: Sequence[TurnRecord], *, run_id: str | None
) -> SessionSummary:
    """Add a session up; failed turns count as turns, not in times."""
    good = [turn for turn in turns if answered(turn)]
    times = [turn.inference_time for turn in good]
    first = [t.time_to_first_token for t in good if t.time_to_first_token is not None]
    used = [turn for turn in turns if _used(turn)]
    prompt = _sum([turn.prompt_tokens for turn in used])
    completion = _sum([turn.completion_tokens for turn in used])
    # Failed turns may have been paid for as well.
    costs = [turn.cost for turn in turns if turn.cost is not None]
    candidate = start.candidate
    return SessionSummary(
        session_id=start.session_id,
        run_id=run_id,
        provider=candidate.provider,
        model_name=candidate.display_name,
        model_id=candidate.model_id,
        started=start.started,
        turns=len(turns),
        failed_turns=sum(turn.state == "failed" for turn in turns),
        answered_turns=len(good),
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=None if prompt is None or completion is None else prompt + completion,
        cost=sum(costs, Decimal(0)) if costs and not unpriced_turns(turns) else None,
        avg_inference_time=sum(times) / len(times) if times else None,
        p50_inference_time=quantile(times, 0.5),
        p95_inference_time=quantile(times, 0.95),
        avg_time_to_first_token=sum(first) / len(first) if first else None,
        tokens_per_second=tokens_per_second(good),
        guardrail_violations=None
        if candidate.guardrails is None
        else counts(found for turn in turns for found in turn.violations),
    )


def _used(turn: TurnRecord) -> bool:
    """Whether the turn used tokens; a failure before the model saw the prompt did not."""
    return not turn.unanswered or turn.total_tokens is not None


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def summary_to_json(summary: SessionSummary) -> dict[str, Any]:
    """Turn a summary into JSON values; the cost as text, so that nothing is rounded."""
    values = asdict(summary)
    values["cost"] = None if summary.cost is None else str(summary.cost)
    if summary.guardrail_violations is None:
        del values["guardrail_violations"]
    del values["source"]
    return values


_FIELDS = frozenset(f.name for f in fields(SessionSummary)) - {"source"}


def summary_from_json(values: Mapping[str, Any]) -> SessionSummary:
    """Build a summary from JSON values; keys of a later version are left out.

    Raises:
        ValueError, TypeError, ArithmeticError: The values are no summary.
    """
    kept = {name: value for name, value in values.items() if name in _FIELDS}
    if kept.get("cost") is not None:
        kept["cost"] = Decimal(kept["cost"])
    return SessionSummary(**kept)


def turn_metrics(turn: TurnRecord) -> dict[str, float]:
    """Return one step of the per-turn metrics; times in seconds, cost in USD."""
    values: dict[str, float | None] = {
        "turn_cost": None if turn.cost is None else float(turn.cost),
        "turn_prompt_tokens": turn.prompt_tokens,
        "turn_completion_tokens": turn.completion_tokens,
    }
    if answered(turn):
        values["turn_inference_time"] = turn.inference_time
        values["turn_time_to_first_token"] = turn.time_to_first_token
    return _known(values)


def session_metrics(summary: SessionSummary) -> dict[str, float]:
    """Return a session's totals; times in seconds, cost in USD."""
    found = summary.guardrail_violations
    known = _known(
        {
            "avg_inference_time": summary.avg_inference_time,
            "p50_inference_time": summary.p50_inference_time,
            "p95_inference_time": summary.p95_inference_time,
            "avg_time_to_first_token": summary.avg_time_to_first_token,
            "tokens_per_second": summary.tokens_per_second,
            "prompt_tokens": summary.prompt_tokens,
            "completion_tokens": summary.completion_tokens,
            "total_tokens": summary.total_tokens,
            "total_cost_estimate": None if summary.cost is None else float(summary.cost),
            "turns": summary.turns,
            "failed_turns": summary.failed_turns,
            "answered_turns": summary.answered_turns,
        }
    )
    return known if found is None else known | metrics_of(found)


def _known(values: dict[str, float | None]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items() if value is not None}


def closing_tags(snapshot: SessionSnapshot, summary: SessionSummary) -> dict[str, str]:
    """Return what a session's numbers must be read with: cost known or not, tokens counted by whom."""
    unpriced = unpriced_turns(snapshot.turns)
    tags = {"llmflowlab.cost": "unknown" if summary.cost is None else "known"}
    if unpriced:
        tags["llmflowlab.unpriced_turns"] = f"{unpriced} of {len(snapshot.turns)}"
    sources = {turn.tokens_estimated for turn in snapshot.turns if turn.total_tokens is not None}
    if sources:
        reported, counted = False in sources, True in sources
        source = "mixed" if reported and counted else "counted" if counted else "reported"
        tags["llmflowlab.tokens"] = source
    if snapshot.interrupted or snapshot.crashed:
        tags["llmflowlab.interrupted"] = "true"
    if snapshot.unreadable:
        tags["llmflowlab.unreadable_lines"] = str(snapshot.unreadable)
    return tags


def newest(sessions: Sequence[SessionSummary]) -> SessionSummary:
    """Return the session that began last; of those of one second the one that was noted last.

    Args:
        sessions: At least one, in the order in which they were noted.
    """
    return sorted(sessions, key=lambda session: session.started)[-1]
