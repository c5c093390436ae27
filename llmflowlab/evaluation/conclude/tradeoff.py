"""Quality against cost and time: who is beaten by nobody, and whom to take under which condition.

Every figure is read from the result; what two candidates' differences show is decided where it is for
everybody (`decide.py`, `comparing.py`). The same holds of when nothing is concluded: an evaluation that
was stopped, a judge that is not believed, a coverage below the floor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from llmflowlab.evaluation.conclude.people_quality import PeopleQuality
from llmflowlab.evaluation.conclude.picking import Limits, Pick, Picker
from llmflowlab.evaluation.conclude.recommendation import better_pairs, scored_means
from llmflowlab.evaluation.conclude.results import CandidateResult, EvaluationResult
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.pareto import Standing, standings

__all__ = ["Option", "QualityEstimate", "Tradeoff", "weigh_up", "why_no_front"]

Place: TypeAlias = Literal["front", "not_shown", "beaten", "unknown", "left_out", "withheld"]
"""On the front; beaten by figures alone, which chance may have made; shown to be beaten; some figure is
unknown; too few answers scored; nothing is concluded of anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityEstimate:
    """How good a candidate is, by the best estimate there is."""

    value: float | None
    interval: Interval | None
    scorer: str
    source: str
    """Who says so: `scorer`, `judge`, or `people and judge`."""

    def to_json(self) -> dict[str, Any]:
        interval = self.interval
        return {
            "value": self.value,
            "ci_low": None if interval is None else interval.low,
            "ci_high": None if interval is None else interval.high,
            "scorer": self.scorer,
            "source": self.source,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One candidate with what it gives and takes."""

    label: str
    evaluation: str
    result: CandidateResult
    quality: QualityEstimate
    place: Place
    beaten_by: Sequence[str]
    """Who is nowhere worse and somewhere better, by their figures."""
    shown_by: Sequence[str]
    """Those of them that were shown to be better in something, beyond chance."""
    ties: Sequence[str]
    """Who is equal to it in everything."""

    def to_json(self) -> dict[str, Any]:
        own, cost = self.result, self.result.cost_per_1000
        return {
            "label": self.label,
            "model": own.spec.model,
            "prompt": own.spec.prompt,
            "evaluation_id": self.evaluation,
            "run_id": own.run_id,
            "answers": own.whole,
            "quality": self.quality.to_json(),
            "cost_per_1000_usd": None if cost is None else float(cost),
            "latency": asdict(own.latency),
            "tokens_per_second": own.tokens_per_second,
            "system": None if own.system is None else own.system.to_json(),
            "place": self.place,
            "beaten_by": list(self.beaten_by),
            "shown_to_be_beaten_by": list(self.shown_by),
            "ties": list(self.ties),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tradeoff:
    """Candidates on quality, cost and time."""

    scorer: str
    options: Sequence[Option]
    """Best first, in the order of all tables."""
    picks: Sequence[Pick]
    withheld: str | None
    """Why nothing is concluded; None where it is."""

    @property
    def sentences(self) -> list[str]:
        """Return the front in words, and every pick."""
        if self.withheld is not None:
            apart = [_standing(option) for option in self.options if option.place == "left_out"]
            return [f"Nothing is concluded: {self.withheld}.", *apart]
        said = []
        front = [option.label for option in self.options if option.place == "front"]
        if front:
            said.append(
                f"Beaten by nobody in {self.scorer}, cost and p95 seconds at once: {', '.join(front)}."
            )
        said += [_standing(option) for option in self.options if option.place != "front"]
        tied = {
            tuple(sorted([option.label, *option.ties])) for option in self.options if option.ties
        }
        said += [f"Equal in all three: {', '.join(labels)}." for labels in sorted(tied)]
        return [*said, *(pick.reason for pick in self.picks)]


def why_no_front(result: EvaluationResult, scorer: str) -> str | None:
    """Return why candidates cannot be set against each other by a scorer; None where they can."""
    why = result.unfinished or result.table.doubts.get(scorer)
    if why is None and result.table.traits[scorer].figure is not None:
        return f"{scorer} is one figure of all answers together"
    return why


def weigh_up(
    result: EvaluationResult,
    qualities: Sequence[QualityEstimate],
    evaluations: Sequence[str],
    *,
    scorer: str,
    limits: Limits,
    reference: int | None = None,
    margin: float,
    people: PeopleQuality | None = None,
) -> Tradeoff:
    """Return candidates on quality, cost and time, and whom to take.

    Args:
        result: The evaluation.
        qualities: Of each candidate, in the result's order.
        evaluations: Where each comes from.
        scorer: Differences in quality are tested by it.
        limits: What may be named; both hold for every pick.
        reference: Whom the cheapest must not be worse than; None: that is not asked.
        margin: By how much it may be, in points of 1.
        people: What tests differences in quality instead, where people judged enough.
    """
    table, candidates = result.table, result.candidates
    withheld = why_no_front(result, scorer)
    means = scored_means(candidates, table, scorer)
    # People's words rise with quality, whatever the scorer's numbers do.
    higher = people is not None or table.traits[scorer].higher_is_better
    better = better_pairs([*result.comparisons, *result.measures])
    if people is not None:
        means = {index: people.value(index) for index in means}
        better = {each for each in better if each[0] != scorer}
        better |= {(scorer, *pair) for pair in people.better()}
    who = [index for index in result.order if index in means]
    of_all = withheld is not None
    if withheld is None and len(who) < 2:
        alone = f"only {candidates[who[0]].spec.label} has" if who else "nobody has"
        withheld = f"{alone} enough answers scored by {scorer} to be set beside another"

    def shown(one: int, other: int) -> bool:
        pair = who[one], who[other]
        return any((what, *pair) in better for what in (scorer, "cost_usd", "latency"))

    points = [_point(candidates[i], qualities[i], higher=higher) for i in who]
    found = dict(zip(who, standings(points, shown), strict=True))
    options = [
        _option(
            result,
            index,
            qualities[index],
            evaluations[index],
            found.get(index),
            who,
            withheld=of_all or (withheld is not None and index in means),
        )
        for index in result.order
    ]
    picker = Picker(result, scorer, means, better, limits, higher=higher, people=people)
    picks = []
    if withheld is None and reference is not None:
        picks.append(picker.not_worse(reference, margin))
    if withheld is None and limits.words:
        picks.append(picker.best_under())
    return Tradeoff(scorer=scorer, options=options, picks=picks, withheld=withheld)


def _point(
    candidate: CandidateResult, quality: QualityEstimate, *, higher: bool
) -> tuple[float | None, ...]:
    value, cost = quality.value, candidate.cost_per_answer
    good = None if value is None else -value if higher else value
    return good, None if cost is None else float(cost), candidate.latency.p95


def _option(
    result: EvaluationResult,
    index: int,
    quality: QualityEstimate,
    evaluation: str,
    standing: Standing | None,
    who: Sequence[int],
    *,
    withheld: bool,
) -> Option:
    def named(places: Sequence[int]) -> list[str]:
        return [result.candidates[who[place]].spec.label for place in places]

    place: Place = "withheld" if withheld else "left_out"
    if standing is not None and not withheld:
        if standing.beaten_by:
            place = "beaten" if standing.shown else "not_shown"
        else:
            place = "front" if standing.known else "unknown"
    return Option(
        label=result.candidates[index].spec.label,
        evaluation=evaluation,
        result=result.candidates[index],
        quality=quality,
        place=place,
        beaten_by=named(standing.beaten_by) if standing else [],
        shown_by=named(standing.shown) if standing and not withheld else [],
        ties=named(standing.ties) if standing else [],
    )


def _standing(option: Option) -> str:
    name, by = option.label, ", ".join(option.shown_by or option.beaten_by)
    if option.place == "beaten":
        return f"{name} is beaten by {by}."
    if option.place == "not_shown":
        return f"{name} is beaten by the figures of {by}, but not shown to be: it may be chance."
    if option.place == "left_out":
        return (
            f"{name} is left out: less than {COVERAGE_FLOOR:.0%} of its answers were scored by "
            f"{option.quality.scorer}."
        )
    unknown = "cost" if option.result.cost_per_1000 is None else "time"
    return f"{name}: its {unknown} is unknown, so that it can neither beat nor be beaten."
