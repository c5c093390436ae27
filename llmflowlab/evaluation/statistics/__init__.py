"""Intervals, tests and plans: what a mean is worth, and whether a difference is real."""

from llmflowlab.evaluation.statistics.corpus import corpus_interval, corpus_test, corpus_value
from llmflowlab.evaluation.statistics.intervals import (
    Interval,
    bootstrap_interval,
    mean_interval,
    quantile,
    wilson_interval,
)
from llmflowlab.evaluation.statistics.multiplicity import holm
from llmflowlab.evaluation.statistics.paired import (
    PairedTest,
    difference_interval,
    mcnemar_exact,
    paired_test,
    tango_interval,
)
from llmflowlab.evaluation.statistics.power import rows_needed
from llmflowlab.evaluation.statistics.repeats import Repeats, repeats
from llmflowlab.evaluation.statistics.tiers import letters, ranks

__all__ = [
    "Interval",
    "PairedTest",
    "Repeats",
    "bootstrap_interval",
    "corpus_interval",
    "corpus_test",
    "corpus_value",
    "difference_interval",
    "holm",
    "letters",
    "mcnemar_exact",
    "mean_interval",
    "paired_test",
    "quantile",
    "ranks",
    "repeats",
    "rows_needed",
    "tango_interval",
    "wilson_interval",
]
