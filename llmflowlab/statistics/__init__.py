"""Intervals, tests and plans: what a mean is worth, and whether a difference is real.

A name is imported when it is first used: quantiles need no numpy, which takes a tenth of a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmflowlab.statistics.corpus import corpus_interval, corpus_test, corpus_value
    from llmflowlab.statistics.intervals import (
        Interval,
        bootstrap_interval,
        mean_interval,
        wilson_interval,
    )
    from llmflowlab.statistics.krippendorff import krippendorff_alpha
    from llmflowlab.statistics.multiplicity import holm, holm_levels
    from llmflowlab.statistics.paired import (
        PairedTest,
        difference_interval,
        mcnemar_exact,
        mean_p_value,
        paired_test,
        tango_interval,
    )
    from llmflowlab.statistics.quantiles import quantile
    from llmflowlab.statistics.tiers import letters, ranks
    from llmflowlab.statistics.trials import Repeats, repeats

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
    "holm_levels",
    "krippendorff_alpha",
    "letters",
    "mcnemar_exact",
    "mean_interval",
    "mean_p_value",
    "paired_test",
    "quantile",
    "ranks",
    "repeats",
    "tango_interval",
    "wilson_interval",
]

_MODULES = {
    "krippendorff": ("krippendorff_alpha",),
    "corpus": ("corpus_interval", "corpus_test", "corpus_value"),
    "intervals": ("Interval", "bootstrap_interval", "mean_interval", "wilson_interval"),
    "multiplicity": ("holm", "holm_levels"),
    "paired": (
        "PairedTest",
        "difference_interval",
        "mcnemar_exact",
        "mean_p_value",
        "paired_test",
        "tango_interval",
    ),
    "quantiles": ("quantile",),
    "trials": ("Repeats", "repeats"),
    "tiers": ("letters", "ranks"),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
