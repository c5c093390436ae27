"""Quality gates: what every candidate must reach for an evaluation to pass.

A figure that is unknown fails its gate, and so does one that speaks of too few of the answers: a gate
never passes for want of evidence.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from llmflowlab.errors import InputError
from llmflowlab.evaluation.conclude.results import EvaluationResult
from llmflowlab.evaluation.scores import COVERAGE_FLOOR
from llmflowlab.statistics.intervals import Interval

__all__ = [
    "CUT",
    "DEFAULT_MIN_COVERAGE",
    "GateResult",
    "Threshold",
    "check_known",
    "check_thresholds",
    "parse_threshold",
    "reason_line",
]

DEFAULT_MIN_COVERAGE = COVERAGE_FLOOR

CUT = "cut"

_SCORE_FIGURES = ("mean", "ci_low", "ci_high", "coverage")
_LATENCY_FIGURES = ("mean", "p50", "p95")
_MEASURED = ("latency", "cost_usd", "tokens", "failed", CUT)
"""What can be bounded beside scores: seconds an answer, USD in all, tokens in all, failed answers, and
the share of answers that used up the tokens allowed."""
_FORM = re.compile(
    r"\s*(?P<subject>[\w.-]+?)(?:\.(?P<figure>mean|ci_low|ci_high|coverage|p50|p95))?"
    r"\s*(?:>=|<=|=)\s*(?P<value>\S+)\s*"
)

Side: TypeAlias = Literal["at least", "at most"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One figure of every candidate and the bound it must keep."""

    subject: str
    """A scorer, or `latency` (seconds), `cost_usd`, `tokens`, `failed`, `cut`."""
    figure: str | None
    """mean, ci_low, ci_high or coverage of a scorer; mean, p50 or p95 of the latency; else None."""
    bound: float
    side: Side

    def __str__(self) -> str:
        figure = "" if self.figure is None else f".{self.figure}"
        sign = ">=" if self.side == "at least" else "<="
        return f"{self.subject}{figure}{sign}{self.bound:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What a gate says of one candidate."""

    gate: str
    candidate: str
    value: float | None
    """None where it is unknown; the gate is then not passed."""
    threshold: float
    passed: bool
    reason: str
    """One sentence, also where it is passed."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further figures of a comparison, as JSON values."""

    def to_json(self) -> dict[str, Any]:
        return {
            "gate": self.gate,
            "candidate": self.candidate,
            "value": self.value,
            "threshold": self.threshold,
            "passed": self.passed,
            "reason": self.reason,
            **self.details,
        }


def parse_threshold(text: str, *, side: Side) -> Threshold:
    """Read `SCORER=VALUE`, `SCORER.ci_low=VALUE`, `latency.p95=SECONDS`, `cost_usd=USD` and the like.

    Raises:
        InputError: It is not of that form, or its value cannot be reached or missed by anything.
    """
    option = "--fail-under" if side == "at least" else "--fail-over"
    match = _FORM.fullmatch(text)
    if (
        match is None
        or (">=" in text and side == "at most")
        or ("<=" in text and side != "at most")
    ):
        example = "correctness=0.8" if side == "at least" else "latency.p95=2.0"
        raise InputError(f"{option} {text!r} is no gate; write it as in {example}.")
    subject, figure = match["subject"], match["figure"]
    try:
        bound = float(match["value"])
    except ValueError:
        bound = math.nan
    if not math.isfinite(bound) or bound < 0:
        raise InputError(f"{option} {text!r}: {match['value']!r} is no number from 0 on.")
    if subject == "latency":
        figure = figure or "mean"
        if figure not in _LATENCY_FIGURES:
            raise InputError(f"{option} {text!r}: latency has {', '.join(_LATENCY_FIGURES)}.")
    elif subject in _MEASURED:
        if figure is not None:
            raise InputError(f"{option} {text!r}: {subject} is one figure; leave .{figure} out.")
    else:
        figure = figure or "mean"
        if figure not in _SCORE_FIGURES:
            raise InputError(f"{option} {text!r}: a scorer has {', '.join(_SCORE_FIGURES)}.")
        if bound > 1:
            raise InputError(f"{option} {text!r}: scores lie between 0 and 1; 80 % is 0.8.")
    return Threshold(subject=subject, figure=figure, bound=bound, side=side)


