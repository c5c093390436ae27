"""What past sessions and evaluations say, as values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llmflowlab.errors import InputError, TrackingError
from llmflowlab.history.head_to_head import ModelPairs, model_pairs
from llmflowlab.history.overview import (
    EvaluationSummary,
    SessionSummary,
    load_evaluations,
    load_records,
    load_sessions,
)
from llmflowlab.lab.lab import Lab
from llmflowlab.lab.labels import LABELS

if TYPE_CHECKING:
    from llmflowlab.lab.people_scores import PeopleScore
    from llmflowlab.people.ratings import RatingMean
    from llmflowlab.people.tally import Tally

__all__ = ["Past", "last_parameters", "read_past", "records_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """All that is recorded, or what is of one provider."""

    sessions: Sequence[SessionSummary]
    evaluations: Sequence[EvaluationSummary]
    paired: ModelPairs = field(default_factory=ModelPairs)
    """What evaluations of several models concluded of each two."""
    people: Mapping[str, Sequence[PeopleScore]] = field(default_factory=dict)
    """What people think of each model, by question; models that nobody judged are left out."""
    ratings: Mapping[str, Sequence[RatingMean]] = field(default_factory=dict)
    """What they said of its answers in chats; models that nobody rated are left out."""
    votes: Mapping[str, Tally] = field(default_factory=dict)
    """What they voted in the arena; models that nobody voted on are left out."""


def read_past(lab: Lab, provider: str | None, on_notice: Callable[[str], None]) -> Past:
    """Read what is recorded.

    Args:
        lab: The parts.
        provider: Only this one's; None means all.
        on_notice: Hears what could not be read, in sentences.

    Raises:
        InputError: There is no such provider.
        TrackingError: The tracking store cannot be read.
    """
    if provider is not None and provider not in LABELS:
        raise InputError(f"{provider!r} is no provider; choose from {', '.join(LABELS)}.")
    sessions = load_sessions(lab.settings, on_notice=on_notice)
    evaluations = load_evaluations(lab.settings, on_notice=on_notice)
    paired = model_pairs(lab.settings, evaluations, lambda name: _counted_again(lab, name))
    if provider is not None:
        sessions = [s for s in sessions if s.provider == provider]
        evaluations = [e for e in evaluations if e.model.partition(":")[0] == provider]
        own = [p for p in paired.found if provider in {m.partition(":")[0] for m in p.models}]
        none = None if own else paired.why_none or f"none holds {provider} beside another model"
        paired = ModelPairs(found=own, why_none=none)
    ratings, votes = _chat_and_arena(lab, sessions, on_notice)
    if provider is not None:
        votes = {m: tally for m, tally in votes.items() if m.partition(":")[0] == provider}
    return Past(
        ratings=ratings,
        votes=votes,
        sessions=sessions,
        evaluations=evaluations,
        paired=paired,
        people=_people(lab, evaluations, on_notice),
    )


def _people(
    lab: Lab, evaluations: Sequence[EvaluationSummary], on_notice: Callable[[str], None]
) -> Mapping[str, Sequence[PeopleScore]]:
    if not lab.has_evaluations or not lab.anybody_said_anything:
        return {}
    # Imported here: it counts evaluations up.
    from llmflowlab.lab.people_scores import people_scores

    try:
        return people_scores(lab, evaluations)
    except TrackingError as exc:
        on_notice(f"{exc.message} What people said is not shown.")
        return {}


def _chat_and_arena(
    lab: Lab, sessions: Sequence[SessionSummary], on_notice: Callable[[str], None]
) -> tuple[Mapping[str, Sequence[RatingMean]], Mapping[str, Tally]]:
    """Return by model what people said of turns, and what they voted."""
    if not lab.settings.people_file.exists():
        return {}, {}
    # Imported here: in most homes nobody said anything.
    from llmflowlab.people.ratings import rating_means
    from llmflowlab.people.tally import tallies_by_model
    from llmflowlab.people.votes import votes_of

    # A turn was rated in a run, or in its session where there was no run yet.
    models = {s.session_id: s.reference for s in sessions}
    models |= {s.run_id: s.reference for s in sessions if s.run_id is not None}
    try:
        with closing(lab.words()) as words:
            return rating_means(words.words("turn"), models), tallies_by_model(votes_of(words))
    except TrackingError as exc:
        on_notice(f"{exc.message} Ratings and votes are not shown.")
        return {}, {}


def _counted_again(lab: Lab, evaluation: str) -> Mapping[str, Any]:
    """Return an evaluation's document as this version writes it."""
    # Imported here: only files of other versions and in other folders need it.
    from llmflowlab.evaluation.run.replay import stored_result

    with closing(lab.existing_ledger()) as ledger:
        return stored_result(ledger, evaluation).to_json()


def records_of(
    lab: Lab, provider: str, on_notice: Callable[[str], None]
) -> list[Mapping[str, Any]]:
    """Return the artifact records of a provider, the newest first."""
    records: list[Mapping[str, Any]] = [*load_records(lab.settings, provider, on_notice=on_notice)]
    records.sort(key=lambda record: str(record.get("date", "")), reverse=True)
    return records


def last_parameters(lab: Lab, provider: str) -> dict[str, Any]:
    """Return the parameters of a provider's last session here that were set.

    Empty where there was none; sessions of other machines leave no file here.
    """
    file = lab.settings.info_dir / f"{provider}_info.json"
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    parameters = values.get("parameters") if isinstance(values, dict) else None
    if not isinstance(parameters, dict):
        return {}
    return {name: value for name, value in parameters.items() if value is not None}
