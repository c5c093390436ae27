"""Compares every two candidates on every scorer, and on what their answers took."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from llmflowlab.evaluation.answers import AnswerRecord
from llmflowlab.evaluation.conclude.decide import ALPHA, difference_shown, obstacle, withheld
from llmflowlab.evaluation.conclude.pairs import Pairs
from llmflowlab.evaluation.conclude.sameness import Margin, equivalences, whenever_same
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.conclude.verdicts import Comparison, Sequential
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scorers.traits import ScorerTraits
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.corpus import CorpusDraws
from llmflowlab.statistics.effects import effect_size
from llmflowlab.statistics.multiplicity import holm, holm_levels
from llmflowlab.statistics.paired import PairedTest, p_value_of, paired_test
from llmflowlab.statistics.planning import visible_degrees, visible_yes_no

__all__ = ["MEASURES", "compare", "compare_measures", "measure_table"]

MEASURES: dict[str, Callable[[AnswerRecord], float | None]] = {
    "latency": lambda answer: answer.latency,
    "completion_tokens": lambda answer: answer.completion_tokens,
    "total_tokens": lambda answer: (
        None
        if answer.prompt_tokens is None or answer.completion_tokens is None
        else answer.prompt_tokens + answer.completion_tokens
    ),
    "cost_usd": lambda answer: None if (cost := answer.price) is None else float(cost),
}
"""What an answer takes: seconds, tokens, USD; less is better."""


def measure_table(plan: EvaluationPlan, answers: Mapping[Cell, AnswerRecord]) -> ScoreTable:
    """Return what the answers took as a table, by the names of `MEASURES`."""
    table = ScoreTable(
        {
            name: ScorerTraits(name=name, kind="amount", higher_is_better=False, scale=None)
            for name in MEASURES
        },
        candidates=len(plan.candidates),
        questions=plan.questions,
        clusters=plan.clusters,
        trials=plan.trials,
    )
    for cell, answer in answers.items():
        reason = answer.why_not_answered
        for name, measure in MEASURES.items():
            table.put(cell, name, None if reason else measure(answer), reason)
    return table


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """Two candidates and one scorer, before correction."""

    first: int
    second: int
    scorer: str
    pairs: Pairs
    p_value: float | None
    drawn: CorpusDraws | None = None

    def test(self, level: float) -> PairedTest | None:
        if self.drawn is not None:
            return self.drawn.test(confidence=1 - level)
        return paired_test(
            self.pairs.a,
            self.pairs.b,
            binary=self.pairs.exact,
            bounded=self.pairs.traits.scale is not None,
            confidence=1 - level,
            clusters=self.pairs.clusters,
        )


def compare(
    table: ScoreTable,
    labels: Sequence[str],
    *,
    margin: Margin,
    sequential: Sequential | None = None,
    unfinished: str | None = None,
) -> list[Comparison]:
    """Compare every two candidates on every scorer, with Holm's correction over all of it.

    Where the comparison may end early, its own verdict stands for the scorer that decides.

    Args:
        table: Of the scores.
        labels: Of the candidates.
        margin: Differences below it do not matter.
        sequential: What a comparison that may end early came to.
        unfinished: Why no verdict may be given; None where the evaluation is whole.
    """
    cases = list(_cases(table))
    named = [(case.pairs, (labels[case.first], labels[case.second])) for case in cases]
    same = equivalences(named, margin, unfinished=unfinished)
    compared = [
        replace(c, smallest_visible=_visible(c, table), equivalence=equivalence)
        for c, equivalence in zip(_corrected(cases, labels, unfinished), same, strict=True)
    ]
    if sequential is None:
        return compared
    why = unfinished or table.doubts.get(sequential.scorer)
    own = whenever_same(sequential, withheld=why)
    return [
        replace(c, sequential=sequential, withheld=why, contradicted=None, equivalence=own)
        if c.scorer == sequential.scorer
        else c
        for c in compared
    ]


def compare_measures(
    plan: EvaluationPlan,
    answers: Mapping[Cell, AnswerRecord],
    *,
    unfinished: str | None = None,
) -> list[Comparison]:
    """Compare what the candidates' answers took, on the rows that both answered.

    A family of its own for Holm's correction: it answers another question than the scores do.
    """
    labels = [candidate.label for candidate in plan.candidates]
    if len(labels) < 2:
        return []
    found = _corrected(list(_cases(measure_table(plan, answers))), labels, unfinished)
    return [replace(comparison, is_measure=True) for comparison in found]


def _cases(table: ScoreTable) -> Iterator[_Case]:
    for first, second in itertools.combinations(range(table.candidates), 2):
        for scorer, traits in table.traits.items():
            pairs = table.pairs(scorer, first, second)
            if traits.figure is not None:
                drawn = table.corpus_draws(scorer, first, second)
                p_value = None if drawn is None else drawn.p_value
            else:
                drawn = None
                p_value = p_value_of(pairs.a, pairs.b, binary=pairs.exact, clusters=pairs.clusters)
            yield _Case(
                first=first,
                second=second,
                scorer=scorer,
                pairs=pairs,
                p_value=p_value,
                drawn=drawn,
            )


def _corrected(
    cases: Sequence[_Case], labels: Sequence[str], unfinished: str | None
) -> list[Comparison]:
    tested = [case.p_value for case in cases if case.p_value is not None]
    adjusted, levels = iter(holm(tested)), iter(holm_levels(tested, alpha=ALPHA))
    return [
        _comparison(
            case,
            labels,
            p_adjusted=None if case.p_value is None else next(adjusted),
            level=ALPHA if case.p_value is None else next(levels),
            family=len(cases),
            unfinished=unfinished,
        )
        for case in cases
    ]


def _comparison(
    case: _Case,
    labels: Sequence[str],
    *,
    p_adjusted: float | None,
    level: float,
    family: int,
    unfinished: str | None,
) -> Comparison:
    names = (labels[case.first], labels[case.second])
    higher = case.pairs.traits.higher_is_better
    test = None if p_adjusted is None else case.test(level)
    contradicted = None
    if test is not None and p_adjusted is not None and case.drawn is None:
        shown = difference_shown(test, p_adjusted, higher_is_better=higher)
        contradicted = obstacle(case.pairs, shown, level=level, names=names)
    return Comparison(
        a=names[0],
        b=names[1],
        scorer=case.scorer,
        test=test,
        p_adjusted=p_adjusted,
        lower_is_better=not higher,
        pair=(case.first, case.second),
        level=ALPHA / family,
        family=family,
        withheld=unfinished or withheld(case.pairs, COVERAGE_FLOOR),
        contradicted=contradicted,
        effect=None
        if case.drawn is not None
        else effect_size(case.pairs.a, case.pairs.b, binary=case.pairs.exact),
    )


def _visible(comparison: Comparison, table: ScoreTable) -> float | None:
    """Return the smallest true difference these rows show, at the level left by all comparisons."""
    test = comparison.test
    if test is None or table.traits[comparison.scorer].figure is not None:
        return None
    if test.discordance is None:
        deviation = test.deviation * math.sqrt(test.design_effect)
        return visible_degrees(test.n, deviation, alpha=comparison.level)
    return visible_yes_no(test.n, test.discordance, alpha=comparison.level)
