"""What each layer of a canary makes of a round, and the watch that it is put before.

words: for each border prompt, whether its usual word came. new_words: where not, whether one came that was not
heard while it learnt. right, refusals: of each question of the suite. length: whether an answer is shorter or
longer than all that were learnt. latency: the share of a day's answers that are slower than nine of ten were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TypeAlias

from llmflowlab.monitoring.canary_plan import SLOW_DAY, Canary
from llmflowlab.monitoring.canary_rounds import Round, SuiteReply
from llmflowlab.statistics.change_evidence import Band, EstimatedBand
from llmflowlab.statistics.quantiles import quantile
from llmflowlab.statistics.watch import Watch

__all__ = ["WINDOWS", "chances_moved", "watches"]

WINDOWS: Mapping[str, int] = {
    "words": 48,
    "new_words": 48,
    "right": 168,
    "length": 168,
    "refusals": 168,
    "latency": 30,
}
"""Looks after which a change that has not shown is not seen any more."""

_Pair: TypeAlias = tuple[float, int]
_Measure: TypeAlias = Callable[[Round], list[_Pair]]


def watches(canary: Canary, rounds: Sequence[Round]) -> dict[str, Watch]:
    """Return the watch of each layer after all rounds that came after the baseline; none before.

    Args:
        canary: What is watched.
        rounds: All of its rounds, in their order.
    """
    begin = canary.learning + canary.baseline
    if len(rounds) < begin:
        return {}
    learnt, before, since = (
        rounds[: canary.learning],
        rounds[canary.learning : begin],
        rounds[begin:],
    )
    found: dict[str, Watch] = {}
    for layer, measure in _measures(canary, learnt).items():
        # What is usual was learnt from the same rounds, so that they say nothing about how often it is.
        first = [] if layer in {"new_words", "length"} else learnt
        found[layer] = Watch(
            _baselines(_sums(measure, first), _sums(measure, before), _tolerance(canary, layer)),
            horizon=canary.horizon,
            window=WINDOWS[layer],
            looks=map(measure, since[-WINDOWS[layer] :]),
        )
    if "latency" in canary.layers:
        limits = _slow([*learnt, *before], len(canary.questions))
        found["latency"] = Watch(
            [Band(high=SLOW_DAY)],
            horizon=max(1, canary.horizon // canary.daily),
            window=WINDOWS["latency"],
            looks=_days(since, canary.daily, limits),
        )
    return found


def chances_moved(canary: Canary, rounds: Sequence[Round]) -> list[tuple[int, ...]]:
    """Return for each round after the baseline the prompts whose usual word is no longer as likely as it was.

    Chances that are told need no statistics: of two that lie within the tolerance of the same chance neither is
    further than twice the tolerance from the other. A prompt whose chances lay further apart in the baseline, or
    were not told in all of it, is left out.
    """
    begin = canary.learning + canary.baseline
    before, most = rounds[:begin], 2 * canary.tolerance
    found: list[tuple[int, ...]] = []
    if len(rounds) < begin or not all(each.chances for each in before):
        return found
    ends = []
    for i in range(len(canary.choices)):
        told = list(chain.from_iterable(each.chances[i] for each in before))
        ends.append((min(told, default=0.0), max(told, default=1.0)))
    for one in rounds[begin:]:
        moved = [
            i
            for i, ((low, high), told) in enumerate(zip(ends, one.chances, strict=False))
            if high - low <= most and any(not high - most <= each <= low + most for each in told)
        ]
        found.append(tuple(moved))
    return found


def _tolerance(canary: Canary, layer: str) -> float:
    """Whole answers wander more than words do."""
    return canary.tolerance * (2 if layer in {"right", "length"} else 1)


def _measures(canary: Canary, learnt: Sequence[Round]) -> dict[str, _Measure]:
    found: dict[str, _Measure] = {}
    if canary.choices:
        heard = [
            set(chain.from_iterable(each.words[i] for each in learnt))
            for i in range(len(canary.choices))
        ]
        usual = [choice.word for choice in canary.choices]
        found["words"] = lambda one: [
            (said.count(word), len(said)) for said, word in zip(one.words, usual, strict=True)
        ]
        found["new_words"] = lambda one: _new_words(one, usual, heard)
    if canary.questions:
        ranges = [
            [r.length for each in learnt if (r := each.replies[i]).length is not None]
            for i in range(len(canary.questions))
        ]
        found["right"] = lambda one: [_value(reply.right) for reply in one.replies]
        found["refusals"] = lambda one: [_value(reply.refused) for reply in one.replies]
        found["length"] = lambda one: [
            _unusual(reply, usual) for reply, usual in zip(one.replies, ranges, strict=True)
        ]
    return found


def _new_words(one: Round, usual: Sequence[str], heard: Sequence[set[str]]) -> list[_Pair]:
    others = [
        [other for other in said if other != word]
        for said, word in zip(one.words, usual, strict=True)
    ]
    return [
        (sum(word not in known for word in said), len(said))
        for said, known in zip(others, heard, strict=True)
    ]


def _value(value: float | None) -> _Pair:
    return (0.0, 0) if value is None else (value, 1)


def _unusual(reply: SuiteReply, usual: Sequence[int]) -> _Pair:
    if reply.length is None or not usual:
        return 0.0, 0
    return float(not min(usual) <= reply.length <= max(usual)), 1


def _sums(measure: _Measure, rounds: Sequence[Round]) -> list[_Pair]:
    looks = [measure(each) for each in rounds]
    return [
        (sum(total for total, _ in stream), sum(n for _, n in stream))
        for stream in zip(*looks, strict=True)
    ]


def _baselines(
    learnt: Sequence[_Pair], before: Sequence[_Pair], tolerance: float
) -> list[EstimatedBand]:
    return [
        EstimatedBand(
            total=total, n=n, tolerance=tolerance, learnt_total=first[0], learnt_n=first[1]
        )
        for (total, n), first in zip(before, learnt or [(0.0, 0)] * len(before), strict=True)
    ]


def _slow(rounds: Sequence[Round], questions: int) -> list[float | None]:
    """Return for each question the seconds that nine of ten answers took less than."""
    return [
        quantile([s for each in rounds if (s := each.replies[i].seconds) is not None], 0.9)
        for i in range(questions)
    ]


def _days(rounds: Sequence[Round], daily: int, limits: Sequence[float | None]) -> list[list[_Pair]]:
    """Return the share of slow answers of each whole day."""
    days: list[list[_Pair]] = []
    for begin in range(0, len(rounds) - daily + 1, daily):
        slow = [
            float(reply.seconds > limit)
            for each in rounds[begin : begin + daily]
            for reply, limit in zip(each.replies, limits, strict=True)
            if reply.seconds is not None and limit is not None
        ]
        days.append([(sum(slow) / len(slow), 1)] if slow else [(0.0, 0)])
    return days
