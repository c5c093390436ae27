"""Rows of two evaluations matched by what they ask and expect, wherever they stand in their files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.data.dataset import Row
from llmflowlab.evaluation.conclude.pairs import Pairs, pair
from llmflowlab.evaluation.conclude.table import ScoreTable
from llmflowlab.evaluation.judging import JUDGED
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.text.digests import digest_of

__all__ = ["Matched", "content_keys", "judging_of", "match", "same_scorers"]


def content_keys(rows: Sequence[Row]) -> dict[str, Row]:
    """Return rows by what they ask and expect.

    A row that stands there several times is told apart by how often it stood there before: the second
    of two equal rows is matched with the second.
    """
    counted: Counter[str] = Counter()
    keyed = {}
    for row in rows:
        conversation = None if row.conversation is None else row.conversation.to_json()
        content = digest_of(
            [
                row.question,
                row.context,
                row.expected,
                sorted(row.alternatives),
                list(row.guidelines),
                conversation,
            ]
        )
        keyed[f"{content}:{counted[content]}"] = row
        counted[content] += 1
    return keyed


@dataclass(frozen=True, slots=True, kw_only=True)
class Matched:
    """The rows that two evaluations have in common, in the order of the second."""

    a: Sequence[Row]
    b: Sequence[Row]
    only_in_a: int
    only_in_b: int

    def pairs(self, scorer: str, one: tuple[ScoreTable, int], two: tuple[ScoreTable, int]) -> Pairs:
        """Return two candidates on these rows.

        Args:
            scorer: By whose values.
            one: The first evaluation's table, and the candidate in it.
            two: Likewise.
        """
        rows_a, rows_b = ([row.index for row in rows] for rows in (self.a, self.b))
        second = two[0].column(two[1], scorer).take(rows_b)
        # Which rows are one question, or one cluster, is for the newer evaluation to say.
        return pair(one[0].column(one[1], scorer).take(rows_a, second), second)


def same_scorers(one: EvaluationPlan, other: EvaluationPlan) -> list[str]:
    """Return the scorers by which two evaluations were scored in the same way, in the first's order.

    A judged one only where the same judges were asked in the same way: another judge is another measure.
    """
    return [
        name
        for name in one.scorers
        if name in other.scorers
        and one.spec(name) == other.spec(name)
        and (one.spec(name).kind not in JUDGED or judging_of(one) == judging_of(other))
    ]


def judging_of(plan: EvaluationPlan) -> tuple[Any, ...]:
    """Return who judges and how often, and how verdicts become one."""
    return plan.judges, plan.judge_runs, plan.judge_combine


def match(a: Sequence[Row], b: Sequence[Row]) -> Matched:
    """Match two evaluations' rows."""
    keyed_a, keyed_b = content_keys(a), content_keys(b)
    common = [key for key in keyed_b if key in keyed_a]
    return Matched(
        a=[keyed_a[key] for key in common],
        b=[keyed_b[key] for key in common],
        only_in_a=len(keyed_a) - len(common),
        only_in_b=len(keyed_b) - len(common),
    )
