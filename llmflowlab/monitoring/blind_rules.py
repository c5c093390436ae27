"""Why a rule has nothing to look at, and whether somebody has to set something up."""

from __future__ import annotations

from dataclasses import dataclass

from llmflowlab.errors import InputError
from llmflowlab.monitoring.looked_at import SET_UP, lacking_words
from llmflowlab.monitoring.observations import answerers_of, scored_by
from llmflowlab.monitoring.rule_watch import RuleWatch
from llmflowlab.monitoring.window import span
from llmflowlab.people.ratings import RATED
from llmflowlab.service.store.service_database import Engine
from llmflowlab.text.amounts import plural

__all__ = ["Blind", "why_blind"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Blind:
    """A rule that has nothing to look at."""

    text: str
    unset: bool
    """Whether something has to be set up, or the rule mended."""


def why_blind(engine: Engine, watch: RuleWatch) -> Blind | None:
    """Return why a rule has nothing to look at; None where it has.

    Raises:
        TrackingError: The database failed.
    """
    rule, looked = watch.rule, watch.looked_at
    if not looked.answers:
        try:
            rule.chosen.among(answerers_of(engine))
        except InputError as exc:
            return Blind(text=exc.message.rstrip("."), unset=True)
    if watch.state != "unknown":
        return None
    time, asked = span(looked.window), plural(looked.answers, "answer")
    if looked.lacking:
        text = f"nothing to look at in the last {time}: {lacking_words(looked.lacking)}"
        return Blind(text=text, unset=not looked.lacking.keys().isdisjoint(SET_UP))
    if not looked.answers:
        return Blind(text=f"nothing was asked in the last {time}", unset=False)
    scorer = rule.options["scorer"]
    if scorer in RATED:
        return Blind(text=f"nobody has given a {scorer} to {asked} of the last {time}", unset=False)
    if scorer in scored_by(engine):
        return Blind(text=f"no {scorer} of {asked} of the last {time} is there yet", unset=False)
    text = f"{asked} of the last {time} not scored by {scorer}, which serve --score {scorer} does"
    return Blind(text=text, unset=True)
