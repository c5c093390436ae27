"""Intervals, tests and plans: what a mean is worth, and whether a difference is real."""

from llmflowlab.statistics.corpus import corpus_interval, corpus_test, corpus_value
from llmflowlab.statistics.intervals import (
    Interval,
    bootstrap_interval,
    mean_interval,
    quantile,
    wilson_interval,
)
from llmflowlab.statistics.multiplicity import holm
from llmflowlab.statistics.paired import (
    PairedTest,
    difference_interval,
    mcnemar_exact,
    paired_test,
    tango_interval,
)
from llmflowlab.statistics.power import rows_needed
from llmflowlab.statistics.repeats import Repeats, repeats
from llmflowlab.statistics.tiers import letters, ranks

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