def check_known(thresholds: Sequence[Threshold], scorers: Sequence[str]) -> None:
    """Refuse gates on what the evaluation does not measure, before anything is asked.

    Raises:
        InputError: A gate names no scorer of this evaluation.
    """
    for threshold in thresholds:
        if threshold.subject in _MEASURED or threshold.subject in scorers:
            continue
        near = difflib.get_close_matches(threshold.subject, [*scorers, *_MEASURED], n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise InputError(
            f"The gate {threshold} is about {threshold.subject!r}, which this evaluation does not "
            f"score; it has {', '.join(scorers)}.{hint}"
        )


def check_thresholds(
    result: EvaluationResult,
    thresholds: Sequence[Threshold],
    *,
    min_coverage: float,
    exempt: Container[int] = (),
) -> list[GateResult]:
    """Hold every candidate against every threshold, save those, by index, that are `exempt`."""
    return [
        _check(result, index, threshold, min_coverage)
        for threshold in thresholds
        for index in range(len(result.candidates))
        if index not in exempt
    ]


def _check(
    result: EvaluationResult, index: int, threshold: Threshold, min_coverage: float
) -> GateResult:
    candidate = result.candidates[index]
    value, coverage = _value(result, index, threshold)
    name = candidate.spec.label
    outcome = GateResult(
        gate=str(threshold),
        candidate=name,
        value=value,
        threshold=threshold.bound,
        passed=False,
        reason="",
        details={"kind": "threshold", "coverage": coverage},
    )
    what = (
        threshold.subject if threshold.figure is None else f"{threshold.subject} {threshold.figure}"
    )
    what = what.removesuffix(" mean")
    if value is None:
        why = "no answer was scored" if threshold.subject not in _MEASURED else "it is unknown"
        return replace(outcome, reason=f"{name}: {what} has no value ({why})")
    if not _kept(value, threshold):
        word = "below" if threshold.side == "at least" else "above"
        return replace(
            outcome, reason=f"{name}: {what} is {_short(value)}, {word} {threshold.bound:g}"
        )
    if coverage is not None and coverage < min_coverage:
        reason = (
            f"{name}: {what} is {_short(value)}, but speaks of {coverage:.0%} of the answers only "
            f"(--min-coverage {min_coverage:g})"
        )
        return replace(outcome, reason=reason)
    if result.unfinished is not None:
        return replace(
            outcome, reason=f"{name}: {what} is {_short(value)}, but {result.unfinished}"
        )
    doubt = result.table.doubts.get(threshold.subject)
    if doubt is not None and threshold.figure != "coverage":
        return replace(outcome, reason=f"{name}: {what} is {_short(value)}, but {doubt}")
    worst = _at_worst(result, index, threshold)
    if worst is not None and not _kept(worst, threshold):
        missing = result.table.missing(index, threshold.subject)
        reason = (
            f"{name}: {what} is {_short(value)}, but {missing} answer{'' if missing == 1 else 's'} "
            f"{'is' if missing == 1 else 'are'} missing; at worst it is {_short(worst)}"
        )
        return replace(outcome, reason=reason)
    word = "at least" if threshold.side == "at least" else "at most"
    reason = f"{name}: {what} is {_short(value)}, {word} {threshold.bound:g}"
    return replace(outcome, passed=True, reason=reason)


def _kept(value: float, threshold: Threshold) -> bool:
    return value >= threshold.bound if threshold.side == "at least" else value <= threshold.bound


def _value(
    result: EvaluationResult, index: int, threshold: Threshold
) -> tuple[float | None, float | None]:
    """Return the figure, and the share of answers it speaks of; None where unknown."""
    candidate = result.candidates[index]
    answered = candidate.answered / candidate.rows if candidate.rows else None
    if threshold.subject == "latency":
        value = getattr(candidate.latency, threshold.figure or "mean")
        return value, answered
    if threshold.subject == "cost_usd":
        cost = candidate.cost_usd
        return (None if cost is None else float(cost)), answered
    if threshold.subject == "tokens":
        total = candidate.total_tokens
        return (None if total is None else float(total)), answered
    if threshold.subject == "failed":
        return float(sum(candidate.failed.values())), None
    if threshold.subject == CUT:
        return candidate.cut, None
    score = candidate.scores[threshold.subject]
    if threshold.figure == "coverage":
        return score.coverage, None
    return _figure(score.mean, score.interval, threshold), result.table.covered(
        index, threshold.subject
    )


def _at_worst(result: EvaluationResult, index: int, threshold: Threshold) -> float | None:
    """Return a score's figure with what is missing counted against it; None where nothing is."""
    table, scorer = result.table, threshold.subject
    if scorer in _MEASURED or threshold.figure == "coverage":
        return None
    traits = table.traits[scorer]
    if traits.scale is None or traits.figure is not None or not table.missing(index, scorer):
        return None
    fill = traits.scale[0 if threshold.side == "at least" else 1]
    mean = table.mean(index, scorer, fill=fill)
    return _figure(mean, table.interval(index, scorer, fill=fill), threshold)


def _figure(mean: float | None, interval: Interval | None, threshold: Threshold) -> float | None:
    if threshold.figure in {None, "mean"} or interval is None:
        return mean
    return interval.low if threshold.figure == "ci_low" else interval.high


def _short(value: float) -> str:
    # Not rounded up to the bound it missed: 0.7996 is not "0.8".
    return f"{value:.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def reason_line(gates: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why the gates are not met, in one line; None where all are passed."""
    failed = [gate for gate in gates if not gate["passed"]]
    if not failed:
        return None
    some = f"{len(failed)} of {len(gates)} gates" if len(gates) > 1 else "The gate"
    verb = "were" if len(failed) > 1 else "was"
    reasons = "; ".join(" ".join(str(gate["reason"]).split()) for gate in failed)
    return f"{some} {verb} not met: {reasons}."
