"""Quality as people and a judge tell it together, where every candidate has such an estimate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from llmflowlab.evaluation.conclude.people_estimates import PeopleEstimate
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.statistics.intervals import Interval
from llmflowlab.statistics.noninferiority import NonInferiority

__all__ = ["PeopleQuality", "people_quality"]

_Z = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleQuality:
    """The estimates of one question that people were asked, and those of all differences."""

    asked: str
    estimates: Mapping[int, PeopleEstimate]
    """By candidate."""
    differences: Mapping[tuple[int, int], PeopleEstimate]
    """The first candidate less the second."""

    def value(self, candidate: int) -> float:
        """Return a candidate's estimate, from 0 to 1."""
        value = self.estimates[candidate].value
        assert value is not None, "whoever has none has no quality of this kind"
        return value

    def better(self) -> set[tuple[int, int]]:
        """Return who is shown to be better than whom, all pairs together at 95 % (Bonferroni)."""
        wide = NormalDist().inv_cdf(1 - 0.025 / len(self.differences)) / _Z
        found = set()
        for pair, estimate in self.differences.items():
            low, high = _ends(estimate, wide)
            if low > 0:
                found.add(pair)
            elif high < 0:
                found.add((pair[1], pair[0]))
        return found

    def no_worse(self, reference: int, margin: float) -> dict[int, NonInferiority]:
        """Return who is shown to be at most the margin worse than one, each at 95 % of its family."""
        others = [index for index in self.estimates if index != reference]
        wide = max(1.0, NormalDist().inv_cdf(1 - 0.05 / len(others)) / _Z)
        found = {}
        for index in others:
            estimate = self.differences.get((index, reference))
            sign = 1.0
            if estimate is None:
                estimate, sign = self.differences[reference, index], -1.0
            ends = sorted(sign * end for end in _ends(estimate, wide))
            said = NonInferiority(
                n=estimate.labelled,
                difference=sign * (estimate.value or 0.0),
                lower_bound=ends[0],
                upper_bound=ends[1],
                margin=margin,
            )
            if said.verdict == "non_inferior":
                found[index] = said
        return found


def people_quality(result: EvaluationResult, scorer: str) -> PeopleQuality | None:
    """Return what people and this scorer tell together of all candidates; None where of some they do not.

    Of several questions that people were asked the one that was asked first.
    """
    everybody = set(range(len(result.candidates)))
    for asked in dict.fromkeys(each.asked for each in result.people):
        own = [
            each
            for each in result.people
            if each.asked == asked and each.scorer == scorer and each.interval is not None
        ]
        estimates = {each.candidate: each for each in own if each.against is None}
        differences = {
            (each.candidate, each.against): each for each in own if each.against is not None
        }
        pairs = len(everybody) * (len(everybody) - 1) // 2
        if estimates.keys() == everybody and len(differences) == pairs:
            return PeopleQuality(asked=asked, estimates=estimates, differences=differences)
    return None


def _ends(estimate: PeopleEstimate, wide: float) -> tuple[float, float]:
    """Return the ends of an interval that is so many times as wide on either side."""
    value, interval = estimate.value, estimate.interval
    assert value is not None, "an interval stands around a value"
    assert isinstance(interval, Interval), "as was seen when it was chosen"
    return value - wide * (value - interval.low), value + wide * (interval.high - value)
