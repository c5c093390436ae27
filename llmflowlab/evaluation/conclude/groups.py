"""The same figures for parts of the dataset: by category, by language, and by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.conclude.results import SMALL_GROUP, GroupSummary
from llmflowlab.evaluation.run.outcomes import Scores
from llmflowlab.evaluation.run.plan import Cell, EvaluationPlan
from llmflowlab.evaluation.scores import Score
from llmflowlab.statistics import (
    Interval,
    corpus_interval,
    corpus_value,
    mean_interval,
)
from llmflowlab.statistics.corpus import CorpusFigure, added

__all__ = ["groups_of"]


def groups_of(
    plan: EvaluationPlan,
    scores: Scores,
    *,
    binary: Mapping[str, bool],
    corpus: Mapping[str, CorpusFigure],
) -> list[GroupSummary]:
    """Return the figures of every group; none where a column holds one value only.

    Groups by prompt put together all models that were given the prompt.
    """
    found: list[GroupSummary] = []
    for by, value, rows in _row_groups(plan):
        for candidate in range(len(plan.candidates)):
            cells = [
                Cell(candidate, row.index, trial) for row in rows for trial in range(plan.trials)
            ]
            found += _figures(plan, scores, binary, corpus, by, value, candidate, cells)
    prompts = [spec.prompt or spec.system for spec in plan.candidates]
    if len(set(prompts)) > 1 and len({spec.model for spec in plan.candidates}) > 1:
        for prompt in dict.fromkeys(prompts):
            members = {index for index, other in enumerate(prompts) if other == prompt}
            cells = [cell for cell in plan.cells() if cell.candidate in members]
            value = prompt or "no system prompt"
            found += _figures(plan, scores, binary, corpus, "prompt", value, None, cells)
    return found


def _row_groups(plan: EvaluationPlan) -> Iterator[tuple[str, str, list[Row]]]:
    for by in ("category", "language"):
        groups: dict[str, list[Row]] = {}
        for row in plan.dataset.rows:
            value = row.category if by == "category" else row.language
            if value:
                groups.setdefault(value, []).append(row)
        if len(groups) > 1:
            for value in sorted(groups):
                yield by, value, groups[value]


def _figures(
    plan: EvaluationPlan,
    scores: Scores,
    binary: Mapping[str, bool],
    corpus: Mapping[str, CorpusFigure],
    by: str,
    value: str,
    candidate: int | None,
    cells: Sequence[Cell],
) -> Iterator[GroupSummary]:
    for scorer in plan.scorers:
        given = {
            cell: score
            for cell in cells
            if (score := scores.get(cell, {}).get(scorer)) is not None and score.value is not None
        }
        mean, interval = _mean(given, binary=binary[scorer], figure=corpus.get(scorer))
        questions = len({cell.row for cell in given})
        yield GroupSummary(
            by=by,
            value=value,
            candidate=candidate,
            scorer=scorer,
            rows=len(cells),
            scored=len(given),
            mean=mean,
            interval=interval,
            small=questions < SMALL_GROUP,
        )


def _mean(
    given: Mapping[Cell, Score], *, binary: bool, figure: CorpusFigure | None
) -> tuple[float | None, Interval | None]:
    if figure is not None:
        by_question: dict[int, list[tuple[float, ...]]] = {}
        for cell, score in given.items():
            by_question.setdefault(cell.row, []).append(score.parts or ())
        parts = [added(trials) for trials in by_question.values()]
        return corpus_value(parts, figure), corpus_interval(parts, figure)
    by_row: dict[int, list[float]] = {}
    for cell, score in given.items():
        assert score.value is not None
        by_row.setdefault(cell.row, []).append(score.value)
    values = [value for row in by_row.values() for value in row]
    repeated = len(values) > len(by_row)
    means = [sum(row) / len(row) for row in by_row.values()]
    mean = sum(values) / len(values) if values else None
    return mean, mean_interval(means, binary=binary and not repeated)
