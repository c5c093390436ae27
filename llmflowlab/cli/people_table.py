"""What people think, and what they and a judge tell together, as a table."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.cli.ui.screen import Table
from llmflowlab.evaluation.conclude.people_estimates import ASSUMES, COLUMNS, PeopleEstimate

__all__ = ["people_table"]


def people_table(estimates: Sequence[PeopleEstimate], labels: Sequence[str]) -> Table:
    """Set the estimates in a table; `labels` name the candidates by index."""
    return Table(
        title="People and judge",
        columns=COLUMNS,
        rows=tuple(estimate.cells(labels) for estimate in estimates),
        numbers=frozenset(range(2, 8)),
        notes=(ASSUMES,),
    )
