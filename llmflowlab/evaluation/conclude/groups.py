"""The same figures for parts of the dataset: by category, by language, and by prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llmflowlab.evaluation.conclude.results import SMALL_GROUP, GroupSummary
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.run.plan import EvaluationPlan

__all__ = ["groups_of"]


def groups_of(plan: EvaluationPlan, table: ScoreTable) -> list[GroupSummary]:
    """Return the figures of every group; none where a column holds one value only.

    Groups by prompt put together all models that were given the prompt.
    """
    found: list[GroupSummary] = []
    for by, value, rows in _row_groups(plan):
        part = table.rows(rows)
        for candidate in range(len(plan.candidates)):
            found += _figures(part, by, value, [candidate])
    prompts = [spec.prompt or spec.system for spec in plan.candidates]
    if len(set(prompts)) > 1 and len({spec.model for spec in plan.candidates}) > 1:
        for prompt in dict.fromkeys(prompts):
            members = [index for index, other in enumerate(prompts) if other == prompt]
            found += _figures(table, "prompt", prompt or "no system prompt", members, pooled=True)
    return found


def _row_groups(plan: EvaluationPlan) -> Iterator[tuple[str, str, list[int]]]:
    for by in ("category", "language"):
        groups: dict[str, list[int]] = {}
        for row in plan.dataset.rows:
            value = row.category if by == "category" else row.language
            if value:
                groups.setdefault(value, []).append(row.index)
        if len(groups) > 1:
            for value in sorted(groups):
                yield by, value, groups[value]


def _figures(
    table: ScoreTable, by: str, value: str, members: Sequence[int], *, pooled: bool = False
) -> Iterator[GroupSummary]:
    for scorer in table.traits:
        yield GroupSummary(
            by=by,
            value=value,
            candidate=None if pooled else members[0],
            scorer=scorer,
            rows=table.asked_for(members),
            scored=table.scored(members, scorer),
            mean=table.mean(members, scorer),
            interval=table.interval(members, scorer),
            small=table.by_question(members, scorer).size < SMALL_GROUP,
        )
