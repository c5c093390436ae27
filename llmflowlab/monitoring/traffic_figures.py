"""What answers come to in figures, for each who answers and for all together; unknown is None, never 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.monitoring.traffic import Answerer, Traffic
from llmflowlab.people.ratings import RatingMean, rating_means, rating_word
from llmflowlab.service.store.served_traffic import ServedRow, SettledScore
from llmflowlab.statistics.intervals import mean_interval, wilson_interval
from llmflowlab.statistics.quantiles import quantile
from llmflowlab.tracking.records import SessionStart, TurnRecord
from llmflowlab.tracking.summaries import answered, summarise, unpriced_turns
from llmflowlab.tracking.violations import counts

__all__ = [
    "SecondsSeen",
    "ShareSeen",
    "TrafficFigures",
    "TrafficReport",
    "TrafficSlice",
    "erred",
    "report_of",
]

_UNKNOWN = "unknown"
_SLICES = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareSeen:
    """A share with its 95 % interval (Wilson)."""

    value: float
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, n: int) -> ShareSeen | None:
        if not n:
            return None
        interval = wilson_interval(hits, n)
        return cls(value=hits / n, n=n, low=interval.low, high=interval.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondsSeen:
    """Seconds of answers."""

    n: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> SecondsSeen:
        return cls(
            n=len(values),
            mean=sum(values) / len(values) if values else None,
            p50=quantile(values, 0.5),
            p95=quantile(values, 0.95),
            p99=quantile(values, 0.99),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresSeen:
    """What a scorer gave answers in the background."""

    mean: float | None
    n: int
    """Answers with a value."""
    low: float | None
    """Of the 95 % interval of the mean, as `high`."""
    high: float | None
    not_scored: Mapping[str, int]
    """How many for which reason."""

    @classmethod
    def of(cls, given: Sequence[SettledScore]) -> ScoresSeen:
        values = [one.value for one in given if one.value is not None]
        interval = mean_interval(values, binary=set(values) <= {0.0, 1.0})
        return cls(
            mean=sum(values) / len(values) if values else None,
            n=len(values),
            low=None if interval is None else interval.low,
            high=None if interval is None else interval.high,
            not_scored=_counted(one.not_scored or _UNKNOWN for one in given if one.value is None),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficFigures:
    """Of some answers."""

    requests: int
    answered: int
    """Of which something of an answer came."""
    states: Mapping[str, int]
    errors: Mapping[str, int]
    """By reason."""
    error_rate: ShareSeen | None
    latency: SecondsSeen
    """Of answers, from the model being asked to their end."""
    first_token: SecondsSeen
    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None
    tokens_per_second: float | None
    cost: Decimal | None
    """USD; None as soon as one answer has no known price."""
    cost_known: Decimal
    """The part that is known."""
    unpriced: int
    violations: Mapping[str, int] | None
    """By category and direction; None without guardrails, as `actions` and `violation_rate` are."""
    actions: Mapping[str, int] | None
    violation_rate: ShareSeen | None
    """Requests in which guardrails found anything, of those that they looked at."""
    languages: Mapping[str, int]
    ratings: Sequence[RatingMean]
    scores: Mapping[str, ScoresSeen]
    """By scorer; of those answers that were scored by now."""

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        known = {"cost": self.cost, "cost_known": self.cost_known}
        for name, value in known.items():
            del values[name]
            values[f"{name}_usd" if name == "cost" else "cost_known_usd"] = (
                None if value is None else float(value)
            )
        values["ratings"] = [one.to_json() for one in self.ratings]
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficSlice:
    """A slice of the window."""

    began_ms: int
    requests: int
    errors: int
    violations: int
    """Requests in which guardrails found anything."""
    p95: float | None
    cost_known: Decimal

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        del values["cost_known"]
        return {**values, "cost_known_usd": float(self.cost_known)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficReport:
    """A window of traffic."""

    since_ms: int
    until_ms: int
    total: TrafficFigures
    groups: Mapping[Answerer, TrafficFigures]
    """The one with most requests first."""
    slices: Sequence[TrafficSlice]

    @property
    def seconds(self) -> float:
        return (self.until_ms - self.since_ms) / 1000

    def to_json(self) -> dict[str, Any]:
        return {
            "since_ms": self.since_ms,
            "until_ms": self.until_ms,
            "seconds": self.seconds,
            "total": self.total.to_json(),
            "groups": [
                {"model": one.model, "prompt": one.prompt, **figures.to_json()}
                for one, figures in self.groups.items()
            ],
            "slices": [slice_.to_json() for slice_ in self.slices],
        }


def erred(turn: TurnRecord) -> bool:
    """Whether an answer went wrong by the service's or the model's fault.

    That is: none came, or it broke off for a reason. A client who left, and what guardrails blocked, is no
    error.
    """
    return turn.state == "failed" or (turn.state == "incomplete" and turn.error_reason is not None)


def report_of(traffic: Traffic) -> TrafficReport:
    """Read the window and add it up.

    Raises:
        LabError: The database failed, or nobody is chosen.
    """
    rows, until_ms = traffic.read()
    since_ms = until_ms - int(traffic.window * 1000)
    by: dict[Answerer, list[ServedRow]] = {}
    for row in rows:
        by.setdefault(traffic.answerer(row), []).append(row)
    order = sorted(by, key=lambda one: (-len(by[one]), one.label))
    return TrafficReport(
        since_ms=since_ms,
        until_ms=until_ms,
        total=_figures(traffic, rows),
        groups={one: _figures(traffic, by[one]) for one in order},
        slices=_slices(rows, since_ms, until_ms),
    )


def _figures(traffic: Traffic, rows: Sequence[ServedRow]) -> TrafficFigures:
    turns = [row.record for row in rows]
    good = [turn for turn in turns if answered(turn)]
    wrong = [turn for turn in turns if erred(turn)]
    guarded = [r.record for r in rows if traffic.candidate(r).guardrails is not None]
    found = [each for turn in guarded for each in turn.violations]
    hits = sum(bool(turn.violations) for turn in guarded)
    # Counted where a session is: what these answers come to is what their run says of them.
    sums = summarise(_ANYBODY, turns, run_id=None)
    first = [t.time_to_first_token for t in good if t.time_to_first_token is not None]
    return TrafficFigures(
        requests=len(turns),
        answered=len(good),
        states=_counted(turn.state for turn in turns),
        errors=_counted(turn.error_reason or _UNKNOWN for turn in wrong),
        error_rate=ShareSeen.of(len(wrong), len(turns)),
        latency=SecondsSeen.of([turn.inference_time for turn in good]),
        first_token=SecondsSeen.of(first),
        prompt_tokens=sums.prompt_tokens,
        completion_tokens=sums.completion_tokens,
        total_tokens=sums.total_tokens,
        tokens_per_second=sums.tokens_per_second,
        cost=sums.cost,
        cost_known=_cost(turns),
        unpriced=unpriced_turns(turns),
        violations=counts(found) if guarded else None,
        actions=_counted(each["action"] for each in found) if guarded else None,
        violation_rate=ShareSeen.of(hits, len(guarded)),
        languages=_counted(turn.language or _UNKNOWN for turn in good),
        ratings=_ratings(traffic, rows),
        scores=_scores(traffic, rows),
    )


_ANYBODY = SessionStart(
    session_id="",
    candidate=Candidate(model="", display_name="", supplier=""),
    started="",
    started_ms=0,
)


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _cost(turns: Sequence[TurnRecord]) -> Decimal:
    return sum((turn.cost for turn in turns if turn.cost is not None), Decimal(0))


def _ratings(traffic: Traffic, rows: Sequence[ServedRow]) -> Sequence[RatingMean]:
    words = [
        rating_word(rating, "", by=owner or None)
        for row in rows
        for owner, rating in traffic.ratings(row)
    ]
    return rating_means(words, {"": ""}).get("", [])


def _scores(traffic: Traffic, rows: Sequence[ServedRow]) -> dict[str, ScoresSeen]:
    by: dict[str, list[SettledScore]] = {}
    for row in rows:
        for one in traffic.scores(row):
            by.setdefault(one.scorer, []).append(one)
    return {scorer: ScoresSeen.of(by[scorer]) for scorer in sorted(by)}


def _slices(rows: Sequence[ServedRow], since_ms: int, until_ms: int) -> list[TrafficSlice]:
    step = max((until_ms - since_ms) / _SLICES, 1.0)
    slots: list[list[TurnRecord]] = [[] for _ in range(_SLICES)]
    for row in rows:
        place = int((row.record.started_ms - since_ms) / step)
        slots[min(max(place, 0), _SLICES - 1)].append(row.record)
    return [
        TrafficSlice(
            began_ms=since_ms + int(place * step),
            requests=len(turns),
            errors=sum(map(erred, turns)),
            violations=sum(bool(turn.violations) for turn in turns),
            p95=quantile([turn.inference_time for turn in turns if answered(turn)], 0.95),
            cost_known=_cost(turns),
        )
        for place, turns in enumerate(slots)
    ]
