"""Which scorers there are, which of them a person named, and what kind of figure each gives."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging import JUDGED, judged_kind
from llmflowlab.evaluation.run.plan import EvaluationPlan
from llmflowlab.evaluation.scorers.base import CorpusScorer, ScorerSpec, parse_scorer
from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer
from llmflowlab.statistics.corpus import CorpusFigure

__all__ = [
    "DEFAULT_JUDGED",
    "SCORERS",
    "check_scorers",
    "corpus_figures",
    "default_text_scorers",
    "is_binary",
    "judgeable",
]

DEFAULT_JUDGED: tuple[str, ...] = ("correctness", "safety", "guidelines")
"""Those used where a judge but no scorer is named."""

SCORERS: tuple[str, ...] = (*TEXT_KINDS, *JUDGED)
"""All kinds of scorers, in the order of tables."""


def check_scorers(named: Sequence[str]) -> tuple[ScorerSpec, ...]:
    """Return the scorers that a person named, once each, in the order of tables.

    Raises:
        InputError: One is unknown or malformed, or two are called the same.
    """
    chosen: dict[str, ScorerSpec] = {}
    for text in named:
        spec = parse_scorer(text)
        if spec.kind not in SCORERS:
            raise InputError(_unknown(spec.kind))
        if spec.name in SCORERS and spec.name != spec.kind:
            raise InputError(f"{spec.name!r} is a scorer already; call {text!r} something else.")
        if chosen.setdefault(spec.name, spec) != spec:
            raise InputError(
                f"Two scorers are called {spec.name!r}; give one a name, as in NAME={spec.kind}:..."
            )
    return tuple(sorted(chosen.values(), key=lambda spec: SCORERS.index(spec.kind)))


def default_text_scorers(dataset: Dataset) -> tuple[str, ...]:
    """Return the scorers without a judge that are used where none is named.

    Rows whose options are shown to the model are scored by the option that it chooses; its letter is
    no text to compare with. None where a judge alone can say something: of expected facts.

    Raises:
        InputError: No row has anything to be compared with, so that nothing could be scored.
    """
    expecting = [row for row in dataset.rows if row.expected]
    if not expecting:
        if any(row.facts for row in dataset.rows):
            return ()
        raise InputError(
            f"{dataset.name} has no expected answers, which {', '.join(DETERMINISTIC)} compare with "
            f"({dataset.reading or 'no columns'}). Say which column holds them with --map "
            "answer=COLUMN, or name scorers that need none with --scorer."
        )
    offered = sum(bool(row.options) for row in expecting)
    if offered == len(expecting):
        return ("multiple_choice",)
    return (*DETERMINISTIC, *(("multiple_choice",) if offered else ()))


def _unknown(kind: str) -> str:
    near = difflib.get_close_matches(kind, SCORERS, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"{kind!r} is no scorer; choose from {', '.join(SCORERS)}.{meant}"


def is_binary(
    names: Sequence[str], *, combine: str | None = None, specs: Sequence[ScorerSpec] = ()
) -> dict[str, bool]:
    """Return which scorers say yes or no; the others give a degree.

    Args:
        names: The scorers.
        combine: How a panel's verdicts become one; a mean of yes and no is a degree.
        specs: The plan's descriptions of scorers that are not called as their kind.
    """
    described = {spec.name: spec for spec in specs}

    def binary(name: str) -> bool:
        which = described[name].kind if name in described else name
        if which in TEXT_KINDS:
            return TEXT_KINDS[which].binary
        kind = judged_kind(described.get(name, ScorerSpec.plain(name)))
        return kind is not None and kind.scale == "yes_no" and combine != "mean"

    return {name: binary(name) for name in names}


def corpus_figures(plan: EvaluationPlan) -> dict[str, CorpusFigure]:
    """Return the figures of scorers whose value over many rows is not the mean of theirs."""
    specs = [plan.spec(name) for name in plan.scorers]
    built = [
        (spec.name, build_text_scorer(spec))
        for spec in specs
        if spec.kind in TEXT_KINDS and not TEXT_KINDS[spec.kind].asks_model
    ]
    return {name: how.value for name, how in built if isinstance(how, CorpusScorer)}


def judgeable(row: Row, spec: ScorerSpec) -> bool:
    """Tell whether a judged scorer has something to say of a row, if it is answered."""
    kind = judged_kind(spec)
    return kind is None or kind.refuses(row) is None
