"""Which scorers there are, and which of them a person named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from llmflowlab.data.dataset import Dataset, Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging import JUDGED, judged_kind
from llmflowlab.evaluation.scorers.base import ScorerSpec, parse_scorer
from llmflowlab.evaluation.scorers.deterministic import DETERMINISTIC
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS

__all__ = [
    "DEFAULT_JUDGED",
    "SCORERS",
    "check_scorers",
    "default_text_scorers",
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


def judgeable(row: Row, spec: ScorerSpec) -> bool:
    """Tell whether a judged scorer has something to say of a row, if it is answered."""
    kind = judged_kind(spec)
    return kind is None or kind.refuses(row) is None
