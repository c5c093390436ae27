"""What people think of the candidates, and what they and a judge tell together: values and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmflowlab.statistics.intervals import Interval

__all__ = ["ASSUMES", "COLUMNS", "METRICS", "PeopleEstimate"]

METRICS = "people/"
"""Begins the names of all metrics of people's words."""

ASSUMES = (
    "People and judge together: what people would say on average of all answers, from their words on some "
    "and the judge's scores on all; the rows that they judged must have been drawn by chance. Under judge stands "
    "the scorer that helps: any may, but one of another scale need not come near what people say."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleEstimate:
    """One candidate, or the second less the first of two, by one question that people were asked."""

    asked: str
    scorer: str
    """Whose scores help."""
    candidate: int
    """Place in the plan."""
    against: int | None = None
    """The one that it is compared with; None: the candidate's own mean."""
    judge: float | None
    """Mean of the scorer's scores."""
    people: float | None
    """Mean of what people said."""
    people_interval: Interval | None
    labelled: int
    """Questions on which they did."""
    of: int
    """All questions with an answer that they could judge."""
    value: float | None
    """The estimate; None where too few words were said to give one."""
    interval: Interval | None
    effective: float | None
    """As many words of people alone would give an interval of this width."""
    more: int | None
    """So many questions more, for `half_width`; None where nothing is left to judge, or no estimate."""
    half_width: float | None
    """Half the interval's width once people have judged so many more."""

    @property
    def note(self) -> str:
        """Return what the next words would bring, or why there is no estimate yet."""
        if self.value is None:
            return f"{self.labelled} of {self.of} questions judged: too few for an estimate"
        if self.more is None or self.half_width is None:
            return "everything is judged"
        return f"judging {self.more} more narrows it to ±{100 * self.half_width:.1f} points"

    def to_json(self) -> dict[str, Any]:
        return {
            "question": self.asked,
            "scorer": self.scorer,
            "candidate": self.candidate,
            "against": self.against,
            "judge": self.judge,
            "people": self.people,
            **_ends("people_ci", self.people_interval),
            "labelled": self.labelled,
            "of": self.of,
            "value": self.value,
            **_ends("ci", self.interval),
            "effective_n": self.effective,
            "more": self.more,
            "half_width_then": self.half_width,
            "said": self.note,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PeopleEstimate:
        return cls(
            asked=values["question"],
            scorer=values["scorer"],
            candidate=values["candidate"],
            against=values["against"],
            judge=values["judge"],
            people=values["people"],
            people_interval=_interval("people_ci", values),
            labelled=values["labelled"],
            of=values["of"],
            value=values["value"],
            interval=_interval("ci", values),
            effective=values["effective_n"],
            more=values["more"],
            half_width=values["half_width_then"],
        )

    def metrics(self) -> dict[str, float]:
        """Return the metrics of the candidate's run; none of a difference."""
        if self.against is not None:
            return {}
        found = {
            "mean": self.people,
            "combined": self.value,
            "combined_ci_low": self.interval.low if self.interval else None,
            "combined_ci_high": self.interval.high if self.interval else None,
            "effective_n": self.effective,
            "judged_questions": float(self.labelled),
        }
        return {f"{METRICS}{self.asked}/{n}": v for n, v in found.items() if v is not None}

    def cells(self, labels: Sequence[str]) -> tuple[str, ...]:
        """Return a line of the table that every page shows."""
        who = labels[self.candidate]
        if self.against is not None:
            who += f" less {labels[self.against]}"
        signed = "+" if self.against is not None else ""
        return (
            who,
            self.asked,
            f"{self.scorer} {_percent(self.judge, signed)}".rstrip(),
            _percent(self.people, signed),
            f"{self.labelled}/{self.of}",
            _percent(self.value, signed),
            "" if self.interval is None else _span(self.interval, signed),
            "" if self.effective is None else f"{self.effective:.0f}",
            self.note,
        )


COLUMNS = (
    *("model", "asked", "judge", "people", "judged", "together", "95 % interval", "worth"),
    "what more would bring",
)
"""Of `PeopleEstimate.cells`."""


def _percent(value: float | None, signed: str) -> str:
    return "" if value is None else f"{value:{signed}.1%}"


def _span(interval: Interval, signed: str) -> str:
    return f"{interval.low:{signed}.1%} to {interval.high:{signed}.1%}"


def _ends(name: str, interval: Interval | None) -> dict[str, float | None]:
    return {
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }


def _interval(name: str, values: Mapping[str, Any]) -> Interval | None:
    low, high = values[f"{name}_low"], values[f"{name}_high"]
    return None if low is None or high is None else Interval(low, high)
