"""A world's scores as an evaluation, concluded from by the program's own rules and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from pathlib import Path

from benchmarks.simulations.worlds import World
from llmflowlab.candidate import Candidate
from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.baseline import Baseline, Reference, check_baseline
from llmflowlab.evaluation.conclude.comparing import compare, compare_measures
from llmflowlab.evaluation.conclude.counting import summarise
from llmflowlab.evaluation.conclude.deciding import Decider
from llmflowlab.evaluation.conclude.gates import DEFAULT_MIN_COVERAGE, Threshold, check_thresholds
from llmflowlab.evaluation.conclude.leaderboards import leaderboards
from llmflowlab.evaluation.conclude.promotion import Decision, PromotionTerms, decide
from llmflowlab.evaluation.conclude.recommendation import recommend
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.conclude.sameness import Margin
from llmflowlab.evaluation.conclude.verdicts import Comparison, Rank, Recommendation, Sequential
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics.paired import differences_of
from llmflowlab.statistics.pilots import Pilot

__all__ = ["Evaluated"]


@dataclass(frozen=True, slots=True)
class _Setting:
    """What worlds of one size have in common; made once."""

    plan: EvaluationPlan
    answers: Mapping[Cell, AnswerRecord]
    measures: tuple[Comparison, ...]
    """The first candidate costs more than the others, which is all that is known of them."""


class Evaluated:
    """An evaluation of a world, with what every door concludes from it.

    Args:
        world: Its scores.
        margin: Differences below it do not matter.
        until_decided: Margin of a comparison that is looked at after every row.
    """

    def __init__(
        self, world: World, *, margin: float = 0.02, until_decided: float | None = None
    ) -> None:
        self._margin = Margin(margin, asked=True)
        candidates, _, trials = world.values.shape
        setting = _setting(
            world.yes_no, candidates, trials, world.questions, world.passage, until_decided
        )
        self.scorer = setting.plan.scorers[0]
        scores = {}
        for place in product(*map(range, world.values.shape)):
            value = float(world.values[place])
            score = (
                Score(scorer=self.scorer, value=value)
                if value == value
                else Score(scorer=self.scorer, not_scored="answer_failed")
            )
            scores[Cell(*place)] = {self.scorer: score}
        self._measures = setting.measures
        counted = EvaluationResult(
            plan=setting.plan,
            parent_run_id=None,
            candidates=(),
            comparisons=(),
            judge_usage={},
            answers=setting.answers,
            scores=scores,
        )
        self.table = counted.table
        self._bare = counted

    @cached_property
    def result(self) -> EvaluationResult:
        """The evaluation with every candidate's figures."""
        bare = self._bare
        return EvaluationResult(
            plan=bare.plan,
            parent_run_id=None,
            candidates=[
                summarise(bare.plan, index, bare.answers, self.table, run_id=None, reused=0)
                for index in range(self.table.candidates)
            ],
            comparisons=self.comparisons,
            judge_usage={},
            answers=bare.answers,
            scores=bare.scores,
        )

    @cached_property
    def comparisons(self) -> list[Comparison]:
        labels = [candidate.label for candidate in self._bare.plan.candidates]
        return compare(self.table, labels, margin=self._margin)

    @property
    def better(self) -> list[tuple[int, int]]:
        """Who is said to be better than whom, by place."""
        return [
            comparison.pair if comparison.verdict == "a_better" else comparison.pair[::-1]
            for comparison in self.comparisons
            if comparison.verdict in {"a_better", "b_better"}
        ]

    @property
    def leaderboard(self) -> list[Rank]:
        boards = leaderboards(self.result.candidates, self.comparisons, self.table, whole=True)
        return boards[self.scorer]

    def recommended(self, margin: float) -> Recommendation | None:
        return recommend(
            self.result.candidates,
            self.table,
            self.scorer,
            margin=margin,
            # Neither the order of the front nor intervals of cost are at issue.
            order=range(self.table.candidates),
            answers={},
            comparisons=[*self.comparisons, *self._measures],
        )

    def promotion(self, margin: float) -> Decision:
        """Return whether the last candidate may take the place of the first."""
        return decide(self.result, PromotionTerms(margin=margin))

    def no_worse_than_first(self, margin: float) -> bool:
        """Return whether the last candidate passes a gate that holds it against the first."""
        first = Reference(label="first", evaluation="this", run_id=None, index=0)
        last = self.table.candidates - 1
        [gate] = check_baseline(
            self.result,
            Baseline(named="first", scorer=self.scorer, references=[first] * (last + 1)),
            margin=margin,
            min_coverage=DEFAULT_MIN_COVERAGE,
            exempt=range(last),
        )
        return gate.passed

    def surely_at_least(self, bound: float) -> bool:
        """Return whether the first candidate passes `--fail-under SCORER.ci_low=BOUND`."""
        gate = Threshold(subject=self.scorer, figure="ci_low", bound=bound, side="at least")
        others = range(1, self.table.candidates)
        [found] = check_thresholds(
            self.result, [gate], min_coverage=DEFAULT_MIN_COVERAGE, exempt=others
        )
        return found.passed

    def pilot(self, a: int, b: int) -> Pilot:
        """Return what `plan` would learn of two candidates."""
        pairs = self.table.pairs(self.scorer, a, b)
        return Pilot(differences_of(pairs.a, pairs.b), yes_no=pairs.exact)

    def looked_at_always(self) -> Sequential:
        """Return what it came to by looking after every row, in the plan's order."""
        decider = Decider(self._bare.plan, self.scorer)
        for row in self._bare.plan.row_order:
            for candidate in (0, 1):
                cell = Cell(candidate, row)
                if decider.add(cell, self._bare.scores[cell][self.scorer]):
                    return decider.state()
        return decider.state()


@lru_cache(maxsize=64)
def _setting(
    yes_no: bool,
    candidates: int,
    trials: int,
    questions: tuple[int, ...],
    passage: int,
    until_decided: float | None,
) -> _Setting:
    rows = tuple(
        Row(
            index=index,
            line=None,
            id=str(index + 1),
            question=f"q{question}",
            expected=f"a{question}",
            source={"passage": str(question // passage)},
        )
        for index, question in enumerate(questions)
    )
    plan = EvaluationPlan(
        evaluation_id="20260101-000000-abcd",
        dataset=Dataset(
            name="world",
            rows=rows,
            digest="world",
            path=Path("world.csv"),
            columns=("question", "passage"),
        ),
        candidates=tuple(
            Candidate(model=f"table:{index}", display_name="Table", supplier="Nobody")
            for index in range(candidates)
        ),
        scorers=("exact_match" if yes_no else "token_f1",),
        judge=None,
        trials=trials,
        until_decided=until_decided,
        cluster="passage" if passage > 1 else None,
    )
    answers = {
        cell: AnswerRecord(
            text="x",
            state="complete",
            latency=1.0,
            prompt_tokens=1,
            completion_tokens=1,
            cost_usd="0.01" if cell.candidate == 0 else "0.001",
        )
        for cell in plan.cells()
    }
    return _Setting(plan, answers, tuple(compare_measures(plan, answers)))
