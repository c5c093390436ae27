"""Which scorers a person may choose for a file, and which are taken where nobody chooses."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.data.dataset import Dataset
from llmflowlab.errors import InputError
from llmflowlab.evaluation.judging import JUDGED, KINDS, OWN, PREFERENCE
from llmflowlab.evaluation.judging.judge_kinds import SUPPORT_JUDGES
from llmflowlab.evaluation.run.scorer_choice import (
    DEFAULT_JUDGED,
    check_scorers,
    default_text_scorers,
)
from llmflowlab.evaluation.scorers.base import ScorerSpec
from llmflowlab.evaluation.scorers.kinds import TEXT_KINDS
from llmflowlab.lab.scorers import complete, known_scorers, refuse_lacking

__all__ = ["OfferedScorer", "default_scorers", "offered_scorers", "refuse_unusable"]

_GROUPS = {
    "deterministic": "words of the expected answer",
    "overlap": "overlap with it; bleu and chrf are one figure of the whole file",
    "numeric": "numbers and options",
    "multiple_choice": "numbers and options",
    "patterns": "form",
    "manner": "manner",
    "embedding": "meaning",
}
"""Headings, by the module that a scorer comes from."""
_OTHERS = "others"
_JUDGES = "judges"
_SUPPORT = "judges for a support desk"
_ORDER = (*dict.fromkeys(_GROUPS.values()), _OTHERS, _JUDGES, _SUPPORT)
_WORDS = {"expected": "expected answers"}
_BEGUN = {
    "regex": "regex:pattern=",
    "json_schema": "json_schema:file=",
    "length": "length:max=",
    "embedding_similarity": "embedding_similarity:model=",
    OWN: f"mine={OWN}:file=",
}
"""Those that mean nothing without an option, as far as they can be written without knowing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedScorer:
    """One scorer of the registry."""

    name: str
    group: str
    """The heading that it stands under beside its neighbours."""
    says: str
    """What a score of 1 says of an answer."""
    lacking: str | None
    """Why it cannot be taken here; None where it can."""
    begun: str | None
    """What its options are typed behind, where it needs some."""


def offered_scorers(dataset: Dataset, *, judged: bool, comparing: bool) -> list[OfferedScorer]:
    """Return every scorer, those of a group together.

    Args:
        dataset: The questions.
        judged: Whether there is a judge.
        comparing: Whether there are two candidates or more.
    """
    found = [
        OfferedScorer(
            name=scorer.name,
            group=_group(scorer.name),
            says=scorer.says,
            lacking=_lacking(scorer.name, dataset, judged=judged, comparing=comparing),
            begun=_BEGUN.get(scorer.name),
        )
        for scorer in known_scorers()
    ]
    return sorted(found, key=lambda scorer: _ORDER.index(scorer.group))


def default_scorers(dataset: Dataset, *, judged: bool) -> list[str]:
    """Return the scorers that are used where none is named.

    Raises:
        InputError: No row has anything to be compared with.
    """
    judges = [name for name in DEFAULT_JUDGED if judged and _needed(name, dataset) != "guidelines"]
    return [*default_text_scorers(dataset), *judges]


def refuse_unusable(scorer: str, dataset: Dataset) -> None:
    """Look at a scorer as it was typed.

    Raises:
        InputError: It is none, or cannot be used on these questions.
    """
    refuse_lacking([complete(spec) for spec in check_scorers([scorer])], dataset)


def _group(name: str) -> str:
    if name in TEXT_KINDS:
        return _GROUPS.get(TEXT_KINDS[name].place.partition(".")[0], _OTHERS)
    return _SUPPORT if name in {kind.name for kind in SUPPORT_JUDGES} else _JUDGES


def _lacking(name: str, dataset: Dataset, *, judged: bool, comparing: bool) -> str | None:
    if name in JUDGED:
        if not judged:
            return "no judge was chosen"
        if name == PREFERENCE and not comparing:
            return "it compares two candidates or more"
        needed = _needed(name, dataset)
        return None if needed is None else f"{dataset.name} has no {_WORDS.get(needed, needed)}"
    if name in _BEGUN:
        return None
    try:
        refuse_lacking([ScorerSpec.plain(name)], dataset)
    except InputError as exc:
        return exc.message
    return None


def _needed(judge: str, dataset: Dataset) -> str | None:
    """Return what a judge needs and no row has."""
    if judge not in KINDS or any(KINDS[judge].refuses(row) is None for row in dataset.rows):
        return None
    return ", ".join(sorted(KINDS[judge].needs))
