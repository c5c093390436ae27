"""Which scorers: from the texts a person gave to specifications that a plan can hold."""

from __future__ import annotations

from collections.abc import Sequence

from llmflowlab.errors import InputError
from llmflowlab.evaluation.dataset import Dataset
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS, build_text_scorer

__all__ = ["described", "refuse_lacking"]


def refuse_lacking(specs: Sequence[ScorerSpec], dataset: Dataset) -> None:
    """Build the scorers that were named, and look whether the dataset has what they need.

    Raises:
        InputError: An option cannot be used, or the dataset lacks something.
    """
    for spec in specs:
        kind = TEXT_KINDS.get(spec.kind)
        if kind is None or kind.asks_model:
            continue
        lacking = build_text_scorer(spec).lacks(dataset)
        if lacking is not None:
            raise InputError(lacking)


def described(specs: Sequence[ScorerSpec]) -> tuple[ScorerSpec, ...]:
    """Return those that a plan must describe because they are more than a kind's name."""
    return tuple(spec for spec in specs if spec.options or spec.name != spec.kind)
