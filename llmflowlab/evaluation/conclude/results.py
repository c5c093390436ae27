"""What an evaluation found: values per candidate, comparisons between them, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.deciding import Sequential
from llmflowlab.evaluation.judging.agreement import JudgingQuality
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.statistics import Interval, PairedTest, Repeats

if TYPE_CHECKING:
    # It is made from results, and so cannot be imported before them.
    from llmflowlab.evaluation.conclude.recommendation import Recommendation

__all__ = [
    "SMALL_GROUP",
    "CandidateResult",
    "Comparison",
    "EvaluationResult",
    "GroupSummary",
    "Latency",
    "Rank",
    "ScoreSummary",
    "Verdict",
]

Verdict: TypeAlias = Literal["a_better", "b_better", "no_difference_shown", "not_comparable"]

ALPHA = 0.05
SMALL_GROUP = 20
"""Scored questions below which a group's mean says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """One scorer over one candidate's answers."""

    scorer: str
    mean: float | None
    """Over the scored answers; None where none was."""
    scored: int
    coverage: float
    """Scored answers / all answers asked for."""
    interval: Interval | None
    not_scored: Mapping[str, int]
    """How many for which reason."""
    repeats: Repeats | None = None
    """What the trials of each question say; None where each was asked once."""

    def to_json(self) -> dict[str, Any]:
        values: dict[str, Any] = {} if self.repeats is None else {"trials": self.repeats.to_json()}
        return values | {
            "mean": self.mean,
            "scored": self.scored,
            "coverage": self.coverage,
            "ci_low": self.interval.low if self.interval else None,
            "ci_high": self.interval.high if self.interval else None,
            "not_scored": dict(self.not_scored),
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds over the complete answers; None where there is none."""

    mean: float | None
    p50: float | None
    p95: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateResult:
    """Everything about one candidate."""

    spec: Candidate
    run_id: str | None
    rows: int
    """Answers asked for: rows × trials."""
    answered: int
    failed: Mapping[str, int]
    """Answers that failed or broke off, by reason."""
    scores: Mapping[str, ScoreSummary]
    latency: Latency
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_estimated: bool
    cost_usd: Decimal | None
    """Of all its answers, reused ones included; None as soon as one has no known price."""
    sent: int
    reused: int

    def to_json(self) -> dict[str, Any]:
        known = self.prompt_tokens is not None and self.completion_tokens is not None
        total = (self.prompt_tokens or 0) + (self.completion_tokens or 0)
        return {
            "model": self.spec.model,
            "prompt": self.spec.prompt,
            "run_id": self.run_id,
            "rows": self.rows,
            "answered": self.answered,
            "failed": dict(self.failed),
            "scores": {name: score.to_json() for name, score in self.scores.items()},
            "latency": {
                "mean": self.latency.mean,
                "p50": self.latency.p50,
                "p95": self.latency.p95,
            },
            "tokens": {
                "prompt": self.prompt_tokens,
                "completion": self.completion_tokens,
                "total": total if known else None,
            },
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "calls": {"sent": self.sent, "reused": self.reused},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two candidates on one scorer, over the rows both have a score for."""

    a: str
    b: str
    scorer: str
    test: PairedTest | None
    """None where no row has both scores."""
    p_adjusted: float | None
    """After Holm, over all comparisons of the evaluation's scores, or of its measures."""
    lower_is_better: bool = False
    """Seconds, tokens and USD."""
    pair: tuple[int, int] = (0, 1)
    """The candidates' places in the plan."""
    sequential: Sequential | None = None
    """What a comparison that may end early came to: it takes the place of the test."""
    smallest_visible: float | None = None
    """The smallest true difference that these rows would have shown in 80 of 100 cases."""
    level: float = ALPHA
    """What is left of 5 % for it alone, where all comparisons share them."""

    @property
    def verdict(self) -> Verdict:
        """What was shown: the corrected test must say so, and the interval must not contain 0."""
        if self.sequential is not None:
            decided = self.sequential.verdict
            if decided is None or decided == "equivalent":
                return "no_difference_shown"
            return decided
        if self.test is None or self.p_adjusted is None:
            return "not_comparable"
        interval = self.test.interval
        if self.p_adjusted >= ALPHA or interval.low <= 0.0 <= interval.high:
            return "no_difference_shown"
        return "b_better" if (interval.low > 0) != self.lower_is_better else "a_better"

    def to_json(self) -> dict[str, Any]:
        test = self.test
        interval = test.interval if test else None
        if self.sequential is not None:
            interval = self.sequential.interval
        return {
            "a": self.a,
            "b": self.b,
            ("measure" if self.lower_is_better else "scorer"): self.scorer,
            "n": test.n if test else 0,
            "difference": test.difference if test else None,
            **_bounds(interval),
            # The p-value of a test made at the end would be wrong where one looked all the time.
            "p_value": test.p_value if test and self.sequential is None else None,
            "p_adjusted": self.p_adjusted if self.sequential is None else None,
            "verdict": self.verdict,
            "smallest_visible": self.smallest_visible,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """A candidate's place among all, by one scorer."""

    candidate: int
    """Its place in the plan."""
    rank: int
    """One more than the number of candidates shown to be better."""
    group: str
    """Letters; candidates that share one could not be told apart."""
    mean: float | None
    interval: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One scorer over a part of the rows, for one candidate or all that share a prompt."""

    by: str
    """`category`, `language` or `prompt`."""
    value: str
    candidate: int | None
    """Its place in the plan; None where several are put together."""
    scorer: str
    rows: int
    """Answers asked for."""
    scored: int
    mean: float | None
    interval: Interval | None
    small: bool
    """Whether fewer than `SMALL_GROUP` questions are scored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """The whole evaluation, ready for screens, files and scripts."""

    plan: EvaluationPlan
    parent_run_id: str | None
    candidates: Sequence[CandidateResult]
    comparisons: Sequence[Comparison]
    judge_usage: Mapping[str, Any]
    answers: Mapping[Cell, AnswerRecord]
    scores: Scores
    files: Mapping[str, str | None] = field(default_factory=dict)
    interrupted: bool = False
    problems: Sequence[str] = ()
    """What was not recorded in MLflow, in words; empty when the books balance."""
    gates: Sequence[Mapping[str, Any]] = ()
    judging: Mapping[str, JudgingQuality] = field(default_factory=dict)
    """How far the judges can be believed, by scorer; only where there were several verdicts."""
    leaderboard: Mapping[str, Sequence[Rank]] = field(default_factory=dict)
    """By scorer, best first."""
    measures: Sequence[Comparison] = ()
    """Comparisons of latency, tokens and cost."""
    groups: Sequence[GroupSummary] = ()
    recommendation: Recommendation | None = None
    sequential: Sequential | None = None
    """Of an evaluation that may end early."""

    @property
    def decided_early(self) -> bool:
        """Whether a comparison came to its end before all rows were asked."""
        return self.sequential is not None and self.sequential.verdict is not None

    def to_json(self) -> dict[str, Any]:
        """Return the document `evaluate --json` prints; what scripts were promised stands first."""
        dataset = self.plan.dataset
        return {
            "evaluation_id": self.plan.evaluation_id,
            "parent_run_id": self.parent_run_id,
            "dataset": {
                "name": dataset.name,
                "rows": len(dataset.rows),
                "digest": dataset.digest,
            },
            "judge": self.plan.judge_label,
            "candidates": [candidate.to_json() for candidate in self.candidates],
            "comparisons": [comparison.to_json() for comparison in self.comparisons],
            "judge_usage": dict(self.judge_usage),
            "gates": [dict(gate) for gate in self.gates],
            "files": {
                "answers_csv": self.files.get("answers_csv"),
                "report_html": self.files.get("report_html"),
            },
            "judging": {name: quality.to_json() for name, quality in self.judging.items()},
            "leaderboard": {
                scorer: [self._rank(entry) for entry in board]
                for scorer, board in self.leaderboard.items()
            },
            "measures": [comparison.to_json() for comparison in self.measures],
            "groups": [self._group(group) for group in self.groups],
            "recommendation": (
                None if self.recommendation is None else self.recommendation.to_json(self.plan)
            ),
            "sequential": None if self.sequential is None else self.sequential.to_json(),
        }

    def _rank(self, entry: Rank) -> dict[str, Any]:
        return {
            "candidate": self.plan.candidates[entry.candidate].label,
            "rank": entry.rank,
            "group": entry.group,
            "mean": entry.mean,
            **_bounds(entry.interval),
        }

    def _group(self, group: GroupSummary) -> dict[str, Any]:
        index = group.candidate
        return {
            "by": group.by,
            "value": group.value,
            "candidate": None if index is None else self.plan.candidates[index].label,
            "scorer": group.scorer,
            "rows": group.rows,
            "scored": group.scored,
            "mean": group.mean,
            **_bounds(group.interval),
            "small": group.small,
        }


def _bounds(interval: Interval | None) -> dict[str, float | None]:
    return {
        "ci_low": None if interval is None else interval.low,
        "ci_high": None if interval is None else interval.high,
    }
