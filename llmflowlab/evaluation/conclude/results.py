"""What an evaluation found: values per candidate, comparisons between them, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from llmflowlab.candidate import Candidate
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.by_prompt import PromptVerdict, prompt_verdicts
from llmflowlab.evaluation.conclude.comparison_words import describe_comparison
from llmflowlab.evaluation.conclude.judging_quality import JudgingQuality
from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.conclude.table import ScoreTable, table_of
from llmflowlab.evaluation.conclude.verdicts import (
    Comparison,
    ComparisonVerdict,
    Rank,
    Recommendation,
    Sequential,
    bounds,
)
from llmflowlab.evaluation.judging.exam import Exam
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.ranking import main_scorer
from llmflowlab.evaluation.scores import DATA_GAPS
from llmflowlab.evaluation.system_use import SystemUse
from llmflowlab.statistics import Interval, Repeats

__all__ = [
    "SMALL_GROUP",
    "CandidateResult",
    "Comparison",
    "ComparisonVerdict",
    "EvaluationResult",
    "GivenUp",
    "GroupSummary",
    "Latency",
    "Rank",
    "ScoreSummary",
]

SMALL_GROUP = 20
"""Scored questions below which a group's mean says little."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSummary:
    """One scorer over one candidate's answers."""

    scorer: str
    mean: float | None
    """Over the scored questions; None where none was."""
    scored: int
    """Answers with a value."""
    coverage: float
    """Scored answers / all answers asked for."""
    interval: Interval | None
    not_scored: Mapping[str, int]
    """How many for which reason."""
    repeats: Repeats | None = None
    """What the trials of each question say; None where each was asked once."""

    @property
    def covered(self) -> float | None:
        """Scored answers / those that could be scored, the data's own gaps aside; None without any."""
        lost = sum(n for reason, n in self.not_scored.items() if reason not in DATA_GAPS)
        return self.scored / (self.scored + lost) if self.scored + lost else None

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
    """Seconds over the complete answers, and over those waited for in vain; None where there is none."""

    mean: float | None
    p50: float | None
    p95: float | None
    answers: int = 0
    """How many were timed."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Questions of which a stopped evaluation has no row, though calls for them cost something."""

    questions: int
    cost_usd: Decimal | None
    """USD; None as soon as a part of it is unknown. In the cost of the rows once these are there."""

    def to_json(self) -> dict[str, Any]:
        cost = None if self.cost_usd is None else float(self.cost_usd)
        return {"questions": self.questions, "cost_usd": cost}


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
    not_whole: Mapping[str, int]
    """Answers that arrived and are not whole, by reason."""
    at_limit: int
    """Answers that used up the tokens allowed, for their text or for thinking alone."""
    scores: Mapping[str, ScoreSummary]
    latency: Latency
    prompt_tokens: int | None
    completion_tokens: int | None
    tokens_estimated: bool
    cost_usd: Decimal | None
    """Everything spent on its answers, failed ones, failed tries and reused ones included; None as soon
    as a part of it is unknown."""
    sent: int
    reused: int
    violations: Mapping[str, int] = field(default_factory=dict)
    """What its guardrails found, by category and direction."""
    given_up: GivenUp | None = None
    """Calls that brought no row and were paid for all the same; None where there are none."""
    why_failed: str | None = None
    """What most of its answers failed with, as a sentence; None where none failed with one."""
    tokens_per_second: float | None = None
    """Tokens of its answers by the seconds that they took, one answer at a time; None where unknown."""
    system: SystemUse | None = None
    """What its model took of this machine; None where it runs elsewhere, or nobody looked."""

    @property
    def cost_per_answer(self) -> Decimal | None:
        """USD that a whole answer costs, what failed on the way to it included; None where unknown.

        Divided by answers had, not by those asked for: who fails often is not cheaper for that. What
        answers that are given once cost is not known.
        """
        if self.cost_usd is None or not self.whole or self.spec.column is not None:
            return None
        return self.cost_usd / self.whole

    @property
    def cost_per_1000(self) -> Decimal | None:
        """The same for 1,000 answers."""
        each = self.cost_per_answer
        return None if each is None else 1000 * each

    @property
    def whole(self) -> int:
        """Answers that ended by themselves and hold a text: those that can be scored."""
        return self.answered - sum(self.not_whole.values())

    @property
    def cut(self) -> float | None:
        """Share of the answers that used up the tokens allowed; None where it is not known."""
        known = self.answered and self.spec.column is None
        return self.at_limit / self.answered if known else None

    @property
    def total_tokens(self) -> int | None:
        """Prompt and completion together; None where one is unknown."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens

    def to_json(self) -> dict[str, Any]:
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
                "total": self.total_tokens,
            },
            "cost_usd": None if self.cost_usd is None else float(self.cost_usd),
            "calls": {"sent": self.sent, "reused": self.reused},
            "given": self.spec.column,
            "why_failed": self.why_failed,
            "label": self.spec.label,
            **({} if self.given_up is None else {"given_up": self.given_up.to_json()}),
            "tokens_per_second": self.tokens_per_second,
            "system": None if self.system is None else self.system.to_json(),
            **(
                {}
                if self.spec.guardrails is None
                else {"guardrail_violations": dict(self.violations)}
            ),
        }


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
    notes: Sequence[str] = ()
    """What MLflow's server is too old to show, in words; nothing lacks for it."""
    gates: Sequence[Mapping[str, Any]] = ()
    exams: Sequence[Exam] = ()
    """What the judges' examinations said, by scorer and judge."""
    people: Sequence[PeopleEstimate] = ()
    """What people think of the candidates, alone and together with a judge."""
    judging: Mapping[str, JudgingQuality] = field(default_factory=dict)
    """How far the judges can be believed, by scorer; only where something can be said of it."""
    leaderboard: Mapping[str, Sequence[Rank]] = field(default_factory=dict)
    """By scorer, best first."""
    measures: Sequence[Comparison] = ()
    """Comparisons of latency, tokens and cost."""
    groups: Sequence[GroupSummary] = ()
    recommendation: Recommendation | None = None
    sequential: Sequential | None = None
    """Of an evaluation that may end early."""
    unfinished: str | None = None
    """Why nothing may be concluded from it: a stop or the budget came first; None where it is whole."""
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The table, and what it was built from; shared by the copies of a result."""

    @property
    def table(self) -> ScoreTable:
        """The scores in columns; built once for one plan, its answers and its scores."""
        source = (self.plan, self.answers, self.scores, self.exams)
        known = self._kept.get("source", ())
        if len(known) != len(source) or any(a is not b for a, b in zip(known, source, strict=True)):
            only = self.answers if self.decided_early else None
            self._kept.update(
                source=source, table=table_of(self.plan, self.scores, only=only, exams=self.exams)
            )
        found: ScoreTable = self._kept["table"]
        return found

    @property
    def in_doubt(self) -> dict[str, str]:
        """What to know of scorers whose judge failed an examination, theirs or another's, in sentences."""
        caveats = {name: one.caveat for name, one in self.judging.items() if one.caveat is not None}
        return {name: f"{name}: {why}." for name, why in self.table.doubts.items()} | caveats

    @property
    def order(self) -> list[int]:
        """The candidates' places in the plan as everything shows them: best first by the main scorer.

        Those whom it ranks nowhere come last.
        """
        board = self.leaderboard.get(main_scorer(self.plan.scorers), ())
        first = [entry.candidate for entry in board]
        return [*first, *(i for i in range(len(self.candidates)) if i not in first)]

    @property
    def ordered(self) -> list[CandidateResult]:
        """The candidates in that order."""
        return [self.candidates[index] for index in self.order]

    @property
    def prompts(self) -> list[PromptVerdict]:
        """Which prompt is better on which model, for each that was given several."""
        main = main_scorer(self.plan.scorers)
        means = [candidate.scores[main].mean for candidate in self.candidates]
        return prompt_verdicts(self.plan, self.order, means, self.comparisons)

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
            "comparisons": [
                comparison.to_json() | {"said": describe_comparison(comparison)}
                for comparison in self.comparisons
            ],
            "judge_usage": dict(self.judge_usage),
            "gates": [dict(gate) for gate in self.gates],
            "files": {
                "answers_csv": self.files.get("answers_csv"),
                "report_html": self.files.get("report_html"),
                # The folder of an evaluation on a cluster, whose rows are too many for both.
                "rows": self.files.get("rows"),
            },
            "judging": {name: quality.to_json() for name, quality in self.judging.items()},
            "leaderboard": {
                scorer: [self._rank(entry) for entry in board]
                for scorer, board in self.leaderboard.items()
            },
            "measures": [comparison.to_json() for comparison in self.measures],
            "groups": [self._group(group) for group in self.groups],
            "recommendation": (
                None
                if self.recommendation is None
                else self.recommendation.to_json([c.label for c in self.plan.candidates])
            ),
            "sequential": None if self.sequential is None else self.sequential.to_json(),
            "cluster": self.plan.cluster_json(),
            "prompts": [verdict.to_json() for verdict in self.prompts],
            "people": [estimate.to_json() for estimate in self.people],
        }

    def _rank(self, entry: Rank) -> dict[str, Any]:
        return {
            "candidate": self.plan.candidates[entry.candidate].label,
            "rank": entry.rank,
            "group": entry.group,
            "mean": entry.mean,
            **bounds(entry.interval),
            "probability_best": entry.probability_best,
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
            **bounds(group.interval),
            "small": group.small,
        }
