"""What a person is told of clusters of questions, before an evaluation and beside its figures."""

from __future__ import annotations

import shlex

from llmflowlab.data.names import NAMES, fold
from llmflowlab.errors import InputError
from llmflowlab.evaluation.run.clustering import cluster_numbers, cluster_values
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.statistics import PairedTest
from llmflowlab.text.amounts import plural

__all__ = ["FEW_CLUSTERS", "cluster_remark", "clusters_in_words", "rows_in_words"]

FEW_CLUSTERS = 10
"""Clusters below which an interval over them says little."""
_PASSAGES = frozenset(
    map(
        fold,
        (
            *(*NAMES["context"].every, "passage", "passage_id", "document", "document_id"),
            *("doc", "doc_id", "context_id", "article", "article_id", "paragraph", "story"),
            *("paragraph_id", "story_id"),
        ),
    )
)


def clusters_in_words(plan: EvaluationPlan) -> str | None:
    """Return over what intervals and tests are, as a sentence; None without a column of clusters."""
    if plan.cluster is None:
        return None
    count = plan.cluster_count
    few = f"; only {count} clusters, so intervals are wide" if count < FEW_CLUSTERS else ""
    return f"Intervals and tests over {count:,} clusters (column {plan.cluster}){few}."


def rows_in_words(test: PairedTest) -> str:
    """Write how many rows a test is over, and how many clusters these are where they have some."""
    clusters = "" if test.clusters is None else f" in {plural(test.clusters, 'cluster')}"
    return f"{plural(test.n, 'row')}{clusters}"


def cluster_remark(plan: EvaluationPlan) -> str | None:
    """Return what is to be said of the clusters before anything is asked; None where nothing is.

    Raises:
        InputError: All questions are one cluster.
    """
    dataset, questions = plan.dataset, plan.question_count
    if plan.cluster is not None:
        count = plan.cluster_count
        if count == 1 and questions > 1:
            raise InputError(
                f"--cluster {plan.cluster}: all rows are one cluster, over which no interval can be "
                "made; name a column that divides them."
            )
        if count == questions:
            return f"--cluster {plan.cluster} changes nothing: no two questions share a value."
        return None
    for column in dataset.columns:
        if fold(column) not in _PASSAGES:
            continue
        # Rows that only ask the same again share nothing but the question.
        numbers = cluster_numbers(plan.questions, cluster_values(dataset, column))
        if 1 < len(set(numbers)) < questions:
            values = [value for value in cluster_values(dataset, column) if value is not None]
            return (
                f"{len(values):,} rows share {len(set(values)):,} passages: consider --cluster "
                f"{shlex.quote(column)}."
            )
    return None
