"""Which scorers there are, and which of them a person named."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from llmflowlab.data.dataset import Row
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging import JUDGED, judged_kind
from llmflowlab.evaluation.scorers.base import ScorerSpec, parse_scorer
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS

__all__ = [
    "DEFAULT_JUDGED",
    "SCORERS",
    "check_scorers",
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


def _unknown(kind: str) -> str:
    near = difflib.get_close_matches(kind, SCORERS, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"{kind!r} is no scorer; choose from {', '.join(SCORERS)}.{meant}"


def judgeable(row: Row, spec: ScorerSpec) -> bool:
    """Tell whether a judged scorer has something to say of a row, if it is answered."""
    kind = judged_kind(spec)
    return kind is None or kind.refuses(row) is None
