"""How far a judge can be trusted, from what both it and people said of the same things."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llmflowlab.statistics.intervals import Interval, wilson_interval
from llmflowlab.statistics.kappa import clustered_kappa, confusion, weighted_kappa
from llmflowlab.statistics.slopes import clustered_slope

__all__ = [
    "FEWEST",
    "Bias",
    "Calibration",
    "JudgedByBoth",
    "Rate",
    "calibrate",
]

FEWEST = 20
"""Questions that both must have judged, for a judge to be examined by them."""
KAPPA = 0.2
"""What the lower end of kappa's interval must exceed: more than slight agreement (Landis & Koch 1977,
Biometrics 33:159-174). People among themselves reach 0.31 on the pairs of AlpacaEval."""
LENGTH = 0.1
"""Points by which a judge may be shown to favour one standard deviation more of length than people do."""
FLIPS = 0.4
"""Share of comparisons that may change with the order of answers; half do where one is guessed."""
STEADY = 0.8
"""Share of answers on which a judge that is asked again must say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedByBoth:
    """One thing, an answer or a pair of them, of which both people and the judge spoke."""

    question: int
    """Things of one question are not independent."""
    people: float
    """What people say, from 0 to 1; of a pair, 1 where the first is better."""
    judge: float
    """What the judge says of it, on the same scale."""
    length: float
    """Logarithm of an answer's length; of a pair, the first's less the second's."""
    language: str | None = None
    own_family: bool | None = None
    """Whether the judge's own family of models answered; None where nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A share, with its Wilson interval."""

    value: float
    n: int
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "n": self.n,
            "ci_low": self.interval.low,
            "ci_high": self.interval.high,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Bias:
    """By how much more than people a judge says yes to some things than to others."""

    value: float
    """Points of 1; of length, for one standard deviation more of it."""
    interval: Interval | None
    """95 %, over questions; None for fewer than ten."""

    def to_json(self) -> dict[str, Any]:
        low, high = (self.interval.low, self.interval.high) if self.interval else (None, None)
        return {"value": self.value, "ci_low": low, "ci_high": high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One judge beside people."""

    scorer: str
    judge: str
    """Model reference, or the scorer's name where no model judges."""
    asked: str
    """What people were asked."""
    n: int
    """Things that both judged."""
    questions: int
    agreement: Rate | None
    """Share with equal labels; None where there is nothing in common."""
    kappa: float | None
    """None also where one side is `constant`."""
    kappa_interval: Interval | None
    weighted: float | None
    """With squared weights; of yes and no it is kappa."""
    weighted_interval: Interval | None
    labels: tuple[float, ...]
    """Of the table, in order."""
    table: tuple[tuple[int, ...], ...]
    """How often people gave the row's label and the judge the column's."""
    sensitivity: Rate | None
    """Share of what people call right that the judge does; None where labels are degrees."""
    specificity: Rate | None
    length: Bias | None
    own_family: Bias | None
    same_question: bool = True
    """Whether people were asked what the judge is; else it is shown, and not examined by their words."""
    languages: dict[str, Bias] = field(default_factory=dict)
    """Of each language against all others."""
    flipped: float | None = None
    """Share of its comparisons that changed with the order; None where it compares nothing."""
    first_preferred: float | None = None
    """Among the changed ones, share in which the first place was preferred."""
    steady: float | None = None
    """Share of answers on which it said the same when asked again; None where it was not."""
    divided: int = 0
    """Answers on which as many people said yes as no; they are in no figure."""

    @property
    def constant(self) -> Literal["people", "judge"] | None:
        """Who says the same of everything, so that kappa is undefined; people where both do."""
        if self.n and sum(any(row) for row in self.table) < 2:
            return "people"
        return "judge" if self.n and sum(map(any, zip(*self.table, strict=True))) < 2 else None

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why nothing may be gated or promoted by its scores; empty too where too little was judged."""
        found = []
        low = self.kappa_interval.low if self.kappa_interval else None
        if self.enough and self.constant == "judge":
            found.append("it says the same of every answer, so that kappa is undefined")
        elif self.enough and (low is None or low <= KAPPA):
            shown = "unknown" if low is None else f"{low:.2f}"
            found.append(f"the lower end of kappa is {shown}, not above {KAPPA}")
        bias = self.length
        if self._many and bias is not None and bias.interval is not None:
            ends = bias.interval.low, bias.interval.high
            if ends[0] > LENGTH or ends[1] < -LENGTH:
                found.append(
                    f"it favours {'longer' if bias.value > 0 else 'shorter'} answers by "
                    f"{100 * abs(bias.value):.0f} points more than people do"
                )
        if self.flipped is not None and self.flipped > FLIPS:
            found.append(f"{self.flipped:.0%} of its comparisons change with the order")
        if self.steady is not None and self.steady < STEADY:
            found.append(f"asked again, it says the same in {self.steady:.0%} of cases")
        return tuple(found)

    @property
    def enough(self) -> bool:
        """Whether enough was judged by both to examine the judge by it, and people told answers apart."""
        return self._many and self.constant != "people"

    @property
    def _many(self) -> bool:
        return self.same_question and self.questions >= FEWEST

    @property
    def passed(self) -> bool | None:
        """Whether its scores may gate and promote; None where too few questions were judged to say."""
        if self.doubts:
            return False
        return True if self.enough else None

    def to_json(self) -> dict[str, Any]:
        def ends(interval: Interval | None) -> dict[str, Any]:
            low, high = (interval.low, interval.high) if interval else (None, None)
            return {"ci_low": low, "ci_high": high}

        def part(rate: Rate | Bias | None) -> dict[str, Any] | None:
            return None if rate is None else rate.to_json()

        return {
            "scorer": self.scorer,
            "judge": self.judge,
            "question": self.asked,
            "same_question": self.same_question,
            "n": self.n,
            "divided": self.divided,
            "constant": self.constant,
            "questions": self.questions,
            "agreement": part(self.agreement),
            "kappa": {"value": self.kappa, **ends(self.kappa_interval)},
            "weighted_kappa": {"value": self.weighted, **ends(self.weighted_interval)},
            "confusion": {"labels": list(self.labels), "people_by_judge": [*map(list, self.table)]},
            "sensitivity": part(self.sensitivity),
            "specificity": part(self.specificity),
            "length_bias": part(self.length),
            "own_family_bias": part(self.own_family),
            "language_bias": {name: bias.to_json() for name, bias in self.languages.items()},
            "order_flips": self.flipped,
            "first_preferred": self.first_preferred,
            "steady": self.steady,
            "passed": self.passed,
            "doubts": list(self.doubts),
        }


def calibrate(
    things: Sequence[JudgedByBoth],
    *,
    scorer: str,
    judge: str,
    asked: str,
    labels: Sequence[float] = (0.0, 1.0),
    same_question: bool = True,
    flipped: float | None = None,
    first_preferred: float | None = None,
    steady: float | None = None,
    divided: int = 0,
) -> Calibration:
    """Set a judge beside people.

    Args:
        things: What both judged.
        scorer: Whose scores these are.
        judge: Who judged.
        asked: What people were asked.
        labels: What can be said, from worst to best; a value counts as the nearest of them.
        same_question: Whether people were asked what the judge is.
        flipped: Share of its comparisons that changed with the order.
        first_preferred: Among those, how many preferred the first place.
        steady: Share of answers on which it said the same when asked again.
        divided: Answers left out because as many people said yes as no.
    """
    people = [_nearest(thing.people, labels) for thing in things]
    judged = [_nearest(thing.judge, labels) for thing in things]
    questions = [thing.question for thing in things]
    table = confusion(people, judged, labels)
    kappa, kappa_interval = (
        clustered_kappa(people, judged, questions, labels) if things else (None, None)
    )
    weighted, weighted_interval = weighted_kappa(list(zip(questions, people, judged, strict=True)))
    same = sum(a == b for a, b in zip(people, judged, strict=True))
    binary = tuple(labels) == (0.0, 1.0)
    more = [b - a for a, b in zip(people, judged, strict=True)]
    languages = sorted({thing.language for thing in things if thing.language is not None})
    return Calibration(
        scorer=scorer,
        judge=judge,
        asked=asked,
        n=len(things),
        questions=len(set(questions)),
        agreement=_rate(same, len(things)),
        kappa=kappa,
        kappa_interval=kappa_interval,
        weighted=weighted,
        weighted_interval=weighted_interval,
        labels=tuple(labels),
        table=tuple(tuple(map(int, row)) for row in table),
        sensitivity=_rate(int(table[1, 1]), int(table[1].sum())) if binary else None,
        specificity=_rate(int(table[0, 0]), int(table[0].sum())) if binary else None,
        length=_bias(_standard([thing.length for thing in things]), more, questions),
        own_family=_bias(*_known([thing.own_family for thing in things], more, questions)),
        languages={
            name: bias
            for name in languages
            if (bias := _bias([float(thing.language == name) for thing in things], more, questions))
            is not None
        },
        same_question=same_question,
        flipped=flipped,
        first_preferred=first_preferred,
        steady=steady,
        divided=divided,
    )


def _nearest(value: float, labels: Sequence[float]) -> float:
    return min(labels, key=lambda label: (abs(label - value), label))


def _rate(found: int, of: int) -> Rate | None:
    return Rate(value=found / of, n=of, interval=wilson_interval(found, of)) if of else None


def _standard(values: Sequence[float]) -> list[float]:
    """Return values in standard deviations from their mean."""
    if not values:
        return []
    mean = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / spread if spread else 0.0 for value in values]


def _known(
    own: Sequence[bool | None], more: Sequence[float], questions: Sequence[int]
) -> tuple[list[float], list[float], list[int]]:
    known = [place for place, value in enumerate(own) if value is not None]
    return (
        [float(bool(own[i])) for i in known],
        [more[i] for i in known],
        [questions[i] for i in known],
    )


def _bias(x: Sequence[float], more: Sequence[float], questions: Sequence[int]) -> Bias | None:
    found = clustered_slope(x, more, questions)
    return None if found is None else Bias(value=found[0], interval=found[1])
